"""One PostgreSQL database: blocks of statements, each block one transaction.

A thread has at most one block at a time; blocks inside it join it. A block that reads sees one
state of the database.

A write of `write` is done exactly once. It stores a token of its own in the same transaction. If
the connection is lost while that is being committed, the token is stored again first: either it is
there already, and the write is done, or the first transaction is gone for good. The next write of
the process removes the tokens of those that are done.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import deque
from contextlib import suppress
from functools import lru_cache
from math import inf

from isomem.errors import DatabaseError
from isomem.stores.postgres.meanings import ForkedError, UnfinishedError, UnsureError
from isomem.stores.postgres.transactions import Transaction

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any, ParamSpec, TypeVar

    from isomem.stores.postgres.connections import Connections, Row

    P = ParamSpec("P")
    T = TypeVar("T")

_MOST_DONE = 100
_LONGEST_KEPT = 4000
_PAUSE_S = (0.0, 0.02, 0.05, 0.1, 0.2)
"""How long to wait before a transaction is tried again; the last one counts for all others."""


def translated(sql: str) -> str:
    """A statement with the placeholders of psycopg in place of SQLite's."""
    return _translated(sql) if len(sql) > _LONGEST_KEPT else _kept(sql)


def _translated(sql: str) -> str:
    return sql.replace("%", "%%").replace("?", "%s")


_kept = lru_cache(maxsize=512)(_translated)
"""The statements that come again: filters make others, of any number and length."""


class Database:
    """One database, as its threads and processes use it.

    Args:
        connections: to it.

    Attributes:
        path: its name in errors.
        epoch: never changes: what is cached is checked against the versions of its scopes.
        release: lets go of the scopes in memory that a transaction has looked at.
    """

    epoch = 0

    def __init__(self, connections: Connections) -> None:
        self.connections = connections
        self.path = connections.target.name
        self.release: Callable[[Sequence[Any]], object] = len
        self._done: deque[uuid.UUID] = deque(maxlen=_MOST_DONE)
        self._local = threading.local()

    @property
    def closed(self) -> str | None:
        """None as long as it is open."""
        return self.connections.closed

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

    def compact(self) -> None:
        """Lets the server give back the space of what was removed. Takes as long as it takes."""
        self.connections.compact()

    def close(self) -> None:
        """Closes all connections. May be called twice."""
        self.connections.close()

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
        self._forks = database.connections.forks
        self._retry_s = database.connections.retry_s
        self._deadline = inf
        self._is_last = False
        self._in_doubt: UnfinishedError | None = None
        self._is_claimed = False
        self._sure = True
        self._done: list[uuid.UUID] = []
        self._result: Any = None

    def run(self, work: Callable[[], T]) -> T:
        """What `work` returned in the attempt that is stored."""
        try:
            result = self._repeated(work)
        except BaseException:
            self._database.is_done(self._done)  # Their removal was undone.
            raise
        if self._token is not None:
            self._database.is_done([self._token])
        return result

    def _repeated(self, work: Callable[[], T]) -> T:
        attempt = 0
        while True:
            try:
                return self._try(work)
            except UnsureError:
                if not self._sure:
                    raise
                self._sure = False
            except DatabaseError as error:
                if not self._may_go_on(error):
                    raise
                attempt += 1
                time.sleep(_PAUSE_S[min(attempt, len(_PAUSE_S)) - 1])
                self._database.connections.check_idle()

    def _try(self, work: Callable[[], T]) -> T:
        self._database.connections.check_not_forked(self._forks)
        # Not if it is in doubt: what is stored then may be an attempt that knew of no others.
        self._is_claimed = False
        if self._token is not None and self._in_doubt is None:
            self._done += self._database.done()
        transaction = Transaction(
            self._database.connections,
            writes=True,
            token=self._token,
            done=self._done,
            sure=self._sure,
        )
        self._database.enter(transaction)
        error: BaseException | None = None
        try:
            # Every time: until one of them is stored, the one in doubt may still be under way.
            if self._in_doubt is not None:
                if self._token is not None and not transaction.claims():
                    result: T = self._result
                    error = self._in_doubt
                    return result
                self._is_claimed = True
            self._result = work()
            return self._result  # type: ignore[no-any-return]
        except BaseException as raised:
            error = raised
            raise
        finally:
            end(self._database, transaction, error)

    def _may_go_on(self, error: DatabaseError) -> bool:
        """Whether to try again; raises what is to be told the caller in place of `error`."""
        if isinstance(error, ForkedError):
            return False
        if isinstance(error, UnfinishedError):
            # Counted from the first loss: what it had to wait for before takes none of the time.
            self._deadline = min(self._deadline, time.monotonic() + self._retry_s)
            if error.in_doubt:
                self._in_doubt = error
        elif self._in_doubt is None or self._is_claimed:
            return False
        if time.monotonic() < self._deadline:
            return True
        if self._in_doubt is None:
            return False
        if error is self._in_doubt and self._retry_s and not self._is_last:
            self._is_last = True  # Nobody has asked about this loss; the next one may be like it.
            return True
        if self._token is not None:  # It may be stored. Never in a child: its parent may yet ask.
            self._database.is_done([self._token])
        raise self._in_doubt


class Block:
    """A block of statements: a transaction, or a part of the one around it.

    Args:
        writes, bare: see `Transaction`.
        begin: what to do first in a block that is not a part of another one.
    """

    __slots__ = ("_bare", "_begin", "_database", "_own", "_writes")

    def __init__(
        self,
        database: Database,
        *,
        writes: bool,
        bare: bool = False,
        begin: Callable[[], object] | None = None,
    ) -> None:
        self._database = database
        self._writes = writes
        self._bare = bare
        self._begin = begin
        self._own: Transaction | None = None

    def __enter__(self) -> Database:
        database, around = self._database, self._database.transaction
        if around is None:
            self._own = Transaction(database.connections, writes=self._writes, bare=self._bare)
            database.enter(self._own)
            if self._begin is not None:
                self._run(self._begin)
        elif self._writes and not around.writes:
            raise RuntimeError("a block that writes inside one that reads")
        return database

    def _run(self, begin: Callable[[], object]) -> None:
        try:
            begin()
        except BaseException as error:
            self.__exit__(None, error, None)
            raise

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
        try:
            self._name = self._database.current.savepoint()
        except BaseException as error:
            self._block.__exit__(None, error, None)
            raise
        return self._database

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        outer: BaseException | None = error
        try:
            if error is None:
                self._database.current.send(f"RELEASE SAVEPOINT {self._name}", ())
            elif isinstance(error, Exception) and not isinstance(error, DatabaseError):
                self._database.current.send(f"ROLLBACK TO SAVEPOINT {self._name}", ())
        except BaseException as fault:
            outer = fault  # The block around it ends, whatever became of this part.
            raise
        finally:
            self._block.__exit__(kind, outer, trace)
