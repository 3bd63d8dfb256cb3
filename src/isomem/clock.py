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
"""Unused random numbers of 32 hex digits: asking the system for each one is expensive."""

if hasattr(os, "register_at_fork"):
    # Otherwise a child would hand out the same numbers as its parent.
    os.register_at_fork(after_in_child=_drawn.clear)


def _random_digits() -> str:
    """32 random hex digits; no two threads or processes get the same."""
    try:
        return _drawn.pop()
    except IndexError:
        digits = os.urandom(16 * _DRAWN_AT_ONCE).hex()
        _drawn.extend(digits[at : at + 32] for at in range(32, len(digits), 32))
        return digits[:32]


class Clock:
    """The real clock and random ids."""

    _second = -1, ""

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
        digits = _random_digits()
        return (
            f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}"
            f"-{_VARIANT[digits[16]]}{digits[17:20]}-{digits[20:]}"
        )

    def new_row_id(self) -> str:
        """The id of a history or message row: a UUID of version 7, which begins with the time.

        Rows written one after another are then neighbours in the file's index.
        """
        milliseconds, rest = divmod(time_ns(), 1_000_000)
        time = f"{milliseconds << 12 | (rest << 12) // 1_000_000:015x}"
        digits = _random_digits()
        return (
            f"{time[:8]}-{time[8:12]}-7{time[12:]}"
            f"-{_VARIANT[digits[16]]}{digits[17:20]}-{digits[20:]}"
        )
