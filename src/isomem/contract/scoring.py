"""Scores: how three signals become one ranking. Pure arithmetic on plain values."""

from __future__ import annotations

from math import exp
from operator import itemgetter

from isomem.contract.limits import ENTITY_WEIGHT, LINK_DAMPING, LONGEST_SIGMOID, SIGMOIDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from isomem.types import Hit


def sigmoid_for(lemmatized_query: str) -> tuple[float, float]:
    """Midpoint and steepness for a query of that many terms.

    Raw BM25 scores grow with the number of terms, so the midpoint grows with it.
    """
    terms = len(lemmatized_query.split()) if lemmatized_query else 1
    return next((sigmoid for most, sigmoid in SIGMOIDS if terms <= most), LONGEST_SIGMOID)


def normalize_bm25(raw: float, midpoint: float, steepness: float) -> float:
    """A raw BM25 score as a number in 0..1: the logistic function around `midpoint`."""
    return 1.0 / (1.0 + exp(-steepness * (raw - midpoint)))


def entity_boost(similarity: float, links: int) -> float:
    """What one matched entity adds to each memory it links to.

    The square of the number of links damps it: an entity that is everywhere says little.
    """
    others = max(links, 1) - 1
    return similarity * ENTITY_WEIGHT / (1.0 + LINK_DAMPING * others**2)


class Signals:
    """What the stores say about one query; a ranking orders the candidates by it.

    Attributes:
        nearest: the candidates, as (id, hit); the hit's score is the semantic signal.
        keyword: BM25 scores by memory id, normalized to 0..1.
        entity: what the entities of the query add to a memory, by memory id.
    """

    __slots__ = ("entity", "keyword", "nearest")

    def __init__(
        self,
        nearest: Sequence[tuple[str, Hit]],
        keyword: Mapping[str, float],
        entity: Mapping[str, float],
    ) -> None:
        self.nearest = nearest
        self.keyword = keyword
        self.entity = entity

    def most_possible(self) -> float:
        """The highest sum that the signals present can give, whether a candidate reaches it or not.

        It is 1, plus 1 if there are keywords, plus `ENTITY_WEIGHT` if there are entities.
        """
        return 1.0 + bool(self.keyword) + ENTITY_WEIGHT * bool(self.entity)


class Ranked:
    """One hit of a ranking, with its score and the signals behind it."""

    __slots__ = ("_signals", "hit", "memory_id", "score")

    def __init__(self, memory_id: str, hit: Hit, score: float, signals: Signals) -> None:
        self.memory_id = memory_id
        self.hit = hit
        self.score = score
        self._signals = signals

    @property
    def semantic(self) -> float:
        """The similarity of its vector to the query's."""
        return self.hit.score

    @property
    def keyword(self) -> float:
        """Its BM25 score, normalized to 0..1; 0.0 if it shares no word with the query."""
        return self._signals.keyword.get(self.memory_id, 0.0)

    @property
    def entity(self) -> float:
        """What the entities of the query add; 0.0 if it shares none of them."""
        return self._signals.entity.get(self.memory_id, 0.0)

    def details(self, threshold: float) -> dict[str, float]:
        """Where its score comes from, under the names of mem0 since 2.0.5."""
        return {
            "semantic_score": self.semantic,
            "bm25_score": self.keyword,
            "entity_boost": self.entity,
            "raw_score": self.semantic + self.keyword + self.entity,
            "max_possible_score": self._signals.most_possible(),
            "final_score": self.score,
            "threshold": threshold,
        }


def rank(signals: Signals, threshold: float, top_k: int) -> list[Ranked]:
    """The best `top_k` candidates, best first.

    A candidate whose semantic signal is below `threshold` is dropped, whatever its other signals.
    The score is the sum of the signals divided by the highest possible sum, and at most 1. Equal
    scores keep the order of the candidates.
    """
    possible = signals.most_possible()
    keyword, entity = signals.keyword.get, signals.entity.get
    scored = []
    for memory_id, hit in signals.nearest:
        semantic = hit.score
        if semantic >= threshold:
            score = (semantic + keyword(memory_id, 0.0) + entity(memory_id, 0.0)) / possible
            scored.append((min(1.0, score), memory_id, hit))
    scored.sort(key=itemgetter(0), reverse=True)
    return [Ranked(memory_id, hit, score, signals) for score, memory_id, hit in scored[:top_k]]
