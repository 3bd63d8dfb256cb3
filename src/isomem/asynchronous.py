"""The asynchronous ports: nothing that waits runs on the event loop.

Providers that are asynchronous themselves (`aembed`, `aembed_batch`, `agenerate_response`) are
awaited; others run in a bounded pool of threads. The stores have one thread of their own, so that
their steps follow each other; a store that is not ours runs in the pool.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from functools import partial

from isomem.blocking import BlockingPorts
from isomem.errors import DatabaseError
from isomem.store.database import Database

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Concatenate, ParamSpec, TypeVar

    from isomem import ports
    from isomem.memory import Facade

    P = ParamSpec("P")
    T = TypeVar("T")

PROVIDER_THREADS = 16
"""How many calls of blocking providers run at once."""


class AsyncPorts(BlockingPorts):
    """What `AsyncMemory` hands to a pipeline."""

    def __init__(self, memory: Facade) -> None:
        super().__init__(memory)
        self._llm: Any = None
        self._closed = False
        self._providers = ThreadPoolExecutor(PROVIDER_THREADS, "isomem-provider")
        self._store = ThreadPoolExecutor(1, "isomem-store")

    def with_chat_model(self, llm: Any) -> AsyncPorts:
        """These ports with a LangChain chat model in place of the configured one."""
        ports = copy(self)
        ports._llm = _ChatModel(llm)
        return ports

    async def embed(self, text: str, action: str) -> ports.Vector:
        """The vector of one text."""
        model = self._memory.embedding_model
        if hasattr(model, "aembed"):
            return await model.aembed(text, action)  # type: ignore[no-any-return]
        return await self.compute(model.embed, text, action)

    async def embed_batch(self, texts: list[str], action: str) -> Sequence[ports.Vector]:
        """The vectors of several texts."""
        model = self._memory.embedding_model
        if hasattr(model, "aembed_batch"):
            return await model.aembed_batch(texts, action)  # type: ignore[no-any-return]
        return await self.compute(model.embed_batch, texts, action)

    async def generate(self, messages: list[ports.Message], **options: Any) -> str:
        """The model's reply."""
        model = self._llm or self._memory.llm
        if hasattr(model, "agenerate_response"):
            return await model.agenerate_response(messages=messages, **options)  # type: ignore[no-any-return]
        return await self.compute(model.generate_response, messages=messages, **options)

    async def compute(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs `work` in the pool of the providers."""
        return await self._run(self._providers, partial(work, *args, **kwargs))

    async def store(
        self,
        work: Callable[Concatenate[ports.Stores, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Runs a step on the thread of the stores."""
        ours = isinstance(getattr(self.stores.vectors, "database", None), Database)
        pool = self._store if ours else self._providers
        return await self._run(pool, partial(work, self.stores, *args, **kwargs))

    async def _run(self, pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        if self._closed:
            raise DatabaseError(
                "this AsyncMemory is closed",
                suggestion="Make a new AsyncMemory to use the file again.",
            )
        return await asyncio.get_running_loop().run_in_executor(pool, work)

    def close(self) -> None:
        """Ends the threads, after what they are doing."""
        self._closed = True
        self._providers.shutdown()
        self._store.shutdown()


class _ChatModel:
    """A LangChain chat model with the method that a pipeline calls."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def generate_response(self, messages: list[dict[str, Any]], **options: Any) -> str:
        """The content of the model's answer; `options` are not LangChain's, so none are passed."""
        del options
        return self._model.invoke(input=messages).content  # type: ignore[no-any-return]
