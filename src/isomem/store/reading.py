"""Reading points: one by one, in lists, and by similarity or keywords."""

from __future__ import annotations

from array import array
from itertools import islice

from isomem.contract.filters import compile_filters, matches
from isomem.contract.ranking import Found
from isomem.errors import MemoryCorruptionError
from isomem.store.best import LOWEST, permitted
from isomem.store.cache import Scope
from isomem.store.codec import load_payload, load_vector, salvaged
from isomem.store.context import Context, read_moments
from isomem.store.form import best
from isomem.store.keywords import rarity
from isomem.store.ranked import Scores
from isomem.store.row_keys import (
    IS_VISIBLE,
    OF_SCOPES,
    SEQ_BITS,
    SEQ_MASK,
    in_scopes,
    split_scope,
)
from isomem.store.sql import compile_sql

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping, Sequence
    from typing import Any

    from isomem.contract.filters import Group
    from isomem.contract.plan import Since
    from isomem.contract.ranking import Question
    from isomem.ports.shapes import Filters, Payload, Vector
    from isomem.store.best import Scored
    from isomem.store.cache import Key, ScopeCache
    from isomem.store.database import Database
    from isomem.store.keywords import Keywords
    from isomem.store.links import LinkTable
    from isomem.store.orders import Orders
    from isomem.store.vectors import Vectors

_ROWS = f"SELECT p.row_key, p.id, p.vector, coalesce(p.terms, x'') FROM {OF_SCOPES} WHERE "
_LATER = (
    "SELECT p.payload FROM scopes AS s CROSS JOIN points AS p ON"
    f" p.row_key > (s.number << {SEQ_BITS}) + ?"
    f" AND p.row_key <= (s.number << {SEQ_BITS}) + {SEQ_MASK}"
)
_ROWS_AT_ONCE = 100
"""Few enough for all of them to stay in the processor's cache."""

_PAYLOADS = (
    "SELECT p.row_key, p.payload FROM json_each(?) AS j CROSS JOIN points AS p"
    f" ON p.row_key = j.value JOIN scopes AS s ON s.number = p.row_key >> {SEQ_BITS}"
    " WHERE s.collection > 0"
)
_VISIBLE = f"FROM points WHERE row_key = ?1 AND {IS_VISIBLE}"
_PAYLOAD = f"SELECT payload {_VISIBLE}"
_VECTOR = f"SELECT vector {_VISIBLE}"
_GET = (
    "SELECT p.row_key, p.payload FROM points AS p"
    f" JOIN scopes AS s ON s.number = p.row_key >> {SEQ_BITS}"
    " WHERE p.id = ? AND p.collection = ? AND s.collection > 0"
)


class Point:
    """A point that was found or listed. `score` is 0 if nothing was compared."""

    __slots__ = ("_payload", "_reader", "id", "row_key", "score")

    def __init__(
        self,
        reader: Reader,
        row_key: int,
        point_id: str,
        score: float = 0.0,
        payload: Payload | None = None,
    ) -> None:
        self.id = point_id
        self.score = score
        self.row_key = row_key
        self._reader = reader
        self._payload = payload

    @property
    def payload(self) -> Payload:
        """Read from the file on first use; empty if the point is gone by then."""
        if self._payload is None:
            self._payload = self._reader.payload_of(self)
        return self._payload

    def __repr__(self) -> str:
        return f"Point(id={self.id!r}, score={self.score!r})"


class Hits(list[Point]):
    """The points that a search found, best first.

    As long as it is in use, so is the scope: another search in it need not load it again.
    """

    __slots__ = ("_scope",)

    def __init__(self, points: Iterable[Point], scope: Scope) -> None:
        super().__init__(points)
        self._scope = scope


class Reader:
    """Reads the points of one collection. Runs in the caller's block.

    Args:
        number: of the collection.
        cache: shared by the collections of a file.
        vectors: of the collection.
        links: shows links that are rows as a part of payloads; None if payloads have none.
    """

    def __init__(
        self,
        database: Database,
        number: int,
        cache: ScopeCache,
        vectors: Vectors,
        links: LinkTable | None,
    ) -> None:
        self._database = database
        self._number = number
        self._cache = cache
        self._vectors = vectors
        self._links = links

    # --- One by one ---

    def get(self, point_id: str) -> Point | None:
        """The point with that id, as `canonical_id` spells it, or None."""
        for row_key, text in self._database.rows(_GET, (point_id, self._number)):
            return Point(self, row_key, point_id, 0.0, self.load(row_key, text))
        return None

    def load(self, row_key: int, text: str) -> Payload:
        """The payload of a point, from what is stored of it."""
        return self._links.load(row_key, text) if self._links else load_payload(text)

    def payload_of(self, point: Point) -> Payload:
        """The payload of a point; empty if the point is gone. Opens a block of its own."""
        with self._database.reading():
            found = self._database.rows(_PAYLOAD, (point.row_key,))
            return self.load(point.row_key, found[0][0]) if found else {}

    def read_payloads(self, points: Sequence[Point]) -> None:
        """Reads the payloads of points in one statement. A damaged one is left: to use it raises.

        Opens a block of its own.
        """
        unread = {point.row_key: point for point in points if point._payload is None}
        if not unread:
            return
        with self._database.reading():
            found = dict(self._database.rows(_PAYLOADS, (f"[{','.join(map(str, unread))}]",)))
            for row_key, point in unread.items():
                try:
                    point._payload = self.load(row_key, found[row_key]) if row_key in found else {}
                except MemoryCorruptionError:
                    continue  # Whoever uses it is told.

    def vector_of(self, point: Point) -> Sequence[float]:
        """The stored vector of a point, scaled to length 1; empty if the point is gone."""
        found = self._database.rows(_VECTOR, (point.row_key,))
        return load_vector(found[0][0]) if found else ()

    def removed(self, row_key: int, point_id: str, text: str) -> Point:
        """A point that is gone, as it was; a damaged payload is empty."""
        return Point(self, row_key, point_id, 0.0, salvaged(text))

    # --- Lists ---

    def list(self, filters: Filters | None, top_k: int | None) -> Sequence[Point]:
        """The first `top_k` points that pass, ordered by id; None lists all."""
        ids, rest = split_scope(compile_filters(filters))
        where, bindings, check = self._where(ids, rest)
        limit = -1 if top_k is None or check is not None else top_k
        sql = (
            f"SELECT p.row_key, p.id, p.payload FROM {OF_SCOPES} WHERE {where}"
            " ORDER BY p.id LIMIT ?"
        )
        rows = self._database.connection.execute(sql, (*bindings, limit))
        points = (
            Point(self, row_key, name, 0.0, self.load(row_key, text))
            for row_key, name, text in rows
        )
        passing = (point for point in points if check is None or matches(check, point.payload))
        return [*islice(passing, top_k)]

    def texts(self, scope: Filters, top_k: int) -> Iterable[tuple[int, str]]:
        """The row keys and payloads, as JSON, of the first `top_k` points, ordered by id."""
        ids, rest = split_scope(compile_filters(scope))
        where, bindings, _ = self._where(ids, rest)
        sql = f"SELECT p.row_key, p.payload FROM {OF_SCOPES} WHERE {where} ORDER BY p.id LIMIT ?"
        return self._database.connection.execute(sql, (*bindings, top_k))

    def later(self, ids: Mapping[str, str], since: Since) -> Iterable[Payload]:
        """The payloads of the points with all these ids that were inserted later.

        Args:
            since: what `Collection.last_insertion` said.
        """
        where, bindings = in_scopes(self._number, ids)
        rows = self._database.rows(f"{_LATER} WHERE {where}", (since, *bindings))
        return (salvaged(text) for (text,) in rows)

    def having(
        self, fields: Sequence[str], ids: Mapping[str, str]
    ) -> Iterable[tuple[str, Payload]]:
        """The points of some scopes whose payload has one of these fields: ids and payloads.

        A field name inside a value counts, too. A damaged payload is empty.
        """
        where, bindings = in_scopes(self._number, ids)
        named = " OR ".join("instr(p.payload, ?)" for _ in fields)
        sql = f"SELECT p.id, p.payload FROM {OF_SCOPES} WHERE {where} AND ({named})"
        quoted = (f'"{field}"' for field in fields)
        for point_id, text in self._database.connection.execute(sql, (*bindings, *quoted)):
            yield point_id, salvaged(text)

    def _where(
        self, ids: dict[str, str], rest: Group | None
    ) -> tuple[str, tuple[Any, ...], Group | None]:
        """The SQL condition for scopes and more, and the conditions that are left for Python."""
        sql, bindings = in_scopes(self._number, ids)
        compiled = compile_sql(rest) if rest is not None and self._links is None else None
        if compiled is None:
            return sql, bindings, rest
        return f"{sql} AND {compiled[0]}", (*bindings, *compiled[1]), None

    def condition(self, filters: Filters | None) -> tuple[str, tuple[Any, ...], Group | None]:
        """What points have to fulfil: a condition in SQL, its bindings, and the rest for Python."""
        return self._where(*split_scope(compile_filters(filters)))

    def has_points(self, filters: Filters) -> bool:
        """Whether the scopes that filters name have any points: a scope without is not kept."""
        ids, _ = split_scope(compile_filters(filters))
        where, bindings = in_scopes(self._number, ids)
        sql = f"SELECT 1 FROM scopes AS s WHERE {where} LIMIT 1"
        return bool(self._database.rows(sql, bindings))

    # --- Searches ---

    def nearest(
        self, vectors: Sequence[Vector], top_k: int, filters: Filters | None
    ) -> Sequence[Sequence[Point]]:
        """For each vector, the `top_k` nearest points among those that pass, best first."""
        units = [*map(self._vectors.query, vectors)]
        scope, allowed = self._select(filters)
        return [self._points(scope, scope.nearest(unit, top_k, allowed)) for unit in units]

    def matching(
        self, keywords: Keywords, query: str, top_k: int, filters: Filters | None
    ) -> Sequence[Point]:
        """The `top_k` points with the highest BM25 score among those that pass, best first."""
        wanted, factors = keywords.query(query)
        if not wanted:
            return []
        scope, allowed = self._select_terms(filters)
        return self._points(scope, scope.keyword_scores(wanted, factors, top_k, allowed))

    def matching_in_scope(
        self, keywords: Keywords, query: str, top_k: int, filters: Filters | None
    ) -> Sequence[Point]:
        """As `matching`, with words counted in the texts of the scope alone."""
        wanted, weights = keywords.weighted(query)
        scope, allowed = self._select_terms(filters)

        def factors(found: Sequence[int], texts: int) -> array[float]:
            each = zip(weights, found, strict=True)
            return array("d", (weight * rarity(texts, count) for weight, count in each))

        scores = scope.texts.shares(wanted, factors)
        if scores is None:
            return []
        return self._points(scope, best(scores, scope.row_keys, top_k, allowed, 0.0))

    def ranked(
        self, keywords: Keywords | None, question: Question, top_k: int, filters: Filters | None
    ) -> Found:
        """The `top_k` points that the fused ranking puts first among those that pass.

        See `isomem.contract.ranking`.
        """
        unit = self._vectors.query(question.vector)
        wanted = keywords.wanted(question.lemmas) if keywords else array("I")
        scope, allowed = self._select(filters)
        if not scope.ids:
            return Found((), 1.0)
        context = self._context(scope)
        scores = Scores(scope, context, unit, wanted, question.text)
        sums = context.sums(scores.base, permitted(scope.row_keys, allowed))
        found = best(sums, scope.row_keys, top_k, allowed, LOWEST)
        return Found(
            [
                (Point(self, scope.row_keys[row], scope.ids[row]), scores.signals(row, total))
                for total, row in found
            ],
            scores.highest,
        )

    def _context(self, scope: Scope) -> Context:
        context, scope.context = scope.context or Context(), None
        # It is out of the scope meanwhile: one that is extended by half is never used.
        if len(context) < len(scope.ids):
            known = len(context)
            moments = read_moments(self._database, scope.row_keys[known:])
            vectors, lengths = scope.vectors.numbers(), scope.texts.lengths(known)
            context.extend(scope.row_keys, vectors, scope.products, lengths, moments)
        self._cache.keep_context(scope, context)
        return context

    def _points(self, scope: Scope, scored: Scored) -> Sequence[Point]:
        row_keys, ids = scope.row_keys, scope.ids
        points = [Point(self, row_keys[row], ids[row], score) for score, row in scored]
        return Hits(points, scope)

    def _select(self, filters: Filters | None) -> tuple[Scope, Container[int] | None]:
        """The scope that filters name, and the row keys in it that pass their other conditions."""
        ids, rest = split_scope(compile_filters(filters))
        return self.scope(ids), None if rest is None else set(self._passing(ids, rest))

    def _select_terms(self, filters: Filters | None) -> tuple[Scope, Container[int] | None]:
        """As `_select`, for those who look at the terms alone."""
        return self._select(filters)

    def scope_of(self, filters: Filters | None) -> Key | None:
        """The key of the scope that filters name; None if they have other conditions as well."""
        ids, rest = split_scope(compile_filters(filters))
        return self._key(ids) if rest is None else None

    def orders(self, make: Callable[[], Orders]) -> Orders:
        """The orders of time that are in memory; see `ScopeCache.current_orders`."""
        return self._cache.current_orders(make)

    def id_of(self, row_key: int) -> str:
        """The id of a point that is there."""
        sql = "SELECT id FROM points WHERE row_key = ?"
        found: str = self._database.rows(sql, (row_key,))[0][0]
        return found

    def _key(self, ids: Mapping[str, str]) -> Key:
        return self._number, ids.get("user_id"), ids.get("agent_id"), ids.get("run_id")

    def scope(self, ids: Mapping[str, str]) -> Scope:
        """The vectors and terms of the points that have all these ids."""
        key = self._key(ids)
        return self._cache.get(key) or self._load_scope(ids, key)

    def _load_scope(self, ids: Mapping[str, str], key: Key) -> Scope:
        scope = Scope()
        where, bindings = in_scopes(self._number, ids)
        rows = self._database.connection.execute(_ROWS + where, bindings)
        while some := list(islice(rows, _ROWS_AT_ONCE)):
            scope.extend(some)
        self._cache.put(key, scope)
        return scope

    def _passing(self, ids: dict[str, str], rest: Group) -> Iterable[int]:
        where, bindings, check = self._where(ids, rest)
        columns = f"p.row_key{', p.payload' if check else ''}"
        sql = f"SELECT {columns} FROM {OF_SCOPES} WHERE {where}"
        for row_key, *text in self._database.connection.execute(sql, bindings):
            if check is None or matches(check, self.load(row_key, text[0])):
                yield row_key
