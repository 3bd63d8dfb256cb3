"""Removing by command: a removal beside a service, which may run meanwhile or not.

It is made as the service makes it: what jobs were to add goes first, then the memories, and then
the recordings that may tell of them.
"""

from __future__ import annotations

from isomem.memory_async import AsyncMemory
from isomem.serve.access import Access
from isomem.serve.grants import Grant
from isomem.serve.jobs import Jobs
from isomem.serve.kept import Kept, Removals
from isomem.serve.keys import EVERYTHING, Key
from isomem.serve.settings import RIGHTS
from isomem.serve.trail import BY_COMMAND, Trail, audit_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from isomem.config import MemoryConfig
    from isomem.serve.settings import Settings

_COMMAND = Key("command", BY_COMMAND, b"", RIGHTS, (Grant({}),))
"""Who calls, in the audit log."""


async def remove(
    config: MemoryConfig, settings: Settings, path: str, name: str, ids: Mapping[str, str]
) -> object:
    """Makes a call that removes whole scopes, with everything that a service holds of them.

    Args:
        config: of the memory.
        settings: of the service.
        path: its file of keys.
        name: "delete_all", "purge" or "reset".
        ids: of the scopes, for the first two.

    Returns:
        As the call.

    Raises:
        DatabaseError: the file of keys cannot be opened; nothing was removed.
        Exception: as the call. Jobs and recordings are gone then, and memories perhaps not.
    """
    trail, removals = Trail(audit_path(settings, path)), Removals(path)
    memory = AsyncMemory(config)
    jobs = Jobs(path, lambda: Access(memory, EVERYTHING), settings, trail)
    try:
        return await Access(memory, _COMMAND, Kept(jobs.forget, None, removals), trail).call(
            name, ids
        )
    finally:
        await memory.aclose()
        jobs.close()
        removals.close()
        trail.close()
