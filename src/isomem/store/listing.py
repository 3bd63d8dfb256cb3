"""Listings: the points of one collection in an order, part by part, and how many there are."""

from __future__ import annotations

from heapq import nsmallest
from itertools import islice
from math import isqrt

from isomem.contract.filters import matches
from isomem.contract.pages import Tally, rank_of
from isomem.store.codec import text_at
from isomem.store.orders import Order, Orders
from isomem.store.reading import Point
from isomem.store.row_keys import OF_SCOPES, SEQ_BITS
from isomem.types import SCOPE_KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from isomem.contract.filters import Group
    from isomem.contract.pages import Key
    from isomem.contract.visibility import Visibility
    from isomem.ports.shapes import Entry, Filters, Hit, Payload
    from isomem.store.database import Database
    from isomem.store.orders import ScopeKey
    from isomem.store.reading import Reader

    Condition = tuple[str, tuple[Any, ...], Group | None]

_EVENT_TIME, _CREATED_AT = (text_at("p.payload", field) for field in ("event_time", "created_at"))
_ONE = f"points AS p CROSS JOIN scopes AS s ON s.number = p.row_key >> {SEQ_BITS}"
_ALL_BY_ID = (
    f"points AS p INDEXED BY points_id CROSS JOIN scopes AS s ON s.number = p.row_key >> {SEQ_BITS}"
)
"""All points of the file, from their index of ids alone, which also has their row keys."""


class Listing:
    """Lists the points of one collection that a call shows, in blocks of the caller or its own.

    In the order of ids, finding p points costs about what reading the square root of p times the
    points of the file costs, or less. In the orders of time it costs what the whole scope costs,
    and then, as long as nothing but new points changes the scope, what the p points cost; with
    further conditions it always costs the whole scope.

    Attributes:
        at_once: how many entries to find at once in order to read all points.
    """

    at_once = 50_000

    def __init__(self, database: Database, reader: Reader, visibility: Visibility) -> None:
        self._database = database
        self._reader = reader
        self._hides = visibility.hides
        self._fields = visibility.fields
        named = (f"instr(p.payload, '{field}')" for field in visibility.fields)
        # Whether a payload may say that its point is hidden; few do.
        self._may_be_hidden = f"({' OR '.join(named)})"

    def find(self, filters: Filters, order: str, after: Key | None, limit: int) -> list[Entry]:
        """The first points behind a key that pass."""
        condition = self._reader.condition(filters)
        with self._database.reading():
            if order == "id":
                return self._by_id(condition, after, limit)
            scope = self._reader.scope_of(filters)
            if scope is not None:
                kept = self._order(scope, order, condition)
                return [*islice(self._in_order(kept, after), limit)]
            entries = self._by_time(condition, order)
            return nsmallest(limit, (each for each in entries if not after or each[:2] > after))

    def read(self, entries: Sequence[Entry], filters: Filters) -> list[Hit]:
        """The points of entries, without those that are gone, or do not pass any more."""
        where, bindings, check = self._reader.condition(filters)
        where = f"p.row_key = ? AND p.id = ? AND {where}"
        with self._database.reading():
            return [
                Point(self._reader, row_key, point_id, 0.0, self._reader.load(row_key, text))
                for _, point_id, row_key in entries
                for (text,) in self._passing(
                    "p.payload", _ONE, where, (row_key, point_id, *bindings), check
                )
            ]

    def count(self, filters: Filters) -> int:
        """How many points pass."""
        where, bindings, check = self._reader.condition(filters)
        with self._database.reading():
            kept = self._any_order(filters)
            if kept is not None:
                return len(kept.row_keys) - sum(map(self._is_hidden, kept.may_be_hidden()))
            if check is not None:
                return sum(1 for _ in self._passing("1", OF_SCOPES, where, bindings, check))
            counts = f"count(*), count(CASE WHEN {self._may_be_hidden} THEN 1 END)"
            sql = f"SELECT {counts} FROM {OF_SCOPES} WHERE {where}"
            stored, dated = self._database.rows(sql, bindings)[0]
            return int(stored - (self._count_hidden(where, bindings) if dated else 0))

    def scopes(self, ids: Mapping[str, str]) -> list[tuple[dict[str, str], Tally]]:
        """The scopes that have all these ids, and what is in each."""
        condition = self._reader.condition(dict(ids))
        columns = ", ".join(f"s.{key}" for key in SCOPE_KEYS)
        found: dict[tuple[Any, ...], Tally] = {}
        with self._database.reading():
            rows = self._passing(f"{_CREATED_AT}, {columns}", OF_SCOPES, *condition)
            for created_at, *values in rows:
                found.setdefault(tuple(values), Tally()).see(created_at)
        return [
            ({key: value for key, value in zip(SCOPE_KEYS, values, strict=True) if value}, tally)
            for values, tally in found.items()
        ]

    def scope_ids(
        self, ids: Mapping[str, str], after: Mapping[str, str | None] | None
    ) -> Iterator[dict[str, str]]:
        """The ids of the scopes that have all these ids, in order; see `ports.shapes.Listing`.

        It walks along the index of ids: nothing is sorted, and no point is looked at.
        """
        where, bindings, _ = self._reader.condition(dict(ids))
        columns = ", ".join(f"s.{key}" for key in SCOPE_KEYS)
        for behind, last in _behind(after):
            sql = f"SELECT {columns} FROM scopes AS s WHERE {where}{behind} ORDER BY {columns}"
            for values in self._database.connection.execute(sql, (*bindings, *last)):
                yield {key: value for key, value in zip(SCOPE_KEYS, values, strict=True) if value}

    def count_scopes(self, ids: Mapping[str, str]) -> int:
        """How many scopes have all these ids."""
        where, bindings, _ = self._reader.condition(dict(ids))
        sql = f"SELECT count(*) FROM scopes AS s WHERE {where}"
        return int(self._database.rows(sql, bindings)[0][0])

    def tally(self, ids: Mapping[str, str]) -> Tally:
        """What is in the scope that has these ids and no others."""
        where, bindings, _ = self._reader.condition(dict(ids))
        others = "".join(f" AND s.{key} IS NULL" for key in SCOPE_KEYS if key not in ids)
        tally = Tally()
        with self._database.reading():
            rows = self._passing(_CREATED_AT, OF_SCOPES, f"{where}{others}", bindings, None)
            for (created_at,) in rows:
                tally.see(created_at)
        return tally

    # --- Parts of it ---

    def _any_order(self, filters: Filters) -> Order | None:
        """An order of the whole scope that is in memory, which says how many points it has."""
        scope = self._reader.scope_of(filters)
        return None if scope is None else self._reader.orders(Orders).any_of(scope, self._fields)

    def _order(self, scope: ScopeKey, order: str, condition: Condition) -> Order:
        """The points of a scope in an order of time."""
        kind = order, self._fields
        found = self._reader.orders(Orders).get(scope, kind)
        if found is None:
            where, bindings, _ = condition
            columns = f"p.row_key, p.id, {self._may_be_hidden}, {_EVENT_TIME}, {_CREATED_AT}"
            sql = f"SELECT {columns} FROM {OF_SCOPES} WHERE {where}"
            rows = self._database.connection.execute(sql, bindings)
            found = Order(
                kind,
                (
                    (rank_of(order, *times), point_id, row_key, bool(may_be))
                    for row_key, point_id, may_be, *times in rows
                ),
            )
            self._reader.orders(Orders).put(scope, kind, found)
        return found

    def _in_order(self, order: Order, after: Key | None) -> Iterator[Entry]:
        """The points behind a key that are shown."""
        for rank, row_key, may_be_hidden in order.after(after, self._reader.id_of):
            if not (may_be_hidden and self._is_hidden(row_key)):
                yield rank, self._reader.id_of(row_key), row_key

    def _is_hidden(self, row_key: int) -> bool:
        sql = "SELECT payload FROM points WHERE row_key = ?"
        text = self._database.rows(sql, (row_key,))[0][0]
        return self._hides(self._reader.load(row_key, text))

    def _count_hidden(self, where: str, bindings: tuple[Any, ...]) -> int:
        sql = (
            f"SELECT p.row_key, p.payload FROM {OF_SCOPES} WHERE {where} AND {self._may_be_hidden}"
        )
        rows = self._database.connection.execute(sql, bindings)
        return sum(self._hides(self._reader.load(*row)) for row in rows)

    def _by_id(self, condition: Condition, after: Key | None, limit: int) -> list[Entry]:
        where, bindings, check = condition
        source = OF_SCOPES
        if self._has_many(condition, limit):
            # One term, so that nothing of a payload is looked at before the scope is known.
            source, where = _ALL_BY_ID, f"CASE WHEN s.number THEN {where} END"
        if after is not None:
            where, bindings = f"p.id > ? AND {where}", (after[1], *bindings)
        # Without a limit: some may be hidden.
        rows = self._passing("p.id, p.row_key", source, f"{where} ORDER BY p.id", bindings, check)
        return [(0, *row) for row in islice(rows, limit)]

    def _has_many(self, condition: Condition, limit: int) -> bool:
        """Whether so many points pass that the index of all ids leads to a page sooner.

        Of n points in the file, if s pass, `limit` of them are among about `limit` * n / s ids.
        Sorting the scope looks at s points or more. Both are equal at the square root of
        `limit` * n; whichever is chosen costs no more than about that, and so does this question.
        """
        where, bindings, _ = condition
        size = self._database.rows("SELECT max(seq) FROM insertions")[0][0] or 0
        least = isqrt(limit * size) + 1
        sql = f"SELECT count(*) FROM (SELECT 1 FROM {OF_SCOPES} WHERE {where} LIMIT ?)"
        return bool(self._database.rows(sql, (*bindings, least))[0][0] == least)

    def _by_time(self, condition: Condition, order: str) -> Iterator[Entry]:
        columns = f"p.id, p.row_key, {_EVENT_TIME}, {_CREATED_AT}"
        for point_id, row_key, *times in self._passing(columns, OF_SCOPES, *condition):
            yield rank_of(order, *times), point_id, row_key

    def _passing(
        self,
        columns: str,
        source: str,
        where: str,
        bindings: tuple[Any, ...],
        check: Group | None,
    ) -> Iterator[tuple[Any, ...]]:
        """The columns of the points that pass and are shown."""
        looked_at = "p.payload" if check else f"CASE WHEN {self._may_be_hidden} THEN p.payload END"
        sql = f"SELECT p.row_key, {looked_at}, {columns} FROM {source} WHERE {where}"
        for row_key, text, *row in self._database.connection.execute(sql, bindings):
            if text is None or self._shows(self._reader.load(row_key, text), check):
                yield tuple(row)

    def _shows(self, payload: Payload, check: Group | None) -> bool:
        return (check is None or matches(check, payload)) and not self._hides(payload)


def _behind(after: Mapping[str, str | None] | None) -> Iterator[tuple[str, list[str]]]:
    """Conditions on `s` that lead to the scopes behind one, in their order."""
    if after is None:
        yield "", []
        return
    for length in range(len(SCOPE_KEYS) - 1, -1, -1):
        *same, greater = SCOPE_KEYS[: length + 1]
        named = {key: value for key in same if (value := after.get(key)) is not None}
        missing = "".join(f" AND s.{key} IS NULL" for key in same if key not in named)
        last, value = "".join(f" AND s.{key} = ?" for key in named), after.get(greater)
        more = f" AND s.{greater} IS NOT NULL" if value is None else f" AND s.{greater} > ?"
        yield f"{missing}{last}{more}", [*named.values(), *([] if value is None else [value])]
