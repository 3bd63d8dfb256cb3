"""What the pipeline may call: shapes only, imported for their types and never at run time.

The first group has upstream's method signatures, so that any object written for mem0 2.0.4 can
stand in for `memory.embedding_model`, `memory.llm`, `memory.vector_store`, `memory.entity_store`,
`memory.db` or `memory.reranker`. The second group is what a pipeline step awaits; a blocking
and an asynchronous implementation of it make `Memory` and `AsyncMemory`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from isomem.clock import Clock
from isomem.contract.pages import Key, Tally
from isomem.contract.plan import (
    FailedChunk,
    Mention,
    Outcome,
    Plan,
    Progress,
    Receipt,
    Record,
    Since,
    TakenIn,
)
from isomem.contract.profile import Profile
from isomem.contract.ranking import Found, Question
from isomem.contract.visibility import Visibility
from isomem.types import Filters, Hit, Message, Payload, Vector

__all__ = [
    "LLM", "Embedder", "Entry", "Filters", "Hit", "Ingests", "Ledger", "Links", "Listing",
    "Message", "Nlp", "Parts", "Payload", "Ports", "Receipts", "Reranker", "Settings",
    "Stores", "Vector", "VectorStore",
]  # fmt: skip

P = ParamSpec("P")
T = TypeVar("T")

Entry = tuple[int, str, Any]
"""A memory in a listing: its rank in the order, its id, and what its listing reads it by."""


class Embedder(Protocol):
    """Turns text into vectors of one length. `memory_action` is "add", "search" or "update".

    One that does not look at the action may say so with an attribute `ignores_action = True`. That
    saves calls that would return the same vector again. One whose `embed_batch` gives each text the
    vector that `embed` gives it may say so with `embeds_alike_in_batch = True`. Then a search is
    one call.
    """

    def embed(self, text: str, memory_action: str | None = None) -> Vector: ...

    def embed_batch(
        self, texts: list[str], memory_action: str | None = "add"
    ) -> Sequence[Vector]: ...


class LLM(Protocol):
    """Answers a list of chat messages with text."""

    def generate_response(self, messages: list[Message], **options: object) -> str: ...


class Reranker(Protocol):
    """Reorders search results; may add `rerank_score` to each."""

    def rerank(
        self, query: str, documents: list[dict[str, object]], top_k: int | None = None
    ) -> list[dict[str, object]]: ...


class VectorStore(Protocol):
    """Points of (id, vector, payload) in one collection."""

    def insert(
        self,
        vectors: list[Vector],
        payloads: list[Payload] | None = None,
        ids: list[str] | None = None,
    ) -> object: ...

    def search(
        self, query: str, vectors: Vector, top_k: int = 5, filters: Filters | None = None
    ) -> Sequence[Hit]: ...

    def search_batch(
        self,
        queries: Sequence[str],
        vectors_list: Sequence[Vector],
        top_k: int = 1,
        filters: Filters | None = None,
    ) -> Sequence[Sequence[Hit]]: ...

    def keyword_search(
        self, query: str, top_k: int = 5, filters: Filters | None = None
    ) -> Sequence[Hit] | None: ...

    def get(self, vector_id: str) -> Hit | None: ...

    def list(self, filters: Filters | None = None, top_k: int | None = 100) -> object: ...

    def update(
        self, vector_id: str, vector: Vector | None = None, payload: Payload | None = None
    ) -> object: ...

    def delete(self, vector_id: str) -> object: ...

    def reset(self) -> object: ...


class Ledger(Protocol):
    """History of every memory, and the last messages of every session scope."""

    def add_history(
        self,
        memory_id: str,
        old_memory: str | None,
        new_memory: str | None,
        event: str,
        *,
        created_at: str | None = None,
        updated_at: str | None = None,
        is_deleted: int = 0,
        actor_id: str | None = None,
        role: str | None = None,
    ) -> object: ...

    def batch_add_history(self, records: list[dict[str, object]]) -> object: ...

    def get_history(self, memory_id: str) -> list[dict[str, object]]: ...

    def save_messages(self, messages: list[Message], session_scope: str) -> None: ...

    def get_last_messages(self, session_scope: str, limit: int = 10) -> list[Message]: ...

    def reset(self) -> None: ...

    def close(self) -> None: ...


class Nlp(Protocol):
    """Lemmas for keyword search and entities for linking: one tier."""

    def lemmatize(self, text: str) -> str: ...

    def entities(self, text: str) -> list[tuple[str, str]]: ...

    def entities_batch(self, texts: list[str]) -> list[list[tuple[str, str]]]: ...


# --- What a pipeline step awaits, or gets on the thread of the store -------------------------


class Links(Protocol):
    """Which entities are in which memories."""

    def shared(self, memory_ids: Sequence[str]) -> dict[str, str]:
        """The texts, by id, of the entities that are in these memories and in others."""
        ...

    def may_boost(self, scope: dict[str, object]) -> bool:
        """Whether there may be entities in a scope; False is certain."""
        ...

    def boosts(self, probes: Sequence[Mention], scope: dict[str, object]) -> dict[str, float]:
        """What the entities of a query add to each memory."""
        ...


class Listing(Protocol):
    """The memories in an order, part by part, for one step. See `isomem.contract.pages`."""

    @property
    def at_once(self) -> int:
        """How many entries to find at once in order to read all memories."""
        ...

    def find(self, filters: Filters, order: str, after: Key | None, limit: int) -> list[Entry]:
        """The first memories behind a key that pass."""
        ...

    def read(self, entries: Sequence[Entry], filters: Filters) -> Sequence[Hit]:
        """The memories of entries, without those that are known to be gone."""
        ...

    def count(self, filters: Filters) -> int:
        """How many memories pass."""
        ...

    def scopes(self, ids: Mapping[str, str]) -> list[tuple[dict[str, str], Tally]]:
        """The scopes that have all these ids, and what is in each."""
        ...

    def scope_ids(
        self, ids: Mapping[str, str], after: Mapping[str, str | None] | None
    ) -> Iterator[dict[str, str]]:
        """The ids of the scopes that have all these ids, in order, one by one.

        Also of those whose memories are all hidden. See `isomem.contract.scope_pages`.

        Args:
            after: begins behind the scope with these ids, which need not be there; a missing id may
                be None.
        """
        ...

    def count_scopes(self, ids: Mapping[str, str]) -> int:
        """How many scopes `scope_ids` lists."""
        ...

    def tally(self, ids: Mapping[str, str]) -> Tally:
        """What is in the scope that has these ids and no others."""
        ...


class Ingests(Protocol):
    """How far conversations have been ingested."""

    def prepare(self) -> None: ...
    def taken_in(self, target: str) -> Sequence[TakenIn]: ...
    def failed(self, target: str) -> Sequence[FailedChunk]: ...
    def forget(self, target: str, digests: Sequence[str], source: str | None = None) -> None: ...
    def save_failed(self, progress: Progress, start: int) -> None: ...


class Receipts(Protocol):
    """Which calls were carried out."""

    def find(self, receipt_id: str) -> Outcome | None:
        """What a receipt says; None if there is none."""
        ...

    def forget(self, prefix: str, before: float, kept: Sequence[str] = ()) -> int:
        """Removes receipts, and what calls have left that were begun and never completed.

        Args:
            prefix: what their ids begin with.
            before: when they were written or begun at the latest, in seconds since 1970.
            kept: ids of those that stay.

        Returns:
            How many were removed.
        """
        ...


class Stores(Protocol):
    """A store set: the stores of one memory, for a step that runs where they live."""

    @property
    def parts(self) -> tuple[VectorStore, VectorStore, Ledger]:
        """The vector store, the entity store and the ledger, as a memory shows them."""
        ...

    @property
    def vectors(self) -> VectorStore: ...
    @property
    def ledger(self) -> Ledger: ...
    @property
    def links(self) -> Links: ...
    @property
    def ingests(self) -> Ingests | None:
        """The progress of ingests; None if there is no file of ours to keep it in."""
        ...

    @property
    def receipts(self) -> Receipts | None:
        """The receipts of calls; None if there is no file of ours to keep them in."""
        ...

    @property
    def serial(self) -> bool:
        """Whether it is a `SerialStores`."""
        ...

    @property
    def takes_any_id(self) -> bool:
        """Whether the id "*" is an ordinary id here, and does not mean every id."""
        ...

    @property
    def can_count_in_scope(self) -> bool:
        """Whether words can be counted in a scope alone: the engine of a foreign store decides."""
        ...

    def both(
        self, text: str, vector: Vector, lemmas: str, top_k: int, filters: Filters
    ) -> tuple[Sequence[Hit], Sequence[Hit] | None]:
        """The memories nearest to a vector, and those with the words of a query, best first."""
        ...

    def with_payloads(self, hits: Sequence[Hit]) -> Sequence[Hit]:
        """Hits of a search of these stores, whose payloads are read together if they can be.

        Without that, a store may read each when it is used.
        """
        ...

    def reading(
        self,
        *,
        filters: Filters | None = None,
        lemmas: str = "",
        probes: Sequence[Mention] = (),
        session: str | None = None,
    ) -> AbstractContextManager[object]:
        """A block that sees one state of the stores, if they are able to do that.

        Args:
            filters, lemmas, probes, session: what the block will search with, so that a set can
                bring it at once. They change nothing else.
        """
        ...

    def matching(self, lemmas: str, top_k: int, filters: Filters) -> Sequence[Any]:
        """The memories with the highest keyword score, best first.

        How rare a word is in other scopes does not count; only if `can_count_in_scope`.
        """
        ...

    def take_embedder(self, before: Embedder, after: Embedder, config: Any) -> None:
        """Knows from now on that another embedder makes the vectors.

        Args:
            before: who made them until now.
            after: who makes them from now on.
            config: a `MemoryConfig` with the options of the stores.

        Raises:
            InvalidConfigError: CONFIG_003, there are vectors that it has not made, or the store
                cannot say. Nothing has changed then.
        """
        ...

    def listing(self, visibility: Visibility) -> Listing:
        """The memories that a call shows, in an order, part by part; for one step."""
        ...

    def last_insertion(self) -> Since:
        """How far the memories have been read in insertion order: the `since` of a plan.

        Raises:
            ConfigurationError: the set has no insertion order.
        """
        ...

    def ranked(self, question: Question, top_k: int, filters: Filters) -> Found:
        """The `top_k` memories that the fused ranking puts first.

        Raises:
            ConfigurationError: the set does not offer that ranking.
        """
        ...

    def apply(self, plan: Plan) -> Sequence[Record]:
        """Applies a plan, as a whole if the stores can. Returns the stored records."""
        ...

    def expired(self, ids: Filters, clock: Clock) -> Sequence[str]:
        """The ids of the expired memories that have all these ids; {} means every memory."""
        ...

    def remove_expired(self, memory_ids: Sequence[str], plan: Plan) -> int:
        """Removes those of these memories that are still expired.

        Args:
            plan: has the clock, and the new vectors of entities.

        Returns:
            How many they were.
        """
        ...

    def reset(self) -> None:
        """Removes everything."""
        ...

    def compact(self) -> None:
        """Rewrites the files, so that nothing that was removed is left in their bytes."""
        ...

    def when_written(self, parts: Sequence[object], close: Callable[[], object]) -> None:
        """Closes parts when no step under way writes to them any longer."""
        ...


class SerialStores(Stores, Protocol):
    """Stores whose steps run one after another: on one thread, in an asynchronous memory."""

    def shares(self, plan: Plan) -> bool:
        """Whether a plan can be applied together with others."""
        ...

    def apply_all(self, plans: Sequence[Plan]) -> Sequence[Sequence[Record] | Exception]:
        """Applies the plans of several callers, each as a whole or not at all.

        Returns:
            For each what `apply` returns, or the error that it raises.

        Raises:
            Exception: nothing was stored. Each plan has to be applied alone.
        """
        ...


class Settings(Protocol):
    """What a caller configured about the pipeline itself."""

    custom_instructions: str | None
    raise_on_llm_error: bool
    replies: str
    ranking: str
    dedup_concurrent: bool
    supersede: str
    enable_vision: bool
    vision_details: str | None
    counts_in_scope: bool


class Parts(Settings, Protocol):
    """What a memory is made of; each part can be replaced by another object of its shape."""

    clock: Clock
    profile: Profile
    nlp: Nlp
    llm: LLM
    embedding_model: Embedder
    reranker: Reranker | None

    @property
    def stores(self) -> Stores:
        """The store set over the three stores that the memory has now."""
        ...


class Ports(Protocol):
    """Everything outside a pipeline. The blocking implementation never suspends.

    What a part raises becomes a `guard.PartFailure`.
    """

    @property
    def clock(self) -> Clock: ...
    @property
    def profile(self) -> Profile: ...
    @property
    def nlp(self) -> Nlp: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def progress(self) -> Progress | None:
        """The row of an ingest that the call's plan carries."""
        ...

    @property
    def receipt(self) -> Receipt | None:
        """The receipt that the call's plan carries."""
        ...

    @property
    def reranks(self) -> bool:
        """Whether there is a reranker."""
        ...

    @property
    def takes_any_id(self) -> bool:
        """Whether the stores take the id "*" as an id, and not as every id."""
        ...

    @property
    def embeds_by_action(self) -> bool:
        """Whether the same text may get another vector for another action."""
        ...

    @property
    def embeds_alike_in_batch(self) -> bool:
        """Whether a text in a batch gets the vector that it gets alone."""
        ...

    async def embed(self, text: str, action: str) -> Vector: ...

    async def embed_batch(self, texts: list[str], action: str) -> Sequence[Vector]: ...

    async def generate(self, messages: list[Message], **options: object) -> object: ...

    async def rerank(
        self, query: str, documents: list[dict[str, object]], top_k: int
    ) -> list[dict[str, object]]: ...

    async def compute(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs work that is CPU-bound, or that waits, outside the event loop."""
        ...

    async def apply(self, plan: Plan) -> Sequence[Record]:
        """Applies a plan where the stores live. Returns the stored records."""
        ...

    async def store(
        self, work: Callable[Concatenate[Stores, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Runs a step where the stores live."""
        ...
