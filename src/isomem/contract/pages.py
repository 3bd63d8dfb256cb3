"""Pages: in which order memories are listed, and the cursor that says where the next page begins.

The time of a memory is when it was said (`event_time`), or else when it was stored (`created_at`).
Text that is not a time does not count: a filter on dates could not compare it, either. A memory
without a time comes last in both orders of time. Memories of one time are ordered by id.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode

from isomem.contract.arguments import shown
from isomem.contract.filters import parse_datetime
from isomem.dates import datetime, timedelta, timezone
from isomem.digest import md5_hex
from isomem.types import ORDERS, is_unicode

TYPE_CHECKING = False
if TYPE_CHECKING:
    Key = tuple[int, str]
    """Where a memory is in an order: its rank, and its id."""

DEFAULT_TOP_K = 20
"""The `top_k` of `get_all`, which is how a caller who does not name one is recognised."""

PAGE_SIZE = 100
"""The default number of memories on a page."""

MAX_PAGE_SIZE = 1000

UNTIMED = 2**62
"""The rank of a memory without a time: behind all others."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)


def read_moment(text: object) -> datetime | None:
    """The moment that a field of a payload names, in UTC, which it is in unless it names a zone."""
    if not isinstance(text, str):
        return None
    if _is_ours(text):
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            return None
    moment = parse_datetime(text)
    try:
        return None if moment is None else moment.astimezone(timezone.utc)
    except OverflowError:  # In UTC it is before year 1 or after 9999.
        return None


def _is_ours(text: str) -> bool:
    """Whether a time may be in the form in which isomem writes it, which Python reads fast."""
    if len(text) not in (25, 32) or not text.endswith("+00:00"):
        return False
    # Python 3.11 reads more forms than 3.10: weeks, and commas in numbers.
    return text[4] == text[7] == "-" and text[10] == "T" and text[19] in "+."


def moment_of(event_time: object, created_at: object) -> datetime | None:
    """The time of a memory with these fields."""
    return read_moment(event_time) or read_moment(created_at)


def rank_of(order: str, event_time: object, created_at: object) -> int:
    """The rank of a memory in an order of time: microseconds since 1970, negative for "newest"."""
    moment = moment_of(event_time, created_at)
    if moment is None:
        return UNTIMED
    microseconds = (moment - _EPOCH) // _MICROSECOND
    return -microseconds if order == "newest" else microseconds


class Tally:
    """How many memories were seen, and the times at which the first and the last were stored.

    Attributes:
        first, last: None as long as no memory had a time.
    """

    __slots__ = ("count", "first", "last")

    def __init__(self) -> None:
        self.count = 0
        self.first: datetime | None = None
        self.last: datetime | None = None

    def see(self, created_at: object) -> None:
        """Counts a memory that was stored at that time."""
        self.count += 1
        moment = read_moment(created_at)
        if moment is None:
            return
        if self.first is None or moment < self.first:
            self.first = moment
        if self.last is None or moment > self.last:
            self.last = moment


# --- Arguments -------------------------------------------------------------------------------


def check_order(order: object) -> str:
    """`order`, if there is one of that name; None means the first one.

    Raises:
        ValueError: there is none.
    """
    if order is None:
        return ORDERS[0]
    if isinstance(order, str) and order in ORDERS:
        return order
    raise ValueError(f"Invalid order: {shown(order)}. Must be one of {', '.join(ORDERS)}.")


def check_page_size(page_size: object) -> int:
    """`page_size`, if it is an int from 1 to `MAX_PAGE_SIZE`.

    Raises:
        ValueError: it is something else.
    """
    is_int = isinstance(page_size, int) and not isinstance(page_size, bool)
    if is_int and 1 <= page_size <= MAX_PAGE_SIZE:  # type: ignore[operator]
        return page_size  # type: ignore[return-value]
    raise ValueError(
        f"Invalid page_size: {shown(page_size)}. Must be a whole number from 1 to {MAX_PAGE_SIZE}."
    )


# --- Cursors ---------------------------------------------------------------------------------


class Place:
    """Where a page begins, and how it goes on.

    Attributes:
        filters: the digest of the filters that it is for.
        after: the key of the last memory before it; None at the beginning.
    """

    __slots__ = ("after", "filters", "order", "page_size")

    def __init__(self, filters: str, order: str, page_size: int, after: Key | None = None) -> None:
        self.filters = filters
        self.order = order
        self.page_size = page_size
        self.after = after

    def cursor(self, after: Key) -> str:
        """The cursor of the page that begins behind a key: text that needs no escaping in a URL."""
        fields = [self.order, self.page_size, self.filters, *after]
        text = json.dumps(fields, separators=(",", ":"))
        return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def place_of(asked: object, order: object, page_size: object, cursor: object) -> Place:
    """Where the page begins that a caller asks for.

    Args:
        asked: what decides which memories are listed: the filters and whatever else does.
        order, page_size: None takes those of the cursor, or else the defaults.
        cursor: of the page before; None asks for the first page.

    Raises:
        ValueError: an argument is not valid, or the cursor is for other filters or another order.
    """
    digest = digest_of(asked)
    if cursor is None:
        size = PAGE_SIZE if page_size is None else check_page_size(page_size)
        return Place(digest, check_order(order), size)
    place = _read_cursor(cursor)
    if place.filters != digest:
        raise ValueError(
            "The cursor is for other filters, or another show_expired or show_superseded. Pass "
            "those of the page that it came with, or leave it out to begin with the first page."
        )
    if order is not None and check_order(order) != place.order:
        raise ValueError(
            f"The cursor is for the order {place.order!r}, not {order!r}. Leave out the order to "
            "go on, or the cursor to begin with the first page."
        )
    if page_size is not None:
        place.page_size = check_page_size(page_size)
    return place


def _read_cursor(cursor: object) -> Place:
    try:
        fields = json.loads(urlsafe_b64decode(f"{cursor}=="))
        order, page_size, filters, rank, memory_id = fields
        place = Place(filters, check_order(order), check_page_size(page_size), (rank, memory_id))
        if order and type(rank) is int and abs(rank) <= UNTIMED and is_unicode(memory_id):
            return place
    except (TypeError, ValueError, AttributeError, RecursionError):
        pass
    raise invalid_cursor(cursor)


def invalid_cursor(cursor: object) -> ValueError:
    """The error for what is no cursor."""
    return ValueError(
        f"Invalid cursor: {shown(cursor):.80}. Pass the next_cursor of a page as it is, or leave "
        "it out to begin with the first page."
    )


def digest_of(asked: object) -> str:
    """The same text for filters that say the same in another order of keys: 16 hex digits."""
    return md5_hex(_canonical(asked))[:16]


def _canonical(value: object) -> str:
    if hasattr(value, "items"):
        entries = sorted((repr(key), _canonical(each)) for key, each in value.items())
        return f"{{{','.join(f'{key}:{text}' for key, text in entries)}}}"
    if isinstance(value, (set, frozenset)):
        return f"<{','.join(sorted(map(_canonical, value)))}>"
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(_canonical, value))}]"
    # Python refuses to write an int of more than 4,300 digits, except in such a base.
    return hex(value) if type(value) is int else repr(value)
