"""An exception from anywhere while a call writes to stores that have no transaction in common.

What is stored then agrees with its history, and an addition is stored as a whole or not at all.
The memories and their entities are in Qdrant, which is given one point at a time; history, messages
and receipts are in a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from isomem import Memory
from isomem.contract.visibility import is_superseded
from isomem.stores import turns
from tests.torture.operations import OPERATIONS, SCOPE, AddInferred, AddRaw, Operation, Search
from tests.torture.test_interrupts import (
    Interrupted,
    Interruption,
    TimedOut,
    count_of,
    points_of_interruption,
)

pytest.importorskip("qdrant_client")
pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.filterwarnings("ignore:coroutine:RuntimeWarning"),
]

WRITING = tuple(each for each in OPERATIONS if each is not Search)
ADDING = (AddRaw, AddInferred)


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    from isomem.stores.qdrant import QdrantStore

    monkeypatch.setattr(QdrantStore, "_written_at_once", lambda *_: 1)
    made = Memory.from_config(
        {
            "vector_store": {"provider": "qdrant", "config": {"path": ":memory:"}},
            "history_db_path": str(tmp_path / "history.db"),
            "embedder": {"provider": "mock", "config": {"embedding_dims": 8}},
            "llm": {"provider": "mock"},
        }
    )
    yield made
    made.close()


class State(NamedTuple):
    """What is stored."""

    texts: dict[str, str]
    superseded: set[str]
    events: dict[str, list[tuple[str, str]]]
    messages: list[Any]
    receipts: int
    removed: set[str]


def state_of(memory: Any) -> State:
    points = memory.vector_store.list(top_k=None)[0]
    with memory.db.database.reading() as database:
        ask: Callable[[str], list[Any]] = database.rows
        events: dict[str, list[tuple[str, str]]] = {}
        for memory_id, *event in ask(
            "SELECT memory_id, event, new_memory FROM history ORDER BY id"
        ):
            events.setdefault(memory_id, []).append((event[0], event[1]))
        has_receipts = ask("SELECT 1 FROM sqlite_schema WHERE name = 'receipts'")
        return State(
            {each.id: each.payload["data"] for each in points},
            {each.id for each in points if is_superseded(each.payload)},
            events,
            ask("SELECT content FROM messages ORDER BY 1"),
            ask("SELECT count(*) FROM receipts")[0][0] if has_receipts else 0,
            {row[0] for row in ask("SELECT memory_id FROM removed")},
        )


def check_agreement(state: State) -> None:
    """Every memory has the history of what it is, and what is gone has that of its removal."""
    assert state.texts.keys() <= state.events.keys(), "a memory without history"
    for memory_id, events in state.events.items():
        last, text = events[-1]
        is_there = memory_id in state.texts
        assert is_there != (last == "DELETE"), f"{memory_id}: {events}"
        assert is_there != (memory_id in state.removed)
        assert (memory_id in state.superseded) == (last == "SUPERSEDE"), f"{memory_id}: {events}"
        if is_there and last != "SUPERSEDE":
            assert state.texts[memory_id] == text


def check(operation: type[Operation], before: State, after: State) -> None:
    check_agreement(after)
    if operation in ADDING:
        new = after.texts.keys() - before.texts.keys()
        assert len(new) in {0, 2}, "a part of an addition"
        is_told = operation is AddInferred and bool(new)
        assert (after.messages != before.messages) == is_told
        assert after.receipts - before.receipts == is_told


def check_that_nobody_waits() -> None:
    """No other thread waits for what was cut off."""
    for each in (turns.WRITING, turns.LINKING):
        assert all(place.is_over() for place in each.places)


def prepared(operation: type[Operation], memory: Any, number: int) -> Operation:
    """An operation on an empty memory."""
    memory.delete_all(**SCOPE)
    memory.db.reset()
    one = operation(memory, number)
    one.prepare()
    return one


# --- Between the calls -----------------------------------------------------------------------


class Calls:
    """Counts the calls of the stores and of the ledger; one of them is cut off.

    Args:
        at: which one; 0 for none.
        late: whether it is cut off after it has done its work.
    """

    def __init__(self, at: int = 0, *, late: bool = False) -> None:
        self.count = 0
        self._at = at
        self._late = late

    def wrapped(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.count += 1
            if self.count != self._at:
                return real(*args, **kwargs)
            if self._late:
                real(*args, **kwargs)
            raise Interrupted

        return call


LEDGER = ("write", "save_messages", "note_removed", "remove_history", "forget_sessions")


@contextmanager
def counted(memory: Any, calls: Calls) -> Iterator[None]:
    connection, ledger = memory.vector_store._connection, memory.db
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "_once", calls.wrapped(connection._once))
        for name in LEDGER:
            patch.setattr(ledger, name, calls.wrapped(getattr(ledger, name)))
        yield


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("operation", WRITING)
def test_a_call_that_is_cut_off_at_any_call_of_a_part_leaves_what_agrees(
    memory: Any, operation: type[Operation], late: bool
) -> None:
    for number in count(1):
        one = prepared(operation, memory, number)
        before = state_of(memory)
        calls = Calls(number, late=late)
        with counted(memory, calls), suppress(Interrupted):
            one.call()
        check_that_nobody_waits()
        check(operation, before, state_of(memory))
        if calls.count < number:
            break
    assert number > 2, "nothing was cut off"


# --- At any bytecode -------------------------------------------------------------------------


@pytest.mark.parametrize("operation", WRITING)
def test_a_call_that_is_cut_off_anywhere_leaves_what_agrees(
    memory: Any, operation: type[Operation]
) -> None:
    for number in points_of_interruption(count_of(operation(memory, 0))):
        kind = Interrupted if number % 2 else TimedOut
        one = prepared(operation, memory, number)
        before = state_of(memory)
        with Interruption(kind, number) as interruption, suppress(kind, Exception):
            one.call()
        try:
            check_that_nobody_waits()
            check(operation, before, state_of(memory))
        except AssertionError as error:
            raise AssertionError(f"cut off at {interruption.where} ({number})") from error
