"""Hidden memories: stored like any other, but not shown.

`search` and `get_all` leave out what is hidden, and an extraction is not told of it. Everything
else treats it as any other memory: `get`, `update`, `delete`, the history, copies and checks. What
the stores count over a whole scope, such as how many texts have a term, includes it.

A memory is hidden once its expiration date is over, and once a later fact has superseded it.
"""

from __future__ import annotations

from isomem.contract.limits import OWN_FIELDS
from isomem.dates import date, datetime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any, TypeVar

    from isomem.clock import Clock
    from isomem.types import Payload

    T = TypeVar("T", bound=Any)
    """A hit: it has a `payload`."""

EXPIRATION_DATE = "expiration_date"
"""What the date is called as an argument and in a result."""

SUPERSEDED_BY, SUPERSEDED_AT = "isomem_superseded_by", "isomem_superseded_at"
"""Fields of the payload of a superseded memory: the id of the later fact, and when that was.

Metadata cannot have them, so that nobody hides a memory by accident.
"""

SUPERSEDED_FIELDS = {SUPERSEDED_BY: "superseded_by", SUPERSEDED_AT: "superseded_at"}
"""What these fields are called in a result."""


class Visibility:
    """Which memories one call shows.

    Args:
        clock: says which day it is, in UTC.
        fields: of a payload, with an expiration date.
        show_expired: whether a memory is shown although it is expired.
        show_superseded: whether a memory is shown although it is superseded.
    """

    __slots__ = ("_clock", "_fields", "_show_expired", "_show_superseded")

    def __init__(
        self,
        clock: Clock,
        fields: Sequence[str] = OWN_FIELDS,
        *,
        show_expired: bool = False,
        show_superseded: bool = False,
    ) -> None:
        self._clock = clock
        self._fields = fields
        self._show_expired = show_expired
        self._show_superseded = show_superseded

    @property
    def shows(self) -> tuple[bool, bool]:
        """Whether it shows what is expired, and what is superseded."""
        return self._show_expired, self._show_superseded

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of a payload without which it is not hidden."""
        return SUPERSEDED_BY, *self._fields

    def hides(self, payload: Payload) -> bool:
        """Whether a memory with this payload is hidden."""
        if SUPERSEDED_BY in payload and not self._show_superseded and is_superseded(payload):
            return True
        for field in self._fields:
            if field in payload:  # Every hit of a call comes along here, and few have such a field.
                return not self._show_expired and is_expired(payload, self._clock, self._fields)
        return False

    def shown(self, found: Sequence[T]) -> Sequence[T]:
        """The hits of a store that are not hidden. Some vector stores return dicts."""
        shown = []
        for each in found:
            payload = each.get("payload") if isinstance(each, dict) else each.payload
            if not (payload and self.hides(payload)):
                shown.append(each)
        return shown

    def shown_of(self, ask: Callable[[int], Sequence[T]], top_k: int) -> Sequence[T]:
        """Those of the first `top_k` hits that are not hidden."""
        return self.shown(ask(top_k))

    def first_shown(self, ask: Callable[[int], Sequence[T]], top_k: int) -> Sequence[T]:
        """The first `top_k` hits that are not hidden.

        Args:
            ask: gives as many hits as it is asked for, best first. It is asked for more as long as
                hidden ones take places, until it has no more.
        """
        asked = top_k
        while True:
            found = counted(ask(asked))
            shown = self.shown(found)
            if asked == top_k and len(shown) == len(found):
                return found
            if len(shown) >= top_k or len(found) < asked:
                return shown[:top_k]
            asked *= 2


def counted(found: Iterable[T]) -> Sequence[T]:
    """The hits of a store as something that has a length: some stores return an iterator."""
    return found if hasattr(found, "__len__") else [*found]  # type: ignore[return-value]


# --- Superseding -----------------------------------------------------------------------------


def is_superseded(payload: Payload) -> bool:
    """Whether a later fact has superseded a memory with this payload."""
    return bool(payload.get(SUPERSEDED_BY))


# --- Expiry ----------------------------------------------------------------------------------


def is_expired(payload: Payload, clock: Clock, fields: Sequence[str] = OWN_FIELDS) -> bool:
    """Whether an expiration date in a payload is before today, in UTC."""
    for field in fields:
        expires = payload.get(field)
        if expires and _is_before(str(expires), clock.today()):
            return True
    return False


def _is_before(day: str, today: str) -> bool:
    """Whether one ISO date is before another; False if it is not a date."""
    try:
        return date.fromisoformat(day) < date.fromisoformat(today)
    except ValueError:
        return False


def expiry_fields(value: object, fields: Sequence[str] = OWN_FIELDS) -> Payload:
    """The fields of a payload that say when a memory expires: the first of `fields`.

    Args:
        value: None, so that it never expires, or what `check_expiration_date` takes.
    """
    # None is written, too: some stores only overlay the fields that they are given.
    return {fields[0]: None if value is None else check_expiration_date(value)}


def check_expiration_date(value: object) -> str:
    """An expiration date as it is stored: YYYY-MM-DD.

    Args:
        value: a date, a datetime, which means its date, or text in ISO 8601.

    Raises:
        ValueError: it is something else.
    """
    if isinstance(value, datetime):
        return value.date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if not isinstance(value, str):
        raise ValueError("expiration_date must be a date string in YYYY-MM-DD format.")
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError:
        raise ValueError("expiration_date must be a valid date in YYYY-MM-DD format.") from None
