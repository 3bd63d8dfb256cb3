"""`AsyncMemory`: the calls of `isomem.memory` as coroutines."""

from __future__ import annotations

from isomem.facade import NO_CHAT, Facade, turn
from isomem.pipeline import add, manage, search
from isomem.types import UNCHANGED

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator, Callable
    from types import TracebackType
    from typing import Any, NoReturn, overload

    from typing_extensions import Unpack

    from isomem.clock import Clock
    from isomem.config import MemoryConfig
    from isomem.facade import Day, Json, Moment, Self
    from isomem.pipeline.listing import Walk
    from isomem.ports.asynchronous import AsyncPorts
    from isomem.results import (
        AddOptions,
        AddResults,
        Done,
        GotMemory,
        HistoryRow,
        MemoryItem,
        MemoryList,
        MemoryPage,
        Scope,
        SearchResults,
    )
    from isomem.types import Unchanged


class AsyncMemory(Facade):
    """`Memory` for event loops: the same calls as coroutines. `Memory` documents them.

    Takes the same arguments as `isomem.facade.Facade`. It is an asynchronous context manager.
    """

    def __init__(
        self,
        config: MemoryConfig | None = None,
        *,
        path: str | os.PathLike[str] | None = None,
        clock: Clock | None = None,
    ) -> None:
        # Not at the top of the file: asyncio costs more memory than all of `Memory`.
        from isomem.ports.pools import Pools

        self._pools = Pools()
        super().__init__(config, path=path, clock=clock)

    def _connect(self) -> None:
        from isomem.ports.asynchronous import AsyncPorts

        self._ports = AsyncPorts(self, self._pools, self._progress, self._receipt)

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
        expiration_date: Day | None = None,
        supersede: str | None = None,
        llm: Any = None,
    ) -> AddResults:
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
                expiration_date=expiration_date,
                supersede=supersede,
            )
        )

    async def remember(
        self, said: str, reply: str | None = None, **options: Unpack[AddOptions]
    ) -> AddResults:
        """Adds one turn of a conversation; see `Memory.remember`."""
        return await self.add(turn(said, reply), **options)

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
        show_expired: bool = False,
        show_superseded: bool = False,
        **kwargs: NoReturn,
    ) -> SearchResults:
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
                show_expired=show_expired,
                show_superseded=show_superseded,
                other=kwargs,
            )
        )

    async def context(
        self,
        query: str,
        *,
        filters: Json,
        max_tokens: int = 1000,
        count_tokens: Callable[[str], int] | None = None,
        top_k: int = 20,
        threshold: float | None = 0.1,
        rerank: bool = False,
        ranking: str | None = None,
    ) -> str:
        """The memories that answer a query, as text for a prompt; see `Memory.context`.

        `count_tokens` is called in a thread.
        """
        from isomem.pipeline.context import context

        return await self._ports.run(
            context(
                self._ports,
                query,
                filters=filters,
                max_tokens=max_tokens,
                count_tokens=count_tokens,
                top_k=top_k,
                threshold=threshold,
                rerank=rerank,
                ranking=ranking,
            )
        )

    async def get(self, memory_id: str) -> GotMemory | None:
        """One memory; see `Memory.get`."""
        return await self._ports.run(manage.get(self._ports, memory_id))

    if TYPE_CHECKING:

        @overload
        async def get_all(
            self,
            *,
            filters: Json | None = None,
            top_k: int = 20,
            show_expired: bool = False,
            show_superseded: bool = False,
            order: str | None = None,
            page_size: None = None,
            cursor: None = None,
        ) -> MemoryList: ...
        @overload
        async def get_all(
            self,
            *,
            filters: Json | None = None,
            show_expired: bool = False,
            show_superseded: bool = False,
            order: str | None = None,
            page_size: int,
            cursor: str | None = None,
        ) -> MemoryPage: ...
        @overload
        async def get_all(
            self,
            *,
            filters: Json | None = None,
            show_expired: bool = False,
            show_superseded: bool = False,
            order: str | None = None,
            page_size: int | None = None,
            cursor: str,
        ) -> MemoryPage: ...

    async def get_all(
        self,
        *,
        filters: Json | None = None,
        top_k: int = 20,
        show_expired: bool = False,
        show_superseded: bool = False,
        order: str | None = None,
        page_size: int | None = None,
        cursor: str | None = None,
        **kwargs: NoReturn,
    ) -> MemoryList | MemoryPage:
        """The memories of a scope, or a page of them; see `Memory.get_all`."""
        return await self._ports.run(
            manage.get_all(
                self._ports,
                filters=filters,
                top_k=top_k,
                show_expired=show_expired,
                show_superseded=show_superseded,
                order=order,
                page_size=page_size,
                cursor=cursor,
                other=kwargs,
            )
        )

    def iter_all(
        self,
        filters: Json,
        *,
        show_expired: bool = False,
        show_superseded: bool = False,
        order: str = "id",
        page_size: int = 100,
    ) -> AsyncIterator[MemoryItem]:
        """All memories that pass, for `async for`; see `Memory.iter_all`."""
        from isomem.pipeline.listing import Walk

        walk = Walk(
            self._ports,
            filters,
            show_expired=show_expired,
            show_superseded=show_superseded,
            order=order,
            page_size=page_size,
        )
        return _walk(walk, self._ports)

    async def count(
        self, filters: Json, *, show_expired: bool = False, show_superseded: bool = False
    ) -> int:
        """How many memories pass; see `Memory.count`."""
        from isomem.pipeline import listing

        return await self._ports.run(
            listing.count(
                self._ports, filters, show_expired=show_expired, show_superseded=show_superseded
            )
        )

    async def scopes(
        self,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
        *,
        show_expired: bool = False,
        show_superseded: bool = False,
    ) -> list[Scope]:
        """Whose memories there are; see `Memory.scopes`, and who must not see it."""
        from isomem.pipeline import listing

        ids = {"user_id": user_id, "agent_id": agent_id, "run_id": run_id}
        return await self._ports.run(
            listing.scopes(
                self._ports, ids, show_expired=show_expired, show_superseded=show_superseded
            )
        )

    async def update(
        self,
        memory_id: str,
        data: str | None = None,
        metadata: Json | None = None,
        *,
        text: str | None = None,
        expiration_date: Day | Unchanged | None = UNCHANGED,
    ) -> Done:
        """Replaces the text of a memory; see `Memory.update`."""
        given = data if text is None else text
        return await self._ports.run(
            manage.update(self._ports, memory_id, given, metadata, expiration_date=expiration_date)
        )

    async def restore(self, memory_id: str) -> Done:
        """Shows a superseded memory again; see `Memory.restore`."""
        return await self._ports.run(manage.restore(self._ports, memory_id))

    async def delete(self, memory_id: str) -> Done:
        """Removes a memory; see `Memory.delete`."""
        return await self._ports.run(manage.delete(self._ports, memory_id))

    async def delete_all(
        self,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
        *,
        purge_history: bool = False,
    ) -> Done:
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
    ) -> Done:
        """Forgets everything of a scope; see `Memory.purge`."""
        ids = {"user_id": user_id, "agent_id": agent_id, "run_id": run_id}
        return await self._ports.run(manage.purge(self._ports, ids))

    async def compact(self) -> None:
        """Rewrites the file; see `Memory.compact`."""
        await self._ports.run(manage.compact(self._ports))

    async def sweep(
        self,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
    ) -> int:
        """Deletes the memories that have expired; see `Memory.sweep`."""
        ids = {"user_id": user_id, "agent_id": agent_id, "run_id": run_id}
        return await self._ports.run(manage.sweep(self._ports, ids))

    async def history(self, memory_id: str) -> list[HistoryRow]:
        """What happened to a memory; see `Memory.history`."""
        return await self._ports.run(manage.history(self._ports, memory_id))

    async def reset(self) -> None:
        """Removes everything; see `Memory.reset`."""
        await self._ports.run(manage.reset(self._ports))

    async def chat(self, query: str) -> None:
        """Raises NotImplementedError, as upstream's does."""
        raise NotImplementedError(NO_CHAT)

    def close(self) -> None:
        """Ends the threads, and closes the files and the connections of every part.

        Waits for the calls that the threads are making; `aclose` does not block the event loop. An
        exception that comes meanwhile, such as KeyboardInterrupt, is raised when everything is
        closed; then only what is being written is finished.
        """
        try:
            self._pools.close()
        finally:
            super().close()

    async def aclose(self) -> None:
        """`close`, including the connections of asynchronous parts.

        If it is cancelled, everything is closed but those.
        """
        try:
            await self._aclose()
        except Exception:
            raise  # Everything is closed.
        except BaseException:
            super().close()
            raise

    async def _aclose(self) -> None:
        import asyncio

        await self._pools.aclose()
        failed: Exception | None = None
        rest = []
        for part in self._parts():
            if not hasattr(part, "aclose"):
                rest.append(part)
                continue
            try:
                await part.aclose()
            except Exception as error:  # noqa: BLE001 - any part may stand here
                failed = failed or error
        try:
            await asyncio.to_thread(self._close, rest)
        except Exception as error:  # noqa: BLE001 - as above
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


async def _walk(walk: Walk, ports: AsyncPorts) -> AsyncIterator[MemoryItem]:
    while page := await ports.run(walk.next_page()):
        for each in page:
            yield each
