"""Limits: how often a key may call, how much a call may read, and how long a body may be."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import apsw

from isomem.serve.problems import TOO_LARGE, TOO_MANY, Problem
from isomem.store.connection import switch_to_wal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.types import Message, Receive

    from isomem.serve.keys import Key


READ_PER_CALL = 1000
"""So many memories may be read for one call: as many as the largest page has."""

PASSED_PER_READ = 10
"""To pass over so many memories, on the way to a page, counts as reading one."""

_BUSY_MS = 4
"""How long a process waits for its turn at the tokens: its event loop waits as well."""

_BUSY_AT_START_MS = 10_000
"""The same when it starts, and several make the file."""

_ALMOST_NONE = 1e-9
"""How much less than a token there is if that was seen a moment ago, and may have changed."""

_LEASE_S = 0.1
"""A process takes the tokens of so long a time at once, so that it seldom needs a turn."""

_LEASE_HELD_S = 1.0
"""Tokens that were not used for so long are lost, since the bucket has been filled meanwhile."""

_BUCKETS = "CREATE TABLE IF NOT EXISTS buckets (key TEXT PRIMARY KEY, tokens REAL, at REAL)"
_TOKENS = "SELECT tokens, at FROM buckets WHERE key = ?"
_FILL = (
    "INSERT INTO buckets VALUES (?, ?, ?) ON CONFLICT (key)"
    " DO UPDATE SET tokens = excluded.tokens, at = max(at, excluded.at)"
)


class RateLimits:
    """How often each key may call: a bucket of tokens for each, filled evenly, full for a minute.

    Args:
        per_minute: calls of a key that has no limit of its own.
        now: seconds on a clock that never goes back, the same in all processes.
        buckets: where the tokens are; by default those of this process alone.
    """

    def __init__(
        self,
        per_minute: int,
        now: Callable[[], float] = time.monotonic,
        buckets: Buckets | None = None,
    ) -> None:
        self._per_minute = per_minute
        self._now = now
        self._buckets = buckets or Buckets()

    def take(self, key: Key) -> None:
        """Counts one call.

        Raises:
            Problem: 429, there were too many; it says when to come back.
        """
        most = key.rate_per_minute or self._per_minute
        left = self._buckets.take(key.id, most, self._now())
        if left < 0:
            raise _too_many(most, -left * 60 / most)

    def charge(self, key: Key, calls: int) -> None:
        """Counts further calls for one that was made; the key waits for them before its next."""
        self._buckets.charge(key.id, key.rate_per_minute or self._per_minute, self._now(), calls)

    def close(self) -> None:
        """Closes what the tokens are in."""
        self._buckets.close()


class Buckets:
    """The tokens of each key, in this process."""

    def __init__(self) -> None:
        self._filled: dict[str, tuple[float, float]] = {}

    def take(self, key_id: str, most: int, now: float) -> float:
        """Takes a token if there is one. How many are left; below 0 if there was none."""
        tokens = self._tokens(key_id, most, now)
        self._set(key_id, tokens - 1 if tokens >= 1 else tokens, now)
        return tokens - 1

    def charge(self, key_id: str, most: int, now: float, tokens: int) -> None:
        """Takes tokens, whether there are so many or not."""
        self._set(key_id, self._tokens(key_id, most, now) - tokens, now)

    def _tokens(self, key_id: str, most: int, now: float) -> float:
        tokens, at = self._get(key_id) or (float(most), now)
        # Another process may have looked at the clock a moment later.
        return min(most, tokens + max(0.0, now - at) * most / 60)

    def _get(self, key_id: str) -> tuple[float, float] | None:
        return self._filled.get(key_id)

    def _set(self, key_id: str, tokens: float, now: float) -> None:
        self._filled[key_id] = (tokens, now)

    def close(self) -> None:
        """Forgets them."""
        self._filled.clear()


class SharedBuckets(Buckets):
    """The tokens of each key, in a file that the processes of a service share.

    What is written need not survive anything, so nothing waits for a disk. A process takes some
    tokens for the calls to come, and what is known to be empty is not looked at before it can have
    a token again. So together they let through the calls that one process would, more or less those
    of `_LEASE_S` for each. A call of a process that does not get its turn in time is let through,
    unless there was no token before, and counted at the next turn.

    Args:
        path: of the file.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self._leases: dict[str, _Lease] = {}
        self._debts: Counter[str] = Counter()
        self._file = apsw.Connection(path)
        self._file.set_busy_timeout(_BUSY_AT_START_MS)
        switch_to_wal(self._file, _BUSY_AT_START_MS / 1000)
        self._file.execute("PRAGMA synchronous = OFF")
        self._file.execute(_BUCKETS)
        self._file.set_busy_timeout(_BUSY_MS)

    def take(self, key_id: str, most: int, now: float) -> float:
        """As of all buckets. How many are left counts those that this process has taken before."""
        lease = self._leases.get(key_id)
        if lease is not None and lease.decides(now, most):
            return lease.take(now, most)
        try:
            lease = self._leases[key_id] = self._lease(key_id, most, now)
        except apsw.BusyError:
            if lease is not None and lease.is_refusal:
                return lease.take(now, most)
            self._debts[key_id] += 1
            return 0
        return lease.take(now, most)

    def _lease(self, key_id: str, most: int, now: float) -> _Lease:
        with self._turn():
            tokens = self._tokens(key_id, most, now) - self._debts[key_id]
            taken = min(int(tokens), max(1, int(most * _LEASE_S / 60))) if tokens >= 1 else 0
            self._set(key_id, tokens - taken, now)
        self._debts.pop(key_id, None)
        return _Lease(taken or tokens, now)

    def charge(self, key_id: str, most: int, now: float, tokens: int) -> None:
        """As of all buckets. What this process has taken for calls to come goes towards it."""
        lease = self._leases.pop(key_id, None)
        owed = self._debts.pop(key_id, 0) + tokens
        if lease is not None and lease.is_good(now):
            owed -= int(lease.tokens)
        try:
            with self._turn():
                super().charge(key_id, most, now, owed)
        except apsw.Error:  # What it is for was done, and its caller has to be told so.
            self._debts[key_id] = owed

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """A block in which no other process changes anything."""
        self._file.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            self._file.execute("COMMIT")

    def _get(self, key_id: str) -> tuple[float, float] | None:
        rows: list[Any] = self._file.execute(_TOKENS, (key_id,)).fetchall()
        return rows[0] if rows else None

    def _set(self, key_id: str, tokens: float, now: float) -> None:
        self._file.execute(_FILL, (key_id, tokens, now))

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


class _Lease:
    """Tokens that a process has taken for calls to come, or what there was in place of one.

    Args:
        tokens: that it has, or if that is less than 1, that the bucket had.
        taken_at: when.

    Attributes:
        is_refusal: whether there was none to take.
    """

    __slots__ = ("is_refusal", "taken_at", "tokens")

    def __init__(self, tokens: float, taken_at: float) -> None:
        self.tokens = tokens
        self.taken_at = taken_at
        self.is_refusal = tokens < 1

    def is_good(self, now: float) -> bool:
        """Whether a call may still use one of them."""
        return self.tokens >= 1 and now - self.taken_at <= _LEASE_HELD_S

    def decides(self, now: float, most: int) -> bool:
        """Whether the next call needs no turn: there is a token, or there cannot be one again."""
        return self.is_good(now) or (self.is_refusal and self._filled(now, most) < 1)

    def take(self, now: float, most: int) -> float:
        """How many are left after a call that takes one; below 0 if there is none."""
        if self.is_refusal:
            return min(self._filled(now, most) - 1, -_ALMOST_NONE)
        self.tokens -= 1
        return self.tokens

    def _filled(self, now: float, most: int) -> float:
        """Of a bucket without a token: what it can have by now, since others only take."""
        return self.tokens + max(0.0, now - self.taken_at) * most / 60


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


def check_read(memories: int, most: int) -> None:
    """Raises Problem, 413, if a call would read more memories than one may."""
    if memories > most:
        raise Problem(
            TOO_LARGE, "LIMIT_003", f"One call may read {most:,} memories, and there are more.",
            "Ask for less with filters, or page by page: `POST /api/get_all` with `page_size`, and "
            "then with the `next_cursor` of each page. `max_memories` of the service is the limit.",
        )  # fmt: skip


def check_length(length: int, most: int) -> None:
    """Raises Problem, 413, if a body is too long."""
    if length > most:
        raise Problem(
            TOO_LARGE, "LIMIT_001", f"The body is longer than {most:,} bytes.",
            "Send it in parts, or raise `max_body_mb` of the service.",
        )  # fmt: skip
