"""What a search does where the kernel is not compiled: the same, out of functions that are.

The loops of `isomem.kernel` take Python 20 times as long as what stands here.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import Counter
from itertools import accumulate, repeat

from isomem.kernel import term_weight
from isomem.store.row_keys import SEQ_MASK
from isomem.store.texts import Texts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence
    from typing import Any

    from isomem.store.best import Scored

    Postings = tuple[array[int], array[float]]
    """The rows of the texts that have a term, ascending, and its BM25 weight in each of them."""

_KEPT_BYTES = 48
"""For each text, what the postings of terms that were looked for may take."""
_POSTING_BYTES = 12
_TERM_BYTES = 300
"""Of one term, in addition to its postings."""


def sorted_best(
    scores: Any, row_keys: array[int], top_k: int, allowed: Container[int] | None, floor: float
) -> Scored:
    """`best.compiled_best` by sorting."""
    scores = scores.tolist()
    rows = [row for row, score in enumerate(scores) if score > floor]
    if allowed is not None:
        rows = [row for row in rows if row_keys[row] in allowed]
    if 0 < top_k < len(rows):
        least = sorted(map(scores.__getitem__, rows), reverse=True)[top_k - 1]
        rows = [row for row in rows if scores[row] >= least]
    rows.sort(key=[*map(SEQ_MASK.__and__, row_keys)].__getitem__, reverse=True)
    rows.sort(key=scores.__getitem__, reverse=True)  # Equal ones stay in their order.
    return [(scores[row], row) for row in rows[: max(top_k, 0)]]


class SearchedTexts(Texts):
    """`Texts` that look for a term once, and keep the postings of the latest ones."""

    __slots__ = ("_kept", "_kept_bytes")

    def __init__(self) -> None:
        super().__init__()
        self._kept: dict[int, Postings] = {}
        self._kept_bytes = 0

    @property
    def size_bytes(self) -> int:
        return super().size_bytes + self._most_bytes()

    def _most_bytes(self) -> int:
        return _KEPT_BYTES * len(self._sizes)

    def extend(self, texts: Sequence[bytes]) -> None:
        for row, text in enumerate(texts, len(self._sizes)):
            if self._kept:
                self._add(row, Counter(array("I", text)), len(text))
        super().extend(texts)
        if self._kept_bytes > self._most_bytes():
            self._forget()

    def _add(self, row: int, counts: Counter[int], size: int) -> None:
        for number in counts.keys() & self._kept.keys():
            rows, weights = self._kept[number]
            rows.append(row)
            weights.append(term_weight(counts[number], size // 4))
            self._kept_bytes += _POSTING_BYTES

    def replace(self, row: int, text: bytes | bytearray) -> None:
        self._forget()
        super().replace(row, text)

    def _forget(self) -> None:
        self._kept.clear()
        self._kept_bytes = 0

    def scores(self, wanted: array[int], factors: array[float]) -> Any:
        scores = [0.0] * len(self._sizes)
        for factor, (rows, weights) in zip(factors, self._postings(wanted), strict=True):
            for row, weight in zip(rows, weights, strict=True):
                scores[row] += factor * weight
        return array("d", scores)

    def _postings(self, wanted: array[int]) -> Iterator[Postings]:
        ends: list[int] = []
        for number in wanted:
            found = self._kept.get(number)
            if found is None:
                ends = ends or [*accumulate(self._sizes)]
                found = self._find(number, ends)
                self._keep(number, found)
            yield found

    def _find(self, number: int, ends: list[int]) -> Postings:
        counts = Counter(map(bisect_right, repeat(ends), self._offsets(number)))
        sizes = self._sizes
        weights = [term_weight(counts[row], sizes[row] // 4) for row in counts]
        return array("I", counts), array("d", weights)

    def _offsets(self, number: int) -> Iterator[int]:
        """Where a term is in the numbers of all texts."""
        find, packed = self._numbers.find, array("I", [number]).tobytes()
        at = find(packed)
        while at >= 0:
            if at % 4 == 0:
                yield at
                at = find(packed, at + 4)
            else:  # The end of one number and the beginning of another.
                at = find(packed, at + 1)

    def _keep(self, number: int, found: Postings) -> None:
        size_bytes = _TERM_BYTES + _POSTING_BYTES * len(found[0])
        if self._kept_bytes + size_bytes > self._most_bytes():
            self._forget()
        if size_bytes <= self._most_bytes():
            self._kept[number] = found
            self._kept_bytes += size_bytes
