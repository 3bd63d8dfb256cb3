"""Time and ids: the two things that differ from run to run, behind one object.

Whoever needs a run to repeat exactly (tests, the parity harness) passes a clock of its own to
`Memory(config, clock=...)`.
"""

from __future__ import annotations

from datetime import datetime, timezone
from os import urandom

_VARIANT = "89ab"


class Clock:
    """The real clock and random ids."""

    def now(self) -> str:
        """The current time: ISO-8601, UTC, microseconds."""
        return datetime.now(timezone.utc).isoformat()

    def today(self) -> str:
        """The current date in UTC: ISO-8601."""
        return datetime.now(timezone.utc).date().isoformat()

    def new_id(self) -> str:
        """The id of a new memory or entity: a random UUID (RFC 9562, version 4) as text."""
        digits = urandom(16).hex()
        variant = _VARIANT[int(digits[16], 16) & 3]
        return (
            f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
        )

    def new_row_id(self) -> str:
        """The id of a history or message row: drawn apart, so that it shifts no memory id."""
        return self.new_id()
