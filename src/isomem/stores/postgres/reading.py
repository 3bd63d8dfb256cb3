"""Reading points: one by one, in lists, and by similarity or keywords."""

from __future__ import annotations

from isomem.contract.filters import compile_filters, matches
from isomem.contract.periods import UNKNOWN, moment_of
from isomem.store.codec import load_payload, load_vector, salvaged
from isomem.store.context import Context
from isomem.store.reading import Hits, Point, Reader
from isomem.store.row_keys import split_scope
from isomem.stores.postgres.escaped import is_storable_id
from isomem.stores.postgres.scopes import columns_of, in_scopes, place_of, row_key_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from isomem.contract.filters import Group
    from isomem.ports.shapes import Filters, Payload
    from isomem.store.best import Scored
    from isomem.store.cache import Scope
    from isomem.stores.postgres.database import Database, Row
    from isomem.stores.postgres.links import PostgresLinkTable
    from isomem.stores.postgres.scopes import ScopeCache
    from isomem.stores.postgres.vectors import PostgresVectors

_OF_SCOPES = "scopes AS s JOIN points AS p ON p.scope = s.number"
_AT = "FROM points AS p JOIN scopes AS s ON s.number = p.scope WHERE p.scope = ? AND p.seq = ?"
_PAGE, _LEAST = 5_000, 100
"""How many points are listed at once: at most, and at least."""

_GET = (
    "SELECT p.scope, p.seq, p.payload FROM ids AS i JOIN points AS p USING (scope, seq)"
    " JOIN scopes AS s ON s.number = p.scope"
    " WHERE i.collection = ? AND i.id = ? AND s.collection > 0"
)
_PAYLOADS = (
    "SELECT p.scope, p.seq, p.payload"
    " FROM unnest(?::bigint[], ?::bigint[]) AS w (scope, seq) JOIN points AS p USING (scope, seq)"
    " JOIN scopes AS s ON s.number = p.scope WHERE s.collection > 0"
)


class FoundPoint(Point):
    """A point that a search found together with others; their payloads are read together."""

    __slots__ = ("together",)

    together: Sequence[Point]


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
    ) -> None:
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
        points = point.together if isinstance(point, FoundPoint) else [point]
        with self._rows.reading():
            payloads = self.payloads([each.row_key for each in points])
        for each in points:
            if each is not point and each._payload is None:
                each._payload = payloads.get(each.row_key, {})
        return payloads.get(point.row_key, {})

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
        size = min(max(wanted or _PAGE, _LEAST), _PAGE)
        sql = f"SELECT p.id, p.scope, p.seq, p.payload FROM {_OF_SCOPES} WHERE {where}"
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

    def later(self, ids: Mapping[str, str], seq: int) -> Iterable[Payload]:
        """The payloads of the points with all these ids that were inserted later.

        Args:
            seq: what `PostgresCollection.last_insertion` said. Of the points that were being
                inserted at that moment, all count as later.
        """
        where, bindings = in_scopes(self._number, ids)
        sql = f"SELECT p.payload FROM {_OF_SCOPES} WHERE {where} AND p.made >= ?"
        return (salvaged(text) for (text,) in self._rows.rows(sql, (*bindings, seq)))

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
        return self._cache.load(self._number, ids)

    def _points(self, scope: Scope, scored: Scored) -> Sequence[Point]:
        row_keys, ids = scope.row_keys, scope.ids
        points = [FoundPoint(self, row_keys[row], ids[row], score) for score, row in scored]
        for point in points:
            point.together = points
        return Hits(points, scope)

    def _context(self, scope: Scope) -> Context:
        context, scope.context = scope.context or Context(), None
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
        where, bindings = in_scopes(self._number, ids)
        sql = f"SELECT p.scope, p.seq, p.payload FROM {_OF_SCOPES} WHERE {where}"
        found = self._rows.rows(sql, bindings)
        payloads = self._loaded([(row_key_of(scope, seq), text) for scope, seq, text in found])
        return (row_key for row_key, payload in payloads.items() if matches(rest, payload))
