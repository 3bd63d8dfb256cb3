"""HNSW indexes of `postgres` are built beside the calls: nobody waits for a build, one builds at a
time, and one that dies leaves nothing behind."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from isomem import DatabaseError, Memory
from tests.stores import server
from tests.stores.test_postgres_hnsw import ANA, DIMS, REST, fill, indexes, look, opened, point_id
from tests.torture.storage import SOURCE

pytestmark = pytest.mark.skipif(bool(server.without_pgvector()), reason=server.without_pgvector())
if not server.without_pgvector():
    import psycopg

    from isomem.stores.postgres import indexing, turns

COUNT, FROM = 60, 50
LIMIT_S = 30.0
"""Nothing here takes a second, unless it waits for something that does not come."""
BUILDING = (
    "SELECT pid FROM pg_stat_activity WHERE application_name = 'isomem index'"
    " AND query LIKE 'CREATE INDEX%' AND wait_event_type = 'Lock'"
)
QUERY = [1.0] * DIMS


@pytest.fixture
def memory() -> Iterator[Any]:
    """A memory with a scope that is large enough for an index, which it does not have yet."""
    made = opened(hnsw=True, hnsw_from=FROM, statement_timeout_s=3)
    fill(made, 0, COUNT, ANA, random.Random(1))
    yield made
    made.close()


@contextmanager
def delayed() -> Iterator[Callable[[], object]]:
    """A block in which an index that is being built waits for an old transaction.

    Yields what waits until one is.
    """
    with psycopg.connect(server.shared().dsn("tests")) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.execute("SELECT 1")
        yield lambda: until(builders)


def builders() -> list[int]:
    """The connections on which an index is being built."""
    return [pid for (pid,) in server.shared().do(BUILDING)]


def until(is_so: Callable[[], Any]) -> Any:
    """Waits until something is true; what it is."""
    deadline = time.monotonic() + LIMIT_S
    while not (found := is_so()):
        assert time.monotonic() < deadline, is_so
        time.sleep(0.01)
    return found


def states(memory: Any) -> list[tuple[int, bool]]:
    """The HNSW indexes that are there: which they are, and whether they are valid."""
    sql = (
        "SELECT i.indexrelid::bigint, i.indisvalid FROM pg_index AS i JOIN pg_class AS c"
        " ON c.oid = i.indexrelid JOIN pg_am AS a ON a.oid = c.relam"
        f" WHERE a.amname = 'hnsw' AND i.indrelid = '{memory.schema}.near'::regclass"
    )
    return server.shared().do(sql, "tests")


def exactly(memory: Any) -> list[tuple[str, float]]:
    """What a search without any index finds."""
    plain = opened(memory.schema)
    try:
        return look(plain, ANA, QUERY)
    finally:
        plain.close()


def test_a_search_that_finds_a_scope_large_has_it_indexed_and_does_not_wait(memory: Any) -> None:
    with delayed() as building:
        expected = exactly(memory)
        assert look(memory, ANA, QUERY) == expected
        building()
        assert look(memory, ANA, QUERY) == expected
        assert indexes(memory) == []
    assert until(lambda: indexes(memory))[0][1] == DIMS
    assert [valid for _, valid in states(memory)] == [True]
    assert look(memory, ANA, QUERY) == expected


def test_calls_of_everybody_go_on_during_a_build(memory: Any) -> None:
    """Each statement may take three seconds, and the build is held up until all are done."""
    other = opened(memory.schema, hnsw=True, hnsw_from=FROM, statement_timeout_s=3)
    with delayed() as building:
        look(memory, ANA, QUERY)
        building()
        for number, one in enumerate((memory, other, memory)):
            added = one.add(f"during {number}", **ANA, infer=False)["results"][0]["id"]
            one.update(added, f"changed {number}")
            one.vector_store.delete(point_id(number))
            found = one.search(f"changed {number}", filters=ANA, top_k=100)["results"]
            assert added in {each["id"] for each in found}
            assert look(one, ANA, QUERY) == exactly(memory)
        assert indexes(memory) == []
    until(lambda: indexes(memory))
    for one in (memory, other):
        assert look(one, ANA, QUERY) == exactly(memory)
    other.close()


def test_a_builder_that_the_server_ends_leaves_an_index_that_the_next_one_replaces(
    memory: Any,
) -> None:
    with delayed() as building:
        look(memory, ANA, QUERY)
        [pid] = building()
        server.shared().do(f"SELECT pg_terminate_backend({pid})")
        until(lambda: not builders())
        [(broken, valid)] = states(memory)
        assert not valid
        assert indexes(memory) == []
        assert look(memory, ANA, QUERY) == exactly(memory)
    memory.vector_store.build_indexes()
    [(index, valid)] = states(memory)
    assert valid
    assert index != broken
    assert len(indexes(memory)) == 1
    assert look(memory, ANA, QUERY) == exactly(memory)


BUILDER = """
import json, sys
from isomem import Memory
memory = Memory.from_config(json.loads(sys.argv[1]))
print("builds", flush=True)
memory.vector_store.build_indexes()
print("done", flush=True)
"""

FORKS = """
import json, os, sys
from isomem import Memory
memory = Memory.from_config(json.loads(sys.argv[1]))
near = memory.vector_store.near
def look():
    memory.search("note", filters={"user_id": "ana"})
    return near.builder._thread
thread = look()
print("builds", flush=True)
sys.stdin.readline()
if not os.fork():
    own = look()
    assert own is not thread
    if own is None:  # It has ended already, since another one builds.
        assert near.builder._not_before
    else:
        own.join()
    memory.close()
    sys.exit()
assert os.wait()[1] == 0
assert thread.is_alive(), "the child has ended it"
print("forked", flush=True)
thread.join()
print("done", flush=True)
"""


def another(memory: Any, program: str = BUILDER) -> subprocess.Popen[str]:
    """Another process that builds what is due."""
    section = server.section(memory.schema, hnsw=True, hnsw_from=FROM)
    config = json.dumps({"vector_store": section, **REST})
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", program, config],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(SOURCE).parent,
        env={"PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip


def test_the_server_finishes_the_index_of_a_killed_process_and_the_next_one_takes_it_over(
    memory: Any,
) -> None:
    with delayed() as building:
        process = another(memory)
        building()
        process.send_signal(signal.SIGKILL)
        process.communicate()
        [(begun, _)] = states(memory)
    memory.vector_store.build_indexes()
    assert states(memory) == [(begun, True)]
    assert len(indexes(memory)) == 1


def test_of_several_builders_one_builds_and_the_others_go_away_or_wait(memory: Any) -> None:
    other = opened(memory.schema, hnsw=True, hnsw_from=FROM)
    waiting = threading.Thread(target=other.vector_store.build_indexes)
    with delayed() as building:
        look(memory, ANA, QUERY)
        building()
        process = another(memory)
        assert process.stdout is not None
        process.stdout.readline()
        waiting.start()
        third = opened(memory.schema, hnsw=True, hnsw_from=FROM)
        look(third, ANA, QUERY)  # Its builder finds another one at work, and ends.
        until(lambda: third.vector_store.near.builder._thread is None)
        assert len(builders()) == 1
        assert waiting.is_alive()
        assert process.poll() is None
    waiting.join(LIMIT_S)
    assert process.communicate(timeout=LIMIT_S)[0] == "done\n"
    assert [valid for _, valid in states(memory)] == [True]
    assert len(indexes(memory)) == 1
    for one in (other, third):
        one.close()


def test_a_forked_child_leaves_the_build_to_its_parent(memory: Any) -> None:
    with delayed() as building:
        process = another(memory, FORKS)
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "builds\n"
        building()
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "forked\n"
        assert len(builders()) == 1
        assert indexes(memory) == []
    assert process.communicate(timeout=LIMIT_S)[0] == "done\n"
    assert [valid for _, valid in states(memory)] == [True]
    assert len(indexes(memory)) == 1


def test_what_waits_for_a_build_that_waits_for_a_forgotten_session_names_it(
    memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "_STUCK_S", 0.5)
    with delayed() as building:
        look(memory, ANA, QUERY)
        building()
        for call in (memory.vector_store.build_indexes, lambda: memory.purge(user_id="ben")):
            with pytest.raises(DatabaseError, match=r"builds an index .* waits for session \d+"):
                call()


def test_closing_does_not_wait_for_a_build(memory: Any) -> None:
    with delayed() as building:
        look(memory, ANA, QUERY)
        building()
        memory.close()
        until(lambda: "isomem index" not in {thread.name for thread in threading.enumerate()})
        assert builders()
    again = opened(memory.schema, hnsw=True, hnsw_from=FROM)
    again.vector_store.build_indexes()
    assert [valid for _, valid in states(again)] == [True]
    again.close()


def test_an_index_that_somebody_has_dropped_is_built_again(memory: Any) -> None:
    memory.vector_store.build_indexes()
    [(number, _)] = indexes(memory)
    server.shared().do(f"DROP INDEX {memory.schema}.near_{number}", "tests")
    assert look(memory, ANA, QUERY) == exactly(memory)
    memory.vector_store.build_indexes()
    assert [valid for _, valid in states(memory)] == [True]


def test_a_user_who_may_not_make_indexes_searches_exactly_and_says_so(
    memory: Any, caplog: pytest.LogCaptureFixture
) -> None:
    user = f"user_of_{memory.schema}"
    for sql in (
        f"CREATE ROLE {user} LOGIN", f"GRANT USAGE ON SCHEMA {memory.schema} TO {user}",
        f"GRANT ALL ON ALL TABLES IN SCHEMA {memory.schema} TO {user}",
        f"GRANT ALL ON ALL SEQUENCES IN SCHEMA {memory.schema} TO {user}",
    ):  # fmt: skip
        server.shared().do(sql, "tests")
    other: Any = opened(memory.schema, hnsw=True, hnsw_from=FROM, user=user)
    assert look(other, ANA, QUERY) == exactly(memory)
    until(lambda: "must be owner" in caplog.text)
    assert look(other, ANA, QUERY) == exactly(memory)
    assert states(memory) == indexes(memory) == []
    other.close()


def test_a_build_that_ends_with_any_error_says_so_and_a_later_search_tries_again(
    memory: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: object) -> None:
        raise ValueError("an odd vector")

    monkeypatch.setattr(indexing, "AFTER_FAILURE_S", 0.0)
    monkeypatch.setattr(memory.vector_store.near.builder, "_build_due", fail)
    look(memory, ANA, QUERY)
    until(lambda: "ValueError: an odd vector" in caplog.text)
    monkeypatch.undo()
    look(memory, ANA, QUERY)
    assert until(lambda: indexes(memory))


def test_compacting_waits_for_a_builder_and_not_the_other_way_round(memory: Any) -> None:
    compacting = threading.Thread(target=memory.compact)
    with delayed() as building:
        look(memory, ANA, QUERY)
        building()
        compacting.start()
        assert look(memory, ANA, QUERY) == exactly(memory)
        assert compacting.is_alive()
    compacting.join(LIMIT_S)
    assert not compacting.is_alive()
    assert [valid for _, valid in states(memory)] == [True]


def test_processes_that_open_a_new_schema_at_once_make_its_table_once() -> None:
    memory = opened()
    others: list[Memory] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            others.append(opened(memory.schema, hnsw=True))  # type: ignore[attr-defined]
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    for one in (memory, *others):
        one.close()
