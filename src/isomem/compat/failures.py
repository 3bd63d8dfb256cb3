"""`mem0.exceptions` and `mem0.client.utils`: isomem's errors, and those that only mem0 raises."""

from __future__ import annotations

from isomem import errors
from isomem.errors import MemoryError, NetworkError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    Function = TypeVar("Function", bound=Callable[..., Any])

NEVER_RAISED = ("MemoryQuotaExceededError", "VectorSearchError", "CacheError", "APIError")


class MemoryQuotaExceededError(MemoryError):
    """A quota is used up. Like the three below, for code that catches or raises it itself."""


class VectorSearchError(MemoryError):
    """A search in a vector store failed."""


class CacheError(MemoryError):
    """A cache failed."""


class APIError(Exception):
    """A service failed."""


_KINDS = {
    "ValidationError": (400, 409, 422),
    "AuthenticationError": (401, 403),
    "MemoryNotFoundError": (404,),
    "NetworkError": (408, 502, 503, 504),
    "MemoryQuotaExceededError": (413,),
    "RateLimitError": (429,),
    "MemoryError": (500,),
}
"""The error for each status of HTTP."""

HTTP_STATUS_TO_EXCEPTION: dict[int, type[MemoryError]] = dict(
    sorted(
        (status, globals().get(name) or getattr(errors, name))
        for name, statuses in _KINDS.items()
        for status in statuses
    )
)

_SUGGESTIONS = {
    400: "Please check your request parameters and try again",
    401: "Please check your API key and authentication credentials",
    403: "You don't have permission to perform this operation",
    404: "The requested resource was not found",
    408: "Request timed out. Please try again",
    409: "Resource conflict. Please check your request",
    413: "Request too large. Please reduce the size of your request",
    422: "Invalid request data. Please check your input",
    429: "Rate limit exceeded. Please wait before making more requests",
    500: "Internal server error. Please try again later",
    502: "Service temporarily unavailable. Please try again later",
    503: "Service unavailable. Please try again later",
    504: "Gateway timeout. Please try again later",
}
_AGAIN = "Please try again later"
_CONNECTION = "Please check your internet connection and try again"


def create_exception_from_response(
    status_code: int,
    response_text: str,
    error_code: str | None = None,
    details: dict[str, Any] | None = None,
    debug_info: dict[str, Any] | None = None,
) -> MemoryError:
    """The error for an answer of a service.

    Args:
        status_code: of HTTP; it decides the class.
        response_text: the message.
        error_code: "HTTP_" and the status by default.
        details, debug_info: of the error.
    """
    kind = HTTP_STATUS_TO_EXCEPTION.get(status_code, MemoryError)
    return kind(
        message=response_text or f"HTTP {status_code} error",
        error_code=error_code or f"HTTP_{status_code}",
        details=details or {},
        suggestion=_SUGGESTIONS.get(status_code, _AGAIN),
        debug_info=debug_info or {},
    )


def api_error_handler(func: Function) -> Function:
    """A decorator: what httpx raises becomes one of these errors."""
    from functools import wraps

    @wraps(func)
    def handled(*args: Any, **kwargs: Any) -> Any:
        import httpx

        try:
            return func(*args, **kwargs)
        except httpx.HTTPStatusError as error:
            raise _of_status(error) from error
        except httpx.RequestError as error:
            raise _of_request(error) from error

    return handled  # type: ignore[return-value]


def _of_status(error: Any) -> MemoryError:
    response, request = error.response, error.request
    debug = {
        "status_code": response.status_code,
        "url": str(request.url),
        "method": request.method,
    }
    text, details = response.text, {}
    if response.headers.get("content-type", "").startswith("application/json"):
        details = _object_in(text)
        text = details.get("detail", text)
    if response.status_code == 429:
        debug |= _limits(response.headers)
    return create_exception_from_response(
        response.status_code, text, details=details, debug_info=debug
    )


def _object_in(text: str) -> dict[str, Any]:
    import json

    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _limits(headers: Any) -> dict[str, Any]:
    names = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
    found: dict[str, Any] = {
        name.lower().replace("-", "_"): headers[name] for name in names if headers.get(name)
    }
    after = headers.get("Retry-After", "")
    return {**found, "retry_after": int(after)} if after.isdecimal() else found


def _of_request(error: Exception) -> NetworkError:
    import httpx

    fault, code, kind = "Network request failed", "NET_GENERIC", "request"
    if isinstance(error, httpx.TimeoutException):
        fault, code, kind = "Request timed out", "NET_TIMEOUT", "timeout"
    elif isinstance(error, httpx.ConnectError):
        fault, code, kind = "Connection failed", "NET_CONNECT", "connection"
    return NetworkError(
        message=f"{fault}: {error}",
        error_code=code,
        suggestion=_CONNECTION,
        debug_info={"error_type": kind, "original_error": str(error)},
    )


def __getattr__(name: str) -> object:
    if name in errors.__all__:
        return getattr(errors, name)
    raise AttributeError(name)
