"""The vectors of a scope in memory: all of them compared, or only those that can be the best.

The second way needs a coarse copy. In it, a vector x is x' = step * codes, with 8-bit codes. With
q' for the coarse copy of a query q:

    q.x = q'.x' + q.(x - x') + (q - q').x'

The last two products are at most |q| |x - x'| and |q - q'| |x'|, so that the coarse product gives a
lower and an upper bound of the exact one. A vector whose upper bound is below the k-th highest
lower bound is not among the k best. The others are compared exactly: the results are the same, to
the bit.
"""

from __future__ import annotations

from array import array
from math import fsum, sqrt

import simsimd

from isomem import kernel
from isomem.store.best import LOWEST, permitted
from isomem.store.form import best

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Sequence
    from typing import Any

    from isomem.store.best import Scored

LARGE_BYTES = 16_000_000
"""Vectors that take less are all compared: the processor's cache has them."""
DIMS = range(64, 100_000)
"""Shorter vectors are all compared: the bounds would take as long. The products of the codes of
longer ones could be too large for 32 bits."""
SEARCHES_BEFORE = 4
"""A coarse copy takes as long as some ten searches save, and many scopes are searched only once."""
_MOST_COMPARED = 8
"""If more than one in so many can be among the best, all are compared."""

_OFF_BY = 0.5001
"""How far a number may be from its code, in steps; see `kernel.coarsen`."""
_SUM_ERROR = 2.0**-23
"""Of a sum of float32 products, relative to the lengths of the vectors, for each product: twice the
rounding error, so that the errors of the bounds themselves are in it."""
_TINY = 1e-20
"""More than what numbers that count as 0 in the coarse copy can add to a product."""


class Matrix:
    """Vectors, each in its row.

    Attributes:
        width: bytes of each vector; 0 as long as there is none.
    """

    __slots__ = ("_coarse", "_numbers", "_searches", "width")

    def __init__(self) -> None:
        self.width = 0
        self._numbers = bytearray()
        self._coarse: _Coarse | None = None
        self._searches = 0

    @property
    def size_bytes(self) -> int:
        """What the vectors take, a coarse copy included if there may be one."""
        if _may_be_coarse(len(self._numbers), self.width // 4):
            return len(self._numbers) + len(self._numbers) // self.width * (self.width // 4 + 8)
        return len(self._numbers)

    def extend(self, vectors: Sequence[bytes]) -> None:
        """Adds rows."""
        self.width = len(vectors[0])
        added = b"".join(vectors)
        self._numbers += added
        if self._coarse is not None:
            self._coarse.extend(bytearray(added))

    def replace(self, row: int, vector: bytes | bytearray) -> None:
        """Stores another vector in a row."""
        self._numbers[row * self.width : (row + 1) * self.width] = vector
        if self._coarse is not None:
            self._coarse.replace(row, _Coarse(bytearray(vector), self.width // 4))

    def remove(self, row: int) -> None:
        """Removes a row; the last one takes its place."""
        start, last = row * self.width, len(self._numbers) - self.width
        self._numbers[start : start + self.width] = self._numbers[last:]
        del self._numbers[last:]
        if not _may_be_coarse(len(self._numbers), self.width // 4):
            self._coarse = None
        elif self._coarse is not None:
            self._coarse.remove(row)

    def nearest(
        self, query: bytes, row_keys: array[int], top_k: int, allowed: Container[int] | None
    ) -> Scored:
        """The `top_k` rows with the highest dot product with a vector, as `best` finds them."""
        coarse = self._coarse_copy() if len(self._numbers) >= LARGE_BYTES else None
        rows = None if coarse is None else coarse.likely(query, row_keys, top_k, allowed)
        if rows is None:
            products = _products(query, self._numbers, "f")
            return best(products, row_keys, top_k, allowed, LOWEST)
        numbers = self._gather(rows)
        keys = array("q", map(row_keys.__getitem__, rows))
        found = best(_products(query, numbers, "f"), keys, top_k, None, LOWEST)
        return [(score, rows[at]) for score, at in found]

    def products(self, query: bytes) -> Any:
        """The dot product of a vector with every row; there must be some."""
        return _products(query, self._numbers, "f")

    def numbers(self) -> Any:
        """The numbers of all rows, one row after the other."""
        return memoryview(self._numbers).cast("f")

    def _coarse_copy(self) -> _Coarse | None:
        self._searches += 1
        may_be = _may_be_coarse(len(self._numbers), self.width // 4)
        if may_be and self._coarse is None and self._searches >= SEARCHES_BEFORE:
            self._coarse = _Coarse(self._numbers, self.width // 4)
        return self._coarse

    def _gather(self, rows: array[int]) -> bytearray:
        copies = bytearray(len(rows) * self.width)
        to: Any = memoryview(copies).cast("f")
        kernel.gather(self.numbers(), self.width // 4, rows, to)
        return copies


def _may_be_coarse(size_bytes: int, dims: int) -> bool:
    return kernel.COMPILED and size_bytes >= LARGE_BYTES and dims in DIMS


class _Coarse:
    """A coarse copy of vectors of `dims` numbers, row by row."""

    __slots__ = ("_codes", "_dims", "_lengths", "_steps")

    def __init__(self, numbers: bytearray, dims: int) -> None:
        self._dims = dims
        self._codes = bytearray()
        self._steps = array("f")
        self._lengths = array("f")
        self.extend(numbers)

    def extend(self, numbers: bytearray) -> None:
        at, count = len(self._codes), len(numbers) // (4 * self._dims)
        self._codes += bytes(count * self._dims)
        steps, lengths = array("f", bytes(4 * count)), array("f", bytes(4 * count))
        exact: Any = memoryview(numbers)
        written: Any = memoryview(self._codes)[at:].cast("b")
        scratch: Any = memoryview(bytearray(4 * self._dims))
        kernel.coarsen(
            exact.cast("f"), exact.cast("i"), written, steps, lengths,
            scratch.cast("f"), scratch.cast("i"),
        )  # fmt: skip
        self._steps += steps
        self._lengths += lengths

    def replace(self, row: int, other: _Coarse) -> None:
        """Takes over the only row of another copy."""
        self._codes[row * self._dims : (row + 1) * self._dims] = other._codes
        self._steps[row], self._lengths[row] = other._steps[0], other._lengths[0]

    def remove(self, row: int) -> None:
        last = len(self._codes) - self._dims
        self._codes[row * self._dims : (row + 1) * self._dims] = self._codes[last:]
        self._steps[row], self._lengths[row] = self._steps[-1], self._lengths[-1]
        del self._codes[last:], self._steps[-1], self._lengths[-1]

    def likely(
        self, query: bytes, row_keys: array[int], top_k: int, allowed: Container[int] | None
    ) -> array[int] | None:
        """The rows that can be among the best; None if that rules out too few."""
        if not 0 < top_k * _MOST_COMPARED <= len(row_keys):
            return None
        asked = _Coarse(bytearray(query), self._dims)
        steps, lengths, (share, per_length) = self._steps, self._lengths, asked._distance(query)
        lowest: Any = _products(asked._codes, self._codes, "b")
        kernel.lower_bounds(lowest, steps, lengths, asked._steps[0], share, per_length)
        highest = best(lowest, row_keys, top_k, allowed, LOWEST)
        if len(highest) < top_k:
            return None
        least = highest[-1][0] - _TINY
        may = permitted(row_keys, allowed)
        rows = array("q", bytes(8 * (len(row_keys) // _MOST_COMPARED)))
        count = kernel.reaching(lowest, steps, lengths, share, per_length, least, may, rows)
        return rows[:count] if count <= len(rows) else None

    def _distance(self, query: bytes) -> tuple[float, float]:
        """How far a coarse product with this query may be from the exact one.

        In steps of the other vector: one part, and one for each unit of its codes' length.
        """
        numbers, step = array("f", query), self._steps[0]
        codes = memoryview(self._codes).cast("b")
        length = sqrt(fsum(number * number for number in numbers))
        rest = sqrt(
            fsum((number - step * code) ** 2 for number, code in zip(numbers, codes, strict=True))
        )
        slack = 1.0 + _SUM_ERROR * self._dims
        return _OFF_BY * sqrt(self._dims) * length * slack, rest + (slack - 1.0) * length


def _products(query: bytes | bytearray, numbers: bytearray, kind: Any) -> Any:
    """The dot products of a vector with all the rows of a matrix of numbers of its kind."""
    width = len(query)
    one: Any = memoryview(query).cast("B").cast(kind)
    dims = len(one)
    one = memoryview(query).cast("B").cast(kind, (1, dims))
    matrix: Any = memoryview(numbers).cast("B").cast(kind, (len(numbers) // width, dims))
    distances: Any = simsimd.cdist(one, matrix, "dot")
    return memoryview(distances).cast("B").cast("d")
