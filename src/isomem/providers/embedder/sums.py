"""The vector of a text: the sum of the rows of its pieces, scaled to length 1.

The sums are whole numbers, so both ways to add give the same vector, to the last bit.
"""

from __future__ import annotations

from array import array
from collections import Counter

from isomem import pieces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from isomem.providers.embedder.table import Table

LANE_BYTES = 8
"""Room for the sum of 2**36 weighted numbers."""
BIAS = 128
_FROM_ZERO = bytes(number ^ BIAS for number in range(256))


def vector(table: Table, blocks: Iterable[array[int]], dims: int) -> list[float]:
    """The vector for the pieces in `blocks`; zeros if their sum is zero.

    Args:
        table: has the rows.
        blocks: pieces.
        dims: how many numbers of each row count.
    """
    make = compiled_vector if pieces.COMPILED else plain_vector
    return make(table, blocks, dims)


def compiled_vector(table: Table, blocks: Iterable[array[int]], dims: int) -> list[float]:
    """`vector` by loops that are compiled."""
    totals = array("d", bytes(8 * dims))
    for block in blocks:
        rows = memoryview(b"".join(table.gather(block))).cast("b")
        pieces.add_rows(rows, table.width, table.weights, block, totals)
    pieces.divide_by_length(totals)
    return totals.tolist()


def plain_vector(table: Table, blocks: Iterable[array[int]], dims: int) -> list[float]:
    """The same, where they are not: all numbers of a row are one large integer, in lanes."""
    total = weights = 0
    lanes = bytearray(LANE_BYTES * dims)
    for block in blocks:
        counts = Counter(block)
        for piece, row in zip(counts, table.gather(array("I", counts)), strict=True):
            # Lanes have no sign: 0 to 255 stands for -128 to 127.
            lanes[::LANE_BYTES] = row[:dims].translate(_FROM_ZERO)
            weight = table.weights[piece] * counts[piece]
            total += weight * int.from_bytes(lanes, "little")
            weights += weight
    bias = float(BIAS * weights)
    summed = memoryview(total.to_bytes(len(lanes), "little")).cast("Q")
    return _of_length_one([number - bias for number in summed])


def _of_length_one(totals: list[float]) -> list[float]:
    """`pieces.divide_by_length`, which takes twice as long as this if it is not compiled."""
    square = 0.0
    for number in totals:
        square += number * number
    if square == 0.0:
        return totals
    length = square**0.5
    return [number / length for number in totals]
