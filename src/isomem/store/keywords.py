"""Keyword statistics of a collection: how many texts it has, and in how many each term stands.

The counts of most texts are in the file. Those of the last arrivals are not: every process
counts them for itself, from the points, until there are enough to be counted together. Many
texts share terms, so that writes far less than counting each text as it comes.
"""

from __future__ import annotations

from array import array
from collections import Counter
from itertools import chain
from math import log

from isomem.digest import md5_hex
from isomem.kernel import SEQ_BITS
from isomem.store.codec import load_terms
from isomem.store.places import SEQ_MASK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Protocol

    from isomem.ports.shapes import Payload
    from isomem.store.database import Database
    from isomem.store.places import Places

    class TermEncoder(Protocol):
        """Encodes a text as numbered terms, by the rules of a language."""

        language: str
        stopwords: frozenset[str]

        def packed(self, text: str) -> bytes: ...

        def encode(self, text: str) -> Mapping[int, float]: ...


COUNTED_EVERY = 512
"""So many arrivals are counted together."""

_ARRIVED = (
    "SELECT p.collection, p.terms FROM arrivals AS a"
    f" CROSS JOIN points AS p ON p.place = (a.scope << {SEQ_BITS} | a.seq)"
    " WHERE a.scope > 0 AND p.terms IS NOT NULL"
)
_COUNT = (
    "INSERT INTO terms VALUES (?, ?)"
    " ON CONFLICT (number) DO UPDATE SET documents = documents + excluded.documents"
)
_UNCOUNT = "UPDATE terms SET documents = documents - ? WHERE number = ? RETURNING number, documents"
_COUNT_TEXTS = "UPDATE collections SET documents = documents + ? WHERE number = ?"


def indexed_text(payload: Payload) -> str | None:
    """The text of a payload that keywords are taken from; None when it has none."""
    return payload.get("text_lemmatized") or payload.get("data") or None


def rules_of(encoder: TermEncoder) -> str:
    """Names the rules of an encoder: texts that were indexed by other ones are reindexed."""
    stopwords = md5_hex(" ".join(sorted(encoder.stopwords)))
    return f"bm25/2 {encoder.language} {stopwords}"


def term_key(collection: int, number: int) -> int:
    """The row of a collection's term in the table `terms`."""
    return collection << 32 | number


def count_when_due(database: Database, places: Places, place: int) -> None:
    """Counts all arrivals, if the one at `place` is the latest and makes them enough."""
    seq = place & SEQ_MASK
    if seq % COUNTED_EVERY:
        return
    arrived: dict[int, list[bytes]] = {}
    for collection, terms in database.rows(_ARRIVED):
        arrived.setdefault(collection, []).append(terms)
    for collection, texts in arrived.items():
        counts = Counter(chain.from_iterable(map(set, map(load_terms, texts))))
        keyed = [(term_key(collection, number), counts[number]) for number in sorted(counts)]
        database.execute_many(_COUNT, keyed)
        database.execute(_COUNT_TEXTS, (len(texts), collection))
    places.leave_counted(seq)


class Keywords:
    """The terms of one collection. Every method runs in the caller's transaction."""

    def __init__(
        self, database: Database, places: Places, collection: int, encoder: TermEncoder
    ) -> None:
        self._database = database
        self._places = places
        self._collection = collection
        self._encoder = encoder
        self.identity = rules_of(encoder)
        self._recent = _Recent()

    def terms(self, text: str | None) -> bytes | None:
        """What is stored of a text: its terms; None for no text."""
        return None if text is None else self._encoder.packed(text)

    def arrive(self, terms: bytes | None) -> None:
        """Takes note of a text that was just stored."""
        recent = self._recent.state
        if terms is not None and recent is not None and recent == self._state():
            self._recent.count(terms)

    def leave(self, terms: bytes | None, *, counted: bool) -> None:
        """Takes a text out of the counts. `counted`: whether those in the file have it."""
        self.leave_some([terms] if counted and terms is not None else [])

    def leave_some(self, texts: Sequence[bytes]) -> None:
        """Takes texts out of the counts in the file; a term that no text has is removed."""
        self._recent.state = None
        if not texts:
            return
        counts = Counter(chain.from_iterable(map(set, map(load_terms, texts))))
        gone = [
            (key,)
            for number, less in counts.items()
            for key, left in self._database.rows(
                _UNCOUNT, (less, term_key(self._collection, number))
            )
            if left <= 0
        ]
        self._database.execute_many("DELETE FROM terms WHERE number = ?", gone)
        self._database.execute(_COUNT_TEXTS, (-len(texts), self._collection))

    def change(self, old: bytes | None, new: bytes | None, *, counted: bool) -> None:
        """Counts another text in the place of one."""
        self.leave(old, counted=counted)
        if counted and new is not None:
            self._add(new)

    def _add(self, terms: bytes) -> None:
        keys = ((term_key(self._collection, number), 1) for number in set(load_terms(terms)))
        self._database.execute_many(_COUNT, keys)
        self._database.execute(_COUNT_TEXTS, (1, self._collection))

    def clear(self) -> None:
        """Forgets every term of the collection."""
        first, last = term_key(self._collection, 0), term_key(self._collection, 0xFFFFFFFF)
        self._database.execute("DELETE FROM terms WHERE number BETWEEN ? AND ?", (first, last))
        sql = "UPDATE collections SET documents = 0 WHERE number = ?"
        self._database.execute(sql, (self._collection,))
        self._recent.state = None

    def recount(self, texts: Iterable[bytes]) -> None:
        """Counts all texts of the collection, after `clear`."""
        for terms in texts:
            self._add(terms)
        self._places.leave_all(self._collection)

    def query(self, text: str) -> tuple[array[int], array[float]]:
        """The terms of a query that some text has, and weight times inverse document frequency.

        The frequency is over the whole collection, whatever scope is searched, as in upstream's
        store: ln((N - n + 0.5) / (n + 0.5) + 1) for a term in n of N texts.
        """
        recent = self._recent_counts()
        sql = "SELECT documents FROM collections WHERE number = ?"
        texts = self._database.rows(sql, (self._collection,))[0][0] + recent.texts
        numbers, factors = array("I"), array("d")
        for number, weight in self._encoder.encode(text).items():
            containing = self._counted(number) + recent.terms[number]
            if containing:
                numbers.append(number)
                factors.append(weight * log((texts - containing + 0.5) / (containing + 0.5) + 1))
        return numbers, factors

    def _counted(self, number: int) -> int:
        sql = "SELECT documents FROM terms WHERE number = ?"
        found = self._database.rows(sql, (term_key(self._collection, number),))
        return found[0][0] if found else 0

    def _recent_counts(self) -> _Recent:
        state = self._state()
        if self._recent.state != state:
            recent = _Recent()
            for collection, terms in self._database.rows(_ARRIVED):
                if collection == self._collection:
                    recent.count(terms)
            recent.state = state
            self._recent = recent
        return self._recent

    def _state(self) -> tuple[int, int]:
        return self._database.epoch, self._places.generation


class _Recent:
    """The counts of the arrivals. `state` is when they were right; None is never."""

    __slots__ = ("state", "terms", "texts")

    def __init__(self) -> None:
        self.state: tuple[int, int] | None = None
        self.texts = 0
        self.terms = Counter[int]()

    def count(self, terms: bytes) -> None:
        self.texts += 1
        self.terms.update(set(load_terms(terms)))
