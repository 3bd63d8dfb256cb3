"""What an isomem error keeps of the error that caused it. Imported only when something fails."""

from __future__ import annotations

from isomem.errors import MemoryError, ProviderError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeVar

    Error = TypeVar("Error", bound=ProviderError)


def message_of(error: Exception) -> str:
    """What was wrong, without the suggestion."""
    return str(error.message) if isinstance(error, MemoryError) else str(error)


def caused(kind: type[Error], message: str, cause: Exception) -> Error:
    """An error that sums up a failed call, with the facts and the suggestion of its cause."""
    if isinstance(cause, MemoryError):
        facts = cause.details, cause.suggestion, cause.debug_info
        error = kind(message, None, *facts)
    else:
        error = _from_elsewhere(kind, message, cause)
    error.__cause__ = cause
    return error


def _from_elsewhere(kind: type[Error], message: str, cause: Exception) -> Error:
    """From a vendor's error. Those about HTTP mostly keep the response, as httpx's do."""
    response = getattr(cause, "response", None)
    status = getattr(cause, "status_code", getattr(response, "status_code", None))
    headers: Mapping[str, str] | None = getattr(response, "headers", None)
    seconds = retry_after(headers) if headers is not None and hasattr(headers, "get") else None
    return kind(
        message,
        details={"status": status} if isinstance(status, int) else None,
        debug_info=None if seconds is None else {"retry_after": seconds},
    )


def retry_after(headers: Mapping[str, str]) -> float | None:
    """How long a server asks to wait, in seconds; None if it does not say."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        seconds = _number(str(headers.get(name, "")))
        if seconds is not None:
            return seconds * unit
    return _seconds_until(headers.get("retry-after", ""))


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None


def _seconds_until(date: str) -> float | None:
    import time
    from email.utils import parsedate_to_datetime

    try:
        moment = parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return max(0.0, moment - time.time())
