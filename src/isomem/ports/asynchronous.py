"""The asynchronous ports: nothing that waits or computes runs on the event loop.

A call runs at its home: the one thread of a serial store set, where the plans that wait are applied
together, so that they share a flush. The steps of other sets wait for their engines, so their calls
run in the pool of the providers. See `isomem.ports.calls`.

Providers that are asynchronous themselves (`aembed`, `aembed_batch`, `agenerate_response`,
`arerank`) are awaited. Others run in a bounded pool of threads, unless they are brief
(`isomem.ports.brief`). The rules of the language are brief for short texts. What computes for
longer has a small pool of its own, where it waits neither for providers nor for the stores.
"""

from __future__ import annotations

from functools import partial

from isomem.ports.blocking import PartsView
from isomem.ports.brief import are_short, embeds_briefly
from isomem.ports.calls import LOOP, PLANS, Call, Step
from isomem.ports.guard import GuardedTier, PartFailure, guarded, one_for_each
from isomem.ports.pools import COMPUTING, PROVIDERS, STORE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from typing import Any, Concatenate, ParamSpec, TypeGuard, TypeVar

    from isomem.contract.plan import Plan, Progress, Receipt, Record
    from isomem.ports import shapes
    from isomem.ports.pools import Pools

    P = ParamSpec("P")
    T = TypeVar("T")


async def adrive(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine, awaited on this event loop. Its steps are made where they belong.

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

    run_here = staticmethod(adrive)

    def __init__(
        self,
        parts: shapes.Parts,
        pools: Pools,
        progress: Progress | None = None,
        receipt: Receipt | None = None,
    ) -> None:
        super().__init__(parts, progress, receipt)
        self._pools = pools

    async def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The result of a coroutine that awaits nothing but these ports. It runs in a thread.

        Raises:
            Exception: what an indispensable part raised.
            DatabaseError: the pools are closed.
        """
        home = STORE if self._parts.stores.serial else PROVIDERS
        result: T = await adrive(Call(coroutine, self._pools, home).result())
        return result

    def _provided(
        self, part: Any, name: str, *args: Any, is_brief: bool = False, **kwargs: Any
    ) -> Step:
        """A call of a part: its asynchronous form if it has one, or else the other one."""
        native = getattr(part, f"a{name}", None)
        if native is not None:
            return Step(self._pools, LOOP, partial(_awaited, native, *args, **kwargs))
        work = partial(guarded(part, name), *args, **kwargs)
        return Step(self._pools, PROVIDERS, work, is_brief=is_brief)

    async def embed(self, text: str, action: str) -> shapes.Vector:
        """The vector of one text."""
        model = self._parts.embedding_model
        is_brief = embeds_briefly(model) and are_short(text)
        vector: shapes.Vector = await self._provided(
            model, "embed", text, action, is_brief=is_brief
        )
        return vector

    async def embed_batch(self, texts: list[str], action: str) -> Sequence[shapes.Vector]:
        """The vectors of several texts."""
        model = self._parts.embedding_model
        is_brief = embeds_briefly(model) and are_short(texts)
        vectors = await self._provided(model, "embed_batch", texts, action, is_brief=is_brief)
        counted: Sequence[shapes.Vector] = one_for_each(vectors, texts)
        return counted

    async def generate(self, messages: list[shapes.Message], **options: Any) -> Any:
        """The model's reply."""
        model = self._parts.llm
        return await self._provided(model, "generate_response", messages=messages, **options)

    async def rerank(
        self, query: str, documents: list[dict[str, Any]], top_k: int
    ) -> list[dict[str, Any]]:
        """The documents in the reranker's order, or unchanged if there is no reranker."""
        reranker = self._parts.reranker
        if reranker is None:
            return documents
        ranked: list[dict[str, Any]] = await self._provided(
            reranker, "rerank", query, documents, top_k
        )
        return ranked

    async def compute(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs `work` outside the event loop."""
        step = partial(work, *args, **kwargs)
        is_brief = not kwargs and self._reads_briefly(args)
        computed: T = await Step(self._pools, COMPUTING, step, is_brief=is_brief)
        return computed

    def _reads_briefly(self, given: Sequence[object]) -> bool:
        """Whether this is a little text for rules of our own."""
        tier = self.nlp
        texts = [each for each in given if each is not tier]
        return not isinstance(tier, GuardedTier) and are_short(*texts)

    async def store(
        self,
        work: Callable[Concatenate[shapes.Stores, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Runs a step where the stores want it to run."""
        stores = self._parts.stores
        step = partial(work, stores, *args, **kwargs)
        stored: T = await Step(self._pools, STORE if stores.serial else PROVIDERS, step)
        return stored

    async def apply(self, plan: Plan) -> Sequence[Record]:
        """Applies a plan. Returns the stored records."""
        stores = self._parts.stores
        if _is_serial(stores):
            step = Step(self._pools, PLANS, partial(self._pools.apply, stores, plan))
        else:
            step = Step(self._pools, PROVIDERS, partial(stores.apply, plan))
        records: Sequence[Record] = await step
        return records


def _is_serial(stores: shapes.Stores) -> TypeGuard[shapes.SerialStores]:
    return stores.serial


async def _awaited(native: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What the asynchronous method of a part returns."""
    try:
        return await native(*args, **kwargs)
    except Exception as error:
        raise PartFailure(error) from error


class ChatModel:
    """A LangChain chat model with the method that a pipeline calls."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def generate_response(self, messages: list[dict[str, Any]], **options: Any) -> str:
        """The content of the model's answer; `options` are not LangChain's, so none are passed."""
        del options
        return self._model.invoke(input=messages).content  # type: ignore[no-any-return]
