"""The store set `postgres` on a real server: the same memory as in the embedded store."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from isomem import Memory
from isomem.config import store_table
from isomem.errors import DatabaseError, InvalidConfigError
from isomem.options import defaults_of
from isomem.store.writing import NewPoint
from isomem.stores import embedded as removing
from isomem.testing import ScriptedLLM
from tests.facade.conftest import Ticks, facts
from tests.stores import server
from tests.stores.wire import Proxy

pytestmark = pytest.mark.skipif(bool(server.missing()), reason=server.missing())
if not server.missing():
    from isomem.stores.postgres.schema import MIGRATIONS
    from isomem.stores.postgres.target import Target

REST = {
    "embedder": {"provider": "mock", "config": {"embedding_dims": 32}},
    "llm": {"provider": "mock"},
}
WORDS = "Ana Silva moved to Berlin with her cat Tom and works at Siemens near Hamburg".split()


@pytest.fixture
def memory(section: dict[str, Any]) -> Iterator[Memory]:
    made = Memory.from_config({"vector_store": section, **REST}, clock=Ticks())
    yield made
    made.close()


def text(chance: random.Random) -> str:
    return " ".join(chance.sample(WORDS, 5))


def operate(memory: Memory, chance: random.Random) -> Iterator[Any]:
    """Does random things with a memory; what each returned."""
    ids: list[str] = []
    for _ in range(60):
        user = {"user_id": chance.choice("ab")}
        if chance.random() < 0.3:
            user["run_id"] = chance.choice("rs")
        what = chance.choice("aaiiiussdghlnp")
        if what == "a":
            added = memory.add(text(chance), **user, infer=False, metadata={"n": chance.random()})
        elif what == "i":
            memory.llm = ScriptedLLM([facts(*(text(chance) for _ in range(3)))])
            added = memory.add(text(chance), **user)
        elif what == "s":
            yield memory.search(text(chance), filters=user, threshold=0.0, explain=True)
            yield memory.search(text(chance), filters=user, ranking="fused")
            continue
        elif what == "n":
            yield memory.search(text(chance), filters={**user, "n": {"gt": 0.5}})
            continue
        elif what == "l":
            yield memory.get_all(filters=user, top_k=4)
            yield memory.get_all(filters=user, order="newest")
            continue
        elif what == "p" and chance.random() < 0.3:
            yield memory.delete_all(**user)
            continue
        else:
            yield from change(memory, what, chance, ids)
            continue
        ids += [each["id"] for each in added["results"]]
        yield added


def change(memory: Memory, what: str, chance: random.Random, ids: list[str]) -> Iterator[Any]:
    if not ids:
        return
    one = chance.choice(ids)
    yield memory.history(one)
    yield memory.get(one)
    try:
        if what == "u":
            yield memory.update(one, text(chance), metadata={"m": 1})
        elif what == "d":
            yield memory.delete(one)
    except Exception as error:
        yield type(error), str(error)


@pytest.mark.parametrize("seed", range(4))
def test_it_gives_the_results_of_the_embedded_store(
    section: dict[str, Any], tmp_path: Path, seed: int
) -> None:
    """Every call returns the same, scores included; two memories of one database take turns."""
    embedded = {"provider": "embedded", "config": {"path": str(tmp_path / "memory.db")}}
    ours = Memory.from_config({"vector_store": embedded, **REST}, clock=Ticks())
    theirs = Memory.from_config({"vector_store": section, **REST}, clock=Ticks())
    expected = operate(ours, random.Random(seed))
    given = operate(theirs, random.Random(seed))
    for number, (one, other) in enumerate(zip(expected, given, strict=True)):
        assert other == one, f"step {number}"
    entities = [
        sorted((point.id, repr(point.payload)) for point in each.entity_store.list(top_k=None)[0])
        for each in (ours, theirs)
    ]
    assert entities[0] == entities[1]
    ours.close()
    theirs.close()


def test_what_others_write_is_seen_by_the_next_search(section: dict[str, Any]) -> None:
    """A scope in memory is brought up to date: added, changed, removed."""
    one, other = (Memory.from_config({"vector_store": section, **REST}) for _ in range(2))

    def found() -> set[str]:
        hits = one.search("tea", filters={"user_id": "u"}, threshold=0.0)["results"]
        return {each["memory"] for each in hits}

    ids = [
        other.add(each, user_id="u", infer=False)["results"][0]["id"]
        for each in ("green tea", "black tea")
    ]
    assert found() == {"green tea", "black tea"}
    third = other.add("white tea", user_id="u", infer=False)["results"][0]["id"]
    assert found() == {"green tea", "black tea", "white tea"}
    other.update(ids[0], "no more tea")
    assert found() == {"no more tea", "black tea", "white tea"}
    other.delete(third)
    assert found() == {"no more tea", "black tea"}
    other.delete_all(user_id="u")
    assert found() == set()
    one.close()
    other.close()


def hidden(section: dict[str, Any]) -> int:
    """How many scopes are removed, and not gone."""
    sql = f"SELECT count(*) FROM {section['config']['schema']}.scopes WHERE collection < 0"
    return int(server.shared().do(sql, "tests")[0][0])


def test_what_several_remove_at_once_is_gone_when_they_return(
    memory: Memory, section: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each removes what it finds, whoever has hidden it; what is added meanwhile helps."""
    monkeypatch.setattr(removing, "REMOVED_AT_ONCE", 20)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for number in range(3):
            for user in "abc":
                memory.add(
                    [{"role": "user", "content": f"{user} {each}"} for each in range(150)],
                    user_id=user, infer=False,
                )  # fmt: skip
            with ThreadPoolExecutor(5) as threads:
                calls = [threads.submit(memory.delete_all, user_id=user) for user in "abc"]
                calls += [
                    threads.submit(memory.add, f"{number} {each}", user_id="d", infer=False)
                    for each in range(20)
                ]
                for call in calls:
                    call.result()
            memory.add("Who comes last sees to what others were still at", user_id="d", infer=False)
            assert hidden(section) == 0
    finally:
        sys.setswitchinterval(before)


def test_what_a_removal_that_failed_has_hidden_goes_with_the_next_write(
    memory: Memory, section: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removing, "REMOVED_AT_ONCE", 20)
    messages = [{"role": "user", "content": f"tea {each}"} for each in range(100)]
    memory.add(messages, user_id="a", infer=False)
    sweep, calls = memory.stores._writer.sweep, iter(range(100))  # type: ignore[attr-defined]

    def breaking(limit: int) -> Any:
        if next(calls) == 2:
            raise ZeroDivisionError
        return sweep(limit)

    monkeypatch.setattr(memory.stores._writer, "sweep", breaking)  # type: ignore[attr-defined]
    with pytest.raises(ZeroDivisionError):
        memory.delete_all(user_id="a")
    assert hidden(section) == 1
    memory.add("coffee", user_id="b", infer=False)
    assert hidden(section) == 0


def test_a_plan_that_fails_leaves_nothing(memory: Memory, monkeypatch: Any) -> None:
    memory.add("tea", user_id="u", infer=False)

    def broken(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(memory.db, "put", broken)
    with pytest.raises(ZeroDivisionError):
        memory.add("coffee", user_id="u", infer=False)
    monkeypatch.undo()
    listed = memory.get_all(filters={"user_id": "u"})["results"]
    assert [each["memory"] for each in listed] == ["tea"]
    found = memory.search("tea", filters={"user_id": "u"})["results"]
    assert [each["memory"] for each in found] == ["tea"]


def test_nul_and_private_characters_come_back_as_they_were(memory: Memory) -> None:
    odd = "tea \0 and \ue000N and \ue000"
    user = odd.replace(" ", "_")
    added = memory.add(odd, user_id=user, infer=False)["results"][0]
    assert memory.get(added["id"])["memory"] == odd  # type: ignore[index]
    assert memory.history(added["id"])[0]["new_memory"] == odd
    assert len(memory.get_all(filters={"user_id": user})["results"]) == 1
    assert memory.get_all(filters={"user_id": "tea"})["results"] == []
    memory.update(added["id"], f"{odd}!")
    memory.delete_all(user_id=user)
    assert memory.get_all(filters={"user_id": user})["results"] == []


@pytest.mark.parametrize("_", range(3))
def test_many_starters_make_the_tables_once(section: dict[str, Any], _: int) -> None:
    memories: list[Memory] = []

    def start() -> None:
        memories.append(Memory.from_config({"vector_store": section, **REST}))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(memories) == 8
    schema = section["config"]["schema"]
    sql = f"SELECT version, what FROM {schema}.migrations ORDER BY version"
    assert server.shared().do(sql, "tests") == [*enumerate((each for each, _ in MIGRATIONS), 1)]
    for memory in memories:
        memory.close()


def test_an_older_schema_is_migrated_with_what_is_in_it(
    section: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from isomem.stores.postgres import schema

    monkeypatch.setattr(schema, "MIGRATIONS", MIGRATIONS[:1])
    monkeypatch.setattr(schema, "VERSION", 1)
    schema.prepare(Target({**defaults_of(store_table("postgres")), **section["config"]}))
    monkeypatch.undo()
    memory = Memory.from_config({"vector_store": section, **REST})
    memory.add("tea", user_id="u", infer=False)
    sql = f"SELECT max(version) FROM {section['config']['schema']}.migrations"
    assert server.shared().do(sql, "tests") == [(len(MIGRATIONS),)]
    memory.close()


def test_a_schema_that_is_there_needs_no_right_to_make_one(
    section: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the first tables, and for those of a later version."""
    from isomem.stores.postgres import schema

    name = section["config"]["schema"]
    user = f"owner_of_{name}"
    server.shared().do(f"CREATE ROLE {user} LOGIN", "tests")
    server.shared().do(f"CREATE SCHEMA {name} AUTHORIZATION {user}", "tests")
    owned = server.section(name, user=user)
    monkeypatch.setattr(schema, "MIGRATIONS", MIGRATIONS[:1])
    monkeypatch.setattr(schema, "VERSION", 1)
    schema.prepare(Target({**defaults_of(store_table("postgres")), **owned["config"]}))
    monkeypatch.undo()
    with Memory.from_config({"vector_store": owned, **REST}) as memory:
        assert memory.add("tea", user_id="u", infer=False)["results"]
    sql = f"SELECT max(version) FROM {name}.migrations"
    assert server.shared().do(sql, "tests") == [(len(MIGRATIONS),)]


def test_tables_that_another_makes_between_two_looks_are_no_strangers(
    section: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from isomem.stores.postgres import schema

    looks, others = schema._exists, [1]

    def exists(connection: Any, target: Any, table: str) -> bool:
        found = looks(connection, target, table)
        if others:
            others.pop()
            schema.prepare(target)
        return found

    monkeypatch.setattr(schema, "_exists", exists)
    Memory.from_config({"vector_store": section, **REST}).close()
    assert others == []


def test_a_schema_of_a_newer_isomem_is_left_alone(section: dict[str, Any], memory: Memory) -> None:
    schema = section["config"]["schema"]
    server.shared().do(f"INSERT INTO {schema}.migrations VALUES (99, 'later')", "tests")
    with pytest.raises(DatabaseError, match="schema version 99"):
        Memory.from_config({"vector_store": section, **REST})


def test_another_embedder_is_refused(section: dict[str, Any], memory: Memory) -> None:
    memory.add("tea", user_id="u", infer=False)
    other = {**REST, "embedder": {"provider": "mock", "config": {"embedding_dims": 16}}}
    with pytest.raises(InvalidConfigError, match="dimensions"):
        Memory.from_config({"vector_store": section, **other})


@pytest.mark.parametrize(
    "options",
    [
        {"dsn": "postgresql://someone:s3cret@127.0.0.1:1/none"},
        {"host": "127.0.0.1", "port": 1, "user": "someone", "password": "s3cret"},
        {"dsn": "postgresql://someone:s3cret@127.0.0.1:1/none?wrong=1"},
        {"dsn": "password=s3cret and=some thing"},
    ],
)
def test_no_error_shows_the_password(options: dict[str, Any]) -> None:
    with pytest.raises((DatabaseError, InvalidConfigError)) as caught:
        Memory.from_config({"vector_store": {"provider": "postgres", "config": options}, **REST})
    error: BaseException | None = caught.value
    while error is not None:
        assert "s3cret" not in repr(error) + str(error) + repr(getattr(error, "debug_info", ""))
        error = error.__cause__
    assert "s3cret" not in repr(caught.value.__dict__)


@pytest.mark.parametrize("provider", ["postgres", "pgvector"])
@pytest.mark.parametrize("wrong", [{"dbname": "nosuch"}, {"user": "nobody_at_all"}])
def test_a_connection_that_is_refused_is_an_error_with_the_reason_at_once(
    provider: str, wrong: dict[str, str], tmp_path: Path
) -> None:
    where = {"host": str(server.shared().folder), "user": "isomem", "dbname": "tests", **wrong}
    config: dict[str, Any] = {"vector_store": {"provider": provider, "config": where}, **REST}
    if provider == "pgvector":
        config["history_db_path"] = str(tmp_path / "history.db")
    begun = time.monotonic()
    with pytest.raises(DatabaseError, match="no connection could be made") as refused:
        Memory.from_config(config)
    assert time.monotonic() - begun < 3
    assert next(iter(wrong.values())) in refused.value.message
    assert "does not exist" in refused.value.message


def test_a_database_that_is_removed_later_is_named(section: dict[str, Any]) -> None:
    dsn = server.shared().make("for_a_while")
    section["config"] = {"dsn": dsn, "connect_timeout_s": 0.5}
    with Memory.from_config({"vector_store": section, **REST}) as memory:
        memory.add("Ana likes tea", user_id="u", infer=False)
        server.shared().do("DROP DATABASE for_a_while WITH (FORCE)")
        for call in (
            lambda: memory.add("Ana likes coffee", user_id="u", infer=False),
            lambda: memory.search("tea", filters={"user_id": "u"}),
        ):
            with pytest.raises(DatabaseError, match='"for_a_while" does not exist'):
                call()


@pytest.mark.parametrize(
    ("provider", "keys"), [("postgres", "pool_min pool_max"), ("pgvector", "minconn maxconn")]
)
def test_a_pool_that_cannot_be_is_a_wrong_configuration(provider: str, keys: str) -> None:
    least, most = keys.split()
    config = {"host": "nowhere.invalid", least: 5, most: 2}
    with pytest.raises(InvalidConfigError, match=f"{least}.*{most}"):
        Memory.from_config({"vector_store": {"provider": provider, "config": config}, **REST})


@pytest.mark.parametrize(
    "schema",
    ["two words\nand\ttwo lines", 'Say "a"', "back\\slash", "select", "100%s", "; SELECT 1/0; --"],
)
def test_a_schema_may_have_any_name(schema: str) -> None:
    section = server.section(schema)
    with Memory.from_config({"vector_store": section, **REST}) as memory:
        memory.reset()
        assert memory.add("Ana likes tea", user_id="u", infer=False)["results"]


def test_every_connection_has_its_settings_from_the_beginning_and_after_compact(
    section: dict[str, Any],
) -> None:
    from isomem.stores.postgres.connections import connected

    names = (
        "search_path", "statement_timeout", "client_min_messages", "client_encoding",
        "standard_conforming_strings",
    )  # fmt: skip
    sql = "SELECT " + ", ".join(f"current_setting('{name}')" for name in names)
    section["config"].update(statement_timeout_s=7.0, pool_max=1)
    with Memory.from_config({"vector_store": section, **REST}) as memory:
        rows: Any = memory.stores._rows  # type: ignore[attr-defined]

        def pooled() -> Any:
            with rows.reading():
                return rows.rows(sql)

        expected = [(section["config"]["schema"], "7s", "warning", "UTF8", "on")]
        with connected(rows.connections.target) as connection:
            assert connection.execute(sql.encode()).fetchall() == expected
        assert pooled() == expected
        for _ in range(4):  # Also once a statement is prepared.
            memory.compact()
            assert pooled() == expected


@pytest.mark.parametrize("provider", ["postgres", "pgvector"])
def test_nothing_is_asked_for_at_the_start_that_poolers_refuse(
    provider: str, section: dict[str, Any], tmp_path: Path
) -> None:
    """PgBouncer takes no options there: a client has to set them itself."""
    starts = []

    def look(is_client: bool, data: bytes) -> None:
        if is_client and b"\0user\0" in data:
            starts.append(data)

    proxy = Proxy(server.shared().folder, look)
    section["config"]["dsn"] = proxy.dsn("tests")
    more: dict[str, Any] = {}
    if provider == "pgvector":
        store = {"connection_string": proxy.dsn("tests"), "collection_name": "by_a_pooler"}
        section = {"provider": "pgvector", "config": {**store, "hnsw": False}}
        more["history_db_path"] = str(tmp_path / "history.db")
    with Memory.from_config({"vector_store": section, **more, **REST}) as memory:
        memory.add("Ana likes tea", user_id="u", infer=False)
        assert memory.get_all(filters={"user_id": "u"})["results"]
    assert len(starts) >= 2
    assert not [start for start in starts if b"\0options\0" in start]
    proxy.close()


def test_a_write_that_was_too_sure_is_done_with_a_look_at_each_id(memory: Memory) -> None:
    """An id that is taken, in one of several points; what was prepared meanwhile is of no harm."""
    rows, writer = memory.stores._rows, memory.vector_store.writer  # type: ignore[attr-defined]
    for number in range(8):
        points = [
            NewPoint(f"7d8c1a44-0000-4000-8000-{each:012}", [1.0, *[0.0] * 31], payload)
            for each, payload in (
                (0, {"data": f"first {number}", "user_id": "u"}),
                (number + 1, {"data": f"next {number}", "user_id": "u", "run_id": str(number % 2)}),
            )
        ]
        rows.write(lambda points=points: writer.insert(points))
        listed = memory.get_all(filters={"user_id": "u"}, top_k=100)["results"]
        expected = {f"first {number}", *(f"next {each}" for each in range(number + 1))}
        assert {each["memory"] for each in listed} == expected


def test_importing_isomem_imports_nothing_of_it() -> None:
    code = (
        "import sys, isomem; isomem.MemoryConfig(vector_store={'provider': 'postgres',"
        " 'config': {}}); print([n for n in sys.modules if 'psycopg' in n or 'postgres' in n])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_table_about_memories_is_rewritten(memory: Memory) -> None:
    rows: Any = memory.stores._rows  # type: ignore[attr-defined]
    named = (
        "SELECT relname, relfilenode FROM pg_class WHERE relkind = 'r'"
        " AND relnamespace = current_schema()::regnamespace"
    )

    def files() -> dict[str, int]:
        with rows.reading():
            return dict(rows.rows(named))

    memory.add("Ana likes tea", user_id="u", infer=False)
    before = files()
    memory.purge(user_id="u")
    same = {name for name, number in files().items() if number == before[name]}
    assert same <= {"collections", "commits", "indexes", "migrations"}


def test_who_may_not_rewrite_the_tables_gets_to_know_that_bytes_are_left(
    section: dict[str, Any], memory: Memory
) -> None:
    memory.add("Ana likes tea", user_id="u", infer=False)
    schema = section["config"]["schema"]
    user = f"user_of_{schema}"
    for sql in (
        f"CREATE ROLE {user} LOGIN", f"GRANT USAGE ON SCHEMA {schema} TO {user}",
        f"GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO {user}",
        f"GRANT ALL ON ALL SEQUENCES IN SCHEMA {schema} TO {user}",
    ):  # fmt: skip
        server.shared().do(sql, "tests")
    config = {"vector_store": server.section(schema, user=user), **REST}
    with Memory.from_config(config) as other:
        for call in (other.compact, lambda: other.purge(user_id="u")):
            with pytest.raises(DatabaseError, match=r"tables points, .*still be in") as refused:
                call()
            assert "owner" in str(refused.value.suggestion)
        assert other.get_all(filters={"user_id": "u"})["results"] == []  # That much is done.
        server.shared().do(f"ALTER TABLE {schema}.points OWNER TO {user}", "tests")
        with pytest.raises(DatabaseError, match=r"tables ids, .*still be in the bytes"):
            other.compact()
    memory.compact()


def test_what_fails_after_a_write_does_not_fail_the_call(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise DatabaseError("the server has gone")

    monkeypatch.setattr(memory.stores, "_tidy", fail)
    [added] = memory.add("Ana likes tea", user_id="u", infer=False)["results"]
    assert memory.get(added["id"]) is not None


def test_statements_of_any_filters_are_not_kept_forever() -> None:
    from isomem.stores.postgres import database

    for number in range(600):
        assert database.translated(f"SELECT {number}, '%' || ?") == f"SELECT {number}, '%%' || %s"
    long = "?," * 4000
    assert database.translated(long) == "%s," * 4000
    assert database._kept.cache_info().currsize <= 512
    before = database._kept.cache_info()
    database.translated(long)
    assert database._kept.cache_info() == before


def test_a_part_whose_connection_is_lost_ends_with_its_block(memory: Memory) -> None:
    rows: Any = memory.stores._rows  # type: ignore[attr-defined]

    def lose() -> None:
        with rows.atomic():
            [(pid,)] = rows.rows("SELECT pg_backend_pid()")
            server.shared().do(f"SELECT pg_terminate_backend({pid})")

    with pytest.raises(DatabaseError):
        lose()
    assert rows.transaction is None
    memory.add("tea", user_id="u", infer=False)
    assert memory.count(filters={"user_id": "u"}) == 1


def test_one_thread_alone_brings_a_context_up_to_date() -> None:
    from isomem.store.cache import Scope
    from isomem.stores.postgres.scopes import ScopeCache

    cache: Any = ScopeCache(None, 1_000_000)  # type: ignore[arg-type]
    scope, context = Scope(), object()
    cache.keep_context(scope, context)
    assert [cache.take_context(scope), cache.take_context(scope)] == [context, None]
