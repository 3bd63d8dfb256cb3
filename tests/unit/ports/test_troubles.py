"""Calls among troubles: each ends with its own outcome, and none keeps another one waiting."""

from __future__ import annotations

import asyncio
import gc
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from types import SimpleNamespace
from typing import Any

import pytest

from isomem.errors import DatabaseError
from isomem.ports import calls, pools
from isomem.ports.asynchronous import AsyncPorts
from isomem.ports.brief import brief
from isomem.ports.calls import Call
from isomem.ports.pools import THREADS, Pools
from isomem.testing import HashEmbedder
from tests.unit.ports.conftest import Gate, Stores, ends_cancelled, here, memory, settled

BLOCKING: Any = SimpleNamespace(generate_response=lambda messages: "")
"""A model whose calls need a thread of the providers."""


def asks(model: Any, **given: Any) -> AsyncPorts:
    return AsyncPorts(memory(llm=model, **given), Pools())


async def in_time(task: Any) -> Any:
    return await asyncio.wait_for(task, 10)


async def held(ports: AsyncPorts) -> tuple[Gate, asyncio.Task[Any]]:
    """A call that has the thread of the stores until the gate opens."""
    gate = Gate()
    task = asyncio.create_task(ports.run(ports.store(gate)))
    await asyncio.to_thread(gate.begun.wait, 30)
    return gate, task


# --- No thread --------------------------------------------------------------------------------


@contextmanager
def no_new_thread() -> Iterator[None]:
    """Meanwhile, no thread can be started."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        yield


def test_a_step_that_gets_no_thread_is_an_error_of_its_call() -> None:
    ports = asks(BLOCKING)

    async def main() -> None:
        await ports.run(ports.store(here))
        with no_new_thread(), pytest.raises(DatabaseError, match="can't start new thread"):
            await in_time(ports.run(ports.generate([])))
        assert await in_time(ports.run(ports.store(here))) == "isomem-store"

    asyncio.run(main())
    ports._pools.close()


def test_a_call_that_gets_no_thread_takes_no_other_one_of_its_batch_along() -> None:
    ports = asks(BLOCKING)

    async def unlucky() -> None:
        await ports.apply(["unlucky"])  # type: ignore[arg-type]
        await ports.generate([])

    async def main() -> list[Any]:
        gate, holding = await held(ports)
        tasks = [asyncio.create_task(ports.run(unlucky()))]
        tasks += [asyncio.create_task(ports.run(ports.apply(["other"])))]  # type: ignore[arg-type]
        await asyncio.sleep(0)
        with no_new_thread():
            gate.may_end.set()
            await holding
            return await in_time(asyncio.gather(*tasks, return_exceptions=True))

    refused, told = asyncio.run(main())
    assert isinstance(refused, DatabaseError)
    assert told == ["other"]
    ports._pools.close()


@pytest.mark.parametrize("serial", [True, False])
def test_a_program_whose_main_thread_has_ended_is_told(serial: bool) -> None:
    program = f"""
import asyncio, threading, time
from concurrent.futures import thread
from types import SimpleNamespace
from isomem.errors import DatabaseError
from isomem.ports.asynchronous import AsyncPorts
from isomem.ports.pools import Pools

def generate_response(messages):
    begun.set()
    while not thread._shutdown:
        time.sleep(0.001)

def call():
    ports = AsyncPorts(parts, Pools())
    try:
        asyncio.run(ports.run(ports.generate([])))
    except DatabaseError:
        print("told")

begun = threading.Event()
parts = SimpleNamespace(
    stores=SimpleNamespace(serial={serial}), nlp=None, profile=None,
    llm=SimpleNamespace(generate_response=generate_response),
)
threading.Thread(target=call).start()
begun.wait()
"""
    said = subprocess.run(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, timeout=20, check=True
    )
    assert said.stdout == "told\n"


def test_work_that_is_taken_although_it_seemed_to_be_refused_is_done_once() -> None:
    class Both(ThreadPoolExecutor):
        def submit(self, *given: Any) -> Any:
            super().submit(*given).result()
            raise RuntimeError("can't start new thread")

    done: list[str] = []
    mine = Pools()
    mine._open().pools["store"] = Both(1)
    mine.submit("store", lambda: done.append("once"))
    mine.close()
    assert done == ["once"]


@pytest.mark.parametrize("place", ["leaving", "going home"])
def test_whatever_goes_wrong_with_a_call_in_a_thread_is_raised_by_it(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = asks(BLOCKING)

    def broken(*_: Any) -> None:
        raise ZeroDivisionError

    async def main() -> None:
        await ports.run(ports.store(here))
        if place == "leaving":
            monkeypatch.setattr(Call, "_leave", broken)
        else:
            monkeypatch.setattr(Call, "_perform", broken)
        with pytest.raises(ZeroDivisionError):
            await in_time(ports.run(ports.generate([])))

    asyncio.run(main())
    ports._pools.close()


def test_stores_that_cannot_say_whether_a_plan_shares_apply_each_alone() -> None:
    class Broken(Stores):
        def shares(self, _: Any) -> bool:
            raise ZeroDivisionError

    ports = asks(None, stores=Broken())

    async def main() -> None:
        gate, holding = await held(ports)
        both = asyncio.gather(*(ports.run(ports.apply([each])) for each in "ab"))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        gate.may_end.set()
        await holding
        assert await in_time(both) == [["a"], ["b"]]

    asyncio.run(main())
    ports._pools.close()


# --- Calls that take long ---------------------------------------------------------------------


def test_a_call_with_many_steps_lets_others_in_between(
    ports: AsyncPorts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "TURN_S", 0)
    gate, made = Gate(), []

    async def long() -> None:
        await ports.store(gate)
        for _ in range(10):
            await ports.store(lambda _: made.append("long"))

    async def main() -> None:
        task = asyncio.create_task(ports.run(long()))
        await asyncio.to_thread(gate.begun.wait, 30)
        other = asyncio.create_task(ports.run(ports.store(lambda _: made.append("other"))))
        await asyncio.sleep(0)
        gate.may_end.set()
        await asyncio.gather(task, other)

    asyncio.run(main())
    assert made.index("other") <= 2
    assert made.count("long") == 10


def test_what_a_call_does_after_its_plan_waits_until_the_others_are_told(
    ports: AsyncPorts,
) -> None:
    order: list[str] = []

    async def purge() -> None:
        await ports.apply(["purged"])  # type: ignore[arg-type]
        await ports.store(lambda _: order.append("the next step"))

    async def add() -> None:
        await ports.apply(["added"])  # type: ignore[arg-type]
        order.append("the other is told")

    async def main() -> None:
        gate, holding = await held(ports)
        both = asyncio.gather(ports.run(purge()), ports.run(add()))
        await asyncio.sleep(0)
        gate.may_end.set()
        await holding
        await both

    asyncio.run(main())
    assert order == ["the other is told", "the next step"]


def test_calls_over_stores_that_wait_do_not_wait_for_slow_providers() -> None:
    gate = Gate()

    class Embedder:
        async def aembed(self, text: str, action: str) -> list[float]:
            return [1.0]

    slow = SimpleNamespace(generate_response=lambda messages: gate())
    ports = asks(slow, stores=Stores(serial=False), embedding_model=Embedder())

    async def refused() -> None:
        raise ValueError("no such filter")

    async def main() -> None:
        running = [ports.run(ports.generate([])) for _ in range(2 * THREADS["provider"])]
        slow_ones = asyncio.gather(*running)
        await asyncio.to_thread(gate.begun.wait, 30)
        try:
            with pytest.raises(ValueError, match="no such filter"):
                await in_time(ports.run(refused()))
            assert await in_time(ports.run(ports.embed("", "search"))) == [1.0]
            assert await in_time(ports.run(ports.store(here))) == "isomem-call"
        finally:
            gate.may_end.set()
            await slow_ones

    asyncio.run(main())
    ports._pools.close()


# --- What is left of a call -------------------------------------------------------------------


def test_nothing_is_left_of_a_call_that_has_ended(ports: AsyncPorts) -> None:
    def broken(_: Any) -> None:
        raise ZeroDivisionError

    async def main() -> list[Call]:
        for _ in range(500):
            await ports.run(ports.store(here))
            with suppress(ZeroDivisionError):
                await ports.run(ports.store(broken))
        await settled(ports)
        of_all = [each for each in gc.get_objects() if isinstance(each, Call)]
        return [each for each in of_all if each._pools is ports._pools]

    gc.collect()
    gc.disable()
    try:
        left = asyncio.run(main())
    finally:
        gc.enable()
    assert len(left) <= 1  # The thread may not be out of the last one yet.


# --- Two loops --------------------------------------------------------------------------------


def test_two_loops_that_come_first_at_once_share_the_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    meeting = threading.Barrier(2)

    def made(*given: Any) -> ThreadPoolExecutor:
        with suppress(threading.BrokenBarrierError):
            meeting.wait(0.2)
        return ThreadPoolExecutor(*given)

    monkeypatch.setattr(pools, "ThreadPoolExecutor", made)
    ports, ran = asks(None), []

    def loop() -> None:
        ran.append(asyncio.run(in_time(ports.run(ports.store(lambda _: threading.get_ident())))))

    threads = [threading.Thread(target=loop) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    ports._pools.close()
    assert len(ran) == 2
    assert len({*ran}) == 1


# --- Cancellation -----------------------------------------------------------------------------


class Sleeping:
    def __init__(self) -> None:
        self.is_asked = asyncio.Event()

    async def agenerate_response(self, messages: Any) -> None:
        self.is_asked.set()
        await asyncio.sleep(30)


def test_a_cancelled_call_that_awaits_while_it_ends_is_cancelled() -> None:
    model = Sleeping()
    ports, made = asks(model), []

    async def call() -> None:
        try:
            await ports.generate([])
        finally:
            await ports.store(lambda _: made.append("a step"))

    async def main() -> None:
        task = asyncio.create_task(ports.run(call()))
        await in_time(model.is_asked.wait())
        assert await ends_cancelled(task)
        await settled(ports)

    asyncio.run(main())
    ports._pools.close()
    assert made == []


def test_a_cancelled_call_that_awaits_while_it_ends_takes_no_other_one_along(
    ports: AsyncPorts, caplog: pytest.LogCaptureFixture
) -> None:
    async def call() -> None:
        try:
            await ports.apply(["cancelled"])  # type: ignore[arg-type]
        finally:
            await ports.store(here)

    async def main() -> None:
        gate, holding = await held(ports)
        first = asyncio.create_task(ports.run(ports.apply(["first"])))  # type: ignore[arg-type]
        rude = asyncio.create_task(ports.run(call()))
        await asyncio.sleep(0)
        again = Gate()  # Lets the plans come to wait, and then the one be cancelled.
        second = asyncio.create_task(ports.run(ports.store(again)))
        last = asyncio.create_task(ports.run(ports.apply(["last"])))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        gate.may_end.set()
        await asyncio.to_thread(again.begun.wait, 30)
        assert await ends_cancelled(rude)
        again.may_end.set()
        assert await in_time(asyncio.gather(first, last)) == [["first"], ["last"]]
        await asyncio.gather(holding, second)

    with caplog.at_level(logging.WARNING):
        asyncio.run(main())
    assert ports._parts.stores.plans == [["first"], ["last"]]  # type: ignore[attr-defined]
    assert "did not end as it should" in caplog.text


@pytest.mark.parametrize("error", [asyncio.CancelledError, KeyboardInterrupt, ZeroDivisionError])
def test_a_pipeline_sees_what_a_provider_that_is_awaited_raises(
    error: type[BaseException],
) -> None:
    class Model:
        async def agenerate_response(self, messages: Any) -> None:
            raise error

    ports, seen = asks(Model()), []

    async def call() -> None:
        try:
            await ports.generate([])
        except BaseException as raised:
            seen.append(type(getattr(raised, "error", raised)))
            raise

    with pytest.raises(error):
        asyncio.run(ports.run(call()))
    ports._pools.close()
    assert seen == [error]


@pytest.mark.parametrize("serial", [True, False])
def test_a_call_that_is_cancelled_while_its_own_code_runs_makes_no_further_step(
    serial: bool,
) -> None:
    ports, gate = asks(None, stores=Stores(serial=serial)), Gate()

    async def call() -> None:
        gate()
        await ports.store(lambda stores: stores.plans.append("written"))

    async def main() -> None:
        task = asyncio.create_task(ports.run(call()))
        await asyncio.to_thread(gate.begun.wait, 30)
        assert await ends_cancelled(task)
        gate.may_end.set()
        await asyncio.to_thread(ports._pools.close)

    asyncio.run(main())
    assert ports._parts.stores.plans == []  # type: ignore[attr-defined]


# --- At home ----------------------------------------------------------------------------------


def test_a_part_that_leaves_a_loop_behind_in_its_thread_changes_nothing() -> None:
    class Leaving(HashEmbedder):
        @brief
        def embed(self, text: str, action: str | None = None) -> list[float]:
            asyncio._set_running_loop(loop)
            return super().embed(text, action)

    loop = asyncio.new_event_loop()
    ports = asks(None, embedding_model=Leaving(8))

    async def call() -> str:
        await ports.embed("word", "search")
        return await ports.store(here)

    assert asyncio.run(in_time(ports.run(call()))) == "isomem-store"
    ports._pools.close()
    loop.close()
