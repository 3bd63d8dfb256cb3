"""Closing, and what is in the air meanwhile."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from isomem import AsyncMemory, Memory, MemoryConfig
from isomem.errors import DatabaseError
from tests.facade.conftest import configuration, facts

U = {"user_id": "u"}


def opened(path: Path, **more: Any) -> AsyncMemory:
    return AsyncMemory(MemoryConfig(**configuration(path, **more)))


def until_closed(memory: AsyncMemory) -> None:
    while not memory._pools._is_closed:
        time.sleep(0.001)


class Slow:
    """A blocking model that answers when it is let."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.may_answer = threading.Event()

    def generate_response(self, messages: Any, **options: Any) -> str:
        import json

        self.asked.set()
        self.may_answer.wait(30)
        return json.dumps(facts("Likes tea"))


def test_aclose_leaves_the_event_loop_free_while_a_model_is_thinking(tmp_path: Path) -> None:
    async def main() -> None:
        memory = opened(tmp_path / "m.db")
        memory.llm = slow = Slow()
        adding = asyncio.ensure_future(memory.add("hello", **U))
        await asyncio.to_thread(slow.asked.wait, 30)
        closing = asyncio.ensure_future(memory.aclose())
        for _ in range(20):
            await asyncio.sleep(0)  # The loop turns, though the model has not answered yet.
        assert not closing.done()
        slow.may_answer.set()
        await closing
        with pytest.raises(DatabaseError, match="closed"):
            await adding

    asyncio.run(main())


def test_an_add_that_a_close_overtakes_raises_and_stores_nothing(tmp_path: Path) -> None:
    """It must not count as one that found nothing to remember."""

    async def main() -> None:
        memory = opened(tmp_path / "m.db")
        memory.llm = slow = Slow()
        adding = asyncio.ensure_future(memory.add("hello", **U))
        await asyncio.to_thread(slow.asked.wait, 30)
        closing = asyncio.ensure_future(asyncio.to_thread(memory.close))
        await asyncio.to_thread(until_closed, memory)
        slow.may_answer.set()
        await closing
        with pytest.raises(DatabaseError, match="closed"):
            await adding

    asyncio.run(main())

    async def look() -> Any:
        async with opened(tmp_path / "m.db") as memory:
            return await memory.get_all(filters=U)

    assert asyncio.run(look()) == {"results": []}


def test_asynchronous_parts_are_closed_by_aclose(tmp_path: Path) -> None:
    closed: list[str] = []

    class Part:
        def __init__(self, name: str) -> None:
            self.name = name

        async def aclose(self) -> None:
            closed.append(self.name)

    async def main() -> None:
        async with opened(tmp_path / "m.db") as memory:
            memory.llm, memory.reranker = Part("llm"), Part("reranker")  # type: ignore[assignment]
            memory.embedding_model = Part("embedder")  # type: ignore[assignment]

    asyncio.run(main())
    assert sorted(closed) == ["embedder", "llm", "reranker"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_threads_and_a_connection_of_its_own(tmp_path: Path) -> None:
    memory = opened(tmp_path / "m.db")

    async def add(text: str) -> None:
        await asyncio.wait_for(memory.add(text, **U, infer=False), 5)

    asyncio.run(add("parent"))
    child = os.fork()
    if not child:
        try:
            asyncio.run(add("child"))
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    asyncio.run(add("parent again"))

    async def texts() -> list[str]:
        found = await memory.get_all(filters=U)
        await memory.aclose()
        return sorted(each["memory"] for each in found["results"])

    assert asyncio.run(texts()) == ["child", "parent", "parent again"]


@pytest.mark.parametrize("kind", [Memory, AsyncMemory])
def test_a_closed_memory_keeps_nothing_of_what_it_searched(tmp_path: Path, kind: Any) -> None:
    """However long somebody refers to it."""

    async def fill_and_close(memory: Any) -> int:
        for number in range(300):
            done = memory.add(f"fact {number}", **U, infer=False)
            _ = await done if kind is AsyncMemory else done
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        done = memory.search("fact", filters=U)
        _ = await done if kind is AsyncMemory else done
        held = tracemalloc.get_traced_memory()[0] - before
        _ = await memory.aclose() if kind is AsyncMemory else memory.close()
        gc.collect()
        return held - (tracemalloc.get_traced_memory()[0] - before)

    settings: Any = configuration(tmp_path / "m.db")
    memory = kind(MemoryConfig(**settings))
    tracemalloc.start()
    try:
        given_back = asyncio.run(fill_and_close(memory))
    finally:
        tracemalloc.stop()
    # A vector of 64 float32 and 110 bytes beside it, for each of 300 memories.
    assert given_back > 300 * (4 * 64 + 60)
