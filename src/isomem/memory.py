"""`Memory`: signatures and docstrings; what the calls do is in `isomem.pipeline`."""

from __future__ import annotations

from isomem.facade import NO_CHAT, Facade, turn
from isomem.pipeline import add, manage, search
from isomem.ports.blocking import BlockingPorts
from isomem.types import UNCHANGED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType
    from typing import NoReturn, overload

    from typing_extensions import Unpack

    from isomem.facade import Day, Json, Moment, Self
    from isomem.pipeline.listing import Walk
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


class Memory(Facade):
    """Long-term memory for agents; every call is done when it returns.

    Takes the same arguments as `isomem.facade.Facade`. It is a context manager that closes the
    memory, and can be shared between threads.
    """

    def _connect(self) -> None:
        """Makes the ports: `run` drives a pipeline to its end here, and returns its result."""
        self._ports = BlockingPorts(self, self._progress, self._receipt)

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
        expiration_date: Day | None = None,
        supersede: str | None = None,
    ) -> AddResults:
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
            expiration_date: the last day, in UTC, on which the memories are shown: a date, a
                datetime, which means its date, or text like 2026-05-07. Afterwards they are hidden,
                not deleted; `sweep` deletes them. None means that they never expire.

            supersede: what happens to stored facts that a new one contradicts or repeats. "off":
                they stay. "similar": they are hidden if plain words say so. "model": the model is
                asked once more, and they are hidden if it says so. None means the configured way.

        Returns:
            `{"results": [{"id", "memory", "event": "ADD"}, ...]}`; raw memories also have
            `actor_id` and `role`. Facts that are already known are not in it. If stale facts are
            looked for, each fact also has `supersedes`: `[{"id", "memory", "why"}, ...]`.

        Raises:
            ValidationError: no id (VALIDATION_001), an unknown `memory_type` (_002), messages
                of the wrong type (_003), a message without a role or with broken text (_004),
                metadata that is not JSON (_005), a `timestamp` that is not a moment
                (_006).
            ValueError: an id is blank or has white space inside, `expiration_date` is not a date,
                or `supersede` is another word.
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
                expiration_date=expiration_date,
                supersede=supersede,
            )
        )

    def remember(
        self, said: str, reply: str | None = None, **options: Unpack[AddOptions]
    ) -> AddResults:
        """Adds one turn of a conversation: what a user said, and what the assistant replied.

        It is `add` with these two messages::

            notes = memory.context(said, filters={"user_id": "ana"})
            reply = answer(notes, said)  # your model
            memory.remember(said, reply, user_id="ana")

        Args:
            reply: None or blank if there was none.
            options: as in `add`.

        Returns, Raises:
            As `add`.
        """
        return self.add(turn(said, reply), **options)

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
        show_expired: bool = False,
        show_superseded: bool = False,
        **kwargs: NoReturn,
    ) -> SearchResults:
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
                the embedded store or postgres. None means the configured one.
            explain: adds `score_details` to each result: where its score comes from.
            show_expired: also finds memories whose `expiration_date` is over.
            show_superseded: also finds memories that a later fact has superseded.

        Returns:
            `{"results": [{"id", "memory", "hash", "metadata", "score", "created_at",
            "updated_at", ...}]}` with the ids, actor, role and `expiration_date` that each memory
            has, and `superseded_by` (an id) and `superseded_at` if it is superseded.

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
                show_expired=show_expired,
                show_superseded=show_superseded,
                other=kwargs,
            )
        )

    def context(
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
        """The memories that answer a query, as text for a prompt.

        The best ones that fit are chosen. They are shown by day, the earliest first, since a model
        takes what comes later as newer::

            2025-03-05:
            - Ana moved to Lisbon.
            2025-03-11:
            - Ana found a flat in Alfama.

        The day of a memory is that of its `event_time`, or else of its `created_at`, in UTC. A
        memory is never cut: one that does not fit is left out.

        Args:
            query, filters, top_k, threshold, rerank, ranking: as in `search`.
            max_tokens: the most tokens that the text may have.
            count_tokens: how many tokens a text has, such as
                `lambda text: len(encoding.encode(text))`. By default they are estimated, rather
                too many than too few; see `isomem.contract.context.estimate_tokens`.

        Returns:
            The text; empty if nothing is found, or nothing fits.

        Raises:
            ValueError: as in `search`; `max_tokens` is not a whole number above 0, or
                `count_tokens` does not return one.
            ConfigurationError: as in `search`.
        """
        from isomem.pipeline.context import context

        return self._ports.run(
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

    def get(self, memory_id: str) -> GotMemory | None:
        """One memory as in `search`, with a score of None; None if no memory has that id."""
        return self._ports.run(manage.get(self._ports, memory_id))

    if TYPE_CHECKING:

        @overload
        def get_all(
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
        def get_all(
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
        def get_all(
            self,
            *,
            filters: Json | None = None,
            show_expired: bool = False,
            show_superseded: bool = False,
            order: str | None = None,
            page_size: int | None = None,
            cursor: str,
        ) -> MemoryPage: ...

    def get_all(
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
        """The first `top_k` memories that pass, or a page of them.

        With `page_size` or `cursor`, it returns a page. A memory that exists all the time and does
        not change is on exactly one page, whatever is added or removed between the pages.

        Args:
            filters, show_expired, show_superseded: as in `search`.
            order: "id" (the default), "oldest" or "newest". The time of a memory is its
                `event_time`, or else its `created_at`; a memory whose time cannot be read comes
                last. Memories of one time are ordered by id.
            page_size: how many memories are on a page, 1 to 1000; 100 by default.
            cursor: the `next_cursor` of the page before; with the same filters, `show_expired` and
                `show_superseded`, and the same order and page size unless others are named. None
                asks for the first page.

        Returns:
            `{"results": [...]}` as in `search`, without scores. A page also has `next_cursor`, None
            on the last page, and `total`, how many memories pass.

        Raises:
            ValueError: as in `search`; an unknown order, a `page_size` out of range, a `cursor`
                that is none or is for other filters or another order, a `top_k` for a page.
        """
        return self._ports.run(
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
    ) -> Iterator[MemoryItem]:
        """All memories that pass, one by one; they are read page by page.

        A memory that exists all the time and does not change comes exactly once, whatever is added
        or removed meanwhile.

        Args:
            filters, show_expired, show_superseded, order: as in `get_all`.
            page_size: how many memories are read at a time, 1 to 1000.

        Raises:
            ValueError: at once, as in `get_all`.
        """
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

    def count(
        self, filters: Json, *, show_expired: bool = False, show_superseded: bool = False
    ) -> int:
        """How many memories pass.

        Args:
            filters, show_expired, show_superseded: as in `search`.

        Raises:
            ValueError: as in `search`.
        """
        from isomem.pipeline import listing

        return self._ports.run(
            listing.count(
                self._ports, filters, show_expired=show_expired, show_superseded=show_superseded
            )
        )

    def scopes(
        self,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
        *,
        show_expired: bool = False,
        show_superseded: bool = False,
    ) -> list[Scope]:
        """Whose memories there are, and how many; without arguments, everybody's.

        It is for those who run the memory: it lists the ids of all users, so a service must not
        show it to one of them. It takes time in proportion to all memories that it counts.

        Args:
            user_id, agent_id, run_id: only scopes that have all these ids.
            show_expired: also counts memories whose `expiration_date` is over.
            show_superseded: also counts memories that a later fact has superseded.

        Returns:
            `[{"user_id", "agent_id", "run_id", "memories", "first", "last"}, ...]`, ordered by
            their ids, with the ids that each scope has. `first` and `last` are when the oldest and
            the newest memory were stored (`created_at`), in UTC; None if that cannot be read.

        Raises:
            ValueError: an id is not valid.
        """
        from isomem.pipeline import listing

        ids = {"user_id": user_id, "agent_id": agent_id, "run_id": run_id}
        return self._ports.run(
            listing.scopes(
                self._ports, ids, show_expired=show_expired, show_superseded=show_superseded
            )
        )

    def update(
        self,
        memory_id: str,
        data: str | None = None,
        metadata: Json | None = None,
        *,
        text: str | None = None,
        expiration_date: Day | Unchanged | None = UNCHANGED,
    ) -> Done:
        """Replaces the text of a memory; `metadata` overlays the memory's own.

        Args:
            data: the new text. It can be left out if there is something else to change; the text
                and its entities then stay.
            text: the same, by its name since mem0 2.0.5; it takes precedence.
            expiration_date: as in `add`; None means that the memory never expires. Without it, the
                memory keeps the date that it has.

        Returns:
            `{"message": "Memory updated successfully!"}`

        Raises:
            MemoryNotFoundError: no memory has that id; it is a ValueError too.
            ValidationError: the text is not text, `metadata` is not JSON.
            ValueError: there is nothing to change, or `expiration_date` is not a date.
        """
        given = data if text is None else text
        return self._ports.run(
            manage.update(self._ports, memory_id, given, metadata, expiration_date=expiration_date)
        )

    def restore(self, memory_id: str) -> Done:
        """Shows a superseded memory again, as it was before a later fact superseded it.

        The later fact stays. The history has a row "RESTORE".

        Returns:
            `{"message": "Memory restored successfully!"}`

        Raises:
            MemoryNotFoundError: no memory has that id; it is a ValueError too.
            ValidationError: VALIDATION_007, the memory is not superseded.
        """
        return self._ports.run(manage.restore(self._ports, memory_id))

    def delete(self, memory_id: str) -> Done:
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
    ) -> Done:
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
    ) -> Done:
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

    def sweep(
        self,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
    ) -> int:
        """Deletes the memories whose `expiration_date` is over; their history stays.

        It takes short transactions, so that no other call waits long. What it has deleted stays
        deleted if it is interrupted; call it again to continue.

        Args:
            user_id, agent_id, run_id: only memories that have all of these; without any, the
                expired memories of everybody.

        Returns:
            How many were deleted.

        Raises:
            ValueError: an id is not valid.
        """
        ids = {"user_id": user_id, "agent_id": agent_id, "run_id": run_id}
        return self._ports.run(manage.sweep(self._ports, ids))

    def history(self, memory_id: str) -> list[HistoryRow]:
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
        raise NotImplementedError(NO_CHAT)

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _walk(walk: Walk, ports: BlockingPorts) -> Iterator[MemoryItem]:
    while page := ports.run(walk.next_page()):
        yield from page
