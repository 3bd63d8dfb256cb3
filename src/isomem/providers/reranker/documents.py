"""Documents that a reranker orders: dicts with a text, and afterwards a `rerank_score`."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    Document = dict[str, Any]

FALLBACK_SCORE = 0.0
"""The score of every document if the reranker failed."""


def text_of(document: Document) -> object:
    """The text of one document: what is under "memory", "text" or "content", or all of it."""
    for name in ("memory", "text", "content"):
        if name in document:
            return document[name]
    return str(document)


def with_score(document: Document, score: float) -> Document:
    """A copy of the document with its score."""
    return {**document, "rerank_score": score}


def by_score(
    documents: Sequence[Document], scores: Sequence[float], most: int | None
) -> list[Document]:
    """Copies of the documents with their scores, the best first; equal ones keep their order."""
    pairs = sorted(zip(documents, scores, strict=True), key=lambda pair: pair[1], reverse=True)
    return [with_score(document, float(score)) for document, score in pairs[: most or None]]


def unranked(
    name: str, documents: Sequence[Document], most: int | None, error: Exception
) -> list[Document]:
    """Copies of the documents in the order in which they came, with a warning of the reason."""
    from isomem import log

    log.warning("The reranker %s failed; the results keep their order: %s", name, error)
    return [with_score(document, FALLBACK_SCORE) for document in documents[: most or None]]
