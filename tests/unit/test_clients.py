"""The table of clients: what is documented is what `make clients` runs and compares."""

from __future__ import annotations

import json
import sys
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from struct import unpack
from typing import Any
from urllib.request import Request, urlopen

import pytest

from scripts import clients as module
from scripts.clients import (
    END,
    FOUND,
    HERE,
    MARK,
    PAGE,
    START,
    Client,
    clients,
    environment,
    faults,
    main,
    with_table,
)
from scripts.clients import outcome as told_of
from tests.clients.model import ANSWER, FACT, OTHER_FACT, STATEMENT, serving

NAMES = sorted(clients())
SUPPORT = {"drive.py", "model.py"}


def client(search: str = FOUND) -> Client:
    return Client("agno", "1", "with_agno.py", "`add`", search)


def outcome(**changes: Any) -> dict[str, Any]:
    return {"stored": ["a", "b"], "found": ["a"], "errors": [], **changes}


def test_the_documented_table_is_that_of_the_clients() -> None:
    page = PAGE.read_text("utf-8")
    assert with_table(page) == page, "run `python -m scripts.clients --docs`"


@pytest.mark.parametrize("name", NAMES)
def test_pins_hold_the_documented_version_and_the_mem0_compared_with(name: str) -> None:
    row = clients()[name]
    pins = row.pins.read_text("utf-8").lower().splitlines()
    assert f"{row.published}=={row.version}" in pins
    assert "mem0ai==2.0.4" in pins
    assert not [line for line in pins if "==" not in line]


def test_every_program_is_in_the_table() -> None:
    programs = {file.name for file in HERE.glob("*.py")} - SUPPORT
    assert programs == {row.program for row in clients().values()}


def test_a_program_prints_what_the_command_reads() -> None:
    assert f'MARK = "{MARK}"' in (HERE / "drive.py").read_text("utf-8")


def test_equal_outcomes_that_are_as_the_table_says_are_no_fault() -> None:
    assert faults(client(), outcome(), outcome()) == []
    refused = outcome(found=[], errors=["user_id is not supported"])
    assert faults(client("is refused"), refused, refused) == []


@pytest.mark.parametrize(
    ("search", "ours", "theirs"),
    [
        (FOUND, outcome(found=["b", "a"]), outcome(found=["a", "b"])),
        (FOUND, outcome(stored=["a"]), outcome(stored=["a"])),
        (FOUND, outcome(found=[]), outcome(found=[])),
        ("is refused", outcome(), outcome()),
        ("is refused", outcome(found=[], errors=["x"]), outcome(found=[], errors=["y"])),
        (FOUND, {"failed": "ImportError: mem0.x"}, outcome()),
        (FOUND, outcome(), {"failed": "ImportError: mem0.x"}),
    ],
)
def test_what_differs_from_mem0_or_from_the_table_is_a_fault(
    search: str, ours: dict[str, Any], theirs: dict[str, Any]
) -> None:
    assert faults(client(search), ours, theirs)


def test_a_page_without_the_marks_of_the_table_is_not_written_over() -> None:
    for page in ("", f"text\n{START}\nmore", f"text\n{END}\nmore"):
        with pytest.raises(ValueError, match=r"clients\.md lacks"):
            with_table(page)


def test_writing_the_table_changes_nothing_around_it() -> None:
    page = f"before\n{START}\nold\n{END}\nafter | x |\n"
    written = with_table(page)
    assert written.startswith(f"before\n{START}\n| client | version |")
    assert written.endswith(f"|\n{END}\nafter | x |\n")
    assert "old" not in written
    assert with_table(written) == written


# --- A real program in the driver -------------------------------------------------------------

PROGRAM = """
from drive import Outcome, Place, texts_of
from mem0 import Memory
from model import FACT, OTHER_FACT, OTHER_STATEMENT, QUESTION, STATEMENT

def use(place):
    memory = Memory.from_config(place.config)
    for text in (STATEMENT, OTHER_STATEMENT):
        memory.add(text, user_id="ana")
    found = texts_of(memory.search(QUESTION, filters={"user_id": "ana"}))
    assert set(place.texts(memory, "ana")) == {FACT, OTHER_FACT}, "as the model says"
    return Outcome(place.texts(memory, "ana"), found[:1])
"""


def run(folder: Path, program: str) -> dict[str, Any]:
    """What the command makes of a program, on isomem."""
    (folder / "program.py").write_text(program, encoding="utf-8")
    row = Client("made up", "1", str(folder / "program.py"), "`add`", FOUND)
    return told_of(row, Path(sys.executable), "isomem")


def test_a_program_stores_and_finds_by_the_model_on_loopback(tmp_path: Path) -> None:
    told = run(tmp_path, PROGRAM)
    assert told == {"stored": [OTHER_FACT, FACT], "found": [FACT], "errors": []}


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("def use(place): raise KeyError('lost')", "KeyError: 'lost'"),
        (f"{MARK!r}", "KeyError: 'use'"),
        (
            "from drive import Outcome\ndef use(place): return Outcome()",
            "the client did not import mem0",
        ),
    ],
)
def test_a_program_that_does_not_end_well_is_a_failure(
    program: str, why: str, tmp_path: Path
) -> None:
    if "did not import" in why:  # `isomem.compat` itself is what is imported as mem0
        forget = "for n in [*sys.modules]:\n    n[:4] == 'mem0' and sys.modules.pop(n)\n"
        program = f"import sys\n{forget}{program}"
    assert why in run(tmp_path, program)["failed"]


STUB = """
import sys, time
print("noise")
print({line!r})
{then}
"""
GOOD = f'{MARK}{{"stored": ["b", "a"], "found": [], "errors": []}}'


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], dict[str, Any]]:
    """Runs a driver that prints a line and then does something."""
    monkeypatch.setattr(module, "HERE", tmp_path)

    def started(line: str, then: str) -> dict[str, Any]:
        (tmp_path / "drive.py").write_text(STUB.format(line=line, then=then), encoding="utf-8")
        return told_of(client(), Path(sys.executable), "isomem")

    return started


Stub = Callable[[str, str], dict[str, Any]]


def test_the_order_in_which_memories_are_listed_does_not_count(stub: Stub) -> None:
    assert stub(GOOD, "") == {"stored": ["a", "b"], "found": [], "errors": []}


def test_a_program_that_fails_after_it_told_its_outcome_has_failed(stub: Stub) -> None:
    assert stub(GOOD, "sys.exit('too late')") == {"failed": "exit status 1: too late"}


def test_a_program_that_tells_nothing_has_failed(stub: Stub) -> None:
    assert stub("", "") == {"failed": "exit status 0: noise"}


def test_a_program_that_hangs_has_failed(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST_S", 0.3)
    assert "did not end within 0.3 seconds" in stub(GOOD, "time.sleep(60)")["failed"]


def test_variables_of_the_person_who_runs_it_do_not_reach_the_program(
    stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MEM0_API_KEY", "ISOMEM_PATH"):
        monkeypatch.setenv(name, "mine")
    shown = "import os; sys.exit(str(sorted(n for n in os.environ if n[:5] in ('MEM0_', 'ISOME'))))"
    assert stub("", shown) == {"failed": "exit status 1: []"}


# --- The command ------------------------------------------------------------------------------


def test_an_environment_is_made_anew_only_if_its_pins_have_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []

    def made(command: list[str], **_: Any) -> None:
        commands.append(command[1:3])
        (tmp_path / "clients-agno").mkdir(exist_ok=True)

    monkeypatch.setattr(module.subprocess, "run", made)
    row = clients()["agno"]
    for _ in range(2):
        assert environment(row, tmp_path) == tmp_path / "clients-agno/bin/python"
    assert commands == [["-m", "venv"], ["-m", "pip"]]
    (tmp_path / "clients-agno/pins.sha256").write_text("other pins", encoding="utf-8")
    environment(row, tmp_path)
    assert len(commands) == 4


def test_the_status_says_whether_all_that_were_asked_for_did_as_documented(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[str] = []

    def tried(row: Client, venvs: Path) -> bool:
        assert venvs == tmp_path
        asked.append(row.name)
        return row.name != "agno"

    monkeypatch.setattr(module, "tried", tried)
    place = ["--venvs", str(tmp_path)]
    assert main(["memward", "upsonic", *place]) == 0
    assert main(["agno", "upsonic", *place]) == 1
    assert asked == ["memward", "upsonic", "agno", "upsonic"]
    asked.clear()
    assert main(place) == 1
    assert asked == NAMES


def test_an_unknown_client_is_refused_with_the_known_ones(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["agno", "none-such"])
    said = capsys.readouterr().err
    assert "'none-such' is not one of" in said
    assert "agno" in said


# --- The model of the programs ----------------------------------------------------------------


def posted(url: str, body: dict[str, Any]) -> Any:
    request = Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urlopen(request, timeout=10) as answer:
        return json.load(answer)


def test_the_model_answers_as_openai_does() -> None:
    with serving() as url:
        given = {"model": "words", "input": ["tea", "coffee"], "dimensions": 8}
        floats = posted(f"{url}/embeddings", given)["data"]
        coded = posted(f"{url}/embeddings", {**given, "encoding_format": "base64"})["data"]
        single = posted(f"{url}/embeddings", {**given, "input": "tea"})["data"]
        messages = [{"role": "user", "content": STATEMENT}]
        chat = posted(f"{url}/chat/completions", {"model": "small", "messages": messages})
        asked = {"model": "small", "messages": messages, "response_format": {"type": "json_object"}}
        facts = posted(f"{url}/chat/completions", asked)
    assert [each["index"] for each in floats] == [0, 1]
    assert [len(each["embedding"]) for each in floats] == [8, 8]
    assert single == floats[:1]
    for plain, packed in zip(floats, coded, strict=True):
        found = unpack("<8f", b64decode(packed["embedding"]))
        assert list(found) == pytest.approx(plain["embedding"], abs=1e-7)
    assert chat["choices"][0]["message"]["content"] == ANSWER
    told = json.loads(facts["choices"][0]["message"]["content"])
    assert [each["text"] for each in told["memory"]] == [FACT]
