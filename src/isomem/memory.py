"""`Memory` and `AsyncMemory`: signatures and docstrings; what they do is in `isomem.pipeline`."""

from __future__ import annotations

import os

from isomem.clock import Clock
from isomem.config import MemoryConfig, as_config, at_path, from_dict
from isomem.pipeline import add, manage, search
from isomem.ports.blocking import BlockingPorts
from isomem.stores.registry import open_set
from isomem.wiring import build_embedder, build_llm, build_nlp, build_reranker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import date, datetime
    from types import TracebackType
    from typing import Any, TypeVar

    from isomem.contract.plan import Progress
    from isomem.ports import shapes

    Self = TypeVar("Self", bound="Facade")
    Json = dict[str, Any]
    Moment = datetime | date | float | str

_NO_CHAT = "Chat function not implemented yet."


class Facade:
    """What both classes share.

    Every part can be replaced after construction by an object with the methods that
    `isomem.ports.shapes` shows for it.

    Args:
        config: defaults to `MemoryConfig()`.
        path: the file, or ":memory:"; in place of a configuration that names nothing else.
        clock: time and ids; the real ones by default.

    Raises:
        InvalidConfigError: both `config` and `path`, or a wrong value in one of them.

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
        ranking: how `search` finds and orders memories: "contract" or "fused".
        enable_vision: whether the model is shown images.
        vision_details: how closely it looks at them: "low", "high", "auto", or None.
    """

    def __init__(
        self,
        config: MemoryConfig | None = None,
        *,
        path: str | os.PathLike[str] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.config = as_config(config) if path is None else at_path(path, config)
        self.clock = clock or Clock()
        self.nlp: shapes.Nlp = build_nlp(self.config)
        self.llm: shapes.LLM = build_llm(self.config)
        self.embedding_model: shapes.Embedder = build_embedder(self.config)
        self.reranker: shapes.Reranker | None = build_reranker(self.config)
        self._opened = open_set(self.config, self.embedding_model, self.clock)
        self.vector_store: shapes.VectorStore
        self.entity_store: shapes.VectorStore
        self.db: shapes.Ledger
        self.vector_store, self.entity_store, self.db = self._opened.parts
        self.collection_name: str = self.config.vector_store.config["collection_name"]
        self.api_version: str = self.config.version
        self.custom_instructions: str | None = self.config.custom_instructions
        self.raise_on_llm_error = self.config.raise_on_llm_error
        self.replies = self.config.replies
        self.ranking = self.config.ranking
        self.enable_vision = bool(self.config.llm.config.get("enable_vision"))
        self.vision_details: str | None = self.config.llm.config.get("vision_details")
        self._connect()

    @classmethod
    def from_config(
        cls: type[Self], config_dict: dict[str, Any], *, clock: Clock | None = None
    ) -> Self:
        """A memory from a dict of options; see `isomem.config`.

        Raises:
            InvalidConfigError: a key or a provider is unknown (the error names the nearest known
                one), or a value is wrong.
        """
        return cls(from_dict(config_dict), clock=clock)

    @classmethod
    def from_file(
        cls: type[Self], path: str | os.PathLike[str], *, clock: Clock | None = None
    ) -> Self:
        """A memory from a file with the dict of `from_config`: TOML (`.toml`), or else JSON.

        Raises:
            ConfigurationError: CONFIG_005, the file cannot be read, or is something else.
            InvalidConfigError: as `from_config`.
        """
        from isomem.config_file import read_file

        return cls.from_config(read_file(os.fspath(path)), clock=clock)

    @property
    def stores(self) -> shapes.Stores:
        """The store set over the three stores that the memory has now."""
        opened = self._opened
        vectors, entities, ledger = opened.parts
        if vectors is self.vector_store and entities is self.entity_store and ledger is self.db:
            return opened
        from isomem.stores.composed import ComposedSet

        return ComposedSet(self.vector_store, self.entity_store, self.db)

    def replacing(self: Self, *, progress: Progress | None = None, **parts: Any) -> Self:
        """This memory with other parts, for some calls; the two share everything else.

        Args:
            progress: the row of an ingest that is written with what the calls add.
            parts: attributes by name, such as `llm` and `clock`. This memory keeps its own.
        """
        other = type(self).__new__(type(self))
        other.__dict__.update(self.__dict__, **parts)
        other._connect(progress)
        return other

    def _connect(self, progress: Progress | None = None) -> None:
        """Makes the ports; `progress` is what the plans of an ingest carry."""
        raise NotImplementedError

    def _parts(self) -> list[Any]:
        """Everything that may have to be closed, each once; the file last."""
        parts = (
            self.llm, self.embedding_model, self.reranker, self.nlp,
            self.vector_store, self.entity_store, self.db, self._opened,
        )  # fmt: skip
        return list({id(part): part for part in parts if part is not None}.values())

    def close(self) -> None:
        """Closes the files and the connections of every part. May be called twice."""
        failed: Exception | None = None
        for part in self._parts():
            try:
                if hasattr(part, "close"):
                    part.close()
            except Exception as error:  # noqa: BLE001 - any part may stand here
                failed = failed or error
        if failed is not None:
            raise failed


class Memory(Facade):
    """Long-term memory for agents; every call is done when it returns.

    Takes the same arguments as `isomem.memory.Facade`. It is a context manager that closes the
    memory, and can be shared between threads.
    """

    def _connect(self, progress: Progress | None = None) -> None:
        self._ports = BlockingPorts(self, progress)

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
        timestamp: Moment | None = None,
    ) -> Json:
        """Remembers what is worth remembering in a conversation.

        Args:
            messages: text, a message, or messages with `role` and `content`, oldest first.
            user_id, agent_id, run_id: whose memory it is; at least one.
            metadata: JSON values stored with each memory.
            infer: True lets the model extract facts; False stores every message as it is.
            memory_type: "procedural_memory", with an `agent_id`, stores one summary of how
                the agent went about its task.
            prompt: instructions for this extraction, or the prompt of a procedural summary.
            timestamp: when it was said: a datetime or date, seconds since 1970, or text in
                ISO 8601; UTC unless it names a zone. The model is told the day, and the memories
                have the moment as `event_time` in their metadata. `created_at` stays the time of
                storage.

        Returns:
            `{"results": [{"id", "memory", "event": "ADD"}, ...]}`; raw memories also have
            `actor_id` and `role`. Facts that are already known are not in it.

        Raises:
            ValidationError: no id (VALIDATION_001), an unknown `memory_type` (_002), messages
                of the wrong type (_003), a message without a role or with broken text (_004),
                metadata that is not JSON (_005), a `timestamp` that is not a moment
                (_006).
            ValueError: an id is blank or has white space inside.
            ConfigurationError: no model is configured.
            LLMError: the model failed and `raise_on_llm_error` is set. Otherwise the failure is
                logged and the results are empty.
            DatabaseError, VectorStoreError: nothing was stored.
        """
        return self._ports.run(
            add.add(
                self._ports,
                messages,
                ids={"user_id": user_id, "agent_id": agent_id, "run_id": run_id},
                metadata=metadata,
                infer=infer,
                memory_type=memory_type,
                prompt=prompt,
                timestamp=timestamp,
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
        ranking: str | None = None,
        explain: bool = False,
        **kwargs: Any,
    ) -> Json:
        """The memories of a scope that answer a query, best first.

        Args:
            query: text that is not blank.
            top_k: the maximum number of results.
            filters: at least one of user_id, agent_id, run_id, and conditions on metadata: a
                value, a list of values, "*", operators (eq, ne, in, nin, gt, gte, lt, lte,
                contains, icontains), AND, OR, NOT with lists of filters.
            threshold: minimum semantic similarity, 0..1; with the ranking "fused", the minimum
                score. None means the default.
            rerank: lets the configured reranker reorder the results.
            ranking: "contract", which is mem0's, or "fused", which finds more and needs memories in
                the embedded store. None means the configured one.
            explain: adds `score_details` to each result: where its score comes from.

        Returns:
            `{"results": [{"id", "memory", "hash", "metadata", "score", "created_at",
            "updated_at", ...}]}` with the ids, actor and role that each memory has.

        Raises:
            ValueError: a blank query, no id in `filters` or ids outside of it, an unknown
                operator or ranking, a `threshold` or `top_k` out of range.
            ConfigurationError: CONFIG_008, the ranking is "fused" and the memories are in a store
                that is not isomem's.
        """
        return self._ports.run(
            search.search(
                self._ports,
                query,
                top_k=top_k,
                filters=filters,
                threshold=threshold,
                rerank=rerank,
                ranking=ranking,
                explain=explain,
                other=kwargs,
            )
        )

    def get(self, memory_id: str) -> Json | None:
        """One memory as in `search`, with a score of None; None if no memory has that id."""
        return self._ports.run(manage.get(self._ports, memory_id))

    def get_all(self, *, filters: Json | None = None, top_k: int = 20, **kwargs: Any) -> Json:
        """The first `top_k` memories that pass, ordered by id.

        Args:
            filters: as in `search`.

        Returns:
            `{"results": [...]}` as in `search`, without scores.

        Raises:
            ValueError: as in `search`.
        """
        return self._ports.run(
            manage.get_all(self._ports, filters=filters, top_k=top_k, other=kwargs)
        )

    def update(self, memory_id: str, data: str, metadata: Json | None = None) -> Json:
        """Replaces the text of a memory; `metadata` overlays the memory's own.

        Returns:
            `{"message": "Memory updated successfully!"}`

        Raises:
            MemoryNotFoundError: no memory has that id; it is a ValueError too.
            ValidationError: `data` is not text, `metadata` is not JSON.
        """
        return self._ports.run(manage.update(self._ports, memory_id, data, metadata))

    def delete(self, memory_id: str) -> Json:
        """Removes a memory; its history stays.

        Returns:
            `{"message": "Memory deleted successfully!"}`

        Raises:
            MemoryNotFoundError: no memory has that id; it is a ValueError too.
        """
        return self._ports.run(manage.delete(self._ports, memory_id))

    def delete_all(
        self,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
        *,
        purge_history: bool = False,
    ) -> Json:
        """Removes every memory that has all the given ids, and their message buffers.

        Args:
            purge_history: also removes the history of these memories, and of those that were
                removed from these scopes earlier. Otherwise the history keeps their texts, as in
                mem0.

        Returns:
            `{"message": "Memories deleted successfully!"}`

        Raises:
            ValueError: no id was given, or one is not valid.
        """
        ids = {"user_id": user_id, "agent_id": agent_id, "run_id": run_id}
        return self._ports.run(manage.delete_all(self._ports, ids, purge_history=purge_history))

    def purge(
        self,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
    ) -> Json:
        """Forgets everything of the given ids: `delete_all` with `purge_history`, then `compact`.

        Afterwards, none of their text is left in the bytes of the file. It takes as long as copying
        the file, and needs as much free space. Other processes wait.

        Returns:
            `{"message": "Memories deleted successfully!"}`

        Raises:
            ValueError: no id was given, or one is not valid.
            DatabaseError: everything is removed, but another process is using the file, so it
                could not be rewritten: call it again.
        """
        ids = {"user_id": user_id, "agent_id": agent_id, "run_id": run_id}
        return self._ports.run(manage.purge(self._ports, ids))

    def compact(self) -> None:
        """Rewrites the file, so that nothing that was removed is left in its bytes.

        Raises:
            DatabaseError: another process is reading or writing the file.
        """
        self._ports.run(manage.compact(self._ports))

    def history(self, memory_id: str) -> list[Json]:
        """What happened to a memory, oldest first.

        Returns:
            `[{"id", "memory_id", "old_memory", "new_memory", "event", "created_at",
            "updated_at", "is_deleted", "actor_id", "role"}, ...]`
        """
        return self._ports.run(manage.history(self._ports, memory_id))

    def reset(self) -> None:
        """Removes everything: memories, entities, history and message buffers."""
        self._ports.run(manage.reset(self._ports))

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
    """`Memory` for event loops: the same calls as coroutines. `Memory` documents them.

    Takes the same arguments as `isomem.memory.Facade`. It is an asynchronous context manager.
    """

    def __init__(
        self,
        config: MemoryConfig | None = None,
        *,
        path: str | os.PathLike[str] | None = None,
        clock: Clock | None = None,
    ) -> None:
        # Not at the top of the file: asyncio costs more memory than all of `Memory`.
        from isomem.ports.asynchronous import Pools

        self._pools = Pools()
        super().__init__(config, path=path, clock=clock)

    def _connect(self, progress: Progress | None = None) -> None:
        from isomem.ports.asynchronous import AsyncPorts

        self._ports = AsyncPorts(self, self._pools, progress)

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
        timestamp: Moment | None = None,
        llm: Any = None,
    ) -> Json:
        """Remembers what is worth remembering in a conversation; see `Memory.add`.

        Args:
            llm: a LangChain chat model that writes this procedural summary.
        """
        if llm is None:
            ports = self._ports
        else:
            from isomem.ports.asynchronous import ChatModel

            ports = self.replacing(llm=ChatModel(llm))._ports
        return await self._ports.run(
            add.add(
                ports,
                messages,
                ids={"user_id": user_id, "agent_id": agent_id, "run_id": run_id},
                metadata=metadata,
                infer=infer,
                memory_type=memory_type,
                prompt=prompt,
                timestamp=timestamp,
            )
        )

    async def search(
        self,
        query: str,
        *,
        top_k: int = 20,
        filters: Json | None = None,
        threshold: float | None = 0.1,
        rerank: bool = False,
        ranking: str | None = None,
        explain: bool = False,
        **kwargs: Any,
    ) -> Json:
        """The memories of a scope that answer a query, best first; see `Memory.search`."""
        return await self._ports.run(
            search.search(
                self._ports,
                query,
                top_k=top_k,
                filters=filters,
                threshold=threshold,
                rerank=rerank,
                ranking=ranking,
                explain=explain,
                other=kwargs,
            )
        )

    async def get(self, memory_id: str) -> Json | None:
        """One memory; see `Memory.get`."""
        return await self._ports.run(manage.get(self._ports, memory_id))

    async def get_all(self, *, filters: Json | None = None, top_k: int = 20, **kwargs: Any) -> Json:
        """The memories of a scope; see `Memory.get_all`."""
        return await self._ports.run(
            manage.get_all(self._ports, filters=filters, top_k=top_k, other=kwargs)
        )

    async def update(self, memory_id: str, data: str, metadata: Json | None = None) -> Json:
        """Replaces the text of a memory; see `Memory.update`."""
        return await self._ports.run(manage.update(self._ports, memory_id, data, metadata))

    async def delete(self, memory_id: str) -> Json:
        """Removes a memory; see `Memory.delete`."""
        return await self._ports.run(manage.delete(self._ports, memory_id))

    async def delete_all(
        self,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
        *,
        purge_history: bool = False,
    ) -> Json:
        """Removes every memory of a scope; see `Memory.delete_all`."""
        ids = {"user_id": user_id, "agent_id": agent_id, "run_id": run_id}
        return await self._ports.run(
            manage.delete_all(self._ports, ids, purge_history=purge_history)
        )

    async def purge(
        self,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
    ) -> Json:
        """Forgets everything of a scope; see `Memory.purge`."""
        ids = {"user_id": user_id, "agent_id": agent_id, "run_id": run_id}
        return await self._ports.run(manage.purge(self._ports, ids))

    async def compact(self) -> None:
        """Rewrites the file; see `Memory.compact`."""
        await self._ports.run(manage.compact(self._ports))

    async def history(self, memory_id: str) -> list[Json]:
        """What happened to a memory; see `Memory.history`."""
        return await self._ports.run(manage.history(self._ports, memory_id))

    async def reset(self) -> None:
        """Removes everything; see `Memory.reset`."""
        await self._ports.run(manage.reset(self._ports))

    async def chat(self, query: str) -> None:
        """Raises NotImplementedError, as upstream's does."""
        raise NotImplementedError(_NO_CHAT)

    def close(self) -> None:
        """Ends the threads, and closes the files and the connections of every part.

        Waits for the calls that the threads are making; `aclose` does not block the event loop.
        """
        self._pools.close()
        super().close()

    async def aclose(self) -> None:
        """`close`, including the connections of asynchronous parts."""
        import asyncio

        await self._pools.aclose()
        failed: Exception | None = None
        for part in self._parts():
            try:
                if hasattr(part, "aclose"):
                    await part.aclose()
                elif hasattr(part, "close"):
                    await asyncio.to_thread(part.close)
            except Exception as error:  # noqa: BLE001 - any part may stand here
                failed = failed or error
        if failed is not None:
            raise failed

    async def __aenter__(self: Self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()
