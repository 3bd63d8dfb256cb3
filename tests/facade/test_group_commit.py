"""Many adds of tasks at once: they share commits, and each has its own result or error."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from isomem import AsyncMemory
from isomem.errors import VectorValueError
from isomem.testing import HashEmbedder

TASKS = 40
BAD = "cannot be embedded"


class Embedder(HashEmbedder):
    """Gives a vector that cannot be stored for one text."""

    async def aembed(self, text: str, action: str | None = None) -> Any:
        return [float("nan")] * self.dims if text == BAD else self.embed(text, action)

    async def aembed_batch(self, texts: list[str], action: str | None = "add") -> Any:
        return [await self.aembed(text, action) for text in texts]


def open_memory(path: Path, **more: Any) -> AsyncMemory:
    store = {"provider": "embedded", "config": {"path": str(path), "synchronous": "off"}}
    memory = AsyncMemory.from_config(
        {
            "vector_store": store,
            "embedder": {"provider": "mock", "config": {"embedding_dims": 8}},
            "llm": {"provider": "mock"},
            **more,
        }
    )
    memory.embedding_model = Embedder(8)
    return memory


class Commits:
    """Counts them; the end of the first plan that shares one fails if it shall."""

    def __init__(self, memory: Any, *, fail: bool) -> None:
        self.count = 0
        self.failed = 0
        self._fail = fail
        memory.vector_store.database.connection.exec_trace = self._trace

    def _trace(self, _: object, sql: str, __: object) -> bool:
        if sql == "COMMIT":
            self.count += 1
        if sql.startswith("RELEASE") and self._fail and not self.failed:
            self.failed += 1
            raise OSError("the disk is gone")
        return True


async def add_all(memory: AsyncMemory) -> list[Any]:
    """The results of adds at once, one of which fails."""
    texts = [f"number {number}" for number in range(TASKS)]
    texts[3] = BAD
    adds = [memory.add(text, user_id="u", infer=False) for text in texts]
    results = await asyncio.gather(*adds, return_exceptions=True)
    assert isinstance(results.pop(3), VectorValueError)
    added = [each["memory"] for result in results for each in result["results"]]  # type: ignore[index]
    assert added == texts[:3] + texts[4:]
    return added


async def stored(memory: AsyncMemory) -> set[str]:
    found = await memory.get_all(filters={"user_id": "u"}, top_k=100)
    return {each["memory"] for each in found["results"]}


@pytest.mark.parametrize("fail", [False, True])
def test_adds_of_many_tasks_share_commits(tmp_path: Path, *, fail: bool) -> None:
    async def main() -> None:
        memory = open_memory(tmp_path / "memory.db")
        await memory.add("first", user_id="other", infer=False)
        commits = Commits(memory, fail=fail)
        added = await add_all(memory)
        assert await stored(memory) == set(added)
        assert commits.failed == fail
        if not fail:
            assert commits.count < TASKS
        await memory.aclose()

    asyncio.run(main())


def test_with_a_history_of_its_own_each_add_is_committed_by_itself(tmp_path: Path) -> None:
    async def main() -> None:
        history = str(tmp_path / "history.db")
        memory = open_memory(tmp_path / "memory.db", history_db_path=history)
        added = await add_all(memory)
        assert await stored(memory) == set(added)
        for found in (await memory.get_all(filters={"user_id": "u"}, top_k=100))["results"]:
            assert len(await memory.history(found["id"])) == 1
        await memory.aclose()

    asyncio.run(main())
