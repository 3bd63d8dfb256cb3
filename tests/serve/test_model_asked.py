"""A question to the model alone waits for no store."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from isomem import AsyncMemory
from isomem.testing import HashEmbedder

pytest.importorskip("starlette")
from isomem.serve.callers import Caller


class Native:
    async def agenerate_response(self, messages: Any, **_: Any) -> str:
        return "yes"


class Blocking:
    def generate_response(self, messages: Any, **_: Any) -> str:
        return "yes"


@pytest.mark.parametrize("model", [Native(), Blocking()])
def test_the_model_is_asked_while_the_stores_are_at_work(model: Any) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def work(_: Any) -> None:
        begun.set()
        may_end.wait(30)

    async def main() -> None:
        memory = AsyncMemory(path=":memory:")
        memory.embedding_model, memory.llm = HashEmbedder(8), model
        caller: Any = Caller.__new__(Caller)
        caller.access = SimpleNamespace(memory=memory)
        caller.service = SimpleNamespace(settings=SimpleNamespace(timeout_s=10))
        working = asyncio.create_task(memory._ports.run(memory._ports.store(work)))
        await asyncio.to_thread(begun.wait, 30)
        try:
            assert await caller.ask_model([]) == "yes"
        finally:
            may_end.set()
            await working
            await memory.aclose()

    asyncio.run(main())
