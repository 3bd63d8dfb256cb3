"""Reading points: one by one, in lists, and by similarity or keywords."""

from __future__ import annotations

from isomem.contract.filters import compile_filters, matches
from isomem.contract.periods import UNKNOWN, moment_of
from isomem.contract.scope_pages import order_of
from isomem.store.codec import load_payload, load_vector, salvaged
from isomem.store.context import Context
from isomem.store.reading import Hits, Point, Reader
from isomem.store.row_keys import split_scope
from isomem.stores.postgres.escaped import escaped, is_storable_id, restored
from isomem.stores.postgres.filters import compile_text
from isomem.stores.postgres.scopes import (
    TERMS,
    VECTORS,
    WHOLE,
    LoadedScope,
    columns_of,
    in_scopes,
    place_of,
    row_key_of,
    scope_of_rows,
)
from isomem.types import SCOPE_KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from isomem.contract.filters import Group
    from isomem.contract.plan import Since
    from isomem.ports.shapes import Filters, Payload, Vector
    from isomem.store.best import Scored
    from isomem.store.cache import Scope
    from isomem.stores.postgres.connections import Row
    from isomem.stores.postgres.database import Database
    from isomem.stores.postgres.links import PostgresLinkTable
    from isomem.stores.postgres.near import Near
    from isomem.stores.postgres.scopes import ScopeCache
    from isomem.stores.postgres.vectors import PostgresVectors

    Whole = tuple[str, Payload, Sequence[float]]
    """Of a point: its id, its payload and its vector."""

_OF_SCOPES = "scopes AS s JOIN points AS p ON p.scope = s.number"
_AT = "FROM points AS p JOIN scopes AS s ON s.number = p.scope WHERE p.scope = ? AND p.seq = ?"
_PAGE, _LEAST = 5_000, 100
"""How many points are listed at once: at most, and at least."""

_GET = (
    "SELECT p.scope, p.seq, p.payload FROM ids AS i JOIN points AS p USING (scope, seq)"
    " JOIN scopes AS s ON s.number = p.scope"
    " WHERE i.collection = ? AND i.id = ? AND s.collection > 0"
)
_WHOLE = (
    "SELECT p.scope, p.seq, p.payload, i.id, p.vector FROM ids AS i JOIN points AS p"
    " USING (scope, seq) JOIN scopes AS s ON s.number = p.scope"
    " WHERE i.collection = ? AND i.id > ? AND s.collection > 0 ORDER BY i.id LIMIT ?"
)
_PAYLOADS = (
    "SELECT p.scope, p.seq, p.payload"
    " FROM unnest(?::bigint[], ?::bigint[]) AS w (scope, seq) JOIN points AS p USING (scope, seq)"
    " JOIN scopes AS s ON s.number = p.scope WHERE s.collection > 0"
)

_LATER = (
    # The first comparison is cheap, and nearly always enough.
    f"SELECT p.payload FROM {_OF_SCOPES} WHERE p.made >= ?"
    " AND NOT pg_visible_in_snapshot(p.made::text::xid8, ?::pg_snapshot)"
    " AND p.made < pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
)


class Together:
    """Points that a search found together; their payloads are read together.

    Attributes:
        row_keys: of all of them.
        texts: their payloads as JSON, by row key; None as long as they have not been read.
    """

    __slots__ = ("row_keys", "texts")

    def __init__(self, row_keys: Sequence[int]) -> None:
        self.row_keys = row_keys
        self.texts: dict[int, str] | None = None


class FoundPoint(Point):
    """A point that a search found together with others."""

    __slots__ = ("together",)

    together: Together


class PostgresReader(Reader):
    """Reads the points of one collection. Runs in the caller's block."""

    _cache: ScopeCache  # type: ignore[assignment]
    _links: PostgresLinkTable | None

    def __init__(
        self,
        database: Database,
        number: int,
        cache: ScopeCache,
        vectors: PostgresVectors,
        links: PostgresLinkTable | None,
        near: Near | None = None,
    ) -> None:
        self._near = near
        self._rows = database
        self._number = number
        self._cache = cache
        self._vectors = vectors
        self._links = links

    # --- One by one ---

    def get(self, point_id: str) -> Point | None:
        """The point with that id, as `canonical_id` spells it, or None."""
        if not is_storable_id(point_id):
            return None
        for scope, seq, text in self._rows.rows(_GET, (self._number, point_id)):
            row_key = row_key_of(scope, seq)
            return Point(self, row_key, point_id, 0.0, self.load(row_key, text))
        return None

    def payload_of(self, point: Point) -> Payload:
        """The payload of a point; empty if the point is gone. Opens a block of its own."""
        if not isinstance(point, FoundPoint):
            with self._rows.reading():
                return self.payloads([point.row_key]).get(point.row_key, {})
        together = point.together
        if together.texts is None:
            with self._rows.reading():
                found = self._rows.rows(_PAYLOADS, columns_of(together.row_keys))
            together.texts = {row_key_of(scope, seq): text for scope, seq, text in found}
        text = together.texts.get(point.row_key)
        if text is None:
            return {}
        if self._links is None:
            return load_payload(text)
        with self._rows.reading():
            return self.load(point.row_key, text)

    def read_payloads(self, points: Sequence[Point]) -> None:
        """Nothing: the first payload that is used brings those of all that were found with it."""

    def passing(self, row_keys: Sequence[int], filters: Filters) -> dict[int, Payload]:
        """The payloads of those of these points that are there and pass, by row key."""
        ids, rest = split_scope(compile_filters(filters))
        where, bindings = in_scopes(self._number, ids)
        found = self._rows.rows(f"{_PAYLOADS} AND {where}", (*columns_of(row_keys), *bindings))
        payloads = self._loaded([(row_key_of(scope, seq), text) for scope, seq, text in found])
        if rest is None:
            return payloads
        return {key: payload for key, payload in payloads.items() if matches(rest, payload)}

    def payloads(self, row_keys: Sequence[int]) -> dict[int, Payload]:
        """The payloads of points, by row key; those that are gone are left out."""
        found = self._rows.rows(_PAYLOADS, columns_of(row_keys))
        return self._loaded([(row_key_of(scope, seq), text) for scope, seq, text in found])

    def _loaded(self, texts: Sequence[tuple[int, str]]) -> dict[int, Payload]:
        payloads = {row_key: load_payload(text) for row_key, text in texts}
        if self._links and payloads:
            self._links.show(payloads)
        return payloads

    def vector_of(self, point: Point) -> Sequence[float]:
        """The stored vector of a point, scaled to length 1; empty if the point is gone."""
        found = self._rows.rows(
            f"SELECT p.vector {_AT} AND s.collection > 0", place_of(point.row_key)
        )
        return load_vector(bytes(found[0][0])) if found else ()

    def whole(self, after: str, limit: int) -> Sequence[Whole]:
        """The next points behind an id, ordered by id, with payloads and vectors."""
        found = self._rows.rows(_WHOLE, (self._number, after, limit))
        payloads = self._loaded([(row_key_of(scope, seq), text) for scope, seq, text, *_ in found])
        return [
            (point_id, payloads[row_key_of(scope, seq)], load_vector(bytes(vector)))
            for scope, seq, _, point_id, vector in found
        ]

    # --- Lists ---

    def list(self, filters: Filters | None, top_k: int | None) -> Sequence[Point]:
        """The first `top_k` points that pass, ordered by id; None lists all."""
        points: list[Point] = []
        for some in self.in_order(filters, None, top_k):
            points += some
            if top_k is not None and len(points) >= top_k:
                return points[:top_k]
        return points

    def in_order(
        self, filters: Filters | None, after: str | None, wanted: int | None
    ) -> Iterator[Sequence[Point]]:
        """The points that pass, ordered by id, in parts.

        Args:
            after: begins behind this id.
            wanted: about how many points the caller wants to see.
        """
        ids, rest = split_scope(compile_filters(filters))
        where, bindings = in_scopes(self._number, ids)
        size, source = min(max(wanted or _PAGE, _LEAST), _PAGE), _OF_SCOPES
        if rest is not None and self._links is None:
            passing = compile_text(rest)
            source, where = f"{source}{passing.source}", f"{where} AND {passing.where}"
            bindings = (*bindings, *passing.bindings)
        sql = f"SELECT p.id, p.scope, p.seq, p.payload FROM {source} WHERE {where}"
        while True:
            more, last = ("", ()) if after is None else (" AND p.id > ?", (after,))
            found = self._rows.rows(f"{sql}{more} ORDER BY p.id LIMIT ?", (*bindings, *last, size))
            yield self._passing_points(found, rest)
            if len(found) < size:
                return
            after, size = found[-1][0], _PAGE

    def _passing_points(self, found: Sequence[Row], rest: Group | None) -> Sequence[Point]:
        texts = [(row_key_of(scope, seq), text) for _, scope, seq, text in found]
        payloads = self._loaded(texts)
        return [
            Point(self, row_key, row[0], 0.0, payloads[row_key])
            for row, (row_key, _) in zip(found, texts, strict=True)
            if rest is None or matches(rest, payloads[row_key])
        ]

    def scope_ids(
        self, ids: Mapping[str, str], after: Mapping[str, str | None] | None, most: int
    ) -> Sequence[dict[str, str]]:
        """The ids of the first scopes behind one; see `ports.shapes.Listing`."""
        where, bindings = in_scopes(self._number, ids)
        columns = ", ".join(f"s.{key}" for key in SCOPE_KEYS)
        order = ", ".join(f"coalesce(s.{key}, '') COLLATE \"C\"" for key in SCOPE_KEYS)
        if after is not None:
            where = f"{where} AND ({order}) > ({', '.join('?' for _ in SCOPE_KEYS)})"
            bindings = (*bindings, *(escaped(value) for value in order_of(after)))
        sql = f"SELECT {columns} FROM scopes AS s WHERE {where} ORDER BY {order} LIMIT ?"
        return [
            {key: restored(value) for key, value in zip(SCOPE_KEYS, row, strict=True) if value}
            for row in self._rows.rows(sql, (*bindings, most))
        ]

    def count_scopes(self, ids: Mapping[str, str]) -> int:
        """How many scopes have all these ids."""
        where, bindings = in_scopes(self._number, ids)
        sql = f"SELECT count(*) FROM scopes AS s WHERE {where}"
        return int(self._rows.rows(sql, bindings)[0][0])

    def of_scope(self, ids: Mapping[str, str]) -> Iterator[Payload]:
        """The payloads of the scope that has these ids and no others, read part by part."""
        where, bindings = in_scopes(self._number, ids)
        where += "".join(f" AND s.{key} IS NULL" for key in SCOPE_KEYS if key not in ids)
        sql = f"SELECT p.scope, p.seq, p.payload FROM {_OF_SCOPES} WHERE {where} AND p.seq > ?"
        last = -1
        while found := self._rows.rows(f"{sql} ORDER BY p.seq LIMIT {_PAGE}", (*bindings, last)):
            texts = [(row_key_of(scope, seq), text) for scope, seq, text in found]
            yield from self._loaded(texts).values()
            last = found[-1][1]

    def texts(self, scope: Filters, top_k: int) -> Iterable[tuple[int, str]]:
        """The row keys and payloads, as JSON, of the first `top_k` points, ordered by id."""
        ids, _ = split_scope(compile_filters(scope))
        where, bindings = in_scopes(self._number, ids)
        sql = (
            f"SELECT p.scope, p.seq, p.payload FROM {_OF_SCOPES} WHERE {where}"
            " ORDER BY p.id LIMIT ?"
        )
        for number, seq, text in self._rows.rows(sql, (*bindings, top_k)):
            yield row_key_of(number, seq), text

    def later(self, ids: Mapping[str, str], since: Since) -> Iterable[Payload]:
        """As `Reader.later`. Those that were being inserted at that moment are later ones, too.

        What another server has inserted, from which the data came, is not, although the numbers
        of its transactions may be higher.
        """
        where, bindings = in_scopes(self._number, ids)
        oldest = int(str(since).partition(":")[0])  # Of those that were not finished.
        found = self._rows.rows(f"{_LATER} AND {where}", (oldest, since, *bindings))
        return (salvaged(text) for (text,) in found)

    def having(
        self, fields: Sequence[str], ids: Mapping[str, str]
    ) -> Iterable[tuple[str, Payload]]:
        """The points of some scopes whose payload has one of these fields: ids and payloads.

        A field name inside a value counts, too. A damaged payload is empty.
        """
        where, bindings = in_scopes(self._number, ids)
        named = " OR ".join("strpos(p.payload, ?) > 0" for _ in fields)
        sql = f"SELECT p.id, p.payload FROM {_OF_SCOPES} WHERE {where} AND ({named})"
        quoted = (f'"{field}"' for field in fields)
        for point_id, text in self._rows.rows(sql, (*bindings, *quoted)):
            yield point_id, salvaged(text)

    def has_points(self, filters: Filters) -> bool:
        """Whether the scopes that filters name have any points: a scope without is not kept."""
        ids, _ = split_scope(compile_filters(filters))
        where, bindings = in_scopes(self._number, ids)
        return bool(self._rows.rows(f"SELECT 1 FROM scopes AS s WHERE {where} LIMIT 1", bindings))

    # --- Searches ---

    def scope(self, ids: Mapping[str, str]) -> Scope:
        """The vectors and terms of the points that have all these ids."""
        return self._cache.load(self._number, ids, self._what)

    @property
    def _what(self) -> str:
        """What of points is in memory: entities are shown by their links, not by their payloads."""
        return WHOLE if self._links is None else VECTORS

    def expect(self, filters: Filters) -> None:
        """Has what a search will look at brought together with what the block asks first."""
        ids, rest = split_scope(compile_filters(filters))
        if self._near is not None:
            self._near.expect(ids)
        what = self._likely(ids)
        if what:
            self._cache.expect(self._number, ids, what)
        if rest is not None:
            self._rows.expect(*self._question(ids, rest)[:2])

    def may_have_points(self, scope: Filters) -> bool:
        """`has_points`, which may go by what was there when the scope was last looked at."""
        ids, _ = split_scope(compile_filters(scope))
        return self._cache.has(self._number, ids, self._what) or self.has_points(scope)

    def nearest(
        self, vectors: Sequence[Vector], top_k: int, filters: Filters | None
    ) -> Sequence[Sequence[Point]]:
        """As `Reader.nearest`. Payloads that are not in memory come with what is asked next."""
        found = self._nearest_indexed(vectors, top_k, filters)
        if found is None:
            found = super().nearest(vectors, top_k, filters)
        if self._links is None:
            for points in found:
                if points and points[0].together.texts is None:  # type: ignore[attr-defined]
                    row_keys = [point.row_key for point in points]
                    self._rows.expect(_PAYLOADS, columns_of(row_keys))
        return found

    # --- With HNSW indexes ---

    def _nearest_indexed(
        self, vectors: Sequence[Vector], top_k: int, filters: Filters | None
    ) -> Sequence[Sequence[Point]] | None:
        """`nearest` without the vectors of the whole scope; None if it has no index.

        What passes a filter is compared one by one. Otherwise the indexes are asked.
        """
        ids, rest = split_scope(compile_filters(filters))
        indexed = self._indexed(ids)
        if self._near is None or not indexed:
            return None
        units = [*map(self._vectors.query, vectors)]
        passing = None if rest is None else self._near.these([*self._passing(ids, rest)])
        found = []
        for unit in units:
            rows = passing
            if rows is None:
                rows = self._near.candidates(ids, indexed, unit, top_k)
            if rows is None:
                return None
            scope = scope_of_rows(rows)
            found.append(self._points(scope, scope.nearest(unit, top_k, None)))
        return found

    def _indexed(self, ids: Mapping[str, str]) -> Sequence[int]:
        """The scopes that have an index, in a block that reads."""
        if self._near is None or self._rows.current.writes:
            return ()
        return self._near.indexed(ids)

    def _likely(self, ids: Mapping[str, str]) -> str:
        """What of a scope a search looks at; "" if it depends on whether the scope has an index.

        What is in memory is likely to be looked at again, and little of it is new.
        """
        if self._near is None:
            return self._what
        what = TERMS if self._near.was_indexed(ids) else self._what
        return what if self._cache.has(self._number, ids, what) else ""

    def _select_terms(self, filters: Filters | None) -> tuple[Scope, Container[int] | None]:
        """As `Reader._select_terms`. Of a scope with an index, only the terms are in memory."""
        ids, rest = split_scope(compile_filters(filters))
        if not self._indexed(ids):
            return super()._select_terms(filters)
        scope = self._cache.load(self._number, ids, TERMS)
        return scope, None if rest is None else {*self._passing(ids, rest)}

    def _points(self, scope: Scope, scored: Scored) -> Sequence[Point]:
        row_keys, ids = scope.row_keys, scope.ids
        points = [FoundPoint(self, row_keys[row], ids[row], score) for score, row in scored]
        together = Together([point.row_key for point in points])
        if isinstance(scope, LoadedScope) and scope.payloads:
            together.texts = scope.payloads
        for point in points:
            point.together = together
        return Hits(points, scope)

    def _select(self, filters: Filters | None) -> tuple[Scope, Container[int] | None]:
        group = compile_filters(filters)
        ids, rest = split_scope(group)
        if rest is None:
            return self.scope(ids), None
        selected = self._rows.current.selected
        for other, scope, allowed in selected:
            if other is group and not self._rows.current.writes:
                return scope, allowed
        found = self.scope(ids), set(self._passing(ids, rest))
        selected.append((group, *found))
        return found

    def _context(self, scope: Scope) -> Context:
        context = self._cache.take_context(scope) or Context()
        if len(context) < len(scope.ids):
            known = len(context)
            moments = self._moments(scope.row_keys[known:])
            vectors, lengths = scope.vectors.numbers(), scope.texts.lengths(known)
            context.extend(scope.row_keys, vectors, scope.products, lengths, moments)
        self._cache.keep_context(scope, context)
        return context

    def _moments(self, row_keys: Sequence[int]) -> Sequence[float]:
        """The times of points, one for each row key."""
        payloads = self.payloads(row_keys)
        return [
            moment_of(payload.get("event_time"), payload.get("created_at")) if payload else UNKNOWN
            for payload in (payloads.get(row_key) for row_key in row_keys)
        ]

    def _passing(self, ids: dict[str, str], rest: Group) -> Iterable[int]:
        sql, bindings, check = self._question(ids, rest)
        undecided = []
        for scope, seq, text in self._rows.rows(sql, bindings):
            if text is None:
                yield row_key_of(scope, seq)
            else:
                undecided.append((row_key_of(scope, seq), text))
        for row_key, payload in self._loaded(undecided).items():
            if matches(check, payload):
                yield row_key

    def _question(self, ids: dict[str, str], rest: Group) -> tuple[str, tuple[Any, ...], Group]:
        """What finds the points that may pass, with the payloads of those that Python decides.

        Returns:
            The statement, its bindings, and what Python has to compare.
        """
        where, bindings = in_scopes(self._number, ids)
        if self._links is not None:  # Their payloads are not all in the column.
            sql = f"SELECT p.scope, p.seq, p.payload FROM {_OF_SCOPES} WHERE {where}"
            return sql, bindings, rest
        passing = compile_text(rest)
        sql = (
            f"SELECT p.scope, p.seq, {passing.undecided} FROM {_OF_SCOPES}{passing.source}"
            f" WHERE {where} AND {passing.where}"
        )
        return sql, (*bindings, *passing.bindings), rest
