"""HNSW indexes of large scopes, with the extension pgvector: the option `hnsw`.

A scope with enough memories gets an index of its own, so that no other scope can take the places of
its memories. The index lags behind. What is newer than the version up to which a scope is indexed
is compared one by one, and so is every memory that passes a filter. What the index finds is scored
exactly, by the vector in `points`. So a memory can only be missed where the index itself misses it.

Nobody waits for an index to be brought up to date but the call that does it, after it has its
answer.
"""

from __future__ import annotations

from isomem import log
from isomem.errors import DatabaseError
from isomem.store.codec import load_vector
from isomem.stores.postgres.scopes import columns_of, in_scopes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from isomem.stores.postgres.connections import Row
    from isomem.stores.postgres.database import Database

MOST_DIMENSIONS = 2000
"""pgvector indexes no longer vectors."""
LATE = 1000
"""So many new memories of a scope are compared one by one before they are indexed."""
_LEAST_ASKED, _MOST_ASKED = 100, 1000
_PAGE = 1000
_TURN = "SELECT pg_try_advisory_xact_lock(?, ?)"
_TURNS = 0x6E656172

_EXTENSION = (
    "SELECT n.nspname FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace"
    " WHERE e.extname = 'vector'"
)
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
_UNINDEXED = (
    "SELECT seq, vector FROM points WHERE scope = ? AND version > ? AND version <= ? AND seq > ?"
    f" ORDER BY seq LIMIT {_PAGE}"
)
_ALL_GONE = (
    "DELETE FROM near AS n WHERE NOT EXISTS"
    " (SELECT 1 FROM points AS p WHERE p.scope = n.scope AND p.seq = n.seq)"
)
_GONE = f"{_ALL_GONE} AND scope = ?"


class Near:
    """The indexes of the scopes of one collection.

    Args:
        least: a scope with fewer memories has none.

    Raises:
        DatabaseError: the server has no extension `vector`.
    """

    def __init__(self, database: Database, collection: int, least: int) -> None:
        self._rows = database
        self._collection = collection
        self._least = least
        self._due: set[int] = set()
        self._schema = self._prepared()

    def _prepared(self) -> str:
        """The schema of the extension, as SQL spells it. Runs in the caller's transaction."""
        if not self._rows.rows(_EXTENSION):
            # Where others look for it, too: a database has it only once.
            [(is_there,)] = self._rows.rows("SELECT to_regnamespace('public') IS NOT NULL")
            self._rows.execute(f"CREATE EXTENSION vector{' SCHEMA public' if is_there else ''}")
        name = str(self._rows.rows(_EXTENSION)[0][0])
        schema = '"' + name.replace('"', '""') + '"'
        self._rows.execute(
            "CREATE TABLE IF NOT EXISTS near (scope bigint NOT NULL, seq bigint NOT NULL,"
            f" vector {schema}.vector NOT NULL, PRIMARY KEY (scope, seq))"
        )
        return schema

    # --- Searching ---

    def expect(self, ids: Mapping[str, str]) -> None:
        """Has the state of the indexes brought together with what the block asks first."""
        self._rows.expect(*self._question(ids))

    def indexed(self, ids: Mapping[str, str]) -> Sequence[int]:
        """The numbers of those scopes with these ids that have an index, in the caller's block."""
        transaction = self._rows.current
        key = (self._collection, *sorted(ids.items()))
        if key not in transaction.indexed:
            found = self._rows.rows(*self._question(ids))
            transaction.indexed[key] = [number for number, is_indexed, _ in found if is_indexed]
            for number, is_indexed, late in found:
                if late >= (LATE if is_indexed else self._least):
                    self._due.add(number)
        return transaction.indexed[key]

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
        limit = min(max(2 * top_k, _LEAST_ASKED), _MOST_ASKED)
        if top_k > limit:
            return None
        where, bindings = in_scopes(self._collection, ids)
        self._rows.expect(_LATER.format(where=where), bindings)
        self._rows.rows("SELECT set_config('hnsw.ef_search', ?, true)", (str(limit),))
        later = self._rows.rows(_LATER.format(where=where), bindings)
        vector = _text(unit)
        found = [*later]
        for number in indexed:
            near = self._rows.rows(self._nearest(number, len(unit) // 4), (vector, limit))
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

    # --- Indexing ---

    @property
    def is_due(self) -> bool:
        """Whether a search has seen a scope that is late."""
        return bool(self._due)

    def catch_up(self) -> None:
        """Indexes what is late, unless another call does that. A failure is logged: it is tried
        again by a later call.
        """
        while self._due:
            try:
                number = self._due.pop()
            except KeyError:
                return  # Another thread has taken the last one.
            try:
                self._rows.repeat(lambda number=number: self._index(number))  # type: ignore[misc]
            except DatabaseError as error:
                log.warning("The index of a scope is not brought up to date: %s", error)

    def _index(self, number: int) -> None:
        rows = self._rows
        if not rows.rows(_TURN, (_TURNS, number % 2**31))[0][0]:
            return
        rows.execute("SET LOCAL statement_timeout = 0")
        sql = "SELECT version, indexed, removed FROM scopes WHERE number = ? AND collection = ?"
        for version, indexed, removed in rows.rows(sql, (number, self._collection)):
            dims = self._fill(number, indexed, version)
            if removed > indexed:
                rows.execute(_GONE, (number,))
            if dims and not rows.rows("SELECT 1 FROM indexes WHERE scope = ?", (number,)):
                self._make(number, dims)
            # Last: those who write to the scope wait for it.
            rows.execute(
                "UPDATE scopes SET indexed = ? WHERE number = ? AND indexed < ?",
                (version, number, version),
            )

    def _fill(self, number: int, after: int, until: int) -> int:
        """Stores the vectors of points that have changed since. Returns their length."""
        seq, dims = -1, 0
        sql = (
            f"INSERT INTO near SELECT ?, seq, vector::{self._schema}.vector"
            " FROM unnest(?::bigint[], ?::text[]) AS n (seq, vector)"
            " ON CONFLICT (scope, seq) DO UPDATE SET vector = excluded.vector"
        )
        while some := self._rows.rows(_UNINDEXED, (number, after, until, seq)):
            vectors = [bytes(vector) for _, vector in some]
            seqs = [each for each, _ in some]
            self._rows.execute(sql, (number, seqs, [*map(_text, vectors)]))
            seq, dims = seqs[-1], len(vectors[0]) // 4
        return dims

    def drop_unused(self) -> None:
        """Removes the indexes of scopes that are gone, and the vectors of points that are."""
        sql = (
            "DELETE FROM indexes AS i WHERE NOT EXISTS"
            " (SELECT 1 FROM scopes AS s WHERE s.number = i.scope) RETURNING scope"
        )
        for (number,) in self._rows.rows(sql):
            self._rows.execute(f"DROP INDEX IF EXISTS near_{number}")
            self._rows.execute("DELETE FROM near WHERE scope = ?", (number,))
        self._rows.execute(_ALL_GONE)

    def _make(self, number: int, dims: int) -> None:
        kind = f"{self._schema}.vector({dims})"
        self._rows.execute(
            f"CREATE INDEX IF NOT EXISTS near_{number} ON near USING hnsw"
            f" ((vector::{kind}) {self._schema}.vector_ip_ops) WHERE scope = {number}"
        )
        self._rows.execute("INSERT INTO indexes (scope, dims) VALUES (?, ?)", (number, dims))


def _text(unit: bytes) -> str:
    return str([*load_vector(unit)])
