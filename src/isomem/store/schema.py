"""The tables of the file, as numbered migrations, and the two tables that upstream owns.

A new file gets the current tables; an older one is migrated. A migration is never edited after a
release: a new one is appended. The version is in the table `meta`. `history` and `messages` have
exactly upstream's layout, so that upstream's `history.db` opens as it is; the indexes on them are
ours.
"""

from __future__ import annotations

from isomem.errors import DatabaseError
from isomem.store.meanings import damaged

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

# A row key is the number of a scope, shifted by 36 bits, plus the insertion order in the file.
# `points.terms` is NULL if a text is not indexed. `terms.number` is a collection's number, shifted
# by 32 bits, plus a term's. `terms` does not count the texts among the insertions.
_COLLECTIONS = """
    CREATE TABLE collections (
        number         INTEGER PRIMARY KEY,
        name           TEXT NOT NULL UNIQUE,
        dims           INTEGER,
        distance       TEXT NOT NULL,
        embedder       TEXT,
        keywords       TEXT NOT NULL DEFAULT '',
        documents      INTEGER NOT NULL DEFAULT 0
    );
    CREATE TABLE scopes (
        number         INTEGER PRIMARY KEY,
        collection     INTEGER NOT NULL,
        user_id        TEXT,
        agent_id       TEXT,
        run_id         TEXT
    );
    CREATE INDEX scopes_ids ON scopes (user_id, agent_id, run_id, collection);
    CREATE INDEX scopes_agent ON scopes (agent_id, collection) WHERE agent_id IS NOT NULL;
    CREATE INDEX scopes_run ON scopes (run_id, collection) WHERE run_id IS NOT NULL;
"""
_POINTS = """
    CREATE TABLE points (
        row_key        INTEGER PRIMARY KEY,
        collection     INTEGER NOT NULL,
        id             TEXT NOT NULL,
        payload        TEXT NOT NULL,
        vector         BLOB NOT NULL,
        terms          BLOB
    );
    CREATE UNIQUE INDEX points_id ON points (id, collection);
    CREATE TABLE insertions (
        seq            INTEGER PRIMARY KEY,
        scope          INTEGER NOT NULL
    );
    CREATE TABLE terms (
        number         INTEGER PRIMARY KEY,
        documents      INTEGER NOT NULL
    );
"""
_LINKS = """
    CREATE TABLE linked_memories (
        memory_id      TEXT NOT NULL,
        entity         INTEGER NOT NULL,
        position       INTEGER NOT NULL,
        PRIMARY KEY (memory_id, entity, position)
    ) WITHOUT ROWID;
    CREATE INDEX linked_memories_entity ON linked_memories (entity, position);
"""

# A detached scope has the negative number of its collection: it is hidden, but not removed yet.
_DETACHED = "CREATE INDEX scopes_detached ON scopes (collection) WHERE collection < 0;"

# The same tables under the names that they had from version 2 to version 4.
_OLD_POINTS = """
    CREATE TABLE points (
        place          INTEGER PRIMARY KEY,
        collection     INTEGER NOT NULL,
        id             TEXT NOT NULL,
        payload        TEXT NOT NULL,
        vector         BLOB NOT NULL,
        terms          BLOB
    );
    CREATE UNIQUE INDEX points_id ON points (id, collection);
    CREATE TABLE arrivals (
        seq            INTEGER PRIMARY KEY,
        scope          INTEGER NOT NULL
    );
    CREATE TABLE terms (
        number         INTEGER PRIMARY KEY,
        documents      INTEGER NOT NULL
    );
"""

# The links of versions 3 to 5, which an entity's payload listed, too.
_OLD_LINKS = """
    CREATE TABLE links (
        memory_id      TEXT NOT NULL,
        entity         INTEGER NOT NULL,
        PRIMARY KEY (memory_id, entity)
    ) WITHOUT ROWID;
    CREATE INDEX links_entity ON links (entity);
"""

# What migrates a file of version 1, 2, ... to the next one.
_MIGRATIONS = (
    # Points are ordered by scope, and terms have numbers that need no table of words. Texts are
    # reindexed when the collection is opened, since the rules have another name.
    """
    ALTER TABLE points RENAME TO old_points;
    ALTER TABLE links RENAME TO old_links;
    ALTER TABLE collections RENAME TO old_collections;
    DROP INDEX points_id;
    DROP INDEX points_user;
    DROP INDEX points_agent;
    DROP INDEX points_run;
    DROP INDEX links_memory;
    DROP TABLE terms;
    """
    + _COLLECTIONS
    + _OLD_POINTS
    + """
    CREATE TABLE links (
        entity         INTEGER NOT NULL,
        position       INTEGER NOT NULL,
        memory_id      TEXT NOT NULL,
        PRIMARY KEY (entity, position)
    ) WITHOUT ROWID;
    CREATE INDEX links_memory ON links (memory_id);
    INSERT INTO collections SELECT number, name, dims, distance, embedder, keywords, 0
        FROM old_collections;
    INSERT INTO scopes (collection, user_id, agent_id, run_id)
        SELECT DISTINCT collection, user_id, agent_id, run_id FROM old_points;
    INSERT INTO points
        SELECT s.number << 36 | o.seq, o.collection, o.id, o.payload, o.vector, NULL
        FROM old_points AS o JOIN scopes AS s ON s.collection = o.collection
            AND s.user_id IS o.user_id AND s.agent_id IS o.agent_id AND s.run_id IS o.run_id;
    INSERT INTO links
        SELECT p.place, l.position, l.memory_id
        FROM old_links AS l JOIN old_points AS o ON o.seq = l.entity
            JOIN points AS p ON p.id = o.id AND p.collection = o.collection;
    INSERT INTO arrivals SELECT max(seq), 0 FROM old_points HAVING max(seq) IS NOT NULL;
    DROP TABLE old_links;
    DROP TABLE old_points;
    DROP TABLE old_collections;
    """,
    # An entity's payload has its links again, as in upstream; the table leads from a memory back
    # to its entities. Each link is one row, wherever in the list it is.
    """
    UPDATE points SET payload = json_set(payload, '$.linked_memory_ids', json((
        SELECT json_group_array(memory_id ORDER BY position) FROM links WHERE entity = place
    ))) WHERE place IN (SELECT entity FROM links);
    ALTER TABLE links RENAME TO old_links;
    DROP INDEX links_memory;
    """
    + _OLD_LINKS
    + """
    INSERT OR IGNORE INTO links SELECT memory_id, entity FROM old_links;
    DROP TABLE old_links;
    """,
    # Scopes can be detached, and terms without texts are removed.
    _DETACHED + "DELETE FROM terms WHERE documents <= 0;",
    # Only names change.
    """
    ALTER TABLE points RENAME COLUMN place TO row_key;
    ALTER TABLE arrivals RENAME TO insertions;
    """,
    # Only rows say what an entity is linked to; the list in its payload is empty. A payload that
    # SQLite cannot read keeps its list, which nothing looks at, and its links are sorted. The table
    # has a new name, so that a process which still has the older file open cannot write to it.
    _LINKS
    + """
    INSERT OR IGNORE INTO linked_memories
        SELECT each.value, p.row_key, each.key FROM points AS p JOIN json_each(
            CASE WHEN json_valid(p.payload) THEN p.payload ELSE '{}' END, '$.linked_memory_ids'
        ) AS each WHERE p.row_key IN (SELECT entity FROM links);
    INSERT INTO linked_memories SELECT memory_id, entity, 0 FROM links
        WHERE entity NOT IN (SELECT entity FROM linked_memories);
    UPDATE points SET payload = json_replace(payload, '$.linked_memory_ids', json('[]'))
        WHERE row_key IN (SELECT entity FROM linked_memories) AND json_valid(payload);
    DROP TABLE links;
    """,
)

VERSION = len(_MIGRATIONS) + 1


def prepare_store(connection: apsw.Connection) -> None:
    """Creates the tables of the current schema, inside the caller's transaction.

    Writes nothing to a file that already has them.

    Raises:
        DatabaseError: the file was written by a newer isomem, or by an older one and is read-only.
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
    if version and connection.readonly("main"):
        raise DatabaseError(
            f"{connection.filename} has schema version {version} and cannot be migrated to version "
            f"{VERSION}, since it is read-only",
            details={"file_version": version, "known_version": VERSION},
            suggestion="Open it once where it can be written; then it can be read anywhere.",
        )
    if version == 0:
        connection.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(_COLLECTIONS + _POINTS + _LINKS + _DETACHED)
    for migration in _MIGRATIONS[version - 1 :] if version else ():
        connection.execute(migration)
    connection.execute("REPLACE INTO meta VALUES ('schema_version', ?)", (str(VERSION),))


def _version(connection: apsw.Connection) -> int:
    owner = connection.execute("PRAGMA application_id").fetchall()[0][0]
    if owner == APPLICATION_ID:
        return _stored_version(connection)
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema")}
    if owner or tables & {"meta", "collections", "points", "terms", "links"}:
        raise damaged(
            f"{connection.filename} is a database of another program",
            details={"application_id": owner, "tables": sorted(tables)},
            suggestion="Choose another path for the memory file.",
        )
    return 0


def _stored_version(connection: apsw.Connection) -> int:
    found: object = None
    if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'meta'").fetchall():
        sql = "SELECT value FROM meta WHERE key = 'schema_version'"
        found = next((row[0] for row in connection.execute(sql).fetchall()), None)
    digits = str(found)
    if not (digits.isascii() and digits.isdigit() and int(digits[:9]) > 0 and len(digits) < 10):
        raise damaged(
            f"{connection.filename} is damaged: its schema version is {found!r:.40}",
            suggestion="Restore it from a backup.",
        )
    return int(digits)


def prepare_ledger(connection: apsw.Connection) -> None:
    """Creates `history` and `messages`, and migrates a history with older columns.

    Also creates `removed`, which records whose the removed memories were: `purge` needs it to find
    the history that it has to remove.
    """
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
    connection.execute(
        "CREATE TABLE IF NOT EXISTS removed (memory_id TEXT PRIMARY KEY,"
        " user_id TEXT, agent_id TEXT, run_id TEXT) WITHOUT ROWID"
    )
    connection.execute("CREATE INDEX IF NOT EXISTS history_memory ON history (memory_id)")
    connection.execute("CREATE INDEX IF NOT EXISTS messages_scope ON messages (session_scope)")


def _create(table: str, columns: dict[str, str]) -> str:
    body = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    return f"CREATE TABLE IF NOT EXISTS {table} ({body})"
