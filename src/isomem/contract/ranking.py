"""The fused ranking: similarity, keywords and dates in one score, then the context of a memory.

Of a memory `i` in its scope, for one query:

* `similarity`, D: the cosine of query and memory, both minus the mean of the scope's vectors, from
  -1 to 1. What all memories of a scope have in common says nothing about any of them. The mean
  counts `PRIOR_MEMORIES` more memories at zero, so that it means little in a small scope.
* `keywords`, W: the share of the query's terms that the memory has, from 0 to 1: the sum over the
  terms t of idf_t * w_ti, divided by `HIGHEST_WEIGHT` times the sum of idf_t, where w_ti is the
  BM25 weight in the index, and idf_t = ln(1 + (N - n_t + 0.5) / (n_t + 0.5)) for a term in n_t of
  the N memories of the scope. A term that no memory has counts in the second sum.
* `period`, T: if the query names a day, a month or a year, how well the time of the memory fits,
  from 0 to 1: 0 before it, 1 in it, then less by the factor e for every `FADE_DAYS` days.

B = D + 2.0 * W + 0.5 * T. The context is that of a session: memories of one stored scope (user,
agent, run), in the order of their times, without a pause longer than `SESSION_GAP_S`. The longer a
memory, the less its context counts: p = min(1, `CONTEXT_TERMS` / the number of its terms).

* B' = B + 0.3 * p * max(0, the better B of the two neighbours in the session - B)
* S = (B' + 0.5 * p * the best B' of up to `CONTEXT_REACH` memories before and after it in its
  session, and its own) / (1 + 0.5 * p)

The score of a result is where S is between -1 and the highest S that the query could have, from 0
to 1: (1 + S) / (1 + highest). The highest is 1, plus 2.0 if a term of the query is known, plus 0.5
if a memory fits its period. What has nothing in common with the query has about 1 / (1 + highest).

The weights were tuned on conversations of LoCoMo. They are round numbers, and values near them
work as well (see docs/ranking.md).
"""

from __future__ import annotations

from array import array
from math import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from isomem.types import Hit, Payload, Vector

PRIOR_MEMORIES = 10
HIGHEST_WEIGHT = 2.2
"""The limit of the BM25 weight of a term, k + 1."""
KEYWORD_WEIGHT = 2.0
PERIOD_WEIGHT = 0.5
FADE_DAYS = 10
NEIGHBOR_SHARE = 0.3
CONTEXT_WEIGHT = 0.5
CONTEXT_REACH = 6
CONTEXT_TERMS = 40
SESSION_GAP_S = 3600


def keyword_factors(found: Sequence[int], texts: int) -> array[float]:
    """What the weight of each term in a memory is multiplied by, so that the sum is W.

    Args:
        found: for each distinct term of the query, how many memories of the scope have it.
        texts: how many memories the scope has.
    """
    frequencies = [log(1 + (texts - count + 0.5) / (count + 0.5)) for count in found]
    total = HIGHEST_WEIGHT * sum(frequencies)
    return array("d", [frequency / total for frequency in frequencies])


def context_part(terms: int) -> float:
    """Which part of its context counts for a memory of so many terms, repeats included."""
    return min(1.0, CONTEXT_TERMS / terms) if terms else 1.0


class Question:
    """What a store is asked for: the text of a query, its lemmas, and its vector."""

    __slots__ = ("lemmas", "text", "vector")

    def __init__(self, text: str, lemmas: str, vector: Vector) -> None:
        self.text = text
        self.lemmas = lemmas
        self.vector = vector


class Signals:
    """D, W and T of a memory, and its sums B and S."""

    __slots__ = ("base", "keywords", "period", "similarity", "total")

    def __init__(
        self, *, similarity: float, keywords: float, period: float, base: float, total: float
    ) -> None:
        self.similarity = similarity
        self.keywords = keywords
        self.period = period
        self.base = base
        self.total = total


class Found:
    """What a store has for a question.

    Attributes:
        best: memories and their signals, best first.
        highest: the highest S that the question could have.
    """

    __slots__ = ("best", "highest")

    def __init__(self, best: Sequence[tuple[Hit, Signals]], highest: float) -> None:
        self.best = best
        self.highest = highest


class Placed:
    """A result of the fused ranking."""

    __slots__ = ("_highest", "_signals", "hit", "memory_id", "score")

    def __init__(self, hit: Hit, signals: Signals, highest: float) -> None:
        self.hit = hit
        self.memory_id = str(hit.id)
        self.score = min(1.0, max(0.0, (1.0 + signals.total) / (1.0 + highest)))
        self._signals = signals
        self._highest = highest

    @property
    def payload(self) -> Payload:
        """The payload of the memory."""
        return self.hit.payload

    def details(self, threshold: float) -> dict[str, float]:
        """Where its score comes from.

        The first three and `context_score` add up to `raw_score`, which is S. `context_score` is
        what the memories around it change.
        """
        signals = self._signals
        return {
            "semantic_score": signals.similarity,
            "keyword_score": KEYWORD_WEIGHT * signals.keywords,
            "period_score": PERIOD_WEIGHT * signals.period,
            "context_score": signals.total - signals.base,
            "raw_score": signals.total,
            "max_possible_score": self._highest,
            "final_score": self.score,
            "threshold": threshold,
        }


def place(found: Found, threshold: float) -> list[Placed]:
    """The memories whose score is at least `threshold`, best first."""
    placed = (Placed(hit, signals, found.highest) for hit, signals in found.best)
    return [each for each in placed if each.score >= threshold]


def highest_sum(*, has_keywords: bool, has_period: bool) -> float:
    """The highest S that a question could have."""
    return 1.0 + KEYWORD_WEIGHT * has_keywords + PERIOD_WEIGHT * has_period
