"""Transactions of one thread.

What a statement costs is above all the way to the server and back. So a transaction that writes
sends its statements without waiting for their results, unless it needs them. One that reads may
be told what will be asked, too, and asks it together with what is asked first.
"""

from __future__ import annotations

import time

import psycopg

from isomem.errors import DatabaseError
from isomem.store.connection import leak
from isomem.stores.postgres.meanings import is_lost, lost, meaning

TYPE_CHECKING = False
if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Container, Iterable, Sequence
    from contextlib import AbstractContextManager
    from typing import Any, TypeVar

    from psycopg import Connection, Cursor

    from isomem.store.cache import Scope
    from isomem.stores.postgres.connections import Connections, Row

    T = TypeVar("T")
    Asked = tuple[str, Sequence[Any]]
    """A statement and its bindings."""

_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_WRITE = "BEGIN ISOLATION LEVEL READ COMMITTED"
_TOKEN = (
    "WITH done AS (DELETE FROM commits WHERE token = ANY(%s)) INSERT INTO commits (token)"
    " VALUES (%s)"
)


class Transaction:
    """One transaction of one thread. It begins with its first statement.

    Args:
        writes: whether it may write.
        bare: it only reads, and each statement is a transaction of its own.
        token: what it stores, so that it can be found out whether it was committed.
        done: tokens of earlier transactions that nobody will ask for.
        sure: whether its writes may take for granted what is nearly always so, and raise
            `UnsureError` if it is not: they then need not wait for an answer.

    Attributes:
        dirty: the numbers of the scopes that it has changed.
        changed: the collections in which it has changed scopes whose numbers it does not know.
        loaded: the scopes that it has read, if nobody can change them meanwhile.
        indexed: the scopes with an HNSW index among those that somebody has asked for.
        selected: filters, the scopes that they name, and the row keys that pass them.
        pinned: those that nobody may change in place until it ends.
        committing: whether it may be committed already.
    """

    def __init__(
        self,
        connections: Connections,
        *,
        writes: bool,
        bare: bool = False,
        token: uuid.UUID | None = None,
        done: Sequence[uuid.UUID] = (),
        sure: bool = False,
    ) -> None:
        self.writes = writes
        self.sure = sure
        self.committing = False
        self.dirty: set[int] = set()
        self.changed: set[int] = set()
        self.loaded: dict[object, Scope] = {}
        self.indexed: dict[object, Sequence[int]] = {}
        self.selected: list[tuple[object, Scope, Container[int]]] = []
        self.pinned: list[object] = []
        self._connections = connections
        self._forks = connections.forks
        self._bare = bare
        self._token = token
        self._done = done
        self._connection: Connection[Row] | None = None
        self._pipeline: AbstractContextManager[Any] | None = None
        self._savepoints = 0
        self._expected: list[Asked] = []
        self._answers: list[tuple[Asked, list[Row]]] = []

    # --- Statements ---

    def rows(self, sql: str, bindings: Sequence[Any]) -> list[Row]:
        """What a statement returns."""
        self._check_not_forked()
        if self.writes:
            return self._guarded(lambda: self._write_cursor().execute(sql, bindings).fetchall())
        asked = (sql, tuple(bindings))
        for number, (other, _) in enumerate(self._answers):
            if other == asked:
                return self._answers.pop(number)[1]
        return self._read(asked)

    def expect(self, sql: str, bindings: Sequence[Any]) -> None:
        """Says what will be asked: it is sent with the next statement, and its answer is kept."""
        if not self.writes:
            self._expected.append((sql, tuple(bindings)))

    def send(self, sql: str, bindings: Sequence[Any]) -> None:
        """Sends a statement, without waiting for it."""
        if not self.writes:
            raise RuntimeError("a write inside a block that reads")
        self._guarded(lambda: self._write_cursor().execute(sql, bindings))

    def _check_not_forked(self) -> None:
        self._connections.check_not_forked(self._forks)

    def _guarded(self, work: Callable[[], T]) -> T:
        self._check_not_forked()
        try:
            return work()
        except psycopg.Error as error:
            self._check_not_forked()
            raise meaning(error, self._connections.target, committing=self.committing) from error

    def _write_cursor(self) -> Cursor[Row]:
        connection = self._connection
        if connection is None:
            connection = self._connection = self._connections.take()
            self._pipeline = connection.pipeline()
            self._pipeline.__enter__()
            connection.execute(_WRITE, prepare=False)
            if self._token is not None:
                connection.execute(_TOKEN, ([*self._done], self._token))
        return connection.cursor(binary=True)

    def claims(self) -> bool:
        """Stores the token of a write that may be done already; False if it is."""
        token, self._token = self._token, None
        try:
            bindings = ([*self._done], token)
            self._write_cursor().execute(f"{_TOKEN} RETURNING token", bindings).fetchall()
        except psycopg.errors.UniqueViolation:
            return False
        except psycopg.Error as error:
            self._check_not_forked()
            raise meaning(error, self._connections.target) from error
        return True

    # --- Reading ---

    def _read(self, asked: Asked) -> list[Row]:
        """What a statement returns; on a new connection if the old one is lost.

        What follows then sees a later state of the database.
        """
        others = [each for each in self._expected if each != asked]
        self._expected = []
        deadline: float | None = None
        while True:
            try:
                first, *more = self._read_once([asked, *others])
            except psycopg.Error as error:
                self._check_not_forked()
                if not is_lost(error):
                    raise meaning(error, self._connections.target) from error
                now = time.monotonic()
                deadline = deadline or now + self._connections.retry_s
                self._drop_connection()
                self._answers.clear()  # Of the old connection, and perhaps of another server.
                if now > deadline:
                    cause = self._connections.target.without_secret(str(error))
                    raise lost(self._connections.target, cause, in_doubt=False) from error
                self._connections.check_idle()
            else:
                self._answers += zip(others, more, strict=True)
                return first

    def _read_once(self, asked: Sequence[Asked]) -> list[list[Row]]:
        begins = self._connection is None and not self._bare
        if self._connection is None:
            self._connection = self._connections.take()
        connection = self._connection
        # Fetched at the end: a fetch inside would wait for an answer of its own.
        with connection.pipeline():
            if begins:
                connection.execute(_READ, prepare=False)
            cursors = [connection.cursor(binary=True).execute(*each) for each in asked]
        return [cursor.fetchall() for cursor in cursors]

    # --- Its parts, and its end ---

    @property
    def server(self) -> str:
        """The server of its last statement, as `Connections.server_of`; empty before the first."""
        connection = self._connection
        return "" if connection is None else self._connections.server_of(connection)

    def has_left(self, collection: int, scopes: Iterable[int]) -> bool:
        """Whether it has changed none of these scopes of a collection."""
        return collection not in self.changed and self.dirty.isdisjoint(scopes)

    def savepoint(self) -> str:
        """Begins a part that can be undone alone."""
        self._savepoints += 1
        name = f"part_{self._savepoints}"
        self.send(f"SAVEPOINT {name}", ())
        return name

    def commit(self) -> None:
        """Makes everything durable."""
        self._check_not_forked()
        connection = self._connection
        if connection is None:
            return
        if not self.writes:
            self._connection = None
            if self._bare:
                self._connections.give_back(connection)
            else:
                self._connections.rest(connection)
            return

        def end() -> None:
            cursor = self._write_cursor()
            self.committing = True
            cursor.execute("COMMIT", prepare=False)
            self._leave_pipeline()

        self._guarded(end)
        self._release()

    def _leave_pipeline(self) -> None:
        pipeline, self._pipeline = self._pipeline, None
        if pipeline is not None:
            pipeline.__exit__(None, None, None)

    def roll_back(self, error: BaseException) -> None:
        """Undoes everything. A connection whose state is not known is closed."""
        connection = self._connection
        if connection is None or self._is_left_to_parent():
            return
        try:
            is_known = isinstance(error, Exception) and not isinstance(error, DatabaseError)
            if is_known and not connection.closed:
                self._abandon(connection)
            else:
                connection.close()
        finally:
            self._release()

    def _abandon(self, connection: Connection[Row]) -> None:
        try:
            self._leave_pipeline()
            connection.execute("ROLLBACK", prepare=False)
        except psycopg.Error:  # What failed was raised before.
            connection.close()

    def _is_left_to_parent(self) -> bool:
        """Whether this is a forked child, which must not end anything."""
        if self._forks == self._connections.forks:
            return False
        leak(self._pipeline)
        self._connection = self._pipeline = None
        return True

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._release()

    def _release(self) -> None:
        if self._is_left_to_parent():
            return
        connection, self._connection = self._connection, None
        self._pipeline = None
        if connection is not None:
            self._connections.give_back(connection)
