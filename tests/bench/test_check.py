"""The check of instruction counts: what it reads, how it compares, what does not pass."""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.check import __main__ as command
from bench.check import counting, record, trees
from bench.check.counting import OPERATIONS, CheckError
from bench.check.record import Build

BUILD = Build("CPython 3.11, x86_64, compiled kernel", {"SQLite": "3.50"})
COUNTS = {"add_memory": 300_000.0, "search": 3_000_000.0}

needs_valgrind = pytest.mark.skipif(not shutil.which("valgrind"), reason="valgrind is missing")
needs_git = pytest.mark.skipif(not (trees.ROOT / ".git").exists(), reason="not a repository")

Run = Callable[..., int]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """The command over a record in a temporary folder, with counts that are given to it."""

    def start(*words: str, now: Mapping[str, float] = COUNTS) -> int:
        monkeypatch.setattr(command, "count", lambda source, operations, jobs: dict(now))
        monkeypatch.setattr(record, "build_of", lambda source: BUILD)
        return command.main([*words, "--records", str(tmp_path / "record.json")])

    return start


# --- Reading what valgrind tells ------------------------------------------------------------


@pytest.mark.parametrize(
    "report",
    [
        "==7== \n==7== I   refs:      743,020,951\n",
        "noise\n==7== I refs:        743,020,951\n==7== ",
    ],
)
def test_the_count_is_read_from_every_version_of_the_report(report: str) -> None:
    assert counting.total(report) == 743_020_951


def test_a_report_without_a_count_is_an_error() -> None:
    with pytest.raises(CheckError, match="no count of instructions: ==7== killed"):
        counting.total("==7== killed")


def test_startup_and_setup_cancel_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(counting, "find_valgrind", lambda: "valgrind")
    counter = counting.Counter(tmp_path, 2)

    def told(prefix: list[str], folder: Path, operation: str, calls: int) -> str:
        (folder / "memory.db").touch()
        return f"I refs: {50_000_000 + 700 * calls:,}"

    monkeypatch.setattr(counter, "_run", told)
    found = counter.count([OPERATIONS["search"], OPERATIONS["add_inferred"]])
    assert found == {"search": 700, "add_inferred": 70}


# --- Comparing ------------------------------------------------------------------------------


@given(
    st.dictionaries(st.sampled_from(list(OPERATIONS)), st.floats(1, 1e9), min_size=1),
    st.floats(0.5, 2),
    st.floats(0.01, 0.3),
)
def test_every_operation_is_slower_or_faster_or_within_the_tolerance(
    before: dict[str, float], factor: float, tolerance: float
) -> None:
    found = record.compare(before, {k: v * factor for k, v in before.items()}, tolerance)
    for one in found.differences:
        assert one.ratio is not None
        assert (one in found.slower) == (one.ratio > 1 + tolerance)
        assert (one in found.faster) == (one.ratio < 1 - tolerance)
    assert not found.unknown


def test_more_instructions_than_recorded_fail(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--record") == 0
    assert run(now={**COUNTS, "search": 3_080_000.0}) == 0
    assert run(now={**COUNTS, "search": 3_100_000.0}) == 1
    assert "SLOWER by more than 3.0%: search." in capsys.readouterr().out
    assert run("--tolerance", "0.05", now={**COUNTS, "search": 3_100_000.0}) == 0


def test_fewer_instructions_ask_for_a_new_record(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run("--record")
    assert run(now={**COUNTS, "add_memory": 200_000.0}) == 0
    told = capsys.readouterr().out
    assert "Faster: add_memory." in told
    assert "make bench-check ARGS=--record" in told
    row = next(line for line in told.splitlines() if line.endswith("faster"))
    assert row.split()[-4:] == ["300,000", "200,000", "0.667", "faster"]


def test_one_slower_operation_fails_however_fast_the_others_are(run: Run) -> None:
    run("--record")
    assert run(now={"add_memory": 1.0, "search": 4_000_000.0}) == 1


def test_parts_that_changed_since_the_record_are_named(
    run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    older = BUILD._replace(made_with={"SQLite": "3.46"})
    record.write(tmp_path / "record.json", older, COUNTS)
    assert run() == 0
    assert "Not as when it was recorded: SQLite 3.46, now 3.50." in capsys.readouterr().out


# --- What must not pass ---------------------------------------------------------------------


def test_a_build_without_a_record_does_not_pass(
    run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    record.write(tmp_path / "record.json", BUILD._replace(key="CPython 3.9, mips"), COUNTS)
    assert run() == 2
    told = capsys.readouterr().err
    assert f"nothing is recorded for {BUILD.key} (recorded: CPython 3.9, mips)" in told
    assert "--record" in told


def test_an_operation_without_a_record_does_not_pass(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run("--record")
    assert run(now={**COUNTS, "delete": 5.0}) == 2
    assert "Nothing to compare with: delete." in capsys.readouterr().out


def test_without_valgrind_it_says_how_to_get_it_and_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(record, "build_of", lambda source: BUILD)
    monkeypatch.setenv("PATH", str(tmp_path))
    path = tmp_path / "record.json"
    record.write(path, BUILD, dict.fromkeys(OPERATIONS, 1.0))
    for words in ([], ["--record"]):
        assert command.main([*words, "--records", str(path)]) == 2
        assert "apt-get install valgrind" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    ["", "{", "[1]", '{"key": 1}', '{"key": {"made_with": {}, "instructions": {"search": 0}}}'],
)
def test_a_broken_record_is_told_of_and_left_alone(
    run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str
) -> None:
    path = tmp_path / "record.json"
    path.write_text(text, encoding="utf-8")
    for words in ((), ("--record",)):
        assert run(*words) == 2
        assert "is not a record of instructions" in capsys.readouterr().err
    assert path.read_text(encoding="utf-8") == text


def test_an_operation_that_fails_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = tmp_path / "counted.py"
    script.write_text("raise SystemExit('boom')", encoding="utf-8")
    monkeypatch.setattr(counting, "WORKER", script)
    monkeypatch.setattr(counting, "find_valgrind", lambda: "valgrind")
    with pytest.raises(CheckError, match="fill: exit status 1: boom"):
        counting.Counter(tmp_path, 1).count([OPERATIONS["search"]])


# --- The record -----------------------------------------------------------------------------


@given(
    st.dictionaries(st.sampled_from(["a", "b"]), st.integers(1, 10**12), min_size=1),
    st.dictionaries(st.sampled_from(["b", "c"]), st.integers(1, 10**12), min_size=1),
)
def test_recording_keeps_what_was_not_counted(
    tmp_path_factory: pytest.TempPathFactory, first: dict[str, int], second: dict[str, int]
) -> None:
    path = tmp_path_factory.mktemp("record") / "record.json"
    other = BUILD._replace(key="another")
    record.write(path, BUILD, first)
    record.write(path, other, first)
    record.write(path, BUILD, second)
    found = record.read(path)
    assert found[BUILD.key].counts == {**first, **second}
    assert found[other.key].counts == first
    assert found[BUILD.key].made_with == BUILD.made_with


def test_the_record_of_this_repository_has_every_operation() -> None:
    entries = record.read(record.RECORD)
    assert entries
    for entry in entries.values():
        assert entry.counts.keys() == OPERATIONS.keys()


# --- Other revisions ------------------------------------------------------------------------


def test_a_revision_is_compared_without_any_record(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "count_revision", lambda *_: {**COUNTS, "search": 2_000_000.0})
    assert run("--against", "HEAD~1") == 1
    assert "SLOWER by more than 3.0%: search." in capsys.readouterr().out


def test_forms_of_the_kernel_are_not_compared(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = BUILD._replace(key="CPython 3.11, x86_64, interpreted kernel")
    monkeypatch.setattr(trees, "tree_of", lambda *_, **__: trees.tempfile.TemporaryDirectory())
    monkeypatch.setattr(record, "build_of", lambda source: other)
    with pytest.raises(CheckError, match="interpreted kernel, and cannot be compared"):
        command.count_revision("main", BUILD, [], 1)


@needs_git
def test_a_revision_that_does_not_exist_is_an_error() -> None:
    with (
        pytest.raises(CheckError, match="worktree add"),
        trees.tree_of("no-such-revision", is_compiled=False),
    ):
        pass


@needs_git
@pytest.mark.slow
def test_the_tree_of_a_revision_runs_and_is_removed() -> None:
    with trees.tree_of("HEAD", is_compiled=False) as source:
        assert record.build_of(source).key.endswith("interpreted kernel")
    assert not source.exists()
    told = subprocess.run(
        ["git", "worktree", "list"], cwd=trees.ROOT, capture_output=True, text=True, check=True
    )
    assert str(source.parent) not in told.stdout


def test_a_tree_that_is_not_the_one_imported_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CheckError, match=r"was imported, and not what is in|does not run"):
        record.build_of(tmp_path)


# --- What is counted ------------------------------------------------------------------------


def test_the_worker_has_every_operation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(counting.WORKER.parent)
    counted = importlib.import_module("counted")
    assert counted.OPERATIONS.keys() == OPERATIONS.keys()


def work(folder: Path, operation: str, calls: int = 2) -> None:
    words = [f"operation={operation}", f"calls={calls}", f"folder={folder}"]
    environment = counting.fixed_environment(folder, trees.ROOT / "src")
    subprocess.run([sys.executable, counting.WORKER, *words], env=environment, check=True)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("filled")
    work(folder, "fill")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_runs(filled: Path, tmp_path: Path, operation: str) -> None:
    shutil.copytree(filled, tmp_path, dirs_exist_ok=True)
    work(tmp_path, operation, OPERATIONS[operation].calls)


@pytest.mark.slow
def test_the_file_is_the_same_every_time(filled: Path, tmp_path: Path) -> None:
    work(tmp_path, "fill")
    ids = (filled / "ids").read_text("ascii")
    assert (tmp_path / "ids").read_text("ascii") == ids
    assert len(set(ids.split())) == 2_000


@needs_valgrind
@pytest.mark.slow
def test_a_count_repeats_and_a_lower_record_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "record.json"
    words = ["--only", "import", "--records", str(path), "--tolerance", "0.01"]
    assert command.main([*words, "--record"]) == 0
    assert command.main(words) == 0
    content = json.loads(path.read_text("utf-8"))
    [entry] = content.values()
    entry["instructions"]["import"] -= round(entry["instructions"]["import"] * 0.05)
    path.write_text(json.dumps(content), encoding="utf-8")
    assert command.main(words) == 1
    assert "SLOWER" in capsys.readouterr().out
