"""Listings of foreign vector stores: everything is listed, and put into an order here."""

from __future__ import annotations

from operator import itemgetter

from isomem import log
from isomem.contract.moments import EVENT_TIME
from isomem.contract.pages import Tally, rank_of
from isomem.contract.payload import listed
from isomem.contract.scope_pages import order_of
from isomem.contract.visibility import counted
from isomem.types import SCOPE_KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from isomem.contract.pages import Key
    from isomem.contract.visibility import Visibility
    from isomem.ports.shapes import Entry, Filters, Hit, VectorStore

MOST_LISTED = 1_000_000
"""How many points a store is asked for."""


class ForeignListing:
    """Lists the points of a store that has upstream's methods: its `list` knows no pages.

    It asks the store once, and from then on it shows what there was. So it is for one step.

    Attributes:
        at_once: how many entries to find at once in order to read all points: all of them.
    """

    at_once = MOST_LISTED

    def __init__(self, store: VectorStore, visibility: Visibility) -> None:
        self._store = store
        self._visibility = visibility
        self._points: Sequence[Hit] | None = None
        self._tallies: dict[tuple[str, ...], Tally] | None = None

    def find(self, filters: Filters, order: str, after: Key | None, limit: int) -> list[Entry]:
        """The first points behind a key that pass."""
        entries = [_entry(point, order) for point in self._all(filters)]
        entries.sort(key=_key)
        return [each for each in entries if after is None or _key(each) > after][:limit]

    def read(self, entries: Sequence[Entry], filters: Filters) -> list[Hit]:
        """The points of entries, as they were when they were found."""
        del filters
        return [point for _, _, point in entries]

    def count(self, filters: Filters) -> int:
        """How many points pass."""
        return len(self._all(filters))

    def scopes(self, ids: Mapping[str, str]) -> list[tuple[dict[str, str], Tally]]:
        """The scopes that have all these ids, and what is in each."""
        found: dict[tuple[object, ...], tuple[dict[str, str], Tally]] = {}
        for point in self._all(dict(ids)):
            payload = point.payload or {}
            # Other programs store what they like under these names; an id is a text.
            given = ((key, payload.get(key)) for key in SCOPE_KEYS)
            scope = {key: value for key, value in given if isinstance(value, str) and value}
            _, tally = found.setdefault(tuple(scope.items()), (scope, Tally()))
            tally.see(payload.get("created_at"))
        return [*found.values()]

    def scope_ids(
        self, ids: Mapping[str, str], after: Mapping[str, str | None] | None
    ) -> Iterator[dict[str, str]]:
        """The ids of the scopes that have all these ids, in order."""
        first = () if after is None else tuple(order_of(after))
        for values in sorted(self._tallied(ids)):
            if values > first or after is None:
                yield {key: value for key, value in zip(SCOPE_KEYS, values, strict=True) if value}

    def count_scopes(self, ids: Mapping[str, str]) -> int:
        """How many scopes have all these ids."""
        return len(self._tallied(ids))

    def tally(self, ids: Mapping[str, str]) -> Tally:
        """What is in the scope that has these ids and no others."""
        return self._tallied(ids)[tuple(order_of(ids))]

    def _tallied(self, ids: Mapping[str, str]) -> dict[tuple[str, ...], Tally]:
        """What is in each scope with all these ids: as far as the points were asked for."""
        if self._tallies is None:
            self._tallies = {tuple(order_of(scope)): tally for scope, tally in self.scopes(ids)}
        return self._tallies

    def _all(self, filters: Filters) -> Sequence[Hit]:
        """What the store lists and is shown."""
        if self._points is None:
            self._points = self._visibility.shown(every_point(self._store, filters))
        return self._points


def every_point(store: VectorStore, filters: Filters | None) -> Sequence[Hit]:
    """The points that a store with upstream's methods lists, up to `MOST_LISTED`."""
    points = counted(listed(store.list(filters=filters, top_k=MOST_LISTED)))
    if len(points) >= MOST_LISTED:
        log.warning("Only the first %d memories are listed", MOST_LISTED)
    return points


_key = itemgetter(0, 1)


def _entry(point: Hit, order: str) -> Entry:
    if order == "id":
        return 0, str(point.id), point
    payload = point.payload or {}
    rank = rank_of(order, payload.get(EVENT_TIME), payload.get("created_at"))
    return rank, str(point.id), point
