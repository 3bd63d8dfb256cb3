"""The connections to one PostgreSQL database, shared by the threads of a process.

After a fork, the child makes connections of its own. It lets go of its parent's sockets without a
word to the server, and what is made of them, threads and locks included, is never used or freed.
"""

from __future__ import annotations

import ctypes  # noqa: F401 - for `leak`: in a forked child, an import may wait for a dead thread.
import os
import socket
import threading
from _weakref import ref
from contextlib import suppress

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

from isomem.errors import DatabaseError
from isomem.store.connection import leak
from isomem.store.forks import watch
from isomem.stores.postgres.compacting import rewrite
from isomem.stores.postgres.meanings import ForkedError, meaning, unreachable
from isomem.stores.postgres.resting import Resting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from psycopg import Connection

    from isomem.stores.postgres.target import Target

    Row = tuple[Any, ...]

_PREPARED = {"prepare_threshold": 2}
"""The server plans a statement once that a connection sends for the third time. A connection on
which a statement has failed is closed, since it cannot be known what is prepared on it."""

_LOOK_S = 2
"""How many seconds to spend on finding out why there is no connection."""

LONGEST_DOUBT_S = 12 * 3600.0
"""For how long a call may ask whether it is stored: until then, nobody removes its token."""


def connected(target: Target, **parameters: object) -> Connection[Row]:
    """A connection of its own, beside all pools.

    Args:
        parameters: overlay those of the target.

    Raises:
        DatabaseError: none can be made; it says why.
    """
    overlaid: dict[str, Any] = {**target.parameters, **parameters}
    try:
        connection = psycopg.connect(**overlaid, autocommit=True)
        try:
            target.begin(connection)
        except BaseException:
            connection.close()
            raise
    except psycopg.Error as error:
        raise unreachable(error, target) from error
    return connection


class Connections:
    """The connections to one database.

    Args:
        target: which one.
        pool_min, pool_max: how many to keep, and to have at most.
        connect_timeout_s: how long to wait for one.
        retry_s: how long to try again after a lost one.

    Attributes:
        forks: how many forks lie between this process and the one that opened it.
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
        self.forks = 0
        self._restarts: list[Callable[[], None]] = []
        self._begin()
        watch(self)

    def _begin(self) -> None:
        self._making = threading.RLock()  # A signal handler may close in the middle.
        self._pool: ConnectionPool[Connection[Row]] | None = None
        self._resting = Resting(self._sizes[0])
        self._made: dict[ref[Connection[Row]], str] = {}

    def adopt(self, connection: Connection[Row], server: str = "") -> None:
        """Remembers a connection, so that a child lets go of it, and which server it is to."""
        self._made[ref(connection, self._forget)] = server

    def _forget(self, gone: ref[Connection[Row]]) -> None:
        self._made.pop(gone, None)

    def server_of(self, connection: Connection[Row]) -> str:
        """Which server a connection is to: as `Target.begin` tells it."""
        return self._made.get(ref(connection), "")

    def take(self) -> Connection[Row]:
        """A connection, which `give_back` or `rest` has to follow.

        Raises:
            DatabaseError: there is none, or all are closed.
        """
        pool = self._open_pool()
        with self._resting.wanted():
            while (connection := self._resting.take()) is not None:
                if not connection.closed:
                    return connection
                pool.putconn(connection)
            try:
                return pool.getconn(self._timeout_s)
            except psycopg.Error as error:
                if self.closed:
                    raise self._end() from error
                if isinstance(error, PoolTimeout):  # The pool only logs why.
                    connected(self.target, connect_timeout=_LOOK_S).close()
                raise meaning(error, self.target) from error

    def give_back(self, connection: Connection[Row]) -> None:
        """Returns a connection; a broken one is replaced."""
        pool = self._pool
        if pool is None:
            connection.close()
        else:
            pool.putconn(connection)

    def rest(self, connection: Connection[Row]) -> None:
        """Returns a connection that has read everything, without waiting for its `COMMIT`."""
        if self._pool is None:
            connection.close()
            return
        other = self._resting.put(connection)
        if other is not None:
            self.give_back(other)
        if self._pool is None:  # Others have closed it meanwhile.
            self._close_resting()

    def _close_resting(self) -> None:
        while (connection := self._resting.take()) is not None:
            connection.close()

    def check_idle(self) -> None:
        """Replaces the idle connections that are broken, too."""
        while (connection := self._resting.take()) is not None:
            self.give_back(connection)
        if self._pool is not None:
            self._pool.check()

    def _open_pool(self) -> ConnectionPool[Connection[Row]]:
        pool = self._pool
        if pool is not None:
            return pool
        with self._making:
            if self._pool is None and not self.closed:
                self._pool = self._new_pool()
            pool = self._pool
            if self.closed or pool is None:
                self.close()
                raise self._end()
            return pool

    def _end(self) -> DatabaseError:
        return DatabaseError(
            f"{self.target.name} is closed",
            suggestion="Make a new memory to use the database again.",
        )

    def _new_pool(self) -> ConnectionPool[Connection[Row]]:
        least, most = self._sizes
        return ConnectionPool(
            "",
            kwargs={**self.target.parameters, "autocommit": True, **_PREPARED},
            min_size=least,
            max_size=most,
            # The pool gives up then, and tries at once when it is asked again. Until then, it tries
            # at intervals that double, and is of no use in them.
            reconnect_timeout=self._timeout_s,
            num_workers=1,
            configure=self._begin_session,
            open=True,
            name="isomem",
        )

    def _begin_session(self, connection: Connection[Row]) -> None:
        self.adopt(connection)
        self.adopt(connection, self.target.begin(connection))

    def compact(self) -> None:
        """Has the server rewrite the tables without what was removed.

        Raises:
            DatabaseError: as `compacting.rewrite`.
        """
        connection = self.take()
        try:
            rewrite(connection, self.target.name)
        except psycopg.Error as error:
            raise meaning(error, self.target) from error
        finally:
            with suppress(psycopg.Error):  # The pool drops a connection that is lost.
                connection.execute("RESET lock_timeout")
                self.target.begin(connection)
            self.give_back(connection)

    def close(self) -> None:
        """Closes all connections. May be called twice."""
        with self._making:  # A pool that is being made is closed, too.
            self.closed = "closed"
            pool, self._pool = self._pool, None
        if pool is not None:
            self._close_resting()
            pool.close()

    # --- Forks ---

    def at_fork(self, restart: Callable[[], None]) -> None:
        """Has a child call this, for what it has to make anew beside the connections."""
        self._restarts.append(restart)

    def check_not_forked(self, forks: int) -> None:
        """Raises an error in the child of the process in which there were so many forks.

        Raises:
            ForkedError: what is asked for belongs to the parent.
        """
        if forks != self.forks:
            raise ForkedError(
                f"{self.target.name}: the process was forked inside this block",
                suggestion="The block belongs to the parent. Begin one of your own in the child.",
            )

    def hold(self, timeout_s: float, longest_s: float) -> None:
        """Nothing: a child needs nothing that another thread may be at; see `store.forks`."""

    def after_fork(self, *, quiet: bool) -> None:
        """In the child: makes everything anew."""
        del quiet
        self.forks += 1
        made = [connection for each in [*self._made] if (connection := each()) is not None]
        for inherited in (self._pool, *made):
            leak(inherited)  # A pool that is freed waits for threads that are not here.
        with suppress(OSError):
            _let_go(made)
        self._begin()
        for restart in self._restarts:
            restart()


def _let_go(connections: Iterable[Connection[Row]]) -> None:
    """Puts a dead socket in the place of those of a parent, whose connections these are.

    They stay open for the parent alone. Whatever uses or closes them here fails, or reaches nobody.
    """
    dead, other = socket.socketpair()
    other.close()
    with dead:
        for connection in connections:
            with suppress(psycopg.Error):  # One that was closed has no socket.
                os.dup2(dead.fileno(), connection.fileno(), inheritable=False)
