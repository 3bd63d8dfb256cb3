"""The service: a memory, its keys, and the view of it that each caller gets."""

from __future__ import annotations

from isomem.config import MCP, SERVICE, from_dict
from isomem.memory_async import AsyncMemory
from isomem.reference import ON_FRONT_ENDS
from isomem.serve.access import Access
from isomem.serve.keys import EVERYTHING, Keys
from isomem.serve.mcp.settings import Settings as McpSettings
from isomem.serve.problems import UNAUTHENTICATED, Problem
from isomem.serve.recording import Recorder
from isomem.serve.settings import RIGHTS, Settings, state_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from isomem.serve.keys import Key

OWN = {**ON_FRONT_ENDS, "dedup_concurrent": True}
"""What the service sets if the configuration does not: failed calls are errors, and equal facts of
calls at the same time are stored once."""

FIRST_KEY = "first key"
"""What the key is called that a new service makes."""


class Service:
    """One memory for many callers.

    Args:
        config: of the memory, as `Memory.from_config` takes it, with sections `serve` and `mcp`.
        memory: a memory to serve in place of the one that is configured.

    Raises:
        ConfigurationError: the configuration cannot work.
        DatabaseError: the file of keys cannot be opened.
    """

    def __init__(
        self, config: Mapping[str, Any] | None = None, *, memory: AsyncMemory | None = None
    ) -> None:
        given = dict(config or {})
        self.settings = Settings(given.pop(SERVICE, None))
        self.settings.check_address()
        self.mcp = McpSettings(given.pop(MCP, None))
        read = from_dict({**OWN, **given}) if memory is None else memory.config
        self.memory = AsyncMemory(read) if memory is None else memory
        self.keys = Keys(state_path(self.settings, read))
        self.recorder = Recorder() if self.settings.record else None

    def access(self, shown_key: str | None) -> Access:
        """The view that a caller with this key gets.

        Raises:
            Problem: 401, the key is missing or does not work.
        """
        return Access(self.memory, self._key(shown_key), self.recorder)

    def _key(self, shown: str | None) -> Key:
        if not self.settings.auth:
            return EVERYTHING
        key = self.keys.verify(shown) if shown else None
        if key is None:
            raise Problem(
                UNAUTHENTICATED,
                "AUTH_001",
                "This key does not work." if shown else "Authentication required.",
                "Send a key as `Authorization: Bearer KEY` or `X-API-Key: KEY`; "
                "`isomem keys create` makes one.",
                {"WWW-Authenticate": "Bearer"},
            )
        return key

    def first_key(self) -> str | None:
        """A key for everything, if keys are needed and none was ever made; else None.

        It cannot be shown again.
        """
        if not self.settings.auth or self.keys.all():
            return None
        return self.keys.create(FIRST_KEY, RIGHTS, [{}])[0]

    async def close(self) -> None:
        """Closes the memory and the keys."""
        await self.memory.aclose()
        self.keys.close()
