"""How far conversations have been ingested: rows that are written with the resulting memories.

A row is found by what was ingested (a digest of the messages and of whose memory they are), not by
the name of the file. A chunk whose reply could not be used has its own row until it is ingested.
"""

from __future__ import annotations

from isomem.contract.plan import FailedChunk, TakenIn
from isomem.errors import DatabaseError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from isomem.contract.plan import Progress
    from isomem.store.database import Database

_TABLES = """
CREATE TABLE IF NOT EXISTS ingests (
    digest        TEXT PRIMARY KEY,
    target        TEXT NOT NULL,
    source        TEXT NOT NULL,
    messages      INTEGER NOT NULL,
    total         INTEGER NOT NULL,
    first_memory  TEXT
);
CREATE TABLE IF NOT EXISTS failed_chunks (
    target        TEXT NOT NULL,
    digest        TEXT NOT NULL,
    start         INTEGER NOT NULL,
    messages      INTEGER NOT NULL,
    PRIMARY KEY (target, digest, start)
) WITHOUT ROWID;
"""
_INSERT = (
    "INSERT OR IGNORE INTO ingests (digest, source, messages, total, first_memory, target)"
    " VALUES (?, ?, ?, ?, ?, ?)"
)
_REPLACE = (
    "UPDATE OR IGNORE ingests SET digest = ?, source = ?, messages = ?, total = ?,"
    " first_memory = ? WHERE digest = ?"
)
_RETRIED = "DELETE FROM failed_chunks WHERE target = ? AND digest = ? AND start = ?"


class Ingests:
    """The progress of the ingests into one file.

    Args:
        database: the file; its tables are created with the first ingest.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def prepare(self) -> None:
        """Creates the tables if they do not exist."""
        with self._database.writing() as database:
            database.connection.execute(_TABLES)

    def taken_in(self, target: str) -> Sequence[TakenIn]:
        """What was ingested for a target."""
        sql = "SELECT digest, messages, total, source, first_memory FROM ingests WHERE target = ?"
        with self._database.reading() as database:
            return [TakenIn(*row) for row in database.rows(sql, (target,))]

    def failed(self, target: str) -> Sequence[FailedChunk]:
        """The chunks of a target that failed and are not ingested yet."""
        sql = "SELECT digest, start, messages FROM failed_chunks WHERE target = ? ORDER BY start"
        with self._database.reading() as database:
            return [FailedChunk(*row) for row in database.rows(sql, (target,))]

    def forget(self, target: str, digests: Sequence[str], source: str | None = None) -> None:
        """Removes the rows with these digests, and those of a target from `source`."""
        with self._database.writing() as database:
            for digest in digests:
                database.execute("DELETE FROM ingests WHERE digest = ?", (digest,))
                sql = "DELETE FROM failed_chunks WHERE target = ? AND digest = ?"
                database.execute(sql, (target, digest))
            if source is not None:
                sql = "DELETE FROM ingests WHERE target = ? AND source = ?"
                database.execute(sql, (target, source))

    def clear(self) -> None:
        """Removes all rows: their memories are gone."""
        with self._database.writing() as database:
            sql = "SELECT name FROM sqlite_schema WHERE name IN ('ingests', 'failed_chunks')"
            for (table,) in database.rows(sql):
                database.execute(f"DELETE FROM {table}")

    def save(self, progress: Progress, first_memory: str | None) -> None:
        """Writes one row, inside the transaction that stores the chunk.

        Args:
            first_memory: the id of the first memory of the chunk.

        Raises:
            DatabaseError: INGEST_002, another process has ingested the same messages.
        """
        with self._database.writing() as database:
            if progress.retried is not None:
                key = (progress.target, progress.digest, progress.retried)
                database.execute(_RETRIED, key)
            else:
                self._save_row(progress, progress.first_memory or first_memory)
            if not database.connection.changes():
                raise _taken()

    def _save_row(self, progress: Progress, first_memory: str | None) -> None:
        values = (
            progress.digest, progress.source, progress.messages, progress.total, first_memory,
        )  # fmt: skip
        if progress.replaces is None:
            self._database.execute(_INSERT, (*values, progress.target))
        else:
            self._database.execute(_REPLACE, (*values, progress.replaces))

    def save_failed(self, progress: Progress, start: int) -> None:
        """Records that the messages from `start` on failed, and moves past them.

        Raises:
            DatabaseError: INGEST_002, as in `save`.
        """
        with self._database.writing() as database:
            self.save(progress, None)
            sql = "INSERT OR REPLACE INTO failed_chunks VALUES (?, ?, ?, ?)"
            row = (progress.target, progress.digest, start, progress.messages)
            database.execute(sql, row)


def _taken() -> DatabaseError:
    return DatabaseError(
        "another process is ingesting the same conversation; nothing of this chunk was stored",
        error_code="INGEST_002",
        suggestion="Let the other process finish, or stop it and run this again.",
    )
