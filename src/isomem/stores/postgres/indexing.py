"""HNSW indexes are built beside the calls, in a thread and on a connection of their own.

A search that finds a scope late only says so. The thread then stores the vectors that are missing
in short transactions, and has the server build the index with `CREATE INDEX CONCURRENTLY`, which
lets everybody read and write meanwhile. The scope counts as indexed when all of it is done, and is
compared exactly until then. Of all processes on a database, one builds at a time.

A builder can die at any moment. The server may then finish its index, which the next builder takes
over, or leave one that is not valid, which the next builder removes first.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import suppress

import psycopg

from isomem import log
from isomem.store.codec import load_vector
from isomem.stores.postgres.connections import connected
from isomem.stores.postgres.meanings import meaning
from isomem.stores.postgres.turns import turn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from psycopg import Connection

    from isomem.stores.postgres.connections import Connections, Row

LATE = 1000
"""So many new memories of a scope are compared one by one before they are indexed."""
AGAIN_AFTER_S, AFTER_FAILURE_S = 10.0, 300.0
"""How long a process builds nothing after it has found another one at work, or has failed."""
_LONGEST_END_S = 2.0
"""How long `close` waits for the thread, which may be about to connect."""
_PAGE = 1000

_VALID = (
    "SELECT substr(c.relname, 6)::bigint FROM pg_index AS i JOIN pg_class AS c"
    " ON c.oid = i.indexrelid WHERE i.indrelid = 'near'::regclass"
    " AND c.relname ~ '^near_[0-9]+$' AND i.indisvalid = %s"
)
_UNWANTED = (
    f"{_VALID} AND NOT EXISTS (SELECT 1 FROM scopes AS s WHERE 'near_' || s.number = c.relname)"
)
_FORGET = (
    "WITH gone AS (DELETE FROM indexes WHERE scope <> ALL(%s) RETURNING scope)"
    " UPDATE scopes SET indexed = 0 WHERE number IN (SELECT scope FROM gone)"
)
_ALL_GONE = (
    "DELETE FROM near AS n WHERE NOT EXISTS"
    " (SELECT 1 FROM points AS p WHERE p.scope = n.scope AND p.seq = n.seq)"
)
_STATE = (
    "SELECT s.version, s.indexed, s.removed, i.scope IS NOT NULL, (SELECT count(*) FROM points AS p"
    " WHERE p.scope = s.number AND p.version > s.indexed)"
    " FROM scopes AS s LEFT JOIN indexes AS i ON i.scope = s.number"
    " WHERE s.number = %s AND s.collection = %s"
)
_UNINDEXED = (
    "SELECT seq, vector FROM points WHERE scope = %s AND version > %s AND version <= %s"
    f" AND seq > %s ORDER BY seq LIMIT {_PAGE}"
)
_STORE = (
    "INSERT INTO near AS n SELECT %s, seq, vector::{schema}.vector"
    " FROM unnest(%s::bigint[], %s::text[]) AS new (seq, vector)"
    " ON CONFLICT (scope, seq) DO UPDATE SET vector = excluded.vector"
    " WHERE n.vector OPERATOR({schema}.<>) excluded.vector"
)
_DROP = "DROP INDEX CONCURRENTLY IF EXISTS near_{}"
_MAKE = (
    "CREATE INDEX CONCURRENTLY IF NOT EXISTS near_{number} ON near USING hnsw"
    " ((vector::{schema}.vector({dims})) {schema}.vector_ip_ops) WHERE scope = {number}"
)
_RECORD = (
    "WITH done AS (UPDATE scopes SET indexed = greatest(indexed, %s) WHERE number = %s"
    " RETURNING number)"
    " INSERT INTO indexes (scope, dims) SELECT number, %s FROM done ON CONFLICT DO NOTHING"
)


def text_of(unit: bytes) -> str:
    """A vector as the extension reads it."""
    return str([*load_vector(unit)])


def is_late(late: int, *, is_indexed: bool, least: int) -> bool:
    """Whether so many memories without an index are to be indexed.

    Args:
        least: how many make a scope large.
    """
    return late >= (LATE if is_indexed else least)


class Builder:
    """Builds the indexes of one collection. Its threads share it.

    Args:
        schema: of the extension, as SQL spells it.
        least: a scope with fewer memories has no index.
    """

    def __init__(self, connections: Connections, collection: int, schema: str, least: int) -> None:
        self._connections = connections
        self._collection = collection
        self._schema = schema
        self._least = least
        self._is_closed = False
        self._not_before = 0.0
        self._begin()
        connections.at_fork(self._begin)  # The child has no thread that builds.

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._due: set[int] = set()
        self._thread: threading.Thread | None = None
        self._connection: Connection[Row] | None = None

    # --- Its thread ---

    def ask(self, numbers: Iterable[int]) -> None:
        """Has these scopes indexed, at some time: nobody waits for it."""
        with self._lock:
            self._due.update(numbers)
            is_time = time.monotonic() >= self._not_before
            if self._thread is not None or self._is_closed or not (self._due and is_time):
                return
            self._thread = thread = threading.Thread(
                target=self._work, name="isomem index", daemon=True
            )
        try:
            thread.start()
        except RuntimeError as error:  # The search that found it has its answer all the same.
            self._rest(error)

    def _work(self) -> None:
        try:
            while self._is_due():
                with self._connected() as connection:
                    is_done = self._build_due(connection)
                if not is_done:
                    self._rest(None)
                    return
        except Exception as error:  # noqa: BLE001 - nobody else gets to know what ends the thread
            self._rest(error)

    def _is_due(self) -> bool:
        """Whether there is something to do; otherwise the thread ends."""
        with self._lock:
            if self._due and not self._is_closed:
                return True
            self._thread = self._connection = None
            return False

    def _build_due(self, connection: Connection[Row]) -> bool:
        """Builds what is due, unless another one has the turn. Returns whether it did."""
        with self._lock:
            if self._is_closed:
                return False
            self._connection = connection  # From now on, `close` cuts it off.
        with turn(connection, waits=False) as is_mine:
            if is_mine:
                self._tidy(connection)
                while (number := self._next()) is not None:
                    self._index(connection, number)
        return is_mine

    def _next(self) -> int | None:
        with self._lock:
            return self._due.pop() if self._due and not self._is_closed else None

    def _rest(self, error: Exception | None) -> None:
        """Ends the thread, and leaves what is due to a later search."""
        with self._lock:
            self._due.clear()
            self._thread = self._connection = None
            pause_s = AGAIN_AFTER_S if error is None else AFTER_FAILURE_S
            self._not_before = time.monotonic() + pause_s
        if error is not None and not self._is_closed:
            cause = self._connections.target.without_secret(f"{type(error).__name__}: {error}")
            log.warning("The index of a scope is not brought up to date: %s", cause.strip())

    def build(self) -> None:
        """Indexes every scope that is late, in this thread, after other builders.

        Raises:
            DatabaseError: the server refuses, or was lost.
        """
        numbers = "SELECT number FROM scopes WHERE collection = %s"

        def work(connection: Connection[Row]) -> None:
            for (number,) in connection.execute(numbers, (self._collection,)).fetchall():
                self._index(connection, number)

        self._in_turn(work)

    def tidy(self) -> None:
        """Removes the indexes of scopes that are gone, and the vectors of points that are.

        Raises:
            DatabaseError: the server refuses, or was lost.
        """
        self._in_turn(lambda connection: connection.execute(_ALL_GONE))

    def _in_turn(self, work: Callable[[Connection[Row]], object]) -> None:
        try:
            with self._connected() as connection, turn(connection):
                self._tidy(connection)
                work(connection)
        except psycopg.Error as error:
            raise meaning(error, self._connections.target) from error

    def close(self) -> None:
        """Ends the thread. The server finishes the statement that it is at; nobody waits for it."""
        with self._lock:
            self._is_closed = True
            connection, thread = self._connection, self._thread
        if connection is not None:
            _cut_off(connection)
        if thread is not None and thread is not threading.current_thread():
            thread.join(_LONGEST_END_S)

    def _connected(self) -> Connection[Row]:
        """A connection beside the pool, on which statements may take any time."""
        target = self._connections.target
        name = f"{target.parameters['application_name']} index"
        connection = connected(target, application_name=name)
        self._connections.adopt(connection)
        connection.execute("SET statement_timeout = 0; SET lock_timeout = 0")
        return connection

    # --- What a builder does, in its turn ---

    def _tidy(self, connection: Connection[Row]) -> None:
        """Makes what is recorded and what is there the same again, whatever happened to others."""
        for (number,) in connection.execute(_VALID, (False,)).fetchall():
            connection.execute(_DROP.format(number).encode())
        for (number,) in connection.execute(_UNWANTED, (True,)).fetchall():
            connection.execute(_DROP.format(number).encode())
            connection.execute("DELETE FROM near WHERE scope = %s", (number,))
        found = connection.execute(_VALID, (True,)).fetchall()
        connection.execute(_FORGET, ([number for (number,) in found],))

    def _index(self, connection: Connection[Row], number: int) -> None:
        """Indexes a scope, if it is there and late."""
        state = connection.execute(_STATE, (number, self._collection)).fetchone()
        if state is None:
            return
        version, indexed, removed, is_indexed, late = state
        if not is_late(late, is_indexed=is_indexed, least=self._least):
            return
        dims = self._fill(connection, number, indexed, version)
        if removed > indexed:
            connection.execute(f"{_ALL_GONE} AND scope = %s", (number,))
        if not is_indexed:
            self._make(connection, number, dims)
        # Last: those who write to the scope wait for this statement.
        connection.execute(_RECORD, (version, number, dims))

    def _fill(self, connection: Connection[Row], number: int, after: int, until: int) -> int:
        """Stores the vectors of points that have changed since. Returns their length."""
        seq, dims = -1, 0
        sql = _STORE.format(schema=self._schema).encode()
        while some := _page(connection, (number, after, until, seq)):
            connection.execute(sql, (number, [each for each, _ in some], _texts(some)))
            seq, dims = some[-1][0], len(some[-1][1]) // 4
        return dims

    def _make(self, connection: Connection[Row], number: int, dims: int) -> None:
        sql = _MAKE.format(number=number, schema=self._schema, dims=dims)
        try:
            connection.execute(sql.encode())
        except psycopg.Error:
            with suppress(psycopg.Error):  # Then the next builder does it.
                connection.execute(_DROP.format(number).encode())
            raise


def _page(connection: Connection[Row], bindings: Sequence[int]) -> list[Row]:
    found = connection.cursor(binary=True).execute(_UNINDEXED, bindings)
    rows: list[Row] = found.fetchall()
    return rows


def _texts(rows: Sequence[Row]) -> list[str]:
    return [text_of(vector) for _, vector in rows]


def _cut_off(connection: Connection[Row]) -> None:
    """Ends a connection that another thread waits for. The server gets to know when it is done."""
    with suppress(psycopg.Error, OSError), socket.socket(fileno=os.dup(connection.fileno())) as own:
        own.shutdown(socket.SHUT_RDWR)
