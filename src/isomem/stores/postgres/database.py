"""One PostgreSQL database: blocks of statements, each block one transaction.

A thread has at most one block at a time; blocks inside it join it. A block that reads sees one
state of the database. A block that writes sends its statements without waiting for their results,
unless it needs them.

A write of `write` is done exactly once. It stores a token of its own in the same transaction. If
the connection is lost while that is being committed, the token is stored again first: either it is
there already, and the write is done, or the first transaction is gone for good.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from contextlib import suppress
from functools import cache

import psycopg
from psycopg_pool import ConnectionPool

from isomem.errors import DatabaseError
from isomem.stores.postgres.meanings import UnfinishedError, is_lost, lost, meaning

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager
    from typing import Any, ParamSpec, TypeVar

    from psycopg import Connection, Cursor

    from isomem.store.cache import Scope
    from isomem.stores.postgres.target import Target

    P = ParamSpec("P")
    T = TypeVar("T")
    Row = tuple[Any, ...]

_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_WRITE = "BEGIN ISOLATION LEVEL READ COMMITTED"
_TOKEN = "INSERT INTO commits (token) VALUES (%s)"
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
        self._retry_s = retry_s
        self._local = threading.local()
        self._making = threading.Lock()
        self._pool: ConnectionPool[Connection[Row]] | None = None
        self._process = -1
        self._inherited: list[object] = []

    def __repr__(self) -> str:
        return f"Database({self.path!r})"

    # --- Blocks ---

    def reading(self) -> Block:
        """A block that sees one state of the database."""
        return Block(self, writes=False)

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
        return _Write(self, uuid.uuid4(), self._retry_s).run(lambda: work(*args, **kwargs))

    def repeat(self, work: Callable[[], T]) -> T:
        """As `write`, for work that leaves the same if it is stored twice: it needs no token."""
        if self.transaction is not None:
            return work()
        return _Write(self, None, self._retry_s).run(work)

    def give_way(self) -> None:
        """Nothing: readers and writers do not wait for each other here."""

    # --- Statements ---

    def rows(self, sql: str, bindings: Sequence[Any] = ()) -> list[Row]:
        """What a statement returns."""
        return self.current.rows(translated(sql), bindings)

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
        """A connection, which `give_back` has to follow."""
        try:
            return self._open_pool().getconn(self._timeout_s)
        except psycopg.Error as error:
            raise meaning(error, self.target) from error

    def give_back(self, connection: Connection[Row]) -> None:
        """Returns a connection; a broken one is replaced."""
        pool = self._pool
        if pool is None or self._process != os.getpid():
            connection.close()
        else:
            pool.putconn(connection)

    def check_idle(self) -> None:
        """Replaces the idle connections that are broken, too."""
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
                self._inherited.append(self._pool)
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
            pool.close()


class Transaction:
    """One transaction of one thread. It begins with its first statement.

    Attributes:
        writes: whether it may write.
        dirty: the numbers of the scopes that it has changed.
        loaded: the scopes that it has read, if nobody can change them meanwhile.
        pinned: those that nobody may change in place until it ends.
        committing: whether it may be committed already.
    """

    def __init__(self, database: Database, *, writes: bool, token: uuid.UUID | None = None) -> None:
        self.writes = writes
        self.committing = False
        self.dirty: set[int] = set()
        self.loaded: dict[object, Scope] = {}
        self.pinned: list[object] = []
        self._database = database
        self._token = token
        self._connection: Connection[Row] | None = None
        self._pipeline: AbstractContextManager[Any] | None = None
        self._savepoints = 0

    # --- Statements ---

    def rows(self, sql: str, bindings: Sequence[Any]) -> list[Row]:
        """What a statement returns."""
        if self.writes:
            return self._guarded(lambda: _all(self._write_cursor().execute(sql, bindings)))
        return self._read(sql, bindings)

    def send(self, sql: str, bindings: Sequence[Any]) -> None:
        """Sends a statement, without waiting for it."""
        if not self.writes:
            raise RuntimeError("a write inside a block that reads")
        self._guarded(lambda: self._write_cursor().execute(sql, bindings))

    def _guarded(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except psycopg.Error as error:
            raise meaning(error, self._database.target, committing=self.committing) from error

    def _write_cursor(self) -> Cursor[Row]:
        connection = self._connection
        if connection is None:
            connection = self._connection = self._database.take()
            self._pipeline = connection.pipeline()
            self._pipeline.__enter__()
            connection.execute(_WRITE)
            if self._token is not None:
                connection.execute(_TOKEN, (self._token,))
        return connection.cursor(binary=True)

    def claims(self) -> bool:
        """Stores the token of a write that may be done already; False if it is."""
        token, self._token = self._token, None
        try:
            self._write_cursor().execute(_TOKEN + " RETURNING token", (token,)).fetchall()
        except psycopg.errors.UniqueViolation:
            return False
        except psycopg.Error as error:
            raise meaning(error, self._database.target) from error
        return True

    def _read(self, sql: str, bindings: Sequence[Any]) -> list[Row]:
        """What a statement returns; on a new connection if the old one is lost.

        What follows then sees a later state of the database.
        """
        deadline: float | None = None
        while True:
            try:
                return self._read_once(sql, bindings)
            except psycopg.Error as error:
                if not is_lost(error):
                    raise meaning(error, self._database.target) from error
                now = time.monotonic()
                deadline = deadline or now + self._database._retry_s
                self._drop_connection()
                if now > deadline:
                    cause = self._database.target.without_secret(str(error))
                    raise lost(self._database.target, cause, in_doubt=False) from error
                self._database.check_idle()

    def _read_once(self, sql: str, bindings: Sequence[Any]) -> list[Row]:
        connection = self._connection
        if connection is not None:
            return _all(connection.cursor(binary=True).execute(sql, bindings))
        connection = self._connection = self._database.take()
        with connection.pipeline():
            connection.execute(_READ)
            return _all(connection.cursor(binary=True).execute(sql, bindings))

    # --- Its parts, and its end ---

    def savepoint(self) -> str:
        """Begins a part that can be undone alone."""
        self._savepoints += 1
        name = f"part_{self._savepoints}"
        self.send(f"SAVEPOINT {name}", ())
        return name

    def commit(self) -> None:
        """Makes everything durable."""
        if self._connection is None:
            return
        if not self.writes:
            self._end_reading(self._connection)
            return

        def end() -> None:
            cursor = self._write_cursor()
            self.committing = True
            cursor.execute("COMMIT")
            self._leave_pipeline()

        self._guarded(end)
        self._release()

    def _end_reading(self, connection: Connection[Row]) -> None:
        try:
            connection.execute("COMMIT")
        except psycopg.Error:
            connection.close()  # Everything was read.
        self._release()

    def _leave_pipeline(self) -> None:
        pipeline, self._pipeline = self._pipeline, None
        if pipeline is not None:
            pipeline.__exit__(None, None, None)

    def roll_back(self, error: BaseException) -> None:
        """Undoes everything. After an interruption the connection is closed: its state is open."""
        connection = self._connection
        if connection is None:
            return
        try:
            if isinstance(error, Exception) and not connection.closed:
                self._abandon(connection)
            else:
                connection.close()
        finally:
            self._release()

    def _abandon(self, connection: Connection[Row]) -> None:
        with suppress(psycopg.Error):  # What failed was raised before.
            self._leave_pipeline()
        try:
            connection.execute("ROLLBACK")
        except psycopg.Error:
            connection.close()

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._release()

    def _release(self) -> None:
        connection, self._connection = self._connection, None
        self._pipeline = None
        if connection is not None:
            self._database.give_back(connection)


def _all(cursor: Cursor[Row]) -> list[Row]:
    found: list[Row] = cursor.fetchall()
    return found


class Block:
    """A block of statements: a transaction, or a part of the one around it."""

    __slots__ = ("_database", "_own", "_writes")

    def __init__(self, database: Database, *, writes: bool) -> None:
        self._database = database
        self._writes = writes
        self._own: Transaction | None = None

    def __enter__(self) -> Database:
        around = self._database.transaction
        if around is None:
            self._own = Transaction(self._database, writes=self._writes)
            self._database.enter(self._own)
        elif self._writes and not around.writes:
            raise RuntimeError("a block that writes inside one that reads")
        return self._database

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        own, self._own = self._own, None
        if own is not None:
            end(self._database, own, error)


def end(database: Database, transaction: Transaction, error: BaseException | None) -> None:
    """Ends the transaction of this thread, and lets go of the scopes that it looked at."""
    try:
        if error is None:
            try:
                transaction.commit()
            except BaseException as fault:
                transaction.roll_back(fault)
                raise
        else:
            transaction.roll_back(error)
    finally:
        database.enter(None)
        database.release(transaction.pinned)


class Savepoint:
    """A part of a writing block that is undone alone if it raises."""

    __slots__ = ("_block", "_database", "_name")

    def __init__(self, database: Database) -> None:
        self._database = database
        self._block = database.writing()

    def __enter__(self) -> Database:
        self._block.__enter__()
        self._name = self._database.current.savepoint()
        return self._database

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        outer: BaseException | None = error
        if isinstance(error, Exception) and not isinstance(error, DatabaseError):
            self._database.current.send(f"ROLLBACK TO SAVEPOINT {self._name}", ())
            outer = error
        elif error is None:
            self._database.current.send(f"RELEASE SAVEPOINT {self._name}", ())
        self._block.__exit__(kind, outer, trace)


class _Write:
    """One write that is done once, in however many attempts."""

    def __init__(self, database: Database, token: uuid.UUID | None, retry_s: float) -> None:
        self._database = database
        self._token = token
        self._deadline = time.monotonic() + retry_s
        self._in_doubt: UnfinishedError | None = None
        self._result: Any = None

    def run(self, work: Callable[[], T]) -> T:
        """What `work` returned in the attempt that is stored."""
        attempt = 0
        while True:
            try:
                return self._try(work)
            except DatabaseError as error:
                if not self._may_go_on(error):
                    raise
                attempt += 1
                time.sleep(_PAUSE_S[min(attempt, len(_PAUSE_S)) - 1])
                self._database.check_idle()

    def _try(self, work: Callable[[], T]) -> T:
        transaction = Transaction(self._database, writes=True, token=self._token)
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
