"""Detached points: hidden from every reader in one short write, removed in parts later."""

from __future__ import annotations

from contextlib import suppress

from isomem.store.detached import Detached, check_ids
from isomem.stores.postgres.scopes import columns_of, in_scopes, row_key_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from isomem.store.detached import Swept
    from isomem.stores.postgres.database import Database
    from isomem.stores.postgres.keywords import PostgresKeywords
    from isomem.stores.postgres.scopes import ScopeTable

_HIDE = (
    "UPDATE scopes AS s SET collection = -collection, name = name || '#' || number"
    " WHERE {where} RETURNING 1"
)
_EXIST = "SELECT 1 FROM scopes WHERE collection = ? LIMIT 1"
_ALL = (
    "SELECT p.scope, p.seq FROM scopes AS s JOIN points AS p ON p.scope = s.number"
    " WHERE s.collection = ? ORDER BY p.id DESC"
)
_SOME = (
    "SELECT p.scope, p.seq, p.id, p.payload, p.terms FROM points AS p"
    " JOIN scopes AS s ON s.number = p.scope"
    " WHERE (p.scope, p.seq) IN (SELECT * FROM unnest(?::bigint[], ?::bigint[]))"
    " AND s.collection = ? ORDER BY p.id FOR UPDATE OF p SKIP LOCKED"
)
_HOLD = "SELECT 1 FROM scopes WHERE number = ANY(?) ORDER BY number FOR UPDATE"
_THESE = "(scope, seq) IN (SELECT * FROM unnest(?::bigint[], ?::bigint[]))"


class PostgresDetached(Detached):
    """The detached points of one collection. Runs in the caller's transaction."""

    def __init__(
        self,
        database: Database,
        collection: int,
        scopes: ScopeTable,
        keywords: PostgresKeywords | None,
    ) -> None:
        self._rows = database
        self._collection = collection
        self._scopes = scopes
        self._keywords = keywords
        self._waiting = []

    def hide(self, ids: Mapping[str, str]) -> int:
        """Detaches the scopes that have all these ids. Returns how many there are."""
        check_ids(ids)
        where, bindings = in_scopes(self._collection, ids)
        return len(self._rows.rows(_HIDE.format(where=where), bindings))

    def exist(self) -> bool:
        """Whether there are any."""
        return bool(self._rows.rows(_EXIST, (-self._collection,)))

    def find(self) -> bool:
        """Lists what waits, unless some of it is already listed. Returns whether there is any."""
        if not self.exist():
            self._waiting = []
        elif not self._waiting:
            found = self._rows.rows(_ALL, (-self._collection,))
            self._waiting = [row_key_of(*place) for place in found]
        return bool(self._waiting)

    def next(self, limit: int) -> Sequence[Swept]:
        """Up to `limit` of them, ordered by id; none if nothing waits, or others remove it."""
        while self.find():
            columns = columns_of(self._taken(limit))
            if some := self._rows.rows(_SOME, (*columns, -self._collection)):
                return [(row_key_of(scope, seq), *point) for scope, seq, *point in some]
            if not self._waiting:
                break
        return ()

    def _taken(self, limit: int) -> Sequence[int]:
        """The next ones, off the list. Threads share it: each gets others."""
        taken: list[int] = []
        with suppress(IndexError):
            while len(taken) < limit:
                taken.append(self._waiting.pop())
        return taken

    def remove(self, points: Sequence[Swept]) -> None:
        """Removes these points and their counts."""
        columns = columns_of(row_key for row_key, *_ in points)
        self._rows.execute(f"DELETE FROM points WHERE {_THESE}", columns)
        ids = [point_id for _, point_id, _, _ in points]
        self._rows.execute(
            f"DELETE FROM ids WHERE collection = ? AND id = ANY(?) AND {_THESE}",
            (self._collection, ids, *columns),
        )
        if self._keywords is not None:
            self._keywords.remove_some([terms for *_, terms in points if terms is not None])
        numbers = [*set(columns[0])]
        # Otherwise several that remove parts of a scope would each see what the others remove.
        self._rows.execute(_HOLD, (numbers,))
        self._scopes.drop_empty(numbers)
