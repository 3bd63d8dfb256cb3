"""What the base install is, and what README's first example costs on it.

Installs this checkout without any extra in a new environment, counts the packages and their bytes,
then runs the example in fresh processes, each with a new memory file. It needs the package index::

    python -m bench.first_example
    python -m bench.first_example --python python3.13 --runs 31

MB are 1024 ** 2 bytes. The time is that of the whole process, start of the interpreter included;
an interpreter that does nothing is shown beside it. Memory is what Linux calls VmHWM.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
MB = 1024**2
NOT_COUNTED = ("pip", "setuptools", "pkg_resources", "_distutils_hack", "distutils-precedence")
"""What a new environment has by itself."""

TELL_PEAK = """
import sys
with open("/proc/self/status") as status:
    sys.stderr.write(next(line for line in status if line.startswith("VmHWM")).split()[1])
"""


class Target(NamedTuple):
    """A figure, and what it may be at most."""

    name: str
    value: float
    most: float
    unit: str


def main(argv: list[str] | None = None) -> int:
    """0, or 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--python", default=sys.executable, help="which Python to install for")
    parser.add_argument("--runs", type=int, default=21, help="processes to time")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        python = install(Path(folder, "base"), options.python)
        packages = packages_of(python)
        print(", ".join(packages))
        bare_ms = median(run(python, "") for _ in range(options.runs))
        found = targets(python, packages, options.runs)
    print(f"Python itself: {bare_ms:.0f} ms")
    for each in found:
        verdict = "met" if each.value <= each.most else "MISSED"
        print(f"{each.name}: {each.value:.4g}{each.unit} (at most {each.most:g}), {verdict}")
    return int(any(each.value > each.most for each in found))


def targets(python: Path, packages: list[str], runs: int) -> list[Target]:
    """What is measured, with what it may be."""
    example = first_example()
    run(python, example)  # Files are in the cache, and compiled.
    took_ms = median(run(python, example) for _ in range(runs))
    return [
        Target("packages", len(packages), 12, ""),
        Target("their size", size_bytes(python) / MB, 32, " MB"),
        Target("README's first example", took_ms, 120, " ms"),
        Target("its peak memory", median(peak_mb(python, example) for _ in range(5)), 26, " MB"),
    ]


def install(folder: Path, python: str) -> Path:
    """The Python of a new environment with isomem in it."""
    subprocess.run([python, "-m", "venv", str(folder)], check=True)
    made = folder / "bin" / "python"
    subprocess.run([made, "-m", "pip", "install", "--quiet", str(ROOT)], check=True)
    return made


def packages_of(python: Path) -> list[str]:
    """The names of the installed packages, isomem included."""
    command = [python, "-m", "pip", "list", "--format=json", "--disable-pip-version-check"]
    listed = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return sorted(row["name"] for row in listed if row["name"] not in NOT_COUNTED)


def size_bytes(python: Path) -> int:
    """The size of all their files, compiled ones included."""
    (packages,) = python.parent.parent.glob("lib/python*/site-packages")
    counted = [path for path in packages.iterdir() if not path.name.startswith(NOT_COUNTED)]
    files = [file for path in counted for file in (path, *path.rglob("*")) if file.is_file()]
    return sum(file.stat().st_size for file in files)


def first_example() -> str:
    """The first example in Python in the README."""
    page = (ROOT / "README.md").read_text("utf-8")
    found = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    if found is None:
        raise SystemExit("README.md has no example in Python")
    return found[1]


def run(python: Path, code: str) -> float:
    """Milliseconds that a new process takes for it."""
    begun = time.perf_counter()
    _new_process(python, code)
    return 1000 * (time.perf_counter() - begun)


def peak_mb(python: Path, code: str) -> float:
    """The peak memory of a new process that runs it."""
    return int(_new_process(python, code + TELL_PEAK)) / 1024


def _new_process(python: Path, code: str) -> str:
    """What it writes to standard error."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {"ISOMEM_DIR": folder, "PATH": os.environ["PATH"]}
        done = subprocess.run(
            [python, "-c", code],
            env=environment,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stderr


if __name__ == "__main__":
    raise SystemExit(main())
