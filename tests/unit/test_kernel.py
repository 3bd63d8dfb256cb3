"""The kernel gives the same results compiled and as it is, and they are the right ones."""

from __future__ import annotations

import importlib.util
import math
from array import array
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isomem import kernel

SOURCE = kernel.__file__.rpartition("kernel")[0] + "kernel.py"


def interpreted() -> ModuleType:
    spec = importlib.util.spec_from_file_location("kernel_as_it_is", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PLAIN = interpreted()
BOTH = pytest.mark.parametrize("form", [kernel, PLAIN], ids=["installed", "as it is"])
EXAMPLES = settings(max_examples=200, deadline=None)

scores = st.lists(st.sampled_from([-1.0, 0.0, 0.25, 0.5]) | st.floats(-1, 1), max_size=40)
texts = st.lists(st.lists(st.integers(0, 70) | st.integers(0, 2**31), max_size=6), max_size=8)


def test_as_it_is_means_not_compiled() -> None:
    assert not PLAIN.COMPILED


@BOTH
@pytest.mark.parametrize(
    ("term", "number"),
    # Of the published test vectors of MurmurHash3 (x86, 32 bits) those with seed 0.
    [(b"", 0), (b"test", abs(0xBA6BD213 - 2**32)), (b"Hello, world!", abs(0xC0363E43 - 2**32)),
     (b"The quick brown fox jumps over the lazy dog", 0x2E4FF723)],
)  # fmt: skip
def test_a_term_has_the_number_of_its_hash(form: Any, term: bytes, number: int) -> None:
    assert form.term_number(term) == number


@EXAMPLES
@given(st.binary(max_size=40))
def test_both_forms_number_a_term_alike(term: bytes) -> None:
    assert kernel.term_number(term) == PLAIN.term_number(term)
    assert 0 <= kernel.term_number(term) <= 2**31


@pytest.mark.oracle
@EXAMPLES
@given(st.text(max_size=12))
def test_a_term_has_the_number_that_fastembed_gives_it(term: str) -> None:
    mmh3 = pytest.importorskip("mmh3")
    term = term.encode("utf-8", "replace").decode()
    assert kernel.term_number(term.encode()) == abs(mmh3.hash(term))


@EXAMPLES
@given(st.integers(1, 50), st.integers(1, 500))
def test_both_forms_weigh_a_term_alike(count: int, length: int) -> None:
    assert kernel.term_weight(count, length) == PLAIN.term_weight(count, length)


@BOTH
@EXAMPLES
@given(
    scores, st.integers(0, 12), st.booleans(), st.randoms(use_true_random=False),
    st.sampled_from([-math.inf, 0.0]),
)  # fmt: skip
def test_the_best_are_the_first_of_all_in_order(
    form: Any, given: list[float], room: int, some: bool, random: Any, floor: float
) -> None:
    rows = len(given)
    orders = random.sample(range(1, 1000), rows)
    keys = array("q", [random.randrange(1, 5) << 36 | order for order in orders])
    allowed = bytes(random.randrange(2) for _ in range(rows)) if some and rows else b""
    kept, order, found = (array(kind, bytes(8 * room)) for kind in "dqq")
    count = form.best(array("d", given), keys, (1 << 36) - 1, allowed, floor, kept, order, found)
    expected = sorted(
        (
            (given[row], orders[row], row)
            for row in range(rows)
            if given[row] > floor and (not allowed or allowed[row])
        ),
        reverse=True,
    )[:room]
    assert list(zip(kept[:count], order[:count], found[:count], strict=True)) == expected


@BOTH
@EXAMPLES
@given(texts, st.lists(st.integers(0, 70) | st.integers(0, 2**31), max_size=5, unique=True))
def test_a_text_scores_the_weights_of_the_terms_that_are_wanted(
    form: Any, given: list[list[int]], wanted: list[int]
) -> None:
    factors = [1.5 + term % 7 for term in wanted]
    numbers = array("I", [number for text in given for number in text])
    sizes = array("I", [4 * len(text) for text in given])
    found = array("d", bytes(8 * len(given)))
    counts = array("I", bytes(4 * len(wanted)))
    form.score_texts(numbers, sizes, array("I", wanted), array("d", factors), found, counts)
    for text, score in zip(given, found, strict=True):
        expected = 0.0
        for term, factor in zip(wanted, factors, strict=True):
            if term in text:
                expected += factor * PLAIN.term_weight(text.count(term), len(text))
        assert score == expected
    assert not any(counts)


# --- Coarse copies ------------------------------------------------------------------------------

DIMS = 5
finite = st.floats(-1, 1, width=32) | st.sampled_from([0.0, 1e-31, 1e-44, 1.0, -1.0])
vectors = st.lists(st.lists(finite, min_size=DIMS, max_size=DIMS), max_size=6)


def coarse(form: Any, given: list[list[float]]) -> tuple[list[int], array[float], array[float]]:
    numbers = array("f", [number for vector in given for number in vector])
    codes, scratch = memoryview(bytearray(len(numbers))).cast("b"), memoryview(bytearray(4 * DIMS))
    steps, lengths = (array("f", bytes(4 * len(given))) for _ in range(2))
    exact = memoryview(numbers.tobytes())
    form.coarsen(
        exact.cast("f"), exact.cast("i"), codes, steps, lengths,
        scratch.cast("f"), scratch.cast("i"),
    )  # fmt: skip
    return codes.tolist(), steps, lengths


@EXAMPLES
@given(vectors)
def test_a_coarse_copy_is_as_close_as_it_says_and_alike_in_both_forms(
    given: list[list[float]],
) -> None:
    codes, steps, lengths = coarse(kernel, given)
    assert (codes, steps, lengths) == coarse(PLAIN, given)
    for row, vector in enumerate(given):
        some = codes[row * DIMS : (row + 1) * DIMS]
        assert all(-127 <= code <= 127 for code in some)
        assert lengths[row] == pytest.approx(math.hypot(*some), rel=1e-6)
        for number, code in zip(vector, some, strict=True):
            assert abs(number - steps[row] * code) <= max(0.5001 * steps[row], PLAIN.NOTHING)


@BOTH
@EXAMPLES
@given(
    st.lists(st.tuples(st.integers(-999, 999), st.floats(0, 1, width=32), st.booleans())),
    st.booleans(), st.integers(0, 9), st.floats(-9, 9),
)  # fmt: skip
def test_the_rows_whose_upper_bound_is_high_enough_are_found(
    form: Any, given: list[tuple[int, float, bool]], some: bool, room: int, least: float
) -> None:
    products = array("d", [product for product, _, _ in given])
    steps = array("f", [step for _, step, _ in given])
    lengths = array("f", [2 * step for step in steps])
    allowed = bytes(allows for _, _, allows in given) if some else b""
    form.lower_bounds(products, steps, lengths, 0.25, 0.5, 1.5)
    distances = [step * (0.5 + 1.5 * length) for step, length in zip(steps, lengths, strict=True)]
    assert list(products) == pytest.approx([
        0.25 * product * step - distance
        for (product, step, _), distance in zip(given, distances, strict=True)
    ])  # fmt: skip
    rows = array("q", bytes(8 * room))
    count = form.reaching(products, steps, lengths, 0.5, 1.5, least, allowed, rows)
    close = [
        row for row, (lowest, distance) in enumerate(zip(products, distances, strict=True))
        if lowest + 2 * distance >= least - 1e-9 and (not allowed or allowed[row])
    ]  # fmt: skip
    clear = [row for row in close if products[row] + 2 * distances[row] >= least + 1e-9]
    assert len(clear) <= count <= len(close)
    assert set(rows[: min(count, room)]) <= set(close)
    if count <= room:
        assert set(clear) <= set(rows[:count])


@BOTH
def test_some_vectors_are_copied(form: Any) -> None:
    copies = array("f", bytes(4 * 6))
    form.gather(array("f", range(8)), 2, array("q", [3, 0, 3]), copies)
    assert list(copies) == [6, 7, 0, 1, 6, 7]
