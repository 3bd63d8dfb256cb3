"""The ports of both classes: what they call, where, and what a failure becomes."""

from __future__ import annotations

import asyncio
import os
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from isomem.contract.profile import DEFAULT
from isomem.errors import DatabaseError
from isomem.ports.asynchronous import AsyncPorts, adrive
from isomem.ports.blocking import BlockingPorts, drive
from isomem.ports.guard import PartFailure
from isomem.ports.pools import PLANS_AT_ONCE, THREADS, Pools
from isomem.text.tiers import NoTier


class Providers:
    """Both kinds of every call; notes which kind was made."""

    def __init__(self, *, native: bool) -> None:
        self.made: list[str] = []
        if native:
            self.aembed = self._native("aembed")
            self.aembed_batch = self._native("aembed_batch")
            self.agenerate_response = self._native("agenerate_response")
            self.arerank = self._native("arerank")

    def _native(self, name: str) -> Any:
        async def call(*args: Any, **kwargs: Any) -> list[str]:
            self.made.append(name)
            return [name]

        return call

    def embed(self, text: str, action: str) -> str:
        self.made.append("embed")
        return "embed"

    def embed_batch(self, texts: list[str], action: str) -> list[str]:
        self.made.append("embed_batch")
        return ["embed_batch"]

    def generate_response(self, messages: Any, **options: Any) -> str:
        self.made.append("generate_response")
        return "generate_response"

    def rerank(self, query: str, documents: Any, top_k: int) -> str:
        self.made.append("rerank")
        return "rerank"


def parts(**given: Any) -> Any:
    stores = SimpleNamespace(serial=True)
    models = {"embedding_model": None, "llm": None, "reranker": None, "nlp": NoTier()}
    return SimpleNamespace(**{**models, "stores": stores, "profile": DEFAULT, **given})


WAYS = ("run", "run_here")
"""How a coroutine is run over ports: in a thread, or on the event loop."""

CALLS = ("embed", "embed_batch", "generate_response", "rerank")


async def each_call(ports: Any) -> None:
    await ports.embed("x", "add")
    await ports.embed_batch(["x"], "add")
    await ports.generate([], response_format={})
    await ports.rerank("x", [], 1)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("native", [True, False])
def test_a_provider_that_can_be_awaited_is_awaited(native: bool, way: str) -> None:
    providers = Providers(native=native)
    memory = parts(embedding_model=providers, llm=providers, reranker=providers)
    pools = Pools()
    ports = AsyncPorts(memory, pools)

    async def call() -> None:
        await each_call(ports)
        assert await ports.store(lambda stores: stores) is memory.stores

    asyncio.run(getattr(ports, way)(call()))
    pools.close()
    assert providers.made == [f"a{name}" if native else name for name in CALLS]


def test_blocking_ports_show_the_parts_that_the_memory_has_now() -> None:
    providers = Providers(native=False)
    memory = parts(embedding_model=providers, llm=providers, reranker=providers, clock=1)
    ports = BlockingPorts(memory)
    drive(each_call(ports))
    assert providers.made == list(CALLS)
    assert (ports.clock, ports.reranks) == (1, True)
    memory.reranker = None
    assert not ports.reranks
    assert drive(ports.rerank("x", [{"memory": "x"}], 1)) == [{"memory": "x"}]


# --- Where what runs --------------------------------------------------------------------------


def thread_name(*_: Any, **__: Any) -> str:
    return threading.current_thread().name.rpartition("_")[0]


async def where(ports: AsyncPorts) -> list[str]:
    """The threads in which a provider, a computation, a step and a plan run."""
    return [
        await ports.generate([]),
        await ports.compute(thread_name, object()),
        await ports.store(thread_name),
        await ports.apply(None),  # type: ignore[arg-type]
    ]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("serial", "of_stores"), [(True, "isomem-store"), (False, "isomem-provider")]
)
def test_every_kind_of_work_has_its_threads(serial: bool, of_stores: str, way: str) -> None:
    stores = SimpleNamespace(serial=serial, apply=thread_name, shares=lambda _: False)
    model = SimpleNamespace(generate_response=thread_name)
    pools = Pools()
    ports = AsyncPorts(parts(llm=model, stores=stores), pools)
    ran = asyncio.run(getattr(ports, way)(where(ports)))
    pools.close()
    assert ran == ["isomem-provider", "isomem-compute", of_stores, of_stores]


class Meeting:
    """A blocking model whose calls end only when so many have come."""

    def __init__(self, size: int) -> None:
        self.barrier = threading.Barrier(size)

    def generate_response(self, messages: Any) -> str:
        self.barrier.wait(timeout=30)
        return ""


def test_as_many_blocking_calls_run_at_once_as_there_are_threads() -> None:
    size = THREADS["provider"]
    pools = Pools()
    ports = AsyncPorts(parts(llm=Meeting(size)), pools)

    async def main() -> list[Any]:
        return await asyncio.gather(*(ports.generate([]) for _ in range(size)))

    assert asyncio.run(main()) == [""] * size
    pools.close()


def test_computing_and_storing_wait_for_no_provider() -> None:
    """All threads of providers are taken, and as many calls again are waiting for one."""
    size = THREADS["provider"]
    model = Meeting(2 * size + 1)  # More than can come: each call waits until the end.
    pools = Pools()
    ports = AsyncPorts(parts(llm=model), pools)

    async def main() -> None:
        asked = [asyncio.ensure_future(ports.generate([])) for _ in range(2 * size)]
        while model.barrier.n_waiting < size:  # noqa: ASYNC110 - the threads set no event
            await asyncio.sleep(0.001)
        assert await ports.compute(thread_name, object()) == "isomem-compute"
        assert await ports.store(thread_name) == "isomem-store"
        assert model.barrier.n_waiting == size
        model.barrier.abort()
        await asyncio.gather(*asked, return_exceptions=True)

    asyncio.run(main())
    pools.close()


class Failing:
    """Fails at every call, and has no asynchronous ones."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("a", "_")):
            raise AttributeError(name)

        def call(*_: Any, **__: Any) -> Any:
            raise ZeroDivisionError(name)

        return call


@pytest.mark.parametrize("name", ["embed", "embed_batch", "generate", "rerank"])
def test_what_a_part_raises_is_a_failure_of_a_part(name: str) -> None:
    broken = Failing()
    memory = parts(embedding_model=broken, llm=broken, reranker=broken)
    arguments = {"embed": ("x", "add"), "embed_batch": (["x"], "add"), "generate": ([],)}
    asked = arguments.get(name, ("x", [], 1))

    async def call(ports: Any) -> None:
        with pytest.raises(PartFailure) as caught:
            await getattr(ports, name)(*asked)
        assert isinstance(caught.value.error, ZeroDivisionError)
        await getattr(ports, name)(*asked)

    with pytest.raises(ZeroDivisionError):  # At the surface it is the part's own error again.
        drive(call(BlockingPorts(memory)))
    pools = Pools()
    for way in WAYS:
        ports = AsyncPorts(memory, pools)
        with pytest.raises(ZeroDivisionError):
            asyncio.run(getattr(ports, way)(call(ports)))
    pools.close()


def test_a_closed_memory_is_not_a_part_that_failed() -> None:
    """An add that a close overtakes must raise, and never count as one that found nothing."""
    pools = Pools()
    pools.close()
    ports = AsyncPorts(parts(llm=Failing()), pools)
    with pytest.raises(DatabaseError, match="closed"):
        asyncio.run(adrive(ports.generate([])))


def test_threads_are_made_again_in_a_forked_child() -> None:
    pools = Pools()

    ports = AsyncPorts(parts(), pools)

    async def pid() -> int:
        return await ports.run(ports.store(lambda _: os.getpid()))

    assert asyncio.run(pid()) == os.getpid()
    child = os.fork()
    if not child:
        try:
            os._exit(0 if asyncio.run(asyncio.wait_for(pid(), 5)) == os.getpid() else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    pools.close()


# --- Plans that wait -------------------------------------------------------------------------


class Stores:
    """A serial store set; a plan is what becomes of it: its records, or an error."""

    serial = True

    def __init__(self) -> None:
        self.together: list[list[Any]] = []
        self.alone: list[Any] = []
        self.is_broken = False
        self.entered, self.go_on = threading.Event(), threading.Event()

    def shares(self, plan: Any) -> bool:
        return plan != ["whole scopes"]

    def apply(self, plan: Any) -> Any:
        self.alone.append(plan)
        if plan == ["first"]:
            self.entered.set()
            self.go_on.wait(60)
        if isinstance(plan, Exception):
            raise plan
        return plan

    def apply_all(self, plans: list[Any]) -> list[Any]:
        self.together.append(plans)
        if self.is_broken:
            raise SystemExit
        return plans


async def applied(
    stores: Stores, plans: list[Any], *, cancelled: int | None = None, way: str = "run"
) -> list[Any]:
    """What comes of plans that wait while the store is at work on another one."""
    pools = Pools()
    ports = AsyncPorts(parts(stores=stores), pools)
    run = getattr(ports, way)
    first = asyncio.create_task(run(ports.apply(["first"])))  # type: ignore[arg-type]
    await asyncio.to_thread(stores.entered.wait, 60)
    tasks = [asyncio.create_task(run(ports.apply(plan))) for plan in plans]
    await asyncio.sleep(0)
    if cancelled is not None:
        tasks[cancelled].cancel()
        await asyncio.sleep(0)
    stores.go_on.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert await first == ["first"]
    await pools.aclose()
    return outcomes


PLANS: list[Any] = [["a"], ValueError("b"), ["c"]]


@pytest.mark.parametrize("way", WAYS)
def test_plans_that_wait_are_applied_together_in_their_order(way: str) -> None:
    stores = Stores()
    assert asyncio.run(applied(stores, PLANS, way=way)) == PLANS
    assert (stores.together, stores.alone) == ([PLANS], [["first"]])


def test_each_is_applied_alone_if_they_cannot_be_applied_together() -> None:
    stores = Stores()
    stores.is_broken = True
    assert asyncio.run(applied(stores, PLANS)) == PLANS
    assert (stores.together, stores.alone) == ([PLANS], [["first"], *PLANS])


def test_a_plan_that_shares_nothing_is_applied_alone() -> None:
    stores, plans = Stores(), [*PLANS, ["whole scopes"]]
    assert asyncio.run(applied(stores, plans)) == plans
    assert (stores.together, stores.alone) == ([], [["first"], *plans])


@pytest.mark.parametrize("way", WAYS)
def test_a_plan_whose_caller_was_cancelled_while_it_waited_is_not_applied(way: str) -> None:
    stores = Stores()
    outcomes = asyncio.run(applied(stores, [["a"], ["b"], ["c"]], cancelled=1, way=way))
    assert isinstance(outcomes[1], asyncio.CancelledError)
    assert stores.together == [[["a"], ["c"]]]


def test_no_more_than_some_plans_are_applied_together() -> None:
    stores, plans = Stores(), [[number] for number in range(PLANS_AT_ONCE + 2)]
    assert asyncio.run(applied(stores, plans)) == plans
    assert [len(each) for each in stores.together] == [PLANS_AT_ONCE, 2]
