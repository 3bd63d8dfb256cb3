"""Keyword statistics of a collection: how many texts it has, and how many of them have each term.

The counts of most texts are in the file. Those of the latest insertions are not: every process
counts them in memory, from the points, until there are enough to be written together. Since many
texts share terms, that writes far less than counting each text on insertion.
"""

from __future__ import annotations

from array import array
from collections import Counter
from itertools import chain
from math import log

from isomem.digest import md5_hex
from isomem.store.codec import load_payload, load_terms
from isomem.store.row_keys import SEQ_BITS, SEQ_MASK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Protocol

    from isomem.ports.shapes import Payload
    from isomem.store.codec import Encoded
    from isomem.store.database import Database
    from isomem.store.row_keys import RowKeys

    class TermEncoder(Protocol):
        """Encodes a text as numbered terms, by the rules of a language."""

        language: str
        stopwords: frozenset[str]

        def packed(self, text: str) -> bytes: ...

        def encode(self, text: str) -> Mapping[int, float]: ...


COUNTED_EVERY = 512
"""How many insertions are counted together."""

_RECENT = (
    "SELECT p.collection, p.terms FROM insertions AS i"
    f" CROSS JOIN points AS p ON p.row_key = (i.scope << {SEQ_BITS} | i.seq)"
    " WHERE i.scope > 0 AND p.terms IS NOT NULL"
)
_COUNT = (
    "INSERT INTO terms VALUES (?, ?)"
    " ON CONFLICT (number) DO UPDATE SET documents = documents + excluded.documents"
)
_REMOVE = "DELETE FROM terms WHERE number = ? AND documents <= ?"
_COUNTED = "SELECT number, documents FROM terms WHERE number IN (SELECT value FROM json_each(?))"
_UNCOUNT = "UPDATE terms SET documents = documents - ?2 WHERE number = ?1"
_COUNT_TEXTS = "UPDATE collections SET documents = documents + ? WHERE number = ?"


def indexed_text(payload: Payload) -> str | None:
    """The text of a payload that keywords are taken from; None if there is none."""
    text = payload.get("text_lemmatized") or payload.get("data")
    return text if text and isinstance(text, str) else None


def rules_of(encoder: TermEncoder) -> str:
    """Identifies the rules of an encoder: texts that were indexed by other rules are reindexed."""
    stopwords = md5_hex(" ".join(sorted(encoder.stopwords)))
    return f"bm25/2 {encoder.language} {stopwords}"


def term_key(collection: int, number: int) -> int:
    """The row of a collection's term in the table `terms`."""
    return collection << 32 | number


def count_when_due(database: Database, row_keys: RowKeys, latest: Sequence[int]) -> None:
    """Counts all insertions if, with the latest ones (given by row key), there are enough."""
    first, last = latest[0] & SEQ_MASK, latest[-1] & SEQ_MASK
    if (first - 1) // COUNTED_EVERY == last // COUNTED_EVERY:
        return
    recent: dict[int, list[bytes]] = {}
    for collection, terms in database.rows(_RECENT):
        recent.setdefault(collection, []).append(terms)
    for collection, texts in recent.items():
        counts = Counter(chain.from_iterable(map(set, map(load_terms, texts))))
        keyed = [(term_key(collection, number), counts[number]) for number in sorted(counts)]
        database.execute_many(_COUNT, keyed)
        database.execute(_COUNT_TEXTS, (len(texts), collection))
    row_keys.remove_counted(last)


def are_stale(database: Database, collection: int, keywords: Keywords | None) -> bool:
    """Whether the texts of a collection were indexed by other rules than those of `keywords`."""
    sql = "SELECT keywords FROM collections WHERE number = ?"
    recorded: str = database.rows(sql, (collection,))[0][0]
    return recorded != _identity(keywords)


def _identity(keywords: Keywords | None) -> str:
    return keywords.identity if keywords else ""


def reconcile(database: Database, collection: int, keywords: Keywords | None) -> bool:
    """Reindexes the texts of a collection if they were indexed by other rules.

    Args:
        keywords: of the collection; None if keyword search is off.

    Returns:
        Whether anything was written.
    """
    if not are_stale(database, collection, keywords):
        return False
    sql = "UPDATE collections SET keywords = ? WHERE number = ?"
    database.execute(sql, (_identity(keywords), collection))
    if keywords:
        keywords.reindex()
    return True


def rarity(texts: int, containing: int) -> float:
    """The inverse document frequency of a term that is in so many of all texts."""
    return log((texts - containing + 0.5) / (containing + 0.5) + 1)


class Keywords:
    """The terms of one collection. Every method runs in the caller's transaction."""

    def __init__(
        self, database: Database, row_keys: RowKeys, collection: int, encoder: TermEncoder
    ) -> None:
        self._database = database
        self._row_keys = row_keys
        self._collection = collection
        self._encoder = encoder
        self.identity = rules_of(encoder)
        self._recent = _Recent()

    def terms(self, payload: Payload) -> bytes | None:
        """The terms that are stored for the text of a payload; None if it has no text."""
        text = indexed_text(payload)
        return self._encoder.packed(text) if text else None

    def inserted(self, rows: Sequence[Encoded]) -> None:
        """Counts the terms of points that were just stored, if this process counts them."""
        if self._is_current():
            for _, _, _, _, terms, _ in rows:
                if terms is not None:
                    self._recent.count(terms)

    def change(self, old: bytes | None, new: bytes | None, *, counted: bool) -> None:
        """Counts the terms of one text instead of those of another; None is no text.

        `counted`: whether the counts in the file include the old one.
        """
        if old == new:
            return
        less, more = _difference(old, new)
        texts = (new is not None) - (old is not None)
        if not counted:
            if self._is_current():
                self._recent.change(less, more, texts)
            return
        if less:
            self._uncount(dict.fromkeys(less, 1))
        if more:
            self._count(more)
        if texts:
            self._database.execute(_COUNT_TEXTS, (texts, self._collection))

    def remove_some(self, texts: Sequence[bytes]) -> None:
        """Takes texts out of the counts in the file; the others are counted again when needed."""
        self._recent.state = None
        if texts:
            self._uncount(Counter(chain.from_iterable(map(set, map(load_terms, texts)))))
            self._database.execute(_COUNT_TEXTS, (-len(texts), self._collection))

    def _uncount(self, counts: Mapping[int, int]) -> None:
        """Takes these off the counts in the file; a term without texts is removed."""
        keyed = [(term_key(self._collection, number), less) for number, less in counts.items()]
        self._database.execute_many(_REMOVE, keyed)
        self._database.execute_many(_UNCOUNT, keyed)

    def _count(self, numbers: Iterable[int]) -> None:
        keyed = [(term_key(self._collection, number), 1) for number in numbers]
        self._database.execute_many(_COUNT, keyed)

    def clear(self) -> None:
        """Forgets every term of the collection."""
        first, last = term_key(self._collection, 0), term_key(self._collection, 0xFFFFFFFF)
        self._database.execute("DELETE FROM terms WHERE number BETWEEN ? AND ?", (first, last))
        sql = "UPDATE collections SET documents = 0 WHERE number = ?"
        self._database.execute(sql, (self._collection,))
        self._recent.state = None

    def reindex(self) -> None:
        """Indexes and counts every text of the collection by the current rules."""
        self.clear()
        sql = "SELECT row_key FROM points WHERE collection = ?"
        for (row_key,) in self._database.rows(sql, (self._collection,)):
            sql = "SELECT payload FROM points WHERE row_key = ?"
            terms = self.terms(load_payload(self._database.rows(sql, (row_key,))[0][0]))
            sql = "UPDATE points SET terms = ? WHERE row_key = ?"
            self._database.execute(sql, (terms, row_key))
            self.change(None, terms, counted=True)
        self._row_keys.remove_all(self._collection)

    def query(self, text: str) -> tuple[array[int], array[float]]:
        """The query's terms that occur in some text, with weight times inverse document frequency.

        The frequency is that of the whole collection, whichever scope is searched, as in upstream's
        store.
        """
        recent = self._recent_counts()
        sql = "SELECT documents FROM collections WHERE number = ?"
        texts = self._database.rows(sql, (self._collection,))[0][0] + recent.texts
        numbers, factors = array("I"), array("d")
        weights = self._encoder.encode(text)
        counted = self._counted(weights)
        for number, weight in weights.items():
            containing = counted.get(number, 0) + recent.terms[number]
            if containing:
                numbers.append(number)
                factors.append(weight * rarity(texts, containing))
        return numbers, factors

    def weighted(self, text: str) -> tuple[array[int], array[float]]:
        """The query's terms, whether any text has them or not, with their weights alone."""
        weights = self._encoder.encode(text)
        return array("I", weights), array("d", weights.values())

    def wanted(self, text: str) -> array[int]:
        """The distinct terms of a query, whether any text has them or not."""
        return array("I", self._encoder.encode(text))

    def _counted(self, numbers: Iterable[int]) -> dict[int, int]:
        """In how many texts each term is, as counted in the file; those in none are left out."""
        keys = {term_key(self._collection, number): number for number in numbers}
        found = self._database.rows(_COUNTED, (f"[{','.join(map(str, keys))}]",))
        return {keys[key]: documents for key, documents in found}

    def _recent_counts(self) -> _Recent:
        state = self._state()
        if self._recent.state != state:
            recent = _Recent()
            for collection, terms in self._database.rows(_RECENT):
                if collection == self._collection:
                    recent.count(terms)
            recent.state = state
            self._recent = recent
        return self._recent

    def _is_current(self) -> bool:
        """Whether this process counts the latest insertions, and has counted all of them."""
        return self._recent.state == self._state()

    def _state(self) -> tuple[int, int]:
        return self._database.epoch, self._row_keys.counted


class _Recent:
    """The counts of the latest insertions. `state` is when they were correct; None means never."""

    __slots__ = ("state", "terms", "texts")

    def __init__(self) -> None:
        self.state: tuple[int, int] | None = None
        self.texts = 0
        self.terms = Counter[int]()

    def count(self, terms: bytes) -> None:
        self.texts += 1
        self.terms.update(set(load_terms(terms)))

    def change(self, less: Iterable[int], more: Iterable[int], texts: int) -> None:
        self.texts += texts
        for number in less:
            self.terms[number] -= 1
        for number in more:
            self.terms[number] += 1


def _difference(old: bytes | None, new: bytes | None) -> tuple[set[int], set[int]]:
    """The terms that only the old text has, and those that only the new one has."""
    before, after = set(load_terms(old or b"")), set(load_terms(new or b""))
    return before - after, after - before
