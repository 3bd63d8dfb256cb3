"""Several processes on one file, and processes that die: what was acknowledged is whole."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from isomem import Memory
from isomem.testing import HashEmbedder, ScriptedLLM

SOURCE = Path(__file__).resolve().parents[3] / "src"

PREAMBLE = """
import json, sys
from isomem import Memory
from isomem.testing import ScriptedLLM

def open_memory(path):
    return Memory.from_config({
        "vector_store": {"provider": "embedded", "config": {"path": path, "busy_timeout_s": 60}},
        "embedder": {"provider": "mock", "config": {"embedding_dims": 32}},
        "llm": {"provider": "mock"},
    })

def facts(number):
    return {"memory": [
        {"text": f"Ana Silva met Bruno Costa in Lisbon for the {number}th time"},
        {"text": f"Ana Silva's box {number} holds a \\"Red Kite\\" from Porto"},
        {"text": f"Number {number} is the favourite of Carla Dias"},
    ]}
"""

ADDS = (
    PREAMBLE
    + """
memory = open_memory(sys.argv[1])
kind, first = sys.argv[2], int(sys.argv[3])
for number in range(first, first + int(sys.argv[4])):
    if kind == "raw":
        said = [{"role": "user", "content": f"raw {number} part {part}"} for part in range(3)]
        results = memory.add(said, user_id="u", infer=False, metadata={"n": number})
    else:
        memory.llm = ScriptedLLM([facts(number)])
        results = memory.add(f"What happened {number}", user_id="u", metadata={"n": number})
    print(json.dumps([number, [each["id"] for each in results["results"]]]), flush=True)
"""
)


def start(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stdout=subprocess.PIPE,
        text=True,
    )


def open_memory(path: Path) -> Memory:
    memory = Memory.from_config(
        {
            "vector_store": {"provider": "embedded", "config": {"path": str(path)}},
            "embedder": {"provider": "mock", "config": {"embedding_dims": 32}},
            "llm": {"provider": "mock"},
        }
    )
    assert isinstance(memory.embedding_model, HashEmbedder)
    return memory


def check_whole(path: Path, kind: str, acknowledged: dict[int, list[str]]) -> int:
    """Every add is there with all it brings or not at all; the number of those that are."""
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        points = connection.execute(
            "SELECT p.id, p.payload, c.name FROM points p JOIN collections c"
            " ON c.number = p.collection"
        ).fetchall()
        history = connection.execute("SELECT memory_id, new_memory, event FROM history").fetchall()
        messages = connection.execute("SELECT content FROM messages").fetchall()
        links = connection.execute("SELECT entity, memory_id FROM linked_memories").fetchall()
        rows = {row[0] for row in connection.execute("SELECT row_key FROM points")}
    connection.close()
    memories = {name: json.loads(payload) for name, payload, where in points if where == "mem0"}
    by_number = Counter(payload["n"] for payload in memories.values())
    # No partial add: three memories each, and one history row for each memory.
    assert set(by_number.values()) <= {3}
    assert sorted(history) == sorted(
        (name, payload["data"], "ADD") for name, payload in memories.items()
    )
    for number, ids in acknowledged.items():
        assert len(ids) == 3
        assert all(memories[name]["n"] == number for name in ids)
    if kind == "inferred":
        # Every memory has its links, no link points to a memory or an entity that is not there.
        assert {memory for _, memory in links} == set(memories)
        assert {entity for entity, _ in links} <= rows
        # The buffer holds the last messages, up to that of the last add.
        latest = sorted(by_number)[-10:]
        assert sorted(text for (text,) in messages) == sorted(
            f"What happened {number}" for number in latest
        )
    else:
        assert messages == links == []
    return len(by_number)


@pytest.mark.parametrize("kind", ["inferred", "raw"])
@pytest.mark.slow
def test_a_killed_process_leaves_whole_adds_and_loses_none_that_it_acknowledged(
    tmp_path: Path, kind: str
) -> None:
    randomness = random.Random(20240115)
    path = tmp_path / "memory.db"
    acknowledged: dict[int, list[str]] = {}
    first = 0
    for moment in (3, 40, 90):
        child = start(ADDS, str(path), kind, str(first), "200")
        assert child.stdout is not None
        for _ in range(moment):
            number, ids = json.loads(child.stdout.readline())
            acknowledged[number] = ids
        time.sleep(randomness.random() / 50)
        child.send_signal(signal.SIGKILL)
        for line in child.stdout:
            if line.endswith("\n"):
                number, ids = json.loads(line)
                acknowledged[number] = ids
        child.stdout.close()
        assert child.wait() == -signal.SIGKILL
        there = check_whole(path, kind, acknowledged)
        assert there in {len(acknowledged), len(acknowledged) + 1}
        first = max(acknowledged) + 2
        if there > len(acknowledged):  # Stored, and killed before it said so.
            acknowledged[first - 1] = ids_of(path, first - 1)
        else:
            first -= 1
    with open_memory(path) as memory:
        assert memory.search("Ana Silva in Lisbon", filters={"user_id": "u"})["results"]
        memory.llm = ScriptedLLM([{"memory": []}])
        memory.add("Still working", user_id="u")


def ids_of(path: Path, number: int) -> list[str]:
    connection = sqlite3.connect(path)
    rows = connection.execute(
        "SELECT id FROM points WHERE json_extract(payload, '$.n') = ?", (number,)
    ).fetchall()
    connection.close()
    return [row[0] for row in rows]


READS = (
    PREAMBLE
    + """
memory = open_memory(sys.argv[1])
seen = 0
for _ in range(60):
    raw = memory.search("raw part", filters={"user_id": "u"}, top_k=1000, threshold=0)["results"]
    listed = memory.get_all(filters={"user_id": "u"}, top_k=10_000)["results"]
    assert len(raw) % 3 == 0 and len(listed) % 3 == 0, (len(raw), len(listed))
    assert seen <= len(raw) <= len(listed), (seen, len(raw), len(listed))
    assert all(hit["user_id"] == "u" for hit in raw)
    seen = len(raw)
print(seen, flush=True)
"""
)


@pytest.mark.slow
def test_processes_that_write_and_read_one_file_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    writers = [start(ADDS, str(path), "raw", str(first), "40") for first in (0, 1000, 2000)]
    reader = start(READS, str(path))
    acknowledged: dict[int, list[str]] = {}
    for writer in writers:
        output, _ = writer.communicate(timeout=120)
        assert writer.returncode == 0
        acknowledged.update(json.loads(line) for line in output.splitlines())
    output, _ = reader.communicate(timeout=120)
    assert reader.returncode == 0
    assert int(output) <= 360
    assert len(acknowledged) == 120
    assert check_whole(path, "raw", acknowledged) == 120
    with open_memory(path) as memory:
        found: Any = memory.search("raw part", filters={"user_id": "u"}, top_k=400, threshold=0)
        assert len(found["results"]) == 360


def test_two_memories_on_one_file_see_each_others_writes_at_once(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    with open_memory(path) as one, open_memory(path) as other:
        scope = {"user_id": "u"}
        ids = []
        for turn in range(6):
            writer, reader = (one, other) if turn % 2 else (other, one)
            added = writer.add(f"tea number {turn}", infer=False, **scope)
            ids.append(added["results"][0]["id"])
            found = reader.search("tea number", filters=scope, threshold=0)["results"]
            assert {hit["id"] for hit in found} == set(ids)
        one.update(ids[0], "coffee")
        assert other.get(ids[0])["memory"] == "coffee"  # type: ignore[index]
        other.delete(ids[0])
        assert one.get(ids[0]) is None
        assert len(one.search("tea", filters=scope, threshold=0)["results"]) == 5
        other.reset()
        assert one.search("tea", filters=scope, threshold=0)["results"] == []
        assert one.history(ids[0]) == []


TWO_MEMORIES = (
    PREAMBLE
    + """
import os, subprocess
one = open_memory(sys.argv[1])
one.add("first", user_id="u", infer=False)
other = open_memory(sys.argv[1])
look = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT 1 FROM points')"
subprocess.run([sys.executable, "-c", look + "; c.close()", sys.argv[1]], check=True)
for number in range(20):
    one.add(f"number {number}", user_id="u", infer=False)
os.kill(os.getpid(), 9)
"""
)


def test_a_second_memory_on_the_file_leaves_the_locks_of_the_first_alone(tmp_path: Path) -> None:
    """Or another process that closes the file would remove the log that the first writes to."""
    path = tmp_path / "memory.db"
    process = start(TWO_MEMORIES, str(path))
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    with open_memory(path) as memory:
        found = memory.get_all(filters={"user_id": "u"}, top_k=100)
    assert len(found["results"]) == 21
