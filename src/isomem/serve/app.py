"""The HTTP application: FastAPI over a `Service`, made of one table of operations per dialect."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from isomem import __version__
from isomem.serve.following import Following
from isomem.serve.guard import Guard
from isomem.serve.limits import Buckets, RateLimits, SharedBuckets
from isomem.serve.mcp.http import Endpoint
from isomem.serve.metrics import Metrics
from isomem.serve.proxy import proxy_routes
from isomem.serve.rest import admin, hosted, jobs, native, rust, selfhosted, status
from isomem.serve.rest.openapi import document
from isomem.serve.rest.operations import Shortcut, routes_of
from isomem.serve.shared import LIMITS
from isomem.serve.web.assets import asset_routes
from isomem.serve.web.routes import view_routes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from isomem.serve.rest.operations import Operation
    from isomem.serve.service import Service

SENT = ("Authorization", "Content-Type", "Idempotency-Key", "Prefer", "X-API-Key", "X-Request-ID")
"""The headers that pages of other origins may send."""


class App(FastAPI):
    """FastAPI behind our layers, with a document that has our operations beside its own.

    FastAPI would put layers of its own around ours, which every request would go through.

    Attributes:
        layers: what a request goes through first, the guard included.
    """

    layers: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        scope["app"] = self
        await self.layers(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document; it is made once."""
        if self.openapi_schema is None:
            made = document(operations(), __version__)
            own = get_openapi(title=self.title, version=__version__, routes=self.routes)
            made["paths"] |= own["paths"]
            made["components"]["schemas"] |= own.get("components", {}).get("schemas", {})
            self.openapi_schema = made
        return self.openapi_schema


def make_app(service: Service, folder: str | None = None) -> FastAPI:
    """The application that serves a memory. It closes the service when it ends.

    Args:
        service: the memory, its keys and its jobs.
        folder: what it shares with the other processes of the service; see `shared`.
    """
    mcp = Endpoint(service)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        await mcp.close()
        await service.close()
        app.state.limits.close()

    app = App(
        title="isomem", version=__version__, lifespan=lifespan,
        docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False,
    )  # fmt: skip
    app.state.service = service
    buckets = Buckets() if folder is None else SharedBuckets(os.path.join(folder, LIMITS))
    app.state.limits = RateLimits(service.settings.rate_per_minute, buckets=buckets)
    app.state.metrics = Metrics(folder)
    for kind in (HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, _raise)
    app.router.routes += [*routes_of(operations()), *proxy_routes(), *mcp.routes()]
    app.include_router(view_routes())
    app.include_router(asset_routes())
    app.layers = _layers(app, service)
    return app


def operations() -> list[Operation]:
    """Everything that the service offers over REST, the hottest first."""
    return [
        *selfhosted.operations(),
        *native.operations(),
        *jobs.operations(),
        *hosted.operations(),
        *rust.operations(),
        *admin.operations(),
        *status.operations(),
    ]


def _layers(app: App, service: Service) -> ASGIApp:
    """What every request goes through, down to FastAPI itself."""
    guard = Guard(
        Following(Shortcut(super(App, app).__call__, app.routes), service),
        settings=service.settings, metrics=app.state.metrics, trail=service.trail,
    )  # fmt: skip
    if not service.settings.cors_origins:
        return guard
    return CORSMiddleware(
        guard,
        allow_origins=service.settings.cors_origins,
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=SENT,
        expose_headers=["Retry-After", "X-Request-ID"],
    )


async def _raise(_: Request, error: Exception) -> NoReturn:
    """Leaves an error to the guard."""
    raise error
