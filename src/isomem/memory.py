"""`Memory` and `AsyncMemory`: signatures and docstrings; what they do is in `isomem.pipeline`."""

from __future__ import annotations

from isomem.blocking import BlockingPorts
from isomem.clock import Clock
from isomem.config import MemoryConfig, as_config, from_dict
from isomem.drive import drive
from isomem.pipeline import add, manage, search
from isomem.wiring import StoreParts, build_embedder, build_llm, build_nlp, build_reranker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, TypeVar

    from isomem import ports
    from isomem.asynchronous import AsyncPorts

    Self = TypeVar("Self", bound="Facade")
    Json = dict[str, Any]

_NO_CHAT = "Chat function not implemented yet."


class Facade:
    """What both classes are made of.

    Every part can be replaced after construction by an object with the methods that
    `isomem.ports` shows for it.

    Args:
        config: defaults to `MemoryConfig()`.
        clock: time and ids; the real ones by default.

    Attributes:
        config: the configuration.
        embedding_model: turns text into vectors.
        llm: extracts facts.
        vector_store: the memories.
        entity_store: the entities in them.
        db: history and message buffers.
        reranker: reorders results, or None.
        nlp: the language tier.
        custom_instructions: added to every extraction prompt, or None.
    """

    def __init__(self, config: MemoryConfig | None = None, *, clock: Clock | None = None) -> None:
        self.config = as_config(config)
        self.clock = clock or Clock()
        self.nlp: ports.Nlp = build_nlp(self.config)
        self.llm: ports.LLM = build_llm(self.config)
        self.embedding_model: ports.Embedder = build_embedder(self.config)
        self.reranker: ports.Reranker | None = build_reranker(self.config)
        stores = StoreParts(self.config, self.embedding_model, self.clock)
        self.vector_store: ports.VectorStore = stores.vectors
        self.entity_store: ports.VectorStore = stores.entities
        self.db: ports.Ledger = stores.ledger
        self.collection_name: str = self.config.vector_store.config["collection_name"]
        self.api_version: str = self.config.version
        self.custom_instructions: str | None = self.config.custom_instructions
        self.raise_on_llm_error = self.config.raise_on_llm_error

    @classmethod
    def from_config(
        cls: type[Self], config_dict: dict[str, Any], *, clock: Clock | None = None
    ) -> Self:
        """A memory from a dict of options; see `isomem.config`.

        Raises:
            InvalidConfigError: an unknown key or provider; names the nearest known one.
        """
        return cls(from_dict(config_dict), clock=clock)

    @property
    def enable_vision(self) -> bool:
        """Whether the model is shown images."""
        return bool(self.config.llm.config.get("enable_vision"))

    @property
    def vision_details(self) -> str | None:
        """How closely the model looks at images: "low", "high", "auto", or None."""
        details: str | None = self.config.llm.config.get("vision_details")
        return details

    def close(self) -> None:
        """Closes the files and the connections of providers. May be called twice."""
        for part in (self.vector_store, self.db, self.embedding_model, self.llm):
            database = getattr(part, "database", part)
            if hasattr(database, "close"):
                database.close()


class Memory(Facade):
    """Long-term memory for agents; every call is done when it returns.

    Takes the same arguments as `isomem.memory.Facade`. A context manager that closes itself.
    May be shared between threads.
    """

    def __init__(self, config: MemoryConfig | None = None, *, clock: Clock | None = None) -> None:
        super().__init__(config, clock=clock)
        self._ports = BlockingPorts(self)

    def add(
        self,
        messages: str | Json | list[Json],
        *,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
        metadata: Json | None = None,
        infer: bool = True,
        memory_type: str | None = None,
        prompt: str | None = None,
    ) -> Json:
        """Remembers what is worth it in a conversation.

        Args:
            messages: text, a message, or messages with `role` and `content`, oldest first.
            user_id, agent_id, run_id: whose memory it is; at least one.
            metadata: JSON values stored with each memory.
            infer: True lets the model extract facts; False stores every message as it is.
            memory_type: "procedural_memory", with an `agent_id`, stores one summary of how
                the agent went about its task.
            prompt: instructions for this extraction, or the prompt of a procedural summary.

        Returns:
            `{"results": [{"id", "memory", "event": "ADD"}, ...]}`; raw memories also have
            `actor_id` and `role`. Nothing is returned for what is known already.

        Raises:
            ValidationError: no id (VALIDATION_001), an unknown `memory_type` (_002), messages
                of a wrong type (_003), a message without a role or with broken text (_004),
                metadata that is not JSON (_005).
            ValueError: an id that is blank or has white space inside.
            ConfigurationError: no model is configured.
            LLMError: the model failed and `raise_on_llm_error` is set; without it the failure
                is logged and the results are empty.
            DatabaseError, VectorStoreError: nothing was stored.
        """
        return drive(
            add.add(
                self._ports,
                messages,
                ids={"user_id": user_id, "agent_id": agent_id, "run_id": run_id},
                metadata=metadata,
                infer=infer,
                memory_type=memory_type,
                prompt=prompt,
            )
        )

    def search(
        self,
        query: str,
        *,
        top_k: int = 20,
        filters: Json | None = None,
        threshold: float | None = 0.1,
        rerank: bool = False,
        **kwargs: Any,
    ) -> Json:
        """The memories of a scope that answer a query, best first.

        Args:
            query: text that is not blank.
            top_k: most results.
            filters: at least one of user_id, agent_id, run_id, and conditions on metadata: a
                value, a list of values, "*", operators (eq, ne, in, nin, gt, gte, lt, lte,
                contains, icontains), AND, OR, NOT with lists of filters.
            threshold: least semantic similarity, 0..1; None is the default.
            rerank: lets the configured reranker reorder the results.

        Returns:
            `{"results": [{"id", "memory", "hash", "metadata", "score", "created_at",
            "updated_at", ...}]}` with the ids, actor and role that each memory has.

        Raises:
            ValueError: a blank query, no id in `filters` or ids beside it, an unknown operator,
                a `threshold` or `top_k` out of range.
        """
        return drive(
            search.search(
                self._ports,
                query,
                top_k=top_k,
                filters=filters,
                threshold=threshold,
                rerank=rerank,
                other=kwargs,
            )
        )

    def get(self, memory_id: str) -> Json | None:
        """One memory, as `search` shows it with a score of None; None if it is not there."""
        return drive(manage.get(self._ports, memory_id))

    def get_all(self, *, filters: Json | None = None, top_k: int = 20, **kwargs: Any) -> Json:
        """The first `top_k` memories that pass, in the order of their ids.

        Args:
            filters: as in `search`.

        Returns:
            `{"results": [...]}` as in `search`, without scores.

        Raises:
            ValueError: as in `search`.
        """
        return drive(manage.get_all(self._ports, filters=filters, top_k=top_k, other=kwargs))

    def update(self, memory_id: str, data: str, metadata: Json | None = None) -> Json:
        """Replaces the text of a memory; `metadata` overlays what it has.

        Returns:
            `{"message": "Memory updated successfully!"}`

        Raises:
            ValueError: no memory has that id.
            ValidationError: `data` is not text, `metadata` is not JSON.
        """
        return drive(manage.update(self._ports, memory_id, data, metadata))

    def delete(self, memory_id: str) -> Json:
        """Removes a memory; its history stays.

        Returns:
            `{"message": "Memory deleted successfully!"}`

        Raises:
            ValueError: no memory has that id.
        """
        return drive(manage.delete(self._ports, memory_id))

    def delete_all(
        self,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
    ) -> Json:
        """Removes every memory that has all the given ids; their history stays.

        Returns:
            `{"message": "Memories deleted successfully!"}`

        Raises:
            ValueError: no id was given.
        """
        ids = {"user_id": user_id, "agent_id": agent_id, "run_id": run_id}
        return drive(manage.delete_all(self._ports, ids))

    def history(self, memory_id: str) -> list[Json]:
        """What happened to a memory, oldest first.

        Returns:
            `[{"id", "memory_id", "old_memory", "new_memory", "event", "created_at",
            "updated_at", "is_deleted", "actor_id", "role"}, ...]`
        """
        return drive(manage.history(self._ports, memory_id))

    def reset(self) -> None:
        """Removes everything: memories, entities, history and message buffers."""
        drive(manage.reset(self._ports))

    def chat(self, query: str) -> None:
        """Raises NotImplementedError, as upstream's does."""
        raise NotImplementedError(_NO_CHAT)

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class AsyncMemory(Facade):
    """`Memory` for event loops: the same calls, awaited; see there for what they take and give.

    Takes the same arguments as `isomem.memory.Facade`. An asynchronous context manager.
    """

    def __init__(self, config: MemoryConfig | None = None, *, clock: Clock | None = None) -> None:
        # Not at the top of the file: asyncio costs more memory than all of `Memory`.
        from isomem.asynchronous import AsyncPorts

        super().__init__(config, clock=clock)
        self._ports: AsyncPorts = AsyncPorts(self)

    async def add(
        self,
        messages: str | Json | list[Json],
        *,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
        metadata: Json | None = None,
        infer: bool = True,
        memory_type: str | None = None,
        prompt: str | None = None,
        llm: Any = None,
    ) -> Json:
        """Remembers what is worth it in a conversation; see `Memory.add`.

        Args:
            llm: a LangChain chat model that writes this procedural summary.
        """
        return await add.add(
            self._ports if llm is None else self._ports.with_chat_model(llm),
            messages,
            ids={"user_id": user_id, "agent_id": agent_id, "run_id": run_id},
            metadata=metadata,
            infer=infer,
            memory_type=memory_type,
            prompt=prompt,
        )

    async def search(
        self,
        query: str,
        *,
        top_k: int = 20,
        filters: Json | None = None,
        threshold: float | None = 0.1,
        rerank: bool = False,
        **kwargs: Any,
    ) -> Json:
        """The memories of a scope that answer a query, best first; see `Memory.search`."""
        return await search.search(
            self._ports,
            query,
            top_k=top_k,
            filters=filters,
            threshold=threshold,
            rerank=rerank,
            other=kwargs,
        )

    async def get(self, memory_id: str) -> Json | None:
        """One memory; see `Memory.get`."""
        return await manage.get(self._ports, memory_id)

    async def get_all(self, *, filters: Json | None = None, top_k: int = 20, **kwargs: Any) -> Json:
        """The memories of a scope; see `Memory.get_all`."""
        return await manage.get_all(self._ports, filters=filters, top_k=top_k, other=kwargs)

    async def update(self, memory_id: str, data: str, metadata: Json | None = None) -> Json:
        """Replaces the text of a memory; see `Memory.update`."""
        return await manage.update(self._ports, memory_id, data, metadata)

    async def delete(self, memory_id: str) -> Json:
        """Removes a memory; see `Memory.delete`."""
        return await manage.delete(self._ports, memory_id)

    async def delete_all(
        self,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
    ) -> Json:
        """Removes every memory of a scope; see `Memory.delete_all`."""
        ids = {"user_id": user_id, "agent_id": agent_id, "run_id": run_id}
        return await manage.delete_all(self._ports, ids)

    async def history(self, memory_id: str) -> list[Json]:
        """What happened to a memory; see `Memory.history`."""
        return await manage.history(self._ports, memory_id)

    async def reset(self) -> None:
        """Removes everything; see `Memory.reset`."""
        await manage.reset(self._ports)

    async def chat(self, query: str) -> None:
        """Raises NotImplementedError, as upstream's does."""
        raise NotImplementedError(_NO_CHAT)

    def close(self) -> None:
        """Ends the threads, and closes the files and the connections of providers."""
        self._ports.close()
        super().close()

    async def aclose(self) -> None:
        """`close`, with the connections of asynchronous providers too."""
        for provider in (self.embedding_model, self.llm):
            if hasattr(provider, "aclose"):
                await provider.aclose()
        self.close()

    async def __aenter__(self: Self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()
