"""Scopes in memory: the vectors and terms of the scopes in use, in a bounded cache.

A scope is loaded from the file when it is first searched. What this process inserts, updates and
deletes changes it in place. Whatever else may have changed it (a rollback, another process) evicts
it, and the next search loads it again.
"""

from __future__ import annotations

from array import array
from itertools import product

import simsimd

from isomem import kernel
from isomem.errors import MemoryCorruptionError
from isomem.store.row_keys import SEQ_MASK, RowKeys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Sequence
    from typing import Any, TypeVar

    from isomem.store.codec import Encoded
    from isomem.store.context import Context
    from isomem.store.database import Database
    from isomem.store.row_keys import Ids

    T = TypeVar("T")
    Key = tuple[int, str | None, str | None, str | None]
    Scored = list[tuple[float, int]]
    Row = tuple[int, str, bytes, bytes]
    """Of a point: its row key, id, vector and terms."""

DEFAULT_CACHE_MB = 64
_POINT_BYTES = 110
"""About what one point costs in a cached scope, in addition to its vector and its terms."""

_LOWEST = float("-inf")
_MARKS = 4096
"""Numbers of terms are told apart by so many remainders at first."""


class Scope:
    """The points of one scope, in the order in which they were loaded or added.

    Attributes:
        row_keys: where they are in the file.
        ids: their ids.
        context: what the fused ranking needs; None as long as nobody has asked for that ranking.
            It may have fewer points than the scope: those added since are missing.
    """

    __slots__ = ("_sizes", "_terms", "_vectors", "context", "ids", "row_keys", "size_bytes")

    def __init__(self) -> None:
        self.context: Context | None = None
        self.row_keys = array("q")
        self.ids: list[str] = []
        self.size_bytes = 0
        self._vectors = bytearray()
        self._terms = bytearray()
        self._sizes = array("I")

    def extend(self, rows: Sequence[Row]) -> None:
        """Adds points.

        Raises:
            MemoryCorruptionError: a vector does not have the length of the others, or terms are
                cut off. Everything after it would be read at the wrong offset.
        """
        row_keys, ids, vectors, terms = zip(*rows, strict=True)
        self._check(ids, vectors, terms)
        self.row_keys += array("q", row_keys)
        self.ids += ids
        self._vectors += b"".join(vectors)
        self._terms += b"".join(terms)
        self._sizes += array("I", [*map(len, terms)])
        self.measure()

    def replace(self, row: Row) -> None:
        """Stores another vector and other terms of a point.

        Raises:
            ValueError: it is not here.
            MemoryCorruptionError: as `extend`.
        """
        row_key, point_id, vector, terms = row
        self._check([point_id], [vector], [terms])
        self.context = None
        at = self.row_keys.index(row_key)
        self._vectors[at * len(vector) : (at + 1) * len(vector)] = vector
        self._replace_terms(at, terms)
        self.measure()

    def remove(self, row_key: int) -> None:
        """Removes a point; the last one takes its place.

        Raises:
            ValueError: it is not here.
        """
        at, last = self.row_keys.index(row_key), len(self.ids) - 1
        self.context = None
        width = len(self._vectors) // len(self.ids)
        self._vectors[at * width : (at + 1) * width] = self._vectors[last * width :]
        self._replace_terms(at, self._terms[len(self._terms) - self._sizes[last] :])
        self.ids[at], self.row_keys[at] = self.ids[last], self.row_keys[last]
        del self._vectors[last * width :]
        del self._terms[len(self._terms) - self._sizes[last] :]
        del self.ids[last], self.row_keys[last], self._sizes[last]
        self.measure()

    def _replace_terms(self, at: int, terms: bytes | bytearray) -> None:
        if at < len(self.ids) // 2:
            start = sum(self._sizes[:at])
        else:
            start = len(self._terms) - sum(self._sizes[at:])
        self._terms[start : start + self._sizes[at]] = terms
        self._sizes[at] = len(terms)

    def forget_context(self, _: None = None) -> None:
        """Lets the context be made anew."""
        self.context = None
        self.measure()

    def measure(self) -> None:
        """Counts the bytes that it takes."""
        a_point = _POINT_BYTES + (self.context.BYTES if self.context is not None else 0)
        self.size_bytes = a_point * len(self.ids) + len(self._vectors) + len(self._terms)

    def _check(self, ids: Sequence[str], vectors: Sequence[bytes], terms: Sequence[bytes]) -> None:
        width = len(self._vectors) // len(self.ids) if self.ids else len(vectors[0])
        for point_id, vector, some in zip(ids, vectors, terms, strict=True):
            if not (type(vector) is type(some) is bytes):
                raise _damaged(point_id, "its vector or its terms are not numbers")
            if len(vector) != width:
                raise _damaged(point_id, f"its vector has {len(vector)} bytes, others {width}")
            if len(some) % 4:
                raise _damaged(point_id, f"its terms are cut off after {len(some)} bytes")

    def nearest(self, query: bytes, top_k: int, allowed: Container[int] | None) -> Scored:
        """The `top_k` points most similar to a unit vector: (cosine, row), best first.

        Of equally similar points, the later insertion comes first, as in upstream's store.
        `allowed` has the row keys that may be found; None allows all.
        """
        if not self.row_keys:
            return []
        return self.best(self.products(query), top_k, allowed)

    def products(self, query: bytes) -> Any:
        """The product of a vector with that of every point; there must be some."""
        dims = len(query) // 4
        if len(self._vectors) != len(query) * len(self.row_keys):
            raise _damaged(self.ids[0], f"its vector does not have {dims} dimensions")
        matrix: Any = memoryview(self._vectors).cast("f", (len(self.row_keys), dims))
        one: Any = memoryview(query).cast("f", (1, dims))
        distances: Any = simsimd.cdist(one, matrix, "dot")
        return memoryview(distances).cast("B").cast("d")

    def keyword_scores(
        self,
        wanted: array[int],
        factors: array[float],
        top_k: int,
        allowed: Container[int] | None,
    ) -> Scored:
        """The `top_k` points with the highest sum of products of term weights, if it is not 0."""
        return self.best(self.weights(wanted, factors), top_k, allowed, 0.0)

    def weights(self, wanted: array[int], factors: array[float]) -> Any:
        """For every point, the sum of its weights of the wanted terms, times their factors."""
        # One block as large as the scores, not two as from bytes: glibc would give the second
        # back to the system each time, and each search would wait for its pages again.
        scores: Any = memoryview(bytearray(8 * len(self.row_keys))).cast("d")
        numbers = memoryview(self._terms).cast("I")
        counts = array("I", bytes(4 * len(wanted)))
        kernel.score_texts(numbers, self._sizes, wanted, factors, scores, counts)
        return scores

    def shares(
        self, wanted: array[int], factors: Callable[[Sequence[int], int], array[float]]
    ) -> Any:
        """As `weights`, but the factors depend on how many points have each term.

        Args:
            wanted: the terms to look for.
            factors: makes them from the numbers of points that have each term, and of all points.

        Returns:
            None if no point has any of the terms.
        """
        if not wanted:
            return None
        numbers = memoryview(self._terms).cast("I")
        counts, found = array("I", bytes(4 * len(wanted))), array("I", bytes(4 * len(wanted)))
        # Only what is written to takes memory.
        postings: Any = memoryview(bytearray(12 * len(numbers))).cast("I")
        marks = bytearray(_MARKS)
        end = kernel.find_terms(numbers, self._sizes, wanted, marks, counts, found, postings)
        if not end:
            return None
        scores: Any = memoryview(bytearray(8 * len(self.row_keys))).cast("d")
        kernel.score_postings(postings, end, self._sizes, factors(found, len(self.ids)), scores)
        return scores

    def numbers(self) -> Any:
        """The numbers of all vectors, one vector after the other."""
        return memoryview(self._vectors).cast("f")

    def lengths(self, start: int) -> Iterator[int]:
        """How many terms each point has, from the row `start` on."""
        return (size // 4 for size in self._sizes[start:])

    def best(
        self, scores: Any, top_k: int, allowed: Container[int] | None, floor: float = _LOWEST
    ) -> Scored:
        """The `top_k` points with the highest scores above `floor`: (score, row), best first.

        `scores` has one for each point. Of equal scores, the later insertion comes first.
        """
        room = bytes(8 * max(min(top_k, len(self.row_keys)), 0))
        kept, order, rows = array("d", room), array("q", room), array("q", room)
        permitted = self.permitted(allowed)
        count = kernel.best(scores, self.row_keys, SEQ_MASK, permitted, floor, kept, order, rows)
        return list(zip(kept[:count], rows[:count], strict=True))

    def permitted(self, allowed: Container[int] | None) -> bytes:
        """For each point, whether its row key is allowed; empty if all are."""
        return b"" if allowed is None else bytes(key in allowed for key in self.row_keys)


class ScopeCache:
    """The most recently used scopes, up to a number of bytes.

    Args:
        database: its epoch shows whether anything here may be stale.
        max_bytes: 0 turns the cache off.

    Attributes:
        row_keys: of the points of the file; shared by its collections, as this cache is.
    """

    def __init__(self, database: Database, max_bytes: int) -> None:
        self.row_keys = RowKeys(database)
        self._database = database
        self._max_bytes = max_bytes
        self._scopes: dict[Key, Scope] = {}
        self._size_bytes = 0
        self._epoch = database.epoch

    def get(self, key: Key) -> Scope | None:
        """The scope, if it is cached and current; it counts as used."""
        self._evict_the_stale()
        scope = self._scopes.pop(key, None)
        if scope is not None:
            self._scopes[key] = scope
        return scope

    def put(self, key: Key, scope: Scope) -> None:
        """Keeps a scope that was just loaded, and evicts the least recently used ones."""
        self._evict_the_stale()
        if scope.size_bytes <= self._max_bytes:
            self._scopes[key] = scope
            self._size_bytes += scope.size_bytes
            self._trim()

    def keep_context(self, scope: Scope, context: Context) -> None:
        """Keeps the context of the scope that was used last, and counts what it takes."""
        before, scope.context = scope.size_bytes, context
        scope.measure()
        if next(reversed(self._scopes.values()), None) is scope:
            self._size_bytes += scope.size_bytes - before
            if scope.size_bytes > self._max_bytes:
                self._evict(next(reversed(self._scopes)))  # The others need not make room.
            self._trim()

    def forget_context(self, collection: int, ids: Ids) -> None:
        """Forgets the contexts of the scopes here that a point with these ids is in."""
        self._change(collection, ids, Scope.forget_context, None)

    def append(self, collection: int, row_keys: Sequence[int], points: Sequence[Encoded]) -> None:
        """Adds points, each with its row key, to the cached scopes that they are in."""
        if not self._scopes:
            return
        rows: dict[Ids, list[Row]] = {}
        for row_key, (point_id, unit, ids, _, terms, _) in zip(row_keys, points, strict=True):
            rows.setdefault(ids, []).append((row_key, point_id, unit, terms or b""))
        for ids, some in rows.items():
            self._change(collection, ids, Scope.extend, some)

    def replace(self, collection: int, ids: Ids, row: Row) -> None:
        """Stores another vector and other terms of a point in the scopes here that it is in."""
        self._change(collection, ids, Scope.replace, row)

    def remove(self, collection: int, ids: Ids, row_key: int) -> None:
        """Removes a point from the scopes here that it is in."""
        self._change(collection, ids, Scope.remove, row_key)

    def _change(
        self, collection: int, ids: Ids, change: Callable[[Scope, T], None], value: T
    ) -> None:
        """Changes the scopes here that a point with these ids is in; evicts what cannot be."""
        self._evict_the_stale()
        if not self._scopes:
            return
        for key in _keys_over(collection, ids):
            scope = self._scopes.pop(key, None)
            if scope is None:
                continue
            # It is out of the cache meanwhile: one that is changed by half is never searched.
            self._size_bytes -= scope.size_bytes
            try:
                change(scope, value)
            except (BufferError, ValueError):
                continue  # Somebody still looks at its bytes, or it was never complete.
            self._scopes[key] = scope
            self._size_bytes += scope.size_bytes
        self._trim()

    def _trim(self) -> None:
        while self._scopes and self._size_bytes > self._max_bytes:
            self._evict(next(iter(self._scopes)))

    def evict(self, collection: int, ids: Ids) -> None:
        """Evicts the scopes that a point with these ids is in."""
        if self._scopes:
            for key in _keys_over(collection, ids):
                self._evict(key)

    def _evict(self, key: Key) -> None:
        scope = self._scopes.pop(key, None)
        if scope is not None:
            self._size_bytes -= scope.size_bytes

    def clear(self) -> None:
        """Evicts everything."""
        self._scopes.clear()
        self._size_bytes = 0

    def _evict_the_stale(self) -> None:
        epoch = self._database.epoch
        if self._epoch != epoch:
            # Cleared first: an interruption must not leave stale scopes that count as current.
            self.clear()
            self._epoch = epoch


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
