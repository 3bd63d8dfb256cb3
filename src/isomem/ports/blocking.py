"""The blocking ports: every call is done when it returns, so a pipeline never suspends."""

from __future__ import annotations

from isomem.ports.guard import PartFailure, guarded_nlp, one_for_each

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from typing import Any, Concatenate, ParamSpec, TypeVar

    from isomem.clock import Clock
    from isomem.contract.plan import Plan, Progress, Receipt, Record
    from isomem.contract.profile import Profile
    from isomem.ports import shapes

    P = ParamSpec("P")
    T = TypeVar("T")


class PartsView:
    """What both kinds of ports share: the parts that a memory has at this moment.

    Args:
        parts: the memory; its parts can be replaced while it lives.
        progress: the row of an ingest that the call's plan carries.
        receipt: the receipt that it carries.
    """

    def __init__(
        self,
        parts: shapes.Parts,
        progress: Progress | None = None,
        receipt: Receipt | None = None,
    ) -> None:
        self._parts = parts
        self.settings: shapes.Settings = parts
        self.profile: Profile = parts.profile
        self.progress = progress
        self.receipt = receipt
        self._tier: Any = None
        self._guarded_tier: Any = None

    @property
    def clock(self) -> Clock:
        """Time and ids."""
        return self._parts.clock

    @property
    def nlp(self) -> shapes.Nlp:
        """The language tier."""
        tier = self._parts.nlp
        if tier is not self._tier:
            self._tier, self._guarded_tier = tier, guarded_nlp(tier)
        guarded: shapes.Nlp = self._guarded_tier
        return guarded

    @property
    def reranks(self) -> bool:
        """Whether there is a reranker."""
        return self._parts.reranker is not None

    @property
    def takes_any_id(self) -> bool:
        """Whether the stores take the id "*" as an id, and not as every id."""
        return self._parts.stores.takes_any_id

    @property
    def embeds_by_action(self) -> bool:
        """Whether the same text may get another vector for another action."""
        return not getattr(self._parts.embedding_model, "ignores_action", False)

    @property
    def embeds_alike_in_batch(self) -> bool:
        """Whether a text in a batch gets the vector that it gets alone."""
        return bool(getattr(self._parts.embedding_model, "embeds_alike_in_batch", False))


def drive(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never suspends: everything it awaits returns at once.

    This also works inside a running event loop, since it neither needs nor touches one.

    Raises:
        Exception: what an indispensable part raised.
        RuntimeError: the coroutine suspended, so one of the ports is not blocking.
    """
    try:
        coroutine.send(None)
    except StopIteration as finished:
        result: T = finished.value
        return result
    except PartFailure as failure:
        error = failure.error
    else:
        coroutine.close()
        raise RuntimeError("a coroutine suspended where only blocking calls can be made")
    raise error  # Out here, so that the part's error has no context but its own.


class BlockingPorts(PartsView):
    """What `Memory` hands to a pipeline."""

    run = staticmethod(drive)
    run_here = staticmethod(drive)

    async def embed(self, text: str, action: str) -> shapes.Vector:
        """The vector of one text."""
        try:
            return self._parts.embedding_model.embed(text, action)
        except Exception as error:
            raise PartFailure(error) from error

    async def embed_batch(self, texts: list[str], action: str) -> Sequence[shapes.Vector]:
        """The vectors of several texts."""
        try:
            vectors = self._parts.embedding_model.embed_batch(texts, action)
        except Exception as error:
            raise PartFailure(error) from error
        counted: Sequence[shapes.Vector] = one_for_each(vectors, texts)
        return counted

    async def generate(self, messages: list[shapes.Message], **options: Any) -> Any:
        """The model's reply."""
        try:
            return self._parts.llm.generate_response(messages=messages, **options)
        except Exception as error:
            raise PartFailure(error) from error

    async def rerank(
        self, query: str, documents: list[dict[str, Any]], top_k: int
    ) -> list[dict[str, Any]]:
        """The documents in the reranker's order, or unchanged if there is no reranker."""
        reranker = self._parts.reranker
        try:
            return reranker.rerank(query, documents, top_k) if reranker else documents
        except Exception as error:
            raise PartFailure(error) from error

    async def compute(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs `work` here."""
        return work(*args, **kwargs)

    async def store(
        self,
        work: Callable[Concatenate[shapes.Stores, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Runs a step here."""
        return work(self._parts.stores, *args, **kwargs)

    async def apply(self, plan: Plan) -> Sequence[Record]:
        """Applies a plan. Returns the stored records."""
        return self._parts.stores.apply(plan)
