"""What a call raised, for clients that raise it again: `isomem.client.replies` reads it."""

from __future__ import annotations

import json

from isomem import errors
from isomem.causes import message_of

_NAMES = (*errors.__all__, "ValueError")


def raised(error: Exception) -> dict[str, object]:
    """An error as JSON: its class, and what a caller finds in it. It has no secret.

    A class that is not ours counts as the nearest one above it that is.
    """
    kinds = [kind.__name__ for kind in type(error).__mro__ if kind.__name__ in _NAMES]
    found: dict[str, object] = {"type": kinds[0] if kinds else None, "message": message_of(error)}
    if not isinstance(error, errors.MemoryError):
        return found
    details = json.loads(json.dumps(error.details, default=str))
    return {
        **found,
        "code": error.error_code,
        "suggestion": error.suggestion,
        "details": details,
    }
