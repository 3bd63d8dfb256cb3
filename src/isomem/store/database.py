"""One SQLite database: the blocks in which threads, processes and forks use it."""

from __future__ import annotations

import os
import time
from _thread import get_ident
from _weakref import ref

import apsw

from isomem.errors import DatabaseError, MemoryError
from isomem.store.connection import (
    GIVE_WAY_S,
    IN_MEMORY,
    Handle,
    NoCursor,
    changed,
    leak,
    lost,
    rewrite,
)
from isomem.store.forks import watch
from isomem.store.group import LONGEST_BATCH_S, MOST_AT_ONCE, Batch, StoredByAnotherError, Work
from isomem.store.meanings import meaning
from isomem.store.turn import Turn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import Any, ParamSpec, Protocol, TypeVar

    from isomem.store.connection import Identity

    P = ParamSpec("P")
    T = TypeVar("T")

    class Block(Protocol):
        """A `with` block on a database; errors of SQLite leave it as errors of isomem."""

        def __enter__(self) -> Database: ...

        def __exit__(
            self,
            kind: type[BaseException] | None,
            error: BaseException | None,
            trace: TracebackType | None,
        ) -> None: ...


DEFAULT_BUSY_TIMEOUT_S = 10.0

_READ, _WRITE = "BEGIN", "BEGIN IMMEDIATE"


class Database:
    """A file, or ":memory:", that several threads and several processes may use at once.

    Threads take turns on the one connection. A call waits for other processes for up to
    `busy_timeout_s`. Everything that runs SQL has to be called inside a block.

    Any exception may end a block at any point. A block that was cut off is undone when the next
    one begins, in this thread or another. A connection that cannot be cleaned up is replaced. In
    the child of a fork, the file is reopened on first use.

    Attributes:
        epoch: changes whenever something that was read from the file may have changed.
        is_inside: whether this thread is inside a block.
        closed: the error that every use raises; None while it can be used.
        execute: runs one statement for its effect, with the values that are bound to it.
        execute_many: runs one statement for its effect, once for each tuple of values.

    Args:
        path: the file. It is created, with its directory, if it does not exist, and is readable
            only by its owner. ":memory:" keeps everything in this process.
        prepare: makes or migrates the tables; called as `prepared` calls its work.
        synchronous: one of `connection.SYNCHRONOUS`.
        busy_timeout_s: seconds to wait for another process' write.

    Raises:
        DatabaseError: cannot be opened, locked past the timeout, read-only, newer schema.
        MemoryCorruptionError: not a database, or not one of isomem's.
        InvalidConfigError: an unknown `synchronous`.
    """

    def __init__(
        self,
        path: str,
        prepare: Callable[[apsw.Connection], None],
        *,
        synchronous: str = "full",
        busy_timeout_s: float = DEFAULT_BUSY_TIMEOUT_S,
    ) -> None:
        self.path = path
        self.busy_timeout_s = busy_timeout_s
        self.epoch = 0
        self._synchronous = synchronous
        # The process may be in another folder when the file is reopened.
        self._file = path if path == IN_MEMORY else os.path.abspath(path)
        self._turn = Turn()
        self.is_inside = self._turn.is_mine
        self._joined_reading = Joined(self, writes=False)
        self._joined_writing = Joined(self, writes=True)
        self._identity: Identity | None = None
        self.closed: DatabaseError | None = None
        self._is_clean = True
        self._held: Sequence[object] = ()
        self._forget_block()
        self._use(None)
        watch(self)
        try:
            self.prepared(lambda: prepare(self.connection))
        except BaseException:
            self.close()
            raise

    # --- The connection ---

    @property
    def connection(self) -> apsw.Connection:
        """The open connection.

        Raises:
            DatabaseError: it was closed.
        """
        if self._handle is None:
            raise self._not_open()
        return self._handle.connection

    def _use(self, handle: Handle | None) -> None:
        self._handle = handle
        # One for all statements that are through at once: making a cursor costs as much as a
        # look-up. All of them run inside a block, so no two threads use it at a time.
        self._cursor: Any = (
            NoCursor(self._not_open) if handle is None else handle.connection.cursor()
        )
        self.execute: Callable[..., object] = self._cursor.execute
        self.execute_many: Callable[..., object] = self._cursor.executemany
        self._seen_version = -1
        self._refuses_writes = False

    def _not_open(self) -> DatabaseError:
        return self.closed or DatabaseError(
            f"{self.path} is not open: this is not inside a block",
            suggestion="Use the database inside reading(), writing() or atomic().",
        )

    def _open(self) -> None:
        if self.closed is not None:
            raise self.closed
        handle = Handle(self._file, self._synchronous, self.busy_timeout_s, self._identity)
        self._identity = handle.identity
        self.epoch += 1
        self._use(handle)

    def _drop(self) -> None:
        handle = self._handle
        self._use(None)
        if handle is not None:
            try:
                handle.close()
            except apsw.Error:
                return  # It is closed, and what was committed is in the file or in its log.

    def close(self) -> None:
        """Closes the connection; what was acknowledged is in the file. May be called twice."""
        inside = self._turn.is_mine()
        if not inside:
            self._turn.take()
        try:
            if self.closed is None:
                self.closed = DatabaseError(
                    f"{self.path} is closed",
                    suggestion="Make a new Memory to use the file again.",
                )
            self._drop()
        finally:
            if not inside:
                self._turn.give_back()

    def compact(self) -> None:
        """Rewrites the file, so that nothing that was removed is left in its bytes.

        Other processes wait meanwhile. It needs as much free space as the file takes.

        Raises:
            DatabaseError: inside a block, or another process was reading or writing all the time.
        """
        if self._turn.is_mine():
            raise DatabaseError(f"{self.path} cannot be compacted inside a block")
        self._turn.take()
        try:
            if self._handle is None:
                self._open()
            self.epoch += 1
            rewrite(self.connection)
        except apsw.Error as error:
            raise self.explain(error) from error
        finally:
            self._turn.give_back()

    # --- Blocks ---

    def reading(self) -> Block:
        """A block that sees one state of the file."""
        turn = self._turn
        if turn.owner == get_ident() and turn.alive() is not None:
            return self._joined_reading
        return Transaction(Span(self, _READ))

    def writing(self) -> Block:
        """A block whose writes are all stored, or none if it raises. Inside another block it is
        part of that one; if it raises, the outer block cannot be committed, either."""
        turn = self._turn
        if turn.owner == get_ident() and turn.alive() is not None:
            return self._joined_writing
        return Transaction(Span(self, _WRITE))

    def atomic(self) -> Transaction:
        """`writing`, but inside another block only this one is undone if it raises."""
        return Transaction(Span(self, _WRITE))

    def write(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs `work` in a `writing` block, which the writes of other threads may share.

        It returns or raises what `work` does, as soon as it is certain what is stored. `work` may
        run in another thread. It runs again, alone, if a block that was shared cannot be kept.
        """
        turn = self._turn
        if self._identity is None or (turn.owner == get_ident() and turn.alive() is not None):
            with self.writing():
                return work(*args, **kwargs)
        mine = Work(work, args, kwargs)
        try:
            with Transaction(Span(self, _WRITE, mine)):
                result = work(*args, **kwargs)
                if turn.waiting and mine.may_lead():
                    self._do_for_others(mine)
            return result
        except StoredByAnotherError:
            pass
        except MemoryError:
            if mine.led is None:
                raise
        if mine.is_stored():
            stored: T = mine.outcome()
            return stored
        with self.writing():
            return work(*args, **kwargs)

    def _do_for_others(self, mine: Work) -> None:
        """Does what other threads have left to this one, as a part of its block."""
        waiting, batch = self._turn.waiting, Batch()
        mine.led = batch
        last = time.monotonic() + LONGEST_BATCH_S
        while waiting and len(batch) < MOST_AT_ONCE and time.monotonic() < last:
            try:
                work = waiting.popleft()
            except IndexError:
                return  # Whoever left it was interrupted.
            if work.is_awaited():
                batch.add(work)
                work.perform(self.atomic())

    def hold_back(self, waiting: Sequence[object], settle: Callable[[], None]) -> None:
        """Lets writes wait until a block begins; `settle` does them in a transaction before it."""
        self._held, self._settle = waiting, settle

    def give_way(self) -> None:
        """Lets other processes write between two of many transactions."""
        if self.path != ":memory:":
            time.sleep(GIVE_WAY_S)

    def prepared(self, work: Callable[[], T]) -> T:
        """Runs `work`, and takes the write lock only if it writes.

        It first runs in a reading block in which SQLite refuses writes. If it tries to write, it
        runs again, in a writing block.
        """
        try:
            with self.reading():
                return self._without_writes(work)
        except DatabaseError as error:
            if not isinstance(error.__cause__, apsw.ReadOnlyError):
                raise
        with self.writing():
            return work()

    def _without_writes(self, work: Callable[[], T]) -> T:
        self._refuses_writes = True
        self.execute("PRAGMA query_only = ON")
        try:
            return work()
        finally:
            self._allow_writes()

    def _allow_writes(self) -> None:
        self.execute("PRAGMA query_only = OFF")
        self._refuses_writes = False

    def rows(self, sql: str, bindings: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        return self._cursor.execute(sql, bindings).fetchall()  # type: ignore[no-any-return]

    # --- The outermost block ---

    def _forget_block(self) -> None:
        self._depth = 0
        self._has_failed = False
        self._unfinished = 0
        self._was_forked = False

    def _start(self, span: Span) -> None:
        turn = self._turn
        if turn.waiting or not turn.take_at_once():
            span.wait(turn)
        try:
            if not self._is_clean:
                self._recover()
            self._is_clean = False
            turn.alive = span.alive
            turn.owner = get_ident()
            handle = self._handle
            if handle is None or (handle.mark is not None and handle.is_stale()):
                self._drop()
                self._open()
            if self._held:
                self._settle()
            self.execute(span.begin)
            if self._identity is not None:
                self._look_for_other_writers()
            self._depth = 1
        except BaseException:
            self._end(None, keep=False, wrote=False)
            raise

    def _look_for_other_writers(self) -> None:
        version = self.rows("PRAGMA data_version")[0][0]
        if version != self._seen_version:
            self.epoch += 1
            self._seen_version = version

    def _end(self, batch: Batch | None, *, keep: bool, wrote: bool) -> None:
        try:
            if keep:
                self._commit(batch, wrote=wrote)
            else:
                self._recover()
        except BaseException:
            if keep:
                self._recover()
            raise
        finally:
            if batch is not None:
                batch.wake()  # First, so that what they write next is in the next batch.
            self._turn.give_back()

    def _commit(self, batch: Batch | None, *, wrote: bool) -> None:
        self._check_whole(1)
        handle = self._handle
        if handle is not None and handle.identity is not None:
            if wrote:
                handle.check_in_place()
            elif handle.mark is not None and handle.is_stale():
                raise changed(self.path)
        if batch is None:
            self.execute("COMMIT")
        else:
            batch.commit(self.execute)
        self._depth = 0
        self._is_clean = True

    def _recover(self) -> None:
        """Undoes what is in progress, and what was cut off earlier."""
        self.epoch += 1
        try:
            self._roll_back()
        except apsw.Error:
            if self._identity is None:  # Everything would be lost with the connection.
                raise
            self._drop()
        self._forget_block()
        self._is_clean = True

    def _roll_back(self) -> None:
        handle = self._handle
        if handle is None:
            return
        if self._refuses_writes:
            self._allow_writes()
        if handle.connection.in_transaction:
            self.execute("ROLLBACK")
        # A query that was cut off, but is still referenced by a traceback, keeps its old state of
        # the file: the next block would read that, and could not write.
        if self._identity is not None and handle.connection.txn_state("main"):
            self._drop()

    # --- Blocks inside it ---

    def _start_level(self, span: Span) -> None:
        self.check_not_undone()
        span.level, span.unfinished = self._depth, self._unfinished
        self.execute(f"SAVEPOINT level_{span.level}")
        self._depth = span.level + 1
        self._unfinished = 0

    def _end_level(self, span: Span, *, keep: bool) -> None:
        if self._depth != span.level + 1:
            self._has_failed = True  # A level below this one was cut off.
        if keep:
            try:
                self._check_whole(span.level + 1)
                self.execute(f"RELEASE level_{span.level}")
            except apsw.Error:
                self._undo_level(span)
                raise
        else:
            self._undo_level(span)
        self._depth, self._unfinished = span.level, span.unfinished

    def _undo_level(self, span: Span) -> None:
        self.epoch += 1
        if self._depth != span.level + 1:
            return
        # SQLite may have rolled back everything by itself, as it does when the disk is full.
        if self.connection.in_transaction:
            self.execute(f"ROLLBACK TO level_{span.level}; RELEASE level_{span.level}")
        self._has_failed = False

    def fail(self, *, wrote: bool) -> None:
        """A part of the block has failed; if it has written, nothing of the block is kept."""
        self.epoch += 1
        if wrote:
            self._has_failed = True

    def check_not_undone(self) -> None:
        """Raises an error if the rest of a block would be stored without its beginning."""
        if self._was_forked:
            raise DatabaseError(
                f"{self.path}: the process was forked inside this block",
                suggestion="The block belongs to the parent. Begin one of your own in the child.",
            )
        if self._has_failed:
            raise apsw.AbortError("a part of the transaction has failed")
        handle = self._handle
        if handle is None:
            raise self._not_open()
        if not handle.connection.in_transaction:
            raise apsw.AbortError("the transaction was rolled back by SQLite")

    def _check_whole(self, depth: int) -> None:
        self.check_not_undone()
        if self._depth != depth or self._unfinished:
            raise apsw.AbortError("a part of the transaction was cut off")

    def explain(self, error: apsw.Error) -> MemoryError:
        """The error of ours that says what an error of SQLite means for the caller."""
        return meaning(error, self.path, self.busy_timeout_s)

    # --- Forks ---

    def hold(self, timeout_s: float, longest_s: float) -> Callable[[], None] | None:
        """Keeps other threads out of blocks; see `Turn.hold`."""
        return self._turn.hold(timeout_s, longest_s)

    def after_fork(self, *, quiet: bool) -> None:
        """In the child. `quiet`: no other thread was inside a block."""
        handle, inside = self._handle, self._turn.is_mine()
        self._turn.restart()
        self.epoch += 1
        self._was_forked = inside
        if handle is None:
            return
        if handle.identity is not None:
            handle.leave_to_parent(self._cursor, in_use=not (quiet and self._is_clean))
            self._use(None)
        elif not quiet:
            leak(self._cursor)
            leak(handle.connection)
            self.closed = lost(self.path)
            self._use(None)


class Joined:
    """A block that is a part of the one around it, in the same thread."""

    __slots__ = ("_database", "_writes")

    def __init__(self, database: Database, *, writes: bool) -> None:
        self._database = database
        self._writes = writes

    def __enter__(self) -> Database:
        database = self._database
        try:
            database.check_not_undone()
        except apsw.Error as error:
            raise database.explain(error) from error
        if self._writes:
            database._unfinished += 1
        return database

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        database = self._database
        if error is None:
            if self._writes:
                database._unfinished -= 1
            return
        database.fail(wrote=self._writes)
        if isinstance(error, apsw.Error):
            raise database.explain(error) from error


class Transaction:
    """A separate block: a transaction, or a savepoint inside one.

    `__enter__` and `__exit__` are attributes of the object, not of its class. The `with` statement
    then has the only reference to `__exit__`, which disappears as soon as the statement is over,
    whatever ended it. (So `contextlib.ExitStack`, which looks in the class, does not accept it.)
    """

    __slots__ = ("__enter__", "__exit__")

    def __init__(self, span: Span) -> None:
        self.__enter__ = span.enter
        self.__exit__ = span.leave
        span.alive = ref(self.__exit__)


class Span:
    """What a `Transaction` does, and its state meanwhile.

    Args:
        work: the write that it is for, if another thread may do it.
    """

    __slots__ = ("_database", "alive", "begin", "level", "unfinished", "work")

    alive: Callable[[], object | None]

    def __init__(self, database: Database, begin: str, work: Work | None = None) -> None:
        self._database = database
        self.begin = begin
        self.work = work
        self.level = 0
        self.unfinished = 0

    def wait(self, turn: Turn) -> None:
        """Waits for the turn of this thread.

        Raises:
            StoredByAnotherError: another thread has done the work meanwhile.
        """
        if self.work is None:
            turn.take()
            return
        self.work.leave(self.alive)
        if not turn.take_or_leave(self.work):
            raise StoredByAnotherError

    def enter(self) -> Database:
        """Starts the block."""
        database = self._database
        turn = database._turn
        try:
            if turn.owner == get_ident() and turn.alive() is not None:
                database._start_level(self)
            else:
                database._start(self)
        except apsw.Error as error:
            raise database.explain(error) from error
        return database

    def leave(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Keeps the block, or undoes it after an error."""
        del kind, trace
        database = self._database
        try:
            if self.level:
                database._end_level(self, keep=error is None)
            else:
                batch = None if self.work is None else self.work.led
                database._end(batch, keep=error is None, wrote=self.begin is _WRITE)
        except apsw.Error as failed:
            raise database.explain(failed) from failed
        if isinstance(error, apsw.Error):
            raise database.explain(error) from error
