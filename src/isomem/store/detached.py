"""Detached points: hidden from every reader in one short write, removed in parts later.

A scope is detached by flipping the sign of its collection. No reader asks for a negative one, so
its points disappear at once, however many there are. Their rows wait for `sweep`. If the process
dies meanwhile, they stay hidden, and the next sweep continues with them.
"""

from __future__ import annotations

from itertools import chain

from isomem.errors import VectorStoreError
from isomem.store.row_keys import OF_SCOPES, SEQ_BITS, SEQ_MASK, in_scopes
from isomem.types import SCOPE_KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from isomem.store.database import Database
    from isomem.store.keywords import Keywords
    from isomem.store.row_keys import RowKeys

    Swept = tuple[int, str, str, bytes | None]
    """Of a removed point: its row key, id, payload as JSON, and terms."""

# SQLite needs the comparison with 0 to use the partial index `scopes_detached`.
_DETACHED = "s.collection = ? AND s.collection < 0"
_EXIST = f"SELECT 1 FROM scopes AS s WHERE {_DETACHED} LIMIT 1"
_ALL = f"SELECT p.row_key FROM {OF_SCOPES} WHERE {_DETACHED} ORDER BY p.id DESC"
_ONE = (
    "SELECT p.row_key, p.id, p.payload, p.terms FROM points AS p"
    f" JOIN scopes AS s ON s.number = p.row_key >> {SEQ_BITS} WHERE p.row_key = ? AND {_DETACHED}"
)
_ID_TAKEN = "SELECT row_key, terms FROM points WHERE id = ? AND collection = ?"


class Detached:
    """The detached points of one collection. Runs in the caller's transaction.

    Args:
        row_keys: of the points of the file.
        collection: its number.
        keywords: its terms; None if keyword search is off.
    """

    def __init__(
        self, database: Database, row_keys: RowKeys, collection: int, keywords: Keywords | None
    ) -> None:
        self._database = database
        self._row_keys = row_keys
        self._collection = collection
        self._keywords = keywords
        self._waiting: list[int] = []

    def hide(self, ids: Mapping[str, str]) -> int:
        """Detaches the scopes that have all these ids. Returns how many there are."""
        check_ids(ids)
        named, bindings = in_scopes(self._collection, ids)
        self._database.execute(
            f"UPDATE scopes AS s SET collection = -collection WHERE {named}", bindings
        )
        hidden = self._database.connection.changes()
        self._row_keys.invalidate()
        return hidden

    def exist(self) -> bool:
        """Whether there are any."""
        return bool(self._database.rows(_EXIST, (-self._collection,)))

    def find(self) -> bool:
        """Lists what waits, unless some of it is already listed. Returns whether there is any."""
        if not self.exist():
            self._waiting = []
        elif not self._waiting:
            self._waiting = [row[0] for row in self._database.rows(_ALL, (-self._collection,))]
        return bool(self._waiting)

    def next(self, limit: int) -> Sequence[Swept]:
        """Up to `limit` of them, ordered by id; none if nothing waits."""
        while self.find():
            row_keys = self._waiting[: -limit - 1 : -1]
            del self._waiting[-limit:]
            found = (self._database.rows(_ONE, (key, -self._collection)) for key in row_keys)
            if some := [*chain.from_iterable(found)]:
                return some  # Otherwise another process has swept what was listed here.
        return ()

    def remove(self, points: Sequence[Swept]) -> None:
        """Removes these points and their counts."""
        recent = self._row_keys.remove_some([row_key for row_key, *_ in points])
        if self._keywords is not None:
            self._keywords.remove_some(
                [
                    terms
                    for row_key, _, _, terms in points
                    if terms is not None and row_key not in recent
                ]
            )
        rows = ((row_key,) for row_key, *_ in points)
        self._database.execute_many("DELETE FROM points WHERE row_key = ?", rows)
        for last in {row_key | SEQ_MASK for row_key, *_ in points}:
            self._row_keys.drop_if_empty(last)

    def give_up_id(self, point_id: str) -> None:
        """Frees the id of a detached point for a new one. The old point still waits for `sweep`.

        Its row then names no collection, so it is not counted any more.
        """
        for row_key, terms in self._database.rows(_ID_TAKEN, (point_id, self._collection)):
            counted = not self._row_keys.remove(row_key)
            if self._keywords is not None:
                self._keywords.change(terms, None, counted=counted)
            sql = "UPDATE points SET collection = -row_key, terms = NULL WHERE row_key = ?"
            self._database.execute(sql, (row_key,))


def check_ids(ids: Mapping[str, str]) -> None:
    """Raises VectorStoreError unless these are ids of a scope: at least one, all of them text."""
    if not ids:
        raise VectorStoreError("at least one id is needed to say which points are meant")
    for key, value in ids.items():
        if key not in SCOPE_KEYS or not isinstance(value, str):
            raise VectorStoreError(f"{key} = {value!r} is not an id of a scope")
