"""A byte pair tokenizer of the kind of Llama 2: no split into words first, bytes for the rest.

A text becomes a list of pieces. It starts as single characters. Of all neighbouring pairs that
together are a piece of the vocabulary, the one that comes first in the order of merges becomes one
piece, until no pair is left. A character without a piece of its own becomes its bytes in UTF-8.
(Sennrich et al. 2016, https://aclanthology.org/P16-1162; Kudo 2018, https://aclanthology.org/D18-2012
for blanks as characters.)
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BLANK = "\u2581"
"""Stands for a space."""

_BYTES = 256
_MOST_WORDS = 4096
_LONGEST_WORD = 24
"""How many words are kept with their ids, and how long they may be: about 1 MB in all."""


class BytePairs:
    """A tokenizer; threads may share it.

    The order of merges follows from the pieces: the merged piece with the lower id comes first, and
    those of blanks alone come after all others. Of two ways to make the same piece, the one with
    the lower id on the left comes first, and of two places the one further left.

    Args:
        vocabulary: the id of every piece, counted from 0. A byte's piece is spelled `<0x0A>`.
        specials: pieces that are found in the text as they are spelled, before anything else. None
            of them is a part of another.

    Raises:
        KeyError: a byte or a special has no piece.
        ValueError: the ids are not those from 0 up to the number of pieces.
    """

    def __init__(self, vocabulary: Mapping[str, int], specials: tuple[str, ...] = ()) -> None:
        size = self._size = len(vocabulary)
        if sorted(vocabulary.values()) != list(range(size)):
            raise ValueError("the vocabulary's ids are not numbers from 0 without gaps")
        self._bytes = [vocabulary[f"<0x{byte:02X}>"] for byte in range(_BYTES)]
        self._specials = {special: vocabulary[special] for special in specials}
        unmerged = {*self._bytes, *self._specials.values()}
        # A piece of blanks alone is ranked behind all others; what is left over is its id.
        self._ranks = {
            piece: number + (0 if piece.strip(BLANK) else size)
            for piece, number in vocabulary.items()
            if number not in unmerged
        }
        self._words: dict[str, list[int]] = {}

    def ids(self, text: str) -> list[int]:
        """The ids of the pieces of a text, in their order; [] for an empty one.

        Takes about as long per character whatever the length of the text, and one word that is as
        long as the text only a little longer.

        Raises:
            UnicodeError: it has a lone surrogate.
        """
        found: list[int] = []
        for part, special in self._split(text):
            for word in _words(part):
                found += self._known(word)
            if special is not None:
                found.append(special)
        return found

    def _split(self, text: str) -> Iterator[tuple[str, int | None]]:
        """The parts between specials, each with the id of the special behind it."""
        start = 0
        after = {special: text.find(special) for special in self._specials}
        while after := {special: at for special, at in after.items() if at >= 0}:
            first = min(after, key=after.__getitem__)
            yield text[start : after[first]], self._specials[first]
            start = after[first] + len(first)
            after[first] = text.find(first, start)
        yield text[start:], None

    def _known(self, word: str) -> list[int]:
        """The ids of a word, which is made of pieces only once if it is short."""
        if len(word) > _LONGEST_WORD:
            return self._pieces(word)
        ids = self._words.get(word)
        if ids is None:
            ids = self._pieces(word)
            if len(self._words) >= _MOST_WORDS:
                self._words.clear()
            self._words[word] = ids
        return ids

    def _pieces(self, word: str) -> list[int]:
        """The ids of the pieces that are left when no pair can be merged any more."""
        ranks, end = self._merged(word)
        ids: list[int] = []
        at = 0
        while at < len(word):
            rank = ranks[at]
            if rank is None:
                ids += [self._bytes[byte] for byte in word[at].encode()]
            else:
                ids.append(rank % self._size)
            at = end[at]
        return ids

    def _merged(self, word: str) -> tuple[list[int | None], list[int]]:
        """The rank of the piece that starts at each place of a word, and where it ends.

        A place inside a piece keeps what it had before.
        """
        count = len(word)
        ranks = [*map(self._ranks.get, word)]
        end = [*range(1, count + 1)]
        before = [*range(-1, count)]  # Where the piece before starts.
        due = [self._pair(word, at, ranks, end) for at in range(count)]
        heap = [pair for pair in due if pair]
        heapify(heap)
        while heap:
            pair = heappop(heap)
            at = pair % count
            if due[at] != pair:
                continue  # One of its pieces is a part of another by now.
            middle = end[at]
            due[middle], stop = 0, end[middle]
            ranks[at], end[at], before[stop] = self._ranks[word[at:stop]], stop, at
            for start in (before[at], at) if at else (at,):
                pair = due[start] = self._pair(word, start, ranks, end)
                if pair:
                    heappush(heap, pair)
        return ranks, end

    def _pair(self, word: str, at: int, ranks: list[int | None], end: list[int]) -> int:
        """Two neighbours that may be merged, as a number; 0 if they may not. The least comes first.

        It consists of the rank of the merged piece, the id of the left one, and where that starts.
        """
        left, middle = ranks[at], end[at]
        if left is None or middle == len(word) or ranks[middle] is None:
            return 0
        rank = self._ranks.get(word[at : end[middle]])
        return 0 if rank is None else (rank * self._size + left % self._size) * len(word) + at


def _words(part: str) -> Iterator[str]:
    """The words of a part, each with all blanks before it.

    No piece has a blank behind another character, so none reaches from one word into the next.
    """
    blanks = 1  # Every part begins with one, as if a space were in front of it.
    words = part.replace(BLANK, " ").split(" ")
    for word in words:
        if word:
            yield BLANK * blanks + word
            blanks = 0
        blanks += 1
    if part and blanks > 1:
        yield BLANK * (blanks - 1)
