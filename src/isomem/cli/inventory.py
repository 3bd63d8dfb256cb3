"""What is in a memory file. It is read without opening a memory, so nothing in it changes."""

from __future__ import annotations

import os

from isomem import kernel
from isomem.location import path_of
from isomem.store.snapshot import snapshot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    import apsw

    from isomem.config import MemoryConfig
    from isomem.store.check import Finding

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
        MemoryCorruptionError: it is not a memory file.
        DatabaseError: it cannot be read.
        InvalidConfigError: the memories are not in a file.
    """
    path = path_of(config)
    with snapshot(path) as connection:
        return {"path": path, "size_bytes": _size(path), **_counts(connection, config)}


def _size(path: str) -> int:
    """Bytes on disk, including SQLite's log."""
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


def damage(config: MemoryConfig) -> list[tuple[str, Finding]]:
    """What `check` finds in the files that a configuration names, each with its file.

    Raises:
        As `inventory`; DatabaseError also if the file has another schema version.
    """
    from isomem.store.check import check, check_ledger
    from isomem.text.tiers import load_encoder

    path = path_of(config)
    encoder = load_encoder(config.nlp.provider, config.nlp.config.model_dump())
    with snapshot(path) as connection:
        found = [(path, each) for each in check(connection, encoder)]
    ledger = _ledger_of(config)
    if ledger:
        with snapshot(ledger) as connection:
            found += [(ledger, each) for each in check_ledger(connection)]
    return found


def copy_files(config: MemoryConfig, target: str) -> dict[str, int]:
    """Backs up the files that a configuration names. Returns the sizes of the copies by path.

    A separate history file is copied to the target's name with "-history" appended.

    Raises:
        As `inventory`; ValidationError if a target exists.
    """
    from isomem.store.backup import backup

    path, ledger = path_of(config), _ledger_of(config)
    copied = {target: backup(path, target)}
    if ledger:
        copied[f"{target}-history"] = backup(ledger, f"{target}-history")
    return copied


def _ledger_of(config: MemoryConfig) -> str | None:
    """The history file, if it is separate from the memory file."""
    path: str | None = config.history_db_path
    is_own = path is not None and path != config.vector_store.config["path"]
    return path if is_own and path and os.path.isfile(path) else None
