"""A file of any version opens, one of a later version is refused, upstream's history is taken."""

from __future__ import annotations

import json
import os
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest

from isomem.clock import Clock
from isomem.errors import DatabaseError, MemoryCorruptionError
from isomem.store import schema
from isomem.store.check import check
from isomem.store.codec import unit_vector
from isomem.store.database import Database
from isomem.store.ledger import Ledger
from isomem.store.schema import prepare_ledger, prepare_store
from isomem.text.terms import TermEncoder
from tests.unit.store import reference
from tests.unit.store.conftest import Opened, prepare_both

Open = Callable[..., Opened]

# What version 1 made. Frozen: a file with these tables must open for ever.
VERSION_1 = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE collections (
    number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, dims INTEGER, distance TEXT NOT NULL,
    embedder TEXT, keywords TEXT NOT NULL DEFAULT '', documents INTEGER NOT NULL DEFAULT 0);
CREATE TABLE points (
    seq INTEGER PRIMARY KEY, collection INTEGER NOT NULL, id TEXT NOT NULL, user_id TEXT,
    agent_id TEXT, run_id TEXT, payload TEXT NOT NULL, vector BLOB NOT NULL, terms BLOB);
CREATE UNIQUE INDEX points_id ON points (id, collection);
CREATE INDEX points_user ON points (user_id, collection) WHERE user_id IS NOT NULL;
CREATE INDEX points_agent ON points (agent_id, collection) WHERE agent_id IS NOT NULL;
CREATE INDEX points_run ON points (run_id, collection) WHERE run_id IS NOT NULL;
CREATE TABLE terms (
    number INTEGER PRIMARY KEY, term TEXT NOT NULL, collection INTEGER NOT NULL,
    documents INTEGER NOT NULL, UNIQUE (term, collection));
CREATE TABLE links (
    entity INTEGER NOT NULL, position INTEGER NOT NULL, memory_id TEXT NOT NULL,
    PRIMARY KEY (entity, position)) WITHOUT ROWID;
CREATE INDEX links_memory ON links (memory_id);
CREATE TABLE history (
    id TEXT PRIMARY KEY, memory_id TEXT, old_memory TEXT, new_memory TEXT, event TEXT,
    created_at DATETIME, updated_at DATETIME, is_deleted INTEGER, actor_id TEXT, role TEXT);
CREATE TABLE messages (
    id TEXT PRIMARY KEY, session_scope TEXT, role TEXT, content TEXT, name TEXT,
    created_at DATETIME);
CREATE INDEX history_memory ON history (memory_id);
CREATE INDEX messages_scope ON messages (session_scope);
INSERT INTO meta VALUES ('schema_version', '1');
INSERT INTO collections VALUES (1, 'mem0', 2, 'cosine', 'some/embedder', '{rules}', 2);
INSERT INTO collections VALUES (2, 'mem0_entities', 2, 'cosine', 'some/embedder', '', 0);
INSERT INTO terms VALUES (1, 'green', 1, 1), (2, 'tea', 1, 2);
INSERT INTO links VALUES (3, 0, 'm1'), (3, 1, 'm2');
INSERT INTO history VALUES (
    'h1', 'm1', NULL, 'Green tea', 'ADD', '2024-01-01T00:00:00+00:00', NULL, 0, NULL, NULL);
INSERT INTO messages VALUES (
    's1', 'user_id=u', 'user', 'I like green tea', NULL, '2024-01-01T00:00:00+00:00');
PRAGMA application_id = 1769172845;
PRAGMA user_version = 0;
"""


def make_version_1(path: Path) -> None:
    encoder = TermEncoder()
    rules = "bm25 english " + _digest_of(encoder)
    with sqlite3.connect(path) as connection:
        connection.executescript(VERSION_1.replace("{rules}", rules))
        points = [
            (1, 1, "m1", {"data": "Green tea", "user_id": "u"}, [3.0, 4.0], {1: 1.5, 2: 1.5}),
            (2, 1, "m2", {"data": "Tea", "user_id": "u"}, [0.0, 1.0], {2: 1.75}),
            (3, 2, "e1", {"data": "Tea", "linked_memory_ids": [], "user_id": "u"}, [1.0, 0.0], {}),
        ]
        for seq, collection, name, payload, vector, terms in points:
            connection.execute(
                "INSERT INTO points VALUES (?, ?, ?, 'u', NULL, NULL, ?, ?, ?)",
                (seq, collection, name, json.dumps(payload), unit_vector(vector, 2),
                 old_terms(terms) if terms else None),
            )  # fmt: skip
    connection.close()


def old_terms(weights: dict[int, float]) -> bytes:
    return struct.pack(f"<{len(weights)}I{len(weights)}d", *weights, *weights.values())


def _digest_of(encoder: TermEncoder) -> str:
    from isomem.digest import md5_hex

    return md5_hex(" ".join(sorted(encoder.stopwords)))


def layout(path: Path) -> set[tuple[Any, ...]]:
    """The tables with their columns, and the indexes with theirs."""
    with sqlite3.connect(path) as connection:
        entries = connection.execute(
            "SELECT type, name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'"
        ).fetchall()
        found = {
            (kind, name, *connection.execute(f"SELECT * FROM pragma_{kind}_info(?)", (name,)))
            for kind, name in entries
        }
    connection.close()
    return found


def test_a_file_of_version_1_keeps_everything(path: Path, opened: Open) -> None:
    make_version_1(path)
    one = opened(dims=2, embedder="some/embedder")
    hits = one.points.search("", [3.0, 4.0], filters={"user_id": "u"})
    assert [(hit.id, hit.payload["data"]) for hit in hits] == [("m1", "Green tea"), ("m2", "Tea")]
    assert hits[0].score == pytest.approx(1.0)
    assert [hit.id for hit in one.points.keyword_search("green") or ()] == ["m1"]
    assert reference.stored_counts(one.database, "mem0")[0] == 2
    entity = one.entities.get("e1")
    assert entity is not None
    assert entity.payload == {"data": "Tea", "linked_memory_ids": ["m1", "m2"], "user_id": "u"}
    ledger = Ledger(one.database, Clock())
    assert [event["new_memory"] for event in ledger.get_history("m1")] == ["Green tea"]
    assert [each["content"] for each in ledger.get_last_messages("user_id=u")] == [
        "I like green tea"
    ]
    one.points.insert([[1.0, 1.0]], [{"data": "Black tea", "user_id": "u"}], ["m3"])
    assert {hit.id for hit in one.points.keyword_search("tea") or ()} == {"m1", "m2", "m3"}


def test_a_file_of_version_2_keeps_the_order_of_its_links(path: Path, opened: Open) -> None:
    make_version_2(path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE links SET position = 9 - position")
    connection.close()
    one = opened(dims=2, embedder="some/embedder")
    entity = one.entities.get("e1")
    assert entity is not None
    assert list(entity.payload.items()) == [
        ("data", "Tea"), ("linked_memory_ids", ["m2", "m1"]), ("user_id", "u")
    ]  # fmt: skip
    assert [each.id for each in one.entities.linked_to("m2")] == ["e1"]


def make_version_2(path: Path) -> None:
    make_version_1(path)
    with sqlite3.connect(path) as connection:
        connection.executescript(schema._MIGRATIONS[0])
        connection.execute("UPDATE meta SET value = '2' WHERE key = 'schema_version'")
    connection.close()


def make_version_3(path: Path) -> None:
    make_version_2(path)
    connection = apsw.Connection(str(path))  # Python's SQLite may be older than the migration.
    connection.execute(schema._MIGRATIONS[1])
    connection.execute("UPDATE meta SET value = '3' WHERE key = 'schema_version'")
    connection.close()


def make_version_4(path: Path) -> None:
    make_version_3(path)
    with sqlite3.connect(path) as connection:
        connection.executescript(schema._MIGRATIONS[2])
        connection.execute("UPDATE meta SET value = '4' WHERE key = 'schema_version'")
    connection.close()


def make_version_5(path: Path) -> None:
    make_version_4(path)
    with sqlite3.connect(path) as connection:
        connection.executescript(schema._MIGRATIONS[3])
        connection.execute("UPDATE meta SET value = '5' WHERE key = 'schema_version'")
    connection.close()


@pytest.mark.parametrize(
    ("payload", "linked"),
    [
        ('{"data":"Tea","linked_memory_ids":["m2","m1"],"user_id":"u"}', ["m2", "m1"]),
        ('{"data":"\\u00e4 \\ud800","linked_memory_ids":["m2","m1"],"user_id":"u"}', ["m2", "m1"]),
        ('{"data":"Tea","x":NaN,"linked_memory_ids":["m2","m1"],"user_id":"u"}', ["m1", "m2"]),
        ('{"data":"Tea","linked_memory_ids":["m2",', ["m1", "m2"]),
    ],
)
def test_a_file_of_version_5_keeps_its_links(
    path: Path, opened: Open, payload: str, linked: list[str]
) -> None:
    make_version_5(path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE points SET payload = ? WHERE id = 'e1'", (payload,))
    connection.close()
    one = opened(dims=2, embedder="some/embedder")
    ((row_key,),) = one.database.rows("SELECT row_key FROM points WHERE id = 'e1'")
    assert one.entities.links.of(row_key) == linked
    if payload.endswith("}"):
        entity = one.entities.get("e1")
        assert entity is not None
        assert [*entity.payload] == [*json.loads(payload)]
        assert entity.payload["data"] == json.loads(payload)["data"]
        assert entity.payload["linked_memory_ids"] == linked
        assert check(one.database) == []
    one.entities.unlink_all(["m1"], {})
    assert one.entities.links.of(row_key) == ["m2"]


def test_a_process_that_has_an_older_file_open_cannot_write_to_the_migrated_one(
    path: Path, opened: Open
) -> None:
    make_version_5(path)
    old = apsw.Connection(str(path))
    sql = "DELETE FROM links WHERE memory_id = ? AND entity = ?"
    old.execute(sql, ("unknown", 1))
    opened(dims=2, embedder="some/embedder")
    with pytest.raises(apsw.SQLError, match="no such table"):
        old.execute(sql, ("m1", 1))
    old.close()


def test_a_file_of_version_3_loses_its_terms_without_texts_and_can_detach(
    path: Path, opened: Open
) -> None:
    make_version_3(path)
    Opened(path, dims=2, embedder="some/embedder").close()  # Reindexed by today's rules.
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO terms VALUES (?, 0), (?, 7)", (1 << 32 | 5, 1 << 32 | 6))
        connection.execute("DROP INDEX scopes_detached")
        connection.execute("ALTER TABLE points RENAME COLUMN row_key TO place")
        connection.execute("ALTER TABLE insertions RENAME TO arrivals")
        connection.execute("DROP TABLE linked_memories")
        connection.executescript(schema._OLD_LINKS)
        connection.execute("UPDATE meta SET value = '3' WHERE key = 'schema_version'")
    connection.close()
    one = opened(dims=2, embedder="some/embedder")
    counts = dict(one.database.rows("SELECT number & 0xFFFFFFFF, documents FROM terms"))
    assert counts.pop(6) == 7
    assert 5 not in counts
    assert all(counts.values())
    assert one.points.detach({"user_id": "u"}) == 1
    assert {point.id for point in one.points.sweep(9)} == {"m1", "m2"}


@pytest.mark.parametrize(
    "make", [make_version_1, make_version_2, make_version_3, make_version_4, make_version_5]
)
def test_an_old_file_is_lifted_to_the_layout_of_a_new_one(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "old.db")
    for name in ("old.db", "new.db"):
        Database(str(tmp_path / name), prepare_both).close()
    assert layout(tmp_path / "old.db") == layout(tmp_path / "new.db")


def test_opening_again_changes_nothing(path: Path, opened: Open) -> None:
    opened().close()
    before = layout(path)
    opened().close()
    assert layout(path) == before


def test_every_migration_is_applied_once_and_in_order(
    path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened().close()
    later = (*schema._MIGRATIONS, "CREATE TABLE later (x)", "INSERT INTO later VALUES (1)")
    monkeypatch.setattr(schema, "_MIGRATIONS", later)
    monkeypatch.setattr(schema, "VERSION", len(later) + 1)
    for _ in range(2):
        one = opened()
        assert one.database.rows("SELECT * FROM later") == [(1,)]
        assert one.database.rows("SELECT value FROM meta") == [(str(len(later) + 1),)]
        one.close()


def test_a_migration_that_fails_leaves_the_file_as_it_was(
    path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened().close()
    before = layout(path)
    later = (*schema._MIGRATIONS, "CREATE TABLE later (x)", "CREATE TABLE points (x)")
    monkeypatch.setattr(schema, "_MIGRATIONS", later)
    monkeypatch.setattr(schema, "VERSION", len(later) + 1)
    with pytest.raises(DatabaseError, match="already exists"):
        opened()
    assert layout(path) == before
    monkeypatch.undo()
    opened()


def test_a_file_of_a_newer_schema_is_refused_and_left_alone(path: Path, opened: Open) -> None:
    one = opened()
    one.points.insert([[1.0]], [{"data": "x"}], ["x"])
    one.database.execute("UPDATE meta SET value = '99' WHERE key = 'schema_version'")
    one.close()
    with pytest.raises(DatabaseError, match="schema version 99") as caught:
        opened()
    assert str(path) in caught.value.message
    assert caught.value.details["file_version"] == 99
    assert caught.value.suggestion
    connection = apsw.Connection(str(path))
    assert connection.execute("SELECT id FROM points").fetchall() == [("x",)]
    connection.execute(
        "UPDATE meta SET value = ? WHERE key = 'schema_version'", (str(schema.VERSION),)
    )
    connection.close()
    assert opened().points.get("x") is not None


@pytest.mark.parametrize("value", ["abc", "", "-1", "0", "1e3", "9" * 30, "1.5", "²", None])
def test_a_schema_version_that_is_none_is_called_damaged(
    path: Path, opened: Open, value: str | None
) -> None:
    opened().close()
    connection = apsw.Connection(str(path))
    if value is None:
        connection.execute("DELETE FROM meta")
    else:
        connection.execute("UPDATE meta SET value = ? WHERE key = 'schema_version'", (value,))
    connection.close()
    with pytest.raises(MemoryCorruptionError, match="its schema version is") as caught:
        opened()
    assert str(path) in caught.value.message


def test_a_file_of_isomem_without_its_table_of_versions_is_called_damaged(
    path: Path, opened: Open
) -> None:
    opened().close()
    connection = apsw.Connection(str(path))
    connection.execute("DROP TABLE meta")
    connection.close()
    with pytest.raises(MemoryCorruptionError, match="its schema version is None"):
        opened()


# --- Upstream's history ----------------------------------------------------------------------

UPSTREAM = """
CREATE TABLE history (
    id TEXT PRIMARY KEY, memory_id TEXT, old_memory TEXT, new_memory TEXT, event TEXT,
    created_at DATETIME, updated_at DATETIME, is_deleted INTEGER, actor_id TEXT, role TEXT);
CREATE TABLE messages (
    id TEXT PRIMARY KEY, session_scope TEXT, role TEXT, content TEXT, name TEXT,
    created_at DATETIME);
INSERT INTO history VALUES
    ('h1', 'm1', NULL, 'Tea', 'ADD', '2024-01-01', NULL, 0, 'ana', 'user'),
    ('h2', 'm1', 'Tea', NULL, 'DELETE', '2024-01-01', '2024-01-02', 1, NULL, NULL);
INSERT INTO messages VALUES ('s1', 'user_id=u', 'user', 'hello', 'Ana', '2024-01-01');
"""


@pytest.mark.parametrize("prepare", [prepare_ledger, prepare_both])
def test_a_history_file_of_upstreams_layout_opens_as_it_is(path: Path, prepare: Any) -> None:
    with sqlite3.connect(path) as connection:
        connection.executescript(UPSTREAM)
    connection.close()
    database = Database(str(path), prepare)
    ledger = Ledger(database, Clock())
    assert [(row["id"], row["is_deleted"]) for row in ledger.get_history("m1")] == [
        ("h1", False), ("h2", True),
    ]  # fmt: skip
    assert ledger.get_last_messages("user_id=u") == [
        {"role": "user", "content": "hello", "name": "Ana", "created_at": "2024-01-01"}
    ]
    ledger.add_history("m2", None, "Coffee", "ADD")
    ledger.close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM history").fetchone() == (3,)
    connection.close()


def test_a_history_of_older_columns_is_lifted_and_keeps_its_rows(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.executescript(
            "CREATE TABLE history_old (x);"
            "CREATE TABLE history (id TEXT PRIMARY KEY, memory_id TEXT, prev_value TEXT,"
            " new_value TEXT, new_memory TEXT, event TEXT, created_at DATETIME,"
            " conversation_id TEXT);"
            "INSERT INTO history VALUES ('h1', 'm1', 'a', 'b', 'Tea', 'ADD', '2024-01-01', 'c');"
        )
    connection.close()
    for _ in range(2):
        database = Database(str(path), prepare_ledger)
        (event,) = Ledger(database, Clock()).get_history("m1")
        assert event == {
            "id": "h1", "memory_id": "m1", "old_memory": None, "new_memory": "Tea",
            "event": "ADD", "created_at": "2024-01-01", "updated_at": None, "is_deleted": False,
            "actor_id": None, "role": None,
        }  # fmt: skip
        tables = {row[0] for row in database.rows("SELECT name FROM sqlite_schema")}
        assert "history_old" not in tables
        database.close()


def test_a_history_without_a_known_column_becomes_an_empty_one(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.executescript("CREATE TABLE history (x); INSERT INTO history VALUES (1);")
    connection.close()
    database = Database(str(path), prepare_ledger)
    assert database.rows("SELECT count(*) FROM history") == [(0,)]
    database.close()


def test_the_tables_of_the_ledger_have_exactly_upstreams_columns(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours.db", tmp_path / "theirs.db"
    Database(str(ours), prepare_ledger).close()
    with sqlite3.connect(theirs) as connection:
        connection.executescript(UPSTREAM)
    connection.close()
    tables = [{entry for entry in layout(path) if entry[0] == "table"} for path in (ours, theirs)]
    assert {entry for entry in tables[0] if entry[1] != "removed"} == tables[1]


def test_a_file_for_the_history_alone_has_no_memories_in_it(path: Path) -> None:
    """Beside upstream's tables it says whose the removed memories were, for a purge."""
    Database(str(path), prepare_ledger).close()
    tables = {entry[1] for entry in layout(path) if entry[0] == "table"}
    assert tables == {"history", "messages", "removed"}
    assert prepare_store is not prepare_ledger


# --- A file that cannot be written ------------------------------------------------------------

READ = """
import os, sys
from isomem.errors import MemoryError
from isomem.store.database import Database
from isomem.store.schema import prepare_store
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    Database(sys.argv[1], prepare_store)
except MemoryError as error:
    print(error)
"""


@pytest.mark.parametrize("make", [make_version_1, make_version_4])
def test_a_read_only_file_of_an_older_version_says_so(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    path = tmp_path / "memory.db"
    make(path)
    for each in (tmp_path, *tmp_path.parents):
        if each.stat().st_uid == os.getuid() and each != Path("/"):
            each.chmod(each.stat().st_mode | 0o111)
    path.chmod(0o444)
    tmp_path.chmod(0o555)
    try:
        done = subprocess.run(
            [sys.executable, "-c", READ, str(path)], capture_output=True, text=True, check=False
        )
    finally:
        tmp_path.chmod(0o755)
    version = 1 if make is make_version_1 else 4
    assert f"has schema version {version} and cannot be migrated" in done.stdout, done.stderr
