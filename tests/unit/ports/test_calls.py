"""Calls of an asynchronous memory: where they run, how often they move, and how they end."""

from __future__ import annotations

import asyncio
import gc
import threading
import traceback
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import ContextVar
from functools import wraps
from types import SimpleNamespace
from typing import Any

import pytest

from isomem.errors import DatabaseError
from isomem.ports import calls
from isomem.ports.asynchronous import AsyncPorts
from isomem.ports.brief import MOST_CHARACTERS, brief
from isomem.ports.guard import PartFailure
from isomem.ports.pools import THREADS, Pools
from isomem.testing import HashEmbedder
from isomem.text.tiers import BuiltinTier
from tests.unit.ports.conftest import Gate, Stores, ends_cancelled, here, memory, settled

Work = Callable[[AsyncPorts], Coroutine[Any, Any, Any]]
SHORT, LONG = "word", "word " * MOST_CHARACTERS


class Counted(Pools):
    """Notes each trip to a thread: its pool."""

    def __init__(self) -> None:
        super().__init__()
        self.trips: list[str] = []

    def submit(self, pool: str, work: Callable[[], object]) -> None:
        self.trips.append(pool)
        super().submit(pool, work)


@pytest.fixture(autouse=True)
def _turns_are_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a machine that is busy changes nothing."""
    monkeypatch.setattr(calls, "TURN_S", 60)


def trips_of(work: Work, **given: Any) -> list[str]:
    """The pools that a call goes to, in order."""
    pools = Counted()
    ports = AsyncPorts(memory(**given), pools)
    asyncio.run(ports.run(work(ports)))
    pools.close()
    return pools.trips


# --- Trips ------------------------------------------------------------------------------------


async def search(ports: AsyncPorts, text: str = SHORT) -> None:
    """The steps of a search."""
    await ports.compute(ports.nlp.lemmatize, text)
    await ports.compute(ports.nlp.entities, text)
    await ports.store(here)
    await ports.embed_batch([text, text], "search")
    await ports.store(here)


async def raw_add(ports: AsyncPorts) -> None:
    """The steps of an add."""
    await ports.embed(SHORT, "add")
    await ports.compute(ports.nlp.lemmatize, SHORT)
    await ports.apply([])  # type: ignore[arg-type]


class Blocking:
    """An embedder that says nothing about itself."""

    def embed(self, text: str, action: str) -> list[float]:
        return [1.0]

    def embed_batch(self, texts: list[str], action: str) -> list[list[float]]:
        return [[1.0] for _ in texts]


class Native(Blocking):
    """An embedder that can be awaited."""

    async def aembed_batch(self, texts: list[str], action: str) -> list[list[float]]:
        await asyncio.sleep(0)
        return self.embed_batch(texts, action)


class Other(HashEmbedder):
    """Has another `embed`, which its `embed_batch` calls."""

    def embed(self, text: str, action: str | None = None) -> list[float]:
        return super().embed(text, action)


class ForeignTier(BuiltinTier):
    """Is not ours."""


def test_a_search_that_waits_for_nothing_is_one_trip_to_a_thread() -> None:
    assert trips_of(search) == ["store"]


def test_an_add_that_waits_for_nothing_is_a_trip_and_a_turn_of_its_plan() -> None:
    assert trips_of(raw_add) == ["store", "store"]


def test_a_call_over_stores_that_wait_is_one_trip_as_long_as_nothing_is_awaited() -> None:
    stores = Stores(serial=False)
    assert trips_of(search, stores=stores) == ["call"]
    assert trips_of(raw_add, stores=stores) == ["call"]


def test_a_provider_that_is_awaited_is_the_only_interruption() -> None:
    assert trips_of(search, embedding_model=Native()) == ["store", "store"]


def test_a_blocking_provider_is_called_elsewhere_and_the_call_comes_back() -> None:
    assert trips_of(search, embedding_model=Blocking()) == ["store", "provider", "store"]


@pytest.mark.parametrize("model", [Other(8), Blocking()])
def test_only_an_embedder_that_says_so_of_all_its_methods_is_called_where_the_call_is(
    model: Any,
) -> None:
    async def embed(ports: AsyncPorts) -> None:
        await ports.embed(SHORT, "add")
        await ports.embed_batch([SHORT], "add")

    back_and_forth = ["store", "provider", "store", "provider", "store"]
    assert trips_of(embed, embedding_model=model) == back_and_forth
    assert trips_of(embed, embedding_model=HashEmbedder(8)) == ["store"]


def test_an_embedder_of_a_program_can_say_that_it_is_brief() -> None:
    class Mine(Other):
        @brief
        def embed(self, text: str, action: str | None = None) -> list[float]:
            return super().embed(text, action)

    assert trips_of(search, embedding_model=Mine(8)) == ["store"]


def test_whoever_wraps_a_brief_method_may_wait() -> None:
    embedder = HashEmbedder(8)
    embedder.embed = wraps(embedder.embed)(lambda *_: [1.0])  # type: ignore[method-assign]
    assert trips_of(search, embedding_model=embedder) == ["store", "provider", "store"]


def test_many_texts_are_not_brief_however_short_they_are() -> None:
    letters = ["a"] * (MOST_CHARACTERS // 10)
    assert trips_of(lambda ports: ports.embed_batch(letters, "add")) == [
        "store",
        "provider",
        "store",
    ]


def test_long_texts_are_read_and_embedded_where_no_other_call_waits() -> None:
    long = trips_of(lambda ports: search(ports, LONG))
    assert long == ["store", "compute", "store", "compute", "store", "provider", "store"]


def test_a_foreign_tier_may_take_long() -> None:
    assert trips_of(search, nlp=ForeignTier()) == ["store", "compute", "store", "compute", "store"]


def test_what_is_computed_of_something_else_than_texts_may_take_long() -> None:
    async def compute(ports: AsyncPorts) -> None:
        assert await ports.compute(here, [{"memory": SHORT}]) == "isomem-compute"
        assert await ports.compute(here, text=SHORT) == "isomem-compute"
        assert await ports.compute(here, ports.nlp, [SHORT, SHORT]) == "isomem-store"

    trips_of(compute)


# --- What a call brings along, and what it raises ---------------------------------------------


NAMED: ContextVar[str] = ContextVar("named", default="nobody")


@pytest.mark.parametrize("serial", [True, False])
def test_every_step_sees_the_context_of_its_caller(serial: bool) -> None:
    class Model:
        async def agenerate_response(self, messages: Any) -> str:
            return NAMED.get()

        def embed(self, text: str, action: str) -> Any:
            return NAMED.get()

    async def call(ports: AsyncPorts) -> list[str]:
        return [
            NAMED.get(),
            await ports.store(lambda _: NAMED.get()),
            await ports.compute(lambda _: NAMED.get(), object()),
            await ports.generate([]),
            await ports.embed("", "add"),  # type: ignore[list-item]
            NAMED.get(),
        ]

    async def main() -> list[list[str]]:
        ports = AsyncPorts(
            memory(llm=Model(), embedding_model=Model(), stores=Stores(serial=serial)), pools
        )
        tasks = []
        for name in ("ana", "bruno"):
            NAMED.set(name)
            tasks.append(asyncio.create_task(ports.run(call(ports))))
        return await asyncio.gather(*tasks)

    pools = Pools()
    assert asyncio.run(main()) == [["ana"] * 6, ["bruno"] * 6]
    pools.close()


def raised_in_a_new_thread(ports: AsyncPorts, call: Coroutine[Any, Any, Any]) -> BaseException:
    """What a call raises in a thread that handles nothing: what was raised between two bytecodes of
    another test may count as handled in this one.
    """

    def fail() -> BaseException:
        with pytest.raises(Exception) as caught:  # noqa: PT011 - the caller looks at it
            asyncio.run(ports.run(call))
        return caught.value

    with ThreadPoolExecutor(1) as threads:
        return threads.submit(fail).result()


def test_an_error_shows_where_it_came_from_and_what_was_handled_then(ports: AsyncPorts) -> None:
    def broken(_: Any) -> None:
        raise ZeroDivisionError

    async def call() -> None:
        try:
            await ports.store(broken)
        except ZeroDivisionError:
            await ports.store(lambda stores: stores.missing)

    error = raised_in_a_new_thread(ports, call())
    assert isinstance(error, AttributeError)
    assert isinstance(error.__context__, ZeroDivisionError)
    said = "".join(traceback.format_exception(error))
    assert "in call\n" in said
    assert "stores.missing" in said


def test_the_error_of_a_part_has_no_context_but_its_own(ports: AsyncPorts) -> None:
    class Broken:
        def generate_response(self, messages: Any) -> str:
            raise ZeroDivisionError

    ports._parts.llm = Broken()  # type: ignore[misc]
    error = raised_in_a_new_thread(ports, ports.generate([]))
    assert isinstance(error, ZeroDivisionError)
    assert error.__context__ is None
    assert not isinstance(error.__cause__, PartFailure)


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_what_is_no_exception_reaches_the_caller(
    ports: AsyncPorts, error: type[BaseException]
) -> None:
    def stop(_: Any) -> None:
        raise error

    with pytest.raises(error):
        asyncio.run(ports.run(ports.store(stop)))


def test_a_coroutine_that_awaits_something_else_fails_and_does_not_hang(
    ports: AsyncPorts,
) -> None:
    with pytest.raises(RuntimeError, match="not a step"):
        asyncio.run(asyncio.wait_for(ports.run(asyncio.sleep(0)), 10))


def test_an_error_keeps_nothing_of_its_call_alive(ports: AsyncPorts) -> None:
    class Large:
        """Something that a call has at hand."""

    def broken(_: Any) -> None:
        raise ZeroDivisionError

    async def call() -> None:
        large = Large()
        await ports.store(broken)
        del large

    async def main() -> list[Large]:
        for _ in range(3):
            with suppress(ZeroDivisionError):
                await ports.run(call())
        return [each for each in gc.get_objects() if isinstance(each, Large)]

    gc.collect()
    gc.disable()
    try:
        assert asyncio.run(main()) == []
    finally:
        gc.enable()


# --- Cancellation -----------------------------------------------------------------------------


def test_a_call_that_is_cancelled_while_it_waits_for_its_thread_never_begins(
    ports: AsyncPorts,
) -> None:
    gate, done = Gate(), []

    async def call() -> None:
        done.append(await ports.store(here))

    async def main() -> None:
        first = asyncio.create_task(ports.run(ports.store(gate)))
        await asyncio.to_thread(gate.begun.wait, 30)
        second = asyncio.create_task(ports.run(call()))
        await asyncio.sleep(0)
        assert await ends_cancelled(second)
        gate.may_end.set()
        await first
        await settled(ports)

    asyncio.run(main())
    assert done == []


def test_a_call_that_is_cancelled_in_a_step_makes_no_other_one_and_writes_nothing(
    ports: AsyncPorts,
) -> None:
    gate, ended = Gate(), []

    async def call() -> None:
        try:
            await ports.store(gate)
            await ports.apply(["plan"])  # type: ignore[arg-type]
        finally:
            ended.append(threading.current_thread().name)

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, said: faults.append(said))
        task = asyncio.create_task(ports.run(call()))
        await asyncio.to_thread(gate.begun.wait, 30)
        assert await ends_cancelled(task)  # At once, though the step goes on.
        gate.may_end.set()
        await settled(ports)

    faults: list[Any] = []
    asyncio.run(main())
    assert ports._parts.stores.plans == []  # type: ignore[attr-defined]
    assert ended == ["isomem-store_0"]
    assert faults == []


def test_a_step_whose_call_is_cancelled_while_it_waits_for_a_thread_is_not_made(
    ports: AsyncPorts,
) -> None:
    gates = [Gate() for _ in range(THREADS["compute"])]
    done: list[str] = []

    async def main() -> None:
        busy = [asyncio.create_task(ports.run(ports.compute(each, {}))) for each in gates]
        for each in gates:
            await asyncio.to_thread(each.begun.wait, 30)
        task = asyncio.create_task(ports.run(ports.compute(done.append, {})))  # type: ignore[arg-type]
        await settled(ports)  # Its call has gone to where it computes.
        assert await ends_cancelled(task)
        for each in gates:
            each.may_end.set()
        await asyncio.gather(*busy)
        await asyncio.to_thread(ports._pools.close)

    asyncio.run(main())
    assert done == []


def test_a_call_that_is_cancelled_at_a_blocking_provider_does_not_go_on(ports: AsyncPorts) -> None:
    gate = Gate()
    ports._parts.llm = SimpleNamespace(generate_response=lambda messages: gate())  # type: ignore[misc]

    async def call() -> None:
        await ports.generate([])
        await ports.apply(["plan"])  # type: ignore[arg-type]

    async def main() -> None:
        task = asyncio.create_task(ports.run(call()))
        await asyncio.to_thread(gate.begun.wait, 30)
        assert await ends_cancelled(task)
        gate.may_end.set()
        await asyncio.to_thread(ports._pools.close)

    asyncio.run(main())
    assert ports._parts.stores.plans == []  # type: ignore[attr-defined]


def test_a_provider_that_is_awaited_is_cancelled_with_its_call(ports: AsyncPorts) -> None:
    seen: list[str] = []

    class Model:
        async def agenerate_response(self, messages: Any) -> str:
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                seen.append("provider")
                raise
            return ""

    ports._parts.llm = Model()  # type: ignore[assignment, misc]

    async def call() -> None:
        try:
            await ports.generate([])
        finally:
            seen.append("pipeline")

    async def main() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(ports.run(call()), 0.05)

    asyncio.run(main())
    assert seen == ["provider", "pipeline"]


def test_a_loop_that_ends_before_its_call_leaves_a_memory_that_works(ports: AsyncPorts) -> None:
    gate = Gate()
    loop = asyncio.new_event_loop()
    task = loop.create_task(ports.run(ports.store(gate)))
    loop.run_until_complete(asyncio.to_thread(gate.begun.wait, 30))
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    gate.may_end.set()
    assert asyncio.run(ports.run(ports.store(here))) == "isomem-store"
    task.get_coro().close()
    task._log_destroy_pending = False  # type: ignore[attr-defined]


def test_a_loop_that_ends_takes_no_other_call_along(ports: AsyncPorts) -> None:
    """Their plans wait together, and one of the two has nobody left to tell."""
    gate = Gate()

    async def wait() -> None:
        holding.append(asyncio.create_task(ports.run(ports.store(gate))))
        await asyncio.to_thread(gate.begun.wait, 30)
        holding.append(asyncio.create_task(ports.run(ports.apply(["left"]))))  # type: ignore[arg-type]
        await asyncio.sleep(0)

    async def other() -> Any:
        task = asyncio.create_task(ports.run(ports.apply(["awaited"])))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        gate.may_end.set()
        return await asyncio.wait_for(task, 10)

    holding: list[asyncio.Task[Any]] = []
    loop = asyncio.new_event_loop()
    loop.run_until_complete(wait())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    assert asyncio.run(other()) == ["awaited"]
    for task in holding:
        task.get_coro().close()
        task._log_destroy_pending = False  # type: ignore[attr-defined]


# --- Closing ----------------------------------------------------------------------------------


def test_a_call_that_a_close_overtakes_at_its_plan_stores_nothing(ports: AsyncPorts) -> None:
    gate = Gate()

    async def call() -> None:
        await ports.store(gate)
        await ports.apply(["plan"])  # type: ignore[arg-type]

    async def main() -> None:
        task = asyncio.create_task(ports.run(call()))
        await asyncio.to_thread(gate.begun.wait, 30)
        closing = asyncio.create_task(ports._pools.aclose())
        await asyncio.sleep(0)
        gate.may_end.set()
        await closing
        with pytest.raises(DatabaseError, match="closed"):
            await task

    asyncio.run(main())
    assert ports._parts.stores.plans == []  # type: ignore[attr-defined]


def test_a_call_that_a_close_overtakes_at_a_provider_raises(ports: AsyncPorts) -> None:
    gate = Gate()
    ports._parts.llm = SimpleNamespace(generate_response=lambda messages: gate())  # type: ignore[misc]

    async def main() -> None:
        task = asyncio.create_task(ports.run(ports.generate([])))
        await asyncio.to_thread(gate.begun.wait, 30)
        closing = asyncio.create_task(ports._pools.aclose())
        await asyncio.sleep(0)
        gate.may_end.set()
        await closing
        with pytest.raises(DatabaseError, match="closed"):
            await task

    asyncio.run(main())
