"""Scopes page by page, for those who may see some or all: whose memories there are."""

from __future__ import annotations

from heapq import merge
from itertools import groupby, islice

from isomem.contract.scope_pages import MOST_COUNTED, order_of, scope_place
from isomem.pipeline.asked import visibility_of
from isomem.pipeline.listing import describe_scope

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from isomem.contract.scope_pages import ScopePlace
    from isomem.contract.visibility import Visibility
    from isomem.ports.shapes import Listing, Ports, Stores
    from isomem.results import Scope, ScopePage

    Ids = Mapping[str, str]
    After = Mapping[str, str | None] | None


class Asked:
    """Which scopes a caller asks for, and may see.

    Args:
        ways: ids, checked; scopes are meant that have all the ids of one of these.
        covers: whether the caller may see a scope among them; None: all of them.
    """

    __slots__ = ("covers", "ways")

    def __init__(self, ways: Sequence[Ids], covers: Callable[[Ids], bool] | None = None) -> None:
        self.ways = ways
        self.covers = covers

    def among(self, listing: Listing, after: After = None) -> Iterator[Ids]:
        """Their ids, in order, each scope once."""
        some = (listing.scope_ids(way, after) for way in self.ways)
        each = (ids for _, (ids, *_) in groupby(merge(*some, key=order_of), order_of))
        return (ids for ids in each if self.covers is None or self.covers(ids))

    def count(self, listing: Listing) -> int:
        """How many there are."""
        if self.covers is None and len(self.ways) == 1:
            return listing.count_scopes(self.ways[0])
        return sum(1 for _ in self.among(listing))


async def page(
    ports: Ports,
    asked: Asked,
    *,
    show_expired: bool = False,
    show_superseded: bool = False,
    page_size: object = None,
    cursor: object = None,
) -> ScopePage:
    """One page of scopes, and the cursor of the next one.

    Raises:
        ValueError: an argument is not valid.
    """
    visibility = visibility_of(ports, show_expired=show_expired, show_superseded=show_superseded)
    place = scope_place((asked.ways, visibility.shows), page_size, cursor)
    return await ports.store(_page, asked, visibility, place)


async def every(
    ports: Ports,
    asked: Asked,
    most: int,
    *,
    show_expired: bool = False,
    show_superseded: bool = False,
) -> list[Scope] | None:
    """All scopes; None if there are more than `most`, without counting what is in them."""
    visibility = visibility_of(ports, show_expired=show_expired, show_superseded=show_superseded)
    return await ports.store(_every, asked, most, visibility)


def _page(stores: Stores, asked: Asked, visibility: Visibility, place: ScopePlace) -> ScopePage:
    found: list[Scope] = []
    with stores.reading():
        listing, last = stores.listing(visibility), place.after
        scopes = asked.among(listing, place.after)
        for ids in islice(scopes, MOST_COUNTED):
            if len(found) == place.page_size:
                scopes = iter((ids,))
                break
            found += _shown(listing, ids)
            last = ids
        has_more = last is not None and next(scopes, None) is not None
        return {
            "results": found,
            "next_cursor": place.cursor(last) if has_more and last is not None else None,
            "total": asked.count(listing),
        }


def _every(stores: Stores, asked: Asked, most: int, visibility: Visibility) -> list[Scope] | None:
    with stores.reading():
        listing = stores.listing(visibility)
        found = [*islice(asked.among(listing), most + 1)]
        if len(found) > most:
            return None
        return [scope for ids in found for scope in _shown(listing, ids)]


def _shown(listing: Listing, ids: Ids) -> list[Scope]:
    """The scope with these ids; nothing if none of its memories is shown."""
    tally = listing.tally(ids)
    return [describe_scope(ids, tally)] if tally.count else []
