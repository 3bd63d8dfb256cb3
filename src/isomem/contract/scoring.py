"""Scores: how the three signals become one ranking. Pure arithmetic on plain values."""

from __future__ import annotations

from math import exp
from operator import itemgetter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import TypeVar

    Found = TypeVar("Found")

ENTITY_WEIGHT = 0.5
"""Most that an entity can add, before the division by what was possible."""

MATCH_SIMILARITY = 0.95
"""From this cosine similarity on, two entities in one scope are the same one."""

BOOST_SIMILARITY = 0.5
"""Entities less similar than this to one of the query's say nothing about a memory."""

# Number of query terms up to which the pair (midpoint, steepness) holds.
_SIGMOIDS = ((3, (5.0, 0.7)), (6, (7.0, 0.6)), (9, (9.0, 0.5)), (15, (10.0, 0.5)))
_LONGEST_SIGMOID = (12.0, 0.5)


def sigmoid_for(lemmatized_query: str) -> tuple[float, float]:
    """Midpoint and steepness that suit a query of that many terms.

    Raw BM25 scores grow with the number of terms, so the midpoint grows with it.
    """
    terms = len(lemmatized_query.split()) if lemmatized_query else 1
    return next((sigmoid for most, sigmoid in _SIGMOIDS if terms <= most), _LONGEST_SIGMOID)


def normalize_bm25(raw: float, midpoint: float, steepness: float) -> float:
    """A raw BM25 score as a number in 0..1: the logistic function around `midpoint`."""
    return 1.0 / (1.0 + exp(-steepness * (raw - midpoint)))


def entity_boost(similarity: float, links: int) -> float:
    """What one matched entity adds to each memory it links to.

    The square of the number of links damps it: an entity that is everywhere tells little.
    """
    others = max(links, 1) - 1
    return similarity * ENTITY_WEIGHT / (1.0 + 0.001 * others**2)


def rank(
    candidates: Iterable[tuple[str, float, Found]],
    keyword_scores: Mapping[str, float],
    boosts: Mapping[str, float],
    threshold: float,
    top_k: int,
) -> list[tuple[float, Found]]:
    """The best `top_k` candidates with their combined scores, best first.

    A candidate is (memory id, semantic score, anything). Those below `threshold` on the
    semantic score alone are out, whatever else speaks for them. The sum of the signals is
    divided by the most that the signals *present in this search* could give (1, plus 1 with
    keywords, plus `ENTITY_WEIGHT` with entities) and capped at 1. Equal scores keep the order
    of the candidates.
    """
    possible = 1.0 + bool(keyword_scores) + ENTITY_WEIGHT * bool(boosts)
    worded, boosted = keyword_scores.get, boosts.get
    scored = []
    for memory_id, semantic, found in candidates:
        if semantic >= threshold:
            score = (semantic + worded(memory_id, 0.0) + boosted(memory_id, 0.0)) / possible
            scored.append((min(1.0, score), found))
    scored.sort(key=itemgetter(0), reverse=True)
    return scored[:top_k]
