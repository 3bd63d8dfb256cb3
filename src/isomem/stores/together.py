"""Group commit for an engine: what several threads write at the same moment is one call.

For many engines, a call costs more than what is in it. So a thread that waits for its turn leaves
its points to the one that has the next turn, and only returns when they are written.
"""

from __future__ import annotations

from isomem.stores.turns import Turns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    Points = Sequence[Any]


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
            Exception: what `write` raises, about these points alone.
        """
        mine = _Put(points)
        # Until the end: others may be writing these points, and nobody must find them stored later
        # than the call has failed.
        with self._turns.block(mine, to_the_end=True):
            if not mine.is_over:
                self._lead(mine)
        if not mine.is_written:
            self._write(points)

    def _lead(self, mine: _Put) -> None:
        """Writes the points of this thread, and of others in the order of their arrival.

        If that fails, each writes its own, and no other one waits for it: what one of them has may
        be the reason. So nobody fails because of others, or sees an error with what is theirs.
        """
        group = self._group(mine)
        try:
            self._write([point for each in group for point in each.points])
        except BaseException as error:
            for each in group:
                each.is_over = True
            if len(group) == 1 or not isinstance(error, Exception):
                raise
        else:
            for each in group:
                each.is_written = each.is_over = True

    def _group(self, mine: _Put) -> list[_Put]:
        place = self._turns.mine()
        if place is None or place.about is not mine:
            return [mine]  # In a signal handler, of which those do not know that wait for others.
        group = [mine]
        room = self._most - len(mine.points)
        for other in self._turns.abouts():
            if other is not mine and not other.is_over:
                room -= len(other.points)
                if room < 0:
                    break
                group.append(other)
        return group


def _wait_for_each_other(one: _Put, other: _Put) -> bool:
    """Every thread for every other one."""
    del one, other
    return True


class _Put:
    """The points of one thread.

    Attributes:
        is_over: they are written, or will be by that thread alone.
        is_written: they are written.
    """

    __slots__ = ("is_over", "is_written", "points")

    def __init__(self, points: Points) -> None:
        self.points = points
        self.is_over = self.is_written = False
