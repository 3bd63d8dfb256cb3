"""Whether the service is well, what it has counted, and what it offers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from isomem import __version__
from isomem.serve.deadlines import within
from isomem.serve.metrics import CONTENT_TYPE
from isomem.serve.problems import UNAVAILABLE, Problem
from isomem.serve.rest.operations import Operation, Raw, encode
from isomem.serve.rest.page import POLICY, page

if TYPE_CHECKING:
    from starlette.requests import Request

TAG = "service"
_STATUS = {
    "type": "object",
    "properties": {"status": {"type": "string"}, "version": {"type": "string"}},
    "required": ["status", "version"],
    "additionalProperties": False,
}
_TEXT = {"type": "string"}
_NOBODYS = "00000000-0000-0000-0000-000000000000"
"""The id of no memory. Stores whose ids are UUIDs look for no other text."""

_LONGEST_S = 5.0
"""Who asks for readiness gives up soon, and asks again."""


def operations() -> list[Operation]:
    """They need no key, except for the metrics."""
    return [
        Operation("GET", "/health", health, "health", "Whether the process is alive", TAG, _STATUS,
                  is_open=True),
        Operation("GET", "/ready", ready, "ready", "Whether the store answers", TAG, _STATUS,
                  is_open=True),
        Operation("GET", "/metrics", metrics, "metrics", "Counts for Prometheus", TAG, _TEXT,
                  content={"text/plain": {"schema": _TEXT}}, is_open=True,
                  doc="Needs a key with the right `admin`, unless `open_metrics` is set."),
        Operation("GET", "/docs", docs, "docs", "What there is, as a page", TAG, _TEXT,
                  content={"text/html": {"schema": _TEXT}}, is_open=True),
        Operation("GET", "/openapi.json", openapi, "openapi", "What there is, as OpenAPI", TAG,
                  {"type": "object"}, is_open=True),
    ]  # fmt: skip


async def health(request: Request) -> object:
    """Answers as long as the process does."""
    del request
    return {"status": "ok", "version": __version__}


async def ready(request: Request) -> object:
    """Answers if the store does, and soon.

    Raises:
        Problem: 503, it does not.
    """
    memory = request.app.state.service.memory
    try:
        await within(_LONGEST_S, memory.get(_NOBODYS))
    except Exception as error:
        raise Problem(UNAVAILABLE, "NOT_READY", "The store does not answer.") from error
    return {"status": "ready", "version": __version__}


async def metrics(request: Request) -> object:
    """What Prometheus reads.

    Raises:
        Problem: 401, there is no key.
        PermissionDeniedError: the key may not administer.
    """
    from isomem.serve.callers import access_of

    if not request.app.state.service.settings.open_metrics:
        access_of(request).check_right("admin")
    return Raw(request.app.state.metrics.text(), CONTENT_TYPE)


async def docs(request: Request) -> object:
    """The page."""
    headers = [("Content-Security-Policy", POLICY)]
    return Raw(page(request.app.openapi()).encode(), "text/html; charset=utf-8", headers=headers)


async def openapi(request: Request) -> object:
    """The document."""
    return Raw(encode(request.app.openapi()), "application/json")
