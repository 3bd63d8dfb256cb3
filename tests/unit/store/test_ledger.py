"""History and messages keep the rows that upstream's own ledger keeps."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomem.clock import Clock
from isomem.errors import DatabaseError, ValidationError
from isomem.store.database import Database
from isomem.store.ledger import Ledger
from isomem.store.schema import prepare_ledger
from tests.unit.store.fuzz import examples


class Ticks(Clock):
    """Time that passes by the call; ids that count."""

    def __init__(self) -> None:
        self.numbers = count(1)
        self.time = 0

    def now(self) -> str:
        return f"2024-01-01T00:00:{self.time:02}+00:00"

    def new_row_id(self) -> str:
        return f"row-{next(self.numbers):04}"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    made = Ledger(Database(str(path), prepare_ledger), Ticks())
    yield made
    made.close()


def test_history_is_oldest_first_and_has_every_column(ledger: Ledger) -> None:
    ledger.add_history(
        "m", "old", "new", "UPDATE", created_at="2024-01-01", updated_at="2024-02-01",
        actor_id="ana", role="user",
    )  # fmt: skip
    ledger.add_history("m", "new", None, "DELETE", created_at="2024-01-01", is_deleted=1)
    ledger.add_history("other", None, "x", "ADD")
    ledger.batch_add_history([{"memory_id": "m", "event": "ADD", "created_at": "2023-01-01"}])
    events = ledger.get_history("m")
    assert [event["event"] for event in events] == ["ADD", "DELETE", "UPDATE"]
    assert events[2] == {
        "id": "row-0001", "memory_id": "m", "old_memory": "old", "new_memory": "new",
        "event": "UPDATE", "created_at": "2024-01-01", "updated_at": "2024-02-01",
        "is_deleted": False, "actor_id": "ana", "role": "user",
    }  # fmt: skip
    assert events[1]["is_deleted"] is True
    assert ledger.get_history("unknown") == []


def test_ten_messages_of_a_session_stay(ledger: Ledger) -> None:
    for number in range(13):
        ledger._clock.time = number  # type: ignore[attr-defined]
        ledger.save_messages([{"role": "user", "content": f"{number}"}], "user_id=u")
    ledger.save_messages([{"role": "user", "content": "other"}], "user_id=u1")
    kept = ledger.get_last_messages("user_id=u")
    assert [message["content"] for message in kept] == [str(number) for number in range(3, 13)]
    assert [message["content"] for message in ledger.get_last_messages("user_id=u", limit=2)] == [
        "11", "12",
    ]  # fmt: skip
    assert len(ledger.get_last_messages("user_id=u1")) == 1
    assert ledger.get_last_messages("user_id=") == []
    ledger.save_messages([], "user_id=u")
    assert ledger.get_last_messages("user_id=u") == kept


def test_a_message_has_role_content_name_and_time(ledger: Ledger) -> None:
    ledger.save_messages([{"role": "user", "content": "hi", "name": "Ana", "x": 1}, {}], "s")
    assert ledger.get_last_messages("s") == [
        {"role": "user", "content": "hi", "name": "Ana", "created_at": ledger._clock.now()},
        {"role": None, "content": None, "name": None, "created_at": ledger._clock.now()},
    ]


def test_reset_empties_both_tables(ledger: Ledger) -> None:
    ledger.add_history("m", None, "x", "ADD")
    ledger.save_messages([{"role": "user", "content": "hi"}], "s")
    ledger.reset()
    assert ledger.get_history("m") == []
    assert ledger.get_last_messages("s") == []


def test_a_batch_is_whole_or_not_there(ledger: Ledger) -> None:
    with pytest.raises(ZeroDivisionError), ledger.atomic():
        ledger.add_history("m", None, "x", "ADD")
        ledger.save_messages([{"role": "user", "content": "hi"}], "s")
        raise ZeroDivisionError
    with pytest.raises(ValidationError, match="memory_id cannot be stored in the history"):
        ledger.batch_add_history([{"memory_id": "m"}, {"memory_id": object()}])
    assert ledger.get_history("m") == []
    assert ledger.get_last_messages("s") == []


def test_a_closed_ledger_says_so(ledger: Ledger) -> None:
    ledger.close()
    with pytest.raises(DatabaseError, match="is closed"):
        ledger.get_history("m")


# --- Beside upstream -------------------------------------------------------------------------

_texts = st.none() | st.sampled_from(("a", "b", "é🗼\n", ""))
_times = st.none() | st.sampled_from(
    ("2024-01-01T00:00:00+00:00", "2024-01-01T00:00:00.5+00:00", "2024-01-01 00:00:00", "x", "",
     "2023-12-31T23:30:00-02:00")
)  # fmt: skip
_sessions = st.sampled_from(("user_id=u", "user_id=u1", "agent_id=a&user_id=u"))
_records = st.fixed_dictionaries(
    {"memory_id": st.sampled_from(("m1", "m2")), "event": st.sampled_from(("ADD", "UPDATE"))},
    optional={
        "old_memory": _texts, "new_memory": _texts, "created_at": _times, "updated_at": _times,
        "is_deleted": st.sampled_from((0, 1)), "actor_id": _texts, "role": _texts,
    },
)  # fmt: skip
_messages = st.lists(
    st.fixed_dictionaries({}, optional={"role": _texts, "content": _texts, "name": _texts}),
    max_size=14,
)
_calls = st.lists(
    st.one_of(
        st.tuples(st.just("batch_add_history"), st.lists(_records, max_size=4)),
        st.tuples(st.just("add_history"), _records),
        st.tuples(st.just("save_messages"), _sessions, _messages),
        st.tuples(st.just("tick")),
        st.tuples(st.just("reset")),
    ),
    max_size=12,
)


def call(ledger: Any, step: Any) -> None:
    name, *arguments = step
    if name == "batch_add_history":
        ledger.batch_add_history(arguments[0])
    elif name == "add_history":
        fields = {"old_memory": None, "new_memory": None, **arguments[0]}
        first = [fields.pop(key) for key in ("memory_id", "old_memory", "new_memory", "event")]
        ledger.add_history(*first, **fields)
    elif name == "save_messages":
        ledger.save_messages(arguments[1], arguments[0])
    elif name == "reset":
        ledger.reset()


def rows_of(path: str) -> Any:
    connection = sqlite3.connect(path)
    history = connection.execute("SELECT * FROM history ORDER BY rowid").fetchall()
    messages = connection.execute("SELECT * FROM messages ORDER BY rowid").fetchall()
    connection.close()
    return history, messages


@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore")
@examples(20)
@given(_calls)
def test_the_same_calls_leave_upstreams_rows(
    tmp_path_factory: pytest.TempPathFactory, calls: Any
) -> None:
    storage = pytest.importorskip("mem0.memory.storage")
    folder = tmp_path_factory.mktemp("rows")
    ours_at, theirs_at = str(folder / "ours.db"), str(folder / "theirs.db")
    ours, theirs = (
        Ledger(Database(ours_at, prepare_ledger), Ticks()),
        storage.SQLiteManager(theirs_at),
    )
    theirs_clock = Ticks()

    class Uuid:
        @staticmethod
        def uuid4() -> str:
            return theirs_clock.new_row_id()

    class Now:
        @staticmethod
        def now(zone: Any) -> Any:
            return Now

        @staticmethod
        def isoformat() -> str:
            return theirs_clock.now()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "uuid", Uuid)
        patch.setattr(storage, "datetime", Now)
        for step in calls:
            if step[0] == "tick":
                ours._clock.time = theirs_clock.time = theirs_clock.time + 1  # type: ignore[attr-defined]
            for ledger in (ours, theirs):
                call(ledger, step)
            for session in ("user_id=u", "user_id=u1", "agent_id=a&user_id=u"):
                for limit in (10, 3):
                    expected = theirs.get_last_messages(session, limit)
                    assert ours.get_last_messages(session, limit) == expected
            for memory in ("m1", "m2"):
                assert ours.get_history(memory) == theirs.get_history(memory)
    ours.close()
    theirs.close()
    assert rows_of(ours_at) == rows_of(theirs_at)


@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore")
def test_upstreams_own_file_opens_and_upstream_opens_it_again(path: Path) -> None:
    storage = pytest.importorskip("mem0.memory.storage")
    theirs = storage.SQLiteManager(str(path))
    theirs.add_history("m", None, "Tea", "ADD", created_at="2024-01-01")
    theirs.save_messages([{"role": "user", "content": "hello"}], "user_id=u")
    messages = theirs.get_last_messages("user_id=u")
    theirs.close()
    ours = Ledger(Database(str(path), prepare_ledger), Clock())
    assert [event["new_memory"] for event in ours.get_history("m")] == ["Tea"]
    assert ours.get_last_messages("user_id=u") == messages
    ours.add_history(
        "m", "Tea", "Coffee", "UPDATE", created_at="2024-01-01", updated_at="2024-01-02"
    )
    ours.close()
    again = storage.SQLiteManager(str(path))
    assert [event["new_memory"] for event in again.get_history("m")] == ["Tea", "Coffee"]
    again.close()
