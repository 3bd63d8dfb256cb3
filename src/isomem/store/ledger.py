"""History and messages, in upstream's tables and with the method names of its ledger."""

from __future__ import annotations

from isomem.contract.arguments import shown
from isomem.contract.limits import KEPT_MESSAGES
from isomem.contract.payload import is_recordable
from isomem.contract.scope import session_key
from isomem.errors import ValidationError
from isomem.store.codec import canonical_id
from isomem.store.schema import HISTORY_COLUMNS
from isomem.types import SCOPE_KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from isomem.clock import Clock
    from isomem.store.database import Block, Database

    Event = tuple[Any, ...]
    """A row of the history, as `_ADD` takes it. It begins with the id of the row."""

    FaultOf = Callable[[str, object], ValidationError]
    """Makes the error for a field and a value that it cannot have."""

_COLUMNS = ", ".join(HISTORY_COLUMNS)
_GIVEN = [name for name in HISTORY_COLUMNS if name not in ("id", "is_deleted")]
_ADD = (
    f"INSERT INTO history (id, is_deleted, {', '.join(_GIVEN)})"
    f" VALUES ({', '.join('?' * len(HISTORY_COLUMNS))})"
)
_FIELDS = ("id", "is_deleted", *_GIVEN)
"""What an event is made of, in the order of `_ADD`."""
_HISTORY = (
    f"SELECT {_COLUMNS} FROM history WHERE memory_id IN (?, ?)"
    " ORDER BY created_at ASC, DATETIME(updated_at) ASC"
)
_SAVE = (
    "INSERT INTO messages (id, session_scope, role, content, name, created_at)"
    " VALUES (?, ?, ?, ?, ?, ?)"
)
_SAVED = ("id", "session", "role", "content", "name", "time")
"""What `_SAVE` takes."""
_LATEST = "SELECT {} FROM messages WHERE session_scope = ? ORDER BY created_at DESC LIMIT ?"
_EVICT = (
    "DELETE FROM messages WHERE session_scope = ? AND id NOT IN"
    f" (SELECT id FROM ({_LATEST.format('id')}))"
)
_MESSAGE_FIELDS = ("role", "content", "name", "created_at")
_LAST = f"SELECT * FROM ({_LATEST.format(', '.join(_MESSAGE_FIELDS))}) ORDER BY created_at ASC"


class Ledger:
    """What happened to every memory, and the last messages of every session.

    Args:
        database: opened with `schema.prepare_ledger`.
        clock: gives the times of messages and the ids of rows.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self.database = database
        self.db_path = database.path
        self._clock = clock

    def atomic(self) -> Block:
        """A block whose writes are all stored, or none if it raises."""
        return self.database.atomic()

    def add_history(
        self,
        memory_id: str,
        old_memory: str | None,
        new_memory: str | None,
        event: str,
        **fields: Any,
    ) -> str:
        """Adds one event: "ADD", "UPDATE" or "DELETE". Returns the id of its row.

        Args:
            fields: `created_at`, `updated_at`, `is_deleted` (0), `actor_id`, `role`.
        """
        record = {"memory_id": memory_id, "old_memory": old_memory, "new_memory": new_memory}
        with self.database.writing():
            row_id: str = self.put([{**record, "event": event, **fields}])[0][0]
        return row_id

    def batch_add_history(self, records: list[dict[str, Any]]) -> list[str]:
        """Adds events, each a dict of columns of `history` but its id; the ids of their rows."""
        with self.database.writing():
            return [row[0] for row in self.put(records)]

    def put(self, records: Iterable[dict[str, Any]]) -> Sequence[Event]:
        """`batch_add_history` in the caller's transaction; the rows, each beginning with its id."""
        events = self.events(records)
        self.write(events)
        return events

    def events(self, records: Iterable[dict[str, Any]]) -> list[Event]:
        """The rows of events, with new ids."""
        new_id = self._clock.new_row_id
        return [
            (new_id(), record.get("is_deleted", 0), *map(record.get, _GIVEN)) for record in records
        ]

    def write(self, events: Sequence[Event]) -> None:
        """Stores what `events` made, in the caller's transaction.

        Raises:
            ValidationError: VALIDATION_005, the table cannot hold a value.
        """
        self._insert(_ADD, events, _FIELDS, _event_fault)

    def _insert(
        self, sql: str, rows: Sequence[Event], fields: Sequence[str], fault_of: FaultOf
    ) -> None:
        """Stores rows. If the table cannot hold a value, the error names its field."""
        try:
            self.database.execute_many(sql, rows)
        except (TypeError, OverflowError, UnicodeEncodeError) as error:
            fault = _refused(rows, fields, fault_of)
            if fault is None:
                raise
            raise fault from error

    def has(self, event: Event) -> bool:
        """Whether an event is stored."""
        return bool(self.database.rows("SELECT 1 FROM history WHERE id = ?", event[:1]))

    def remove_history(self, row_ids: Iterable[str]) -> None:
        """Removes events that did not happen after all."""
        with self.database.writing() as database:
            sql = "DELETE FROM history WHERE id = ?"
            database.execute_many(sql, ((row_id,) for row_id in row_ids))

    def get_history(self, memory_id: str) -> list[dict[str, Any]]:
        """The events of a memory, oldest first."""
        with self.database.reading() as database:
            rows = database.rows(_HISTORY, (str(memory_id), canonical_id(memory_id)))
        events = [dict(zip(HISTORY_COLUMNS, row, strict=True)) for row in rows]
        return [{**event, "is_deleted": bool(event["is_deleted"])} for event in events]

    def save_messages(self, messages: list[dict[str, Any]], session_scope: str) -> None:
        """Appends messages to a session's buffer and evicts those beyond `KEPT_MESSAGES`.

        Raises:
            ValidationError: VALIDATION_004, the table cannot hold a value.
        """
        if not messages:
            return
        now = self._clock.now()
        fields = ("role", "content", "name")
        rows = [
            (self._clock.new_row_id(), session_scope, *map(message.get, fields), now)
            for message in messages
        ]
        with self.database.writing() as database:
            self._insert(_SAVE, rows, _SAVED, _message_fault)
            database.execute(_EVICT, (session_scope, session_scope, KEPT_MESSAGES))

    def get_last_messages(
        self, session_scope: str, limit: int = KEPT_MESSAGES
    ) -> list[dict[str, Any]]:
        """The last messages of a session, oldest first: role, content, name, created_at."""
        with self.database.reading() as database:
            rows = database.rows(_LAST, (session_scope, limit))
        return [dict(zip(_MESSAGE_FIELDS, row, strict=True)) for row in rows]

    # --- Forgetting ---

    def forget_sessions(self, ids: Mapping[str, str]) -> None:
        """Empties the message buffers of every session that has all these ids."""
        parts = [f"&{part}&" for part in session_key(ids).split("&")]
        named = " AND ".join("instr('&' || session_scope || '&', ?) > 0" for _ in parts)
        sql = f"SELECT DISTINCT session_scope FROM messages WHERE {named}"
        with self.database.writing() as database:
            sessions = database.rows(sql, tuple(parts))
            database.execute_many("DELETE FROM messages WHERE session_scope = ?", sessions)

    def note_removed(self, memories: Iterable[tuple[str, Mapping[str, str]]]) -> None:
        """Records whose the removed memories were, so that `purge` finds their history."""
        rows = ((memory_id, *map(ids.get, SCOPE_KEYS)) for memory_id, ids in memories)
        with self.database.writing() as database:
            database.execute_many("INSERT OR REPLACE INTO removed VALUES (?, ?, ?, ?)", rows)

    def owner_of(self, memory_id: str) -> dict[str, str] | None:
        """The ids that a removed memory had; None if it is not one of those."""
        sql = f"SELECT {', '.join(SCOPE_KEYS)} FROM removed WHERE memory_id IN (?, ?)"
        with self.database.reading() as database:
            rows = database.rows(sql, (memory_id, canonical_id(memory_id)))
        if not rows:
            return None
        named = zip(SCOPE_KEYS, rows[0], strict=True)
        return {key: value for key, value in named if value is not None}

    def purge(self, ids: Mapping[str, str], most: int) -> bool:
        """Removes the history of memories that were removed from scopes with all these ids.

        Args:
            most: how many memories to look at, so that the transaction stays short.

        Returns:
            Whether there may be more.
        """
        named = " AND ".join(f"{key} = ?" for key in ids)
        sql = f"SELECT memory_id FROM removed WHERE {named} LIMIT ?"
        with self.database.writing() as database:
            memories = database.rows(sql, (*ids.values(), most))
            database.execute_many("DELETE FROM history WHERE memory_id = ?", memories)
            database.execute_many("DELETE FROM removed WHERE memory_id = ?", memories)
        return len(memories) == most

    def reset(self) -> None:
        """Empties the history and all message buffers."""
        with self.database.writing() as database:
            for table in ("history", "messages", "removed"):
                database.execute(f"DELETE FROM {table}")

    def close(self) -> None:
        """Closes the file."""
        self.database.close()


def _refused(
    rows: Sequence[Event], fields: Sequence[str], fault_of: FaultOf
) -> ValidationError | None:
    """The error for the first value of some rows that no table can hold, if there is one."""
    for row in rows:
        for field, value in zip(fields, row, strict=True):
            if not is_recordable(value):
                return fault_of(field, value)
    return None


def _event_fault(field: str, value: object) -> ValidationError:
    return ValidationError(
        f"{field} cannot be stored in the history: {_typed(value)}",
        error_code="VALIDATION_005",
        details={"field": field, "provided_type": type(value).__name__},
        suggestion=f"Use text for {field}, or another key of the metadata.",
    )


def _message_fault(field: str, value: object) -> ValidationError:
    return ValidationError(
        f"the {field} of a message cannot be stored: {_typed(value)}",
        error_code="VALIDATION_004",
        details={"field": field, "provided_type": type(value).__name__},
        suggestion=f"Use text for the {field}.",
    )


def _typed(value: object) -> str:
    return f"{shown(value):.80}, of type {type(value).__name__}"
