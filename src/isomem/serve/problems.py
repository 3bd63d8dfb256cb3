"""Problems: what an error means for a caller on the network (RFC 9457).

A problem never has a stack trace, a key, or the text of an error that is not ours.
"""

from __future__ import annotations

import apsw

from isomem.causes import message_of
from isomem.errors import (
    ConfigurationError,
    DatabaseError,
    DependencyError,
    MemoryError,
    MemoryNotFoundError,
    PermissionDeniedError,
    PromptIntegrityError,
    ProviderError,
    ValidationError,
    VectorStoreError,
    VectorValueError,
)
from isomem.serve.raised import raised

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

BAD_INPUT, UNAUTHENTICATED, FORBIDDEN, NOT_FOUND, NO_METHOD = 400, 401, 403, 404, 405
CONFLICT, TOO_LARGE, TOO_MANY = 409, 413, 429
FAILED, NOT_OFFERED, PROVIDER_FAILED, UNAVAILABLE, TOO_SLOW = 500, 501, 502, 503, 504

TITLES = {
    BAD_INPUT: "Bad request",
    UNAUTHENTICATED: "Not authenticated",
    FORBIDDEN: "Forbidden",
    NOT_FOUND: "Not found",
    NO_METHOD: "Method not allowed",
    CONFLICT: "Conflict",
    TOO_LARGE: "Too large",
    TOO_MANY: "Too many requests",
    FAILED: "Internal error",
    NOT_OFFERED: "Not offered",
    PROVIDER_FAILED: "A provider failed",
    UNAVAILABLE: "Unavailable",
    TOO_SLOW: "Timed out",
}


class Problem(Exception):
    """A call that is answered with an error.

    Args:
        status: of HTTP.
        code: stable identifier, for a program.
        detail: what was wrong, for a person.
        suggestion: what to do about it, or None.
        headers: of the answer, such as Retry-After.
        error: what the call raised, for a client that raises it again.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        suggestion: str | None = None,
        headers: dict[str, str] | None = None,
        error: Exception | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.suggestion = suggestion
        self.headers = headers or {}
        self.error = error

    def body(self, request_id: str) -> dict[str, Any]:
        """The JSON of the answer."""
        body: dict[str, Any] = {
            "type": "about:blank",
            "title": TITLES.get(self.status, "Error"),
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "request_id": request_id,
        }
        if self.suggestion:
            body["suggestion"] = self.suggestion
        return body if self.error is None else {**body, "error": raised(self.error)}


# The first match counts.
_STATUSES: tuple[tuple[type[Exception], int], ...] = (
    (PermissionDeniedError, FORBIDDEN),
    (MemoryNotFoundError, NOT_FOUND),
    (VectorValueError, PROVIDER_FAILED),
    (ProviderError, PROVIDER_FAILED),
    (ValidationError, BAD_INPUT),
    (ConfigurationError, UNAVAILABLE),
    (DependencyError, UNAVAILABLE),
    (PromptIntegrityError, UNAVAILABLE),
    (VectorStoreError, UNAVAILABLE),
    (DatabaseError, UNAVAILABLE),
    (MemoryError, FAILED),
    (ValueError, BAD_INPUT),
    (TypeError, FAILED),
)


def problem_of(error: Exception) -> Problem:
    """The problem that an error of any kind is."""
    if isinstance(error, Problem):
        return error
    original = error
    if isinstance(error, ProviderError) and isinstance(error.__cause__, MemoryError):
        error = error.__cause__  # The provider's own error says more about what to do.
    for kind, status in _STATUSES:
        if isinstance(error, kind) and status != FAILED:
            code = getattr(error, "error_code", "INVALID_VALUE")
            suggestion = getattr(error, "suggestion", None)
            return Problem(status, code, message_of(error), suggestion, _headers(error), original)
    if isinstance(error, apsw.Error):
        return Problem(
            UNAVAILABLE, "DB_001", "A file of the service is not available.",
            "Another program may be using it, or the disk may be full. Try again later.",
        )  # fmt: skip
    return Problem(
        FAILED, "INTERNAL", "Something failed that should not have.",
        "The service's log has the request id and what happened.",
    )  # fmt: skip


def may_be_done(error: Exception) -> bool:
    """Whether a call that failed may have been carried out: nobody knows how its writing ended."""
    if isinstance(error, VectorValueError):
        return False
    is_of_file = isinstance(error, (DatabaseError, VectorStoreError, apsw.Error))
    return is_of_file or problem_of(error).status in (FAILED, TOO_SLOW)


def _headers(error: Exception) -> dict[str, str]:
    seconds = getattr(error, "retry_after", None)
    return {} if seconds is None else {"Retry-After": str(int(seconds) + 1)}
