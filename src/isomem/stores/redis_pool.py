"""The connections of redis-py, none of which is used again while an answer to it is pending."""

from __future__ import annotations

import sys

from redis import ConnectionPool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Pool(ConnectionPool):  # type: ignore[misc]  # redis is not installed where types are checked
    """A pool that closes the connection of a call that fails; the next call opens it again.

    redis-py closes one only if its own reading or sending fails. A signal handler can raise an
    error between the two: the next call would then read the answer to another one's command.
    """

    def release(self, connection: Any) -> None:
        """Takes a connection back. redis-py calls it while the error that ends a call is raised."""
        if sys.exc_info()[0] is not None:
            connection.disconnect()  # Before another thread can take it.
        super().release(connection)
