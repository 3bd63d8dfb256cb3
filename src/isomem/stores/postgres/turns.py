"""The turn of those who build indexes or rewrite tables: one at a time in a database.

`CREATE INDEX CONCURRENTLY` waits for every older transaction of the database. So two of them, or
one and `VACUUM FULL`, could wait for each other. Whoever waits for the turn asks again and again: a
statement that waits for it would be such a transaction, too. The turn ends with the session, so a
process that dies leaves it free as soon as the server has done its last statement.
"""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress

import psycopg

from isomem.errors import DatabaseError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from psycopg import Connection

_TURN = (0x6E656172, 0)
_PAUSE_S, _STUCK_S = 0.25, 15.0
"""After how long to ask again, and how long whoever has the turn may itself wait for others."""
_KEEPING = (
    "SELECT 'session ' || pid || coalesce(' (' || nullif(application_name, '') || ')', '')"
    " FROM pg_stat_activity WHERE pid IN (SELECT unnest(pg_blocking_pids(l.pid)) FROM pg_locks AS l"
    " JOIN pg_database AS d ON d.oid = l.database WHERE d.datname = current_database()"
    " AND l.locktype = 'advisory' AND l.classid::bigint = %s AND l.objid::bigint = %s"
    " AND l.objsubid = 2 AND l.granted)"
)
"""Whom that session waits for."""


@contextmanager
def turn(connection: Connection[Any], *, waits: bool = True) -> Iterator[bool]:
    """A block in which this session has the turn. Yields whether it does.

    Args:
        waits: for another session that has it, as long as that goes on.

    Raises:
        DatabaseError: that session has waited for a transaction of others all the time.
    """
    is_mine = _take(connection)
    since = time.monotonic()
    while waits and not is_mine:
        keeping = connection.execute(_KEEPING, _TURN).fetchall()
        if not keeping:
            since = time.monotonic()
        elif time.monotonic() - since > _STUCK_S:
            raise _stuck(", ".join(name for (name,) in keeping))
        time.sleep(_PAUSE_S)
        is_mine = _take(connection)
    try:
        yield is_mine
    finally:
        if is_mine:
            with suppress(psycopg.Error):  # The turn is gone with a connection that is lost.
                connection.execute("SELECT pg_advisory_unlock(%s, %s)", _TURN)


def _stuck(others: str) -> DatabaseError:
    return DatabaseError(
        f"another session builds an index in this database, or rewrites tables, and waits for "
        f"{others}",
        suggestion="End the transactions of those sessions, and call again.",
    )


def _take(connection: Connection[Any]) -> bool:
    found = connection.execute("SELECT pg_try_advisory_lock(%s, %s)", _TURN).fetchone()
    return bool(found and found[0])
