"""Scopes in memory: the vectors and postings of the scopes in use, in a bounded cache.

A scope is loaded from the file when it is first searched and kept up to date by the inserts of
this process. Whatever else may have changed it (an update, a delete, a rollback, another
process) drops it, and the next search loads it again.
"""

from __future__ import annotations

from array import array
from heapq import nlargest

import simsimd

from isomem.scope import SCOPE_KEYS
from isomem.store.codec import load_terms

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping
    from typing import Any

    from isomem.store.database import Database

    Key = tuple[int, str | None, str | None, str | None]
    Scored = list[tuple[float, int]]

DEFAULT_CACHE_MB = 64
_POINT_BYTES = 160
"""About what one point costs in a cached scope beside its vector and its terms."""


class Scope:
    """The points of one scope in the order of their insertion.

    Attributes:
        seqs: their row numbers.
        ids: their ids.
    """

    __slots__ = ("_postings", "_vectors", "ids", "seqs", "size_bytes")

    def __init__(self) -> None:
        self.seqs = array("q")
        self.ids: list[str] = []
        self.size_bytes = 0
        self._vectors = bytearray()
        self._postings: dict[int, tuple[array[int], array[float]]] = {}

    def append(self, seq: int, point_id: str, vector: bytes, terms: bytes | None) -> None:
        """Adds a point behind the others."""
        position = len(self.seqs)
        self.seqs.append(seq)
        self.ids.append(point_id)
        self._vectors += vector
        if terms:
            for number, weight in zip(*load_terms(terms), strict=True):
                positions, weights = self._postings.setdefault(number, (array("I"), array("d")))
                positions.append(position)
                weights.append(weight)
        self.size_bytes += _POINT_BYTES + len(vector) + len(terms or b"")

    def nearest(self, query: bytes, top_k: int, allowed: Container[int] | None) -> Scored:
        """The `top_k` points most similar to a unit vector: (cosine, position), best first.

        Of equally similar points the one inserted later comes first, as in upstream's store.
        `allowed` holds the row numbers that may be found; None lets all.
        """
        if not self.seqs or top_k <= 0:
            return []
        dims = len(query) // 4
        matrix: Any = memoryview(self._vectors).cast("f", (len(self.seqs), dims))
        one: Any = memoryview(query).cast("f", (1, dims))
        distances: Any = simsimd.cdist(one, matrix, "dot")
        (scores,) = memoryview(distances).tolist()
        return _top(scores, range(len(self.seqs)), self._permitted(allowed), top_k)

    def keyword_scores(
        self, query: Mapping[int, float], top_k: int, allowed: Container[int] | None
    ) -> Scored:
        """The `top_k` points with the highest sum of products of term weights."""
        totals: dict[int, float] = {}
        for number, factor in query.items():
            positions, weights = self._postings.get(number, ((), ()))
            for position, weight in zip(positions, weights, strict=True):
                totals[position] = totals.get(position, 0.0) + factor * weight
        return _top(totals.values(), totals, self._permitted(allowed), top_k)

    def _permitted(self, allowed: Container[int] | None) -> Any:
        return None if allowed is None else [seq in allowed for seq in self.seqs]


def _top(scores: Any, positions: Any, permitted: list[bool] | None, top_k: int) -> Scored:
    pairs: Iterable[tuple[float, int]] = zip(scores, positions, strict=True)
    if permitted is not None:
        pairs = ((score, position) for score, position in pairs if permitted[position])
    return nlargest(top_k, pairs)


class ScopeCache:
    """The scopes used last, up to a number of bytes.

    Args:
        database: where the epoch is read that tells whether anything here can be stale.
        max_bytes: 0 turns the cache off.
    """

    def __init__(self, database: Database, max_bytes: int) -> None:
        self._database = database
        self._max_bytes = max_bytes
        self._scopes: dict[Key, Scope] = {}
        self._epoch = database.epoch

    def get(self, key: Key) -> Scope | None:
        """The scope, if it is here and current; it counts as used."""
        self._forget_the_stale()
        scope = self._scopes.pop(key, None)
        if scope is not None:
            self._scopes[key] = scope
        return scope

    def put(self, key: Key, scope: Scope) -> None:
        """Keeps a scope that was just loaded, and lets go of those used longest ago."""
        self._forget_the_stale()
        if scope.size_bytes <= self._max_bytes:
            self._scopes[key] = scope
            self.trim()

    def trim(self) -> None:
        """Lets go of scopes until the rest fits."""
        size = sum(scope.size_bytes for scope in self._scopes.values())
        while size > self._max_bytes:
            oldest = next(iter(self._scopes))
            size -= self._scopes.pop(oldest).size_bytes

    def holding(self, collection: int, ids: Mapping[str, Any]) -> Iterator[Scope]:
        """The scopes here that a point with these ids is in."""
        self._forget_the_stale()
        for key in _keys_over(collection, ids):
            if key in self._scopes:
                yield self._scopes[key]

    def drop(self, collection: int, ids: Mapping[str, Any]) -> None:
        """Lets go of the scopes that a point with these ids is in."""
        for key in _keys_over(collection, ids):
            self._scopes.pop(key, None)

    def clear(self) -> None:
        """Lets go of everything."""
        self._scopes.clear()

    def _forget_the_stale(self) -> None:
        if self._epoch != self._database.epoch:
            self._epoch = self._database.epoch
            self._scopes.clear()


def _keys_over(collection: int, ids: Mapping[str, Any]) -> Iterator[Key]:
    """The keys of all scopes that a point with these ids is in: each id counts or does not."""
    given = map(ids.get, SCOPE_KEYS)
    user, agent, run = ((None,) if value is None else (None, value) for value in given)
    return ((collection, u, a, r) for u in user for a in agent for r in run)
