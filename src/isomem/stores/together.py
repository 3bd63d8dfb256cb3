"""Group commit for an engine: what several threads write at the same moment is one call.

For many engines, a call costs more than what is in it. So a thread that waits for its turn leaves
its points to the one that has the next turn, and only returns when they are written.
"""

from __future__ import annotations

from isomem.errors import VectorStoreError, VectorValueError
from isomem.stores.turns import Turns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Final

    Points = Sequence[Any]

WRITTEN: Final = "written"
ALONE: Final = "alone"


class Together:
    """Writes points, with those of other threads that wait.

    Args:
        write: writes points in place of what there is under their ids. It may be called again with
            the same points.
        most: how many points one call is for; a thread that has more writes them on its own.
    """

    def __init__(self, write: Callable[[Points], object], most: int) -> None:
        self._write = write
        self._most = most
        self._turns = Turns(_wait_for_each_other)

    def put(self, points: Points) -> None:
        """Writes points; they are written when it returns.

        Raises:
            VectorStoreError: as `write`, about these points.
        """
        mine = _Put(points)
        # Until the end: others may be writing these points, and nobody must find them stored later
        # than the call has failed.
        with self._turns.block(mine, to_the_end=True):
            if mine.outcome is None:
                self._lead(mine)
        if mine.outcome is ALONE:
            self._write(points)
        elif isinstance(mine.outcome, VectorStoreError):
            raise mine.outcome

    def _lead(self, mine: _Put) -> None:
        """Writes the points of this thread, and of others in the order of their arrival.

        If an exception that is not the engine's ends it, the next one begins anew.
        """
        group = [mine]
        room = self._most - len(mine.points)
        for other in self._turns.abouts():
            if other is not mine and other.outcome is None:
                room -= len(other.points)
                if room < 0:
                    break
                group.append(other)
        outcome: str | VectorStoreError = WRITTEN
        try:
            self._write([point for each in group for point in each.points])
        except VectorValueError as error:
            # The engine may have refused those of one thread alone.
            outcome = error if len(group) == 1 else ALONE
        except VectorStoreError as error:
            outcome = error
        for each in group:
            each.outcome = outcome


def _wait_for_each_other(one: _Put, other: _Put) -> bool:
    """Every thread for every other one."""
    del one, other
    return True


class _Put:
    """The points of one thread, and what became of them; None as long as that is not known."""

    __slots__ = ("outcome", "points")

    def __init__(self, points: Points) -> None:
        self.points = points
        self.outcome: str | VectorStoreError | None = None
