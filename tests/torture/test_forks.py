"""Forks: the child of a process with an open memory works, hangs never, and loses nothing.

Nor does the parent lose anything, whatever the two of them and a third process do in turn.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.torture.storage import SCALE, look, python, scaled

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="forks")

LIMIT_S = 30
"""A hang lasts for ever; what does not hang is done in less than one second and a half."""

PROGRAM = """
import asyncio, json, os, subprocess, sys, threading, time, warnings
from isomem import AsyncMemory, Memory
warnings.simplefilter("ignore")  # Newer Pythons warn of a fork beside threads: that is the test.
path, history, kind, parent, thread, ending = sys.argv[1:]
config = {
    "vector_store": {"provider": "embedded", "config": {"path": path, "busy_timeout_s": 10}},
    "embedder": {"provider": "mock", "config": {"embedding_dims": 8}},
    "llm": {"provider": "mock"},
    **({"history_db_path": history} if history != path else {}),
}
memory = (Memory if kind == "Memory" else AsyncMemory).from_config(config)

def call(made):
    return made if kind == "Memory" else asyncio.run(made)

def add(text):
    call(memory.add(text, user_id="u", infer=False))
    with open(path + ".acknowledged", "a") as log:
        log.write(text + "\\n")

def texts():
    call(memory.search("x", filters={"user_id": "u"}))
    found = call(memory.get_all(filters={"user_id": "u"}, top_k=100))
    return {hit["memory"] for hit in found["results"]}

def hold():
    store = memory.vector_store
    block = store.atomic() if thread == "writes" else store.database.reading()
    with block:
        entered.set()
        time.sleep(0.7)  # Longer than a fork waits for it.

add("before the fork")
texts()
if thread != "none":
    entered = threading.Event()
    holder = threading.Thread(target=hold)
    holder.start()
    entered.wait()
child_ready, parent_done = os.pipe(), os.pipe()
me = os.getpid()
if not os.fork():
    os.close(parent_done[1])
    assert "before the fork" in texts()
    add("child, beside the parent")
    os.write(child_ready[1], b"x")
    if parent == "exits":
        while os.getppid() == me:
            time.sleep(0.01)
    else:
        os.read(parent_done[0], 1)
    # Whoever finds nobody else at work on the file removes its log.
    subprocess.run([sys.executable, "-c",
        "import sys, sqlite3; c = sqlite3.connect(sys.argv[1]);"
        "c.execute('SELECT count(*) FROM collections').fetchall(); c.close()", path], check=True)
    for number in range(5):
        add(f"child, later {number}")
    assert {"child, later 4", "child, beside the parent"} <= texts()
    print("child is done", flush=True)
    if ending == "closes":
        memory.close()
    os._exit(0) if ending == "_exit" else sys.exit(0)
if thread != "none":
    holder.join()
os.read(child_ready[0], 1)
add("parent, after the fork")
assert "child, beside the parent" in texts()
if parent != "exits":
    if parent == "closes":
        memory.close()
    os.write(parent_done[1], b"x")
    os.wait()
    if parent == "stays":
        add("parent, last")
        assert {"parent, last", "child, later 4"} <= texts()
print("parent is done", flush=True)
"""

PARENTS = ("stays", "closes", "exits")
THREADS = ("none", "reads", "writes")
HISTORIES = ("same file", "its own")
ENDINGS = ("_exit", "exit", "closes")
KINDS = ("Memory", "AsyncMemory")

EVERY = list(itertools.product(KINDS, PARENTS, THREADS, HISTORIES, ENDINGS))
SOME = [case for number, case in enumerate(EVERY) if SCALE or number % 9 == 0 or
        case[2:] == ("none", "same file", "_exit")]  # fmt: skip


@pytest.mark.parametrize(("kind", "parent", "thread", "history", "ending"), SOME)
def test_parent_and_child_go_on_and_lose_nothing(
    tmp_path: Path, kind: str, parent: str, thread: str, history: str, ending: str
) -> None:
    path = tmp_path / "memory.db"
    events = path if history == "same file" else tmp_path / "history.db"
    process = python(
        PROGRAM, str(path), str(events), kind, parent, thread, ending, start_new_session=True
    )
    try:
        output, errors = process.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        pytest.fail("hangs")
    assert sorted(output.splitlines()) == ["child is done", "parent is done"], errors
    acknowledged = (tmp_path / "memory.db.acknowledged").read_text().splitlines()
    found = look(path, events)
    assert len(acknowledged) == (8 + (parent == "stays"))
    assert sorted(text for text, _ in found["points"]) == sorted(acknowledged)
    assert sorted(text for text, *_ in found["history"]) == sorted(acknowledged)


INSIDE = """
import json, os, sys, threading, time, warnings
from isomem import Memory
from isomem.errors import DatabaseError
warnings.simplefilter("ignore")
path = sys.argv[1]
memory = Memory.from_config({
    "vector_store": {"provider": "embedded", "config": {"path": path}},
    "embedder": {"provider": "mock", "config": {"embedding_dims": 8}},
    "llm": {"provider": "mock"},
})
add = lambda text: memory.add(text, user_id="u", infer=False)
add("before")
def refused(call):
    try:
        call()
    except DatabaseError as error:
        return error.message
    return "accepted"
"""

OWN_BLOCK = (
    INSIDE
    + """
pid = None
def block():
    global pid
    with memory.vector_store.atomic():
        add("parent, inside")
        pid = os.fork()
        if not pid:
            print("inside:", refused(lambda: add("child, inside")), flush=True)
block_of_child = refused(block)
if not pid:
    print("end:", block_of_child, flush=True)
    add("child, after")
    print(sorted(each["memory"] for each in memory.get_all(filters={"user_id": "u"})["results"]),
          flush=True)
    sys.exit()
os.wait()
print("parent:", sorted(e["memory"] for e in memory.get_all(filters={"user_id": "u"})["results"]))
"""
)


@pytest.mark.parametrize("kind", ["file", "memory"])
def test_a_block_that_was_open_at_the_fork_fails_in_the_child_and_stays_in_the_parent(
    tmp_path: Path, kind: str
) -> None:
    path = str(tmp_path / "memory.db") if kind == "file" else ":memory:"
    output, errors = python(OWN_BLOCK, path).communicate(timeout=LIMIT_S)
    inside, end, child, parent = output.splitlines() or [errors] * 4
    assert "forked inside this block" in inside
    assert "forked inside this block" in end
    in_child = ["before", "child, after"]
    if kind == "file":
        in_child.append("parent, inside")  # The child's own write waits for the parent's.
        assert parent == f"parent: {in_child}"
        assert sorted(text for text, _ in look(path)["points"]) == in_child
    else:
        assert parent == "parent: ['before', 'parent, inside']"
    assert child == str(in_child)


LOCKED_MEMORY = (
    INSIDE
    + """
entered, leave = threading.Event(), threading.Event()
def hold():
    with memory.vector_store.atomic():
        add("half")
        entered.set()
        leave.wait()
if sys.argv[2] == "busy":
    holder = threading.Thread(target=hold)
    holder.start()
    entered.wait()
if not os.fork():
    print("child:", refused(lambda: add("child")), flush=True)
    os._exit(0)
os.wait()
leave.set()
add("parent")
print("parent:", len(memory.get_all(filters={"user_id": "u"})["results"]))
"""
)


@pytest.mark.parametrize(
    ("threads", "answer", "count"),
    [("idle", "accepted", 2), ("busy", "another thread was inside a call when", 3)],
)
def test_memories_in_memory_are_copied_to_the_child_unless_a_thread_was_at_work_on_them(
    threads: str, answer: str, count: int
) -> None:
    output, errors = python(LOCKED_MEMORY, ":memory:", threads).communicate(timeout=LIMIT_S)
    child, parent = output.splitlines() or [errors, errors]
    assert answer in child
    assert parent == f"parent: {count}"


BY_MULTIPROCESSING = (
    INSIDE
    + """
import multiprocessing
def work(number):
    add(f"worker {number}")
    return len(memory.get_all(filters={"user_id": "u"}, top_k=99)["results"])
with multiprocessing.get_context("fork").Pool(3) as pool:
    counts = pool.map(work, range(12))
assert max(counts) <= 13, counts
print(json.dumps(sorted(each["memory"] for each in memory.get_all(
    filters={"user_id": "u"}, top_k=99)["results"])))
"""
)


def test_a_pool_of_forked_workers_shares_the_file(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    output, errors = python(BY_MULTIPROCESSING, str(path)).communicate(timeout=LIMIT_S)
    expected = sorted(["before", *(f"worker {number}" for number in range(12))])
    assert json.loads(output or "[]") == expected, errors
    assert sorted(text for text, _ in look(path)["points"]) == expected


DAEMON = (
    INSIDE
    + """
if os.fork():
    os._exit(0)
os.setsid()
os.chdir("/")
add("daemon")
print(len(memory.get_all(filters={"user_id": "u"})["results"]), flush=True)
"""
)


def test_a_daemon_finds_its_file_from_another_folder(tmp_path: Path) -> None:
    output, errors = python(DAEMON, "memory.db", cwd=tmp_path).communicate(timeout=LIMIT_S)
    assert output == "2\n", errors
    assert sorted(text for text, _ in look(tmp_path / "memory.db")["points"]) == [
        "before", "daemon",
    ]  # fmt: skip


LONG_STATEMENT = """
import os, sys, threading
from isomem import Memory
path, forks = sys.argv[1], int(sys.argv[2])
memory = Memory.from_config({
    "vector_store": {"provider": "embedded", "config": {"path": path}},
    "embedder": {"provider": "mock", "config": {"embedding_dims": 8}},
    "llm": {"provider": "mock"},
})
memory.add("first", user_id="u", infer=False)
database = memory.vector_store.database
stop = False

def run():
    # Takes a third of a second, and memory from SQLite all along.
    sql = ("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 100000)"
           " SELECT count(DISTINCT hex(randomblob(40))) FROM n")
    while not stop:
        with database.reading():
            database.rows(sql)

thread = threading.Thread(target=run)
thread.start()
for number in range(forks):
    child = os.fork()
    if not child:
        memory.add(f"child {number}", user_id="u", infer=False)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
stop = True
thread.join()
print("done", flush=True)
"""


def test_a_fork_waits_for_a_statement_of_another_thread(tmp_path: Path) -> None:
    """Its locks inside SQLite would be locked for ever in the child."""
    forks = scaled(3, 60)
    path = tmp_path / "memory.db"
    process = python(LONG_STATEMENT, str(path), str(forks), start_new_session=True)
    try:
        output, errors = process.communicate(timeout=LIMIT_S + 10 * forks)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    assert output == "done\n", errors
    stored = {text for text, _ in look(path)["points"]}
    assert stored == {"first", *(f"child {number}" for number in range(forks))}
