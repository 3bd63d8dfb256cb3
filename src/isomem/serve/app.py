"""The HTTP application: FastAPI over a `Service`, made of one router per dialect."""

from __future__ import annotations

import uuid
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse, Response

from isomem import __version__, log
from isomem.serve.callers import access_of
from isomem.serve.calls import CALLS
from isomem.serve.mcp.http import Endpoint
from isomem.serve.problems import FAILED, Problem, problem_of
from isomem.serve.web.assets import asset_routes
from isomem.serve.web.routes import view_routes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from isomem.serve.service import Service


def make_app(service: Service) -> FastAPI:
    """The application that serves a memory. It closes the service when it ends."""
    mcp = Endpoint(service)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await mcp.close()
        await service.close()

    app = FastAPI(title="isomem", version=__version__, lifespan=lifespan)
    app.state.service = service
    app.add_exception_handler(Exception, answer_error)
    app.add_exception_handler(Problem, answer_error)
    app.include_router(native_routes())
    app.router.routes.extend(mcp.routes())
    app.include_router(view_routes())
    app.include_router(asset_routes())
    return app


def native_routes() -> APIRouter:
    """Every call of the table as `POST /api/NAME`, with its arguments as a JSON object."""
    router = APIRouter(prefix="/api", tags=["isomem"])
    for name in CALLS:
        router.add_api_route(f"/{name}", _native(name), methods=["POST"], name=name)
    return router


def _native(name: str) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        arguments: Any = await request.json()
        return JSONResponse(await access_of(request).call(name, arguments))

    return answer


async def answer_error(request: Request, error: Exception) -> Response:
    """The problem that an error is, as JSON."""
    problem = problem_of(error)
    request_id = getattr(request.state, "request_id", None) or uuid.uuid4().hex
    if problem.status == FAILED:
        log.error("Request %s failed: %r", request_id, error)
    return JSONResponse(
        problem.body(request_id),
        status_code=problem.status,
        headers={**problem.headers, "X-Request-ID": request_id},
        media_type="application/problem+json",
    )
