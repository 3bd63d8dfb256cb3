"""Receipts: which calls were carried out, as rows that are written with what the calls store.

A row has ids, and no text of a memory: what was removed must not be left here.
"""

from __future__ import annotations

import json
from time import time

from isomem.contract.plan import Outcome
from isomem.errors import DatabaseError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from isomem.contract.plan import Receipt, Record
    from isomem.store.database import Database
    from isomem.types import Payload

_TABLE = """
CREATE TABLE IF NOT EXISTS receipts (
    id          TEXT PRIMARY KEY,
    digest      TEXT NOT NULL,
    results     TEXT NOT NULL,
    written_at  REAL NOT NULL
) WITHOUT ROWID
"""
_BEGUN_TABLE = """
CREATE TABLE IF NOT EXISTS begun_calls (
    id        TEXT PRIMARY KEY,
    memories  TEXT NOT NULL,
    begun_at  REAL NOT NULL
) WITHOUT ROWID
"""
_BEGIN = "INSERT OR REPLACE INTO begun_calls VALUES (?, ?, ?)"
_END = "DELETE FROM begun_calls WHERE id = ? AND memories = ?"
_IS_THERE = "SELECT 1 FROM sqlite_schema WHERE name = ?"
_INSERT = "INSERT OR IGNORE INTO receipts VALUES (?, ?, ?, ?)"
_FIND = "SELECT digest, results FROM receipts WHERE id = ?"
_OLD = "id >= ? AND id < ? AND {} < ? AND id NOT IN (SELECT value FROM json_each(?))"
_FORGET = f"DELETE FROM receipts WHERE {_OLD.format('written_at')}"
_ABANDONED = f"SELECT id, memories FROM begun_calls WHERE {_OLD.format('begun_at')}"


class Receipts:
    """The receipts in one file.

    Args:
        database: the file; the table is created with the first receipt.
        take_back: removes memories that a call has stored that was begun and never completed.
            Returns whether none is left.
    """

    def __init__(
        self, database: Database, take_back: Callable[[Sequence[str]], bool] | None = None
    ) -> None:
        self._database = database
        self._take_back = take_back

    def find(self, receipt_id: str) -> Outcome | None:
        """What a receipt says; None if there is none."""
        with self._database.reading() as database:
            if not database.rows(_IS_THERE, ("receipts",)):
                return None
            for digest, results in database.rows(_FIND, (receipt_id,)):
                return Outcome(digest, json.loads(results))
        return None

    def save(self, receipt: Receipt, stored: Sequence[Record]) -> None:
        """Writes a receipt, inside the transaction that stores what it is for.

        Raises:
            DatabaseError: RECEIPT_001, it is there already.
        """
        with self._database.writing() as database:
            database.connection.execute(_TABLE)
            database.execute(_INSERT, (receipt.id, receipt.digest, _results(stored), time()))
            if not database.connection.changes():
                raise _carried_out(receipt.id)

    def amend(self, receipt: Receipt, stored: Sequence[Record]) -> None:
        """Writes into a receipt what was done to the records after it was written."""
        with self._database.writing() as database:
            sql = "UPDATE receipts SET results = ? WHERE id = ?"
            database.execute(sql, (_results(stored), receipt.id))

    def begin(self, receipt: Receipt, memory_ids: Sequence[str]) -> list[str]:
        """Notes what a call is about to store where it cannot be part of the same transaction.

        Returns:
            What tries before noted that were not completed. It stays noted, first, until one is.

        Raises:
            DatabaseError: RECEIPT_001, the call was carried out already.
        """
        with self._database.writing() as database:
            if self.find(receipt.id) is not None:
                raise _carried_out(receipt.id)
            database.connection.execute(_BEGUN_TABLE)
            sql = "SELECT memories FROM begun_calls WHERE id = ?"
            rows = database.rows(sql, (receipt.id,))
            before = [memory_id for (text,) in rows for memory_id in json.loads(text)]
            noted = json.dumps([*before, *memory_ids])
            database.execute(_BEGIN, (receipt.id, noted, time()))
            return before

    def complete(
        self, receipt: Receipt, memory_ids: Sequence[str], stored: Sequence[Record]
    ) -> None:
        """Writes a receipt for what was begun.

        Args:
            memory_ids: as they were noted.
            stored: those that are stored.

        Raises:
            DatabaseError: RECEIPT_001, as `save`; RECEIPT_003, another try has begun since.
        """
        with self._database.writing() as database:
            self.save(receipt, stored)
            database.execute(_END, (receipt.id, json.dumps(memory_ids)))
            if not database.connection.changes():
                raise _taken_over(receipt.id)

    def forget(self, prefix: str, before: float, kept: Sequence[str] = ()) -> int:
        """Removes receipts, and what was begun and given up; see `ports.shapes.Receipts`."""
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        old = (prefix, end, before, json.dumps(kept))
        self._forget_begun(old)
        with self._database.writing() as database:
            if not database.rows(_IS_THERE, ("receipts",)):
                return 0
            database.execute(_FORGET, old)
            return database.connection.changes()

    def _forget_begun(self, old: tuple[str, str, float, str]) -> None:
        """Removes what is noted of calls that nobody will complete, and what they have stored."""
        with self._database.reading() as database:
            is_there = database.rows(_IS_THERE, ("begun_calls",))
            rows = [*database.rows(_ABANDONED, old)] if is_there else []
        for receipt_id, noted in rows:
            if self._take_back is None or self._take_back(json.loads(noted)):
                with self._database.writing() as database:
                    database.execute(_END, (receipt_id, noted))


def _results(stored: Sequence[Record]) -> str:
    return json.dumps([_without_text(record.result()) for record in stored])


def _without_text(result: Payload) -> Payload:
    kept = {key: value for key, value in result.items() if key != "memory"}
    if "supersedes" in kept:
        kept["supersedes"] = [_without_text(each) for each in kept["supersedes"]]
    return kept


def _taken_over(receipt_id: str) -> DatabaseError:
    return DatabaseError(
        "another process is carrying out this call; nothing was stored by this one",
        error_code="RECEIPT_003",
        details={"receipt": receipt_id},
        suggestion="Ask again what it came to.",
    )


def _carried_out(receipt_id: str) -> DatabaseError:
    return DatabaseError(
        "this call was carried out already; nothing was stored a second time",
        error_code="RECEIPT_001",
        details={"receipt": receipt_id},
    )
