"""`make test` counts what pytest counts, and keeps the output of runs that go on beside another."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from scripts import test_everywhere as everywhere
from scripts.test_everywhere import FAST, FULL, Interpreter, Outcome, Run

HERE = Interpreter("{}.{}".format(*sys.version_info), sys.executable)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of environments; that of this Python is the one that runs this test."""
    monkeypatch.setattr(everywhere, "ENVIRONMENTS", tmp_path)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # They take longer than the tests.
    (tmp_path / f"py{HERE.version}").symlink_to(sys.prefix)
    return tmp_path


def run(folder: Path, source: str, **options: bool) -> Run:
    tests = folder / "test_invented.py"
    tests.write_text(source)
    return Run(HERE, FAST, ("-q", "-p", "no:cacheprovider", str(tests)), **options)


MIXED = """
import pytest
def test_passes(): pass
def test_fails(): assert "this" == "that"
@pytest.mark.skip
def test_skips(): pass
@pytest.fixture
def broken(): raise OSError
def test_errs(broken): pass
"""


def test_a_run_counts_failures_and_errors_alike_and_keeps_its_output(folder: Path) -> None:
    each = run(folder, MIXED)
    assert each.pytest(kept=True) == Outcome(passed=1, failed=2, skipped=1)
    assert "assert 'this' == 'that'" in each.printed()


@pytest.mark.parametrize("source", ["import nothing_of_that_name", "import os; os._exit(3)"])
def test_a_run_that_breaks_is_a_failure(folder: Path, source: str) -> None:
    assert run(folder, source).pytest(kept=True).failed == 1


def test_a_report_of_an_earlier_run_is_not_counted(folder: Path) -> None:
    assert run(folder, "def test(): pass").pytest(kept=True) == Outcome(1, 0, 0)
    assert run(folder, "import os; os._exit(0)").pytest(kept=True).failed == 1


def test_temporary_files_go_into_memory_only_where_nobody_said_otherwise(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = folder / "memory"
    memory.mkdir()
    monkeypatch.setattr(everywhere, "MEMORY", memory)
    monkeypatch.setattr(everywhere, "MEMORY_NEEDED_BYTES", 1)
    monkeypatch.delenv("TMPDIR", raising=False)
    source = f"import os\ndef test(): assert os.environ['TMPDIR'].startswith({str(memory)!r})"
    assert run(folder, source, in_memory=True).pytest(kept=True).passed == 1
    assert run(folder, source).pytest(kept=True).failed == 1
    assert not list(memory.iterdir())
    (folder / "elsewhere").mkdir()
    monkeypatch.setenv("TMPDIR", str(folder / "elsewhere"))
    assert run(folder, source, in_memory=True).pytest(kept=True).failed == 1
    monkeypatch.delenv("TMPDIR")
    monkeypatch.setattr(everywhere, "MEMORY_NEEDED_BYTES", 1 << 60)
    assert run(folder, source, in_memory=True).pytest(kept=True).failed == 1


def test_an_environment_with_more_extras_than_needed_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So `make test-fast` and `make test` do not undo each other's."""
    monkeypatch.setattr(everywhere, "PINNED", tmp_path)
    unusable = Interpreter(HERE.version, str(tmp_path / "no-python"))
    stamp = tmp_path / "made-from"
    stamp.write_text(everywhere.packaging_state(unusable, FULL))
    everywhere.make(unusable, tmp_path, FAST)
    stamp.write_text(everywhere.packaging_state(unusable, FAST))
    with pytest.raises(FileNotFoundError):
        everywhere.make(unusable, tmp_path, FULL)


def test_the_closing_line_holds_the_totals_alone(capsys: pytest.CaptureFixture[str]) -> None:
    outcomes = {"3.11": Outcome(5, 0, 1), "3.12": Outcome(2, 1, 3, "coverage is below the floor")}
    assert everywhere.summarise(outcomes, "3.11") == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "7 passed, 1 failed, 4 skipped"
    assert "Python 3.12 (the library's tests): 2 passed, 1 failed, 3 skipped cov" in lines[-3]


def test_the_other_pythons_run_beside_the_first_and_print_after_it(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each run waits until both have left a file: one after the other they would fail."""
    (folder / "py9.9").symlink_to(sys.prefix)
    monkeypatch.setattr(everywhere, "make", lambda *_: None)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    tests = folder / "test_invented.py"
    tests.write_text(f"""
import os, pathlib, time
here = pathlib.Path({str(folder)!r})
def test_meets_the_other():
    mine = here / str(os.getpid())
    mine.touch()
    for _ in range(600):
        if len(list(here.glob("[0-9]*"))) == 2:
            return
        time.sleep(0.1)
    raise AssertionError("alone")
""")
    pythons = {HERE.version: HERE, "9.9": Interpreter("9.9", sys.executable)}
    outcomes = everywhere.run_all(pythons, HERE.version, [str(tests)])
    assert outcomes == {HERE.version: Outcome(1, 0, 0), "9.9": Outcome(1, 0, 0)}
    printed = capfd.readouterr().out
    headings = [line for line in printed.splitlines() if line.startswith("=== Python")]
    assert headings == [
        f"=== Python {HERE.version}: all tests ===",
        "=== Python 9.9: the library's tests ===",
    ]
    assert printed.index("1 passed") < printed.index(headings[1]) < printed.rindex("1 passed")


def test_a_python_without_its_environment_is_a_failure_and_the_others_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(python: Interpreter, *_: object) -> None:
        if python.version == "9.9":
            raise subprocess.CalledProcessError(1, "pip")

    monkeypatch.setattr(everywhere, "make", fail)
    tests = folder / "test_invented.py"
    tests.write_text("def test_passes(): pass")
    pythons = {HERE.version: HERE, "9.9": Interpreter("9.9", sys.executable)}
    outcomes = everywhere.run_all(pythons, HERE.version, [str(tests)])
    assert outcomes[HERE.version] == Outcome(1, 0, 0)
    assert outcomes["9.9"].failed == 1


def test_environments_are_made_side_by_side_but_the_project_is_built_in_one_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts share an environment, which is made once."""
    both = threading.Barrier(2, timeout=60)
    building = threading.Lock()
    steps: list[tuple[str, str]] = []

    def pip_install(environment: Path, *what: str) -> None:
        if what[0] == "--no-build-isolation":
            assert building.acquire(blocking=False)
            time.sleep(0.05)
            building.release()
        else:
            both.wait()
        steps.append((environment.name, what[0]))

    monkeypatch.setattr(everywhere, "ENVIRONMENTS", tmp_path)
    monkeypatch.setattr(everywhere, "pip_install", pip_install)
    monkeypatch.setattr(everywhere, "is_made", lambda *_: False)
    monkeypatch.setattr("subprocess.run", lambda command, **_: command[-1].mkdir(exist_ok=True))
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    runs = everywhere.full_runs(HERE, []) | {"9.9": Run(Interpreter("9.9", "python"), FAST, ())}
    assert everywhere.installed(runs) == {}
    for run, needs in ((runs[f"{HERE.version}, part 1"], FULL), (runs["9.9"], FAST)):
        name = run.environment.name
        expected = [everywhere.BUILDERS[0], "--no-build-isolation", needs[0]]
        assert [what for where, what in steps if where == name] == expected
        stamp = everywhere.stamp_of(run.environment).read_text()
        assert stamp == everywhere.packaging_state(run.python, needs)


def test_a_suite_runs_its_shares_and_adds_them_up(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(everywhere, "make", lambda *_: None)
    source = "import os\ndef test(): assert os.environ['OF_THE_SUITE'] == 'yes'\n"
    (folder / "test_one.py").write_text(source)
    (folder / "test_other.py").write_text(f"{source}def test_fails(): assert False\n")
    shares = ((str(folder / "test_one.py"),), (str(folder / "test_other.py"),))
    suite = everywhere.Suite(("-q", "-p", "no:cacheprovider"), {"OF_THE_SUITE": "yes"}, shares)
    monkeypatch.setitem(everywhere.SUITES, "invented", suite)
    assert everywhere.run_suite("invented", HERE, []) == 1
    assert capfd.readouterr().out.splitlines()[-1] == "2 passed, 1 failed, 0 skipped"
    assert everywhere.run_suite("invented", HERE, ["-k", "test", *shares[0]]) == 0
    assert capfd.readouterr().out.splitlines()[-1] == "1 passed, 0 failed, 0 skipped"


def test_every_test_is_in_one_part_and_each_part_has_files_of_its_own() -> None:
    measured, programs, (rest, *left_out), slow, compared = everywhere.PARTS
    assert rest == "tests"
    reaching = everywhere.REACHING
    own = (*reaching, *(f"--ignore={name}" for name in compared), "-m")
    assert [measured, slow] == [(*own, "not slow"), (*own, "slow")]
    assert left_out == [f"--ignore={name}" for name in (*programs, *reaching, *compared)]
    assert all((everywhere.ROOT / name).exists() for name in (*programs, *reaching, *compared))
    runs = list(everywhere.full_runs(HERE, []).values())
    assert len({run.report for run in runs}) == len(everywhere.PARTS)
    assert [[*run.variables] for run in runs] == [["COVERAGE_FILE"], [], [], [], []]
    assert {run.environment for run in runs} == {everywhere.ENVIRONMENTS / f"py{HERE.version}"}
    assert [run.arguments for run in everywhere.full_runs(HERE, ["-k", "one"]).values()] == [
        ("-k", "one")
    ]


def test_byte_code_is_written_so_that_not_every_process_compiles_what_it_imports(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    variable, seen = "PYTHONDONTWRITEBYTECODE", []

    def run_all(pythons: dict[str, Interpreter], full: str, *_: object) -> dict[str, Outcome]:
        seen.append(os.environ.get(variable))
        return {full: Outcome(1, 0, 0)}

    monkeypatch.setenv(variable, "1")
    monkeypatch.setattr("sys.argv", ["test_everywhere.py", "--pythons", HERE.version])
    monkeypatch.setattr(everywhere, "find", lambda _: HERE)
    monkeypatch.setattr(everywhere, "run_all", run_all)
    assert everywhere.main() == 0
    assert seen == [None]


@pytest.fixture
def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """What would have been run."""
    runs: list[Run] = []

    def together(titled: dict[str, Run]) -> list[Outcome]:
        runs[:] = titled.values()
        return [Outcome(1, 0, 0) for _ in titled]

    monkeypatch.setattr(everywhere, "ENVIRONMENTS", tmp_path)
    monkeypatch.setattr(everywhere, "make", lambda *_: None)
    monkeypatch.setattr(everywhere, "need_browser", lambda: None)
    monkeypatch.setattr(everywhere, "with_floor", lambda outcome, _: outcome)
    monkeypatch.setattr(everywhere, "together", together)
    return runs


def all_of(versions: list[str], *arguments: str) -> None:
    pythons = {version: Interpreter(version, sys.executable) for version in versions}
    everywhere.run_all(pythons, "3.11", [*arguments])


def test_the_other_pythons_begin_with_those_that_run_most(begun: list[Run]) -> None:
    """The oldest and the newest run what is slow, too."""
    for versions, expected in (
        (["3.9", "3.10", "3.11", "3.12", "3.13"], ["3.11", "3.9", "3.13", "3.10", "3.12"]),
        (["3.10", "3.11", "3.12"], ["3.11", "3.10", "3.12"]),
        (["3.10", "3.11"], ["3.11", "3.10"]),
        (["3.11"], ["3.11"]),
    ):
        all_of(versions, "-k", "one")
        assert [run.python.version for run in begun] == expected
        quick = [run.python.version for run in begun if everywhere.NOT_SLOW in run.arguments]
        assert quick == expected[3:]
        assert all(run.arguments[-2:] == ("-k", "one") for run in begun)


def test_those_between_run_what_a_memory_does(begun: list[Run]) -> None:
    all_of(["3.10", "3.11", "3.12", "3.13"])
    others = [run for run in begun if run.python.version != "3.11" and run.in_memory]
    folders = [[each for each in run.arguments if each.startswith("tests/")] for run in others]
    assert folders == [[], [], [*everywhere.OF_MEMORY]]
    assert all((everywhere.ROOT / name).exists() for name in everywhere.OF_MEMORY)


def test_the_tests_of_the_store_write_to_the_disk_as_well(begun: list[Run]) -> None:
    """Where one Python runs everything, that does."""
    for versions in (["3.10", "3.11", "3.12"], ["3.10", "3.11"]):
        all_of(versions)
        [on_disk] = [run for run in begun if not run.in_memory]
        assert on_disk.python.version == {3: "3.12", 2: "3.10"}[len(versions)]
        assert {*everywhere.ON_DISK} <= {*on_disk.arguments}
        assert len({run.report for run in begun}) == len(begun)
    assert all((everywhere.ROOT / name).exists() for name in everywhere.ON_DISK)
    all_of(["3.11"])
    assert [run.in_memory for run in begun if run.environment.name == "py3.11"] == [False] * len(
        everywhere.PARTS
    )
