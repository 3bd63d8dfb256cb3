"""Deadlines: work that is ended when its time is over.

`asyncio.timeout` sets a timer of the event loop for each piece of work. That costs as much as all
else that is done with a small body, and hardly any of these timers ever fires. So there is one for
everything that an event loop has under way.
"""

from __future__ import annotations

import asyncio
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable
    from typing import Any, TypeVar

    T = TypeVar("T")


class OutOfTimeError(Exception):
    """The time that some work may take is over."""


async def within(seconds: float, work: Awaitable[T]) -> T:
    """What `work` returns.

    Raises:
        OutOfTimeError: it took longer, and was cancelled. A timeout of its own is raised as it is.
    """
    if sys.version_info < (3, 11):  # A task does not know there how often it was cancelled.
        return await _within_as_task(seconds, work)
    watch = _watch_of(asyncio.get_running_loop())
    deadline = watch.begin(seconds)
    try:
        return await work
    except asyncio.CancelledError:
        if deadline.has_ended_it():
            raise OutOfTimeError from None
        raise
    finally:
        watch.end(deadline)


async def _within_as_task(seconds: float, work: Awaitable[T]) -> T:
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait([task], timeout=seconds)
        if not done:
            task.cancel()
            await asyncio.wait([task])
            if task.cancelled():
                raise OutOfTimeError
    finally:
        task.cancel()  # If this one was cancelled meanwhile.
    return task.result()


class _Deadline:
    """Until when a task may work on something.

    Attributes:
        at: the time, on the clock of the event loop.
        is_over: whether the task was cancelled for it.
    """

    __slots__ = ("_cancelled_before", "_task", "at", "is_over")

    def __init__(self, at: float, task: Any) -> None:
        self.at = at
        self.is_over = False
        self._task = task
        self._cancelled_before: int = task.cancelling()

    def pass_by(self) -> None:
        """Cancels the task."""
        self.is_over = True
        self._task.cancel()

    def has_ended_it(self) -> bool:
        """Whether it is why the task was cancelled, and nobody else has cancelled it as well."""
        return self.is_over and self._task.cancelling() <= self._cancelled_before + 1

    def take_back(self) -> None:
        """Lets the task await something else, as if it had not been cancelled for this."""
        if self.is_over:
            self._task.uncancel()


class _Watch:
    """What has a deadline on one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._deadlines: set[_Deadline] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._looks_at = float("inf")

    def begin(self, seconds: float) -> _Deadline:
        """A deadline of the current task, so many seconds from now."""
        at = self._loop.time() + seconds
        deadline = _Deadline(at, asyncio.current_task(self._loop))
        self._deadlines.add(deadline)
        if at < self._looks_at:
            self._look_at(at)
        return deadline

    def end(self, deadline: _Deadline) -> None:
        """Its work is done, or was cancelled."""
        self._deadlines.discard(deadline)
        deadline.take_back()

    def _look_at(self, at: float) -> None:
        """Sets the timer. Where nothing is left by then, it finds nothing."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._looks_at = self._loop.call_at(at, self._look), at

    def _look(self) -> None:
        self._timer, self._looks_at = None, float("inf")
        now = self._loop.time()
        for each in [each for each in self._deadlines if each.at <= now]:
            self._deadlines.discard(each)
            each.pass_by()
        if self._deadlines:
            self._look_at(min(each.at for each in self._deadlines))


_WATCHES: dict[asyncio.AbstractEventLoop, _Watch] = {}


def _watch_of(loop: asyncio.AbstractEventLoop) -> _Watch:
    """What looks after an event loop. Those of closed ones are dropped when there is a new one."""
    watch = _WATCHES.get(loop)
    if watch is None:
        for each in [*_WATCHES]:
            if each.is_closed():
                _WATCHES.pop(each, None)
        watch = _WATCHES[loop] = _Watch(loop)
    return watch
