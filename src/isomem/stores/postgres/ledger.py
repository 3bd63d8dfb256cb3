"""History and messages, with the method names of upstream's ledger and in its order."""

from __future__ import annotations

from isomem.contract.limits import KEPT_MESSAGES
from isomem.contract.pages import read_moment
from isomem.contract.scope import session_key
from isomem.store.codec import canonical_id
from isomem.store.ledger import _FIELDS, Ledger, _event_fault, _message_fault
from isomem.store.schema import HISTORY_COLUMNS
from isomem.stores.postgres.escaped import check_length, escaped, restored, restored_all
from isomem.types import SCOPE_KEYS, is_unicode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from isomem.clock import Clock
    from isomem.store.ledger import Event, FaultOf
    from isomem.stores.postgres.database import Database

_COLUMNS = ", ".join(HISTORY_COLUMNS)
_KINDS = ", ".join("?::bigint[]" if name == "is_deleted" else "?::text[]" for name in _FIELDS)
_ADD = f"INSERT INTO history ({', '.join(_FIELDS)}) SELECT * FROM unnest({_KINDS})"
_HISTORY = f"SELECT {_COLUMNS} FROM history WHERE memory_id = ANY(?) ORDER BY number"
_SAVED = ("id", "session", "role", "content", "name", "time")
_SAVE = (
    "INSERT INTO messages (id, session_scope, role, content, name, created_at)"
    " SELECT * FROM unnest(?::text[], ?::text[], ?::text[], ?::text[], ?::text[], ?::text[])"
)
_LATEST = (
    "SELECT {} FROM messages WHERE session_scope = ?"
    " ORDER BY created_at DESC NULLS LAST, number LIMIT ?"
)
_EVICT = f"DELETE FROM messages WHERE session_scope = ? AND id NOT IN ({_LATEST.format('id')})"
_MESSAGE_FIELDS = ("role", "content", "name", "created_at")
_LAST = (
    f"SELECT {', '.join(_MESSAGE_FIELDS)} FROM"
    f" ({_LATEST.format(', '.join((*_MESSAGE_FIELDS, 'number')))}) AS latest"
    " ORDER BY created_at NULLS FIRST, number"
)
_TURN = "SELECT pg_advisory_xact_lock(hashtext(?), hashtext(?))"
_NOTE = (
    "INSERT INTO removed SELECT * FROM unnest(?::text[], ?::text[], ?::text[], ?::text[])"
    " ON CONFLICT (memory_id) DO UPDATE SET"
    " user_id = excluded.user_id, agent_id = excluded.agent_id, run_id = excluded.run_id"
)


class PostgresLedger(Ledger):
    """What happened to every memory, and the last messages of every session."""

    def __init__(self, database: Any, clock: Clock) -> None:
        self.database = database
        self.db_path = database.path
        self._clock = clock
        self._rows: Database = database

    def write(self, events: Sequence[Event]) -> None:
        """Stores what `events` made, in the caller's transaction."""
        if events:
            rows = [_storable(event, _FIELDS, _event_fault) for event in events]
            self._rows.execute(_ADD, [*map(list, zip(*rows, strict=True))])

    def get_history(self, memory_id: str) -> list[dict[str, Any]]:
        """The events of a memory, oldest first."""
        wanted = [escaped(each) for each in {str(memory_id), canonical_id(memory_id)}]
        with self._rows.reading():
            rows = self._rows.rows(_HISTORY, (wanted,))
        events = [dict(zip(HISTORY_COLUMNS, restored_all(row), strict=True)) for row in rows]
        events.sort(key=_time_of)
        return [{**event, "is_deleted": bool(event["is_deleted"])} for event in events]

    def save_messages(self, messages: list[dict[str, Any]], session_scope: str) -> None:
        """Appends messages to a session's buffer and evicts those beyond `KEPT_MESSAGES`.

        Raises:
            ValidationError: VALIDATION_004, the table cannot hold a value; VALIDATION_005, the ids
                are too long.
        """
        if not messages:
            return
        key = escaped(session_scope)
        check_length(key, "the ids of a scope")
        now = self._clock.now()
        rows = [
            _storable(
                (
                    self._clock.new_row_id(),
                    session_scope,
                    *map(message.get, ("role", "content", "name")),
                    now,
                ),
                _SAVED,
                _message_fault,
            )
            for message in messages
        ]
        with self._rows.writing() as database:
            # In turn, so that two calls do not both keep what only one may.
            database.execute(_TURN, ("messages", key))
            database.execute(_SAVE, [*map(list, zip(*rows, strict=True))])
            database.execute(_EVICT, (key, key, KEPT_MESSAGES))

    def expect(self, session_scope: str, limit: int) -> None:
        """Has the last messages brought together with what the caller's block asks first."""
        self._rows.expect(_LAST, (escaped(session_scope), limit))

    def get_last_messages(
        self, session_scope: str, limit: int = KEPT_MESSAGES
    ) -> list[dict[str, Any]]:
        """The last messages of a session, oldest first: role, content, name, created_at."""
        with self._rows.reading() as database:
            rows = database.rows(_LAST, (escaped(session_scope), limit))
        return [dict(zip(_MESSAGE_FIELDS, restored_all(row), strict=True)) for row in rows]

    # --- Moving ---

    def every_row(
        self, table: str, columns: Sequence[str], at_once: int
    ) -> Iterator[tuple[Any, ...]]:
        """All rows of a table in the order in which they were inserted, read part by part."""
        order, last = (columns[0], "") if table == "removed" else ("number", 0)
        sql = (
            f"SELECT {order}, {', '.join(columns)} FROM {table} WHERE {order} > ?"
            f" ORDER BY {order} LIMIT ?"
        )
        while True:
            with self._rows.reading() as database:
                found = database.rows(sql, (last, at_once))
            if not found:
                return
            yield from (restored_all(row[1:]) for row in found)
            last = found[-1][0]

    def rows_of(
        self, table: str, columns: Sequence[str], ids: Sequence[str]
    ) -> list[tuple[Any, ...]]:
        """The rows with these ids."""
        sql = f"SELECT {', '.join(columns)} FROM {table} WHERE {columns[0]} = ANY(?)"
        with self._rows.reading() as database:
            return [restored_all(row) for row in database.rows(sql, ([*map(escaped, ids)],))]

    def put_rows(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> int:
        """Adds rows with ids that are not there yet. Returns how many.

        Raises:
            ValidationError: VALIDATION_005, the table cannot hold a value.
        """
        kinds = ("bigint" if name == "is_deleted" else "text" for name in columns)
        given = ", ".join(f"?::{kind}[]" for kind in kinds)
        sql = (
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT * FROM unnest({given})"
            " ON CONFLICT DO NOTHING RETURNING 1"
        )
        storable = [_storable(tuple(row), columns, _event_fault) for row in rows]
        with self._rows.writing() as database:
            return len(database.rows(sql, [*map(list, zip(*storable, strict=True))]))

    # --- Forgetting ---

    def forget_sessions(self, ids: Mapping[str, str]) -> None:
        """Empties the message buffers of every session that has all these ids."""
        parts = [escaped(f"&{part}&") for part in session_key(ids).split("&")]
        named = " AND ".join("strpos('&' || session_scope || '&', ?) > 0" for _ in parts)
        with self._rows.writing() as database:
            database.execute(f"DELETE FROM messages WHERE {named}", parts)

    def note_removed(self, memories: Iterable[tuple[str, Mapping[str, str]]]) -> None:
        """Records whose the removed memories were, so that `purge` finds their history."""
        rows = {
            memory_id: [
                value and escaped(value) for value in (memory_id, *map(ids.get, SCOPE_KEYS))
            ]
            for memory_id, ids in memories
        }
        if rows:
            with self._rows.writing() as database:
                database.execute(_NOTE, [*map(list, zip(*rows.values(), strict=True))])

    def owner_of(self, memory_id: str) -> dict[str, str] | None:
        """The ids that a removed memory had; None if it is not one of those."""
        found = super().owner_of(escaped(memory_id))
        return found and {key: restored(value) for key, value in found.items()}

    def purge(self, ids: Mapping[str, str], most: int) -> bool:
        """Removes the history of memories that were removed from scopes with all these ids."""
        return super().purge({key: escaped(value) for key, value in ids.items()}, most)


def _storable(row: Event, fields: Sequence[str], fault_of: FaultOf) -> Event:
    """A row as the tables hold it: a number in a column of text is text, as in SQLite."""
    return tuple(
        value if field == "is_deleted" else _as_text(field, value, fault_of)
        for field, value in zip(fields, row, strict=True)
    )


def _as_text(field: str, value: object, fault_of: FaultOf) -> str | None:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, (int, float)):
        return str(value)
    if value is None:
        return None
    if isinstance(value, str) and is_unicode(value):
        return escaped(value)
    raise fault_of(field, value)


def _time_of(event: Mapping[str, Any]) -> tuple[str, str]:
    """What upstream orders a history by: `created_at` as text, then `updated_at` in seconds."""
    moment = read_moment(event["updated_at"])
    return event["created_at"] or "", moment.strftime("%Y-%m-%d %H:%M:%S") if moment else ""
