"""The terms of texts in memory: where they are kept and where they are looked for, alike."""

from __future__ import annotations

from array import array
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomem import kernel
from isomem.store import uncompiled
from isomem.store.best import compiled_best
from isomem.store.form import ScopeTexts, best
from isomem.store.texts import Texts
from isomem.store.uncompiled import SearchedTexts, sorted_best
from tests.unit.store.fuzz import examples

# Some occur across the border of two others: 0x01010101 in two of itself, 5 in (5 << 8, 0).
_number = st.sampled_from((0x01010101, 0x02010101, 0x01020101, 5, 5 << 8, 0, 2**31))
_text = st.lists(_number, max_size=5)
_wanted = st.lists(_number, max_size=5, unique=True)
_change = st.one_of(
    st.tuples(st.just("extend"), st.lists(_text, max_size=3)),
    st.tuples(st.just("replace"), st.integers(0, 99), _text),
    st.tuples(st.just("remove"), st.integers(0, 99)),
    st.tuples(st.just("score"), _wanted),
)


def packed(text: list[int]) -> bytes:
    return array("I", text).tobytes()


def expected(rows: list[list[int]], wanted: list[int]) -> list[float]:
    scores = []
    for row in rows:
        score = 0.0
        for number in wanted:
            if number in row:
                score += (1.5 + number % 7) * kernel.term_weight(row.count(number), len(row))
        scores.append(score)
    return scores


def scores(held: Texts, wanted: list[int]) -> list[float]:
    factors = array("d", [1.5 + number % 7 for number in wanted])
    found: list[float] = held.scores(array("I", wanted), factors).tolist()
    return found


@pytest.mark.parametrize("kept_bytes", [0, 100, 10_000])
@pytest.mark.parametrize("kind", [Texts, SearchedTexts])
@examples(100)
@given(changes=st.lists(_change, max_size=20), wanted=_wanted)
def test_every_row_scores_the_weights_of_its_terms_after_any_changes(
    kind: type[Texts], kept_bytes: int, changes: list[Any], wanted: list[int]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uncompiled, "_KEPT_BYTES", kept_bytes)
        held, rows = kind(), []
        for change, *values in changes:
            if change == "extend":
                held.extend([*map(packed, values[0])])
                rows += values[0]
            elif change == "score":
                assert scores(held, values[0]) == expected(rows, values[0])
            elif rows and change == "replace":
                held.replace(values[0] % len(rows), packed(values[1]))
                rows[values[0] % len(rows)] = values[1]
            elif rows:
                held.remove(values[0] % len(rows))
                rows[values[0] % len(rows)] = rows[-1]
                del rows[-1]
            assert scores(held, wanted) == expected(rows, wanted)


@examples(100)
@given(rows=st.lists(_text, max_size=30), asked=st.lists(_wanted, max_size=9), more=_text)
def test_what_is_kept_of_searches_is_bounded_and_in_the_size(
    rows: list[list[int]], asked: list[list[int]], more: list[int]
) -> None:
    held = SearchedTexts()
    held.extend([*map(packed, rows)])
    size_bytes = held.size_bytes
    for wanted in asked:
        scores(held, wanted)
        held.extend([packed(more)])
        size_bytes += 4 + uncompiled._KEPT_BYTES + 4 * len(more)
        assert held.size_bytes == size_bytes
        kept = [each for postings in held._kept.values() for each in postings]
        taken = sum(memoryview(each).nbytes for each in kept) + 300 * len(held._kept)
        assert taken == held._kept_bytes <= uncompiled._KEPT_BYTES * len(held._sizes)


def test_what_the_kernel_does_is_done_otherwise_only_where_it_is_not_compiled() -> None:
    assert (ScopeTexts, best) == (
        (Texts, compiled_best) if kernel.COMPILED else (SearchedTexts, sorted_best)
    )
