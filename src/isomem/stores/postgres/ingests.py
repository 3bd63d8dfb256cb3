"""How far conversations have been ingested: rows that are written with the resulting memories."""

from __future__ import annotations

from isomem.store.ingests import Ingests, _taken

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from isomem.contract.plan import Progress
    from isomem.stores.postgres.database import Database

_INSERT = (
    "INSERT INTO ingests (digest, source, messages, total, first_memory, target)"
    " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING 1"
)
_REPLACE = (
    "UPDATE ingests SET digest = ?, source = ?, messages = ?, total = ?, first_memory = ?"
    " WHERE digest = ? AND NOT EXISTS"
    " (SELECT 1 FROM ingests AS o WHERE o.digest = ? AND o.digest <> ingests.digest) RETURNING 1"
)
_RETRIED = "DELETE FROM failed_chunks WHERE target = ? AND digest = ? AND start = ? RETURNING 1"
_FAILED = (
    "INSERT INTO failed_chunks VALUES (?, ?, ?, ?)"
    " ON CONFLICT (target, digest, start) DO UPDATE SET messages = excluded.messages"
)


class PostgresIngests(Ingests):
    """The progress of the ingests into one database."""

    def __init__(self, database: Any) -> None:
        super().__init__(database)
        self._rows: Database = database

    def prepare(self) -> None:
        """Nothing: the tables are there."""

    def clear(self) -> None:
        """Removes all rows: their memories are gone."""
        with self._rows.writing() as database:
            for table in ("ingests", "failed_chunks"):
                database.execute(f"DELETE FROM {table}")

    def save(self, progress: Progress, first_memory: str | None) -> None:
        """Writes one row, inside the transaction that stores the chunk.

        Raises:
            DatabaseError: INGEST_002, another process has ingested the same messages.
        """
        with self._rows.writing() as database:
            if progress.retried is not None:
                key = (progress.target, progress.digest, progress.retried)
                saved = database.rows(_RETRIED, key)
            else:
                saved = self._written(progress, progress.first_memory or first_memory)
            if not saved:
                raise _taken()

    def _written(self, progress: Progress, first_memory: str | None) -> list[Any]:
        values = (
            progress.digest, progress.source, progress.messages, progress.total, first_memory,
        )  # fmt: skip
        if progress.replaces is None:
            return self._rows.rows(_INSERT, (*values, progress.target))
        return self._rows.rows(_REPLACE, (*values, progress.replaces, progress.digest))

    def save_failed(self, progress: Progress, start: int) -> None:
        """Records that the messages from `start` on failed, and moves past them."""
        with self._rows.writing() as database:
            self.save(progress, None)
            row = (progress.target, progress.digest, start, progress.messages)
            database.execute(_FAILED, row)
