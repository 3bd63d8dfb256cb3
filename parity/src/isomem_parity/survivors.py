"""Random faults against the tests: which of them no test notices.

A fault is tried in a copy of the tree: first the tests that stand nearest to its file, then, when
these pass, the quick tests of everything else. Tests that fail without a fault are left out; which
these are, one run without a fault says.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Lock

from isomem_parity.mutants import Mutant, draw

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

EQUIVALENT = Path(__file__).with_name("equivalent.toml")
APART = {"cli", "demo.py"}
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", ".venvs", "__pycache__", ".*_cache", ".hypothesis", "results", "dist", "build"
)
IMPORTED = ("src", "parity/src", "")  # what pyproject.toml puts on pytest's path, too
MEMORY_KB = 8_000_000  # A loop without an end would take all there is.

QUICK = ("-m", "not oracle and not slow and not build")
NEAR = ("-m", "not slow and not build")

# The tests that stand near a module or a folder, beside those whose path mirrors its own.
NEIGHBOURS: dict[str, tuple[str, ...]] = {
    "asynchronous": ("facade",),
    "blocking": ("facade",),
    "config": ("unit/test_options_config.py", "claims/test_configuration.py"),
    "contract": ("unit/pipeline", "unit/store", "facade", "claims"),
    "filters": ("unit/contract/test_filters_oracle.py", "claims", "unit/store/test_sql.py"),
    "guard": ("facade/test_replaced_parts.py",),
    "memory": ("facade",),
    "options": ("unit/test_options_config.py", "unit/providers/test_settings.py"),
    "pipeline": ("facade", "claims"),
    "ports": ("unit/pipeline", "facade"),
    "prompts": ("claims", "facade/test_add.py"),
    "providers": ("unit/providers", "contract"),
    "scope": ("claims", "facade/test_ids.py"),
    "scoring": ("claims/test_scoring.py", "facade/test_search.py"),
    "store": ("unit/store", "facade"),
    "stores": ("facade", "claims"),
    "text": ("unit/text", "claims", "unit/test_keyword_parity.py"),
    "wiring": ("facade/test_replaced_parts.py", "unit/test_options_config.py"),
}


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant: the test that noticed it, or "" for a survivor."""

    mutant: Mutant
    by: str


def main(options: argparse.Namespace) -> int:
    """0 when as large a share was caught as was asked for; 2 without a checkout."""
    root: Path = options.checkout.resolve()
    if not (root / "src" / "isomem").is_dir() or not (root / "tests").is_dir():
        sys.stderr.write(f"{root} is not a checkout of isomem: it lacks src/isomem or tests\n")
        return 2
    apart = APART - set(options.also.split(","))
    drawn = draw(
        root / "src" / "isomem", options.random, options.seed, apart, tuple(options.only.split(","))
    )
    equivalent = known_equivalent(EQUIVALENT.read_text(encoding="utf-8"))
    tried = [one for one in drawn if key(one) not in equivalent]
    with (
        copies(root, options.jobs, options.python) as workshop,
        ThreadPoolExecutor(options.jobs) as pool,
    ):
        verdicts = []
        for verdict in pool.map(workshop.try_out, tried):
            verdicts.append(verdict)
            print(line(verdict), flush=True)
    print("\n".join(summary(verdicts, len(drawn) - len(tried))))
    return int(share_caught(verdicts) < options.least)


class Workshop:
    """Copies of the tree, each used by one job at a time."""

    def __init__(self, copies: list[Path], python: str) -> None:
        self.python = python
        self._free: SimpleQueue[Path] = SimpleQueue()
        for each in copies:
            self._free.put(each)
        self._right: tuple[set[str], float] | None = None
        self._lock = Lock()

    def try_out(self, mutant: Mutant) -> Verdict:
        """Plant the mutant and run the tests, those near it first."""
        tree = self._free.get()
        try:
            known, limit_s = self._without_a_fault(tree)
            close = near(mutant.file, tree)
            rest = [f"--ignore={each}" for each in close]
            with planted(mutant, tree):
                by = self._first_failure((*NEAR, *close), tree, known, limit_s)
                by = by or self._first_failure((*QUICK, *rest), tree, known, limit_s)
            return Verdict(mutant, by)
        finally:
            self._free.put(tree)

    def _without_a_fault(self, tree: Path) -> tuple[set[str], float]:
        """The tests that fail anyhow, and how long a run may take."""
        with self._lock:
            if self._right is None:
                began = time.monotonic()
                output, _ = self._pytest(NEAR, tree, 3600)
                self._right = set(failures(output)), 60 + 3 * (time.monotonic() - began)
            return self._right

    def _first_failure(
        self, selection: tuple[str, ...], tree: Path, known: set[str], limit_s: float
    ) -> str:
        without = [f"--deselect={test}" for test in sorted(known)]
        output, status = self._pytest(("-x", *selection, *without), tree, limit_s)
        if status in {0, 5}:  # All passed, or none is selected.
            return ""
        return next(failures(output), f"exit status {status}")

    def _pytest(self, arguments: tuple[str, ...], tree: Path, limit_s: float) -> tuple[str, int]:
        """Output and exit status. Out of time, the status is that of the signal."""
        with tempfile.TemporaryDirectory(dir=tree.parent) as scratch:
            command = ["sh", "-c", f'ulimit -v {MEMORY_KB}; exec "$@"', "sh"]
            command += [self.python, "-m", "pytest", "-q", "--tb=no", "-p", "no:cacheprovider"]
            variables = {
                "FUZZ": "0.2",
                "PYTHONDONTWRITEBYTECODE": "1",
                "PYTHONPATH": os.pathsep.join(str(tree / each) for each in IMPORTED),
                "TMPDIR": scratch,
            }
            process = subprocess.Popen(
                [*command, *arguments], cwd=tree, start_new_session=True, text=True,
                env={**os.environ, **variables},
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
            try:
                output, _ = process.communicate(timeout=limit_s)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                output, _ = process.communicate()
        return output, process.returncode


@contextmanager
def copies(root: Path, count: int, python: str) -> Iterator[Workshop]:
    """Copies of the checkout in memory, where there is such a file system, else on the disk."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        trees = [Path(folder) / str(number) / "tree" for number in range(count)]
        for tree in trees:
            shutil.copytree(root, tree, ignore=LEFT_OUT)
        yield Workshop(trees, python)


@contextmanager
def planted(mutant: Mutant, tree: Path) -> Iterator[None]:
    """The mutant in the copy, and the right text again afterwards."""
    target = tree / "src" / "isomem" / mutant.file
    right = target.read_text(encoding="utf-8")
    # A compiled kernel would run in place of one with a fault.
    compiled = list(target.parent.glob("kernel.*.so")) if mutant.file == "kernel.py" else []
    for each in compiled:
        each.rename(each.with_suffix(".away"))
    target.write_text(mutant.text, encoding="utf-8")
    try:
        yield
    finally:
        target.write_text(right, encoding="utf-8")
        for each in compiled:
            each.with_suffix(".away").rename(each)


def near(file: str, tree: Path) -> tuple[str, ...]:
    """The tests that mirror a file of the package, then its neighbours."""
    path = Path(file)
    mirror = Path("unit", path.parent, f"test_{path.stem}.py")
    part = path.parts[0] if path.parent.name else ""
    wanted: list[Path | str] = [mirror, *NEIGHBOURS.get(path.stem, ()), *NEIGHBOURS.get(part, ())]
    found = [f"tests/{each}" for each in wanted if (tree / "tests" / each).exists()]
    return tuple(dict.fromkeys(found)) or ("tests/facade",)


def failures(output: str) -> Iterator[str]:
    """The tests that failed, as pytest's short summary names them."""
    for found in re.finditer(r"^(?:FAILED|ERROR) (tests/.+?)(?: - |$)", output, re.MULTILINE):
        yield found[1]


def known_equivalent(text: str) -> set[tuple[str, str, str]]:
    """The changes that are listed by hand as changing nothing."""
    rows = tomllib.loads(text).get("equivalent", [])
    return {(row["file"], row["old"], row["new"]) for row in rows}


def key(mutant: Mutant) -> tuple[str, str, str]:
    """What a row of equivalent changes says of a mutant."""
    return mutant.file, mutant.old, mutant.new


def line(verdict: Verdict) -> str:
    """One line of the report, two for a survivor."""
    mutant = verdict.mutant
    where = f"{mutant.file}:{mutant.line}"
    if verdict.by:
        return f"caught    {where:<36} {verdict.by}"
    note = " (a message)" if mutant.is_message else ""
    return f"SURVIVED  {where}{note}\n    {mutant.old}\n -> {mutant.new}"


def share_caught(verdicts: list[Verdict]) -> float:
    """In per cent."""
    return 100 * sum(bool(one.by) for one in verdicts) / len(verdicts) if verdicts else 100.0


def summary(verdicts: list[Verdict], equivalent: int) -> list[str]:
    """The survivors once more, each on one line, and the share caught."""
    survivors = [one.mutant for one in verdicts if not one.by]
    lines = [f"{one.file}:{one.line} {one.old} -> {one.new}" for one in survivors]
    without = share_caught([one for one in verdicts if not one.mutant.is_message])
    planted = f"{len(verdicts)} faults planted, {len(verdicts) - len(survivors)} caught"
    shares = f"{share_caught(verdicts):.1f} %; without those in messages {without:.1f} %"
    return ["", *lines, f"{planted}: {shares} ({equivalent} equivalent)"]
