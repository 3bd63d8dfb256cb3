"""Tasks that are cancelled at any moment: each call is done as a whole or not at all."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
import warnings
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isomem import AsyncMemory
from isomem.contract.plan import Plan
from isomem.testing import HashEmbedder
from tests.facade.conftest import configuration, facts

U = {"user_id": "u"}
FACTS = 3
LONG = 40

KINDS = ("raw", "inferred", "update", "delete", "search", "delete_all")


class Model:
    """Blocking or awaited; its facts are of the call that asks."""

    def generate_response(self, messages: list[dict[str, Any]], **options: Any) -> str:
        said = messages[1]["content"].split("## New Messages\nuser: ")[1].split("\n")[0]
        return json.dumps(facts(*(f"{said} fact {number} in Porto" for number in range(FACTS))))


class Awaited(Model):
    async def agenerate_response(self, messages: list[dict[str, Any]], **options: Any) -> str:
        await asyncio.sleep(0)
        return self.generate_response(messages)


class Blocking(HashEmbedder):
    """Says nothing about itself, so it is called in a thread of its own."""

    def embed(self, text: str, memory_action: str | None = None) -> list[float]:
        return super().embed(text, memory_action)


def called(memory: AsyncMemory, kind: str, number: int, ids: list[str]) -> Coroutine[Any, Any, Any]:
    """A call; what it stores says that it is from there."""
    name = f"call{number}"
    if kind == "raw":
        said = [{"role": "user", "content": f"{name} part {part}"} for part in range(FACTS)]
        return memory.add(said, **U, infer=False, metadata={"call": name})
    if kind == "inferred":
        return memory.add(name, **U, metadata={"call": name})
    if kind == "update":
        return memory.update(ids[number], f"updated by {name} in Lisbon")
    if kind == "delete":
        return memory.delete(ids[number])
    if kind == "delete_all":
        return memory.delete_all(user_id="v")
    return memory.search("call", filters=U)


async def cancel_after(task: asyncio.Task[Any], turns: int) -> bool:
    """Cancels a task after so many turns of the loop. Returns whether it was done before."""
    for _ in range(turns):
        if task.done():
            break
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    if task.cancelled():
        return False
    task.result()
    return True


async def check(memory: AsyncMemory, calls: list[tuple[str, bool]], ids: list[str]) -> None:
    """Everything is whole, and what was done is there."""
    stored = (await memory.get_all(filters=U, top_k=1000))["results"]
    by_call = Counter(each["metadata"]["call"] for each in stored if each.get("metadata"))
    assert set(by_call.values()) <= {FACTS}
    texts = {each["id"]: each["memory"] for each in stored}
    for number, (kind, is_done) in enumerate(calls):
        name = f"call{number}"
        if kind in ("raw", "inferred") and is_done:
            assert by_call[name] == FACTS
        if kind == "update":
            events = [row["event"] for row in await memory.history(ids[number])]
            is_updated = texts[ids[number]] == f"updated by {name} in Lisbon"
            assert events == ["ADD", "UPDATE"][: 1 + is_updated]
            assert is_updated or not is_done
        if kind == "delete":
            events = [row["event"] for row in await memory.history(ids[number])]
            is_there = ids[number] in texts
            assert events == ["ADD", "DELETE"][: 2 - is_there]
            assert not (is_there and is_done)
    left = (await memory.get_all(filters={"user_id": "v"}, top_k=10))["results"]
    assert len(left) in (0, FACTS)


async def cancelled_at_random(
    path: Path, steps: list[tuple[str, int, int]], *, awaited: bool, brief: bool
) -> None:
    """Some calls at once; each is cancelled after some turns of the loop, and real time."""
    async with AsyncMemory.from_config(configuration(path)) as memory:
        memory.llm = Awaited() if awaited else Model()
        memory.embedding_model = HashEmbedder(64) if brief else Blocking(64)
        said = [{"role": "user", "content": f"memory {at} of Ana Silva"} for at in range(LONG)]
        ids = [each["id"] for each in (await memory.add(said, **U, infer=False))["results"]]
        await memory.add(said[:FACTS], user_id="v", infer=False)
        done = []
        for number, (kind, turns, pause_us) in enumerate(steps):
            task = asyncio.create_task(called(memory, kind, number, ids))
            await asyncio.sleep(pause_us / 1e6)
            done.append(asyncio.create_task(cancel_after(task, turns)))
        outcomes = await asyncio.gather(*done)
        calls = [(kind, is_done) for (kind, *_), is_done in zip(steps, outcomes, strict=True)]
        await check(memory, calls, ids)
        assert (await memory.add("still works", **U, infer=False))["results"]


STEPS = st.lists(
    st.tuples(st.sampled_from(KINDS), st.integers(0, 60), st.integers(0, 3000)),
    min_size=1,
    max_size=LONG,
)


@pytest.mark.parametrize("awaited", [True, False], ids=["awaited", "blocking"])
@settings(max_examples=12, deadline=None)
@given(steps=STEPS, brief=st.booleans())
def test_calls_that_are_cancelled_at_any_moment_are_whole_or_not_there(
    tmp_path_factory: pytest.TempPathFactory,
    awaited: bool,
    steps: list[tuple[str, int, int]],
    brief: bool,
) -> None:
    path = tmp_path_factory.mktemp("cancelled") / "memory.db"
    before = set(threading.enumerate())
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        asyncio.run(cancelled_at_random(path, steps, awaited=awaited, brief=brief))
        gc.collect()
    assert [str(each.message) for each in seen if "await" in str(each.message)] == []
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("kind", ["raw", "inferred"])
def test_an_add_that_is_cancelled_before_its_plan_writes_nothing(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each of the steps before the plan, and the memory is as it was."""
    made: list[Plan] = []

    async def main(at: int) -> bool:
        async with AsyncMemory.from_config(configuration(tmp_path / f"{at}.db")) as memory:
            memory.llm = Model()
            loop, step = asyncio.get_running_loop(), 0
            tier: Any = memory.nlp

            def noted(method: Any) -> Any:
                def call(*args: Any, **kwargs: Any) -> Any:
                    nonlocal step
                    step += 1
                    if step == at:
                        loop.call_soon_threadsafe(task.cancel)
                        cancelled.wait(5)
                    return method(*args, **kwargs)

                return call

            for name in ("lemmatize", "entities_batch"):
                monkeypatch.setattr(tier, name, noted(getattr(tier, name)), raising=False)
            apply = memory._opened.apply
            monkeypatch.setattr(
                type(memory._opened), "apply", lambda _, plan: made.append(plan) or apply(plan)
            )
            cancelled = threading.Event()
            task = asyncio.create_task(called(memory, kind, 0, []))
            task.add_done_callback(lambda _: cancelled.set())
            await asyncio.wait([task])
            was_cancelled = task.cancelled()
            monkeypatch.undo()
            assert (await memory.get_all(filters=U))["results"] == [] or not was_cancelled
            return was_cancelled

    outcomes = [asyncio.run(main(at)) for at in range(1, 7)]
    assert outcomes[0]  # There is such a step,
    assert not outcomes[-1]  # and an end of them,
    assert len(made) == outcomes.count(False)  # and only there a plan.
