"""Scopes in memory: the vectors and terms of the scopes in use, in a bounded cache.

A scope is loaded from the file when it is first searched. What this process inserts, updates and
deletes changes it in place. Whatever else may have changed it (a rollback, another process) evicts
it, and the next search loads it again. A scope that is too large for the cache is there as long as
somebody uses it: for the keywords of a search after its vector.
"""

from __future__ import annotations

from _weakref import ref
from array import array
from itertools import product

from isomem.errors import MemoryCorruptionError
from isomem.store.form import ScopeTexts, best
from isomem.store.matrix import Matrix
from isomem.store.row_keys import RowKeys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Sequence
    from typing import Any, TypeVar

    from isomem.store.best import Scored
    from isomem.store.codec import Encoded
    from isomem.store.context import Context
    from isomem.store.database import Database
    from isomem.store.orders import Orders
    from isomem.store.row_keys import Ids

    T = TypeVar("T")
    Key = tuple[int, str | None, str | None, str | None]
    Row = tuple[int, str, bytes, bytes]
    """Of a point: its row key, id, vector and terms."""

_SCOPE_BYTES = 1000
_POINT_BYTES = 110
CONTEXT_BYTES = 48
"""About what a cached scope costs, even one without points, and what each point costs, in addition
to its vector and its terms, and in a context."""


class Scope:
    """The points of one scope, each in a row, in the order in which they were loaded or added.

    Attributes:
        row_keys: where they are in the file.
        ids: their ids.
        vectors, texts: their vectors and terms.
        context: what the fused ranking needs; None as long as nobody has asked for that ranking.
            It may have fewer points than the scope: those added since are missing.
        has_context: whether its size counts.
        counted_bytes: the size that a cache counts it with.
    """

    __slots__ = (
        "__weakref__", "context", "counted_bytes", "has_context", "ids", "row_keys", "texts",
        "vectors",
    )  # fmt: skip

    def __init__(self) -> None:
        self.context: Context | None = None
        self.has_context = False
        self.counted_bytes = 0
        self.row_keys = array("q")
        self.ids: list[str] = []
        self.vectors = Matrix()
        self.texts = ScopeTexts()

    @property
    def size_bytes(self) -> int:
        """What it takes, at most."""
        a_point = _POINT_BYTES + (CONTEXT_BYTES if self.has_context else 0)
        points = a_point * len(self.ids) + self.vectors.size_bytes + self.texts.size_bytes
        return _SCOPE_BYTES + points

    def extend(self, rows: Sequence[Row]) -> None:
        """Adds points.

        Raises:
            MemoryCorruptionError: a vector does not have the length of the others, or terms are
                cut off. Everything after it would be read at the wrong offset.
        """
        row_keys, ids, vectors, terms = zip(*rows, strict=True)
        width = self.vectors.width if self.ids else None
        try:
            _check(ids, vectors, terms, width)
            self.vectors.extend(vectors)
            self.texts.extend(terms)
        except TypeError:  # Somewhere among them is something else than bytes.
            raise _fault(ids, vectors, terms, width) from None
        self.row_keys += array("q", row_keys)
        self.ids += ids

    def replace(self, row: Row) -> None:
        """Stores another vector and other terms of a point.

        Raises:
            ValueError: it is not here.
            MemoryCorruptionError: as `extend`.
        """
        row_key, point_id, vector, terms = row
        if len(vector) != self.vectors.width or len(terms) % 4:
            raise _fault([point_id], [vector], [terms], self.vectors.width)
        at = self.row_keys.index(row_key)
        self.forget_context()
        self.vectors.replace(at, vector)
        self.texts.replace(at, terms)

    def remove(self, row_key: int) -> None:
        """Removes a point; the last one takes its place.

        Raises:
            ValueError: it is not here.
        """
        at = self.row_keys.index(row_key)
        self.forget_context()
        self.vectors.remove(at)
        self.texts.remove(at)
        self.ids[at], self.row_keys[at] = self.ids[-1], self.row_keys[-1]
        del self.ids[-1], self.row_keys[-1]

    def forget_context(self, _: None = None) -> None:
        """Lets the context be made anew."""
        self.context = None
        self.has_context = False

    def nearest(self, query: bytes, top_k: int, allowed: Container[int] | None) -> Scored:
        """The `top_k` points most similar to a unit vector: (cosine, row), best first.

        Of equally similar points, the later insertion comes first, as in upstream's store.
        `allowed` has the row keys that may be found; None allows all.
        """
        if not self.row_keys:
            return []
        self._check_width(query)
        return self.vectors.nearest(query, self.row_keys, top_k, allowed)

    def products(self, query: bytes) -> Any:
        """The product of a vector with that of every point; there must be some."""
        self._check_width(query)
        return self.vectors.products(query)

    def _check_width(self, query: bytes) -> None:
        if self.vectors.width != len(query):
            raise _damaged(self.ids[0], f"its vector does not have {len(query) // 4} dimensions")

    def keyword_scores(
        self,
        wanted: array[int],
        factors: array[float],
        top_k: int,
        allowed: Container[int] | None,
    ) -> Scored:
        """The `top_k` points with the highest sum of products of term weights, if it is not 0."""
        return best(self.texts.scores(wanted, factors), self.row_keys, top_k, allowed, 0.0)


class ScopeCache:
    """The most recently used scopes, up to a number of bytes.

    Args:
        database: its epoch shows whether anything here may be stale.
        max_bytes: 0 turns the cache off.

    Attributes:
        row_keys: of the points of the file; shared by its collections, as this cache is.
        orders: of the scopes that were listed by time; None as long as none was.
    """

    def __init__(self, database: Database, max_bytes: int) -> None:
        self.row_keys = RowKeys(database)
        self._database = database
        self._max_bytes = max_bytes
        self.orders: Orders | None = None
        self._scopes: dict[Key, Scope] = {}
        self._size_bytes = 0
        self._too_large: dict[Key, ref[Scope]] = {}
        self._epoch = database.epoch

    def get(self, key: Key) -> Scope | None:
        """The scope, if it is cached and current; it counts as used."""
        self._evict_the_stale()
        scope = self._scopes.pop(key, None)
        if scope is not None:
            self._scopes[key] = scope
        elif key in self._too_large:
            scope = self._too_large[key]()
        return scope

    def put(self, key: Key, scope: Scope) -> None:
        """Keeps a scope that was just loaded, and evicts the least recently used ones.

        One that is too large is only kept as long as somebody else has it.
        """
        self._evict_the_stale()
        if scope.size_bytes > self._max_bytes:
            self._too_large = {key: ref(scope)}
            return
        self._scopes[key] = scope
        self._count(scope)
        self._trim()

    def _count(self, scope: Scope) -> None:
        scope.counted_bytes = scope.size_bytes
        self._size_bytes += scope.counted_bytes

    def keep_context(self, scope: Scope, context: Context) -> None:
        """Keeps the context of the scope that was used last, and counts what it takes."""
        scope.context, scope.has_context = context, True
        if next(reversed(self._scopes.values()), None) is scope:
            self._size_bytes -= scope.counted_bytes
            self._count(scope)
            if scope.counted_bytes > self._max_bytes:
                self._evict(next(reversed(self._scopes)))  # The others need not make room.
            self._trim()

    def forget_context(self, collection: int, ids: Ids) -> None:
        """Forgets the contexts of the scopes here that a point with these ids is in."""
        self._change(collection, ids, Scope.forget_context, None)

    def append(self, collection: int, row_keys: Sequence[int], points: Sequence[Encoded]) -> None:
        """Adds points, each with its row key, to the cached scopes that they are in."""
        self._too_large.clear()
        if self.orders:
            self._evict_the_stale()
            for row_key, point in zip(row_keys, points, strict=True):
                self.orders.append(_keys_over(collection, point[2]), row_key, point)
        if not self._scopes:
            return
        rows: dict[Ids, list[Row]] = {}
        for row_key, (point_id, unit, ids, _, terms, _) in zip(row_keys, points, strict=True):
            rows.setdefault(ids, []).append((row_key, point_id, unit, terms or b""))
        for ids, some in rows.items():
            self._change_scopes(collection, ids, Scope.extend, some)

    def replace(self, collection: int, ids: Ids, row: Row) -> None:
        """Stores another vector and other terms of a point in the scopes here that it is in."""
        self._change(collection, ids, Scope.replace, row)

    def remove(self, collection: int, ids: Ids, row_key: int) -> None:
        """Removes a point from the scopes here that it is in."""
        self._change(collection, ids, Scope.remove, row_key)

    def _change(
        self, collection: int, ids: Ids, change: Callable[[Scope, T], None], value: T
    ) -> None:
        """As `_change_scopes`; the orders of these scopes are not right any more."""
        if self.orders:
            self.orders.evict(_keys_over(collection, ids))
        self._change_scopes(collection, ids, change, value)

    def _change_scopes(
        self, collection: int, ids: Ids, change: Callable[[Scope, T], None], value: T
    ) -> None:
        """Changes the scopes here that a point with these ids is in; evicts what cannot be."""
        self._evict_the_stale()
        self._too_large.clear()
        if not self._scopes:
            return
        for key in _keys_over(collection, ids):
            scope = self._scopes.pop(key, None)
            if scope is None:
                continue
            # It is out of the cache meanwhile: one that is changed by half is never searched.
            self._size_bytes -= scope.counted_bytes
            try:
                change(scope, value)
            except (BufferError, ValueError):
                continue  # Somebody still looks at its bytes, or it was never complete.
            self._scopes[key] = scope
            self._count(scope)
        self._trim()

    def _trim(self) -> None:
        while self._scopes and self._size_bytes > self._max_bytes:
            self._evict(next(iter(self._scopes)))

    def evict(self, collection: int, ids: Ids) -> None:
        """Evicts the scopes that a point with these ids is in."""
        self._too_large.clear()
        if self.orders:
            self.orders.evict(_keys_over(collection, ids))
        if self._scopes:
            for key in _keys_over(collection, ids):
                self._evict(key)

    def _evict(self, key: Key) -> None:
        scope = self._scopes.pop(key, None)
        if scope is not None:
            self._size_bytes -= scope.counted_bytes

    def clear(self) -> None:
        """Evicts everything."""
        if self.orders:
            self.orders.clear()
        self._scopes.clear()
        self._too_large.clear()
        self._size_bytes = 0

    def current_orders(self, make: Callable[[], Orders]) -> Orders:
        """The orders that are still right, as the caller's block sees the file.

        Args:
            make: makes an empty collection of them; most memories never need it.
        """
        self._evict_the_stale()
        if self.orders is None:
            self.orders = make()
        return self.orders

    def _evict_the_stale(self) -> None:
        epoch = self._database.epoch
        if self._epoch != epoch:
            # Cleared first: an interruption must not leave stale scopes that count as current.
            self.clear()
            self._epoch = epoch


def _check(
    ids: Sequence[str], vectors: Sequence[bytes], terms: Sequence[bytes], width: int | None
) -> None:
    """Raises an error if points cannot be read by their lengths. `width`: of all vectors."""
    widths, sizes = {*map(len, vectors)}, {*map(len, terms)}
    if len(widths) > 1 or width not in {None, *widths} or any(size % 4 for size in sizes):
        raise _fault(ids, vectors, terms, width)


def _fault(
    ids: Sequence[str], vectors: Sequence[object], terms: Sequence[object], width: int | None
) -> MemoryCorruptionError:
    """What is wrong with the first of these points that is damaged; one of them is."""
    if width is None:
        width = next((len(vector) for vector in vectors if isinstance(vector, bytes)), 0)
    return next(
        _damaged(point_id, what)
        for point_id, vector, some in zip(ids, vectors, terms, strict=True)
        if (what := _what_is_wrong(vector, some, width))
    )


def _what_is_wrong(vector: object, terms: object, width: int) -> str | None:
    if not (isinstance(vector, bytes) and isinstance(terms, bytes)):
        return "its vector or its terms are not numbers"
    if len(vector) != width:
        return f"its vector has {len(vector)} bytes, others {width}"
    if len(terms) % 4:
        return f"its terms are cut off after {len(terms)} bytes"
    return None


def _damaged(point_id: str, what: str) -> MemoryCorruptionError:
    return MemoryCorruptionError(
        f"the stored point {point_id} is damaged: {what}",
        error_code="CORRUPT_001",
        details={"id": point_id},
        suggestion="Run `isomem check` on the file; the point can be deleted.",
    )


def _keys_over(collection: int, ids: Ids) -> Iterator[Key]:
    """The keys of all scopes that a point with these ids is in: with and without each id."""
    either = [(None,) if value is None else (None, value) for value in ids]
    return product((collection,), *either)  # type: ignore[return-value]
