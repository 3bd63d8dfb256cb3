"""The ledger: history and messages in one SQLite file, as mem0's storage class keeps them."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from tests.claims.sides import both

HISTORY = {
    "id", "memory_id", "old_memory", "new_memory", "event", "created_at", "updated_at",
    "is_deleted", "actor_id", "role",
}  # fmt: skip
MESSAGES = {"id", "session_scope", "role", "content", "name", "created_at"}


class Ours:
    """isomem's ledger over a file."""

    def open(self, path: Path | str) -> Any:
        from isomem.clock import Clock
        from isomem.store.database import Database
        from isomem.store.ledger import Ledger
        from isomem.store.schema import prepare_ledger

        return Ledger(Database(str(path), prepare_ledger), Clock())


class Theirs:
    """mem0's."""

    def open(self, path: Path | str) -> Any:
        from mem0.memory.storage import SQLiteManager

        return SQLiteManager(str(path))


side = both(Ours, Theirs)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(side: Any, path: Path) -> Iterator[Any]:
    with closing(side.open(path)) as opened:
        yield opened


LOOK = """
import json, sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.row_factory = sqlite3.Row
print(json.dumps([dict(row) for row in connection.execute(sys.argv[2])]))
"""


def stored(path: Path, table: str) -> list[dict[str, Any]]:
    """The rows of a table, in the order in which they were written.

    Read by another process: here it would be a second SQLite in the process of the first.
    """
    sql = f"SELECT * FROM {table} ORDER BY rowid"
    done = subprocess.run(
        [sys.executable, "-c", LOOK, str(path), sql], capture_output=True, text=True, check=True
    )
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


def texts(messages: list[dict[str, Any]]) -> list[str]:
    return [message["content"] for message in messages]


def said(*contents: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": content} for content in contents]


# --- The file --------------------------------------------------------------------------------


@pytest.mark.usefixtures("ledger")
def test_a_new_file_has_both_tables_with_exactly_these_columns(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for table, columns in (("history", HISTORY), ("messages", MESSAGES)):
            listed = connection.execute(f"SELECT name FROM pragma_table_info('{table}')")
            assert {name for (name,) in listed} == columns


def test_a_ledger_needs_no_file(side: Any) -> None:
    with closing(side.open(":memory:")) as ledger:
        ledger.add_history("m", None, "Collects stamps", "ADD")
        ledger.save_messages(said("I collect stamps"), "user_id=ines")
        assert len(ledger.get_history("m")) == 1
        assert texts(ledger.get_last_messages("user_id=ines")) == ["I collect stamps"]


def test_what_was_written_is_there_after_reopening(side: Any, path: Path) -> None:
    with closing(side.open(path)) as ledger:
        ledger.add_history("m", None, "Collects stamps", "ADD", created_at="2025-02-03T10:00:00")
        ledger.save_messages(said("one", "two"), "run_id=7")
        before = ledger.get_history("m"), ledger.get_last_messages("run_id=7")
    with closing(side.open(path)) as ledger:
        assert (ledger.get_history("m"), ledger.get_last_messages("run_id=7")) == before
        assert before[0]


def test_a_history_with_fewer_columns_is_lifted_and_nothing_in_it_changes(
    side: Any, path: Path
) -> None:
    with closing(sqlite3.connect(path)) as old:
        old.execute("CREATE TABLE history (id TEXT PRIMARY KEY, memory_id TEXT, new_memory TEXT)")
        old.execute("INSERT INTO history VALUES ('h-1', 'm', 'Plays the oboe')")
        old.commit()
    with closing(side.open(path)) as ledger:
        assert ledger.get_history("m") == [
            {**dict.fromkeys(HISTORY), "id": "h-1", "memory_id": "m", "is_deleted": False,
             "new_memory": "Plays the oboe"}
        ]  # fmt: skip
        ledger.add_history("m", "Plays the oboe", "Plays the flute", "UPDATE")
        assert len(ledger.get_history("m")) == 2


def test_columns_of_an_older_layout_are_dropped_with_what_they_held(side: Any, path: Path) -> None:
    with closing(sqlite3.connect(path)) as old:
        columns = ", ".join(sorted(HISTORY - {"id"}))
        old.execute(f"CREATE TABLE history (id TEXT PRIMARY KEY, {columns}, participants TEXT)")
        old.execute("INSERT INTO history (id, memory_id, participants) VALUES ('h', 'm', 'a,b')")
        old.commit()
    with closing(side.open(path)) as ledger:
        assert [row["id"] for row in ledger.get_history("m")] == ["h"]
    assert set(stored(path, "history")[0]) == HISTORY


# --- History ---------------------------------------------------------------------------------


def test_an_event_comes_back_with_every_field_that_was_given(ledger: Any) -> None:
    given = {
        "created_at": "2025-02-03T10:00:00+00:00", "updated_at": "2025-02-04T10:00:00+00:00",
        "is_deleted": 1, "actor_id": "ines", "role": "assistant",
    }  # fmt: skip
    ledger.add_history("m", "Plays the oboe", "Plays the flute", "UPDATE", **given)
    [row] = ledger.get_history("m")
    assert row.pop("id")
    assert row == {
        "memory_id": "m", "old_memory": "Plays the oboe", "new_memory": "Plays the flute",
        "event": "UPDATE", **given, "is_deleted": True,
    }  # fmt: skip


@pytest.mark.parametrize(("old", "new"), [(None, "new"), ("old", None), (None, None), ("", "")])
def test_either_text_of_an_event_may_be_missing_or_empty(
    ledger: Any, old: str | None, new: str | None
) -> None:
    ledger.add_history("m", old, new, "ADD")
    [row] = ledger.get_history("m")
    assert (row["old_memory"], row["new_memory"]) == (old, new)


def test_what_is_not_said_of_an_event_is_none_and_not_deleted(ledger: Any, path: Path) -> None:
    ledger.add_history("m", None, "new", "ADD")
    ledger.batch_add_history([{"memory_id": "m", "new_memory": "new", "event": "ADD"}])
    for row in ledger.get_history("m"):
        assert row["is_deleted"] is False
        assert {row[key] for key in ("created_at", "updated_at", "actor_id", "role")} == {None}
    assert [row["is_deleted"] for row in stored(path, "history")] == [0, 0]


def test_every_event_has_an_id_of_its_own(ledger: Any, path: Path) -> None:
    for _ in range(20):
        ledger.add_history("m", None, "same", "ADD")
    ledger.batch_add_history([{"memory_id": "m", "event": "ADD"}] * 20)
    assert len({row["id"] for row in stored(path, "history")}) == 40


def test_a_memory_has_its_own_events_and_an_unknown_one_has_none(ledger: Any) -> None:
    ledger.batch_add_history(
        [{"memory_id": f"m{number % 3}", "event": "ADD"} for number in range(12)]
    )
    assert len(ledger.get_history("m1")) == 4
    assert {row["memory_id"] for row in ledger.get_history("m1")} == {"m1"}
    assert ledger.get_history("m") == []


def test_events_stand_in_the_order_of_their_creation_then_of_their_change(ledger: Any) -> None:
    days = [("c", "2025-03-03", None), ("a", "2025-03-01", "2025-03-04"),
            ("b", "2025-03-01", "2025-03-05"), ("first", None, None)]  # fmt: skip
    for name, created, updated in days:
        ledger.add_history("m", None, name, "ADD", created_at=created, updated_at=updated)
    assert [row["new_memory"] for row in ledger.get_history("m")] == ["first", "a", "b", "c"]


def test_a_batch_with_an_event_that_cannot_be_stored_stores_none(ledger: Any) -> None:
    good = {"memory_id": "m", "event": "ADD"}
    with pytest.raises(Exception, match=r"(?i)type"):
        ledger.batch_add_history([good, {**good, "new_memory": object()}, good])
    assert ledger.get_history("m") == []
    ledger.batch_add_history([good])
    assert len(ledger.get_history("m")) == 1


def test_no_events_are_no_rows(ledger: Any, path: Path) -> None:
    ledger.batch_add_history([])
    assert stored(path, "history") == []


# --- Messages --------------------------------------------------------------------------------


def test_a_message_keeps_role_content_and_name_and_gets_the_time(ledger: Any) -> None:
    before = datetime.now(timezone.utc)
    ledger.save_messages(
        [{"role": "user", "content": "Ciao", "name": "ines", "tool": 1}, {"role": "system"}], "s"
    )
    one, other = ledger.get_last_messages("s")
    assert list(one) == ["role", "content", "name", "created_at"]
    assert (one["role"], one["content"], one["name"]) == ("user", "Ciao", "ines")
    assert (other["role"], other["content"], other["name"]) == ("system", None, None)
    assert one["created_at"] == other["created_at"]
    written = datetime.fromisoformat(one["created_at"])
    assert written.utcoffset() == timedelta(0)
    assert before <= written <= datetime.now(timezone.utc)


def test_the_ten_last_messages_of_a_session_stay_whoever_else_speaks(
    ledger: Any, path: Path
) -> None:
    for number in range(14):
        ledger.save_messages(said(f"mine {number}"), "user_id=ines")
        ledger.save_messages(said(f"theirs {number}"), "user_id=ines2")
    for session, whose in (("user_id=ines", "mine"), ("user_id=ines2", "theirs")):
        expected = [f"{whose} {number}" for number in range(4, 14)]
        assert texts(ledger.get_last_messages(session)) == expected
    assert len(stored(path, "messages")) == 20


def test_fewer_can_be_asked_for_and_the_oldest_comes_first(ledger: Any) -> None:
    for number in range(6):
        ledger.save_messages(said(f"{number}"), "s")
    assert texts(ledger.get_last_messages("s", limit=3)) == ["3", "4", "5"]
    assert texts(ledger.get_last_messages("s", 50)) == [str(number) for number in range(6)]
    assert ledger.get_last_messages("s", limit=0) == []
    assert ledger.get_last_messages("another") == []


def test_messages_of_one_call_beyond_ten_leave_ten(ledger: Any) -> None:
    ledger.save_messages(said(*(f"{number}" for number in range(15))), "s")
    kept = texts(ledger.get_last_messages("s"))
    assert len(set(kept)) == 10
    assert set(kept) <= {f"{number}" for number in range(15)}


def test_no_messages_touch_nothing(ledger: Any) -> None:
    ledger.save_messages(said(*"0123456789"), "s")
    before = ledger.get_last_messages("s")
    ledger.save_messages([], "s")
    assert ledger.get_last_messages("s") == before


# --- The end ---------------------------------------------------------------------------------


def test_a_reset_leaves_two_empty_tables_that_can_be_used(ledger: Any, path: Path) -> None:
    ledger.add_history("m", None, "x", "ADD")
    ledger.save_messages(said("x"), "s")
    ledger.reset()
    assert ledger.get_history("m") == []
    assert ledger.get_last_messages("s") == []
    assert stored(path, "history") == stored(path, "messages") == []
    ledger.add_history("m", None, "y", "ADD")
    assert [row["new_memory"] for row in ledger.get_history("m")] == ["y"]


def test_closing_twice_is_no_error(side: Any, path: Path) -> None:
    ledger = side.open(path)
    ledger.close()
    ledger.close()
