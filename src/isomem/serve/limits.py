"""Limits: how often a key may call, and how long a body may be."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from isomem.serve.problems import TOO_LARGE, TOO_MANY, Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Message, Receive

    from isomem.serve.keys import Key


class RateLimits:
    """How often each key may call: a bucket of tokens for each, filled evenly, full for a minute.

    Args:
        per_minute: calls of a key that has no limit of its own. Each process counts for itself.
        now: seconds on a clock that never goes back.
    """

    def __init__(self, per_minute: int, now: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._now = now
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, key: Key) -> None:
        """Counts one call.

        Raises:
            Problem: 429, there were too many; it says when to come back.
        """
        most = key.rate_per_minute or self._per_minute
        now = self._now()
        tokens, at = self._buckets.get(key.id, (float(most), now))
        tokens = min(most, tokens + (now - at) * most / 60)
        if tokens < 1:
            self._buckets[key.id] = (tokens, now)
            raise _too_many(most, (1 - tokens) * 60 / most)
        self._buckets[key.id] = (tokens - 1, now)


def _too_many(most: int, wait_s: float) -> Problem:
    return Problem(
        TOO_MANY,
        "RATE_002",
        f"This key may make {most:,} calls per minute.",
        "Wait as long as the header Retry-After says.",
        {"Retry-After": str(int(wait_s) + 1), "X-RateLimit-Limit": str(most)},
    )


def limited(receive: Receive, most: int) -> Receive:
    """A `receive` that refuses a body of more than `most` bytes, whatever its header says.

    Raises:
        Problem: 413, as soon as it is longer.
    """
    read = 0

    async def counted() -> Message:
        nonlocal read
        message = await receive()
        if message["type"] == "http.request":
            read += len(message.get("body", b""))
            check_length(read, most)
        return message

    return counted


def check_length(length: int, most: int) -> None:
    """Raises Problem, 413, if a body is too long."""
    if length > most:
        raise Problem(
            TOO_LARGE, "LIMIT_001", f"The body is longer than {most:,} bytes.",
            "Send it in parts, or raise `max_body_mb` of the service.",
        )  # fmt: skip
