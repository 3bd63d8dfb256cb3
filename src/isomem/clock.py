"""Time and ids: the two things that differ from run to run, behind one object.

Whoever needs a run to repeat exactly (tests, the parity harness) passes a clock of its own to
`Memory(config, clock=...)`.
"""

from __future__ import annotations

from os import urandom
from time import time_ns

from isomem.dates import datetime, timezone

_UTC = timezone.utc
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


class Clock:
    """The real clock and random ids."""

    def now(self) -> str:
        """The current time: ISO-8601, UTC, microseconds."""
        return datetime.now(_UTC).isoformat()

    def today(self) -> str:
        """The current date in UTC: ISO-8601."""
        return datetime.now(_UTC).date().isoformat()

    def new_id(self) -> str:
        """The id of a new memory or entity: a random UUID (RFC 9562, version 4) as text."""
        digits = urandom(16).hex()
        return (
            f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}"
            f"-{_VARIANT[digits[16]]}{digits[17:20]}-{digits[20:]}"
        )

    def new_row_id(self) -> str:
        """The id of a history or message row: a UUID of version 7, which begins with the time.

        Rows that come after each other then stand beside each other in the file's index.
        """
        milliseconds, rest = divmod(time_ns(), 1_000_000)
        time = f"{milliseconds << 12 | (rest << 12) // 1_000_000:015x}"
        digits = urandom(8).hex()
        return (
            f"{time[:8]}-{time[8:12]}-7{time[12:]}-{_VARIANT[digits[0]]}{digits[1:4]}-{digits[4:]}"
        )
