"""One PostgreSQL database: blocks of statements, each block one transaction.

A thread has at most one block at a time; blocks inside it join it. A block that reads sees one
state of the database.

A write of `write` is done exactly once. It stores a token of its own in the same transaction. If
the connection is lost while that is being committed, the token is stored again first: either it is
there already, and the write is done, or the first transaction is gone for good. The next write of
the process removes the tokens of those that are done.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections import deque
from contextlib import suppress
from functools import cache

import psycopg
from psycopg_pool import ConnectionPool

from isomem.errors import DatabaseError
from isomem.stores.postgres.meanings import UnfinishedError, UnsureError, meaning
from isomem.stores.postgres.resting import Resting
from isomem.stores.postgres.transactions import Block, Savepoint, Transaction, end

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any, ParamSpec, TypeVar

    from psycopg import Connection

    from isomem.stores.postgres.target import Target
    from isomem.stores.postgres.transactions import Row

    P = ParamSpec("P")
    T = TypeVar("T")

LONGEST_DOUBT_S = 12 * 3600.0
"""For how long a call may ask whether it is stored: until then, nobody removes its token."""
_MOST_DONE = 100
_PAUSE_S = (0.0, 0.02, 0.05, 0.1, 0.2)
"""How long to wait before a transaction is tried again; the last one counts for all others."""


@cache
def translated(sql: str) -> str:
    """A statement with the placeholders of psycopg in place of SQLite's."""
    return sql.replace("%", "%%").replace("?", "%s")


class Database:
    """One database, as its threads and processes use it.

    Args:
        target: which one.
        pool_min, pool_max: how many connections to keep, and to have at most.
        connect_timeout_s: how long to wait for a connection.
        retry_s: how long to try again after a lost connection.

    Attributes:
        path: its name in errors.
        epoch: never changes: what is cached is checked against the versions of its scopes.
        retry_s: how long to try again after a lost connection.
        release: lets go of the scopes in memory that a transaction has looked at.
    """

    epoch = 0

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
        self.path = target.name
        self.closed: str | None = None
        self.release: Callable[[Sequence[Any]], object] = len
        self._sizes = (pool_min, pool_max)
        self._timeout_s = connect_timeout_s
        self.retry_s = min(retry_s, LONGEST_DOUBT_S)
        self._done: deque[uuid.UUID] = deque(maxlen=_MOST_DONE)
        self._local = threading.local()
        self._making = threading.Lock()
        self._pool: ConnectionPool[Connection[Row]] | None = None
        self._process = -1
        self._resting = Resting(pool_min)
        self._inherited: list[object] = []

    def __repr__(self) -> str:
        return f"Database({self.path!r})"

    # --- Blocks ---

    def reading(self, begin: Callable[[], object] | None = None) -> Block:
        """A block that sees one state of the database. It begins with `begin`, if it is given."""
        return Block(self, writes=False, begin=begin)

    def asking(self) -> Block:
        """A block that reads, in which every statement sees the latest state: it is cheaper."""
        return Block(self, writes=False, bare=True)

    def writing(self) -> Block:
        """A block whose writes are all stored, or none if it raises."""
        return Block(self, writes=True)

    def atomic(self) -> Savepoint:
        """A block inside a writing block, whose writes are undone alone if it raises."""
        return Savepoint(self)

    def prepared(self, work: Callable[[], object]) -> None:
        """Runs `work`, which makes what is not there yet, in one transaction."""
        self.write(work)

    def write(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs `work` in one transaction, or as a part of the caller's.

        It may run several times, but what it writes is stored once.

        Raises:
            DatabaseError: nothing was stored, or it is not known, which the error says.
        """
        if self.transaction is not None:
            return work(*args, **kwargs)
        return _Write(self, uuid.uuid4()).run(lambda: work(*args, **kwargs))

    def repeat(self, work: Callable[[], T]) -> T:
        """As `write`, for work that leaves the same if it is stored twice: it needs no token."""
        if self.transaction is not None:
            return work()
        return _Write(self, None).run(work)

    def give_way(self) -> None:
        """Nothing: readers and writers do not wait for each other here."""

    # --- Statements ---

    def rows(self, sql: str, bindings: Sequence[Any] = ()) -> list[Row]:
        """What a statement returns."""
        return self.current.rows(translated(sql), bindings)

    def expect(self, sql: str, bindings: Sequence[Any] = ()) -> None:
        """Says that a block that reads will ask for this: it is sent with what it asks next."""
        self.current.expect(translated(sql), bindings)

    def execute(self, sql: str, bindings: Sequence[Any] = ()) -> None:
        """Sends a statement that writes. Its errors may come later in the block."""
        self.current.send(translated(sql), bindings)

    def execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Sends one statement for each of some bindings."""
        sql, transaction = translated(sql), self.current
        for bindings in rows:
            transaction.send(sql, bindings)

    @property
    def transaction(self) -> Transaction | None:
        """That of this thread."""
        found: Transaction | None = getattr(self._local, "transaction", None)
        return found

    @property
    def current(self) -> Transaction:
        """The transaction of the block that this runs in."""
        transaction = self.transaction
        if transaction is None:
            raise RuntimeError("a statement outside of a block")
        return transaction

    def enter(self, transaction: Transaction | None) -> None:
        """Makes a transaction the one of this thread."""
        self._local.transaction = transaction

    # --- Connections ---

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
                f"{self.path} is closed",
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
        # None are prepared: one whose pipeline fails is not there, but counts as if it were.
        return ConnectionPool(
            "",
            kwargs={**self.target.parameters, "autocommit": True, "prepare_threshold": None},
            min_size=least,
            max_size=most,
            num_workers=1,
            open=True,
            name="isomem",
        )

    def compact(self) -> None:
        """Lets the server give back the space of what was removed. Takes as long as it takes."""
        connection = self.take()
        try:
            connection.execute("SET statement_timeout = 0")
            for table in ("points", "ids", "links", "history", "messages", "removed"):
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

    # --- Tokens ---

    def done(self) -> list[uuid.UUID]:
        """The tokens of writes that are done; each is given out once."""
        tokens = []
        with suppress(IndexError):
            while True:
                tokens.append(self._done.popleft())
        return tokens

    def is_done(self, tokens: Iterable[uuid.UUID]) -> None:
        """Nobody will ask for these tokens any more."""
        self._done.extend(tokens)


class _Write:
    """One write that is done once, in however many attempts."""

    def __init__(self, database: Database, token: uuid.UUID | None) -> None:
        self._database = database
        self._token = token
        self._deadline = time.monotonic() + database.retry_s
        self._in_doubt: UnfinishedError | None = None
        self._sure = True
        self._done: list[uuid.UUID] = []
        self._result: Any = None

    def run(self, work: Callable[[], T]) -> T:
        """What `work` returned in the attempt that is stored."""
        attempt = 0
        while True:
            try:
                result = self._try(work)
            except UnsureError:
                if not self._sure:
                    raise
                self._sure = False
            except DatabaseError as error:
                if not self._may_go_on(error):
                    raise
                attempt += 1
                time.sleep(_PAUSE_S[min(attempt, len(_PAUSE_S)) - 1])
                self._database.check_idle()
            else:
                if self._token is not None:
                    self._database.is_done([self._token])
                return result

    def _try(self, work: Callable[[], T]) -> T:
        if self._token is not None:
            self._done += self._database.done()
        transaction = Transaction(
            self._database, writes=True, token=self._token, done=self._done, sure=self._sure
        )
        self._database.enter(transaction)
        error: BaseException | None = None
        try:
            if self._in_doubt is not None:
                if self._token is not None and not transaction.claims():
                    result: T = self._result
                    error = self._in_doubt
                    return result
                self._in_doubt = None
            self._result = work()
            return self._result  # type: ignore[no-any-return]
        except BaseException as raised:
            error = raised
            raise
        finally:
            end(self._database, transaction, error)

    def _may_go_on(self, error: DatabaseError) -> bool:
        """Whether to try again; raises what is to be told the caller in place of `error`."""
        is_unfinished = isinstance(error, UnfinishedError)
        if is_unfinished and error.in_doubt:  # type: ignore[attr-defined]
            self._in_doubt = error  # type: ignore[assignment]
        if self._in_doubt is None:
            return is_unfinished and time.monotonic() < self._deadline
        if time.monotonic() < self._deadline:
            return True
        raise self._in_doubt
