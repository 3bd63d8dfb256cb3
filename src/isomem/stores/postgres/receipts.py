"""Receipts: which calls were carried out, as rows that are written with what the calls store."""

from __future__ import annotations

import json
from time import time

from isomem.contract.plan import Outcome
from isomem.store.receipts import Receipts, _carried_out, _without_text
from isomem.stores.postgres.escaped import escaped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from isomem.contract.plan import Receipt, Record
    from isomem.stores.postgres.database import Database

_INSERT = (
    "INSERT INTO receipts (id, digest, results, written_at) VALUES (?, ?, ?, ?)"
    " ON CONFLICT DO NOTHING RETURNING 1"
)
_FIND = "SELECT digest, results FROM receipts WHERE id = ?"
_FORGET = (
    "DELETE FROM receipts WHERE starts_with(id, ?) AND written_at < ? AND id <> ALL(?::text[])"
    " RETURNING 1"
)


class PostgresReceipts(Receipts):
    """The receipts in one database."""

    def __init__(self, database: Any) -> None:
        super().__init__(database)
        self._rows: Database = database

    def find(self, receipt_id: str) -> Outcome | None:
        """What a receipt says; None if there is none."""
        with self._rows.reading() as database:
            for digest, results in database.rows(_FIND, (escaped(receipt_id),)):
                return Outcome(digest, json.loads(results))
        return None

    def save(self, receipt: Receipt, stored: Sequence[Record]) -> None:
        """Writes a receipt, inside the transaction that stores what it is for.

        Raises:
            DatabaseError: RECEIPT_001, it is there already.
        """
        results = json.dumps([_without_text(record.result()) for record in stored])
        row = (escaped(receipt.id), receipt.digest, results, time())
        with self._rows.writing() as database:
            if not database.rows(_INSERT, row):
                raise _carried_out(receipt.id)

    def forget(self, prefix: str, before: float, kept: Sequence[str] = ()) -> int:
        """Removes receipts; see `ports.shapes.Receipts`."""
        bindings = (escaped(prefix), before, [escaped(each) for each in kept])
        with self._rows.writing() as database:
            return len(database.rows(_FORGET, bindings))
