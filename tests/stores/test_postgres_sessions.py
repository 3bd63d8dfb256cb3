"""`postgres` beside other sessions of the server, and after its data came from another server."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from isomem import Memory
from isomem.errors import DatabaseError
from tests.stores import server
from tests.stores.conftest import say, texts
from tests.stores.test_postgres import REST

pytestmark = pytest.mark.skipif(bool(server.missing()), reason=server.missing())

if not server.missing():
    import psycopg

    from isomem.stores.postgres import compacting

REMOVED = "Ana Silva keeps the spare key in the blue box"


@pytest.fixture
def memory(section: dict[str, Any]) -> Iterator[Memory]:
    with Memory.from_config({"vector_store": section, **REST}) as made:
        yield made


# --- A reset beside an add -------------------------------------------------------------------


@pytest.mark.parametrize("user", ["u", "v"])
def test_an_add_beside_a_reset_is_stored_as_a_whole_or_not_at_all(
    section: dict[str, Any], memory: Memory, monkeypatch: pytest.MonkeyPatch, user: str
) -> None:
    """In a scope that is there already, and in a new one."""
    say(memory, "green tea", user_id="u")
    rows: Any = memory.stores._rows  # type: ignore[attr-defined]
    execute, added = rows.execute, list[Future[str]]()

    with (
        Memory.from_config({"vector_store": section, **REST}) as other,
        ThreadPoolExecutor(1) as threads,
    ):

        def paused(sql: str, bindings: Any = ()) -> None:
            if sql.startswith("DELETE FROM ids") and not added:
                rows.rows("SELECT 1")  # What was sent before is done.
                added.append(threads.submit(say, other, "Ana Silva moved to Berlin", user_id=user))
                wait(added, timeout=1)
            execute(sql, bindings)

        monkeypatch.setattr(rows, "execute", paused)
        memory.reset()
        assert len(other.history(added[0].result(30))) == 1
        found = other.search("Berlin", filters={"user_id": user}, explain=True)
        assert texts(found) == ["Ana Silva moved to Berlin"]
    for sql, count in (
        ("points AS p WHERE NOT EXISTS (SELECT 1 FROM {}.scopes WHERE number = p.scope)", 0),
        ("ids AS i WHERE NOT EXISTS (SELECT 1 FROM {}.scopes WHERE number = i.scope)", 0),
        ("links AS l WHERE NOT EXISTS (SELECT 1 FROM {}.scopes WHERE number = l.scope)", 0),
        ("points AS p WHERE NOT EXISTS (SELECT 1 FROM {}.ids WHERE id = p.id)", 0),
        ("term_counts WHERE number = -1 AND documents = 1", 1),
    ):
        schema = section["config"]["schema"]
        asked = f"SELECT count(*) FROM {schema}.{sql.format(schema)}"
        assert server.shared().do(asked, "tests") == [(count,)], sql


# --- What older transactions can still see ---------------------------------------------------


def stored(section: dict[str, Any], text: str) -> bool:
    """Whether a text is in the bytes of any table's file."""
    database, schema = server.shared(), section["config"]["schema"]
    database.do("CHECKPOINT")
    files = database.do(
        "SELECT pg_relation_filepath(oid) FROM pg_class WHERE relkind IN ('r', 't')"
        f" AND relnamespace = '{schema}'::regnamespace",
        "tests",
    )
    return any(text.encode() in (database.folder / "data" / path).read_bytes() for (path,) in files)


@pytest.mark.parametrize("database", ["tests", "postgres"])
def test_removed_texts_that_an_older_transaction_keeps_are_told(
    section: dict[str, Any], memory: Memory, monkeypatch: pytest.MonkeyPatch, database: str
) -> None:
    """One that may look at them, and one that writes, wherever that is."""
    monkeypatch.setattr(compacting, "_KEPT_S", 0.3)
    say(memory, REMOVED, user_id="u")
    dsn = server.shared().dsn(database)
    with psycopg.connect(dsn, application_name="a report") as session:
        if database == "tests":
            session.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            session.execute("SELECT 1")
        else:
            session.execute("SELECT pg_current_xact_id()")
        told = rf"still be in the bytes.* session {session.info.backend_pid} \(a report\)"
        for call in (lambda: memory.purge(user_id="u"), memory.compact):
            with pytest.raises(DatabaseError, match=told) as refused:
                call()
            assert "ended" in str(refused.value.suggestion)
        assert memory.get_all(filters={"user_id": "u"})["results"] == []  # That much is done.
        assert stored(section, REMOVED)
    memory.compact()
    assert not stored(section, REMOVED)


def test_a_table_that_somebody_uses_keeps_nobody_waiting_for_long(
    section: dict[str, Any], memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever comes after the rewriting would wait until that session ends."""
    monkeypatch.setattr(compacting, "_KEPT_S", 0.2)
    monkeypatch.setattr(compacting, "_LOCKED_S", 0.2)
    say(memory, REMOVED, user_id="u")
    with psycopg.connect(server.shared().dsn("tests")) as session:
        session.execute(f"SELECT count(*) FROM {section['config']['schema']}.points")
        with pytest.raises(DatabaseError, match="others that use the table points"):
            memory.purge(user_id="u")
        say(memory, "a new one", user_id="u")  # Nobody waits any more.
        assert len(memory.get_all(filters={"user_id": "u"})["results"]) == 1
    memory.compact()
    assert not stored(section, REMOVED)


def test_removed_texts_are_waited_for(
    section: dict[str, Any], memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most transactions end soon."""
    say(memory, REMOVED, user_id="u")
    with psycopg.connect(server.shared().dsn("tests")) as session:
        session.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        session.execute("SELECT 1")
        monkeypatch.setattr(compacting.time, "sleep", lambda _: session.rollback())
        memory.purge(user_id="u")
    assert not stored(section, REMOVED)


def test_a_user_without_rights_sees_who_keeps_removed_texts(
    section: dict[str, Any], memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compacting, "_KEPT_S", 0.0)
    memory.close()
    schema = section["config"]["schema"]
    user = f"owner_of_{schema}"
    server.shared().do(f"CREATE ROLE {user} LOGIN", "tests")
    owned = server.section(f"{schema}_owned", user=user)
    server.shared().do(f"CREATE SCHEMA {schema}_owned AUTHORIZATION {user}", "tests")
    with (
        Memory.from_config({"vector_store": owned, **REST}) as other,
        psycopg.connect(server.shared().dsn("tests")) as session,
    ):
        session.execute("SELECT pg_current_xact_id()")
        say(other, REMOVED, user_id="u")
        with pytest.raises(DatabaseError, match=f"session {session.info.backend_pid}"):
            other.purge(user_id="u")


# --- Data from another server ----------------------------------------------------------------


def test_restored_memories_are_not_taken_for_ones_that_are_stored_meanwhile(
    section: dict[str, Any], memory: Memory
) -> None:
    """The numbers of another server's transactions may be far ahead."""
    say(memory, "green tea", user_id="u")
    schema = section["config"]["schema"]
    server.shared().do(f"UPDATE {schema}.points SET made = made + 1000000000", "tests")
    store: Any = memory.vector_store
    since = store.last_insertion()
    with store.database.reading():
        assert [*store.reader.later({"user_id": "u"}, since)] == []
    say(memory, "black tea", user_id="u")
    with store.database.reading():
        later = [*store.reader.later({"user_id": "u"}, since)]
    assert [each["data"] for each in later] == ["black tea"]


# --- What servers, roles and environments are set to -----------------------------------------

ODD = "Inês liebt 日本 😀 \\ '"


def is_kept(dsn: str) -> bool:
    """Whether a memory of another role or database is found as it was added."""
    section = server.section(dsn=dsn)
    with Memory.from_config({"vector_store": section, **REST}) as memory:
        say(memory, ODD, user_id="ñ")
        scope = {"user_id": "ñ"}
        kept = texts(memory.search("日本", filters=scope)) + texts(memory.get_all(filters=scope))
        memory.delete_all(user_id="ñ")
        return kept == [ODD, ODD] and not texts(memory.get_all(filters=scope))


def test_old_rules_for_backslashes_in_a_role_change_nothing() -> None:
    database = server.shared()
    database.do("CREATE ROLE legacy LOGIN SUPERUSER")
    database.do("ALTER ROLE legacy SET standard_conforming_strings = off")
    assert is_kept(database.dsn("tests").replace("user=isomem", "user=legacy"))


def test_the_environment_does_not_choose_the_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    assert is_kept(server.shared().dsn("tests"))


def test_a_database_without_an_encoding_keeps_every_text() -> None:
    """What `initdb` makes where the locale is "C", as in many containers."""
    database = server.shared()
    database.do("CREATE DATABASE bytes TEMPLATE template0 ENCODING 'SQL_ASCII'")
    assert is_kept(database.dsn("bytes"))


def test_a_database_that_lacks_characters_says_so() -> None:
    database = server.shared()
    database.do("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1'")
    with pytest.raises(DatabaseError, match="LATIN1"):
        is_kept(database.dsn("latin"))


# --- A server that was away ------------------------------------------------------------------


def failed_before(call: Callable[[], object]) -> int:
    """How many calls failed before one did not. Each has waited for a second."""
    for number in range(20):
        with suppress(DatabaseError):
            call()
            return number
    return 20


def test_calls_go_on_as_soon_as_the_server_is_back() -> None:
    """However long it was away, and however often it was tried meanwhile."""
    away = server.Server()
    section = server.section(
        dsn=away.make("tests"), connect_timeout_s=1.0, retry_s=0.0, pool_min=1, pool_max=1
    )
    try:
        with Memory.from_config({"vector_store": section, **REST}) as memory:
            say(memory, "green tea", user_id="u")
            away.kill()
            # A pool that doubled its intervals would have tried after 15 s, and then after 31.
            deadline = time.monotonic() + 17
            while time.monotonic() < deadline:
                with pytest.raises(DatabaseError):
                    memory.get_all(filters={"user_id": "u"})
            away.start()
            assert failed_before(lambda: memory.get_all(filters={"user_id": "u"})) < 5
            assert texts(memory.get_all(filters={"user_id": "u"})) == ["green tea"]
    finally:
        away.stop()


def test_a_server_that_comes_back_without_its_last_commits_is_asked_anew() -> None:
    """With synchronous_commit = off, what a crash costs. The postmaster lives on."""
    lossy = server.Server(
        synchronous_commit="off", wal_writer_delay="10000", bgwriter_delay="10000", autovacuum="off"
    )
    section, scope = server.section(dsn=lossy.make("tests")), {"user_id": "u"}

    def found(memory: Memory) -> list[str]:
        return sorted(texts(memory.search("tea", filters=scope, threshold=0.0)))

    try:
        with (
            Memory.from_config({"vector_store": section, **REST}) as memory,
            Memory.from_config({"vector_store": section, **REST}) as other,
        ):
            say(other, "green tea", user_id="u")
            assert found(memory) == ["green tea"]
            lossy.do("CHECKPOINT")
            lossy.do("SELECT pg_switch_wal()")
            say(other, "black tea", user_id="u")
            assert found(memory) == ["black tea", "green tea"]
            [(pid,)] = lossy.do(
                "SELECT min(pid) FROM pg_stat_activity WHERE application_name = 'isomem'"
            )
            with closing(psycopg.connect(lossy.dsn("tests"))) as observer:
                os.kill(pid, signal.SIGKILL)
                with pytest.raises(psycopg.OperationalError):  # As soon as the server notices.
                    observer.execute("SELECT pg_sleep(60)")
            failed_before(lambda: say(other, "white tea", user_id="u"))
            assert found(other) == ["green tea", "white tea"]
            assert found(memory) == ["green tea", "white tea"]
    finally:
        lossy.stop()


def test_what_a_lost_connection_was_told_is_not_taken_for_what_the_new_one_says(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(memory, "green tea", user_id="u")
    rows, reader = memory.stores._rows, memory.vector_store.reader
    cache = reader._cache
    cache.clear()
    monkeypatch.setattr(rows.connections, "server_of", lambda it: str(it.info.backend_pid))
    with rows.reading():
        cache.expect(reader._number, {"user_id": "u"}, "whole")
        [(old,)] = rows.rows("SELECT pg_backend_pid()")
        server.shared().do(f"SELECT pg_terminate_backend({old})")
        [(new, _)] = rows.rows("SELECT pg_backend_pid(), 2")
        assert rows.current._answers == []
        reader.scope({"user_id": "u"})
        assert [each.server for each in cache._cached.values()] == [str(new)] != [str(old)]


def copied(data: Path, name: str) -> Path:
    """A copy of a server's data, of the same owner."""
    copy = data.parent / name
    subprocess.run(["cp", "-a", data, copy], check=True)
    return copy


def test_a_server_without_the_last_commits_is_asked_anew() -> None:
    """As a standby that takes over, or a backup. What is in memory has versions that come again."""
    lossy = server.Server()
    section, scope = server.section(dsn=lossy.make("tests")), {"user_id": "u"}

    def found(memory: Memory) -> list[str]:
        return sorted(texts(memory.search("tea", filters=scope, threshold=0.0)))

    try:
        with Memory.from_config({"vector_store": section, **REST}) as memory:
            say(memory, "green tea", user_id="u")
            lossy.kill()
            data = lossy.folder / "data"
            older = copied(data, "older")
            lossy.start()
            say(memory, "black tea", user_id="u")
            assert found(memory) == ["black tea", "green tea"]
            lossy.kill()
            shutil.rmtree(data)
            older.rename(data)
            lossy.start()
            with Memory.from_config({"vector_store": section, **REST}) as other:
                for new in ("white tea", "mint tea"):
                    say(other, new, user_id="u")
                    assert found(memory) == found(other)
                assert found(memory) == ["green tea", "mint tea", "white tea"]
    finally:
        lossy.stop()
