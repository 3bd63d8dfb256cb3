"""What is in a memory file, read without opening it as a memory: nothing in it changes."""

from __future__ import annotations

import os

import apsw

from isomem import kernel
from isomem.errors import (
    DatabaseError,
    InvalidConfigError,
    MemoryCorruptionError,
    MemoryNotFoundError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from isomem.config import MemoryConfig

_COLLECTIONS = """
SELECT name, dims, embedder,
       (SELECT count(*) FROM points WHERE collection = own.number),
       (SELECT count(*) FROM points JOIN collections AS other ON collection = other.number
        WHERE other.name = own.name || '_entities')
FROM collections AS own
WHERE name NOT IN (SELECT name || '_entities' FROM collections)
ORDER BY name
"""


def inventory(config: MemoryConfig) -> dict[str, Any]:
    """Sizes and counts of the file that a configuration names.

    Raises:
        MemoryNotFoundError: there is no file.
        MemoryCorruptionError: it is no memory file.
        DatabaseError: it cannot be read.
        InvalidConfigError: the memories are not in a file.
    """
    path = _path(config)
    try:
        # A bare connection: opening a memory would make the file, or lift its schema.
        connection = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY)
        try:
            return {"path": path, "size_bytes": _size(path), **_counts(connection, config)}
        finally:
            connection.close()
    except (apsw.NotADBError, apsw.CorruptError, apsw.SQLError) as error:
        raise MemoryCorruptionError(
            f"{path} is not a memory file: {error}", error_code="CORRUPT_001"
        ) from error
    except apsw.Error as error:
        raise DatabaseError(f"{path} cannot be read: {error}") from error


def _path(config: MemoryConfig) -> str:
    store = config.vector_store
    if store.provider != "embedded":
        raise InvalidConfigError(
            f"The memories are in {store.provider!r}, and not in a file", error_code="CONFIG_005"
        )
    path: str = store.config["path"]
    if not os.path.isfile(path):
        raise MemoryNotFoundError(
            f"There is no memory file {path} yet.",
            error_code="NOT_FOUND",
            suggestion="`isomem add` makes it; --path or ISOMEM_DIR name another place.",
        )
    return path


def _size(path: str) -> int:
    """Bytes on disk, with what is still in SQLite's log."""
    files = (path, f"{path}-wal")
    return sum(os.path.getsize(file) for file in files if os.path.isfile(file))


def _counts(connection: apsw.Connection, config: MemoryConfig) -> dict[str, Any]:
    def first(sql: str) -> Any:
        return connection.execute(sql).fetchall()[0][0]

    keys = ("name", "dims", "embedder", "memories", "entities")
    rows = connection.execute(_COLLECTIONS).fetchall()
    own_ledger = config.history_db_path is None
    return {
        "schema_version": int(first("SELECT value FROM meta WHERE key = 'schema_version'")),
        "synchronous": config.vector_store.config["synchronous"],
        "kernel": "compiled" if kernel.COMPILED else "python",
        "history": first("SELECT count(*) FROM history") if own_ledger else None,
        "messages": first("SELECT count(*) FROM messages") if own_ledger else None,
        "collections": [dict(zip(keys, row, strict=True)) for row in rows],
    }
