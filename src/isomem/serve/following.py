"""Following: a request is answered with the configuration that all processes have agreed on."""

from __future__ import annotations

from isomem.serve.rest import status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from isomem.serve.service import Service

_AT_ONCE = frozenset(each.path for each in status.operations())
"""The paths that answer whatever is opened: nobody may take this process for dead."""


class Following:
    """A layer of the application. Once a change is acknowledged, every later request sees it.

    One that is being answered goes on with the models that it has.

    Args:
        app: what answers.
        service: whose configuration another process may change.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request; if there is a change, after it was taken over."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._service.is_behind() and scope["path"] not in _AT_ONCE:
            await self._service.follow()
        with self._service.using():
            await self._app(scope, receive, send)
