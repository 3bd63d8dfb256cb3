"""The table of clients: what is documented is what `make clients` runs and compares."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.clients import FOUND, HERE, MARK, PAGE, Client, clients, faults, with_table

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
    assert f"{name}=={row.version}" in pins
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
