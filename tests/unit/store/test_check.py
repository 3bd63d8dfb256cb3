"""`check` finds every kind of damage, and nothing in a file that is sound."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomem import Memory
from isomem.errors import DatabaseError, MemoryCorruptionError
from isomem.store.check import Finding, check, check_history, check_ledger
from isomem.store.keywords import COUNTED_EVERY
from isomem.store.schema import prepare_ledger
from isomem.store.snapshot import snapshot
from isomem.testing import HashEmbedder, ScriptedLLM
from isomem.text.terms import TermEncoder
from tests.unit.store.fuzz import examples

ENCODER = TermEncoder()
USERS = ("ana", "ben", "*")


def memory_at(path: Path, **options: Any) -> Memory:
    store = {"path": str(path), **options}
    made = Memory.from_config(
        {
            "vector_store": {"provider": "embedded", "config": store},
            "embedder": {"provider": "mock", "config": {"embedding_dims": 32}},
        }
    )
    made.embedding_model = HashEmbedder(32)
    return made


def infer(memory: Memory, *texts: str, **ids: str) -> list[str]:
    """Adds facts through a model that found them; their ids."""
    memory.llm = ScriptedLLM([{"memory": [{"text": text} for text in texts]}])
    return [each["id"] for each in memory.add("Listen", **ids)["results"]]


def findings(path: Path) -> list[Finding]:
    with snapshot(str(path)) as connection:
        return check(connection, ENCODER)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with some of everything."""
    path = tmp_path / "memory.db"
    memory = memory_at(path)
    for number in range(6):
        memory.add(f"number {number} of ana", user_id="ana", infer=False)
    infer(memory, "Ana met Marie Curie in Paris", "Marie Curie likes tea", user_id="ana")
    first, second = infer(memory, "Ben moved to New York", "Ben saw Marie Curie", user_id="ben")
    memory.update(first, "Ben moved to San Francisco")
    memory.delete(second)
    memory.close()
    return path


def damage(path: Path, sql: str, *bindings: Any) -> None:
    connection = apsw.Connection(str(path))
    connection.execute(sql, bindings)
    assert connection.changes() or not sql.startswith(("UPDATE", "DELETE", "INSERT"))
    connection.close()


def test_a_sound_file_has_no_findings(path: Path) -> None:
    assert findings(path) == []
    with snapshot(str(path)) as connection:
        assert check_history(connection) == []


def test_an_open_database_is_checked_through_its_own_connection(path: Path) -> None:
    memory = memory_at(path)
    database: Any = memory.vector_store.database  # type: ignore[attr-defined]
    assert check(database, ENCODER) == []
    memory.add("one more", user_id="ana", infer=False)
    with database.reading():
        assert check(database, ENCODER) == []
    memory.close()


def test_counts_are_right_before_and_after_the_insertions_were_counted(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    memory = memory_at(path)
    for number in range(COUNTED_EVERY + 3):
        memory.add(f"text {number % 7}", user_id=f"u{number % 5}", infer=False)
    assert findings(path) == []
    memory.delete(memory.get_all(filters={"user_id": "u1"})["results"][0]["id"])
    memory.delete_all(user_id="u2")
    assert findings(path) == []
    memory.reset()
    assert findings(path) == []
    memory.close()


Step = tuple[str, str, str]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(("raw", "infer", "update", "delete", "delete_all", "reopen")),
        st.sampled_from(USERS),
        st.sampled_from(("Marie Curie likes tea", "Paris", "", "Ana saw the Eiffel Tower", "x y")),
    ),
    max_size=12,
)


@examples(25)
@given(STEPS)
def test_whatever_a_memory_does_leaves_a_sound_file(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Step]
) -> None:
    path = tmp_path_factory.mktemp("check") / "memory.db"
    memory = memory_at(path)
    for action, user, text in steps:
        memory = take(memory, path, action, user, text)
    memory.close()
    assert findings(path) == []
    with snapshot(str(path)) as connection:
        assert check_history(connection) == []


def take(memory: Memory, path: Path, action: str, user: str, text: str) -> Memory:
    """One step; the memory to go on with."""
    ids = [each["id"] for each in memory.get_all(filters={"user_id": user})["results"]]
    if action == "raw":
        memory.add(text or "empty", user_id=user, infer=False)
    elif action == "infer":
        infer(memory, text or "Ben", "Ana and Marie Curie", user_id=user)
    elif action == "update" and ids:
        memory.update(ids[0], text or "nothing")
    elif action == "delete" and ids:
        memory.delete(ids[-1])
    elif action == "delete_all":
        memory.delete_all(user_id=user)
    elif action == "reopen":
        memory.close()
        return memory_at(path)
    return memory


# --- Damage ----------------------------------------------------------------------------------

ENTITY = "collection = (SELECT number FROM collections WHERE name = 'mem0_entities')"
MEMORY = "collection = (SELECT number FROM collections WHERE name = 'mem0')"
NAN_FIRST = "CAST(x'0000c07f' || substr(vector, 5) AS BLOB)"
TWO_FIRST = "CAST(x'00000040' || substr(vector, 5) AS BLOB)"
GHOST = "json_insert(payload, '$.linked_memory_ids[#]', 'ghost')"
COLUMNS = "collection, user_id"
ONE = f"row_key = (SELECT max(row_key) FROM points WHERE {MEMORY})"
ONE_ENTITY = f"row_key = (SELECT max(row_key) FROM points WHERE {ENTITY})"


@pytest.mark.parametrize(
    ("sql", "kinds"),
    [
        (f"UPDATE points SET payload = '{{' WHERE {ONE}", {"points"}),
        (f"UPDATE points SET payload = '[]' WHERE {ONE}", {"points"}),
        (f"UPDATE points SET payload = x'00' WHERE {ONE}", {"points"}),
        (
            f"UPDATE points SET payload = json_set(payload, '$.user_id', 'eve') WHERE {ONE}",
            {"points"},
        ),
        (f"UPDATE points SET payload = json_set(payload, '$.run_id', 'r') WHERE {ONE}", {"points"}),
        (f"UPDATE points SET id = upper(id) WHERE {ONE}", {"points"}),
        (f"UPDATE points SET vector = zeroblob(12) WHERE {ONE}", {"points"}),
        (f"UPDATE points SET vector = x'0000803f' || vector WHERE {ONE}", {"points"}),
        (f"UPDATE points SET vector = substr(vector, 2) WHERE {ONE}", {"points"}),
        (f"UPDATE points SET vector = {NAN_FIRST} WHERE {ONE}", {"points"}),
        (f"UPDATE points SET vector = {TWO_FIRST} WHERE {ONE}", {"points"}),
        (f"UPDATE points SET terms = x'01000000' WHERE {ONE}", {"terms"}),
        (f"UPDATE points SET terms = NULL WHERE {ONE}", {"terms"}),
        (f"UPDATE points SET terms = x'010000' WHERE {ONE}", {"terms"}),
        ("UPDATE collections SET documents = documents + 1 WHERE name = 'mem0'", {"terms"}),
        ("UPDATE collections SET dims = 7 WHERE name = 'mem0'", {"points"}),
        ("UPDATE collections SET dims = 'x' WHERE name = 'mem0'", {"points", "collections"}),
        ("INSERT INTO terms VALUES ((1 << 32) + 5, 2)", {"terms"}),
        ("INSERT INTO terms VALUES ((99 << 32) + 5, 2)", {"terms"}),
        ("DELETE FROM insertions WHERE seq < (SELECT max(seq) FROM insertions)", {"terms"}),
        ("DELETE FROM insertions", {"terms", "order"}),
        ("INSERT INTO insertions (scope) VALUES (1)", {"order"}),
        ("INSERT INTO scopes (collection, user_id) VALUES (1, 'nobody')", {"scopes"}),
        ("INSERT INTO scopes (collection, user_id) VALUES (99, 'nobody')", {"scopes"}),
        (f"INSERT INTO scopes ({COLUMNS}) SELECT {COLUMNS} FROM scopes LIMIT 1", {"scopes"}),
        ("UPDATE scopes SET user_id = x'07' WHERE user_id = 'ben'", {"points", "scopes"}),
        ("DELETE FROM scopes WHERE user_id = 'ben'", {"points"}),
        ("UPDATE scopes SET collection = 2 WHERE collection = 1", {"points", "scopes"}),
        ("DELETE FROM collections WHERE name = 'mem0_entities'", {"points", "scopes", "links"}),
        ("DELETE FROM linked_memories", {"links"}),
        (f"DELETE FROM points WHERE {ONE}", {"links", "order", "scopes"}),
        (f"DELETE FROM points WHERE {ONE_ENTITY}", {"links", "order", "scopes"}),
        (
            "INSERT INTO linked_memories SELECT 'ghost', max(entity), 0 FROM linked_memories",
            {"links"},
        ),
        ("INSERT INTO linked_memories VALUES ('ghost', 5, 0)", {"links"}),
        (f"UPDATE points SET payload = {GHOST} WHERE {ONE_ENTITY}", {"links"}),
        ("UPDATE history SET event = NULL", {"history"}),
        ("DROP INDEX points_id", {"schema"}),
        ("DROP TABLE linked_memories", {"schema"}),
        ("ALTER TABLE history DROP COLUMN role", {"schema"}),
        (
            "CREATE TRIGGER t AFTER INSERT ON points BEGIN DELETE FROM history; END",
            {"schema"},
        ),
        ("CREATE VIEW v AS SELECT * FROM points", {"schema"}),
    ],
)
def test_damage_is_found(path: Path, sql: str, kinds: set[str]) -> None:
    damage(path, sql)
    assert kinds <= {each.kind for each in findings(path)}


def test_a_moved_point_is_found(path: Path) -> None:
    """A point under the row key of another scope is in the wrong scope and out of order."""
    damage(path, f"UPDATE points SET row_key = row_key + (1 << 36) * 1000 WHERE {ONE}")
    assert {"points", "order"} <= {each.kind for each in findings(path)}


def test_an_order_that_two_points_share_is_found(path: Path) -> None:
    sql = (
        "UPDATE points SET row_key = (SELECT max(row_key) FROM points AS q"
        f" WHERE q.row_key >> 36 <> points.row_key >> 36) & {(1 << 36) - 1} | row_key >> 36 << 36"
        f" WHERE {ONE}"
    )
    damage(path, sql)
    assert "order" in {each.kind for each in findings(path)}


def test_a_term_that_is_counted_wrongly_is_found(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    memory = memory_at(path)
    for number in range(COUNTED_EVERY):
        memory.add(f"text {number % 7}", user_id="ana", infer=False)
    memory.close()
    assert findings(path) == []
    damage(path, "UPDATE terms SET documents = documents - 1 WHERE documents = 73")
    found = findings(path)
    assert {each.kind for each in found} == {"terms"}
    assert "72 texts, not in 73" in found[0].message


def test_a_damaged_page_is_found(path: Path) -> None:
    damage(path, "PRAGMA journal_mode = DELETE")
    data = bytearray(path.read_bytes())
    size = struct.unpack(">H", data[16:18])[0]
    for page in range(2, len(data) // size):
        data[page * size : page * size + 40] = b"\xff" * 40
    path.write_bytes(bytes(data))
    try:
        found = findings(path)
    except MemoryCorruptionError:
        return
    assert {"integrity", "schema"} & {each.kind for each in found}


def test_more_messages_than_are_kept_are_found(path: Path) -> None:
    row = ("s", "user", "hi", None, "2025-01-01")
    for number in range(11):
        damage(path, "INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?)", str(number), *row)
    assert findings(path) == [
        Finding("messages", "s", "11 messages are kept, 10 at most should be")
    ]


def test_progress_beyond_the_end_of_a_conversation_is_found(path: Path) -> None:
    columns = "digest TEXT, target TEXT, source TEXT, messages INTEGER, total INTEGER"
    damage(path, f"CREATE TABLE ingests ({columns})")
    damage(path, "INSERT INTO ingests VALUES ('d', 't', 's', 4, 4), ('e', 't', 's', 5, 4)")
    assert [(each.kind, each.subject) for each in findings(path)] == [("ingests", "e")]


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM history WHERE event = 'UPDATE'",
        "DELETE FROM history WHERE event = 'DELETE'",
        "DELETE FROM history WHERE rowid = 1",
        "UPDATE history SET new_memory = 'x' WHERE event = 'UPDATE'",
    ],
)
def test_a_history_that_ends_otherwise_is_found(path: Path, sql: str) -> None:
    damage(path, sql)
    assert findings(path) == []
    with snapshot(str(path)) as connection:
        assert [each.kind for each in check_history(connection)] == ["history"]


def test_without_keywords_their_counts_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    memory = memory_at(path)
    memory.add("one", user_id="ana", infer=False)
    memory.close()
    memory = memory_at(path, keyword_search=False)
    memory.add("two", user_id="ana", infer=False)
    memory.close()
    assert findings(path) == []


def test_texts_of_other_rules_are_not_encoded_again(path: Path) -> None:
    damage(path, f"UPDATE points SET terms = x'01000000' WHERE {ONE}")
    with snapshot(str(path)) as connection:
        assert check(connection) == []
        assert check(connection, TermEncoder("german")) == []
        assert len(check(connection, ENCODER)) == 1


# --- Files that cannot be checked ------------------------------------------------------------


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    damage(path, "CREATE TABLE meta (key, value)")
    with pytest.raises(MemoryCorruptionError, match="another program"):
        findings(path)


def test_another_schema_version_is_refused_and_named(path: Path) -> None:
    damage(path, "UPDATE meta SET value = '1' WHERE key = 'schema_version'")
    with pytest.raises(DatabaseError, match="version 1"):
        findings(path)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Callable[..., list[Finding]]]:
    path = tmp_path / "history.db"
    connection = apsw.Connection(str(path))
    prepare_ledger(connection)

    def after(sql: str = "SELECT 1") -> list[Finding]:
        connection.execute(sql)
        return check_ledger(connection)

    yield after
    connection.close()


def test_a_history_in_a_file_of_its_own_is_checked(ledger: Callable[..., list[Finding]]) -> None:
    assert ledger() == []
    assert [each.kind for each in ledger("INSERT INTO history (id) VALUES ('h')")] == ["history"]
    assert [each.subject for each in ledger("DROP TABLE messages")] == ["messages"] * 8


def test_checking_writes_nothing_and_waits_for_no_writer(path: Path) -> None:
    before = path.read_bytes()
    writer = apsw.Connection(str(path))
    writer.execute("BEGIN IMMEDIATE")
    assert findings(path) == []
    writer.execute("ROLLBACK")
    assert path.read_bytes() == before
    writer.close()


def test_findings_are_plain_values(path: Path) -> None:
    damage(path, "DELETE FROM linked_memories")
    assert json.loads(json.dumps([each._asdict() for each in findings(path)]))
