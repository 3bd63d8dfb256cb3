"""`mem0.utils.scoring`, `.lemmatization` and `.entity_extraction`, by isomem's own rules.

Lemmas and entities are spaCy's, as mem0's, if spaCy and its English model are installed. Without
them, where mem0 finds nothing, they are those of isomem's own tier.
"""

from __future__ import annotations

from isomem.contract.limits import ENTITY_WEIGHT
from isomem.contract.scoring import Signals, normalize_bm25, rank, sigmoid_for
from isomem.errors import DependencyError
from isomem.text.tiers import load_tier

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from isomem.ports.shapes import Nlp

__all__ = [
    "ENTITY_BOOST_WEIGHT",
    "extract_entities",
    "extract_entities_batch",
    "get_bm25_params",
    "lemmatize_for_bm25",
    "normalize_bm25",
    "score_and_rank",
]

ENTITY_BOOST_WEIGHT = ENTITY_WEIGHT

_tier: list[Nlp] = []


def _nlp() -> Nlp:
    if not _tier:
        try:
            _tier.append(load_tier("spacy"))
        except DependencyError:
            _tier.append(load_tier("builtin"))
    return _tier[0]


def lemmatize_for_bm25(text: str) -> str:
    """The lemmas of a text, for a keyword search."""
    return _nlp().lemmatize(text)


def extract_entities(text: str) -> list[tuple[str, str]]:
    """The entities of a text, each with its kind: PROPER, QUOTED, COMPOUND or NOUN."""
    return _nlp().entities(text)


def extract_entities_batch(
    texts: Iterable[str], batch_size: int = 32
) -> list[list[tuple[str, str]]]:
    """One list for each text, in order. `batch_size` changes nothing here."""
    del batch_size
    return _nlp().entities_batch([*texts])


def get_bm25_params(query: str, *, lemmatized: str | None = None) -> tuple[float, float]:
    """Midpoint and steepness of the curve that makes a BM25 score a number in 0..1.

    Args:
        query: is lemmatized if `lemmatized` is None.
        lemmatized: the lemmas of the query.
    """
    return sigmoid_for(lemmatize_for_bm25(query) if lemmatized is None else lemmatized)


def score_and_rank(
    semantic_results: Iterable[Mapping[str, Any]],
    bm25_scores: Mapping[str, float],
    entity_boosts: Mapping[str, float],
    threshold: float,
    top_k: int,
) -> list[dict[str, Any]]:
    """The best candidates, best first, as `{"id", "score", "payload"}`.

    Args:
        semantic_results: dicts with "id", "score" and "payload". One without an id is left out.
        bm25_scores: by id, in 0..1.
        entity_boosts: what entities add, by id.
        threshold: the least semantic score.
        top_k: how many; a negative number leaves that many out at the end.
    """
    nearest: list[tuple[str, Any]] = [
        (str(each["id"]), _Candidate(each))
        for each in semantic_results
        if each.get("id") is not None
    ]
    signals = Signals(nearest, bm25_scores, entity_boosts)
    return [
        {"id": one.memory_id, "score": one.score, "payload": one.hit.payload}
        for one in rank(signals, threshold, top_k)
    ]


class _Candidate:
    """A dict as the ranking wants it."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.id = given["id"]
        self.score = given.get("score", 0.0)
        self.payload = given.get("payload")
