"""MCP over streamable HTTP, at /mcp of the service.

Every request stands alone, so any worker can answer it: there are no sessions to find again. The
SDK is loaded with the first request.
"""

from __future__ import annotations

import asyncio
from importlib.util import find_spec
from typing import TYPE_CHECKING, cast

from starlette.requests import Request
from starlette.routing import Route

from isomem.providers.extras import missing
from isomem.serve.callers import Caller
from isomem.serve.mcp.session import open_session
from isomem.serve.problems import BAD_INPUT, Problem
from isomem.types import SCOPE_KEYS

if TYPE_CHECKING:
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
    from starlette.types import Receive, Scope, Send

    from isomem.serve.mcp.server import Context
    from isomem.serve.mcp.session import Session
    from isomem.serve.service import Service

PATH = "/mcp"
_SESSION = "isomem.mcp.session"
_BYTES_PER_MB = 1_000_000


class Endpoint:
    """The application at /mcp.

    Args:
        service: whose memory it is.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._starting = asyncio.Lock()
        self._ending = asyncio.Event()
        self._manager: StreamableHTTPSessionManager | None = None
        self._running: asyncio.Task[None] | None = None

    def routes(self) -> list[Route]:
        """Where it is reached; nowhere if the SDK is not installed.

        Only POST: a request that stands alone has nothing to listen to, and nothing to end.
        """
        if find_spec("mcp") is None:
            return []
        return [Route(path, self, methods=["POST"]) for path in (PATH, f"{PATH}/{{user_id}}")]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        scope["state"]["route"] = PATH
        scope[_SESSION] = self._session_of(Caller(Request(scope), may_wait=False))
        manager = await self._started()
        await manager.handle_request(scope, receive, send)

    async def close(self) -> None:
        """Ends the requests that are being answered."""
        self._ending.set()
        if self._running is not None:
            await self._running

    def _session_of(self, caller: Caller) -> Session:
        """The session that a request is for, from its key and its address.

        Raises:
            ValueError: an id in the address is not valid.
            PermissionDeniedError: the key is not for this scope.
            ValidationError: VALIDATION_001, there is no scope.
        """
        session = open_session(caller.access, _ids(caller.request), self._service.mcp)
        caller.access = session.access
        session.call = caller.call
        return session

    async def _started(self) -> StreamableHTTPSessionManager:
        async with self._starting:
            if self._manager is None:
                self._manager = await asyncio.to_thread(_make_manager, self._service)
                started = asyncio.Event()
                self._running = asyncio.create_task(self._run(self._manager, started))
                await started.wait()
        return self._manager

    async def _run(self, manager: StreamableHTTPSessionManager, started: asyncio.Event) -> None:
        """Keeps the manager running: one task has to begin and end it."""
        async with manager.run():
            started.set()
            await self._ending.wait()


def _ids(request: Request) -> dict[str, str]:
    """The ids in an address.

    Raises:
        Problem: 400, there is something else in it, or an id twice.
    """
    pairs = [*request.path_params.items(), *request.query_params.multi_items()]
    ids: dict[str, str] = {}
    for name, value in pairs:
        if name not in SCOPE_KEYS or ids.get(name, value) != value:
            detail = f"The address names two of {name}." if name in ids else f"Unknown: {name!r}."
            raise Problem(
                BAD_INPUT, "VALIDATION_008", detail, f"It may have {', '.join(SCOPE_KEYS)}."
            )
        ids[name] = value
    return ids


def _make_manager(service: Service) -> StreamableHTTPSessionManager:
    """What reads the protocol.

    Raises:
        DependencyError: the SDK that is installed is too old, or cannot be imported.
    """
    try:
        from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

        from isomem.serve.mcp.server import make_server
    except ImportError as error:
        raise missing("mcp", "mcp", "MCP", str(error)) from error
    return StreamableHTTPSessionManager(
        make_server(_session_of_context),
        json_response=True,
        stateless=True,
        max_request_body_size=int(service.settings.max_body_mb * _BYTES_PER_MB),
    )


def _session_of_context(context: Context) -> Session:
    session: Session = cast("Request", context.request).scope[_SESSION]
    return session
