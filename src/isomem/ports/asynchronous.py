"""The asynchronous ports: nothing that waits runs on the event loop.

Providers that are asynchronous themselves (`aembed`, `aembed_batch`, `agenerate_response`,
`arerank`) are awaited; others run in a bounded pool of threads. What computes has a small pool of
its own, where it never waits behind providers. A serial store set has one thread of its own; plans
that wait for it are applied together, so that they share a flush. The steps of other sets wait for
their engines, so they run in the pool of the providers.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from isomem.errors import DatabaseError
from isomem.ports.blocking import PartsView
from isomem.ports.guard import PartFailure, guarded, one_for_each

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from typing import Any, Concatenate, ParamSpec, TypeGuard, TypeVar

    from isomem.contract.plan import Plan, Progress, Receipt, Record
    from isomem.ports import shapes

    P = ParamSpec("P")
    T = TypeVar("T")
    Waiting = tuple[shapes.SerialStores, Plan, Future[Sequence[Record]]]
    """A plan, where it is to be applied, and what becomes of it."""

PROVIDERS, COMPUTING, STORE = "provider", "compute", "store"

THREADS = {PROVIDERS: 64, COMPUTING: 2, STORE: 1}
"""The most threads of each pool.

Providers wait, so their threads cost little; one is made only if all others are busy. Threads that
compute take turns anyway, and each that wants its turn keeps the event loop waiting longer.
"""

PLANS_AT_ONCE = 64
"""How many plans are applied together."""


class Pools:
    """The threads of one memory, separate for each process.

    A forked child has none of its parent's threads, so it gets its own pools.
    """

    def __init__(self) -> None:
        self._process = -1
        self._is_closed = False
        self._pools: dict[str, ThreadPoolExecutor] = {}
        self._waiting: deque[Waiting]

    async def run(self, work: Callable[[], T], pool: str) -> T:
        """Runs `work` in one of the pools in `THREADS`.

        Raises:
            DatabaseError: the pools are closed.
        """
        self._open()
        return await asyncio.get_running_loop().run_in_executor(self._pools[pool], work)

    async def apply(self, stores: shapes.SerialStores, plan: Plan) -> Sequence[Record]:
        """Applies a plan outside the event loop, after and with those that wait for the same.

        Raises:
            DatabaseError: the pools are closed.
        """
        self._open()
        applied: Future[Sequence[Record]] = Future()
        self._waiting.append((stores, plan, applied))
        self._pools[STORE].submit(self._apply_waiting, stores)
        return await asyncio.wrap_future(applied)

    def _apply_waiting(self, stores: shapes.SerialStores) -> None:
        """Applies the plans that wait now, in their order. There are none if this was done."""
        calls = self._take_waiting(stores)
        outcomes = _apply_together(stores, [plan for plan, _ in calls])
        for (_, applied), outcome in zip(calls, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                applied.set_exception(outcome)
            else:
                applied.set_result(outcome)

    def _take_waiting(
        self, stores: shapes.SerialStores
    ) -> list[tuple[Plan, Future[Sequence[Record]]]]:
        """The plans that wait for these stores, without those whose callers were cancelled."""
        waiting = self._waiting
        taken: list[tuple[Plan, Future[Sequence[Record]]]] = []
        while waiting and waiting[0][0] is stores and len(taken) < PLANS_AT_ONCE:
            _, plan, applied = waiting.popleft()
            if applied.set_running_or_notify_cancel():
                taken.append((plan, applied))
        return taken

    def _open(self) -> None:
        if self._is_closed:
            raise DatabaseError(
                "this AsyncMemory is closed",
                suggestion="Make a new AsyncMemory to use the file again.",
            )
        if self._process != os.getpid():
            self._pools = {
                name: ThreadPoolExecutor(most, f"isomem-{name}") for name, most in THREADS.items()
            }
            self._waiting = deque()
            self._process = os.getpid()

    def close(self) -> None:
        """Ends the threads after their current work. May be called twice."""
        self._is_closed = True
        if self._process == os.getpid():
            for pool in self._pools.values():
                pool.shutdown()

    async def aclose(self) -> None:
        """`close`, without blocking the event loop until the threads are done."""
        self._is_closed = True
        await asyncio.to_thread(self.close)


async def adrive(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine, awaited.

    Raises:
        Exception: what an indispensable part raised.
    """
    try:
        return await coroutine
    except PartFailure as failure:
        error = failure.error
    raise error


class AsyncPorts(PartsView):
    """What `AsyncMemory` hands to a pipeline."""

    run = staticmethod(adrive)

    def __init__(
        self,
        parts: shapes.Parts,
        pools: Pools,
        progress: Progress | None = None,
        receipt: Receipt | None = None,
    ) -> None:
        super().__init__(parts, progress, receipt)
        self._pools = pools

    async def _call(self, part: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        """Calls a method of a part: its asynchronous form, or the other one in a thread."""
        native = getattr(part, f"a{name}", None)
        if native is None:
            return await self._pools.run(partial(guarded(part, name), *args, **kwargs), PROVIDERS)
        try:
            return await native(*args, **kwargs)
        except Exception as error:
            raise PartFailure(error) from error

    async def embed(self, text: str, action: str) -> shapes.Vector:
        """The vector of one text."""
        vector: shapes.Vector = await self._call(self._parts.embedding_model, "embed", text, action)
        return vector

    async def embed_batch(self, texts: list[str], action: str) -> Sequence[shapes.Vector]:
        """The vectors of several texts."""
        model = self._parts.embedding_model
        vectors = await self._call(model, "embed_batch", texts, action)
        counted: Sequence[shapes.Vector] = one_for_each(vectors, texts)
        return counted

    async def generate(self, messages: list[shapes.Message], **options: Any) -> Any:
        """The model's reply."""
        model = self._parts.llm
        return await self._call(model, "generate_response", messages=messages, **options)

    async def rerank(
        self, query: str, documents: list[dict[str, Any]], top_k: int
    ) -> list[dict[str, Any]]:
        """The documents in the reranker's order, or unchanged if there is no reranker."""
        reranker = self._parts.reranker
        if reranker is None:
            return documents
        ranked: list[dict[str, Any]] = await self._call(reranker, "rerank", query, documents, top_k)
        return ranked

    async def compute(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs `work` outside the event loop."""
        return await self._pools.run(partial(work, *args, **kwargs), COMPUTING)

    async def store(
        self,
        work: Callable[Concatenate[shapes.Stores, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Runs a step where the stores want it to run."""
        stores = self._parts.stores
        step = partial(work, stores, *args, **kwargs)
        return await self._pools.run(step, STORE if stores.serial else PROVIDERS)

    async def apply(self, plan: Plan) -> Sequence[Record]:
        """Applies a plan. Returns the stored records."""
        stores = self._parts.stores
        if _is_serial(stores):
            return await self._pools.apply(stores, plan)
        return await self._pools.run(partial(stores.apply, plan), PROVIDERS)


def _is_serial(stores: shapes.Stores) -> TypeGuard[shapes.SerialStores]:
    return stores.serial


def _apply_together(
    stores: shapes.SerialStores, plans: list[Plan]
) -> Sequence[Sequence[Record] | BaseException]:
    """What becomes of each plan: the stored records, or an error."""
    if len(plans) > 1 and all(map(stores.shares, plans)):
        try:
            return stores.apply_all(plans)
        except BaseException:  # noqa: BLE001 - each has its own below
            pass
    return [_apply_alone(stores, plan) for plan in plans]


def _apply_alone(stores: shapes.Stores, plan: Plan) -> Sequence[Record] | BaseException:
    try:
        return stores.apply(plan)
    except BaseException as error:  # noqa: BLE001 - whoever waits for it raises it
        return error


class ChatModel:
    """A LangChain chat model with the method that a pipeline calls."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def generate_response(self, messages: list[dict[str, Any]], **options: Any) -> str:
        """The content of the model's answer; `options` are not LangChain's, so none are passed."""
        del options
        return self._model.invoke(input=messages).content  # type: ignore[no-any-return]
