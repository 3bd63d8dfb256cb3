"""A consistent copy of a memory file, made while others keep writing."""

from __future__ import annotations

import os
from contextlib import suppress

import apsw

from isomem.errors import DatabaseError, ValidationError
from isomem.store.snapshot import snapshot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def backup(source: str, target: str) -> int:
    """Copies a memory file, or a history file, as it is at one moment.

    Readers and writers of the source do not wait for it. The copy is readable only by its owner. It
    appears under its name only when it is complete and on disk.

    Args:
        source: the file.
        target: the copy. Its directory must exist; the file itself must not.

    Returns:
        The size of the copy in bytes.

    Raises:
        ValidationError: BACKUP_001, there is a file with that name, or a log of such a file.
        MemoryCorruptionError: the source is not a database, or is damaged.
        DatabaseError: the source cannot be read, or the target cannot be written.
    """
    for name in _files_of(target):  # A log of another file would be taken for the copy's.
        if os.path.lexists(name):
            raise _exists(name)
    unfinished = f"{target}.{os.getpid()}.unfinished"
    try:
        _create(unfinished, target)
        with snapshot(source) as connection:
            _copy(connection, unfinished, target)
        return _publish(unfinished, target)
    finally:
        for leftover in _files_of(unfinished):
            with suppress(FileNotFoundError):
                os.unlink(leftover)


def _files_of(path: str) -> Iterator[str]:
    """A database and the files that SQLite puts next to it."""
    for suffix in ("", "-journal", "-wal", "-shm"):
        yield path + suffix


def _create(path: str, target: str) -> None:
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except OSError as error:
        raise _unwritable(target, error.strerror or str(error)) from error


def _copy(source: apsw.Connection, path: str, target: str) -> None:
    try:
        copy = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            with copy.backup("main", source, "main") as pages:
                pages.step()  # All of them, so that they are of one moment.
        finally:
            copy.close()
    except (apsw.FullError, apsw.IOError, apsw.CantOpenError, apsw.ReadOnlyError) as error:
        raise _unwritable(target, str(error)) from error


def _publish(unfinished: str, target: str) -> int:
    """Gives the copy its name once it is on disk, unless the name has been taken meanwhile."""
    try:
        _sync(unfinished, os.O_RDWR)
        size = os.path.getsize(unfinished)
        give_name(unfinished, target)
        _sync(os.path.dirname(os.path.abspath(target)), os.O_RDONLY)
    except FileExistsError:
        raise _exists(target) from None
    except OSError as error:
        raise _unwritable(target, error.strerror or str(error)) from error
    return size


def give_name(unfinished: str, target: str) -> None:
    """Makes a file known under a name that no file has; it may keep the one that it had, too.

    Raises:
        FileExistsError: there is such a file. A rename alone would replace it.
        OSError: it cannot be done.
    """
    try:
        os.link(unfinished, target)
    except FileExistsError:
        raise
    except OSError:  # A file system without hard links.
        if os.path.lexists(target):
            raise FileExistsError(target) from None
        os.rename(unfinished, target)


def _sync(path: str, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _exists(target: str) -> ValidationError:
    return ValidationError(
        f"{target} exists already, and a backup does not replace a file",
        error_code="BACKUP_001",
        details={"path": target},
        suggestion="Choose another name, or remove the file first.",
    )


def _unwritable(target: str, reason: str) -> DatabaseError:
    return DatabaseError(
        f"{target} cannot be written: {reason}",
        details={"path": target},
        suggestion="Choose a writable directory that exists and has enough space.",
    )
