"""Listings: the points of one collection in an order, part by part, and how many there are."""

from __future__ import annotations

from heapq import nsmallest
from itertools import islice
from operator import itemgetter

from isomem.contract.moments import EVENT_TIME
from isomem.contract.pages import Tally, rank_of
from isomem.contract.scope import scope_of
from isomem.store.listing import Listing
from isomem.store.reading import Point
from isomem.types import SCOPE_KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from isomem.contract.pages import Key
    from isomem.contract.visibility import Visibility
    from isomem.ports.shapes import Entry, Filters, Hit
    from isomem.stores.postgres.database import Database
    from isomem.stores.postgres.reading import PostgresReader
    from isomem.stores.postgres.transactions import Transaction


_SCOPES = 1_000
"""How many scopes are read at once."""

_KEPT = 2_000
"""Of how many points the payloads are kept until they are read."""


class PostgresListing(Listing):
    """Lists the points of one collection that a call shows, in blocks of the caller or its own.

    What it has found is read from the database again, unless that is in the same transaction.
    """

    def __init__(self, database: Database, reader: PostgresReader, visibility: Visibility) -> None:
        self._rows = database
        self._points = reader
        self._hides = visibility.hides
        self._found: dict[int, Point] = {}
        self._within: Transaction | None = None

    def find(self, filters: Filters, order: str, after: Key | None, limit: int) -> list[Entry]:
        """The first points behind a key that pass."""
        with self._rows.reading():
            if order == "id":
                behind = self._shown(filters, after[1] if after else None, limit)
                found = [(0, point.id, point) for point in islice(behind, limit)]
            else:
                entries = (_entry(order, point) for point in self._shown(filters, None, None))
                later = (each for each in entries if not after or each[:2] > after)
                found = nsmallest(limit, later, key=itemgetter(0, 1))
            self._found = {point.row_key: point for _, _, point in found[:_KEPT]}
            self._within = self._rows.current
        return [(rank, point_id, point.row_key) for rank, point_id, point in found]

    def read(self, entries: Sequence[Entry], filters: Filters) -> list[Hit]:
        """The points of entries, without those that are gone, or do not pass any more."""
        row_keys = [row_key for _, _, row_key in entries]
        with self._rows.reading():
            if self._rows.current is self._within and self._found.keys() >= set(row_keys):
                return [self._found[row_key] for row_key in row_keys]
            payloads = self._points.passing(row_keys, filters)
        return [
            Point(self._points, row_key, point_id, 0.0, payloads[row_key])
            for _, point_id, row_key in entries
            if row_key in payloads and not self._hides(payloads[row_key])
        ]

    def count(self, filters: Filters) -> int:
        """How many points pass."""
        with self._rows.reading():
            return sum(1 for _ in self._shown(filters, None, None))

    def scopes(self, ids: Mapping[str, str]) -> list[tuple[dict[str, str], Tally]]:
        """The scopes that have all these ids, and what is in each."""
        found: dict[tuple[Any, ...], tuple[dict[str, str], Tally]] = {}
        with self._rows.reading():
            for point in self._shown(dict(ids), None, None):
                scope = scope_of({key: point.payload.get(key) for key in SCOPE_KEYS})
                _, tally = found.setdefault(tuple(scope.items()), (scope, Tally()))
                tally.see(point.payload.get("created_at"))
        return [*found.values()]

    def scope_ids(
        self, ids: Mapping[str, str], after: Mapping[str, str | None] | None
    ) -> Iterator[dict[str, str]]:
        """The ids of the scopes that have all these ids, in order, read part by part."""
        while part := self._points.scope_ids(ids, after, _SCOPES):
            yield from part
            after = part[-1]

    def count_scopes(self, ids: Mapping[str, str]) -> int:
        """How many scopes have all these ids."""
        return self._points.count_scopes(ids)

    def tally(self, ids: Mapping[str, str]) -> Tally:
        """What is in the scope that has these ids and no others."""
        tally = Tally()
        for payload in self._points.of_scope(ids):
            if not self._hides(payload):
                tally.see(payload.get("created_at"))
        return tally

    def _shown(self, filters: Filters, after: str | None, wanted: int | None) -> Iterator[Point]:
        for some in self._points.in_order(filters, after, wanted):
            for point in some:
                if not self._hides(point.payload):
                    yield point


def _entry(order: str, point: Point) -> tuple[int, str, Point]:
    payload = point.payload
    rank = rank_of(order, payload.get(EVENT_TIME), payload.get("created_at"))
    return rank, point.id, point
