"""Deadlines: work ends when its time is over, and only then, whatever else has a deadline."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from contextlib import suppress
from typing import Any

import pytest

from isomem.serve.deadlines import OutOfTimeError, within


async def after(seconds: float, error: BaseException | None = None) -> str:
    await asyncio.sleep(seconds)
    if error is not None:
        raise error
    return "done"


class Ended:
    """Work that goes on until it is ended."""

    def __init__(self) -> None:
        self.was_ended = False

    async def work(self) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            self.was_ended = True


def test_work_in_time_returns_and_other_work_is_ended() -> None:
    slow = Ended()

    async def run() -> None:
        assert await within(10, after(0)) == "done"
        with pytest.raises(OutOfTimeError):
            await within(0.01, slow.work())
        assert slow.was_ended
        assert await within(10, after(0)) == "done"

    asyncio.run(run())


@pytest.mark.parametrize("error", [ValueError("x"), TimeoutError("its own"), KeyError("x")])
def test_errors_of_the_work_are_its_own_even_timeouts(error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        asyncio.run(within(10, after(0, error)))
    assert caught.value is error


def test_each_of_many_ends_at_its_own_time_whichever_began_first() -> None:
    """Some of them are done long before their time."""
    limits = [0.3, 0.05, 60, 0.15, 0.05, 60, 0.2]
    order: list[float] = []

    async def one(seconds: float) -> None:
        with suppress(OutOfTimeError):
            await within(seconds, after(0.1 if seconds == 60 else 60))
        order.append(seconds)

    async def run() -> None:
        await asyncio.gather(*map(one, limits))

    started = time.monotonic()
    asyncio.run(run())
    assert time.monotonic() - started < 30
    assert [each for each in order if each != 60] == [0.05, 0.05, 0.15, 0.2, 0.3]
    assert order.count(60) == 2


def test_a_short_time_is_kept_although_a_long_one_is_waited_for() -> None:
    async def run() -> None:
        long = asyncio.create_task(within(60, after(60)))
        await asyncio.sleep(0)
        with pytest.raises(OutOfTimeError):
            await within(0.02, after(60))
        long.cancel()
        with pytest.raises(asyncio.CancelledError):
            await long

    asyncio.run(run())


def test_one_deadline_around_another_ends_what_is_its_own() -> None:
    async def run() -> str:
        async def outer() -> str:
            with pytest.raises(OutOfTimeError):
                await within(0.02, after(60))
            return await after(0)

        assert await within(30, outer()) == "done"
        with pytest.raises(OutOfTimeError):
            await within(0.02, within(60, after(60)))
        return "both"

    assert asyncio.run(run()) == "both"


def test_who_cancels_the_task_cancels_it_also_when_time_is_over() -> None:
    async def run() -> None:
        task = asyncio.create_task(within(60, after(60)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        if sys.version_info >= (3, 11):
            task = asyncio.create_task(within(0.01, cancelled_twice()))
            with pytest.raises(asyncio.CancelledError):
                await task

    async def cancelled_twice() -> None:
        """By its deadline and by somebody else, before it could end."""
        task: Any = asyncio.current_task()
        asyncio.get_running_loop().call_later(0.01, task.cancel)
        time.sleep(0.05)  # noqa: ASYNC251 - both timers are due then
        await asyncio.sleep(60)

    asyncio.run(run())


@pytest.mark.skipif(sys.version_info < (3, 11), reason="a task does not count there")
def test_a_task_is_as_before_when_its_work_was_ended_or_would_not_end() -> None:
    async def stubborn() -> str:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        return "all the same"

    async def run() -> list[Any]:
        with pytest.raises(OutOfTimeError):
            await within(0.01, after(60))
        task: Any = asyncio.current_task()
        return [await within(0.01, stubborn()), task.cancelling()]

    assert asyncio.run(run()) == ["all the same", 0]


def test_every_loop_has_its_own_also_at_the_same_time() -> None:
    """One that is closed in the middle leaves nothing that another would wait for."""

    async def left() -> None:
        asyncio.create_task(within(0.01, after(60)))  # noqa: RUF006 - it is left behind
        await asyncio.sleep(0)

    async def ended() -> None:
        with pytest.raises(OutOfTimeError):
            await within(0.02, after(60))

    def loops() -> None:
        for _ in range(3):
            with suppress(asyncio.CancelledError):
                asyncio.run(left())
            asyncio.run(ended())
        done.append(True)

    done: list[bool] = []
    threads = [threading.Thread(target=loops) for _ in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)
    assert done == [True] * 3


def test_many_deadlines_share_one_timer() -> None:
    async def run() -> int:
        loop = asyncio.get_running_loop()
        made: list[float] = []
        call_at = loop.call_at
        loop.call_at = lambda at, *given: made.append(at) or call_at(at, *given)  # type: ignore[method-assign, func-returns-value]
        for _ in range(100):
            await within(60, after(0))
        return len(made)

    assert asyncio.run(run()) == 1
