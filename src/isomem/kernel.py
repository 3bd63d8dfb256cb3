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
"""If all numbers of a vector are smaller than this, its coarse copy is 0."""
ROUNDER = 12582912.0
ROUNDER_BITS = 0x4B400000
"""The bits of `ROUNDER` as a float32."""
E = 2.718281828459045
LEAST_SQUARE = 1e-9
"""Of the distance between a unit vector and a mean that differ: float32 is no more exact."""

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


# --- The fused ranking -----------------------------------------------------------------------


def add_vectors(numbers: Sequence[float], start: int, totals: MutableSequence[float]) -> None:
    """Adds vectors to `totals`, one number for each dimension.

    Args:
        numbers: vectors, one after the other.
        start: the number of the first one to add.
        totals: written to.
    """
    dims = len(totals)
    for vector in range(start, len(numbers) // dims):
        first = vector * dims
        for at in range(dims):
            totals[at] += numbers[first + at]


def invert_distances(
    offsets: Sequence[float], mean_square: float, inverses: MutableSequence[float]
) -> None:
    """For each unit vector, 1 / its distance from the mean; 0 if it is the mean.

    Args:
        offsets: the product of each vector with the mean.
        mean_square: the product of the mean with itself.
        inverses: written to.
    """
    for row in range(len(offsets)):
        square = 1.0 - 2.0 * offsets[row] + mean_square
        inverses[row] = square**-0.5 if square > LEAST_SQUARE else 0.0


def find_terms(
    numbers: Sequence[int],
    sizes: Sequence[int],
    wanted: Sequence[int],
    marks: MutableSequence[int],
    counts: MutableSequence[int],
    found: MutableSequence[int],
    postings: MutableSequence[int],
) -> int:
    """Finds the wanted terms in texts.

    Args:
        numbers, sizes, wanted, counts: as for `score_texts`.
        marks: scratch space: zeros, a power of two of them.
        found: written to: how many texts have each of the wanted terms.
        postings: written to, three numbers each: a text, the place of a term in `wanted`, and how
            often the text has it. There is room for one posting for each of `numbers`.

    Returns:
        How many numbers were written to `postings`.
    """
    terms = len(wanted)
    mask = len(marks) - 1
    for term in range(terms):
        marks[wanted[term] & mask] = 1
    start = 0
    at_posting = 0
    for text in range(len(sizes)):
        end = start + sizes[text] // 4
        any_found = 0
        for at in range(start, end):
            number = numbers[at]
            if marks[number & mask]:
                for term in range(terms):
                    if wanted[term] == number:
                        counts[term] += 1
                        any_found = 1
        if any_found:
            for term in range(terms):
                if counts[term]:
                    postings[at_posting] = text
                    postings[at_posting + 1] = term
                    postings[at_posting + 2] = counts[term]
                    at_posting += 3
                    found[term] += 1
                    counts[term] = 0
        start = end
    return at_posting


def score_postings(
    postings: Sequence[int],
    end: int,
    sizes: Sequence[int],
    factors: Sequence[float],
    scores: MutableSequence[float],
) -> None:
    """Adds to each text's score the weights of the terms found in it, times their factors.

    Args:
        postings, end: what `find_terms` wrote and returned.
        sizes: as for `score_texts`.
        factors: one for each of the wanted terms.
        scores: written to, one for each text.
    """
    for at in range(0, end, 3):
        text = postings[at]
        weight = term_weight(postings[at + 2], sizes[text] // 4)
        scores[text] += factors[postings[at + 1]] * weight


def center_products(
    products: MutableSequence[float],
    offsets: Sequence[float],
    inverses: Sequence[float],
    shift: float,
    scale: float,
) -> None:
    """Turns products of a query with unit vectors into cosines of both minus the mean.

    Args:
        products: written to; the cosines are from -1 to 1.
        offsets, inverses: of the vectors, see `invert_distances`.
        shift: the product of the mean with itself, minus the product of query and mean.
        scale: 1 / the distance of the query from the mean.
    """
    for row in range(len(products)):
        cosine = (products[row] - offsets[row] + shift) * inverses[row] * scale
        products[row] = max(-1.0, min(1.0, cosine))


def add_weighted(scores: MutableSequence[float], others: Sequence[float], weight: float) -> None:
    """Adds `others`, times `weight`, to `scores`."""
    for row in range(len(scores)):
        scores[row] += weight * others[row]


def find_period(
    moments: Sequence[float], first: float, end: float, fade: float, shares: MutableSequence[float]
) -> None:
    """How well each moment fits a period: 0 before it, 1 in it, then less and less.

    After the end of the period, the share falls by the factor e for every `fade`.

    Args:
        moments: in the unit of the other times; minus infinity fits no period.
        first: where the period begins.
        end: where it has ended.
        shares: written to.
    """
    for row in range(len(moments)):
        moment = moments[row]
        if moment < first:
            shares[row] = 0.0
        elif moment < end:
            shares[row] = 1.0
        else:
            shares[row] = E ** ((end - moment) / fade)


def number_sessions(
    order: Sequence[int],
    row_keys: Sequence[int],
    moments: Sequence[float],
    order_bits: int,
    gap: float,
    sessions: MutableSequence[int],
) -> None:
    """Divides rows into sessions: rows of one stored scope without a longer pause.

    Args:
        order: the rows, by scope and time.
        row_keys, moments: of each row.
        order_bits: how many bits of a row key are the insertion order; the others are the scope.
        gap: the longest pause within a session. An unknown moment, minus infinity, is a session
            of its own.
        sessions: written to: the number of the session of each row, in the order of `order`.
    """
    number = 0
    before = 0
    for position in range(len(order)):
        row = order[position]
        if position > 0:
            same = row_keys[row] >> order_bits == row_keys[before] >> order_bits
            if not (same and moments[row] - moments[before] <= gap):
                number += 1
        sessions[position] = number
        before = row


def add_neighbors(
    order: Sequence[int],
    sessions: Sequence[int],
    scores: Sequence[float],
    allowed: Sequence[int],
    parts: Sequence[float],
    share: float,
    sums: MutableSequence[float],
) -> None:
    """Adds to the score of each row a share of what the better one beside it has more.

    Args:
        order, sessions: see `number_sessions`; only rows of one session are beside each other.
        scores: one for each row.
        allowed: for each row, 0 leaves it out; empty allows all rows.
        parts: which part of the share each row gets, 0 to 1.
        share: of the difference.
        sums: written to, one for each position in `order`; minus infinity if a row is left out.
    """
    rows = len(order)
    everything = len(allowed) == 0
    for position in range(rows):
        row = order[position]
        if not (everything or allowed[row]):
            sums[position] = -INFINITY
            continue
        best = scores[row]
        if position > 0 and sessions[position - 1] == sessions[position]:
            other = order[position - 1]
            if everything or allowed[other]:
                best = max(best, scores[other])
        if position + 1 < rows and sessions[position + 1] == sessions[position]:
            other = order[position + 1]
            if everything or allowed[other]:
                best = max(best, scores[other])
        sums[position] = scores[row] + share * parts[row] * (best - scores[row])


def average_with_best(
    order: Sequence[int],
    sessions: Sequence[int],
    scores: Sequence[float],
    reach: int,
    parts: Sequence[float],
    weight: float,
    sums: MutableSequence[float],
) -> None:
    """The weighted mean of the score of each row and the best one around it.

    Args:
        order, sessions: see `number_sessions`.
        scores: one for each position in `order`; minus infinity leaves a row out.
        reach: how many rows before and after are around a row, if they are in its session.
        parts: which part of the weight counts for each row, 0 to 1.
        weight: of the best score; that of the own score is 1.
        sums: written to, one for each row; one that is left out keeps its own.
    """
    rows = len(order)
    for position in range(rows):
        score = scores[position]
        if score == -INFINITY:
            continue
        best = score
        first = max(0, position - reach)
        end = min(rows, position + reach + 1)
        for around in range(first, end):
            if scores[around] > best and sessions[around] == sessions[position]:
                best = scores[around]
        row = order[position]
        own_weight = weight * parts[row]
        sums[row] = (score + own_weight * best) / (1.0 + own_weight)
