"""The service: a memory, its keys, and the view of it that each caller gets."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from contextlib import asynccontextmanager, contextmanager

from isomem import log
from isomem.config import MCP, SERVICE, STORE_SETS, from_dict
from isomem.errors import ConfigurationError, DependencyError, InvalidConfigError
from isomem.memory_async import AsyncMemory
from isomem.reference import ON_FRONT_ENDS
from isomem.serve.access import Access
from isomem.serve.configuration import (
    Changes,
    check_changeable,
    check_fixed,
    merged,
    other_embedder,
    without_hidden,
    without_secrets_for_others,
)
from isomem.serve.exchanges import RECORDINGS, SharedExchanges
from isomem.serve.grants import is_everything
from isomem.serve.jobs import Jobs
from isomem.serve.kept import Kept, Removals
from isomem.serve.keys import EVERYTHING, Keys
from isomem.serve.mcp.settings import Settings as McpSettings
from isomem.serve.noted import Noted
from isomem.serve.problems import UNAUTHENTICATED, Problem
from isomem.serve.recording import Recorder
from isomem.serve.settings import RIGHTS, Settings, memory_name, state_path
from isomem.serve.trail import CALLER, trail_of
from isomem.serve.uses import SINCE, Uses

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
    from typing import Any

    from isomem.config import MemoryConfig
    from isomem.providers.llm.openai import ChatProtocol
    from isomem.serve.configuration import Configuration
    from isomem.serve.keys import Key

FIRST_KEY = "first key"
"""What the key is called that a new service makes."""


class Service:
    """One memory for many callers.

    Args:
        config: of the memory, as `Memory.from_config` takes it, with sections `serve` and `mcp`.
        memory: a memory to serve in place of the one that is configured.
        folder: what the worker shares with others; see `shared`. None: this process is alone.

    Raises:
        ConfigurationError: the configuration cannot work.
        DatabaseError: the file of keys cannot be opened.
    """

    def __init__(
        self,
        config: Mapping[str, Any] | None = None,
        *,
        memory: AsyncMemory | None = None,
        folder: str | None = None,
    ) -> None:
        given = dict(config or {})
        self.settings = Settings(given.pop(SERVICE, None))
        self.settings.check_address()
        self.mcp = McpSettings(given.pop(MCP, None))
        given = with_own(given)
        read = from_dict(given) if memory is None else memory.config
        path = state_path(self.settings, read)
        self.trail = trail_of(self.settings, path)
        self.keys = Keys(path, self.trail.key_changed)
        self.changes = Changes(path)
        self.changes.note_memory(memory_name(read))
        self.configuration = merged(given, self.changes.read())
        self.memory = _opened(read, given, self.configuration) if memory is None else memory
        self.jobs = Jobs(path, self._own_access, self.settings, self.trail, self._up_to_date)
        self._removals = Removals(path)
        recorder = _recorder(folder) if self.settings.record else None
        self.kept = Kept(self.jobs.forget, recorder, self._removals)
        self.model_server: ChatProtocol | None = None
        self._background: set[asyncio.Task[None]] = set()
        self._started_with = given
        self._uses = Uses()
        self._configuring = threading.Lock()
        self._following: asyncio.Task[None] | None = None

    def access(self, shown_key: str | None) -> Access:
        """The view that a caller with this key gets.

        Raises:
            Problem: 401, the key is missing or does not work.
        """
        key = self._key(shown_key)
        CALLER.set(key)
        memory = self.memory
        if not is_everything(key.grants):  # Scores tell nothing of what the key may not see.
            memory = memory.replacing(counts_in_scope=True)
        return Access(memory, key, self.kept, self.trail, self.settings.max_memories)

    def _own_access(self) -> Access:
        """The view of the service itself. A failed call of the model is an error for it."""
        memory = self.memory.replacing(raise_on_llm_error=True)
        return Access(memory, EVERYTHING, self.kept)

    def _key(self, shown: str | None) -> Key:
        if not self.settings.auth:
            return EVERYTHING
        key = self.keys.verify(shown) if shown else None
        if key is None:
            self._note_stranger()
            raise Problem(
                UNAUTHENTICATED,
                "AUTH_001",
                "This key does not work." if shown else "Authentication required.",
                "Send a key as `Authorization: Bearer KEY` or `X-API-Key: KEY`; "
                "`isomem keys create` makes one.",
                {"WWW-Authenticate": "Bearer"},
            )
        return key

    def _note_stranger(self) -> None:
        noted = Noted("authenticate", {})
        noted.status, noted.code = UNAUTHENTICATED, "AUTH_001"
        self.trail.note(None, noted)

    def first_key(self) -> str | None:
        """A key for everything, if keys are needed and none was ever made; else None.

        It cannot be shown again.
        """
        if not self.settings.auth or self.keys.all():
            return None
        return self.keys.create(FIRST_KEY, RIGHTS, [{}])[0]

    def configure(self, changed: Configuration) -> None:
        """Changes the configuration, and keeps the change.

        If anything about it is wrong, nothing is changed: neither here, nor what is kept, nor what
        the store says about its vectors.

        Raises:
            InvalidConfigError: the result cannot work.
            Problem: 409, it changes what cannot be changed while the service runs, or the store has
                vectors of another embedder.
        """
        check_changeable(changed)
        with self._configuring:
            kept = without_secrets_for_others(self.configuration, without_hidden(changed))
            configuration = merged(self.configuration, kept)
            memory = self._with(configuration)
            try:
                self.changes.add(kept)
            except BaseException:
                embedder = self.memory.embedding_model
                memory.stores.take_embedder(memory.embedding_model, embedder, self.memory.config)
                raise
            self._use(memory, configuration)

    def _with(self, configuration: Configuration) -> AsyncMemory:
        """The memory with another configuration, over the same stores.

        Raises:
            InvalidConfigError, Problem: as `configure`.
        """
        config = from_dict(configuration)
        check_fixed(self.memory.config, config)
        memory = self.memory.with_config(config)
        before = self.memory.embedding_model
        try:
            memory.stores.take_embedder(before, memory.embedding_model, config)
        except InvalidConfigError as error:
            raise other_embedder(error) from error
        return memory

    def _use(self, memory: AsyncMemory, configuration: Configuration) -> None:
        """From now on, calls use this memory."""
        old, self.memory = self.memory, memory
        self.configuration = configuration
        self._uses.replace(old)  # Only now, so that nothing that begins later gets it.

    @contextmanager
    def using(self) -> Iterator[None]:
        """A block that uses the memory, which is not closed meanwhile if another one replaces it.

        Whatever may ask a model is done in such a block.
        """
        number = self._uses.begin()
        before = SINCE.set(number)
        try:
            yield
        finally:
            SINCE.reset(before)
            self._end_use(number)

    @asynccontextmanager
    async def _up_to_date(self) -> AsyncIterator[None]:
        """The same, with the configuration that all processes have agreed on."""
        await self.follow()
        with self.using():
            yield

    def _end_use(self, number: int) -> None:
        for memory in self._uses.end(number):
            self.in_background(_close_models(memory))

    def is_behind(self) -> bool:
        """Whether another process may have changed the configuration."""
        return self._following is not None or self.changes.may_differ()

    async def follow(self) -> None:
        """Takes over what another process has changed in the configuration.

        Models are opened in a thread, once for all who wait. What cannot be taken over is left out,
        and the log says why; after `timeout_s`, who waits goes on with the configuration as it was.

        Raises:
            DatabaseError: what was changed cannot be read.
        """
        while self.is_behind():
            if self._following is None:
                self._following = self.in_background(self._take_over())
            done, _ = await asyncio.wait([self._following], timeout=self.settings.timeout_s)
            if not done:
                return
            done.pop().result()

    async def _take_over(self) -> None:
        try:
            await asyncio.to_thread(self._use_changes)
        finally:
            self._following = None

    def _use_changes(self) -> None:
        """Uses the configuration as it is kept, if it is another one and can be used."""
        with self._configuring:
            configuration = merged(self._started_with, self.changes.read())
            if configuration == self.configuration:
                return
            try:
                self._use(self._with(configuration), configuration)
            except (ConfigurationError, DependencyError, Problem) as error:
                log.error("The changed configuration cannot be used here: %s", error)

    def in_background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Does something whatever becomes of its caller. `close` waits until it is done."""
        number, task = self._uses.begin(), asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        task.add_done_callback(lambda _: self._end_use(number))
        return task

    async def _finish_background(self) -> None:
        until = time.monotonic() + self.settings.grace_s
        while self._background:  # What is done may have begun something more.
            left_s = max(until - time.monotonic(), 0)
            await asyncio.wait(self._background, timeout=left_s)
            if not left_s:
                return

    def start(self) -> None:
        """Begins to work on jobs, in the running event loop."""
        self.jobs.start()

    async def close(self) -> None:
        """Closes the memory, the jobs and the keys. Jobs under way may go on for `grace_s`."""
        await self._finish_background()
        await self.jobs.stop(self.settings.grace_s)
        await self._finish_background()  # What a job has begun.
        if self.model_server is not None:
            await self.model_server.aclose()
        for memory in self._uses.replaced():
            await _close_models(memory)
        await self.memory.aclose()
        self.changes.close()
        self.jobs.close()
        if self.kept.recorder is not None:
            self.kept.recorder.close()
        self._removals.close()
        self.trail.close()
        self.keys.close()


def with_own(given: Configuration) -> Configuration:
    """A configuration with what the service sets if it does not.

    Failed calls are errors, and equal facts of calls at the same time are stored once, where the
    store can do that.

    Raises:
        ConfigurationError: it cannot be read.
    """
    can_dedup = from_dict(given).vector_store.provider in STORE_SETS
    return {**ON_FRONT_ENDS, **({"dedup_concurrent": True} if can_dedup else {}), **given}


def _opened(read: MemoryConfig, given: Configuration, configuration: Configuration) -> AsyncMemory:
    """The memory that is served.

    Args:
        read: the configuration that the service is started with.
        given: the dict that it was read from.
        configuration: the same, with what was changed while it ran.

    Raises:
        ConfigurationError: it cannot be opened. If what was changed may be the reason, it says so.
    """
    if configuration == given:
        return AsyncMemory(read)
    try:
        return AsyncMemory(from_dict(configuration))
    except ConfigurationError as error:
        advice = "`isomem serve --discard-changes` forgets what POST /configure has changed."
        error.suggestion = f"{error.suggestion} {advice}" if error.suggestion else advice
        raise


def _recorder(folder: str | None) -> Recorder:
    """What records adds, for all workers that share a folder."""
    if folder is None:
        return Recorder()
    return Recorder(SharedExchanges(os.path.join(folder, RECORDINGS)))


async def _close_models(memory: AsyncMemory) -> None:
    part: Any
    for part in (memory.llm, memory.embedding_model, memory.reranker):
        if hasattr(part, "aclose"):
            await part.aclose()
