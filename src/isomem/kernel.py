"""The loops that take most of a search's time, and the numbers that terms are stored as.

If there was a compiler when isomem was installed, this file is compiled (types are in
`kernel.pxd`). Otherwise it runs as Python. Both give the same results.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import MutableSequence, Sequence

INFINITY = float("inf")
K1 = 1.2
B = 0.75
AVERAGE_LENGTH = 256.0
NOTHING = 1e-30
"""Smaller numbers of a vector are 0 in its coarse copy, if it has no larger ones."""
ROUNDER = 12582912.0
ROUNDER_BITS = 0x4B400000
"""The bits of `ROUNDER` as a float32."""

COMPILED = not __file__.endswith(".py")


def term_weight(count: float, length: float) -> float:
    """The BM25 weight of a term that occurs `count` times among the `length` terms of a text.

    ``f * (k + 1) / (f + k * (1 - b + b * n / avg_len))``, with fastembed's order of operations, so
    that the floats are equal to the last bit.
    """
    return count * (K1 + 1.0) / (count + K1 * (1.0 - B + B * length / AVERAGE_LENGTH))


def term_number(term: bytes) -> int:
    """The number of a term, 0 to 2**31: the absolute MurmurHash3 (x86, 32 bits, seed 0).

    fastembed numbers terms the same way. Two terms with the same number are one term, there and
    here.
    """
    length = len(term)
    whole = length - length % 4
    state = 0
    at = 0
    while at < whole:
        block = term[at] | term[at + 1] << 8 | term[at + 2] << 16 | term[at + 3] << 24
        state ^= _scramble(block)
        state = ((state << 13) | (state >> 19)) & 0xFFFFFFFF
        state = (state * 5 + 0xE6546B64) & 0xFFFFFFFF
        at += 4
    block = 0
    at = length
    while at > whole:
        at -= 1
        block = block << 8 | term[at]
    state ^= _scramble(block) ^ length
    state = ((state ^ (state >> 16)) * 0x85EBCA6B) & 0xFFFFFFFF
    state = ((state ^ (state >> 13)) * 0xC2B2AE35) & 0xFFFFFFFF
    state ^= state >> 16
    return state if state < 0x80000000 else 0x100000000 - state


def _scramble(block: int) -> int:
    block = (block * 0xCC9E2D51) & 0xFFFFFFFF
    block = ((block << 15) | (block >> 17)) & 0xFFFFFFFF
    return (block * 0x1B873593) & 0xFFFFFFFF


def scale_to_unit(numbers: MutableSequence[float], least: float) -> float:
    """Divides the numbers by their length as a vector, unless that is at most `least`.

    Returns:
        The length.
    """
    total = 0.0
    size = len(numbers)
    for at in range(size):
        number = numbers[at]
        total += number * number
    length: float = total**0.5
    if least < length < INFINITY:
        for at in range(size):
            numbers[at] = numbers[at] / length
    return length


def score_texts(
    numbers: Sequence[int],
    sizes: Sequence[int],
    wanted: Sequence[int],
    factors: Sequence[float],
    scores: MutableSequence[float],
    counts: MutableSequence[int],
) -> None:
    """Adds to each text's score the weights of the wanted terms in it, times their factors.

    Args:
        numbers: the term numbers of all texts, one text after the other.
        sizes: bytes that each text takes in `numbers`, four for a term.
        wanted: the numbers to look for.
        factors: one for each of `wanted`.
        scores: written to, one for each text; a text without any wanted term keeps its score.
        counts: scratch space, one for each of `wanted`; zeros before and after.
    """
    texts = len(sizes)
    terms = len(wanted)
    seen = 0
    for term in range(terms):
        seen |= 1 << (wanted[term] & 31)
    start = 0
    for text in range(texts):
        end = start + sizes[text] // 4
        found = 0
        for at in range(start, end):
            number = numbers[at]
            if seen >> (number & 31) & 1:
                for term in range(terms):
                    if wanted[term] == number:
                        counts[term] += 1
                        found += 1
        if found:
            length = end - start
            for term in range(terms):
                if counts[term]:
                    scores[text] += factors[term] * term_weight(counts[term], length)
                    counts[term] = 0
        start = end


def best(
    scores: Sequence[float],
    row_keys: Sequence[int],
    order_mask: int,
    allowed: Sequence[int],
    floor: float,
    kept: MutableSequence[float],
    order: MutableSequence[int],
    rows: MutableSequence[int],
) -> int:
    """The highest scores above `floor`, highest first; among equal scores, the later insertion.

    Args:
        scores: one for each row.
        row_keys: the row key of each row.
        order_mask: the bits of a row key that hold the insertion order.
        allowed: for each row, 0 excludes it; empty allows all rows.
        kept, order, rows: written to: scores, insertion orders and rows of the best ones, as many
            as fit.

    Returns:
        How many were found.
    """
    room = len(kept)
    everything = len(allowed) == 0
    count = 0
    # Backwards, so that the rows of a tie come in the right order.
    for row in range(len(scores) - 1, -1, -1):
        score = scores[row]
        if score <= floor or (count == room and (room == 0 or score < kept[0])):
            continue
        if not (everything or allowed[row]):
            continue
        inserted = row_keys[row] & order_mask
        if count < room:
            _rise(kept, order, rows, count, score, inserted, row)
            count += 1
        elif score > kept[0] or inserted > order[0]:
            _sink(kept, order, rows, count, score, inserted, row)
    last = count - 1
    while last > 0:
        score, inserted, row = kept[last], order[last], rows[last]
        kept[last], order[last], rows[last] = kept[0], order[0], rows[0]
        _sink(kept, order, rows, last, score, inserted, row)
        last -= 1
    return count


def _rise(
    kept: MutableSequence[float],
    order: MutableSequence[int],
    rows: MutableSequence[int],
    at: int,
    score: float,
    inserted: int,
    row: int,
) -> None:
    """Adds an item at the end of a heap whose worst item is first, and moves it up."""
    while at > 0:
        above = (at - 1) // 2
        if score > kept[above] or (score == kept[above] and inserted > order[above]):
            break
        kept[at], order[at], rows[at] = kept[above], order[above], rows[above]
        at = above
    kept[at], order[at], rows[at] = score, inserted, row


def _sink(
    kept: MutableSequence[float],
    order: MutableSequence[int],
    rows: MutableSequence[int],
    count: int,
    score: float,
    inserted: int,
    row: int,
) -> None:
    """Replaces the first item of a heap of `count` items, and moves the new one down."""
    at = 0
    while True:
        below = 2 * at + 1
        if below >= count:
            break
        if below + 1 < count and (
            kept[below + 1] < kept[below]
            or (kept[below + 1] == kept[below] and order[below + 1] < order[below])
        ):
            below += 1
        if score < kept[below] or (score == kept[below] and inserted < order[below]):
            break
        kept[at], order[at], rows[at] = kept[below], order[below], rows[below]
        at = below
    kept[at], order[at], rows[at] = score, inserted, row


def coarsen(
    numbers: Sequence[float],
    patterns: Sequence[int],
    codes: MutableSequence[int],
    steps: MutableSequence[float],
    lengths: MutableSequence[float],
    scratch: MutableSequence[float],
    bits: MutableSequence[int],
) -> None:
    """Writes vectors as 8-bit codes: each number to the nearest multiple of its vector's step.

    A number differs from its code times the step by at most 0.5001 steps, or by `NOTHING` if all
    numbers of its vector are that small.

    Args:
        numbers: float32, of all vectors, one vector after the other.
        patterns: the same bytes as int32.
        codes: written to, -127 to 127, one for each number.
        steps: written to, one for each vector.
        lengths: written to, the lengths of the codes as vectors.
        scratch: float32, as many as a vector has.
        bits: the same bytes as int32.
    """
    dims = len(scratch)
    start = 0
    for row in range(len(steps)):
        # Floats without their sign are in the order of their bits, which the compiler can compare
        # many at a time.
        most = 0
        for at in range(dims):
            pattern = patterns[start + at] & 0x7FFFFFFF
            most = max(most, pattern)
        bits[0] = most
        largest = scratch[0]
        steps[row] = largest / 127.0 if largest > NOTHING else 0.0
        inverse = 1.0 / steps[row] if steps[row] > 0.0 else 0.0
        # Near `ROUNDER`, the last bit of a float32 is worth 1.
        for at in range(dims):
            scratch[at] = numbers[start + at] * inverse + ROUNDER
        total = 0
        for at in range(dims):
            code = bits[at] - ROUNDER_BITS
            codes[start + at] = code
            total += code * code
        lengths[row] = total**0.5
        start += dims


def lower_bounds(
    products: MutableSequence[float],
    steps: Sequence[float],
    lengths: Sequence[float],
    factor: float,
    share: float,
    per_length: float,
) -> None:
    """Turns products of codes into lower bounds of the products of the vectors themselves.

    Args:
        products: with the codes of one query; written to, one for each row.
        steps, lengths: of the rows, from `coarsen`.
        factor: the step of the query.
        share, per_length: the bound's distance from the coarse product, in steps of a row: one
            part that all rows have, and one for each unit of a row's length.
    """
    for row in range(len(products)):
        distance = share + per_length * lengths[row]
        products[row] = steps[row] * (factor * products[row] - distance)


def reaching(
    lowest: Sequence[float],
    steps: Sequence[float],
    lengths: Sequence[float],
    share: float,
    per_length: float,
    least: float,
    allowed: Sequence[int],
    rows: MutableSequence[int],
) -> int:
    """The rows whose upper bound is at least `least`.

    Args:
        lowest: the lower bounds, from `lower_bounds`; the other arguments as there.
        allowed: for each row, 0 excludes it; empty allows all rows.
        rows: written to, as many as fit.

    Returns:
        How many there are; more than fit if they do not fit.
    """
    room = len(rows)
    everything = len(allowed) == 0
    count = 0
    for row in range(len(lowest)):
        distance = share + per_length * lengths[row]
        if lowest[row] + 2.0 * steps[row] * distance >= least and (everything or allowed[row]):
            if count < room:
                rows[count] = row
            count += 1
    return count


def gather(
    numbers: Sequence[float], dims: int, rows: Sequence[int], copies: MutableSequence[float]
) -> None:
    """Copies some vectors, one after the other, as many as there are in `rows`."""
    to = 0
    for at in range(len(rows)):
        start = rows[at] * dims
        for place in range(start, start + dims):
            copies[to] = numbers[place]
            to += 1
