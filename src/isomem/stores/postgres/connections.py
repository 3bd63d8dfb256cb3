"""The connections to one PostgreSQL database, shared by the threads of a process."""

from __future__ import annotations

import os
import threading
from contextlib import suppress

import psycopg
from psycopg_pool import ConnectionPool

from isomem.errors import DatabaseError
from isomem.stores.postgres.meanings import meaning
from isomem.stores.postgres.resting import Resting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from psycopg import Connection

    from isomem.stores.postgres.target import Target

    Row = tuple[Any, ...]

_PREPARED = {"prepare_threshold": 2}
"""The server plans a statement once that a connection sends for the third time. A connection on
which a statement has failed is closed, since it cannot be known what is prepared on it."""

LONGEST_DOUBT_S = 12 * 3600.0
"""For how long a call may ask whether it is stored: until then, nobody removes its token."""

_COMPACTED = (
    "points", "near", "ids", "links", "scopes", "term_counts", "history", "messages", "removed",
    "ingests", "failed_chunks", "receipts",
)  # fmt: skip
"""What has rows about memories. The vectors of indexes, `near`, are only there if one was asked
for."""


class Connections:
    """The connections to one database.

    Args:
        target: which one.
        pool_min, pool_max: how many to keep, and to have at most.
        connect_timeout_s: how long to wait for one.
        retry_s: how long to try again after a lost one.
    """

    def __init__(
        self,
        target: Target,
        *,
        pool_min: int,
        pool_max: int,
        connect_timeout_s: float,
        retry_s: float,
    ) -> None:
        self.target = target
        self.retry_s = min(retry_s, LONGEST_DOUBT_S)
        self.closed: str | None = None
        self._sizes = (pool_min, pool_max)
        self._timeout_s = connect_timeout_s
        self._making = threading.Lock()
        self._pool: ConnectionPool[Connection[Row]] | None = None
        self._process = -1
        self._resting = Resting(pool_min)
        self._inherited: list[object] = []

    def take(self) -> Connection[Row]:
        """A connection, which `give_back` or `rest` has to follow."""
        pool = self._open_pool()
        with self._resting.wanted():
            while (connection := self._resting.take()) is not None:
                if not connection.closed:
                    return connection
                pool.putconn(connection)
            try:
                return pool.getconn(self._timeout_s)
            except psycopg.Error as error:
                raise meaning(error, self.target) from error

    def give_back(self, connection: Connection[Row]) -> None:
        """Returns a connection; a broken one is replaced."""
        pool = self._pool
        if pool is None or self._process != os.getpid():
            connection.close()
        else:
            pool.putconn(connection)

    def rest(self, connection: Connection[Row]) -> None:
        """Returns a connection that has read everything, without waiting for its `COMMIT`."""
        if self._pool is None or self._process != os.getpid():
            connection.close()
            return
        other = self._resting.put(connection)
        if other is not None:
            self.give_back(other)

    def check_idle(self) -> None:
        """Replaces the idle connections that are broken, too."""
        while (connection := self._resting.take()) is not None:
            self.give_back(connection)
        if self._pool is not None:
            self._pool.check()

    def _open_pool(self) -> ConnectionPool[Connection[Row]]:
        if self.closed:
            raise DatabaseError(
                f"{self.target.name} is closed",
                suggestion="Make a new memory to use the database again.",
            )
        pool = self._pool
        if pool is not None and self._process == os.getpid():
            return pool
        with self._making:
            # A forked child has none of its parent's threads, and must not use its connections.
            if self._pool is None or self._process != os.getpid():
                # Not freed: that would wait for its threads, and close connections of the parent.
                self._inherited += [self._pool, self._resting]
                self._resting = Resting(self._sizes[0])
                self._pool = self._new_pool()
                self._process = os.getpid()
            return self._pool

    def _new_pool(self) -> ConnectionPool[Connection[Row]]:
        least, most = self._sizes
        return ConnectionPool(
            "",
            kwargs={**self.target.parameters, "autocommit": True, **_PREPARED},
            min_size=least,
            max_size=most,
            num_workers=1,
            open=True,
            name="isomem",
        )

    def compact(self) -> None:
        """Has the server rewrite the tables without what was removed."""
        connection = self.take()
        try:
            connection.execute("SET statement_timeout = 0")
            for table in _COMPACTED:
                if connection.execute("SELECT to_regclass(%s)", (table,)).fetchone() != (None,):
                    connection.execute(f"VACUUM FULL {table}".encode())
        except psycopg.Error as error:
            raise meaning(error, self.target) from error
        finally:
            with suppress(psycopg.Error):  # The pool drops a connection that is lost.
                connection.execute("RESET statement_timeout")
            self.give_back(connection)

    def close(self) -> None:
        """Closes all connections. May be called twice."""
        self.closed = "closed"
        pool, self._pool = self._pool, None
        if pool is not None and self._process == os.getpid():
            while (connection := self._resting.take()) is not None:
                connection.close()
            pool.close()
