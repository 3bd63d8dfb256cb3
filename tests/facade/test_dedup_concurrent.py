"""Equal facts that several calls find at the same time are stored once, if that is asked for."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from isomem import AsyncMemory, ConfigurationError, Memory
from isomem.testing import ScriptedLLM
from tests.facade.conftest import Face, configuration, facts

U = {"user_id": "u"}
SHARED = "We gave Ana Silva a cat"
CALLS = 8

Make = Callable[..., Face]
SOURCE = Path(__file__).resolve().parents[2] / "src"


def said_in(messages: list[dict[str, Any]]) -> str:
    return str(messages[1]["content"]).split("## New Messages\nuser: ")[1].split("\n")[0]


def reply_to(said: str) -> str:
    """What every call finds, and what only this one does."""
    return json.dumps(facts(SHARED, f"Bruno Costa said {said}"))


class Together:
    """Answers when all calls have asked: each has then read the memories, and none has written."""

    def __init__(self, calls: int) -> None:
        self._barrier = threading.Barrier(calls)

    def generate_response(self, messages: list[dict[str, Any]], **options: Any) -> str:
        self._barrier.wait(60)
        return reply_to(said_in(messages))


class During:
    """Calls something before it answers."""

    def __init__(self, reply: Any, call: Callable[[], object]) -> None:
        self._reply, self._call = reply, call

    def generate_response(self, messages: list[dict[str, Any]], **options: Any) -> str:
        self._call()
        return json.dumps(self._reply)


def check_once(memory: Memory, results: list[Any]) -> None:
    """The shared fact is stored once, with one history row, and one result names it."""
    listed = memory.get_all(filters=U, top_k=1000)["results"]
    texts = sorted(each["memory"] for each in listed)
    own = [f"Bruno Costa said word{number}" for number in range(CALLS)]
    assert texts == sorted([SHARED, *own])
    added = [each for result in results for each in result["results"]]
    assert sorted(each["memory"] for each in added) == texts
    assert {each["id"] for each in added} == {each["id"] for each in listed}
    ledger: Any = memory.db
    assert len(ledger.database.rows("SELECT memory_id FROM history")) == len(texts)
    store: Any = memory.entity_store
    points, _ = store.list(top_k=None)
    links = {name for point in points for name in point.payload["linked_memory_ids"]}
    assert links <= {each["id"] for each in listed}


def open_memory(path: Path | str, **more: Any) -> Memory:
    return Memory.from_config(configuration(path, dedup_concurrent=True, **more))


@pytest.mark.parametrize("where", ["file", "memory", "history apart"])
def test_threads_that_find_the_same_fact_store_it_once(tmp_path: Path, where: str) -> None:
    path = ":memory:" if where == "memory" else tmp_path / "memory.db"
    more = {"history_db_path": str(tmp_path / "history.db")} if where == "history apart" else {}
    results: list[Any] = []
    with open_memory(path, **more) as memory:
        memory.llm = Together(CALLS)

        def work(number: int) -> None:
            results.append(memory.add(f"word{number}", **U))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(CALLS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        check_once(memory, results)


def test_tasks_that_find_the_same_fact_store_it_once(tmp_path: Path) -> None:
    """Their plans are applied together, in one transaction."""
    path = tmp_path / "memory.db"

    async def main() -> list[Any]:
        config = configuration(path, dedup_concurrent=True)
        async with AsyncMemory.from_config(config) as memory:
            await memory.add("first", user_id="other", infer=False)
            memory.llm = Together(CALLS)
            adds = (memory.add(f"word{number}", **U) for number in range(CALLS))
            return list(await asyncio.gather(*adds))

    results = asyncio.run(main())
    with open_memory(path) as memory:
        memory.delete_all(user_id="other", purge_history=True)
        check_once(memory, results)


PROCESS = """
import json, sys
from isomem import Memory
path, number = sys.argv[1:]

class Model:
    def generate_response(self, messages, **options):
        print("asked", flush=True)
        sys.stdin.readline()
        return json.dumps({"memory": [{"text": TEXT}, {"text": f"Bruno Costa said word{number}"}]})

memory = Memory.from_config({
    "vector_store": {"provider": "embedded", "config": {"path": path, "busy_timeout_s": 60}},
    "embedder": {"provider": "mock", "config": {"embedding_dims": 64}},
    "llm": {"provider": "mock"},
    "dedup_concurrent": True,
})
memory.llm = Model()
print(json.dumps(memory.add("hello", user_id="u")))
""".replace("TEXT", repr(SHARED))


def test_processes_that_find_the_same_fact_store_it_once(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(path), str(number)],
            env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for number in range(CALLS)
    ]  # fmt: skip
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "asked\n"  # Each has read the memories.
    for process in started:
        assert process.stdin is not None
        process.stdin.write("answer\n")
        process.stdin.flush()
    results = [json.loads(process.communicate(timeout=60)[0]) for process in started]
    with open_memory(path) as memory:
        check_once(memory, results)


# --- One call that another one overtakes -----------------------------------------------------


def overtaken(face: Face, *replied: str, by: Callable[[], object], **ids: Any) -> list[str]:
    """What an add stores if `by` happens while it asks the model."""
    face.llm = During(facts(*replied), by)
    return [each["memory"] for each in face.add("hello", **(ids or U))["results"]]


def learn(face: Face, *texts: str, **ids: Any) -> Callable[[], object]:
    """An add of its own, by another object over the same stores."""

    def call() -> object:
        other = face.real.replacing(llm=ScriptedLLM([facts(*texts)]))
        added = other.add("overtaking", **(ids or U))
        if face.is_async:
            return asyncio.run_coroutine_threadsafe(added, face._loop).result(60)
        return added

    return call


def raw(face: Face, text: str) -> Callable[[], object]:
    def call() -> object:
        added = face.real.add(text, **U, infer=False)
        if face.is_async:
            return asyncio.run_coroutine_threadsafe(added, face._loop).result(60)
        return added

    return call


@pytest.mark.parametrize("path", ["memory.db", ":memory:"])
def test_an_overtaken_add_stores_what_is_new(make: Make, tmp_path: Path, path: str) -> None:
    where = path if path == ":memory:" else tmp_path / path
    face = make(where, dedup_concurrent=True)
    stored = overtaken(face, SHARED, "Milo is black", by=learn(face, SHARED, "Milo purrs"))
    assert stored == ["Milo is black"]
    assert sorted(face.memories()) == ["Milo is black", "Milo purrs", SHARED]


def test_without_the_option_both_are_stored(make: Make) -> None:
    face = make()
    assert overtaken(face, SHARED, by=learn(face, SHARED)) == [SHARED]
    assert face.memories() == [SHARED, SHARED]


@pytest.mark.parametrize("path", ["memory.db", ":memory:"])
def test_a_raw_memory_that_was_added_meanwhile_counts(
    make: Make, tmp_path: Path, path: str
) -> None:
    """In memory it is held back, and written when the add begins its own write."""
    face = make(path if path == ":memory:" else tmp_path / path, dedup_concurrent=True)
    face.add("dims are known now", **U, infer=False)
    assert overtaken(face, SHARED, by=raw(face, SHARED)) == []
    assert face.memories().count(SHARED) == 1


def test_raw_memories_are_never_left_out(make: Make) -> None:
    face = make(dedup_concurrent=True)
    for _ in range(2):
        face.add(SHARED, **U, infer=False)
    assert face.memories() == [SHARED, SHARED]


@pytest.mark.parametrize(
    ("ours", "theirs", "stored"),
    [
        ({"user_id": "u"}, {"user_id": "v"}, True),
        ({"user_id": "u"}, {"user_id": "u", "agent_id": "a"}, False),
        ({"user_id": "u", "agent_id": "a"}, {"user_id": "u"}, True),
        ({"user_id": "u", "agent_id": "a"}, {"user_id": "u", "agent_id": "b"}, True),
        ({"agent_id": "a"}, {"user_id": "u", "agent_id": "a"}, False),
    ],
)
def test_the_scope_is_the_one_that_an_add_looks_at(
    make: Make, ours: dict[str, Any], theirs: dict[str, Any], *, stored: bool
) -> None:
    face = make(dedup_concurrent=True)
    added = overtaken(face, SHARED, by=learn(face, SHARED, **theirs), **ours)
    assert added == ([SHARED] if stored else [])


def test_a_fact_that_is_removed_again_meanwhile_is_stored(make: Make) -> None:
    face = make(dedup_concurrent=True)

    def add_and_remove() -> None:
        learn(face, SHARED)()
        removed = face.real.delete_all(**U)
        if face.is_async:
            asyncio.run_coroutine_threadsafe(removed, face._loop).result(60)

    assert overtaken(face, SHARED, by=add_and_remove) == [SHARED]
    assert face.memories() == [SHARED]


def test_the_messages_of_an_overtaken_add_are_kept(make: Make) -> None:
    face = make(dedup_concurrent=True)
    assert overtaken(face, SHARED, by=learn(face, SHARED)) == []
    kept = [each["content"] for each in face.db.get_last_messages("user_id=u")]
    assert sorted(kept) == ["hello", "overtaking"]


def test_what_was_stored_long_before_is_compared_as_in_mem0(make: Make) -> None:
    """Without a race nothing changes: an equal fact that the add did not look at is stored."""
    face, plain = make(dedup_concurrent=True), make(":memory:")
    for each in (face, plain):
        each.learn(SHARED)
        for number in range(20):
            each.add(f"hello hello {number}", **U, infer=False)
        each.learn(SHARED, said="hello hello")
    assert face.memories() == plain.memories()
    assert face.memories().count(SHARED) == 2


def test_a_foreign_store_says_that_it_cannot(make: Make) -> None:
    class Foreign:
        def search(self, **asked: Any) -> list[Any]:
            raise AssertionError("nothing is asked of it")

    face = make(dedup_concurrent=True)
    face.vector_store = Foreign()
    face.llm = ScriptedLLM([])
    with pytest.raises(ConfigurationError, match="dedup_concurrent needs the embedded") as raised:
        face.add("hello", **U)
    assert raised.value.error_code == "CONFIG_009"


def test_a_configured_foreign_store_is_refused_at_once() -> None:
    store = {"provider": "tests.facade.nowhere:Store", "config": {}}
    with pytest.raises(ConfigurationError, match="dedup_concurrent"):
        Memory.from_config(
            {**configuration(":memory:"), "vector_store": store, "dedup_concurrent": True}
        )
