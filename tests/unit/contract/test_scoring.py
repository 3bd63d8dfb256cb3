"""Three signals become one ranking."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomem.contract.scoring import (
    Ranked,
    Signals,
    entity_boost,
    normalize_bm25,
    rank,
    sigmoid_for,
)
from tests.unit.store.fuzz import examples


class Found:
    """A hit of some store; the semantic signal is its score."""

    def __init__(self, memory_id: str, score: float) -> None:
        self.id = memory_id
        self.score = score
        self.payload: dict[str, Any] = {}


def ranked(
    semantic: Iterable[tuple[str, float]],
    keyword: Mapping[str, float],
    entity: Mapping[str, float],
    threshold: float,
    top_k: int,
) -> list[tuple[float, str]]:
    """The scores and ids of a ranking."""
    found = ranking(semantic, keyword, entity, threshold, top_k)
    assert [each.hit.id for each in found] == [each.memory_id for each in found]
    return [(each.score, each.memory_id) for each in found]


def ranking(
    semantic: Iterable[tuple[str, float]],
    keyword: Mapping[str, float],
    entity: Mapping[str, float],
    threshold: float,
    top_k: int,
) -> list[Ranked]:
    nearest = [(name, Found(name, score)) for name, score in semantic]
    return rank(Signals(nearest, keyword, entity), threshold, top_k)


@pytest.mark.parametrize(
    ("terms", "sigmoid"),
    [
        (0, (5.0, 0.7)), (1, (5.0, 0.7)), (3, (5.0, 0.7)), (4, (7.0, 0.6)), (6, (7.0, 0.6)),
        (7, (9.0, 0.5)), (9, (9.0, 0.5)), (10, (10.0, 0.5)), (15, (10.0, 0.5)), (16, (12.0, 0.5)),
        (500, (12.0, 0.5)),
    ],
)  # fmt: skip
def test_the_sigmoid_follows_the_number_of_terms(terms: int, sigmoid: tuple[float, float]) -> None:
    assert sigmoid_for(" ".join(["tea"] * terms)) == sigmoid


def test_a_raw_score_at_the_midpoint_is_one_half() -> None:
    assert normalize_bm25(5.0, 5.0, 0.7) == 0.5
    assert normalize_bm25(0.0, 5.0, 0.7) == pytest.approx(1 / (1 + math.exp(3.5)))
    assert normalize_bm25(1e6, 5.0, 0.7) == 1.0


def test_an_entity_that_is_everywhere_tells_little() -> None:
    assert entity_boost(1.0, 1) == 0.5
    assert entity_boost(0.8, 0) == entity_boost(0.8, 1) == 0.4
    assert entity_boost(1.0, 2) == pytest.approx(0.5 / 1.001)
    assert entity_boost(1.0, 101) == pytest.approx(0.5 / 11)
    boosts = [entity_boost(1.0, links) for links in range(1, 300)]
    assert boosts == sorted(boosts, reverse=True)


def test_signals_are_divided_by_what_was_possible_in_this_search() -> None:
    candidates = [("a", 0.6), ("b", 0.5)]
    assert ranked(candidates, {}, {}, 0.0, 9) == [(0.6, "a"), (0.5, "b")]
    assert ranked(candidates, {"b": 0.9}, {}, 0.0, 9) == [(0.7, "b"), (0.3, "a")]
    assert ranked(candidates, {}, {"b": 0.4}, 0.0, 9) == [(0.9 / 1.5, "b"), (0.6 / 1.5, "a")]
    both = ranked(candidates, {"b": 0.9}, {"b": 0.4}, 0.0, 9)
    assert both == [((0.5 + 0.9 + 0.4) / 2.5, "b"), (0.6 / 2.5, "a")]
    # A signal for a memory that is no candidate counts in the division all the same.
    assert ranked(candidates, {"z": 0.9}, {}, 0.0, 9)[0] == (0.3, "a")


def test_a_hit_says_what_its_score_was_made_from() -> None:
    first, second = ranking([("a", 0.6), ("b", 0.5)], {"b": 0.9}, {"b": 0.4, "z": 0.1}, 0.0, 9)
    assert (first.semantic, first.keyword, first.entity) == (0.5, 0.9, 0.4)
    assert (second.semantic, second.keyword, second.entity) == (0.6, 0.0, 0.0)


def test_the_threshold_looks_at_the_semantic_score_alone() -> None:
    candidates = [("a", 0.1), ("b", 0.0999), ("c", -0.5)]
    assert ranked(candidates, {"b": 1.0}, {"b": 0.5}, 0.1, 9) == [(0.1 / 2.5, "a")]
    assert [found for _, found in ranked(candidates, {}, {}, 0.0, 9)] == ["a", "b"]


def test_no_score_is_above_one() -> None:
    assert ranked([("a", 1.0000001)], {}, {}, 0.1, 9) == [(1.0, "a")]


def test_equal_scores_keep_the_order_of_the_candidates() -> None:
    candidates = [(name, 0.5) for name in "dacb"]
    assert [found for _, found in ranked(candidates, {}, {}, 0.1, 3)] == ["d", "a", "c"]
    assert ranked(candidates, {}, {}, 0.1, 0) == []


_unit = st.floats(0, 1)
_ids = st.sampled_from("abcdef")


@examples(200)
@given(
    st.dictionaries(_ids, _unit),
    st.dictionaries(_ids, _unit),
    st.dictionaries(_ids, st.floats(0, 0.5)),
    _unit,
    st.integers(0, 8),
)
def test_a_ranking_is_sorted_bounded_and_fair(
    semantic: dict[str, float], keywords: Any, boosts: Any, threshold: float, top_k: int
) -> None:
    found = ranking(semantic.items(), keywords, boosts, threshold, top_k)
    scores = [each.score for each in found]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    passing = [key for key, value in semantic.items() if value >= threshold]
    assert len(found) == min(top_k, len(passing))
    assert {each.memory_id for each in found} <= set(passing)
    possible = 1.0 + bool(keywords) + 0.5 * bool(boosts)
    for each in found:
        total = each.semantic + each.keyword + each.entity
        assert each.score == min(1.0, total / possible)


@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore")
@examples(200)
@given(
    st.lists(st.tuples(_ids, st.floats(-1, 1)), unique_by=lambda pair: pair[0]),
    st.dictionaries(_ids, _unit),
    st.dictionaries(_ids, st.floats(0, 0.5)),
    _unit,
    st.integers(0, 8),
    st.integers(0, 20),
    st.floats(0, 60),
)
def test_scores_are_upstreams_to_the_last_bit(
    semantic: Any, keywords: Any, boosts: Any, threshold: float, top_k: int, terms: int, raw: float
) -> None:
    upstream = pytest.importorskip("mem0.utils.scoring")
    lemmas = " ".join(["tea"] * terms)
    assert sigmoid_for(lemmas) == upstream.get_bm25_params(lemmas, lemmatized=lemmas)
    midpoint, steepness = sigmoid_for(lemmas)
    expected = upstream.normalize_bm25(raw, midpoint, steepness)
    assert normalize_bm25(raw, midpoint, steepness) == expected
    candidates = [{"id": key, "score": score, "payload": {}} for key, score in semantic]
    theirs = upstream.score_and_rank(
        semantic_results=candidates,
        bm25_scores=keywords,
        entity_boosts=boosts,
        threshold=threshold,
        top_k=top_k,
    )
    ours = ranked(semantic, keywords, boosts, threshold, top_k)
    assert ours == [(hit["score"], hit["id"]) for hit in theirs]
