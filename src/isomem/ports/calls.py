"""Calls of an asynchronous memory: where each runs, and where its steps are made.

A call is the coroutine of a pipeline. It does not run on the event loop, but in a thread: its home.
There it makes its steps one after another, those whose place is its home and those that are brief,
so that a call that waits for nothing is one trip to a thread. A step that belongs elsewhere is made
there meanwhile, and the call goes on at home: a blocking provider in the pool of the providers, a
long computation in the pool for these. A provider that can be awaited is awaited by the task that
made the call, on its event loop.

The calls over a serial store set share one thread. So each has it for a turn: after that, its next
step waits behind those of the others.

A coroutine is in one thread at a time, and none can be interrupted while it runs. So the call of a
cancelled task ends when it comes to its next step, which is not made. Whatever goes wrong with a
call in a thread is raised by it: it must not keep its task waiting, nor others.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from math import inf
from time import monotonic

from isomem import log
from isomem.errors import DatabaseError
from isomem.ports.pools import STORE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator, Sequence
    from typing import Any

    from isomem.contract.plan import Record
    from isomem.ports.pools import Pools

LOOP = "loop"
"""The place of what is awaited: the event loop of whoever made the call."""

PLANS = "plans"
"""The place of plans for a serial store set: its thread, where they wait for each other."""

TURN_S = 0.01
"""How long, in seconds, a call makes its steps in the thread of the stores before others may."""


class _Thread(threading.local):
    """What is so in this thread."""

    call: Call | None = None
    """The call whose coroutine runs in it."""


_THREAD = _Thread()


class Step:
    """What a call awaits, to be made at some place.

    It can also be awaited by a coroutine that runs on an event loop.

    Args:
        pools: the threads.
        place: one of `pools.THREADS`, `LOOP` or `PLANS`.
        work: makes it. For `LOOP`, it is a coroutine function; for `PLANS`, it gets the call, and
            lets the plan wait.
        is_brief: whether it may be made wherever the call is.
    """

    __slots__ = ("_pools", "is_brief", "place", "work")

    def __init__(
        self, pools: Pools, place: str, work: Callable[..., Any], *, is_brief: bool = False
    ) -> None:
        self._pools = pools
        self.place = place
        self.work = work
        self.is_brief = is_brief

    def __await__(self) -> Generator[Any, Any, Any]:
        call = _THREAD.call
        if call is None:
            return (yield from self._made().__await__())
        if not call.makes(self):
            return (yield self)
        _THREAD.call = None
        try:
            return self.work()
        finally:
            _THREAD.call = call

    async def _made(self) -> Any:
        """What it comes to; for a coroutine on an event loop."""
        if self.place == LOOP:
            return await self.work()
        home = STORE if self.place == PLANS else self.place
        return await Call(_alone(self), self._pools, home).result()


async def _alone(step: Step) -> Any:
    return await step


class Call:
    """One call: a coroutine, in one thread at a time.

    Args:
        coroutine: awaits only steps.
        pools: the threads.
        home: the pool in which it runs.

    Attributes:
        is_cancelled: whether nobody waits for it any more.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, Any], pools: Pools, home: str) -> None:
        self._coroutine = coroutine
        self._pools = pools
        self._home = home
        self._loop = asyncio.get_running_loop()
        self._context = copy_context()
        self._resume: Callable[[], Any] = partial(coroutine.send, None)
        self._value: Any = None
        self._error: BaseException | None = None
        self._back: asyncio.Future[Step | None]
        self._is_out = False
        self._here: str | None = None
        self._until = -inf
        self.is_cancelled = False

    # --- On the event loop ---

    async def result(self) -> Any:
        """What the coroutine returns.

        Raises:
            BaseException: what it raises.
            DatabaseError: the pools are closed.
        """
        try:
            while (step := await self._trip()) is not None:
                await self._await(step)
            return self._outcome()
        finally:
            if not self._is_out:
                self.end()

    async def _trip(self) -> Step | None:
        """Sends it to its home. Returns the step with which it comes back; None at its end."""
        self._back = self._loop.create_future()
        self._pools.submit(self._home, self._go_on_at_home)
        self._is_out = True
        try:
            return await self._back
        except BaseException:
            self.is_cancelled = True  # Whoever has it ends it.
            raise

    async def _await(self, step: Step) -> None:
        try:
            value = await step.work()
        except Exception as error:  # noqa: BLE001 - the coroutine is told
            self._resume = partial(self._coroutine.throw, error)
        except BaseException as error:
            self._resume = partial(self._coroutine.throw, error)
            with suppress(BaseException):  # It sees why it ends, and makes no further step.
                self._resumed()
            raise
        else:
            self._resume = partial(self._coroutine.send, value)

    def _outcome(self) -> Any:
        value, error = self._value, self._error
        self._value = self._error = None
        try:
            if error is not None:
                raise error
            return value
        finally:
            del error  # Its traceback has this frame.

    def _come_back(self, step: Step | None) -> None:
        self._is_out = False
        if self._back.done():  # Its task was cancelled meanwhile.
            self.end()
        else:
            self._back.set_result(step)

    # --- In threads ---

    def _go_on_at_home(self) -> None:
        self._surely(lambda: self._go_on(self._home, self._end_of_turn()))

    def _end_of_turn(self) -> float:
        """Until when it may make its steps at home, by `monotonic`, if its turn begins now."""
        return monotonic() + TURN_S if self._home == STORE else inf

    def _surely(self, work: Callable[[], None]) -> None:
        """Lets it go on. If that fails, it ends with this error."""
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - whoever made the call raises it
            self.end()
            self._error = error
            self._tell(None)

    def _go_on(self, here: str, until: float) -> None:
        """Runs the coroutine in a thread of a pool, until it ends, or is to wait elsewhere.

        Args:
            here: the pool.
            until: the end of its turn.
        """
        while True:
            step = self._context.run(self._run, here, until)
            # Out here, since the next thread may enter the context at once.
            if step is None or step.place == LOOP:
                return self._tell(step)
            if self._leave(step):
                return None

    def makes(self, step: Step) -> bool:
        """Whether its coroutine makes a step itself, right where it runs."""
        if self._here is None or self.is_cancelled:
            return False
        return step.is_brief or (step.place == self._here and monotonic() < self._until)

    def _run(self, here: str, until: float) -> Step | None:
        """Runs it up to a step that is not made here now, which is returned; None at its end."""
        self._here, self._until = here, until
        step = self._next_step()
        self._here = None
        if step is None:
            self.end()  # That of a cancelled call; others have ended.
        return step

    def _next_step(self) -> Step | None:
        while not self.is_cancelled:
            try:
                step = self._resumed()
            except StopIteration as finished:
                self._value = finished.value
                break
            except BaseException as error:  # noqa: BLE001 - whoever made the call raises it
                self._error = error
                break
            if self.is_cancelled:
                break
            if isinstance(step, Step):
                return step
            self._perform(_suspended)
        return None

    def _resumed(self) -> Any:
        """What the coroutine awaits when it goes on in this thread."""
        before, _THREAD.call = _THREAD.call, self
        try:
            return self._resume()
        finally:
            _THREAD.call = before

    def _perform(self, work: Callable[[], Any]) -> None:
        """Makes a step. The coroutine is told its outcome when it goes on."""
        try:
            value = work()
        except BaseException as error:  # noqa: BLE001 - the coroutine is told
            self._resume = partial(self._coroutine.throw, error)
        else:
            self._resume = partial(self._coroutine.send, value)

    def _leave(self, step: Step) -> bool:
        """Leaves this thread for a step. Returns whether it did: the pools may refuse the step."""
        try:
            if step.place == PLANS:
                step.work(self)
            else:
                self._pools.submit(step.place, lambda: self._surely(lambda: self._make(step)))
        except DatabaseError as error:
            self._resume = partial(self._coroutine.throw, error)
            return False
        return True

    def _make(self, step: Step) -> None:
        """Makes a step that it has left for, and goes on at home."""
        if self.is_cancelled:
            self.end()
            return
        until = self._end_of_turn()
        self._context.run(self._perform, step.work)
        if step.place == self._home:
            self._go_on(self._home, until)
            return
        try:
            self._pools.submit(self._home, self._go_on_at_home)
        except DatabaseError as error:
            self._resume = partial(self._coroutine.throw, error)
            self._go_on(step.place, inf)

    def applied(self, outcome: Sequence[Record] | BaseException) -> None:
        """Goes on after its plan, in the thread of the stores, where it makes no further step.

        The callers of the other plans that were applied with it are yet to be told.
        """
        if isinstance(outcome, BaseException):
            self._resume = partial(self._coroutine.throw, outcome)
        else:
            self._resume = partial(self._coroutine.send, outcome)
        self._surely(lambda: self._go_on(STORE, -inf))

    def end(self) -> None:
        """Ends the coroutine where it is. Raises nothing."""
        self._here = None
        # What it was may have an error, whose traceback has this object.
        self._resume = self._coroutine.close
        try:
            self._resumed()
        except Exception as error:  # noqa: BLE001 - nobody waits for it
            log.warning("A cancelled call did not end as it should: %r", error)

    def _tell(self, step: Step | None) -> None:
        """Lets the task go on that made the call."""
        try:
            self._loop.call_soon_threadsafe(self._come_back, step)
        except RuntimeError:  # The loop was closed meanwhile, so nobody waits.
            self.end()


def _suspended() -> Any:
    raise RuntimeError("a coroutine of a pipeline has awaited something that is not a step")
