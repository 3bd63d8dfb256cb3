"""Time and ids: the two things that differ from run to run, behind one object.

Code that needs repeatable runs (tests, the parity harness) passes its own clock to
`Memory(config, clock=...)`.
"""

from __future__ import annotations

import os
from time import time_ns

from isomem.dates import datetime, timezone

_UTC = timezone.utc
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
_DRAWN_AT_ONCE = 256

_drawn: list[str] = []
"""Unused random UUIDs: asking the system for each one is expensive."""

if hasattr(os, "register_at_fork"):
    # Otherwise a child would hand out the same ones as its parent.
    os.register_at_fork(after_in_child=_drawn.clear)


def _random_uuid() -> str:
    """A random UUID (RFC 9562, version 4) as text; no two threads or processes get the same."""
    try:
        return _drawn.pop()
    except IndexError:
        digits = os.urandom(16 * _DRAWN_AT_ONCE).hex()
        uuids = [
            f"{each[:8]}-{each[8:12]}-4{each[13:16]}-{_VARIANT[each[16]]}{each[17:20]}-{each[20:]}"
            for each in (digits[at : at + 32] for at in range(0, len(digits), 32))
        ]
        _drawn.extend(uuids[1:])
        return uuids[0]


class Clock:
    """The real clock and random ids."""

    _second = _millisecond = -1, ""

    def now(self) -> str:
        """The current time: ISO-8601, UTC, microseconds."""
        seconds, micros = divmod(time_ns() // 1000, 1_000_000)
        known, text = self._second
        if known != seconds:
            text = datetime.fromtimestamp(seconds, _UTC).isoformat()[:-6]
            self._second = seconds, text
        # As `datetime.isoformat` writes it: without a fraction if that is zero.
        return f"{text}.{micros:06d}+00:00" if micros else f"{text}+00:00"

    def today(self) -> str:
        """The current date in UTC: ISO-8601."""
        return datetime.now(_UTC).date().isoformat()

    def new_id(self) -> str:
        """The id of a new memory or entity: a random UUID (RFC 9562, version 4) as text."""
        return _random_uuid()

    def new_row_id(self) -> str:
        """The id of a history or message row: a UUID of version 7, which begins with the time.

        Rows written one after another are then neighbours in the file's index.
        """
        milliseconds, rest = divmod(time_ns(), 1_000_000)
        known, time = self._millisecond
        if known != milliseconds:
            digits = f"{milliseconds:012x}"
            time = f"{digits[:8]}-{digits[8:]}-7"
            self._millisecond = milliseconds, time
        return f"{time}{(rest << 12) // 1_000_000:03x}{_random_uuid()[18:]}"
