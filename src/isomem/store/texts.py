"""The terms of the texts of a scope in memory."""

from __future__ import annotations

from array import array

from isomem import kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

_MARKS = 4096
"""Numbers of terms are told apart by so many remainders at first."""


class Texts:
    """The terms of texts, each in its row.

    Attributes:
        size_bytes: what they take, at most.
    """

    __slots__ = ("_numbers", "_sizes")

    def __init__(self) -> None:
        self._numbers = bytearray()
        self._sizes = array("I")

    @property
    def size_bytes(self) -> int:
        return len(self._numbers) + self._sizes.itemsize * len(self._sizes)

    def extend(self, texts: Sequence[bytes]) -> None:
        """Adds rows: the packed term numbers of each text."""
        self._numbers += b"".join(texts)
        self._sizes += array("I", [*map(len, texts)])

    def replace(self, row: int, text: bytes | bytearray) -> None:
        """Stores another text in a row."""
        if row < len(self._sizes) // 2:
            start = sum(self._sizes[:row])
        else:
            start = len(self._numbers) - sum(self._sizes[row:])
        self._numbers[start : start + self._sizes[row]] = text
        self._sizes[row] = len(text)

    def remove(self, row: int) -> None:
        """Removes a row; the last one takes its place."""
        last = len(self._numbers) - self._sizes[-1]
        self.replace(row, self._numbers[last:])
        del self._numbers[len(self._numbers) - self._sizes[-1] :]
        del self._sizes[-1]

    def lengths(self, start: int) -> Iterator[int]:
        """How many terms each row has, from the row `start` on."""
        return (size // 4 for size in self._sizes[start:])

    def scores(self, wanted: array[int], factors: array[float]) -> Any:
        """For each row, the sum of the weights of the wanted terms in it, times their factors."""
        # One block as large as the scores, not two as from bytes: glibc would give the second
        # back to the system each time, and each search would wait for its pages again.
        scores: Any = memoryview(bytearray(8 * len(self._sizes))).cast("d")
        counts = array("I", bytes(4 * len(wanted)))
        numbers = memoryview(self._numbers).cast("I")
        kernel.score_texts(numbers, self._sizes, wanted, factors, scores, counts)
        return scores

    def shares(
        self, wanted: array[int], factors: Callable[[Sequence[int], int], array[float]]
    ) -> Any:
        """As `scores`, but the factors depend on how many rows have each term.

        Args:
            wanted: the terms to look for.
            factors: makes them from the numbers of rows that have each term, and of all rows.

        Returns:
            None if no row has any of the terms.
        """
        if not wanted:
            return None
        numbers = memoryview(self._numbers).cast("I")
        counts, found = array("I", bytes(4 * len(wanted))), array("I", bytes(4 * len(wanted)))
        # Only what is written to takes memory.
        postings: Any = memoryview(bytearray(12 * len(numbers))).cast("I")
        marks = bytearray(_MARKS)
        end = kernel.find_terms(numbers, self._sizes, wanted, marks, counts, found, postings)
        if not end:
            return None
        scores: Any = memoryview(bytearray(8 * len(self._sizes))).cast("d")
        kernel.score_postings(postings, end, self._sizes, factors(found, len(self._sizes)), scores)
        return scores
