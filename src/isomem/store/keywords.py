"""Keyword statistics of a collection: the vocabulary, and in how many texts each term stands."""

from __future__ import annotations

from math import log

from isomem.digest import md5_hex

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Protocol

    from isomem.ports import Payload
    from isomem.store.database import Database

    class TermEncoder(Protocol):
        """Encodes a text as weighted terms, by the rules of a language."""

        language: str
        stopwords: frozenset[str]

        def encode(self, text: str) -> dict[str, float]: ...


_COUNT = (
    "INSERT INTO terms (term, collection, documents) VALUES (?, ?, ?)"
    " ON CONFLICT (term, collection) DO UPDATE SET documents = documents + excluded.documents"
    " RETURNING number"
)
_UNCOUNT = "UPDATE terms SET documents = documents - 1 WHERE number = ?"
_FIND = "SELECT number, documents FROM terms WHERE term = ? AND collection = ?"
_COUNT_TEXTS = "UPDATE collections SET documents = documents + ? WHERE number = ?"


def indexed_text(payload: Payload) -> str | None:
    """The text of a payload that keywords are taken from; None when it has none."""
    return payload.get("text_lemmatized") or payload.get("data") or None


class Keywords:
    """The terms of one collection. Every method runs in the caller's transaction."""

    def __init__(self, database: Database, collection: int, encoder: TermEncoder) -> None:
        self._database = database
        self._collection = collection
        self._encoder = encoder
        # Texts that were indexed by other rules must be indexed anew.
        rules = md5_hex(" ".join(sorted(encoder.stopwords)))
        self.identity = f"bm25 {encoder.language} {rules}"

    def index(self, texts: list[str | None]) -> list[dict[int, float] | None]:
        """Counts the terms of new texts; their weights by term number, None for no text."""
        encoded = [None if text is None else self._encoder.encode(text) for text in texts]
        occurrences: dict[str, int] = {}
        for weights in encoded:
            for term in weights or ():
                occurrences[term] = occurrences.get(term, 0) + 1
        numbers = {term: self._count(term, times) for term, times in occurrences.items()}
        self._count_texts(sum(weights is not None for weights in encoded))
        return [
            None if weights is None else {numbers[term]: weights[term] for term in weights}
            for weights in encoded
        ]

    def _count(self, term: str, times: int) -> int:
        number: int = self._database.rows(_COUNT, (term, self._collection, times))[0][0]
        return number

    def _count_texts(self, times: int) -> None:
        self._database.execute(_COUNT_TEXTS, (times, self._collection))

    def forget(self, numbers: Iterable[int]) -> None:
        """Takes the terms of one text out of the counts."""
        self._database.execute_many(_UNCOUNT, ((number,) for number in numbers))
        self._count_texts(-1)

    def clear(self) -> None:
        """Forgets every term of the collection."""
        self._database.execute("DELETE FROM terms WHERE collection = ?", (self._collection,))
        self._database.execute(
            "UPDATE collections SET documents = 0 WHERE number = ?", (self._collection,)
        )

    def query(self, text: str) -> dict[int, float]:
        """The terms of a query: weight times inverse document frequency, by term number.

        The frequency is over the whole collection, whatever scope is searched, as in upstream's
        store: ln((N - n + 0.5) / (n + 0.5) + 1) for a term in n of N texts.
        """
        sql = "SELECT documents FROM collections WHERE number = ?"
        texts = self._database.rows(sql, (self._collection,))[0][0]
        known = self._known(self._encoder.encode(text))
        return {
            number: weight * log((texts - containing + 0.5) / (containing + 0.5) + 1)
            for number, weight, containing in known
        }

    def _known(self, weights: Mapping[str, float]) -> Iterable[tuple[int, float, int]]:
        for term, weight in weights.items():
            for number, containing in self._database.rows(_FIND, (term, self._collection)):
                yield number, weight, containing
