"""Pages of scopes: in which order scopes are listed, and where the next page begins.

Scopes are ordered by their user, then their agent, then their run; one without an id comes before
those that have one.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode

from isomem.contract.pages import PAGE_SIZE, check_page_size, digest_of, invalid_cursor
from isomem.types import SCOPE_KEYS, is_unicode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Ids = Mapping[str, str | None]

MOST_COUNTED = 10_000
"""For one page, the memories of so many scopes are counted at most: of some, none may be shown."""


class ScopePlace:
    """Where a page of scopes begins.

    Attributes:
        asked: the digest of what it is a page of.
        after: the ids of the last scope before it; None at the beginning.
    """

    __slots__ = ("after", "asked", "page_size")

    def __init__(self, asked: str, page_size: int, after: Ids | None = None) -> None:
        self.asked = asked
        self.page_size = page_size
        self.after = after

    def cursor(self, after: Ids) -> str:
        """The cursor of the page that begins behind a scope."""
        fields = [self.asked, self.page_size, *(after.get(key) for key in SCOPE_KEYS)]
        text = json.dumps(fields, separators=(",", ":"))
        return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def order_of(ids: Mapping[str, Any]) -> list[str]:
    """What scopes are sorted by."""
    return [ids.get(key) or "" for key in SCOPE_KEYS]


def scope_place(asked: object, page_size: object, cursor: object) -> ScopePlace:
    """Where the page begins that a caller asks for.

    Args:
        asked: what decides which scopes are listed.
        page_size: None takes that of the cursor, or else the default.
        cursor: of the page before; None asks for the first page.

    Raises:
        ValueError: an argument is not valid, or the cursor is for something else.
    """
    digest = digest_of(asked)
    size = None if page_size is None else check_page_size(page_size)
    if cursor is None:
        return ScopePlace(digest, size or PAGE_SIZE)
    place = _read(cursor)
    if place.asked != digest:
        raise ValueError(
            "The cursor is for other ids, or another show_expired or show_superseded. Pass those "
            "of the page that it came with, or leave it out to begin with the first page."
        )
    place.page_size = size or place.page_size
    return place


def _read(cursor: object) -> ScopePlace:
    try:
        asked, page_size, *values = json.loads(urlsafe_b64decode(f"{cursor}=="))
        ids = dict(zip(SCOPE_KEYS, values, strict=True))
        place = ScopePlace(asked, check_page_size(page_size), ids)
        if all(value is None or is_unicode(value) for value in values):
            return place
    except (TypeError, ValueError, AttributeError, RecursionError):
        pass
    raise invalid_cursor(cursor)
