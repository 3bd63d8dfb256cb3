"""One connection to a file: how it is opened, and what can happen to the file while it is open."""

from __future__ import annotations

import os
import time
from array import array

import apsw

from isomem.errors import DatabaseError
from isomem.options import unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Identity = tuple[int, int]
    Mark = tuple[int, ...]
    """What changes when another process writes to a file that is read without locks."""

IN_MEMORY = ":memory:"

SYNCHRONOUS = ("full", "normal", "off")
"""What an acknowledged write survives: "full" a power failure, "normal" the death of the process (a
power failure may lose the last writes), "off" promises neither."""

_TICK_NS = 100_000_000
"""Longer than the resolution of a file system's times."""

_SETTINGS = (
    # The SQLite in apsw has STAT4: without this, it plans many statements again whenever
    # something else is bound to them (https://www.sqlite.org/queryplanner-ng.html#qpstab).
    (apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1),
    # isomem has no triggers and no views. Those in a file from someone else must not run.
    (apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0),
    (apsw.SQLITE_DBCONFIG_ENABLE_VIEW, 0),
    (apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0),
    (apsw.SQLITE_DBCONFIG_DEFENSIVE, 1),
)

_LOOK_AGAIN_S = 0.002
"""How often a process that waits for the write lock looks whether it is free. If it looked more
often, processes would take turns after each write, and read again what the others have changed."""

GIVE_WAY_S = 5 * _LOOK_AGAIN_S
"""A pause in which a process that waits for the write lock gets its turn."""


class Handle:
    """An open connection, and what has to be known about its file.

    Args:
        path: the file, absolute, or ":memory:".
        synchronous: one of `SYNCHRONOUS`.
        busy_timeout_s: seconds to wait for another process.
        expected: the identity that the file must have if it is reopened; None creates the file if
            it does not exist.

    Attributes:
        connection: SQLite's.
        identity: device and number of the file; None for ":memory:".
        mark: None, or what the file was like when it was opened to be read without locks.
    """

    def __init__(
        self, path: str, synchronous: str, busy_timeout_s: float, expected: Identity | None
    ) -> None:
        if synchronous not in SYNCHRONOUS:
            raise unknown("value of synchronous", synchronous, SYNCHRONOUS)
        self.path = path
        self.identity: Identity | None = None
        self.mark: Mark | None = None
        self._seen_folder = (0, 0)
        self._logs: dict[str, int | None] = {}
        if path == IN_MEMORY:
            self.connection = _connect(path, busy_timeout_s)
        else:
            self.identity = _identity(path, expected)
            self.connection = self._open_file(busy_timeout_s)
            self._file = self._file_pointer()
            file = self.connection.filename
            self._folder = os.path.dirname(file)
            self._logs = {name: _number_of(name) for name in (f"{file}-wal", f"{file}-shm")}
        self.connection.execute(f"PRAGMA synchronous = {synchronous}")

    def _open_file(self, busy_timeout_s: float) -> apsw.Connection:
        connection = _connect(self.path, busy_timeout_s)
        try:
            switch_to_wal(connection, busy_timeout_s)
            connection.execute("PRAGMA schema_version").fetchall()
        except (apsw.CantOpenError, apsw.ReadOnlyError):
            connection.close(True)
            mark = _mark(self.path)
            if not _cannot_be_locked(self.path) or mark[0]:
                raise
            self.mark = mark
            return _connect(_immutable(self.path), busy_timeout_s)
        except BaseException:
            connection.close(True)
            raise
        return connection

    def _file_pointer(self) -> int:
        """The address of SQLite's `sqlite3_file`; read while no other thread is inside."""
        pointer = array("Q", [0])
        self.connection.file_control(
            "main", apsw.SQLITE_FCNTL_FILE_POINTER, pointer.buffer_info()[0]
        )
        return pointer[0]

    def close(self) -> None:
        """Closes it; what was committed is in the file.

        If the file or its log is no longer where it was opened, SQLite must not do what the last
        connection does on closing: it would write its part of the old log over newer pages, and
        remove a log that belongs to another file.
        """
        if self._has_moved():
            self.connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        self.connection.close(True)

    def _has_moved(self) -> bool:
        if self.identity is None:
            return False
        try:
            self._check_names()
        except (DatabaseError, apsw.Error):
            return True
        return False

    # --- What others do to the file ---

    def check_in_place(self) -> None:
        """Raises DatabaseError if the file, or its log, is no longer where it was opened.

        Otherwise, what is written would be lost together with the file that no longer has a name.
        """
        if self.identity is None:
            return
        try:
            folder = os.stat(self._folder)
        except OSError as error:
            raise moved(self.path) from error
        # A name that appears or disappears changes the folder's time, which is as coarse as a tick.
        if (folder.st_ino, folder.st_mtime_ns) != self._seen_folder:
            self._check_names()
            if time.time_ns() - folder.st_mtime_ns > _TICK_NS:
                self._seen_folder = folder.st_ino, folder.st_mtime_ns

    def _check_names(self) -> None:
        moved_flag = array("i", [0])
        self.connection.file_control(
            "main", apsw.SQLITE_FCNTL_HAS_MOVED, moved_flag.buffer_info()[0]
        )
        if moved_flag[0]:
            raise moved(self.path)
        for name, number in self._logs.items():
            found = _number_of(name)
            if number is not None and number != found:
                raise moved(name)
            self._logs[name] = found

    def is_stale(self) -> bool:
        """Whether the file was read without locks and somebody has written to it since."""
        return self.mark is not None and self.mark != _mark(self.path)

    # --- Forks ---

    def leave_to_parent(self, cursor: apsw.Cursor, *, in_use: bool) -> None:
        """In the child of a fork: removes the connection from this process.

        It belongs to the parent, and so do its locks. SQLite has one entry per open file of a
        process, and would use the inherited one: it would rely on locks that this process does not
        have, and another process would then remove the log that it writes to. So the entry has to
        be removed, and nothing may be written meanwhile.
        """
        if in_use:
            leak(cursor)
            leak(self.connection)
            _close_file(self._file)
        else:
            self.connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            self.connection.close(True)


class NoCursor:
    """Stands in for the cursor of a database that is not open.

    Args:
        error: makes the error that says so.
    """

    def __init__(self, error: Callable[[], DatabaseError]) -> None:
        self._error = error

    def execute(self, *statement: object) -> Any:
        """Raises DatabaseError."""
        del statement
        raise self._error()

    executemany = execute


def _number_of(name: str) -> int | None:
    try:
        return os.stat(name).st_ino
    except OSError:
        return None


def _connect(path: str, busy_timeout_s: float) -> apsw.Connection:
    flags = apsw.SQLITE_OPEN_READWRITE
    if path.startswith("file://"):
        flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    connection = apsw.Connection(path, flags)
    for setting, value in _SETTINGS:
        connection.config(setting, value)
    connection.set_busy_handler(_Waiting(busy_timeout_s))
    return connection


def _cannot_be_locked(path: str) -> bool:
    """Whether the file is in a folder where SQLite cannot make the files that it locks with.

    Nobody has the file open for writing now, or they would be there. Somebody may open it later:
    `Handle.is_stale` notices.
    """
    folder = os.path.dirname(os.path.abspath(path))
    return not (os.access(folder, os.W_OK) or os.path.exists(f"{path}-shm"))


class _Waiting:
    """How to wait for a locked file.

    SQLite's own handler looks only ten times per second. It would hardly ever hit the moment
    between two transactions of a process that writes many.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._since_s = 0.0

    def __call__(self, tries: int) -> bool:
        now_s = time.monotonic()
        if not tries:
            self._since_s = now_s
        if now_s - self._since_s >= self._timeout_s:
            return False
        time.sleep(_LOOK_AGAIN_S)
        return True


def _immutable(path: str) -> str:
    name = os.path.abspath(path)
    for special, code in (("%", "%25"), ("?", "%3f"), ("#", "%23")):
        name = name.replace(special, code)
    return f"file://{name}?immutable=1"


def _mark(path: str) -> Mark:
    """The size of the log first: 0 if there is none."""
    try:
        log = os.stat(f"{path}-wal").st_size
    except FileNotFoundError:
        log = 0
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return (log,)
    return log, found.st_size, found.st_mtime_ns, found.st_ino


def switch_to_wal(connection: apsw.Connection, busy_timeout_s: float) -> None:
    """Has the file written by way of a log, if it can be written.

    SQLite does not wait here by itself when another process makes the same switch.

    Raises:
        apsw.BusyError: it was not the turn of this process in that time.
    """
    deadline = time.monotonic() + busy_timeout_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except apsw.ReadOnlyError:
            return  # It can be read with the journal that it has.
        except apsw.BusyError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _identity(path: str, expected: Identity | None) -> Identity:
    """Device and inode number of the file, which is created if none is expected."""
    try:
        if expected is None:
            _make_private(os.path.realpath(path))
        found = os.stat(path)
    except OSError as error:
        if expected is not None and not os.path.exists(path):
            raise moved(path) from error
        raise _unusable(path, error) from error
    if expected not in (None, (found.st_dev, found.st_ino)):
        raise moved(path)
    return found.st_dev, found.st_ino


def _make_private(file: str) -> None:
    """Creates the file and its directory, for their owner only, if they do not exist.

    An existing file is not opened: closing it would drop every lock that this process has on it,
    including SQLite's own (https://www.sqlite.org/howtocorrupt.html, 2.2).
    """
    if os.path.exists(file):
        return
    os.makedirs(os.path.dirname(file), mode=0o700, exist_ok=True)
    try:
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDONLY, 0o600))
    except FileExistsError:
        return  # Another process has just made it.


def _unusable(path: str, error: OSError) -> DatabaseError:
    """The error for a path that the system refuses."""
    return DatabaseError(
        f"{path} cannot be opened: {error.strerror}",
        details={"path": path},
        suggestion="Choose a path in a directory that can be written.",
    )


def moved(path: str) -> DatabaseError:
    """The error for a file that is not where it was opened."""
    return DatabaseError(
        f"{path} was moved, replaced or deleted while it was open; nothing was stored",
        details={"path": path},
        suggestion="Move it back, or make a new Memory for the file that is at this path now.",
    )


def changed(path: str) -> DatabaseError:
    """The error for a file that was read without locks while somebody wrote to it."""
    return DatabaseError(
        f"{path} was written to while it was read without locks",
        suggestion="Call again, or make its folder writable, so that SQLite can lock it.",
    )


def lost(path: str) -> DatabaseError:
    """The error for memories in memory that were being written when the process forked."""
    return DatabaseError(
        f"{path}: another thread was inside a call when the process forked, and the memories that"
        " this process has a copy of may be half written",
        suggestion="Keep the memories in a file, or fork while no call is under way.",
    )


def rewrite(connection: apsw.Connection) -> None:
    """Rewrites the file and empties its log, so that nothing that was removed is left in them.

    Raises:
        apsw.BusyError: another process reads the log.
    """
    # Without it, what a page does not use may hold what was in the memory that it was made in.
    connection.execute("PRAGMA secure_delete = ON")
    try:
        connection.execute("VACUUM")
        # The log still has the old pages.
        result: Any = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    finally:
        connection.execute("PRAGMA secure_delete = OFF")
    if result[0][0] > 0:
        raise apsw.BusyError("the log cannot be emptied while another process reads it")


def leak(thing: object) -> None:
    """Keeps what a fork has left here from ever being closed, even at the end of the process.

    A thread that was inside it during the fork does not exist in this process. Closing it would
    wait for that thread, or undo its work in memory or at a server that the parent uses, too.
    """
    import ctypes

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def _close_file(file: int) -> None:
    """Calls xShmUnmap and xClose of a `sqlite3_file`, so that SQLite forgets the file.

    They change nothing but this process's own memory.
    """
    import ctypes

    integer, pointer = ctypes.c_int, ctypes.c_void_p
    # `sqlite3_io_methods` of sqlite3.h: a number, xClose first, xShmUnmap as the 16th.
    table = (pointer * 17).from_address(pointer.from_address(file).value or 0)
    ctypes.CFUNCTYPE(integer, pointer, integer)(table[16] or 0)(file, 0)
    ctypes.CFUNCTYPE(integer, pointer)(table[1] or 0)(file)
