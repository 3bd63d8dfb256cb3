"""The best of many scores."""

from __future__ import annotations

from array import array

from isomem import kernel
from isomem.store.row_keys import SEQ_MASK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container
    from typing import Any

    Scored = list[tuple[float, int]]

LOWEST = float("-inf")
"""The floor that lets every score pass."""


def permitted(row_keys: array[int], allowed: Container[int] | None) -> bytes:
    """For each row, whether its row key is allowed; empty if all are."""
    return b"" if allowed is None else bytes(map(allowed.__contains__, row_keys))


def compiled_best(
    scores: Any, row_keys: array[int], top_k: int, allowed: Container[int] | None, floor: float
) -> Scored:
    """The `top_k` highest scores above `floor` with their rows, best first.

    Of equal scores, the later insertion comes first, as in upstream's store.

    Args:
        scores: floats in a buffer, one for each row.
        row_keys: one for each row.
        allowed: the row keys that may be found; None allows all.
    """
    room = bytes(8 * max(min(top_k, len(row_keys)), 0))
    kept, order, rows = array("d", room), array("q", room), array("q", room)
    may = b"" if allowed is None else permitted(row_keys, allowed)
    count = kernel.best(scores, row_keys, SEQ_MASK, may, floor, kept, order, rows)
    return list(zip(kept[:count], rows[:count], strict=True))
