"""The blocking ports: every call is done when it returns, so a pipeline never suspends."""

from __future__ import annotations

from isomem.store.database import Database

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from types import TracebackType
    from typing import Any, Concatenate, ParamSpec, TypeVar

    from isomem import ports
    from isomem.clock import Clock
    from isomem.memory import Facade
    from isomem.store.database import Transaction

    P = ParamSpec("P")
    T = TypeVar("T")


class StoreView:
    """The stores that a memory has at this moment: its attributes can be replaced."""

    def __init__(self, memory: Facade) -> None:
        self._memory = memory

    @property
    def vectors(self) -> ports.VectorStore:
        """Where the memories are."""
        return self._memory.vector_store

    @property
    def entities(self) -> ports.VectorStore:
        """Where the entities are."""
        return self._memory.entity_store

    @property
    def ledger(self) -> ports.Ledger:
        """Where history and messages are."""
        return self._memory.db

    def databases(self) -> list[Database]:
        """The distinct SQLite files behind the stores."""
        found: list[Database] = []
        for store in (self.vectors, self.entities, self.ledger):
            database = getattr(store, "database", None)
            if isinstance(database, Database) and database not in found:
                found.append(database)
        return found

    def atomic(self) -> AbstractContextManager[object]:
        """One transaction on each file: in the default store, one in all."""
        one = self._one_database()
        if one is not None:
            return one.atomic()
        return _Together([database.atomic() for database in self.databases()])

    def reading(self) -> AbstractContextManager[object]:
        """One state of the file, where one holds all: other stores may have to be waited for."""
        one = self._one_database()
        return _Together([]) if one is None else one.reading()

    def _one_database(self) -> Database | None:
        """The file that holds all of the stores, if there is one."""
        memory = self._memory
        one = getattr(memory.vector_store, "database", None)
        for store in (memory.entity_store, memory.db):
            if getattr(store, "database", None) is not one:
                return None
        return one if isinstance(one, Database) else None


class _Together:
    """Blocks on several files, or on none; committed one after the other."""

    def __init__(self, blocks: list[Transaction]) -> None:
        self._blocks = blocks
        self._entered: list[Any] = []

    def __enter__(self) -> None:
        try:
            for block in self._blocks:
                block.__enter__()
                self._entered.append(block)
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        failed = error
        while self._entered:
            try:
                self._entered.pop().__exit__(failed and type(failed), failed, trace)
            except Exception as another:  # noqa: BLE001 - the other files must be let go of too
                failed = failed or another
        if failed is not None and failed is not error:
            raise failed


class BlockingPorts:
    """What `Memory` hands to a pipeline."""

    def __init__(self, memory: Facade) -> None:
        self._memory = memory
        self.settings: ports.Settings = memory
        self.stores = StoreView(memory)

    @property
    def clock(self) -> Clock:
        """Time and ids."""
        return self._memory.clock

    @property
    def nlp(self) -> ports.Nlp:
        """The language tier."""
        return self._memory.nlp

    @property
    def reranker(self) -> ports.Reranker | None:
        """The reranker, if there is one."""
        return self._memory.reranker

    @property
    def takes_any_id(self) -> bool:
        """Whether the stores take the id "*" as an id, and not as every id."""
        stores = (self._memory.vector_store, self._memory.entity_store)
        return all(getattr(store, "takes_any_id", False) for store in stores)

    @property
    def embeds_by_action(self) -> bool:
        """Whether the same text may get another vector for another action."""
        return not getattr(self._memory.embedding_model, "ignores_action", False)

    async def embed(self, text: str, action: str) -> ports.Vector:
        """The vector of one text."""
        return self._memory.embedding_model.embed(text, action)

    async def embed_batch(self, texts: list[str], action: str) -> Sequence[ports.Vector]:
        """The vectors of several texts."""
        return self._memory.embedding_model.embed_batch(texts, action)

    async def generate(self, messages: list[ports.Message], **options: Any) -> str:
        """The model's reply."""
        return self._memory.llm.generate_response(messages=messages, **options)

    async def compute(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs `work` here."""
        return work(*args, **kwargs)

    async def store(
        self,
        work: Callable[Concatenate[ports.Stores, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Runs a step here."""
        return work(self.stores, *args, **kwargs)
