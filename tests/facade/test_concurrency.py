"""Loops, tasks and threads: nothing blocks, nothing is lost, nothing is half there."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from isomem import AsyncMemory, Memory
from isomem.errors import DatabaseError
from tests.facade.conftest import configuration, facts

U = {"user_id": "u"}


class Model:
    """Answers with facts about what was said; slowly, and as a coroutine, if asked to."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds

    def generate_response(self, messages: list[dict[str, Any]], **options: Any) -> str:
        time.sleep(self.seconds)
        said = messages[1]["content"].split("## New Messages\nuser: ")[1].split("\n")[0]
        return json.dumps(facts(f"We gave Ana Silva {said}", f"We gave {said} to Bruno Costa"))


class Waiting(Model):
    """Answers when it may."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = threading.Event()
        self.may_answer = threading.Event()

    def generate_response(self, messages: list[dict[str, Any]], **options: Any) -> str:
        self.asked.set()
        self.may_answer.wait(30)
        return super().generate_response(messages, **options)


class AsyncModel(Model):
    async def agenerate_response(self, messages: list[dict[str, Any]], **options: Any) -> str:
        await asyncio.sleep(self.seconds)
        return Model(0).generate_response(messages)


def run(work: Callable[[AsyncMemory], Coroutine[Any, Any, Any]], path: Path, **config: Any) -> Any:
    async def main() -> Any:
        async with AsyncMemory.from_config(configuration(path, **config)) as memory:
            return await work(memory)

    return asyncio.run(main())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "memory.db"


def check_whole(path: Path, count: int) -> None:
    """`count` adds of two facts each are there, with history, links and messages."""
    connection = sqlite3.connect(path)
    points = connection.execute(
        "SELECT p.id, payload FROM points p JOIN collections c ON c.number = p.collection"
        " WHERE c.name = 'mem0'"
    ).fetchall()
    memories = {name: json.loads(payload) for name, payload in points}
    history = connection.execute("SELECT memory_id FROM history").fetchall()
    links = {row[0] for row in connection.execute("SELECT memory_id FROM linked_memories")}
    connection.close()
    assert set(Counter(payload["n"] for payload in memories.values()).values()) <= {2}
    assert len(memories) == 2 * count
    assert sorted(name for (name,) in history) == sorted(memories)
    assert links == set(memories)


@pytest.mark.parametrize("model", [Model(0.001), AsyncModel(0.001)], ids=["blocking", "native"])
def test_two_hundred_adds_at_once_are_all_there(path: Path, model: Model) -> None:
    async def work(memory: AsyncMemory) -> None:
        memory.llm = model
        adds = (
            memory.add(f"number{number}", user_id=f"u{number % 5}", metadata={"n": number})
            for number in range(200)
        )
        results = await asyncio.gather(*adds)
        assert all(len(result["results"]) == 2 for result in results)
        for user in range(5):
            scope = {"user_id": f"u{user}"}
            listed = await memory.get_all(filters=scope, top_k=1000)
            assert len(listed["results"]) == 80
            found = await memory.search("number", filters=scope, top_k=500, threshold=0.0)
            assert {hit["user_id"] for hit in found["results"]} == {f"u{user}"}

    run(work, path)
    check_whole(path, 200)


def test_a_slow_model_does_not_hold_up_the_loop(path: Path) -> None:
    async def work(memory: AsyncMemory) -> None:
        memory.llm = model = Waiting()
        slow = asyncio.create_task(memory.add("slow", **U))
        await asyncio.to_thread(model.asked.wait, 30)
        await memory.add("quick", **U, infer=False)
        assert await memory.search("quick", filters=U)
        assert not slow.done()
        model.may_answer.set()
        await slow

    run(work, path)


@pytest.mark.parametrize("model", [Model(0.004), AsyncModel(0.004)], ids=["blocking", "native"])
def test_a_cancelled_add_is_whole_or_not_there(path: Path, model: Model) -> None:
    done = []

    async def work(memory: AsyncMemory) -> None:
        memory.llm = model
        for number in range(40):
            call = memory.add(f"number{number}", **U, metadata={"n": number})
            task = asyncio.create_task(call)
            await asyncio.sleep(number * 0.0004)
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                continue
            done.append(number)
        await memory.search("anything", filters=U)  # Behind whatever was still being written.

    run(work, path)
    connection = sqlite3.connect(path)
    rows = connection.execute(
        "SELECT DISTINCT json_extract(payload, '$.n') FROM points"
        " WHERE json_extract(payload, '$.n') IS NOT NULL"
    ).fetchall()
    connection.close()
    assert {number for (number,) in rows} >= set(done)
    check_whole(path, len(rows))


def test_memory_works_inside_a_running_loop(path: Path) -> None:
    async def main() -> None:
        with Memory.from_config(configuration(path)) as memory:
            memory.llm = Model()
            memory.add("a cat", **U, metadata={"n": 1})
            assert len(memory.search("a cat", filters=U)["results"]) == 2
            memory.delete_all(**U)
            await asyncio.sleep(0)

    asyncio.run(main())


def test_memory_is_shared_by_many_threads(path: Path) -> None:
    failures: list[BaseException] = []
    with Memory.from_config(configuration(path)) as memory:
        memory.llm = Model()

        def work(thread: int) -> None:
            scope = {"user_id": f"u{thread % 2}"}
            try:
                for turn in range(12):
                    number = thread * 100 + turn
                    added = memory.add(f"number{number}", **scope, metadata={"n": number})
                    names = {each["id"] for each in added["results"]}
                    hits = memory.search(f"number{number}", filters=scope, top_k=1000, threshold=0)
                    assert names <= {hit["id"] for hit in hits["results"]}
                    assert {hit["user_id"] for hit in hits["results"]} == {scope["user_id"]}
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not failures
    check_whole(path, 72)


def test_no_thread_is_left_behind(path: Path) -> None:
    before = set(threading.enumerate())

    async def work(memory: AsyncMemory) -> None:
        await memory.add("x", **U, infer=False)

    run(work, path)
    with Memory.from_config(configuration(path)) as memory:
        memory.add("x", **U, infer=False)
        assert set(threading.enumerate()) <= before


def test_one_asynchronous_memory_serves_one_loop_after_another(path: Path) -> None:
    memory = AsyncMemory.from_config(configuration(path))
    for _ in range(2):
        asyncio.run(memory.add("x", **U, infer=False))
    assert len(asyncio.run(memory.get_all(filters=U))["results"]) == 2
    asyncio.run(memory.aclose())


@pytest.mark.parametrize("pause_s", [0.0, 0.001, 0.003, 0.01, 0.05])
def test_closing_in_the_middle_of_an_add_leaves_it_whole_or_not_there(
    path: Path, pause_s: float
) -> None:
    async def main() -> bool:
        memory = AsyncMemory.from_config(configuration(path))
        said = [{"role": "user", "content": f"tea {number}"} for number in range(50)]
        task = asyncio.create_task(memory.add(said, **U, infer=False))
        await asyncio.sleep(pause_s)
        memory.close()
        try:
            return bool(await task)
        except DatabaseError as error:
            assert "is closed" in error.message  # noqa: PT017
            return False

    done = asyncio.run(main())
    with Memory.from_config(configuration(path)) as memory:
        assert len(memory.get_all(filters=U, top_k=100)["results"]) == (50 if done else 0)
