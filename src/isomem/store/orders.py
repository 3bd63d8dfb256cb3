"""Orders: where the points of a scope are in an order of time, in memory as long as they are right.

To put a scope into an order of time, every payload in it has to be read. A page after that costs
what is on it. New points are put in their places; any other change of the scope evicts its orders.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from itertools import compress

from isomem.contract.pages import rank_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from isomem.contract.pages import Key
    from isomem.store.codec import Encoded

    ScopeKey = tuple[int, str | None, str | None, str | None]
    """The number of a collection, and the ids of a scope."""
    Timed = tuple[int, str, int, bool]
    """Of a point: its rank, its id, its row key, and whether it may be hidden."""
    Kind = tuple[str, tuple[str, ...]]
    """An order, and the fields of a payload that say whether a point may be hidden."""
    IdOf = Callable[[int], str]

MOST_ORDERS = 4
MOST_POINTS = 1_000_000
"""So many orders, and so many points in each, are kept; a point takes 17 bytes."""


class Order:
    """The points of one scope in one order.

    Args:
        kind: which order, and which fields may hide a point.
        points: of the scope, in any order.
    """

    __slots__ = ("_fields", "_may_be_hidden", "_name", "_ranks", "row_keys")

    def __init__(self, kind: Kind, points: Iterable[Timed]) -> None:
        ordered = sorted(points)
        self._name, self._fields = kind
        self._ranks = array("q", [point[0] for point in ordered])
        self.row_keys = array("q", [point[2] for point in ordered])
        self._may_be_hidden = bytearray(point[3] for point in ordered)

    def after(self, key: Key | None, id_of: IdOf) -> Iterator[tuple[int, int, bool]]:
        """The rank and the row key of each point behind a key, and whether it may be hidden."""
        start = 0 if key is None else self._behind(key, id_of)
        for at in range(start, len(self._ranks)):
            yield self._ranks[at], self.row_keys[at], bool(self._may_be_hidden[at])

    def _behind(self, key: Key, id_of: IdOf) -> int:
        rank, point_id = key
        first, end = bisect_left(self._ranks, rank), bisect_right(self._ranks, rank)
        while first < end:  # Of one rank, they are ordered by id.
            middle = (first + end) // 2
            if id_of(self.row_keys[middle]) <= point_id:
                first = middle + 1
            else:
                end = middle
        return first

    def may_be_hidden(self) -> list[int]:
        """The row keys of points whose payload has to be looked at."""
        return [*compress(self.row_keys, self._may_be_hidden)]

    def add(self, row_key: int, point: Encoded) -> bool:
        """Puts a new point in its place. Returns False if its rank alone does not decide it."""
        payload, text = point[5], point[3]
        rank = rank_of(self._name, payload.get("event_time"), payload.get("created_at"))
        at = bisect_left(self._ranks, rank)
        if at < len(self._ranks) and self._ranks[at] == rank:
            return False
        self._ranks.insert(at, rank)
        self.row_keys.insert(at, row_key)
        self._may_be_hidden.insert(at, any(field in text for field in self._fields))
        return True


class Orders:
    """The orders of the scopes that were listed last."""

    def __init__(self) -> None:
        self._kept: dict[tuple[ScopeKey, Kind], Order] = {}

    def get(self, scope: ScopeKey, kind: Kind) -> Order | None:
        """An order that is still right; it counts as used."""
        order = self._kept.pop((scope, kind), None)
        if order is not None:
            self._kept[scope, kind] = order
        return order

    def any_of(self, scope: ScopeKey, fields: tuple[str, ...]) -> Order | None:
        """Some order of a scope with these fields."""
        for (each, kind), order in self._kept.items():
            if each == scope and kind[1] == fields:
                return order
        return None

    def put(self, scope: ScopeKey, kind: Kind, order: Order) -> None:
        """Keeps an order, unless it is too long; the one that was used least recently goes."""
        if len(order.row_keys) > MOST_POINTS:
            return
        self._kept[scope, kind] = order
        while len(self._kept) > MOST_ORDERS:
            del self._kept[next(iter(self._kept))]

    def append(self, scopes: Iterable[ScopeKey], row_key: int, point: Encoded) -> None:
        """Puts a new point into the orders of the scopes that it is in."""
        for scope in [*scopes]:
            for key in [key for key in self._kept if key[0] == scope]:
                order = self._kept.pop(key)
                # It is out of here meanwhile: one that is changed by half is never used.
                if order.add(row_key, point):
                    self._kept[key] = order

    def evict(self, scopes: Iterable[ScopeKey]) -> None:
        """Evicts the orders of some scopes."""
        gone = {*scopes}
        self._kept = {key: order for key, order in self._kept.items() if key[0] not in gone}

    def clear(self) -> None:
        """Evicts everything."""
        self._kept.clear()

    def __bool__(self) -> bool:
        return bool(self._kept)
