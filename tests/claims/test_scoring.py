"""Three signals and one ranking: what mem0's scoring module does, and isomem's after it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.claims.sides import both, examples

Candidates = list[tuple[str, float]]


class Ours:
    """isomem's functions, under the names that the claims use."""

    def __init__(self) -> None:
        from isomem.contract import limits, scoring

        self.normalize = scoring.normalize_bm25
        self.sigmoid = scoring.sigmoid_for
        self.entity_weight = limits.ENTITY_WEIGHT
        self._scoring = scoring

    def rank(
        self,
        candidates: Candidates,
        words: dict[str, float],
        entities: dict[str, float],
        threshold: float = 0.0,
        top_k: int = 100,
    ) -> Candidates:
        nearest: Any = [(name, SimpleNamespace(score=score)) for name, score in candidates]
        signals = self._scoring.Signals(nearest, words, entities)
        ranked = self._scoring.rank(signals, threshold, top_k)
        return [(each.memory_id, each.score) for each in ranked]

    def boosts(self, hits: list[Any]) -> dict[str, float]:
        from contextlib import nullcontext

        from isomem.contract.plan import Mention
        from isomem.stores.linking import Links

        entities: Any = Entities(hits)
        links = Links(entities, entities, (), nullcontext)
        return links.boosts([Mention("PROPER", "Lisbon", set())], {})


class Theirs:
    """mem0's functions, under the same names."""

    def __init__(self) -> None:
        from mem0.utils import scoring

        self.normalize = scoring.normalize_bm25
        self.entity_weight = scoring.ENTITY_BOOST_WEIGHT
        self._module = scoring

    def sigmoid(self, lemmas: str) -> tuple[float, float]:
        found: tuple[float, float] = self._module.get_bm25_params("unread", lemmatized=lemmas)
        return found

    def rank(
        self,
        candidates: Candidates,
        words: dict[str, float],
        entities: dict[str, float],
        threshold: float = 0.0,
        top_k: int = 100,
    ) -> Candidates:
        given_ = [{"id": name, "score": score, "payload": {}} for name, score in candidates]
        ranked = self._module.score_and_rank(given_, words, entities, threshold, top_k)
        return [(hit["id"], hit["score"]) for hit in ranked]

    def boosts(self, hits: list[Any]) -> dict[str, float]:
        from mem0 import Memory

        memory = object.__new__(Memory)
        memory.embedding_model = SimpleNamespace(embed=lambda text, action: [1.0])
        memory._entity_store = Entities(hits)
        found: dict[str, float] = memory._compute_entity_boosts([("PROPER", "Lisbon")], {})
        return found


class Entities:
    """An entity store that has the same hits for every query."""

    def __init__(self, hits: list[Any]) -> None:
        self.hits = hits

    def search(self, **query: Any) -> list[Any]:
        return self.hits


def entity(similarity: float, linked: Any) -> Any:
    return SimpleNamespace(score=similarity, payload={"linked_memory_ids": linked})


side = both(Ours, Theirs)


# --- Keywords --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("terms", "midpoint", "steepness"),
    [(0, 5, 0.7), (2, 5, 0.7), (3, 5, 0.7), (4, 7, 0.6), (6, 7, 0.6), (7, 9, 0.5), (9, 9, 0.5),
     (10, 10, 0.5), (15, 10, 0.5), (16, 12, 0.5), (90, 12, 0.5)],
)  # fmt: skip
def test_longer_queries_need_more_raw_score(
    side: Any, terms: int, midpoint: float, steepness: float
) -> None:
    assert side.sigmoid(" ".join(f"w{n}" for n in range(terms))) == (midpoint, steepness)


@examples(60)
@given(st.integers(0, 60), st.integers(1, 5))
def test_spaces_between_terms_are_not_counted(side: Any, terms: int, spaces: int) -> None:
    words = ["mint"] * terms
    assert side.sigmoid((" " * spaces).join(words)) == side.sigmoid(" ".join(words))


@examples(60)
@given(st.sampled_from([(5.0, 0.7), (7.0, 0.6), (9.0, 0.5), (12.0, 0.5)]))
def test_the_midpoint_is_one_half(side: Any, sigmoid: tuple[float, float]) -> None:
    assert side.normalize(sigmoid[0], *sigmoid) == 0.5


@examples(200)
@given(st.floats(0, 500), st.floats(0, 500), st.integers(0, 30))
def test_a_keyword_score_stays_in_0_to_1_and_never_falls_as_the_raw_one_rises(
    side: Any, raw: float, more: float, terms: int
) -> None:
    sigmoid = side.sigmoid("oak " * terms)
    lower, higher = side.normalize(raw, *sigmoid), side.normalize(raw + more, *sigmoid)
    assert 0 <= lower <= higher <= 1


@pytest.mark.parametrize(("raw", "least", "most"), [(0, 0.02, 0.04), (2, 0.1, 0.12), (18, 0.99, 1)])
def test_a_short_query_is_all_but_decided_by_18_points(
    side: Any, raw: float, least: float, most: float
) -> None:
    assert least < side.normalize(raw, *side.sigmoid("oak table")) < most


# --- Entities --------------------------------------------------------------------------------


def test_an_entity_adds_half_a_point_at_most(side: Any) -> None:
    assert side.entity_weight == 0.5
    assert side.boosts([entity(1.0, ["m"])]) == {"m": 0.5}


@pytest.mark.parametrize(
    ("links", "share"), [(1, 1), (2, 1 / 1.001), (11, 1 / 1.1), (101, 1 / 11), (1001, 1 / 1001)]
)
def test_each_further_link_of_an_entity_damps_its_boost(
    side: Any, links: int, share: float
) -> None:
    boosts = side.boosts([entity(0.8, [f"m{n}" for n in range(links)])])
    assert boosts == {f"m{n}": pytest.approx(0.4 * share) for n in range(links)}


def test_an_entity_counts_from_a_similarity_of_one_half_on(side: Any) -> None:
    assert side.boosts([entity(0.4999, ["far"]), entity(0.5, ["near"])]) == {"near": 0.25}


def test_of_two_entities_of_a_memory_the_stronger_counts_in_any_order(side: Any) -> None:
    weak, strong = entity(0.6, ["m"]), entity(0.9, ["m"])
    assert side.boosts([weak, strong]) == side.boosts([strong, weak]) == {"m": 0.45}


@pytest.mark.parametrize("linked", [[], ["", None], None, "m", {"m": 1}])
def test_an_entity_without_links_boosts_nothing(side: Any, linked: Any) -> None:
    assert side.boosts([entity(1.0, linked)]) == {}


# --- The ranking -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "entities", "score"),
    [
        ({}, {}, 0.6),
        ({"m": 0.4}, {}, (0.6 + 0.4) / 2),
        ({}, {"m": 0.3}, (0.6 + 0.3) / 1.5),
        ({"m": 0.4}, {"m": 0.3}, (0.6 + 0.4 + 0.3) / 2.5),
        ({"other": 0.4}, {}, 0.6 / 2),
        ({}, {"other": 0.4}, 0.6 / 1.5),
        ({"other": 0.0}, {"other": 0.0}, 0.6 / 2.5),
    ],
)
def test_a_score_is_the_sum_over_what_this_search_could_have_given(
    side: Any, words: dict[str, float], entities: dict[str, float], score: float
) -> None:
    assert side.rank([("m", 0.6)], words, entities) == [("m", pytest.approx(score))]


def test_words_and_entities_can_turn_the_order_round(side: Any) -> None:
    candidates = [("near", 0.7), ("named", 0.6)]
    assert [name for name, _ in side.rank(candidates, {"named": 0.8}, {})] == ["named", "near"]
    assert [name for name, _ in side.rank(candidates, {}, {"named": 0.4})] == ["named", "near"]


def test_nothing_helps_a_candidate_below_the_threshold(side: Any) -> None:
    candidates = [("below", 0.29), ("at", 0.3), ("above", 0.31)]
    ranked = side.rank(candidates, {"below": 1.0}, {"below": 0.5}, threshold=0.3)
    assert [name for name, _ in ranked] == ["above", "at"]


def test_the_threshold_is_not_asked_of_the_combined_score(side: Any) -> None:
    assert side.rank([("m", 0.5)], {"other": 1.0}, {}, threshold=0.4) == [("m", 0.25)]


def test_a_sum_beyond_what_is_possible_is_cut_to_one(side: Any) -> None:
    assert side.rank([("m", 1.0)], {"m": 1.4}, {"m": 0.7}) == [("m", 1.0)]


def test_no_candidates_have_no_ranking(side: Any) -> None:
    assert side.rank([], {"m": 1.0}, {"m": 0.5}) == []


_names = [f"m{number}" for number in range(9)]
_signal = st.dictionaries(st.sampled_from(_names), st.floats(0, 1))


@examples(150)
@given(st.lists(st.floats(0, 1), max_size=9), _signal, _signal, st.floats(0, 1), st.integers(0, 12))
def test_a_ranking_is_the_top_of_all_that_pass_in_falling_order(
    side: Any, scores: Any, words: Any, entities: Any, threshold: float, top_k: int
) -> None:
    candidates = list(zip(_names, scores, strict=False))
    everything = side.rank(candidates, words, entities, threshold)
    assert sorted(everything, key=lambda hit: hit[1], reverse=True) == everything
    assert {name for name, _ in everything} == {n for n, score in candidates if score >= threshold}
    assert side.rank(candidates, words, entities, threshold, top_k) == everything[:top_k]


@examples(80)
@given(st.permutations(_names), st.floats(0, 1))
def test_a_tie_stands_as_the_store_gave_it(side: Any, names: list[str], score: float) -> None:
    ranked = side.rank([(name, score) for name in names], {}, {})
    assert [name for name, _ in ranked] == names
