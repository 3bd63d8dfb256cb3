"""Listing: pages of memories, all of them one by one, and how many there are where."""

from __future__ import annotations

from collections import deque

from isomem.contract.arguments import check_id, refuse_wildcard_ids
from isomem.contract.filters import CompiledFilters
from isomem.contract.pages import DEFAULT_TOP_K, check_order, check_page_size, place_of
from isomem.contract.payload import describe
from isomem.contract.scope_pages import order_of
from isomem.dates import utc_text
from isomem.pipeline.asked import checked_filters, visibility_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from isomem.contract.pages import Place, Tally
    from isomem.contract.payload import ResultFields
    from isomem.contract.visibility import Visibility
    from isomem.dates import datetime
    from isomem.ports.shapes import Entry, Filters, Hit, Ports, Stores
    from isomem.results import MemoryItem, MemoryList, MemoryPage, Scope

# --- Pages -----------------------------------------------------------------------------------


async def first(
    ports: Ports, filters: Filters, visibility: Visibility, order: object, top_k: int
) -> MemoryList:
    """The first memories in an order."""
    compiled, order = CompiledFilters(filters), check_order(order)
    fields = ports.profile.RESULT_FIELDS
    return {"results": await ports.store(_first, compiled, visibility, order, top_k, fields)}


def _first(
    stores: Stores,
    filters: Filters,
    visibility: Visibility,
    order: str,
    top_k: int,
    fields: ResultFields,
) -> list[MemoryItem]:
    with stores.reading():
        listing = stores.listing(visibility)
        entries = listing.find(filters, order, None, top_k)
        return _described(listing.read(entries, filters), fields)


async def page(
    ports: Ports,
    filters: Filters,
    visibility: Visibility,
    *,
    top_k: int,
    order: object,
    page_size: object,
    cursor: object,
) -> MemoryPage:
    """One page of memories, and the cursor of the next one."""
    if top_k != DEFAULT_TOP_K:
        raise ValueError("Pass either top_k, or page_size and cursor: a page is not cut by top_k.")
    place = place_of((filters, visibility.shows), order, page_size, cursor)
    fields = ports.profile.RESULT_FIELDS
    return await ports.store(_page, CompiledFilters(filters), visibility, place, fields)


def _page(
    stores: Stores, filters: Filters, visibility: Visibility, place: Place, fields: ResultFields
) -> MemoryPage:
    with stores.reading():
        listing, size = stores.listing(visibility), place.page_size
        entries = listing.find(filters, place.order, place.after, size + 1)
        has_more = len(entries) > size
        return {
            "results": _described(listing.read(entries[:size], filters), fields),
            "next_cursor": place.cursor(entries[size - 1][:2]) if has_more else None,
            "total": listing.count(filters),
        }


def _described(hits: Iterable[Hit], fields: ResultFields) -> list[Any]:
    return [describe(str(hit.id), hit.payload or {}, fields) for hit in hits]


# --- All of them -----------------------------------------------------------------------------


class Walk:
    """A way through all memories that pass, page by page.

    Raises:
        ValueError: the filters, the order or the size of a page are not valid.
    """

    def __init__(
        self,
        ports: Ports,
        filters: Filters,
        *,
        show_expired: bool,
        show_superseded: bool,
        order: object,
        page_size: object,
    ) -> None:
        self._ports = ports
        self._filters = CompiledFilters(checked_filters(ports, filters))
        self._visibility = visibility_of(
            ports, show_expired=show_expired, show_superseded=show_superseded
        )
        self._order = check_order(order)
        self._page_size = check_page_size(page_size)
        self._ahead: deque[Entry] = deque()
        self._after: tuple[int, str] | None = None
        self._has_more = True

    async def next_page(self) -> list[MemoryItem]:
        """The next memories; none after the last one."""
        while self._ahead or self._has_more:
            if some := await self._ports.store(self._read):
                return some
        return []

    def _read(self, stores: Stores) -> list[MemoryItem]:
        with stores.reading():
            listing = stores.listing(self._visibility)
            if not self._ahead:
                found = listing.find(self._filters, self._order, self._after, listing.at_once)
                self._has_more = len(found) == listing.at_once
                self._after = found[-1][:2] if found else None
                self._ahead.extend(found)
            size = min(self._page_size, len(self._ahead))
            some = [self._ahead.popleft() for _ in range(size)]
            fields = self._ports.profile.RESULT_FIELDS
            return _described(listing.read(some, self._filters), fields)


# --- How many --------------------------------------------------------------------------------


async def count(
    ports: Ports, filters: Filters, *, show_expired: bool, show_superseded: bool
) -> int:
    """How many memories pass."""
    visibility = visibility_of(ports, show_expired=show_expired, show_superseded=show_superseded)
    compiled = CompiledFilters(checked_filters(ports, filters))
    return await ports.store(_count, compiled, visibility)


def _count(stores: Stores, filters: Filters, visibility: Visibility) -> int:
    return stores.listing(visibility).count(filters)


async def scopes(
    ports: Ports, ids: Mapping[str, object], *, show_expired: bool, show_superseded: bool
) -> list[Scope]:
    """Whose memories there are, ordered by their ids."""
    given = checked_ids(ports, ids)
    visibility = visibility_of(ports, show_expired=show_expired, show_superseded=show_superseded)
    return await ports.store(_scopes, given, visibility)


def checked_ids(ports: Ports, ids: Mapping[str, object]) -> dict[str, str]:
    """The ids that scopes are to have.

    Raises:
        ValueError: one is not valid.
    """
    read_id = ports.profile.read_id
    given = {key: check_id(value, key, read_id) for key, value in ids.items() if value is not None}
    if not ports.takes_any_id:
        refuse_wildcard_ids(given)
    return given


def _scopes(stores: Stores, ids: Mapping[str, str], visibility: Visibility) -> list[Scope]:
    found = stores.listing(visibility).scopes(ids)
    found.sort(key=lambda each: order_of(each[0]))
    return [describe_scope(*each) for each in found]


def describe_scope(ids: Mapping[str, str], tally: Tally) -> Scope:
    """A scope as a caller sees it."""
    scope: Any = {
        **ids,
        "memories": tally.count,
        "first": _text(tally.first),
        "last": _text(tally.last),
    }
    described: Scope = scope
    return described


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else utc_text(moment)
