"""One SQLite connection: opening it, transactions on it, and what its errors mean."""

from __future__ import annotations

import os
import time
from _thread import RLock, get_ident

import apsw

from isomem.errors import DatabaseError, MemoryCorruptionError, MemoryError
from isomem.options import unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import Any

SYNCHRONOUS = ("full", "normal", "off")
"""What survives once a write is acknowledged: "full" a power failure, "normal" the death of the
process (a power failure may take the last writes), "off" neither is promised."""

DEFAULT_BUSY_TIMEOUT_S = 10.0

_READ, _WRITE = "BEGIN", "BEGIN IMMEDIATE"


class Database:
    """A file, or ":memory:", that several threads and several processes may use at once.

    Threads take turns on the one connection. Other processes are waited for up to
    `busy_timeout_s`. What runs SQL is to be called inside a block.

    Attributes:
        epoch: changes whenever something that was read from the file may not be so any more.
        execute: runs one statement for its effect, with the values that are bound to it.

    Args:
        path: the file; made, with its directory, if it is not there, readable by its owner
            alone. ":memory:" keeps everything in this process.
        prepare: makes or lifts the tables; called once in the opening transaction.
        synchronous: one of `SYNCHRONOUS`.
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
        if synchronous not in SYNCHRONOUS:
            raise unknown("value of synchronous", synchronous, SYNCHRONOUS)
        self.path = path
        self.busy_timeout_s = busy_timeout_s
        self.epoch = 0
        self._lock = RLock()
        self._depth = 0
        self._owner = 0
        self._spoiled = False
        self._joined_reading = Block(self, writes=False)
        self._joined_writing = Block(self, writes=True)
        self._seen_version = -1
        self._open: apsw.Connection | None = None
        try:
            self._open = self._connect(synchronous)
            # One for all statements that are through at once: making a cursor costs as much as
            # a look-up. All of them run inside a block, so no two threads use it at a time.
            self._cursor = self._open.cursor()
            self.execute: Callable[..., object] = self._cursor.execute
            with self.writing():
                prepare(self._open)
        except apsw.Error as error:
            self.close()
            raise self.explain(error) from error
        except MemoryError:
            self.close()
            raise

    @property
    def connection(self) -> apsw.Connection:
        """The open connection.

        Raises:
            DatabaseError: it was closed.
        """
        if self._open is None:
            raise self._closed()
        return self._open

    def _closed(self) -> DatabaseError:
        return DatabaseError(
            f"{self.path} is closed", suggestion="Make a new Memory to use the file again."
        )

    def _connect(self, synchronous: str) -> apsw.Connection:
        if self.path != ":memory:":
            _make_private(self.path)
        connection = apsw.Connection(self.path)
        connection.set_busy_timeout(int(self.busy_timeout_s * 1000))
        if self.path != ":memory:":
            self._switch_to_wal(connection)
        # The SQLite in apsw has STAT4: without this, it plans many a statement anew whenever
        # something else is bound to it (https://www.sqlite.org/queryplanner-ng.html#qpstab).
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        return connection

    def _switch_to_wal(self, connection: apsw.Connection) -> None:
        # SQLite does not wait here by itself when another process makes the same switch.
        deadline = time.monotonic() + self.busy_timeout_s
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                return
            except apsw.BusyError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def close(self) -> None:
        """Closes the connection; what was acknowledged is in the file. May be called twice."""
        with self._lock:
            if self._open is not None:
                self._open.close()
                self._open = None

    def reading(self) -> Block:
        """A block that sees one state of the file."""
        return self._joined_reading if self._owner == get_ident() else Transaction(self, _READ)

    def writing(self) -> Block:
        """A block whose writes are all there afterwards, or none if it raises. Inside another
        block it is part of that one, which can then not be kept any more if this one raises."""
        return self._joined_writing if self._owner == get_ident() else Transaction(self, _WRITE)

    def atomic(self) -> Transaction:
        """`writing`, but inside another block it is undone by itself if it raises."""
        return Transaction(self, _WRITE)

    def rows(self, sql: str, bindings: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        return self._cursor.execute(sql, bindings).fetchall()

    def execute_many(self, sql: str, bindings: Iterable[tuple[Any, ...]]) -> None:
        """Runs one statement once for each of `bindings`."""
        self._cursor.executemany(sql, bindings)

    def enter(self, begin: str) -> None:
        """Starts a block; `Transaction` calls it."""
        self._lock.acquire()
        try:
            if self._depth:
                self.check_not_undone()
                self.execute(f"SAVEPOINT level_{self._depth}")
            else:
                self._begin(begin)
                self._owner = get_ident()
            self._depth += 1
        except BaseException:
            self._lock.release()
            raise

    def _begin(self, begin: str) -> None:
        if self._open is None:
            raise self._closed()
        self.execute(begin)
        self._spoiled = False
        if self.path == ":memory:":
            return
        try:
            version = self.rows("PRAGMA data_version")[0][0]
        except BaseException:
            self._undo()
            raise
        if version != self._seen_version:
            self._seen_version = version
            self.epoch += 1

    def leave(self, *, keep: bool) -> None:
        """Ends a block; `Transaction` calls it."""
        self._depth -= 1
        if not self._depth:
            self._owner = 0
        try:
            if keep:
                self.check_not_undone()
                self.execute(f"RELEASE level_{self._depth}" if self._depth else "COMMIT")
        except apsw.Error:
            keep = False
            raise
        finally:
            try:
                if not keep:
                    self._undo()
            finally:
                self._lock.release()

    def spoil(self) -> None:
        """A part of the block that has written something has failed."""
        self._spoiled = True

    def check_not_undone(self) -> None:
        """Raises AbortError when the rest of a block would be stored without its beginning."""
        if self._spoiled:
            raise apsw.AbortError("a part of the transaction has failed")
        if self._open is None:
            raise self._closed()
        if not self._open.in_transaction:
            raise apsw.AbortError("the transaction was rolled back by SQLite")

    def _undo(self) -> None:
        self.epoch += 1
        self._spoiled = False
        if self._open is None or not self._open.in_transaction:
            return  # SQLite has rolled back by itself, as it does when the disk is full.
        level = f"level_{self._depth}"
        self.execute(f"ROLLBACK TO {level}; RELEASE {level}" if self._depth else "ROLLBACK")

    def explain(self, error: apsw.Error) -> MemoryError:
        """The error of ours that says what an error of SQLite means for the caller."""
        for kind, make, message, suggestion in _MEANINGS:
            if isinstance(error, kind):
                text = message.format(path=self.path, timeout_s=self.busy_timeout_s)
                return make(text, suggestion=suggestion, debug_info={"sqlite": str(error)})
        return DatabaseError(f"{self.path}: {error}", debug_info={"sqlite": str(error)})


class Block:
    """A `with` block on a database; errors of SQLite leave it as errors of isomem.

    This one is a part of the block around it, in the same thread.
    """

    __slots__ = ("_database", "_writes")

    def __init__(self, database: Database, *, writes: bool) -> None:
        self._database = database
        self._writes = writes

    def __enter__(self) -> Database:
        try:
            self._database.check_not_undone()
        except apsw.Error as error:
            raise self._database.explain(error) from error
        return self._database

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            return
        if self._writes:
            self._database.spoil()
        if isinstance(error, apsw.Error):
            raise self._database.explain(error) from error


class Transaction(Block):
    """A block of its own: a transaction, or a savepoint inside one."""

    __slots__ = ("_begin",)

    def __init__(self, database: Database, begin: str) -> None:
        self._database = database
        self._begin = begin

    def __enter__(self) -> Database:
        try:
            self._database.enter(self._begin)
        except apsw.Error as error:
            raise self._database.explain(error) from error
        return self._database

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._database.leave(keep=error is None)
        except apsw.Error as failed:
            raise self._database.explain(failed) from failed
        if isinstance(error, apsw.Error):
            raise self._database.explain(error) from error


def _make_private(path: str) -> None:
    """Makes the file and its directory, for their owner only, where they are not there yet."""
    directory = os.path.dirname(os.path.abspath(path))
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDONLY, 0o600))
    except OSError as error:
        raise DatabaseError(
            f"{path} cannot be opened: {error.strerror}",
            details={"path": path},
            suggestion="Choose a path in a directory that can be written.",
        ) from error


def _damaged(message: str, **fields: Any) -> MemoryError:
    return MemoryCorruptionError(message, error_code="CORRUPT_001", **fields)


# First match counts. `make` builds the error from the message.
_MEANINGS: tuple[tuple[Any, Callable[..., MemoryError], str, str], ...] = (
    (
        (apsw.BusyError, apsw.LockedError),
        DatabaseError,
        "{path} is locked: another process was still writing after {timeout_s:g} s",
        "Try again, or raise busy_timeout_s in vector_store.config.",
    ),
    (
        apsw.FullError,
        DatabaseError,
        "{path}: the disk is full; nothing of this call was stored",
        "Free some space and call again.",
    ),
    (
        apsw.AbortError,
        DatabaseError,
        "{path}: SQLite had to undo all of this call; nothing of it was stored",
        "Check the disk and its free space, and call again.",
    ),
    (
        apsw.ReadOnlyError,
        DatabaseError,
        "{path} is read-only; nothing was stored",
        "Make the file and its directory writable, or choose another path.",
    ),
    (
        apsw.CantOpenError,
        DatabaseError,
        "{path} cannot be opened",
        "Check that it is a file in a directory that can be written.",
    ),
    (
        apsw.NotADBError,
        _damaged,
        "{path} is not a memory file: it is no SQLite database",
        "Choose another path; this file was left as it is.",
    ),
    (
        apsw.CorruptError,
        _damaged,
        "{path} is damaged",
        "Restore it from a backup, or export what `sqlite3 FILE .recover` can save.",
    ),
    (
        apsw.IOError,
        DatabaseError,
        "{path}: reading or writing the file failed",
        "Check the disk, its free space and its limits.",
    ),
)
