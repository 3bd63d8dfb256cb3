"""What an answer of a service means: the result of a call, or the error that `Memory` raises."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from isomem import errors
from isomem.causes import retry_after
from isomem.errors import (
    AuthenticationError,
    MemoryError,
    NetworkError,
    PermissionDeniedError,
    ProviderError,
    RateLimitError,
    ValidationError,
)

if TYPE_CHECKING:
    from typing import Any

    from isomem.providers.http import Endpoint, Reply

_UNNAMED: tuple[tuple[type[MemoryError], tuple[int, ...]], ...] = (
    (ValidationError, (400, 404, 405, 409, 413, 422)),
    (AuthenticationError, (401,)),
    (PermissionDeniedError, (403,)),
    (RateLimitError, (429,)),
    (ProviderError, (502,)),
    (NetworkError, (503, 504)),
)
"""The error for the statuses of HTTP, where the service does not name one."""

_REFUSALS = {401: AuthenticationError, 403: AuthenticationError, 429: RateLimitError}
"""The same, where something before the service answers."""

_EXCERPT = 300
_ADVICE = "Check the address: it should be that of an isomem service, without a path."


def result_of(endpoint: Endpoint, reply: Reply) -> object:
    """The JSON of an answer that is a success.

    Raises:
        NetworkError: it is not JSON.
    """
    try:
        result: object = json.loads(reply.body)
    except (ValueError, RecursionError):
        raise _not_a_service(endpoint, reply) from None
    return result


def problem_in(reply: Reply) -> dict[str, Any] | None:
    """The problem that an answer is; None if something else than a service answered."""
    try:
        body = json.loads(reply.body)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) and {"code", "detail", "status"} <= {*body} else None


def error_of(endpoint: Endpoint, reply: Reply) -> Exception:
    """The error for an answer that is a failure: the one that the call raised in the service."""
    problem = problem_in(reply)
    if problem is None:
        return _not_a_service(endpoint, reply)
    named = problem.get("error")
    raised: dict[str, Any] = named if isinstance(named, dict) else {}
    message = str(raised.get("message", problem["detail"]))
    if raised.get("type") == "ValueError":
        return ValueError(message)
    return _kind(raised.get("type"), reply.status)(
        message,
        error_code=str(raised.get("code", problem["code"])),
        details=raised.get("details") or _details(endpoint, reply, raised),
        suggestion=raised.get("suggestion", problem.get("suggestion")),
        debug_info=_debug_info(reply, problem),
    )


def _kind(name: object, status: int) -> type[MemoryError]:
    kind: type[MemoryError] | None = None
    if name in errors.__all__:
        kind = getattr(errors, str(name))
    if kind is not None:
        return kind
    return next((each for each, statuses in _UNNAMED if status in statuses), MemoryError)


def _details(endpoint: Endpoint, reply: Reply, raised: object) -> dict[str, object]:
    """Those of an error of the service itself."""
    return {} if raised else {"provider": endpoint.provider, "status": reply.status}


def _debug_info(reply: Reply, problem: dict[str, object]) -> dict[str, object]:
    seconds = retry_after(reply.headers)
    found = {"request_id": problem.get("request_id")}
    return found if seconds is None else {**found, "retry_after": seconds}


def _not_a_service(endpoint: Endpoint, reply: Reply) -> ProviderError:
    """The error for an answer of something else, such as a proxy before the service."""
    text = " ".join(reply.body.decode("utf-8", "replace").split())[:_EXCERPT]
    seconds = retry_after(reply.headers)
    return endpoint.error(
        f"answered with status {reply.status}, and not as a service does: {text or '(empty)'}",
        _REFUSALS.get(reply.status, NetworkError),
        reply.status,
        None if seconds is None else {"retry_after": seconds},
        _ADVICE,
    )
