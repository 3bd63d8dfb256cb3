"""What SQLite's errors mean for the caller: our errors, with what to do about them."""

from __future__ import annotations

import apsw

from isomem.errors import DatabaseError, MemoryCorruptionError, MemoryError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def meaning(error: apsw.Error, path: str, busy_timeout_s: float) -> MemoryError:
    """Our error that says what an error of SQLite means for the caller."""
    for kind, make, message, suggestion in _MEANINGS:
        if isinstance(error, kind):
            text = message.format(path=path, timeout_s=busy_timeout_s)
            return make(text, suggestion=suggestion, debug_info={"sqlite": str(error)})
    return DatabaseError(f"{path}: {error}", debug_info={"sqlite": str(error)})


def damaged(message: str, **fields: Any) -> MemoryError:
    """The error for a file that cannot be read as a memory file."""
    return MemoryCorruptionError(message, error_code="CORRUPT_001", **fields)


# The first match counts. `make` builds the error from the message.
_MEANINGS: tuple[tuple[Any, Callable[..., MemoryError], str, str], ...] = (
    (
        (apsw.BusyError, apsw.LockedError),
        DatabaseError,
        "{path} is locked: another process was still using it after {timeout_s:g} s",
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
        damaged,
        "{path} is not a memory file: it is not a SQLite database",
        "Choose another path; this file was left as it is.",
    ),
    (
        apsw.CorruptError,
        damaged,
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
