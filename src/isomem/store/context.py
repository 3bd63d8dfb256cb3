"""Contexts: what all points of a scope say about each of them, for the fused ranking.

The formulas are in `isomem.contract.ranking`.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right

import simsimd

from isomem import kernel
from isomem.contract.periods import DAY_S, UNKNOWN, moment_of
from isomem.contract.ranking import (
    CONTEXT_REACH,
    CONTEXT_WEIGHT,
    FADE_DAYS,
    NEIGHBOR_SHARE,
    PRIOR_MEMORIES,
    SESSION_GAP_S,
    context_part,
)
from isomem.store.codec import text_at
from isomem.store.row_keys import SEQ_BITS, SEQ_MASK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from isomem.contract.periods import Period
    from isomem.store.database import Database

_TIMES = (
    f"SELECT row_key, {text_at('payload', 'event_time')}, {text_at('payload', 'created_at')}"
    " FROM points WHERE row_key = ?"
)
_FEW = 64
"""So many new points are put into order one by one; more are sorted with all others."""


def read_moments(database: Database, row_keys: Sequence[int]) -> list[float]:
    """The times of points, one for each row key."""
    rows = database.connection.executemany(_TIMES, zip(row_keys))
    moments = {row_key: moment_of(*times) for row_key, *times in rows}
    return [moments.get(row_key, UNKNOWN) for row_key in row_keys]


class Context:
    """What all points of a scope say about each of them.

    It belongs to a scope in memory. New points are added by `extend`; after any other change of
    the scope it is made anew.

    Attributes:
        latest: the latest known time; `UNKNOWN` if there is none.
    """

    __slots__ = (
        "_inverses", "_mean", "_mean_square", "_moments", "_offsets", "_order", "_parts",
        "_sessions", "_totals", "latest",
    )  # fmt: skip

    def __init__(self) -> None:
        self.latest = UNKNOWN
        self._moments = array("d")
        self._totals = array("d")
        self._mean = array("f")
        self._mean_square = 0.0
        self._offsets: Sequence[float] = ()
        self._inverses = array("d")
        self._order = array("I")
        self._parts = array("d")
        self._sessions = array("I")

    def __len__(self) -> int:
        return len(self._moments)

    def extend(
        self,
        row_keys: Sequence[int],
        vectors: Sequence[float],
        products: Callable[[bytes], Sequence[float]],
        lengths: Iterable[int],
        moments: Sequence[float],
    ) -> None:
        """Adds the points that the scope has in addition.

        Args:
            row_keys, vectors: of all points; `vectors` has their numbers, one after the other.
            products: the products of a vector with all of them.
            lengths, moments: how many terms the new points have, and their times.
        """
        known, size = len(self), len(row_keys)
        self._moments += array("d", moments)
        self._parts += array("d", map(context_part, lengths))
        self.latest = max(self._moments)
        self._find_mean(vectors, known, products)
        self._put_in_order(row_keys, range(known, size))
        self._sessions = array("I", bytes(4 * size))
        kernel.number_sessions(
            self._order, row_keys, self._moments, SEQ_BITS, SESSION_GAP_S, self._sessions
        )

    def _find_mean(
        self, vectors: Sequence[float], known: int, products: Callable[[bytes], Sequence[float]]
    ) -> None:
        size = len(self)
        self._totals = self._totals or array("d", bytes(8 * (len(vectors) // size)))
        kernel.add_vectors(vectors, known, self._totals)
        share = 1 / (size + PRIOR_MEMORIES)
        self._mean = array("f", [share * total for total in self._totals])
        self._mean_square = _dot(self._mean, self._mean)
        self._offsets = products(self._mean.tobytes())
        self._inverses = array("d", bytes(8 * size))
        kernel.invert_distances(self._offsets, self._mean_square, self._inverses)

    def _put_in_order(self, row_keys: Sequence[int], new: range) -> None:
        """Adds rows to the order of scopes and times."""
        moments = self._moments

        def key(row: int) -> tuple[int, float, int]:
            row_key = row_keys[row]
            return row_key >> SEQ_BITS, moments[row], row_key & SEQ_MASK

        if len(new) > _FEW:
            self._order = array("I", sorted([*self._order, *new], key=key))
            return
        for row in new:
            self._order.insert(bisect_right(self._order, key(row), key=key), row)

    def center(self, products: Any, query: bytes) -> None:
        """Turns the products of a query with all vectors into cosines of both minus the mean."""
        offset = _dot(memoryview(query).cast("f"), self._mean)
        square = array("d", [0.0])
        kernel.invert_distances(array("d", [offset]), self._mean_square, square)
        shift = self._mean_square - offset
        kernel.center_products(products, self._offsets, self._inverses, shift, square[0])

    def fit(self, period: Period) -> array[float]:
        """How well the time of each point fits a period, 0 to 1."""
        shares = array("d", bytes(8 * len(self)))
        kernel.find_period(self._moments, *period, FADE_DAYS * DAY_S, shares)
        return shares

    def sums(self, scores: Any, allowed: bytes) -> Any:
        """The scores of all points, with what those around them add.

        Args:
            scores: one for each point.
            allowed: for each point, 0 leaves it out; empty allows all.
        """
        order, sessions, parts = self._order, self._sessions, self._parts
        own: Any = memoryview(bytearray(8 * len(self))).cast("d")
        kernel.add_neighbors(order, sessions, scores, allowed, parts, NEIGHBOR_SHARE, own)
        sums: Any = memoryview(bytearray(8 * len(self))).cast("d")
        kernel.average_with_best(order, sessions, own, CONTEXT_REACH, parts, CONTEXT_WEIGHT, sums)
        return sums


def _dot(one: Any, other: Any) -> float:
    """The product of two vectors of float32."""
    product: Any = simsimd.dot(one, other)
    return float(product)
