"""A memory file as a tool reads it: nothing is created, migrated or written."""

from __future__ import annotations

from contextlib import contextmanager

import apsw

from isomem.errors import DatabaseError, MemoryCorruptionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

BUSY_TIMEOUT_S = 10.0


@contextmanager
def snapshot(path: str) -> Iterator[apsw.Connection]:
    """A read-only connection that sees one state of the file, even while others write.

    Raises:
        MemoryCorruptionError: the file is not a database, is damaged, or is not a memory file.
        DatabaseError: the file cannot be read.
    """
    try:
        connection = _open(path)
        try:
            with reading(connection):
                yield connection
        finally:
            connection.close()
    except (apsw.NotADBError, apsw.CorruptError, apsw.SQLError) as error:
        raise MemoryCorruptionError(
            f"{path} is not a memory file, or is damaged: {error}", error_code="CORRUPT_001"
        ) from error
    except apsw.Error as error:
        raise DatabaseError(f"{path} cannot be read: {error}") from error


def _open(path: str) -> apsw.Connection:
    connection = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY)
    connection.set_busy_timeout(int(BUSY_TIMEOUT_S * 1000))
    connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
    connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
    return connection


@contextmanager
def reading(connection: apsw.Connection) -> Iterator[None]:
    """A block in which all queries of a connection see the same state."""
    if connection.in_transaction:
        yield
        return
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
