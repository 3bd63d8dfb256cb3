"""Deadlines: work that is ended when its time is over.

`asyncio.timeout` sets a timer of the event loop for each piece of work. That costs as much as all
else that is done with a small body, and hardly any of these timers ever fires. So there is one for
everything that an event loop has under way.
"""

from __future__ import annotations

import asyncio
import sys
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable
    from typing import TypeVar

    T = TypeVar("T")


class OutOfTimeError(Exception):
    """The time that some work may take is over."""


async def within(seconds: float, work: Awaitable[T]) -> T:
    """What `work` returns.

    Raises:
        OutOfTimeError: it took longer, and was cancelled. A timeout of its own is raised as it is.
    """
    deadline = _WATCH.begin(seconds)
    try:
        return await work
    except asyncio.CancelledError:
        if deadline.has_ended_it():
            raise OutOfTimeError from None
        raise
    finally:
        _WATCH.end(deadline)


class _Deadline:
    """Until when a task may work on something.

    Attributes:
        at: the time, on the clock of the event loop.
        is_over: whether the task was cancelled for it.
    """

    __slots__ = ("_cancelled_before", "at", "is_over", "task")

    def __init__(self, at: float, task: asyncio.Task[object]) -> None:
        self.at = at
        self.task = task
        self.is_over = False
        self._cancelled_before = _times_cancelled(task)

    def pass_by(self) -> None:
        """Cancels the task."""
        self.is_over = True
        self.task.cancel()

    def has_ended_it(self) -> bool:
        """Whether it is why the task was cancelled, and nobody else has cancelled it as well."""
        return self.is_over and _times_cancelled(self.task) <= self._cancelled_before + 1


class _Watch(threading.local):
    """What has a deadline on the event loop of this thread."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._begin_on(None)

    def _begin_on(self, loop: asyncio.AbstractEventLoop | None) -> None:
        self._loop = loop
        self._deadlines: set[_Deadline] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._looks_at = float("inf")

    def begin(self, seconds: float) -> _Deadline:
        """A deadline of the current task, so many seconds from now."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._begin_on(loop)
        task = asyncio.current_task(loop)
        assert task is not None
        deadline = _Deadline(loop.time() + seconds, task)
        self._deadlines.add(deadline)
        if deadline.at < self._looks_at:
            self._look_at(loop, deadline.at)
        return deadline

    def end(self, deadline: _Deadline) -> None:
        """Its work is done, or was cancelled: the task may await something else."""
        self._deadlines.discard(deadline)
        if deadline.is_over and sys.version_info >= (3, 11):
            deadline.task.uncancel()

    def _look_at(self, loop: asyncio.AbstractEventLoop, at: float) -> None:
        """Sets the timer. Where nothing is left by then, it finds nothing."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._looks_at = loop.call_at(at, self._look, loop), at

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer, self._looks_at = None, float("inf")
        now = loop.time()
        for each in [each for each in self._deadlines if each.at <= now]:
            self._deadlines.discard(each)
            each.pass_by()
        if self._deadlines:
            self._look_at(loop, min(each.at for each in self._deadlines))


_WATCH = _Watch()


def _times_cancelled(task: asyncio.Task[object]) -> int:
    if sys.version_info >= (3, 11):
        return task.cancelling()
    return 0  # A task does not count there.
