"""Forks over Qdrant: parent and child go on, each with its own client; a folder is the parent's.

The server is one that keeps connections open, and is asked by an address for which the client keeps
them, too.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.stores.qdrant_server import serving
from tests.torture.storage import python

pytest.importorskip("qdrant_client")

LIMIT_S = 120
# A child ends by `os._exit`: what qdrant-client imports in C++ would abort it otherwise.
REST = {
    "embedder": {"provider": "mock", "config": {"embedding_dims": 8}},
    "llm": {"provider": "mock"},
}

OPENED = """
import json, os, sys, warnings
from isomem import Memory
from isomem.errors import VectorStoreError
warnings.simplefilter("ignore")  # Newer Pythons warn of a fork beside threads.
memory = Memory.from_config(json.loads(sys.argv[1]))

def texts(user):
    found = memory.get_all(filters={"user_id": user})
    return sorted(each["memory"] for each in found["results"])
"""

BOTH = (
    OPENED
    + """
memory.add("before", user_id="shared", infer=False)
before = memory.vector_store.client
pid = os.fork()
me = "parent" if pid else "child"
assert (memory.vector_store.client is before) == bool(pid)
assert memory.entity_store.client is memory.vector_store.client
for number in range(12):
    memory.add(f"{me} {number}", user_id=me, infer=False)
    assert texts(me) == sorted(f"{me} {n}" for n in range(number + 1))
    assert texts("shared") == ["before"]
memory.close()
if pid:
    assert os.waitstatus_to_exitcode(os.wait()[1]) == 0
print(me, "is done", flush=True)
os._exit(0)
"""
)


def run(program: str, store: dict[str, Any], folder: Path) -> list[str]:
    history = {"history_db_path": str(folder / "history.db")}
    config = {"vector_store": {"provider": "qdrant", "config": store}, **history, **REST}
    process = python(program, json.dumps(config))
    output, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, errors
    return output.splitlines()


def test_parent_and_child_never_read_what_is_for_the_other(tmp_path: Path) -> None:
    with serving() as server:
        store = {"url": server.url.replace("127.0.0.1", "0.0.0.0")}
        assert sorted(run(BOTH, store, tmp_path)) == ["child is done", "parent is done"]


FOLDER = (
    OPENED
    + """
memory.add("before", user_id="shared", infer=False)
if not os.fork():
    try:
        memory.add("child", user_id="shared", infer=False)
    except VectorStoreError as error:
        print("child:", error.message, flush=True)
    memory.close()
    os._exit(0)
os.wait()
memory.add("after", user_id="shared", infer=False)
print("parent:", texts("shared"))
try:
    Memory.from_config(json.loads(sys.argv[1]))
except VectorStoreError as error:
    print("again:", error.message)
"""
)


def test_a_folder_stays_the_parents_whatever_the_child_does(tmp_path: Path) -> None:
    child, parent, again = run(FOLDER, {"path": str(tmp_path / "qdrant")}, tmp_path)
    assert child.startswith(
        "child: vector_store qdrant: it was opened before this process was forked"
    )
    assert parent == "parent: ['after', 'before']"
    assert "already" in again, "the child has given up the parent's lock"


MEMORY = (
    OPENED
    + """
memory.add("before", user_id="shared", infer=False)
if not os.fork():
    memory.add("child", user_id="shared", infer=False)
    print("child:", texts("shared"), flush=True)
    os._exit(0)
os.wait()
print("parent:", texts("shared"))
"""
)


def test_in_memory_the_child_has_a_copy(tmp_path: Path) -> None:
    found = run(MEMORY, {"path": ":memory:"}, tmp_path)
    assert found == ["child: ['before', 'child']", "parent: ['before']"]
