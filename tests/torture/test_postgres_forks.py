"""Forks over PostgreSQL: parent and child go on, each on connections of its own. Neither reads an
answer that is for the other one, and neither ends what the other one is at."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from typing import Any

import pytest

from isomem import Memory
from tests.stores import server
from tests.torture.storage import SCALE, python

pytestmark = pytest.mark.skipif(bool(server.without_pgvector()), reason=server.without_pgvector())

LIMIT_S = 60
REST = {
    "embedder": {"provider": "mock", "config": {"embedding_dims": 8}},
    "llm": {"provider": "mock"},
}
EVERY = ("postgres", "pgvector")
SOME = EVERY if SCALE else EVERY[:1]

OPENED = """
import asyncio, json, os, signal, sys, threading, time, warnings
from isomem import AsyncMemory, Memory
from isomem.errors import DatabaseError
warnings.simplefilter("ignore")  # Newer Pythons warn of a fork beside threads: that is the test.
config, kind = json.loads(sys.argv[1]), sys.argv[2]
memory = (Memory if kind == "Memory" else AsyncMemory).from_config(config)
database = getattr(memory.vector_store, "_database", None) or memory.vector_store._rows

def call(made):
    return made if kind == "Memory" else asyncio.run(made)

def add(text, user="shared"):
    call(memory.add(text, user_id=user, infer=False))

def texts(user="shared"):
    call(memory.search("note", filters={"user_id": user}))
    found = call(memory.get_all(filters={"user_id": user}, top_k=1000))
    return sorted(each["memory"] for each in found["results"])

def session():
    with database.asking():
        return database.rows("SELECT pg_backend_pid()")[0][0]

def refused(step):
    try:
        step()
    except DatabaseError as error:
        return error.message
    return "accepted"
"""

PROGRAM = (
    OPENED
    + """
thread, parent, ending = sys.argv[3:]
add("before")
sessions = {session() for _ in range(3)}
if thread != "none":
    entered = threading.Event()
    def hold():
        with database.writing() if thread == "writes" else database.reading():
            assert database.rows("SELECT 1") == [(1,)]
            entered.set()
            assert database.rows("SELECT 2 FROM pg_sleep(1)") == [(2,)]
    holder = threading.Thread(target=hold)
    holder.start()
    entered.wait()
ready, done = os.pipe(), os.pipe()
me = os.getpid()

def work(user):
    for number in range(15):
        add(f"{user} {number}", user)
        add(f"{user} {number}")
        assert texts(user) == sorted(f"{user} {n}" for n in range(number + 1))

if not os.fork():
    os.close(done[1])
    assert session() not in sessions
    assert "before" in texts()
    os.write(ready[1], b"x")
    work("child")
    if parent == "exits":
        while os.getppid() == me:
            time.sleep(0.01)
    else:
        os.read(done[0], 1)
    add("child, last")
    assert {"child, last", "before"} <= set(texts())
    print("child is done", flush=True)
    if ending == "closes":
        memory.close()
    os._exit(0) if ending == "_exit" else sys.exit(0)
os.read(ready[0], 1)
work("parent")
if thread != "none":
    holder.join()
assert sessions & {session() for _ in range(3)}, "the child has ended them"
if parent == "closes":
    memory.close()
if parent != "exits":
    os.write(done[1], b"x")
    assert os.wait()[1] == 0
if parent == "stays":
    assert sessions & {session() for _ in range(3)}, "the child has ended them"
    assert len(texts()) == 32
print("parent is done", flush=True)
"""
)

CASES = [
    ("Memory", "writes", "stays", "_exit"),
    ("AsyncMemory", "reads", "exits", "closes"),
    ("Memory", "none", "closes", "exit"),
    ("AsyncMemory", "writes", "stays", "closes"),
    ("Memory", "reads", "stays", "exit"),
]


@pytest.fixture
def config(request: pytest.FixtureRequest, tmp_path: Any) -> dict[str, Any]:
    """A memory of one of the engines that are in a PostgreSQL database."""
    if request.param == "postgres":
        return {"vector_store": server.section(), **REST}
    dsn, table = server.shared().dsn("tests"), f"t{os.getpid()}_{time.monotonic_ns()}"
    options = {"connection_string": dsn, "collection_name": table, "hnsw": False}
    history = {"history_db_path": str(tmp_path / "history.db")}
    return {"vector_store": {"provider": "pgvector", "config": options}, **history, **REST}


def run(program: str, config: dict[str, Any], *arguments: str) -> list[str]:
    """What a program prints, line by line."""
    process = python(program, json.dumps(config), *arguments, start_new_session=True)
    try:
        output, errors = process.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        pytest.fail("hangs")
    assert output, errors
    lines: list[str] = output.splitlines()
    return [*lines, *errors.splitlines()] if process.returncode else lines


def listed(config: dict[str, Any]) -> list[str]:
    """What is stored for the user that parent and child share."""
    memory = Memory.from_config(config)
    found = memory.get_all(filters={"user_id": "shared"}, top_k=1000)["results"]
    memory.close()
    return sorted(each["memory"] for each in found)


@pytest.mark.parametrize(
    ("config", "case"),
    [
        pytest.param(engine, case, id="-".join((engine, *case)))
        for engine in EVERY
        for case in (CASES if SCALE else CASES[: 2 if engine == "postgres" else 1])
    ],
    indirect=["config"],
)
def test_parent_and_child_go_on_and_nothing_is_mixed_up(
    config: dict[str, Any], case: tuple[str, ...]
) -> None:
    kind, *rest = case
    assert sorted(run(PROGRAM, config, kind, *rest)) == ["child is done", "parent is done"]
    both = [f"{who} {number}" for who in ("child", "parent") for number in range(15)]
    assert listed(config) == sorted(["before", "child, last", *both])


INSIDE = (
    OPENED
    + """
writes = sys.argv[3] == "writes"
add("before")
pid = None
def block():
    global pid
    with database.writing() if writes else database.reading():
        assert database.rows("SELECT 1") == [(1,)]
        if writes:
            add("parent, inside")
        pid = os.fork()
        if not pid:
            print("inside:", refused(lambda: database.rows("SELECT 2")), flush=True)
        else:
            time.sleep(0.2)  # The child's own write waits for the parent's.
            assert database.rows("SELECT 3") == [(3,)]
end = refused(block)
if not pid:
    print("end:", end, flush=True)
    add("child, after")
    print(texts(), flush=True)
    sys.exit()
os.wait()
print("parent:", end, texts())
"""
)


@pytest.mark.parametrize(
    ("config", "what"),
    [("postgres", "reads"), ("postgres", "writes"), ("pgvector", "writes")],
    indirect=["config"],
)
def test_a_block_that_was_open_at_the_fork_fails_in_the_child_and_stays_in_the_parent(
    config: dict[str, Any], what: str
) -> None:
    inside, end, child, parent = run(INSIDE, config, "Memory", what)
    assert "forked inside this block" in inside
    assert "forked inside this block" in end
    written = ["before", "child, after", *(["parent, inside"] if what == "writes" else [])]
    assert child == str(written)
    assert parent == f"parent: accepted {written}"
    assert listed(config) == written


WAITING = (
    OPENED
    + """
add("before")
pid = None
def fork(*_):
    global pid
    pid = os.fork()
    if pid:
        time.sleep(0.2)  # The child has the time to take an answer that is not for it.
signal.signal(signal.SIGALRM, fork)

def work():
    if pid is None:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
    return database.rows("SELECT 7 FROM pg_sleep(0.5)")

write = database.repeat if "_database" in vars(memory.vector_store) else database.write
outcome = refused(lambda: print(write(work)))
print("parent:" if pid else "child:", outcome, flush=True)
if pid:
    os.wait()
    print(texts())
"""
)


@pytest.mark.parametrize("config", SOME, indirect=True)
def test_a_call_that_waits_for_the_server_at_the_fork_is_the_parents(
    config: dict[str, Any],
) -> None:
    """A signal handler forks while a write waits: the child does not do it a second time."""
    child, *parent = run(WAITING, config, "Memory")
    assert "forked inside this block" in child
    assert parent == ["[(7,)]", "parent: accepted", "['before']"]


LEFT = (
    OPENED
    + """
add("before")
with database.writing():
    database.rows("SELECT 1")
    print(database.rows("SELECT pg_backend_pid()")[0][0], flush=True)
    if not os.fork():
        sys.stdin.read()
        os._exit(0)
    os.kill(os.getpid(), signal.SIGKILL)
"""
)


@pytest.mark.parametrize("config", SOME, indirect=True)
def test_a_transaction_of_a_killed_parent_ends_though_its_child_lives(
    config: dict[str, Any],
) -> None:
    """The child has a copy of every socket: if it kept it, the server would see it as open."""
    process = python(LEFT, json.dumps(config), "Memory", stdin=subprocess.PIPE)
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    deadline = time.monotonic() + LIMIT_S
    sql = f"SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}"
    while server.shared().do(sql) != [(0,)]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.communicate()


BY_MULTIPROCESSING = (
    OPENED
    + """
import multiprocessing
add("before")
def work(number):
    add(f"worker {number}")
    return len(texts())
with multiprocessing.get_context("fork").Pool(3) as pool:
    counts = pool.map(work, range(12))
assert max(counts) <= 13, counts
print(texts())
"""
)


@pytest.mark.parametrize("config", SOME, indirect=True)
def test_a_pool_of_forked_workers_shares_the_database(config: dict[str, Any]) -> None:
    expected = sorted(["before", *(f"worker {number}" for number in range(12))])
    assert run(BY_MULTIPROCESSING, config, "Memory") == [str(expected)]
    assert listed(config) == expected
