"""Rules of superseding without any I/O: what is looked at, and what a model's answer means."""

from __future__ import annotations

from isomem.contract.moments import EVENT_TIME
from isomem.contract.pages import moment_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from isomem.dates import datetime
    from isomem.types import Payload

NEIGHBORS = 5
"""How many stored memories are looked at for each new fact."""

LEAST_SIMILARITY = 0.3
"""A memory that is less similar to a new fact is not looked at."""

_MOST_DIGITS = 9


def may_be_stale(payload: Payload, new: Payload) -> bool:
    """Whether a memory is a fact that was known before the new one.

    Messages that were stored as they are and procedural memories are not facts. A conversation that
    is taken in late tells of an earlier time, and supersedes nothing that was said after it.
    """
    if "role" in payload or "memory_type" in payload or not isinstance(payload.get("data"), str):
        return False
    before, after = _moment(payload), _moment(new)
    return before is not None and after is not None and before <= after


def _moment(payload: Payload) -> datetime | None:
    return moment_of(payload.get(EVENT_TIME), payload.get("created_at"))


def as_shown(payload: Payload) -> tuple[str, str]:
    """The day and the text of a fact, as a model sees them."""
    moment = _moment(payload)
    return moment.date().isoformat() if moment else "", payload["data"]


def number_in(item: object, key: str, count: int) -> int | None:
    """The number under a key of a model's answer, which may be written as text.

    None if it is not one of the `count` numbers that the model was shown.
    """
    value = item.get(key) if isinstance(item, dict) else None
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        value = int(value) if len(value) <= _MOST_DIGITS else None
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value < count else None
