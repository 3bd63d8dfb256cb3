"""Sessions: whose memories the tools reach. The model cannot change it unless that is allowed."""

from __future__ import annotations

from isomem.errors import PermissionDeniedError, ValidationError
from isomem.serve.access import Access
from isomem.serve.keys import EVERYTHING
from isomem.types import SCOPE_KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from typing import Any

    from isomem.memory_async import AsyncMemory
    from isomem.serve.mcp.settings import Settings

    Call = Callable[[str, Mapping[str, Any]], Awaitable[Any]]


class Session:
    """One client's view of a memory.

    Attributes:
        access: unless the model may name a scope, it reaches no other one.
        scope: the ids that a call has if the model names none.
        settings: of the server.
        call: makes a call, as `Access.call`; a transport may put limits around it.
    """

    __slots__ = ("access", "call", "scope", "settings")

    def __init__(self, access: Access, scope: dict[str, str], settings: Settings) -> None:
        self.access = access
        self.scope = scope
        self.settings = settings
        self.call: Call = access.call

    @property
    def said_scope(self) -> str:
        """The scope in words, such as "user_id 'ana'"; "" if there is none."""
        return " and ".join(f"{key} {value!r}" for key, value in self.scope.items())


def open_session(access: Access, ids: Mapping[str, str], settings: Settings) -> Session:
    """The session of a client that was set up with these ids, none of which the model has chosen.

    Raises:
        ValueError: an id is not valid.
        PermissionDeniedError: the key is not for this scope.
        ValidationError: VALIDATION_001, nothing says whose memories these are.
    """
    if settings.allow_scope:
        return Session(access, _default_scope(access, ids), settings)
    scope = access.narrow(ids)
    if not scope:
        raise ValidationError(
            "Nothing says whose memories these are.",
            error_code="VALIDATION_001",
            suggestion="Add ?user_id=ID to the address, or use a key that is for one scope.",
        )
    return Session(access.within(scope), scope, settings)


def open_local_session(memory: AsyncMemory, settings: Settings) -> Session:
    """The session of the one client of this process.

    Raises:
        ValueError: an id is not valid.
        ValidationError: as `check_local_scope`.
    """
    check_local_scope(settings)
    return open_session(Access(memory, EVERYTHING), settings.ids, settings)


def check_local_scope(settings: Settings) -> None:
    """Raises ValidationError, VALIDATION_001, if nothing says whose memories these are."""
    if not (settings.ids or settings.allow_scope):
        raise ValidationError(
            "Nothing says whose memories these are.",
            error_code="VALIDATION_001",
            suggestion="Set ISOMEM_USER_ID, ISOMEM_AGENT_ID or ISOMEM_RUN_ID in the environment of "
            "the server, or give --user, --agent or --run. --allow-scope lets the model choose.",
        )


def _default_scope(access: Access, ids: Mapping[str, str]) -> dict[str, str]:
    """The scope of a call that names none; {} if the key leaves that open."""
    try:
        return access.narrow(ids)
    except PermissionDeniedError:
        if any(key in ids for key in SCOPE_KEYS):
            raise
        return {}
