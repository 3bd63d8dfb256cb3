"""How many instructions an operation takes."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from bench.rounds import WORKERS, environment

WORKER = WORKERS / "counted.py"
TIMEOUT_S = 600
COUNTED = re.compile(r"\bI\s+refs:\s+([\d,]+)")
VALGRIND = ("--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null")

NO_VALGRIND = (
    "valgrind is not installed, so nothing was checked. "
    "It is a package: `apt-get install valgrind` (Debian, Ubuntu), `dnf install valgrind` (Fedora)."
)


class CheckError(RuntimeError):
    """Nothing could be compared; the message says why, and what to do."""


class Operation(NamedTuple):
    """What is counted.

    Attributes:
        name: of the worker's operation.
        calls: how many are counted.
        each: how many of what is told are in one call, such as facts.
        about: for the table.
    """

    name: str
    calls: int
    about: str
    each: int = 1


OPERATIONS = {
    operation.name: operation
    for operation in (
        Operation("import", 1, "`import isomem`"),
        # A multiple of 64: so many adds in memory are written together.
        Operation("add_memory", 192, "raw add, in memory"),
        Operation("add_disk", 200, "raw add, on disk, flushed"),
        Operation("add_inferred", 5, "inferred add, in memory, per fact", each=10),
        Operation("update", 30, "update, one of 2,000 with names"),
        Operation("delete", 30, "delete, one of 2,000 with names"),
        Operation("search", 20, "search, 2,000 memories"),
        Operation("search_names", 20, "search with two names in the query"),
        Operation("search_changed", 10, "update, and a search after it"),
        Operation("search_first", 1, "first search, 2,000 memories to load"),
        Operation("get_all", 20, "get_all, 20 of 2,000"),
    )
}


def find_valgrind() -> str:
    """The path of the command.

    Raises:
        CheckError: it is not installed.
    """
    found = shutil.which("valgrind")
    if found is None:
        raise CheckError(NO_VALGRIND)
    return found


class Counter:
    """Counts for one source tree.

    Args:
        source: the folder that has the package `isomem`.
        jobs: how many processes run at once; it changes no count.
    """

    def __init__(self, source: Path, jobs: int) -> None:
        self._source = source
        self._jobs = jobs
        self._valgrind = find_valgrind()

    def count(self, operations: Iterable[Operation]) -> dict[str, float]:
        """Instructions per operation, by name.

        Raises:
            CheckError: an operation failed.
        """
        with (
            tempfile.TemporaryDirectory(prefix="isomem-check-") as name,
            ThreadPoolExecutor(self._jobs) as pool,
        ):
            folder = Path(name)
            filled = folder / "filled"
            filled.mkdir()
            self._run([], filled, "fill", 0)
            counts = pool.map(lambda each: self._count(each, folder, filled), operations)
            return dict(counts)

    def _count(self, operation: Operation, folder: Path, filled: Path) -> tuple[str, float]:
        none, many = (
            self._total(operation, calls, folder, filled) for calls in (0, operation.calls)
        )
        return operation.name, (many - none) / (operation.calls * operation.each)

    def _total(self, operation: Operation, calls: int, folder: Path, filled: Path) -> int:
        """All instructions of a process with so many calls, over a copy of the file."""
        own = folder / f"{operation.name}-{calls}"
        shutil.copytree(filled, own)
        return total(self._run([self._valgrind, *VALGRIND], own, operation.name, calls))

    def _run(self, prefix: list[str], folder: Path, operation: str, calls: int) -> str:
        """What a worker's process wrote to stderr, valgrind's report included."""
        words = [f"operation={operation}", f"calls={calls}", f"folder={folder}"]
        done = subprocess.run(
            [*prefix, sys.executable, str(WORKER), *words],
            env=fixed_environment(folder, self._source),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        if done.returncode:
            raise CheckError(
                f"{operation}: exit status {done.returncode}: {done.stderr.strip()[-2000:]}"
            )
        return done.stderr


def fixed_environment(home: Path, source: Path) -> dict[str, str]:
    """As for every worker, with that source tree, and hashes that are the same every time."""
    return {**environment(home), "PYTHONPATH": str(source), "PYTHONHASHSEED": "0"}


def total(report: str) -> int:
    """The instructions that valgrind's report tells.

    Raises:
        CheckError: it tells none.
    """
    found = COUNTED.search(report)
    if found is None:
        raise CheckError(f"valgrind told no count of instructions: {report.strip()[-2000:]}")
    return int(found[1].replace(",", ""))
