"""The harness itself: green for equal sides, red for a side that is a little off."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from isomem.types import PROFILES
from isomem_parity import fuzz, main, mutate, run, run_files
from isomem_parity.lockstep import run_script
from isomem_parity.page import write
from isomem_parity.rows import page, rows_of
from isomem_parity.run import run_scripts
from isomem_parity.script import SCENARIOS, Script, ScriptError, dump, load, read_script, resolve
from isomem_parity.side import Side
from isomem_parity.trace import State
from isomem_parity.upstream import ParityError, Upstream

ROOT = Path(__file__).resolve().parents[2]

oracle = [
    pytest.mark.oracle,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.usefixtures("oracle"),
]


def with_oracle(test: Any) -> Any:
    for mark in oracle:
        test = mark(test)
    return test


SAMPLE = load(
    [
        SCENARIOS / "storage" / "inferred_round_trip.json",
        SCENARIOS / "messages" / "last_ten.json",
        SCENARIOS / "errors" / "embedder_fails.json",
        SCENARIOS / "search" / "ties.json",
    ]
)


class Perturbed(Upstream):
    """Upstream with one thing changed."""

    change = ""

    def build(self) -> Any:
        memory = super().build()
        store = memory.vector_store
        if self.change == "drops a payload key":
            insert = store.insert
            store.insert = lambda vectors, payloads, ids: insert(
                vectors, [_without(payload, "hash") for payload in payloads], ids
            )
        if self.change == "reverses results":
            search = store.search
            store.search = lambda **given: search(**given)[::-1]
        if self.change == "forgets messages":
            memory.db.save_messages = lambda *given: None
        if self.change == "writes no history":
            memory.db.batch_add_history = lambda *given: None
        if self.change == "changes an error":
            memory.update = _raise
        return memory

    def state(self) -> State:
        return super().state()


def _without(payload: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in payload.items() if name != key}


def _raise(*args: Any, **kwargs: Any) -> None:
    raise TypeError("planted fault")


@with_oracle
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_upstream_is_the_same_as_itself(kind: str) -> None:
    for script in SAMPLE:
        outcome = run_script(script, kind, "A", make_ours=Upstream)
        assert outcome.differences == []
        assert outcome.uses == []
        assert outcome.steps == len(script.steps)


@with_oracle
@pytest.mark.parametrize(
    "planted",
    [
        "drops a payload key",
        "reverses results",
        "forgets messages",
        "writes no history",
        "changes an error",
    ],
)
def test_a_side_that_is_a_little_off_is_caught(planted: str) -> None:
    class Off(Perturbed):
        change = planted

    found = [run_script(script, "sync", "A", make_ours=Off) for script in SAMPLE]
    assert any(outcome.differences for outcome in found)


@with_oracle
def test_upstream_reports_nothing_and_starts_no_thread() -> None:
    import mem0.memory.telemetry as telemetry

    before = set(threading.enumerate())
    run_script(SAMPLE[0], "sync", "A", make_ours=Upstream)
    assert telemetry.MEM0_TELEMETRY is False
    assert telemetry.client_telemetry.posthog is None
    assert set(threading.enumerate()) <= before


@with_oracle
def test_nothing_may_connect_while_it_runs() -> None:
    import socket

    with socket.socket() as outside, pytest.raises(ParityError, match="tried to connect"):
        outside.connect(("127.0.0.1", 9))


@with_oracle
def test_the_other_steps_are_compared_exactly_after_a_divergence(tmp_path: Path) -> None:
    outcome = run_script(load([SCENARIOS / "update/keeps_custom_metadata.json"])[0], "sync", "A")
    assert {use.row for use in outcome.uses} == {"D-01"}
    assert {use.op for use in outcome.uses} == {"update"}


@with_oracle
def test_a_users_own_file_is_compared_and_reported(tmp_path: Path) -> None:
    mine = tmp_path / "mine.json"
    mine.write_text(dump(SAMPLE[3]), encoding="utf-8")
    report = run_files([mine], classes=("sync",), report_dir=tmp_path / "report")
    assert report.ok, report.as_text()
    assert report.steps == len(SAMPLE[3].steps)
    told = json.loads((tmp_path / "report" / "parity.json").read_text(encoding="utf-8"))
    assert told["ok"] is True
    assert "same memory" in (tmp_path / "report" / "parity.txt").read_text(encoding="utf-8")


class _Tags(HTMLParser):
    """Checks that what is opened is closed, and that nothing is loaded from elsewhere."""

    VOID = ("meta", "br", "!doctype")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        self.loads += [str(v) for k, v in attrs if k in ("src", "href") and str(v)[0] != "#"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@with_oracle
def test_the_page_is_whole_and_needs_nothing_else(tmp_path: Path) -> None:
    class Off(Perturbed):
        change = "drops a payload key"

    report = run_scripts(SAMPLE, classes=("sync",), make_ours=Off)
    write(report, tmp_path)
    tags = _Tags()
    tags.feed((tmp_path / "parity.html").read_text(encoding="utf-8"))
    assert tags.open == []
    assert tags.loads == []
    assert not report.ok


@with_oracle
def test_the_example_of_the_guide_is_the_same_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    guide = (ROOT / "docs" / "parity.md").read_text(encoding="utf-8")
    blocks = dict(re.findall(r"```(json|python)\n(.*?)```", guide, re.DOTALL))
    monkeypatch.chdir(tmp_path)
    Path("my_day.json").write_text(blocks["json"], encoding="utf-8")
    exec(compile(blocks["python"], "docs/parity.md", "exec"), {})
    assert "\nsame memory\n" in capsys.readouterr().out


def test_every_command_of_the_manual_is_understood(capsys: pytest.CaptureFixture[str]) -> None:
    manual = (ROOT / "parity" / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"`python -m isomem_parity(?:\.(\w+))?([^`]*)`", manual)
    assert {module for module, _ in commands} == {"", "fuzz", "mutate"}
    parsers = {"": run.parser, "fuzz": fuzz.parser, "mutate": mutate.parser}
    for module, words in commands:
        parsers[module]().parse_args(words.replace("FILE...", "FILE").split())


@with_oracle
def test_without_a_file_the_scenarios_that_come_with_it_are_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--match", "dedup/only", "--class", "sync"]) == 0
    assert re.search(r"^dedup +1 ", capsys.readouterr().out, re.MULTILINE)


@with_oracle
def test_the_command_says_by_its_exit_code_how_it_went(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine.json"
    mine.write_text(dump(SAMPLE[3]), encoding="utf-8")
    assert main([str(mine), "--class", "sync"]) == 0
    assert "same memory" in capsys.readouterr().out
    mine.write_text('{"steps": [{"dance": {}}]}', encoding="utf-8")
    assert main([str(mine)]) == 2
    assert "exactly one operation" in capsys.readouterr().err
    assert main([str(tmp_path / "nothing.json")]) == 2


def test_importing_isomem_imports_neither_the_harness_nor_upstream() -> None:
    code = "import isomem, sys; print([n for n in sys.modules if 'parity' in n or 'mem0' in n])"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_page_of_divergences_is_current() -> None:
    written = (ROOT / "docs" / "divergences.md").read_text(encoding="utf-8")
    assert written == page(), "run: python -m isomem_parity --write-divergences docs/divergences.md"


def test_every_divergence_names_scenarios_that_exist() -> None:
    for profile in PROFILES:
        known = {f"{one.area}/{one.title}" for one in load([SCENARIOS]) if profile in one.profiles}
        for row in rows_of(profile).values():
            assert known.issuperset(row.scenarios), f"{row.id} of {profile}"
            assert bool(row.scenarios) != bool(row.tests), f"{row.id} of {profile}"


def test_every_test_that_a_divergence_names_exists() -> None:
    for row in rows_of("2.0.4").values():
        for name in row.tests:
            path, _, function = name.partition("::")
            assert f"def {function}(" in (ROOT / path).read_text(encoding="utf-8"), name


def test_every_scenario_says_what_it_pins() -> None:
    assert [script.title for script in load([SCENARIOS]) if not script.about] == []


@pytest.mark.parametrize(
    "steps",
    [
        [{"dance": {}}],
        [{"add": {}, "get": {}}],
        [{"add": {}, "reply": []}],
        [{}],
    ],
)
def test_a_step_the_language_does_not_know_is_refused(steps: list[dict[str, Any]]) -> None:
    with pytest.raises(ScriptError):
        read_script({"steps": steps}, "area", "title")


def test_a_script_reads_back_as_it_was_written() -> None:
    for script in load([SCENARIOS]):
        again = read_script(json.loads(dump(script)), script.area, script.title)
        assert again == script


def test_arguments_may_refer_to_ids_and_hold_what_json_cannot() -> None:
    made = resolve(
        {"a": "$dog", "b": "$$dog", "c": {"$repeat": ["x", 3]}, "d": [{"$float": "inf"}], "$or": 1},
        lambda name: f"id of {name}",
    )
    assert made == {"a": "id of dog", "b": "$dog", "c": "xxx", "d": [float("inf")], "$or": 1}


def test_sides_know_their_labels() -> None:
    assert issubclass(Upstream, Side)
    assert isinstance(SAMPLE[0], Script)
