"""Kept: what the service holds of calls beside the memory itself, and how that is removed.

Jobs hold what they are to add, and a recording holds what a model was told. Whoever removes the
memories of a scope, in whatever way, removes these as well, in all processes of the service.
"""

from __future__ import annotations

import asyncio
import threading

from isomem.contract.arguments import check_removal_ids
from isomem.serve.calls import REMOVALS
from isomem.serve.exchanges import forget_beside
from isomem.serve.keys import count, number_of, open_file
from isomem.types import SCOPE_KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from isomem.memory_async import AsyncMemory
    from isomem.serve.grants import Grant
    from isomem.serve.recording import Json, Recorder

_WHAT = "removals"


class Kept:
    """What one process holds of calls.

    Args:
        forget_jobs: removes the jobs of the scopes that have some ids; None if there are no jobs.
        recorder: keeps the last adds; None if they are not kept.
        removals: what all processes of the service know of removals; None if there is only one.
    """

    def __init__(
        self,
        forget_jobs: Callable[[Mapping[str, str]], Awaitable[None]] | None = None,
        recorder: Recorder | None = None,
        removals: Removals | None = None,
    ) -> None:
        self._forget_jobs = forget_jobs
        self.recorder = recorder
        self._removals = removals

    async def call(self, memory: AsyncMemory, name: str, arguments: Mapping[str, object]) -> object:
        """Makes one call of a memory; what it removes is not held any more, either.

        Jobs go first: one that is under way must not add to what was removed. If the call fails
        then, they are gone, and the memories are not.

        Returns, Raises:
            As the call.
        """
        if name not in REMOVALS:
            return await self._made(memory, name, arguments)
        removed = _removed(memory, name, arguments)
        if self._forget_jobs is not None:
            await self._forget_jobs(removed)
        try:
            return await self._made(memory, name, arguments)
        finally:
            await asyncio.to_thread(self._forget, removed)

    async def _made(
        self, memory: AsyncMemory, name: str, arguments: Mapping[str, object]
    ) -> object:
        if self.recorder is None:
            return await getattr(memory, name)(**arguments)
        return await self.recorder.call(memory, name, arguments)

    def _forget(self, removed: Mapping[str, str]) -> None:
        """Forgets the recorded adds of the scopes with these ids, here and elsewhere."""
        try:
            if self.recorder is not None:
                self.recorder.forget(removed)
        finally:
            if self._removals is not None:
                self._removals.note(removed)

    def shown_to(self, grants: Sequence[Grant]) -> list[Json]:
        """The recorded adds to scopes that are granted, newest first."""
        if self.recorder is None:
            return []
        is_alone = not self.recorder.is_shared
        if is_alone and self._removals is not None and self._removals.others_removed():
            self.recorder.forget({})
        return self.recorder.shown_to(grants)


def _removed(memory: AsyncMemory, name: str, arguments: Mapping[str, object]) -> Mapping[str, str]:
    """The ids of the scopes that a call removes; {} means all.

    Raises:
        ValueError: as the call.
    """
    if name == "reset":
        return {}
    profile, ids = memory.profile, {key: arguments.get(key) for key in SCOPE_KEYS}
    return check_removal_ids(ids, profile.read_id, profile.is_given)


class Removals:
    """What was removed, told to all processes of all services with the same file of keys.

    The adds that workers have recorded are in files, and forgotten there. Others are in the memory
    of a process, which learns from the file of keys how often scopes were removed. It does not say
    whose: the ids of somebody who was forgotten would be left there.

    Args:
        path: the file.

    Raises:
        DatabaseError: it cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection = open_file(path)
        self._seen = number_of(self._connection, _WHAT)

    def note(self, ids: Mapping[str, str]) -> None:
        """Says that this process has removed the scopes with these ids; {} means all."""
        with self._lock:
            before = number_of(self._connection, _WHAT)
            count(self._connection, _WHAT)
            if before == self._seen:
                self._seen += 1
        forget_beside(self._path, ids)

    def others_removed(self) -> bool:
        """Whether another process may have removed something since the last time."""
        with self._lock:
            number = number_of(self._connection, _WHAT)
            is_new, self._seen = number != self._seen, number
            return is_new

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._connection.close()
