"""Runs the tests on every supported Python that this machine has.

On one of them (the one that runs this script, if it is supported) everything runs, upstream
beside us and coverage measured; on the others all but the tests that need upstream. Makes the
environments it needs under .venvs/ and keeps them until the packaging changes.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENTS = ROOT / ".venvs"
SUPPORTED = ("3.10", "3.11", "3.12", "3.13")

FULL_EXTRAS = "test,local,oracle"
FAST_EXTRAS = "test,local"

# The parts whose behaviour is the promise, and the coverage that we ask of them, in per cent.
COVERED_PARTS = ("pipeline/*", "text/*", "scoring.py", "filters.py", "store/*")
COVERAGE_FLOOR = 95

# An environment is made again when one of these changes.
PACKAGING = (
    "pyproject.toml",
    "setup.py",
    "build_support/prompts.py",
    "build_support/kernel.py",
    "src/isomem/kernel.py",
    "src/isomem/kernel.pxd",
)
PINNED = ROOT / "src/isomem/prompts/pinned"

PROBE = (
    "import ensurepip, sqlite3, ssl, sys, venv;"
    "print('%d.%d' % sys.version_info[:2], sys.executable, sep='\\n')"
)


class Interpreter(NamedTuple):
    """One Python of this machine that runs and can make environments."""

    version: str
    path: str


class Outcome(NamedTuple):
    """What one run of pytest came to."""

    passed: int
    failed: int
    skipped: int
    note: str = ""


def main() -> int:
    """0 when everything passed on every interpreter, else 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pythons", default="", help='such as "3.11 3.12"; default: all present')
    parser.add_argument("pytest_args", nargs="*", help="given to pytest; turns coverage off")
    options = parser.parse_args()
    wanted = options.pythons.split() or list(SUPPORTED)
    pythons = {version: found for version in wanted if (found := find(version))}
    say(f"Python: {', '.join(pythons) or 'none found'}", missing(wanted, pythons))
    if not pythons:
        return 1
    full = full_version(pythons)
    outcomes = {}
    for version in sorted(pythons, key=lambda version: version != full):
        outcomes[version] = run_one(pythons[version], version == full, options.pytest_args)
    return summarise(outcomes, full)


def find(version: str) -> Interpreter | None:
    """The Python of that version, or None. A name on the path proves nothing: it is run."""
    name = f"python{version}"
    folders = [Path(part) for part in os.environ.get("PATH", "").split(os.pathsep) if part]
    candidates = [Path(sys.executable), *(folder / name for folder in folders)]
    # pyenv's commands on the path refuse to run for versions that are installed but not chosen.
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    candidates += sorted(pyenv.glob(f"{version}.*/bin/{name}"), reverse=True)
    for candidate in candidates:
        found = probe(candidate)
        if found and found.version == version:
            return found
    return None


def probe(path: Path) -> Interpreter | None:
    """What that file is, if it is a Python that can make environments."""
    if not path.is_file():
        return None
    try:
        result = subprocess.run(
            [path, "-I", "-c", PROBE], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = result.stdout.splitlines()
    return Interpreter(*lines) if result.returncode == 0 and len(lines) == 2 else None


def missing(wanted: list[str], pythons: dict[str, Interpreter]) -> str:
    """A word on the versions that cannot be tested here."""
    absent = [version for version in wanted if version not in pythons]
    return f"(not here, or unable to make environments: {', '.join(absent)})" if absent else ""


def full_version(pythons: dict[str, Interpreter]) -> str:
    """The version that runs everything: the one running this script, else the newest."""
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    return own if own in pythons else list(pythons)[-1]


def run_one(python: Interpreter, full: bool, arguments: list[str]) -> Outcome:
    """Makes the environment, runs pytest in it, and counts."""
    say(f"\n=== Python {python.version}: {'all tests' if full else 'all but the oracle'} ===")
    environment = ENVIRONMENTS / f"py{python.version}"
    try:
        install(python, environment, FULL_EXTRAS if full else FAST_EXTRAS)
    except subprocess.CalledProcessError as error:
        return Outcome(0, 1, 0, f"environment: exit status {error.returncode}")
    measure = full and not arguments
    report = ENVIRONMENTS / f"py{python.version}.xml"
    report.unlink(missing_ok=True)
    command = [python_of(environment), "-m", "pytest", f"--junitxml={report}"]
    command += [] if full else ["-q", "-m", "not oracle"]
    command += ["--cov", "--cov-report=term"] if measure else []
    status = subprocess.run([*command, *arguments], cwd=ROOT, check=False).returncode
    outcome = count(report, status)
    return with_floor(outcome, environment) if measure else outcome


def install(python: Interpreter, environment: Path, extras: str) -> None:
    """Makes the environment, unless it is there and was made from the same packaging."""
    stamp = environment / "made-from"
    state = hashlib.sha256(f"{python.path}\n{extras}\n".encode())
    for name in PACKAGING:
        state.update((ROOT / name).read_bytes())
    if PINNED.is_dir() and stamp.is_file() and stamp.read_text() == state.hexdigest():
        return
    started = time.monotonic()
    subprocess.run([python.path, "-m", "venv", "--clear", environment], check=True)
    pip = [python_of(environment), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--editable", f".[{extras}]"], cwd=ROOT, check=True)
    stamp.write_text(state.hexdigest())
    say(f"installed in {time.monotonic() - started:.0f} s")


def count(report: Path, status: int) -> Outcome:
    """The counts of pytest's report. A run that failed without a failing test is one failure."""
    if not report.is_file():
        return Outcome(0, 1, 0, f"pytest: exit status {status}, no report")
    suites = list(ET.parse(report).getroot().iter("testsuite"))

    def total(*names: str) -> int:
        return sum(int(suite.get(name, 0)) for suite in suites for name in names)

    failed, skipped = total("failures", "errors"), total("skipped")
    passed = total("tests") - failed - skipped
    if status and not failed:
        return Outcome(passed, 1, skipped, f"pytest: exit status {status}")
    return Outcome(passed, failed, skipped)


def with_floor(outcome: Outcome, environment: Path) -> Outcome:
    """Adds a failure when a part that must be covered is not."""
    parts = ",".join(f"src/isomem/{part}" for part in COVERED_PARTS)
    say(f"\nCoverage of the parts that need {COVERAGE_FLOOR} %:")
    command = [python_of(environment), "-m", "coverage", "report"]
    command += [f"--include={parts}", f"--fail-under={COVERAGE_FLOOR}"]
    if subprocess.run(command, cwd=ROOT, check=False).returncode == 0:
        return outcome
    return outcome._replace(failed=outcome.failed + 1, note="coverage is below the floor")


def summarise(outcomes: dict[str, Outcome], full: str) -> int:
    """Prints a line for each interpreter, and the totals last; the exit status."""
    say("\n=== Summary ===")
    for version, outcome in outcomes.items():
        kind = "all tests" if version == full else "all but the oracle"
        say(f"Python {version} ({kind}): {counts(outcome)} {outcome.note}".rstrip())
    values = list(outcomes.values())
    total = Outcome(
        sum(outcome.passed for outcome in values),
        sum(outcome.failed for outcome in values),
        sum(outcome.skipped for outcome in values),
    )
    say(f"\n{counts(total)}")
    return 1 if total.failed else 0


def counts(outcome: Outcome) -> str:
    return f"{outcome.passed} passed, {outcome.failed} failed, {outcome.skipped} skipped"


def python_of(environment: Path) -> str:
    return str(environment / "bin" / "python")


def say(*words: str) -> None:
    print(*words, flush=True)


if __name__ == "__main__":
    sys.exit(main())
