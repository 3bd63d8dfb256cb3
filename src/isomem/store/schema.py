"""The tables of the file, as numbered migrations, and the two tables that upstream owns.

A migration is never edited after a release: a new one is appended. The number of the last one
applied is in the table `meta`. `history` and `messages` have exactly upstream's layout, so that a
`history.db` of upstream opens as it is; the indexes on them are ours.
"""

from __future__ import annotations

from isomem.errors import DatabaseError, MemoryCorruptionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import apsw

APPLICATION_ID = 0x69736F6D
"""Marks the file as isomem's ("isom") in the SQLite header."""

HISTORY_COLUMNS = {
    "id": "TEXT PRIMARY KEY",
    "memory_id": "TEXT",
    "old_memory": "TEXT",
    "new_memory": "TEXT",
    "event": "TEXT",
    "created_at": "DATETIME",
    "updated_at": "DATETIME",
    "is_deleted": "INTEGER",
    "actor_id": "TEXT",
    "role": "TEXT",
}

MESSAGE_COLUMNS = {
    "id": "TEXT PRIMARY KEY",
    "session_scope": "TEXT",
    "role": "TEXT",
    "content": "TEXT",
    "name": "TEXT",
    "created_at": "DATETIME",
}

# `seq` is the order of insertion; `points.terms` is NULL where a text was not indexed.
# Each scope id has an index of its own, and only the points that have the id are in it.
_MIGRATIONS = (
    """
    CREATE TABLE collections (
        number         INTEGER PRIMARY KEY,
        name           TEXT NOT NULL UNIQUE,
        dims           INTEGER,
        distance       TEXT NOT NULL,
        embedder       TEXT,
        keywords       TEXT NOT NULL DEFAULT '',
        documents      INTEGER NOT NULL DEFAULT 0
    );
    CREATE TABLE points (
        seq            INTEGER PRIMARY KEY,
        collection     INTEGER NOT NULL,
        id             TEXT NOT NULL,
        user_id        TEXT,
        agent_id       TEXT,
        run_id         TEXT,
        payload        TEXT NOT NULL,
        vector         BLOB NOT NULL,
        terms          BLOB
    );
    CREATE UNIQUE INDEX points_id ON points (id, collection);
    CREATE INDEX points_user ON points (user_id, collection) WHERE user_id IS NOT NULL;
    CREATE INDEX points_agent ON points (agent_id, collection) WHERE agent_id IS NOT NULL;
    CREATE INDEX points_run ON points (run_id, collection) WHERE run_id IS NOT NULL;
    CREATE TABLE terms (
        number         INTEGER PRIMARY KEY,
        term           TEXT NOT NULL,
        collection     INTEGER NOT NULL,
        documents      INTEGER NOT NULL,
        UNIQUE (term, collection)
    );
    CREATE TABLE links (
        entity         INTEGER NOT NULL,
        position       INTEGER NOT NULL,
        memory_id      TEXT NOT NULL,
        PRIMARY KEY (entity, position)
    ) WITHOUT ROWID;
    CREATE INDEX links_memory ON links (memory_id);
    """,
)

VERSION = len(_MIGRATIONS)


def prepare_store(connection: apsw.Connection) -> None:
    """Brings the file to the current schema, inside the caller's transaction.

    Raises:
        DatabaseError: the file was written by a newer isomem.
        MemoryCorruptionError: the file is a database of another program.
    """
    version = _version(connection)
    if version > VERSION:
        raise DatabaseError(
            f"{connection.filename} has schema version {version}, "
            f"this isomem knows up to {VERSION}",
            details={"file_version": version, "known_version": VERSION},
            suggestion="Open it with the isomem that wrote it, or a newer one.",
        )
    if version == VERSION:
        return
    if version == 0:
        connection.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    for migration in _MIGRATIONS[version:]:
        connection.execute(migration)
    connection.execute("REPLACE INTO meta VALUES ('schema_version', ?)", (str(VERSION),))


def _version(connection: apsw.Connection) -> int:
    owner = connection.execute("PRAGMA application_id").fetchall()[0][0]
    if owner == APPLICATION_ID:
        rows = connection.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchall()
        return int(str(rows[0][0]))
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema")}
    if owner or tables & {"meta", "collections", "points", "terms", "links"}:
        raise MemoryCorruptionError(
            f"{connection.filename} is a database of another program",
            error_code="CORRUPT_001",
            details={"application_id": owner, "tables": sorted(tables)},
            suggestion="Choose another path for the memory file.",
        )
    return 0


def prepare_ledger(connection: apsw.Connection) -> None:
    """Makes `history` and `messages`, and lifts a history of older columns to the current ones."""
    columns = {row[1] for row in connection.execute("PRAGMA table_info(history)")}
    outdated = bool(columns) and columns != set(HISTORY_COLUMNS)
    if outdated:
        connection.execute("DROP TABLE IF EXISTS history_old")
        connection.execute("ALTER TABLE history RENAME TO history_old")
    connection.execute(_create("history", HISTORY_COLUMNS))
    connection.execute(_create("messages", MESSAGE_COLUMNS))
    if outdated:
        kept = ", ".join(name for name in HISTORY_COLUMNS if name in columns)
        if kept:
            connection.execute(f"INSERT INTO history ({kept}) SELECT {kept} FROM history_old")
        connection.execute("DROP TABLE history_old")
    connection.execute("CREATE INDEX IF NOT EXISTS history_memory ON history (memory_id)")
    connection.execute("CREATE INDEX IF NOT EXISTS messages_scope ON messages (session_scope)")


def _create(table: str, columns: dict[str, str]) -> str:
    body = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    return f"CREATE TABLE IF NOT EXISTS {table} ({body})"
