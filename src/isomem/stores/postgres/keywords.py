"""Keyword statistics of a collection: how many texts it has, and how many of them have each term.

A write only adds rows that say by how much a count changes, so that no write waits for another one
because of a common word. Readers add them up. Now and then the rows of a term are made one.
"""

from __future__ import annotations

from array import array
from collections import Counter
from itertools import chain
from random import randrange

from isomem.store.codec import load_payload, load_terms
from isomem.store.keywords import Keywords, rarity, rules_of
from isomem.stores.postgres.scopes import WRITING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from isomem.store.codec import Encoded
    from isomem.store.keywords import TermEncoder
    from isomem.stores.postgres.database import Database

TEXTS = -1
"""Stands for a term that every text has."""
FOLDED_EVERY = 512
"""One write in so many, chosen at random, makes the rows of common terms one. A process does not
count its own writes: many end long before that, and forks inherit the count."""
_FEW = 8
"""So many rows of a term are left as they are."""

_ADD = "INSERT INTO term_counts SELECT ?, * FROM unnest(?::bigint[], ?::bigint[])"
_SUM = (
    "SELECT number, sum(documents)::bigint FROM term_counts"
    " WHERE collection = ? AND number = ANY(?) GROUP BY number"
)
_FOLD = (
    "WITH many AS (SELECT number FROM term_counts WHERE collection = ?"
    f" GROUP BY number HAVING count(*) > {_FEW}),"
    " gone AS (DELETE FROM term_counts WHERE collection = ? AND number IN (SELECT number FROM many)"
    " RETURNING number, documents)"
    " INSERT INTO term_counts SELECT ?, number, sum(documents) FROM gone"
    " GROUP BY number HAVING sum(documents) <> 0"
)
_MAY_FOLD = "SELECT pg_try_advisory_xact_lock(?, ?)"
_FOLDING = 0x666F6C64
_TEXTS = "SELECT scope, seq, payload FROM points WHERE collection = ? AND (scope, seq) > (?, ?)"
_PAGE = 1000


class PostgresKeywords(Keywords):
    """The terms of one collection. Every method runs in the caller's transaction.

    Attributes:
        is_due: whether it is time to fold.
    """

    def __init__(self, database: Database, collection: int, encoder: TermEncoder) -> None:
        self._rows = database
        self._collection = collection
        self._encoder = encoder
        self.identity = rules_of(encoder)
        self.is_due = False
        self._latest: tuple[str, Mapping[int, float]] = ("", {})

    def inserted(self, rows: Sequence[Encoded]) -> None:
        """Counts the terms of points that were just stored."""
        texts = [terms for _, _, _, _, terms, _ in rows if terms is not None]
        self._change(_count(texts), len(texts))

    def change(self, old: bytes | None, new: bytes | None, *, counted: bool = True) -> None:
        """Counts the terms of one text instead of those of another; None is no text."""
        del counted
        if old == new:
            return
        counts = _count([new] if new is not None else [])
        counts.subtract(_count([old] if old is not None else []))
        self._change(counts, (new is not None) - (old is not None))

    def remove_some(self, texts: Sequence[bytes]) -> None:
        """Takes texts out of the counts."""
        counts = Counter[int]()
        counts.subtract(_count(texts))
        self._change(counts, -len(texts))

    def _change(self, counts: Mapping[int, int], texts: int) -> None:
        changed = {number: change for number, change in counts.items() if change}
        if texts:
            changed[TEXTS] = texts
        if changed:
            bindings = (self._collection, [*changed], [*changed.values()])
            self._rows.execute(_ADD, bindings)
            if randrange(FOLDED_EVERY) == 0:
                self.is_due = True

    def clear(self) -> None:
        """Forgets every term of the collection. The caller holds the lock `ALONE`."""
        self._rows.execute("DELETE FROM term_counts WHERE collection = ?", (self._collection,))

    def reindex(self) -> None:
        """Indexes and counts every text of the collection by the current rules.

        The caller holds the lock `ALONE`: what others write meanwhile would be counted twice, or
        get the terms of its old text.
        """
        self.clear()
        after = (0, 0)
        while some := self._rows.rows(
            f"{_TEXTS} ORDER BY scope, seq LIMIT {_PAGE}", (self._collection, *after)
        ):
            terms = [self.terms(load_payload(text)) for _, _, text in some]
            self._rows.execute_many(
                "UPDATE points SET terms = ? WHERE scope = ? AND seq = ?",
                [(each, scope, seq) for each, (scope, seq, _) in zip(terms, some, strict=True)],
            )
            texts = [each for each in terms if each is not None]
            self._change(_count(texts), len(texts))
            after = some[-1][:2]
        self._rows.execute(
            "UPDATE scopes SET version = version + 1, removed = version + 1 WHERE collection = ?",
            (self._collection,),
        )

    def query(self, text: str) -> tuple[array[int], array[float]]:
        """The query's terms that occur in some text, with weight times inverse document frequency.

        The frequency is that of the whole collection, as in `isomem.store.keywords`.
        """
        weights = self._weights(text)
        counts: dict[int, int] = dict(self._rows.rows(*self._question(weights)))
        texts = counts.get(TEXTS, 0)
        numbers, factors = array("I"), array("d")
        for number, weight in weights.items():
            containing = counts.get(number, 0)
            if containing > 0:
                numbers.append(number)
                factors.append(weight * rarity(texts, containing))
        return numbers, factors

    def expect(self, text: str) -> None:
        """Has the counts for a query brought together with what the caller's block asks first."""
        self._rows.expect(*self._question(self._weights(text)))

    def _weights(self, text: str) -> Mapping[int, float]:
        latest, weights = self._latest
        if latest != text:
            weights = self._encoder.encode(text)
            self._latest = text, weights
        return weights

    def _question(self, weights: Mapping[int, float]) -> tuple[str, tuple[Any, ...]]:
        return _SUM, (self._collection, [TEXTS, *weights])

    # --- Folding ---

    def fold(self) -> None:
        """Makes the rows of common terms one, unless another process does that now."""
        self.is_due = False
        self._rows.execute(WRITING)
        if self._rows.rows(_MAY_FOLD, (_FOLDING, self._collection))[0][0]:
            self._rows.execute(_FOLD, (self._collection,) * 3)


def _count(texts: Sequence[bytes]) -> Counter[int]:
    """In how many of some texts each term is."""
    return Counter(chain.from_iterable(set(load_terms(bytes(terms))) for terms in texts))
