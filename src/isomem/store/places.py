"""Places: where points stand in the file, so that the points of one scope stand together.

A place is the number of a scope above `SEQ_BITS` bits and, in them, the order of arrival in the
whole file. What is read of a scope is then one range of neighbouring rows. Points that arrived
lately are also in the table `arrivals`, which gives out the order, until `keywords` has counted
their terms.
"""

from __future__ import annotations

from isomem.kernel import SEQ_BITS
from isomem.types import SCOPE_KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from isomem.store.database import Database

    Ids = tuple[str | None, ...]
    """The values of `SCOPE_KEYS`, in their order."""

SEQ_MASK = (1 << SEQ_BITS) - 1
_MOST_NUMBERS = 4096

_SAME = " AND ".join(f"{key} IS ?" for key in SCOPE_KEYS)
_FIND = f"SELECT number FROM scopes WHERE {_SAME} AND collection = ?"
_MAKE = f"INSERT INTO scopes ({', '.join(SCOPE_KEYS)}, collection) VALUES (?, ?, ?, ?)"
_ARRIVE = "INSERT INTO arrivals (scope) VALUES (?)"
_LEAVE = "UPDATE arrivals SET scope = 0 WHERE seq = ? AND scope > 0"

OF_SCOPES = (
    "scopes AS s CROSS JOIN points AS p ON p.place"
    f" BETWEEN s.number << {SEQ_BITS} AND (s.number << {SEQ_BITS}) + {SEQ_MASK}"
)
"""The points of scopes, to be narrowed by a condition on `s`."""


def in_scopes(collection: int, ids: Mapping[str, Any]) -> tuple[str, tuple[Any, ...]]:
    """The condition on `s` for the scopes that have all these ids, and its bindings."""
    named = "".join(f"s.{key} = ? AND " for key in ids)
    return f"{named}s.collection = ?", (*ids.values(), collection)


class Places:
    """The scopes of one file and the arrivals in it. Runs in the caller's transaction.

    Attributes:
        generation: changes when arrivals were counted, so that nobody counts them twice.
    """

    def __init__(self, database: Database) -> None:
        self.generation = 0
        self._database = database
        self._numbers: dict[tuple[int, Ids], int] = {}
        self._epoch = database.epoch

    def arrive(self, collection: int, ids: Ids) -> int:
        """The place for a new point of a scope."""
        scope = self._scope(collection, ids)
        self._database.execute(_ARRIVE, (scope,))
        return scope << SEQ_BITS | self._database.connection.last_insert_rowid()

    def move(self, place: int, collection: int, ids: Ids) -> int:
        """The place of a point that comes into another scope; its order stays."""
        scope, seq = self._scope(collection, ids), place & SEQ_MASK
        sql = "UPDATE arrivals SET scope = ? WHERE seq = ? AND scope > 0"
        self._database.execute(sql, (scope, seq))
        return scope << SEQ_BITS | seq

    def leave(self, place: int) -> bool:
        """Takes a point out of the arrivals; whether it was still among them, not counted."""
        self._database.execute(_LEAVE, (place & SEQ_MASK,))
        return self._database.connection.changes() > 0

    def is_counted(self, place: int) -> bool:
        """Whether a point is not among the arrivals any more."""
        sql = "SELECT 1 FROM arrivals WHERE seq = ? AND scope > 0"
        return not self._database.rows(sql, (place & SEQ_MASK,))

    def leave_all(self, collection: int) -> None:
        """Takes all points of a collection out of the arrivals."""
        self._database.execute(
            "UPDATE arrivals SET scope = 0"
            " WHERE scope IN (SELECT number FROM scopes WHERE collection = ?)",
            (collection,),
        )
        self.generation += 1

    def leave_counted(self, last: int) -> None:
        """Takes out all arrivals up to the order `last`, which is the latest one."""
        self._database.execute("DELETE FROM arrivals WHERE seq < ?", (last,))
        # The latest stays as a mark, so that no order is given out twice.
        self._database.execute(_LEAVE, (last,))
        self.generation += 1

    def tidy(self, place: int) -> None:
        """Lets go of the scope that a place was in, if no point is in it any more."""
        scope = place >> SEQ_BITS
        self._database.execute(
            "DELETE FROM scopes WHERE number = ?"
            " AND NOT EXISTS (SELECT 1 FROM points WHERE place BETWEEN ? AND ?)",
            (scope, scope << SEQ_BITS, scope << SEQ_BITS | SEQ_MASK),
        )
        if self._database.connection.changes():
            self._numbers.clear()

    def clear(self, collection: int) -> None:
        """Lets go of the scopes of a collection, when its points are gone."""
        self.leave_all(collection)
        self._database.execute("DELETE FROM scopes WHERE collection = ?", (collection,))
        self._numbers.clear()

    def _scope(self, collection: int, ids: Ids) -> int:
        if self._epoch != self._database.epoch:
            self._epoch = self._database.epoch
            self._numbers.clear()
        number = self._numbers.get((collection, ids))
        if number is None:
            if len(self._numbers) >= _MOST_NUMBERS:
                self._numbers.clear()
            number = self._numbers[collection, ids] = self._find_or_make(collection, ids)
        return number

    def _find_or_make(self, collection: int, ids: Ids) -> int:
        found = self._database.rows(_FIND, (*ids, collection))
        if found:
            number: int = found[0][0]
            return number
        self._database.execute(_MAKE, (*ids, collection))
        return self._database.connection.last_insert_rowid()
