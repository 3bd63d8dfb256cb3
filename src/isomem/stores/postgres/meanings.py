"""What PostgreSQL's errors mean for the caller: our errors, with what to do about them."""

from __future__ import annotations

import psycopg
from psycopg_pool import PoolTimeout

from isomem.errors import DatabaseError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from isomem.stores.postgres.target import Target

_GONE = ("08", "57P0")
"""SQLSTATEs of a connection that is lost begin so; libpq's own errors have none."""


class UnfinishedError(DatabaseError):
    """A transaction that did not come to its end, and that can be run again.

    Attributes:
        in_doubt: whether it may have been committed: the connection was lost while it was.
    """

    def __init__(self, message: str, *, in_doubt: bool, suggestion: str, cause: str) -> None:
        super().__init__(message, suggestion=suggestion, debug_info={"postgresql": cause})
        self.in_doubt = in_doubt


class UnsureError(DatabaseError):
    """A write took something for granted that is not so. Nothing was stored."""


class ForkedError(DatabaseError):
    """A block that was open when the process forked: it belongs to the parent."""


def is_lost(error: psycopg.Error) -> bool:
    """Whether the connection is gone over which a statement was sent."""
    if not isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)):
        return False
    state = error.sqlstate
    return state is None or state.startswith(_GONE)


def meaning(error: psycopg.Error, target: Target, *, committing: bool = False) -> DatabaseError:
    """Our error that says what an error of PostgreSQL means for the caller.

    Args:
        committing: whether the transaction was being committed.
    """
    cause = target.without_secret(str(error).strip())
    if isinstance(error, PoolTimeout):
        return DatabaseError(
            f"{target.name}: no connection within the time allowed; nothing was stored",
            suggestion="Check that the server runs. If it does, raise pool_max or "
            "connect_timeout_s in vector_store.config.",
            debug_info={"postgresql": cause},
        )
    if is_lost(error):
        return lost(target, cause, in_doubt=committing)
    if isinstance(error, (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)):
        return overtaken(target, cause)
    if isinstance(error, psycopg.errors.DivisionByZero):  # So that a statement can say no.
        return UnsureError(f"{target.name}: a write has to look before it is done")
    for kind, message, suggestion in _MEANINGS:
        if isinstance(error, kind):
            return DatabaseError(
                f"{target.name}: {message}",
                suggestion=suggestion,
                debug_info={"postgresql": cause},
            )
    return DatabaseError(f"{target.name}: {cause}", debug_info={"postgresql": cause})


def overtaken(target: Target, cause: str) -> UnfinishedError:
    """The error for a transaction that others have got ahead of."""
    return UnfinishedError(
        f"{target.name}: other calls were in the way; nothing of this call was stored",
        in_doubt=False,
        suggestion="Call again.",
        cause=cause,
    )


def unreachable(error: psycopg.Error, target: Target) -> DatabaseError:
    """The error for a connection that cannot be made. Only the text of `error` says why."""
    cause = target.without_secret(" ".join(str(error).split()))
    return DatabaseError(
        f"{target.name}: no connection could be made, and nothing was stored: {cause}",
        suggestion="Check that the server runs, and to what and as whom vector_store.config "
        "connects.",
        debug_info={"postgresql": cause},
    )


def lost(target: Target, cause: str, *, in_doubt: bool) -> UnfinishedError:
    """The error for a lost connection."""
    if in_doubt:
        return UnfinishedError(
            f"{target.name}: the connection was lost while the call was being committed, and no "
            "new one could be made to ask; it is stored as a whole or not at all",
            in_doubt=True,
            suggestion="Look whether it is stored before you call again.",
            cause=cause,
        )
    return UnfinishedError(
        f"{target.name}: the connection was lost; nothing of this call was stored",
        in_doubt=False,
        suggestion="Call again when the server can be reached.",
        cause=cause,
    )


_ERRORS = psycopg.errors
_MEANINGS: tuple[tuple[type[psycopg.Error], str, str], ...] = (
    (
        _ERRORS.QueryCanceled,
        "a statement took longer than statement_timeout_s; nothing of this call was stored",
        "Raise statement_timeout_s in vector_store.config, or look what the server waits for.",
    ),
    (
        _ERRORS.DiskFull,
        "the server's disk is full; nothing of this call was stored",
        "Free some space on the server and call again.",
    ),
    (
        _ERRORS.TooManyConnections,
        "the server has no connection left",
        "Lower pool_max in vector_store.config, or raise max_connections of the server.",
    ),
    (
        _ERRORS.ReadOnlySqlTransaction,
        "the server is read-only, such as a standby; nothing was stored",
        "Connect to the primary: target_session_attrs=read-write in the dsn finds it.",
    ),
    (
        _ERRORS.InsufficientPrivilege,
        "the user may not do that",
        "Let a user with CREATE on the database start it once; docs/postgres.md has the rest.",
    ),
    (
        _ERRORS.ProgramLimitExceeded,
        "something is too long for an index of the server; nothing of this call was stored",
        "Use shorter ids, such as a hash of these.",
    ),
    (
        _ERRORS.UndefinedTable,
        "a table is missing",
        "Do not remove tables of the schema by hand. Open the memory again to make them anew.",
    ),
)
