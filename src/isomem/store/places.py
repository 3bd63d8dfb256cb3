"""Places: where points stand in the file, so that the points of one scope stand together.

A place is the number of a scope above `SEQ_BITS` bits and, in them, the order of arrival in the
whole file. What is read of a scope is then one range of neighbouring rows. Points that arrived
lately are also in the table `arrivals`, which gives out the order, until `keywords` has counted
their terms.
"""

from __future__ import annotations

from isomem.contract.filters import Condition
from isomem.errors import VectorStoreError
from isomem.kernel import SEQ_BITS
from isomem.types import SCOPE_KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from typing import Any

    from isomem.contract.filters import Group
    from isomem.ports.shapes import Payload
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

IS_VISIBLE = f"EXISTS (SELECT 1 FROM scopes WHERE number = ?1 >> {SEQ_BITS} AND collection > 0)"
"""Whether the row key that is bound first belongs to a scope that is not detached."""


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

    def leave_some(self, places: Collection[int]) -> set[int]:
        """Takes points out of the arrivals; those that were still among them, not counted."""
        rows = self._database.rows("SELECT scope, seq FROM arrivals WHERE scope > 0")
        found = {scope << SEQ_BITS | seq for scope, seq in rows}.intersection(places)
        self._database.execute_many(_LEAVE, ((place & SEQ_MASK,) for place in found))
        return found

    def leave_all(self, collection: int) -> None:
        """Takes all points of a collection, detached ones too, out of the arrivals."""
        self._database.execute(
            "UPDATE arrivals SET scope = 0"
            " WHERE scope IN (SELECT number FROM scopes WHERE abs(collection) = ?)",
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
            self.forget()

    def clear(self, collection: int) -> None:
        """Lets go of the scopes of a collection, when its points are gone."""
        self.leave_all(collection)
        self._database.execute("DELETE FROM scopes WHERE abs(collection) = ?", (collection,))
        self.forget()

    def forget(self) -> None:
        """Reads the numbers of scopes from the file again."""
        self._numbers.clear()

    def _scope(self, collection: int, ids: Ids) -> int:
        epoch = self._database.epoch
        if self._epoch != epoch:
            # Cleared first: whoever interrupts this must not leave stale numbers as current ones.
            self._numbers.clear()
            self._epoch = epoch
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


def scope_ids(payload: Payload) -> Ids:
    """The ids of the scope that a point belongs to.

    Raises:
        VectorStoreError: one is not text.
    """
    ids = (payload.get("user_id"), payload.get("agent_id"), payload.get("run_id"))
    for value in ids:
        if not (value is None or isinstance(value, str)):
            key = SCOPE_KEYS[ids.index(value)]
            raise VectorStoreError(f"{key} must be a string, got {type(value).__name__}")
    return ids


def split_scope(group: Group | None) -> tuple[dict[str, str], Group | None]:
    """The ids that a filter asks for by equality, and what else it asks for."""
    if group is None:
        return {}, None
    ids = dict(_asked_ids(group))
    rest = type(group)(
        [part for part in group.conditions if getattr(part, "key", None) not in ids],
        group.alternatives,
        group.exclusions,
    )
    return ids, rest if rest.conditions or rest.alternatives or rest.exclusions else None


def _asked_ids(group: Group) -> Iterator[tuple[str, str]]:
    for part in group.conditions:
        if not (isinstance(part, Condition) and part.key in SCOPE_KEYS and part.kind == "any"):
            continue
        if len(part.operand) == 1 and isinstance(part.operand[0], str):
            yield part.key, part.operand[0]
