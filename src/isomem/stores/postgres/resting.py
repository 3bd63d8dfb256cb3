"""Connections that rest: they were told to end a transaction that only read, and have not answered.

Nobody needs that answer, so nobody waits for it: whoever takes such a connection next reads it,
when it has long been there. No more connections rest than are kept open anyway, and none while
others wait for one.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from selectors import EVENT_READ, DefaultSelector

import psycopg
from psycopg.pq import TransactionStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from psycopg import Connection

_LONGEST_S = 5.0
"""How long to wait for the end of a transaction before its connection counts as lost."""


class Resting:
    """The resting connections of one process. Threads share them.

    Args:
        most: how many may rest.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._resting: deque[Connection[Any]] = deque()
        self._waiting: deque[None] = deque()

    def wanted(self) -> Wanted:
        """A block in which somebody takes a connection."""
        return Wanted(self._waiting)

    def take(self) -> Connection[Any] | None:
        """A connection that can be used, or is closed; None if none rests."""
        try:
            connection = self._resting.pop()
        except IndexError:
            return None
        _settle(connection)
        return connection

    def put(self, connection: Connection[Any]) -> Connection[Any] | None:
        """Ends the transaction of a connection, and lets it rest.

        Returns:
            One that has to go back to the pool instead.
        """
        try:
            connection.pgconn.send_query(b"COMMIT")
            connection.pgconn.flush()
        except psycopg.Error:
            connection.close()  # Everything was read.
            return connection
        # First this, and then a look at who waits: one who waits looks here after saying so.
        self._resting.append(connection)
        if self._waiting or len(self._resting) > self._most:
            return self.take()
        return None


class Wanted:
    """A block in which somebody takes a connection, and may wait for one."""

    __slots__ = ("_waiting",)

    def __init__(self, waiting: deque[None]) -> None:
        self._waiting = waiting

    def __enter__(self) -> None:
        self._waiting.append(None)

    def __exit__(self, *_: object) -> None:
        self._waiting.pop()


def _settle(connection: Connection[Any]) -> None:
    """Reads the last answer of a connection; closes it if there is none."""
    with suppress(psycopg.Error):
        pgconn = connection.pgconn
        pgconn.flush()
        pgconn.consume_input()
        while pgconn.is_busy() and _is_readable(pgconn.socket):
            pgconn.consume_input()
        while not pgconn.is_busy() and pgconn.get_result() is not None:
            pass
        if pgconn.transaction_status == TransactionStatus.IDLE:
            return
    connection.close()


def _is_readable(socket: int) -> bool:
    with DefaultSelector() as selector:
        selector.register(socket, EVENT_READ)
        return bool(selector.select(_LONGEST_S))
