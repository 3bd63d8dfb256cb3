"""Finds a Chromium and its driver for the tests of the inspector, and installs them if it may.

python -m scripts.browser           says where they are
python -m scripts.browser --install installs Debian's `chromium` and `chromium-driver` if they
                                    are missing, which takes root and a Debian
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
from typing import NamedTuple

PACKAGES = ("chromium", "chromium-driver")
# The faces that the inspector asks for, and emoji, so that screenshots look as they do elsewhere.
FONTS = ("fonts-inter", "fonts-sil-charis", "fonts-noto-color-emoji")


class Browser(NamedTuple):
    """A browser, and the driver of the same release."""

    chromium: str
    driver: str


def find() -> Browser | None:
    """The browser of this machine, or None."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    return Browser(chromium, driver) if chromium and driver else None


def install() -> Browser | None:
    """The browser of this machine, installed if it is missing and may be; None if it may not."""
    found = find()
    if found or os.geteuid() != 0 or not shutil.which("apt-get"):
        return found
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ("update",),
        ("install", "--yes", "--no-install-recommends", *PACKAGES, *FONTS),
    ):
        done = subprocess.run(
            ["apt-get", "--quiet", *command], env=environment, check=False,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        if done.returncode:
            return None
    return find()


def main() -> int:
    """0 if there is a browser, else 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--install", action="store_true", help="install what is missing")
    options = parser.parse_args()
    found = install() if options.install else find()
    print(f"{found.chromium}\n{found.driver}" if found else f"missing: {' '.join(PACKAGES)}")
    return 0 if found else 1


if __name__ == "__main__":
    raise SystemExit(main())
