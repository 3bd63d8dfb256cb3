"""The build's prompt step: puts the pinned upstream texts into the package.

Texts that are already there and correct are reused. Otherwise they come from upstream's wheel,
which is the file that ISOMEM_MEM0_WHEEL names, or is downloaded by pip, without dependencies and by
its hash. The wheel is opened as a zip file and its modules are parsed; nothing in it is installed,
imported or run.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent


def _reach_package() -> None:
    """Makes `isomem.prompts` importable from this checkout without running `isomem` itself.

    An isolated build environment has none of the package's dependencies.
    """
    if "isomem" not in sys.modules:
        package = ModuleType("isomem")
        package.__path__ = [str(ROOT / "src" / "isomem")]
        sys.modules["isomem"] = package


_reach_package()

from isomem.prompts.extract import extract  # noqa: E402  reachable only now
from isomem.prompts.loader import DIRECTORY  # noqa: E402
from isomem.prompts.manifest import UPSTREAM, sha256_hex  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

    from isomem.prompts.manifest import Edition, Pin

WHEEL_VARIABLE = "ISOMEM_MEM0_WHEEL"


class PromptStepError(Exception):
    """The texts could not be obtained; the message says what to do."""


def prepare(directory: Path | None = None, edition: Edition = UPSTREAM) -> bool:
    """Makes sure that `directory` has every pinned text and the licence.

    Args:
        directory: where to put them; None means the package's own folder.
        edition: what is pinned.

    Returns:
        Whether anything had to be written.

    Raises:
        PromptStepError: the wheel cannot be obtained, or is not the pinned one. Nothing of it was
            written.
    """
    folder = Path(DIRECTORY) if directory is None else directory
    if is_complete(folder, edition):
        return False
    with tempfile.TemporaryDirectory(prefix="isomem-build-") as scratch:
        wheel = _named_wheel() or _download(edition, Path(scratch))
        texts = _read_wheel(wheel, edition)
    _write(folder, texts)
    return True


def is_complete(folder: Path, edition: Edition = UPSTREAM) -> bool:
    """Whether every pinned text and the licence are in `folder`, to the byte."""
    return all(_holds(folder / pin.name, pin) for pin in _everything(edition))


def _holds(path: Path, pin: Pin) -> bool:
    return path.is_file() and pin.matches(path.read_bytes())


def _everything(edition: Edition) -> Iterator[Pin]:
    yield edition.licence
    yield from edition.texts


def _named_wheel() -> Path | None:
    name = os.environ.get(WHEEL_VARIABLE)
    if not name:
        return None
    path = Path(name)
    if not path.is_file():
        raise PromptStepError(f"{WHEEL_VARIABLE} names a file that is not there: {path}")
    return path


def _download(edition: Edition, scratch: Path) -> Path:
    requirements = scratch / "requirements.txt"
    requirements.write_text(f"{edition.requirement} --hash=sha256:{edition.sha256}\n", "utf-8")
    options = ["--no-deps", "--require-hashes", "--only-binary=:all:", "--no-input", "--quiet"]
    places = ["--dest", str(scratch), "--requirement", str(requirements)]
    result = subprocess.run(
        [sys.executable, "-m", "pip", "download", *options, *places],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if result.returncode:
        raise PromptStepError(_download_fault(edition, result.stdout))
    return scratch / edition.wheel


def _download_fault(edition: Edition, output: str) -> str:
    if "DO NOT MATCH THE HASHES" in output:
        advice = (
            f"The package index serves another file than the pinned {edition.wheel}; do not use "
            "it, and find out why."
        )
    elif "No module named pip" in output:
        advice = "Install pip in the environment that builds, or build with isolation."
    else:
        advice = (
            f"Check the network and the index that pip uses. To build without a network, fetch "
            f"{edition.wheel} elsewhere (pip download --no-deps {edition.requirement}) and set "
            f"{WHEEL_VARIABLE} to its path."
        )
    said = "\n".join(f"  pip: {line}" for line in output.strip().splitlines()[-8:])
    return f"could not download {edition.requirement}, which holds the prompts.\n{said}\n{advice}"


def _read_wheel(wheel: Path, edition: Edition) -> dict[str, bytes]:
    digest = sha256_hex(wheel.read_bytes())
    if digest != edition.sha256:
        raise PromptStepError(
            f"{wheel} is not the pinned {edition.wheel}:\n"
            f"  its SHA-256 is {digest}\n  expected         {edition.sha256}"
        )
    with zipfile.ZipFile(wheel) as archive:
        found = {edition.licence.name: archive.read(edition.licence.path)}
        for path in {pin.path for pin in edition.texts}:
            found |= extract(archive.read(path), [p for p in edition.texts if p.path == path])
    wrong = [p.name for p in _everything(edition) if not p.matches(found.get(p.name, b""))]
    if wrong:
        raise PromptStepError(
            f"{wheel} does not hold what the manifest pins: {', '.join(wrong)}. "
            "The manifest (isomem/prompts/manifest.py) is wrong."
        )
    return found


def _write(folder: Path, texts: dict[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in texts.items():
        # Written to another file and moved: two builds of one checkout may run at once.
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".", delete=False) as file:
            file.write(data)
        Path(file.name).chmod(0o644)
        Path(file.name).replace(folder / name)
