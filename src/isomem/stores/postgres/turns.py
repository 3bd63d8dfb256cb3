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

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from psycopg import Connection

_TURN = (0x6E656172, 0)
_PAUSE_S = 0.25


def take_at_once(connection: Connection[Any]) -> bool:
    """Takes the turn for this session, unless another one has it. Returns whether it did."""
    found = connection.execute("SELECT pg_try_advisory_lock(%s, %s)", _TURN).fetchone()
    return bool(found and found[0])


@contextmanager
def turn(connection: Connection[Any]) -> Iterator[None]:
    """A block in which this session has the turn. Waits for it as long as it takes."""
    while not take_at_once(connection):
        time.sleep(_PAUSE_S)
    try:
        yield
    finally:
        with suppress(psycopg.Error):  # The turn is gone with a connection that is lost.
            connection.execute("SELECT pg_advisory_unlock(%s, %s)", _TURN)
