"""Row keys: where points are in the file, so that the points of one scope are together.

A row key is the number of a scope, shifted by `SEQ_BITS` bits, plus the insertion order, which
counts through the whole file. A scope is then one range of neighbouring rows. The table
`insertions` assigns the insertion order. It also lists the latest points whose terms `keywords` has
not counted yet.
"""

from __future__ import annotations

from isomem.contract.filters import Condition
from isomem.errors import VectorStoreError
from isomem.types import SCOPE_KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from typing import Any

    from isomem.contract.filters import Group
    from isomem.ports.shapes import Payload
    from isomem.store.database import Database

    Ids = tuple[str | None, ...]
    """The values of `SCOPE_KEYS`, in their order."""

    Stored = tuple[int, str, bytes | None, str, Ids, bool]
    """Of a point: its row key, its id, its terms, its payload as JSON, the ids of its scope, and
    whether it is among the latest insertions, whose terms are not counted yet."""

SEQ_BITS = 36
SEQ_MASK = (1 << SEQ_BITS) - 1
_MOST_NUMBERS = 4096
_ID_TYPES = frozenset((str, type(None)))

_SAME = " AND ".join(f"{key} IS ?" for key in SCOPE_KEYS)
_FIND = f"SELECT number FROM scopes WHERE {_SAME} AND collection = ?"
_MAKE = f"INSERT INTO scopes ({', '.join(SCOPE_KEYS)}, collection) VALUES (?, ?, ?, ?)"
_INSERT = "INSERT INTO insertions (scope) VALUES (?)"
_REMOVE = "UPDATE insertions SET scope = 0 WHERE seq = ? AND scope > 0"

OF_SCOPES = (
    "scopes AS s CROSS JOIN points AS p ON p.row_key"
    f" BETWEEN s.number << {SEQ_BITS} AND (s.number << {SEQ_BITS}) + {SEQ_MASK}"
)
"""The points of scopes, to be narrowed by a condition on `s`."""

STORED = (
    "p.row_key, p.id, p.terms, p.payload, s.user_id, s.agent_id, s.run_id, EXISTS ("
    f"SELECT 1 FROM insertions AS i WHERE i.seq = p.row_key & {SEQ_MASK} AND i.scope > 0)"
)
"""The columns of points and their scopes that `stored` takes."""

IS_VISIBLE = f"EXISTS (SELECT 1 FROM scopes WHERE number = ?1 >> {SEQ_BITS} AND collection > 0)"
"""Whether the row key that is bound first belongs to a scope that is not detached."""


def in_scopes(collection: int, ids: Mapping[str, Any]) -> tuple[str, tuple[Any, ...]]:
    """The condition on `s` for the scopes that have all these ids, and its bindings."""
    named = "".join(f"s.{key} = ? AND " for key in ids)
    return f"{named}s.collection = ?", (*ids.values(), collection)


class RowKeys:
    """The scopes of one file and the insertions into it. Runs in the caller's transaction.

    Attributes:
        counted: how often this process has counted the terms of insertions into the file, undone
            or not: the insertion order is no measure, since it comes again after a rollback.
    """

    def __init__(self, database: Database) -> None:
        self.counted = 0
        self._database = database
        self._numbers: dict[tuple[int, Ids], int] = {}
        self._epoch = database.epoch

    def last(self) -> int:
        """The insertion order of the latest point in the file; 0 if there never was one."""
        found = self._database.rows("SELECT coalesce(max(seq), 0) FROM insertions")
        last: int = found[0][0]
        return last

    def assign(self, collection: int, scopes: Sequence[Ids]) -> list[int]:
        """Enters new points, at least one, into the table of insertions.

        Args:
            scopes: of each.

        Returns:
            Their row keys, in the same order.
        """
        numbers = [self._scope(collection, ids) for ids in scopes]
        self._database.execute_many(_INSERT, zip(numbers))
        # SQLite numbers the rows of one transaction without gaps.
        first = self._database.connection.last_insert_rowid() - len(numbers) + 1
        return [number << SEQ_BITS | seq for seq, number in enumerate(numbers, first)]

    def move(self, row_key: int, collection: int, ids: Ids) -> int:
        """The row key of a point that moves to another scope. It keeps its insertion order."""
        scope, seq = self._scope(collection, ids), row_key & SEQ_MASK
        sql = "UPDATE insertions SET scope = ? WHERE seq = ? AND scope > 0"
        self._database.execute(sql, (scope, seq))
        return scope << SEQ_BITS | seq

    def remove(self, row_key: int) -> bool:
        """Removes a point from the insertions. Returns whether it was there, not counted yet."""
        self._database.execute(_REMOVE, (row_key & SEQ_MASK,))
        return self._database.connection.changes() > 0

    def remove_each(self, row_keys: Sequence[int]) -> None:
        """Removes points that are among the insertions from there."""
        self._database.execute_many(_REMOVE, [(row_key & SEQ_MASK,) for row_key in row_keys])

    def remove_some(self, row_keys: Collection[int]) -> set[int]:
        """Removes points from the insertions. Returns those that were there, not counted yet."""
        rows = self._database.rows("SELECT scope, seq FROM insertions WHERE scope > 0")
        found = {scope << SEQ_BITS | seq for scope, seq in rows}.intersection(row_keys)
        self.remove_each([*found])
        return found

    def remove_all(self, collection: int) -> None:
        """Removes all points of a collection, including detached ones, from the insertions."""
        self._database.execute(
            "UPDATE insertions SET scope = 0"
            " WHERE scope IN (SELECT number FROM scopes WHERE abs(collection) = ?)",
            (collection,),
        )

    def remove_counted(self, last: int) -> None:
        """Removes all insertions up to the order `last`, which is the latest one."""
        self._database.execute("DELETE FROM insertions WHERE seq < ?", (last,))
        # The latest stays as a mark, so that no order is assigned twice.
        self._database.execute(_REMOVE, (last,))
        self.counted += 1

    def drop_if_empty(self, row_key: int) -> None:
        """Removes the scope of a row key if it has no points left."""
        scope = row_key >> SEQ_BITS
        self._database.execute(
            "DELETE FROM scopes WHERE number = ?"
            " AND NOT EXISTS (SELECT 1 FROM points WHERE row_key BETWEEN ? AND ?)",
            (scope, scope << SEQ_BITS, scope << SEQ_BITS | SEQ_MASK),
        )
        if self._database.connection.changes():
            self.invalidate()

    def clear(self, collection: int) -> None:
        """Removes the scopes of a collection, when its points are gone."""
        self.remove_all(collection)
        self._database.execute("DELETE FROM scopes WHERE abs(collection) = ?", (collection,))
        self.invalidate()

    def invalidate(self) -> None:
        """Forgets the numbers of scopes, so that they are read from the file again."""
        self._numbers.clear()

    def _scope(self, collection: int, ids: Ids) -> int:
        epoch = self._database.epoch
        if self._epoch != epoch:
            # Cleared first: an interruption must not leave stale numbers that count as current.
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


def stored(row: tuple[Any, ...]) -> Stored:
    """What the columns `STORED` say."""
    return *row[:4], row[4:7], bool(row[7])


def scope_ids(payload: Payload) -> Ids:
    """The ids of the scope that a point belongs to.

    Raises:
        VectorStoreError: one is not text.
    """
    ids = (payload.get("user_id"), payload.get("agent_id"), payload.get("run_id"))
    if not _ID_TYPES.issuperset(map(type, ids)):
        for key, value in zip(SCOPE_KEYS, ids, strict=True):
            if not (value is None or isinstance(value, str)):
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
