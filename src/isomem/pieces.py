"""Splits words into the pieces of a vocabulary, and adds up the rows of a table of vectors.

Compiled where `isomem.kernel` is (types are in `pieces.pxd`); otherwise it runs as Python. Both
give the same results.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import MutableSequence, Sequence

SPACE = 0x20
NUMBER_SIGN = 0x23

COMPILED = not __file__.endswith(".py")


def piece_hash(piece: bytes) -> int:
    """The number by which a piece of a word is looked up: FNV-1a, 32 bits."""
    state = 0x811C9DC5
    for at in range(len(piece)):
        state = ((state ^ piece[at]) * 0x01000193) & 0xFFFFFFFF
    return state


def word_pieces(
    text: bytes,
    slots: Sequence[int],
    offsets: Sequence[int],
    spelled: Sequence[int],
    unknown: int,
    most: int,
    states: MutableSequence[int],
    pieces: MutableSequence[int],
) -> int:
    """Splits words into the pieces of a vocabulary, the longest possible piece first.

    A piece that continues a word begins with "##" in the vocabulary. A word that cannot be split
    completely, or has more than `most` characters, is one unknown piece.

    Args:
        text: words in UTF-8, with spaces between them.
        slots: a hash table, its length a power of two: a piece plus 1, or 0. A piece is in the
            first free slot from its `piece_hash`.
        offsets: where each piece begins in `spelled`, and where the last one ends.
        spelled: the pieces in UTF-8, one after the other.
        unknown: the piece for an unknown word.
        most: characters of the longest word that is looked up.
        states: scratch space, one for each byte of the longest piece.
        pieces: written to. There is room for as many as `text` has bytes.

    Returns:
        How many pieces were found.
    """
    size = len(text)
    count = 0
    start = 0
    while start < size:
        end = start
        letters = 0
        while end < size and text[end] != SPACE:
            if text[end] & 0xC0 != 0x80:  # It begins a character.
                letters += 1
            end += 1
        if letters > most:
            pieces[count] = unknown
            count += 1
        elif letters:
            count = _split(
                text, start, end, slots, offsets, spelled, unknown, states, pieces, count
            )
        start = end + 1
    return count


def _split(
    text: bytes,
    start: int,
    end: int,
    slots: Sequence[int],
    offsets: Sequence[int],
    spelled: Sequence[int],
    unknown: int,
    states: MutableSequence[int],
    pieces: MutableSequence[int],
    count: int,
) -> int:
    """Adds the pieces of one word. Returns how many pieces there are now."""
    first = count
    at = start
    while at < end:
        sign = 2 if at > start else 0
        piece = _longest(text, at, end, sign, slots, offsets, spelled, states)
        if piece < 0:
            pieces[first] = unknown
            return first + 1
        pieces[count] = piece
        count += 1
        at += offsets[piece + 1] - offsets[piece] - sign
    return count


def _longest(
    text: bytes,
    at: int,
    end: int,
    sign: int,
    slots: Sequence[int],
    offsets: Sequence[int],
    spelled: Sequence[int],
    states: MutableSequence[int],
) -> int:
    """The longest piece that the text has at a place; -1 if there is none."""
    size = min(end - at, len(states))
    state = 0x16C89023 if sign else 0x811C9DC5  # After "##", and after nothing.
    for place in range(size):
        state = ((state ^ text[at + place]) * 0x01000193) & 0xFFFFFFFF
        states[place] = state
    mask = len(slots) - 1
    while size > 0:
        slot = states[size - 1] & mask
        while slots[slot]:
            piece = slots[slot] - 1
            if _is_spelled(text, at, size, sign, offsets[piece], offsets[piece + 1], spelled):
                return piece
            slot = (slot + 1) & mask
        size -= 1
    return -1


def _is_spelled(
    text: bytes, at: int, size: int, sign: int, first: int, end: int, spelled: Sequence[int]
) -> bool:
    """Whether a piece is this part of the text, with "##" before it if `sign` is 2."""
    if end - first != size + sign:
        return False
    for place in range(sign):
        if spelled[first + place] != NUMBER_SIGN:
            return False
    place = 0
    while place < size and spelled[first + sign + place] == text[at + place]:
        place += 1
    return place == size


def add_rows(
    rows: Sequence[int],
    width: int,
    weights: Sequence[int],
    pieces: Sequence[int],
    totals: MutableSequence[float],
) -> None:
    """Adds the rows of pieces, each times its weight, to `totals`.

    Args:
        rows: 8-bit numbers: `width` for each of `pieces`, in their order, with their sign.
        weights: of all pieces; whole numbers, so that the totals do not depend on the order.
        totals: written to; if they are fewer than `width`, the first numbers of a row count.
    """
    first = 0
    for number in range(len(pieces)):
        weight = weights[pieces[number]]
        for at in range(len(totals)):
            totals[at] += weight * rows[first + at]
        first += width


def divide_by_length(totals: MutableSequence[float]) -> None:
    """Makes a vector one of length 1, unless all its numbers are 0."""
    square = 0.0
    for at in range(len(totals)):
        square += totals[at] * totals[at]
    if square > 0.0:
        length = square**0.5
        for at in range(len(totals)):
            totals[at] = totals[at] / length
