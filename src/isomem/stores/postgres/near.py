"""HNSW indexes of large scopes, with the extension pgvector: the option `hnsw`.

A scope with enough memories gets an index of its own, so that no other scope can take the places of
its memories. The index lags behind. What is newer than the version up to which a scope is indexed
is compared one by one, and so is every memory that passes a filter. What the index finds is scored
exactly, by the vector in `points`. So a memory can only be missed where the index itself misses it.

A call never builds an index, and waits for none: `isomem.stores.postgres.indexing` makes them
beside the calls. A scope whose index is not there yet is compared exactly.
"""

from __future__ import annotations

from isomem.stores.postgres.indexing import LATE, Builder, is_late, text_of
from isomem.stores.postgres.schema import LOCK
from isomem.stores.postgres.scopes import columns_of, in_scopes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from isomem.stores.postgres.connections import Row
    from isomem.stores.postgres.database import Database

    Scopes = tuple[object, ...]

MOST_DIMENSIONS = 2000
"""pgvector indexes no longer vectors."""
_LEAST_ASKED, _MOST_ASKED = 100, 1000
"""A quarter more is asked for than is wanted, and so many: what the index misses is then behind the
last places, and what has changed since leaves enough. Each takes its time."""

_EXTENSION = (
    "SELECT quote_ident(n.nspname) FROM pg_extension AS e"
    " JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'vector'"
)
_READY = f"SELECT to_regclass('near') IS NOT NULL AND EXISTS ({_EXTENSION})"
_STATUS = (
    "SELECT s.number, i.scope IS NOT NULL, (SELECT count(*) FROM (SELECT 1 FROM points AS p"
    " WHERE p.scope = s.number AND p.version > s.indexed LIMIT ?) AS late)"
    " FROM scopes AS s LEFT JOIN indexes AS i ON i.scope = s.number WHERE {where}"
)
_POINT = "p.scope, p.seq, p.id, p.vector, ''::bytea"
_LATER = (
    f"SELECT {_POINT} FROM scopes AS s JOIN points AS p ON p.scope = s.number"
    " AND p.version > s.indexed WHERE {where}"
)
_THESE = (
    f"SELECT {_POINT} FROM unnest(?::bigint[], ?::bigint[]) AS w (scope, seq)"
    " JOIN points AS p USING (scope, seq)"
)


class Near:
    """The indexes of the scopes of one collection.

    Args:
        least: a scope with fewer memories has none.

    Attributes:
        builder: makes them.

    Raises:
        DatabaseError: the server has no extension `vector`.
    """

    def __init__(self, database: Database, collection: int, least: int) -> None:
        self._rows = database
        self._collection = collection
        self._least = least
        self._schema = self._prepared()
        self._were_indexed: set[Scopes] = set()
        self.builder = Builder(database.connections, collection, self._schema, least)

    def _prepared(self) -> str:
        """The schema of the extension, as SQL spells it. Runs in the caller's transaction."""
        if not self._rows.rows(_READY)[0][0]:
            self._rows.execute("SELECT pg_advisory_xact_lock(?)", (LOCK,))  # One makes it.
            self._make()
        return str(self._rows.rows(_EXTENSION)[0][0])

    def _make(self) -> None:
        if not self._rows.rows(_EXTENSION):
            # Where others look for it, too: a database has it only once.
            [(is_there,)] = self._rows.rows("SELECT to_regnamespace('public') IS NOT NULL")
            self._rows.execute(f"CREATE EXTENSION vector{' SCHEMA public' if is_there else ''}")
        schema = self._rows.rows(_EXTENSION)[0][0]
        self._rows.execute(
            "CREATE TABLE IF NOT EXISTS near (scope bigint NOT NULL, seq bigint NOT NULL,"
            f" vector {schema}.vector NOT NULL, PRIMARY KEY (scope, seq))"
        )

    # --- Searching ---

    def expect(self, ids: Mapping[str, str]) -> None:
        """Has the state of the indexes brought together with what the block asks first."""
        self._rows.expect(*self._question(ids))

    def indexed(self, ids: Mapping[str, str]) -> Sequence[int]:
        """The numbers of those scopes with these ids that have an index, in the caller's block."""
        transaction = self._rows.current
        key = _key(self._collection, ids)
        if key not in transaction.indexed:
            found = self._rows.rows(*self._question(ids))
            transaction.indexed[key] = [number for number, is_indexed, _ in found if is_indexed]
            note = (
                self._were_indexed.add if transaction.indexed[key] else self._were_indexed.discard
            )
            note(key)
            due = [
                number
                for number, is_indexed, late in found
                if is_late(late, is_indexed=is_indexed, least=self._least)
            ]
            if due:
                self.builder.ask(due)
        return transaction.indexed[key]

    def was_indexed(self, ids: Mapping[str, str]) -> bool:
        """Whether any scope with these ids had an index when this process last asked."""
        return _key(self._collection, ids) in self._were_indexed

    def _question(self, ids: Mapping[str, str]) -> tuple[str, tuple[Any, ...]]:
        where, bindings = in_scopes(self._collection, ids)
        return _STATUS.format(where=where), (max(self._least, LATE), *bindings)

    def candidates(
        self, ids: Mapping[str, str], indexed: Sequence[int], unit: bytes, top_k: int
    ) -> Sequence[Row] | None:
        """Points among which the nearest are: those that the indexes find, and the later ones.

        Returns:
            Scope, insertion order, id, vector and empty terms of each; None if the indexes find
            too few.
        """
        limit = min(max(top_k + top_k // 4, _LEAST_ASKED), _MOST_ASKED)
        if top_k > limit:
            return None
        where, bindings = in_scopes(self._collection, ids)
        later = _LATER.format(where=where), bindings
        vector = text_of(unit)
        asked = [(self._nearest(number, len(unit) // 4), (vector, limit)) for number in indexed]
        for statement in (later, *asked):  # They are sent behind the next one.
            self._rows.expect(*statement)
        self._rows.rows("SELECT set_config('hnsw.ef_search', ?, true)", (str(limit),))
        found = [*self._rows.rows(*later)]
        for statement in asked:
            near = self._rows.rows(*statement)
            if len(near) < top_k:
                return None
            found += near
        return found

    def _nearest(self, number: int, dims: int) -> str:
        kind = f"{self._schema}.vector({dims})"
        return (
            f"SELECT {_POINT} FROM (SELECT scope, seq FROM near WHERE scope = {number}"
            f" ORDER BY (vector::{kind}) OPERATOR({self._schema}.<#>) ?::{kind} LIMIT ?) AS n"
            " JOIN points AS p USING (scope, seq) JOIN scopes AS s ON s.number = p.scope"
            " WHERE p.version <= s.indexed"
        )

    def these(self, row_keys: Iterable[int]) -> Sequence[Row]:
        """Points, as `candidates` returns them."""
        return self._rows.rows(_THESE, columns_of(row_keys))


def _key(collection: int, ids: Mapping[str, str]) -> Scopes:
    return collection, *sorted(ids.items())
