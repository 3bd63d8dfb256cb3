"""The fused ranking's arithmetic: factors of terms, and the scale of the scores."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomem.contract.ranking import Found, Signals, highest_sum, keyword_factors, place
from isomem.kernel import term_weight

totals = st.floats(-1, 3.5)


def found(*sums: float, highest: float) -> Found:
    hits: list[Any] = [SimpleNamespace(id=number) for number in range(len(sums))]
    zero = {"similarity": 0.0, "keywords": 0.0, "period": 0.0, "base": 0.0}
    return Found(
        [(hit, Signals(**zero, total=total)) for hit, total in zip(hits, sums, strict=True)],
        highest,
    )


@given(st.lists(st.integers(0, 50), min_size=1, max_size=8), st.integers(50, 1000))
def test_a_memory_with_every_term_gets_at_most_one(counts: list[int], texts: int) -> None:
    factors = keyword_factors(counts, texts)
    assert all(factor > 0 for factor in factors)
    assert sum(factors) * term_weight(1e9, 1) == pytest.approx(1.0, abs=1e-3)
    by_rarity = sorted(zip(counts, factors, strict=True))
    assert [factor for _, factor in by_rarity] == sorted(factors, reverse=True)


def test_a_term_that_nobody_has_counts_in_what_could_be_found() -> None:
    assert keyword_factors([1, 0], 10)[0] < keyword_factors([1], 10)[0]
    expected = math.log(1 + 9.5 / 1.5)
    assert keyword_factors([1], 10)[0] == pytest.approx(1 / 2.2)
    assert keyword_factors([1, 1], 10)[0] == pytest.approx(expected / (2 * 2.2 * expected))


@pytest.mark.parametrize(
    ("keywords", "period", "highest"),
    [(False, False, 1.0), (True, False, 3.0), (False, True, 1.5), (True, True, 3.5)],
)
def test_the_highest_sum_is_that_of_what_the_question_has(
    keywords: bool, period: bool, highest: float
) -> None:
    assert highest_sum(has_keywords=keywords, has_period=period) == highest
    best, none, opposite = place(found(highest, 0.0, -1.0, highest=highest), 0.0)
    assert (best.score, opposite.score) == (1.0, 0.0)
    assert none.score == pytest.approx(1 / (1 + highest))


@given(st.lists(totals, max_size=8), st.floats(0, 1))
def test_scores_are_in_the_order_of_the_sums_and_the_threshold_cuts_the_end(
    sums: list[float], threshold: float
) -> None:
    sums = sorted(sums, reverse=True)
    everything = place(found(*sums, highest=3.0), 0.0)
    scores = [each.score for each in everything]
    assert [each.memory_id for each in everything] == [str(at) for at in range(len(sums))]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    kept = place(found(*sums, highest=3.0), threshold)
    assert [each.score for each in kept] == [score for score in scores if score >= threshold]
