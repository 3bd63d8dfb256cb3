"""What `AsyncMemory` does on the event loop itself. Nothing is timed: calls of functions count."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import isomem
from isomem import AsyncMemory
from isomem.testing import HashEmbedder, ScriptedLLM
from tests.facade.conftest import configuration, facts

U = {"user_id": "u"}
PACKAGE = str(Path(isomem.__file__).parent)
FEW, MANY = 20, 400

Call = Callable[[AsyncMemory, list[str]], Awaitable[Any]]


class OnLoop:
    """Counts the calls of our functions in the thread that it is entered in."""

    def __init__(self) -> None:
        self.calls = 0

    def __enter__(self) -> OnLoop:
        sys.setprofile(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _note(self, frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            self.calls += 1


async def filled(path: Path, count: int) -> tuple[AsyncMemory, list[str]]:
    """A memory with so many texts of one user, and their ids."""
    memory = AsyncMemory.from_config(configuration(str(path)))
    memory.embedding_model = HashEmbedder(64)
    said = facts(*(f"Ana Silva saw bird {at} near Lisbon" for at in range(count)))
    memory.llm = ScriptedLLM([said])
    added = (await memory.add("What happened", **U))["results"]
    return memory, [one["id"] for one in added]


CALLS: dict[str, Call] = {
    "raw add": lambda memory, _: memory.add("It rained", **U, infer=False),
    "search": lambda memory, _: memory.search("birds near Lisbon", filters=U, top_k=MANY),
    "get": lambda memory, ids: memory.get(ids[0]),
    "get_all": lambda memory, _: memory.get_all(filters=U, top_k=MANY),
    "update": lambda memory, ids: memory.update(ids[0], "Ana Silva saw a cat"),
    "history": lambda memory, ids: memory.history(ids[0]),
    "delete": lambda memory, ids: memory.delete(ids[0]),
    "delete_all": lambda memory, _: memory.delete_all(**U),
    "purge": lambda memory, _: memory.purge(**U),
    "reset": lambda memory, _: memory.reset(),
}


@pytest.mark.parametrize("name", CALLS)
def test_work_on_the_loop_does_not_grow_with_what_is_stored(name: str, tmp_path: Path) -> None:
    async def on_loop(count: int) -> int:
        memory, ids = await filled(tmp_path / f"{count}.db", count)
        with OnLoop() as seen:
            await CALLS[name](memory, ids)
        await memory.aclose()
        return seen.calls

    few, many = asyncio.run(on_loop(FEW)), asyncio.run(on_loop(MANY))
    assert few == many
    assert few < 100


@pytest.mark.parametrize("name", ["raw add", "search", "update"])
def test_work_on_the_loop_does_not_grow_with_a_text(name: str, tmp_path: Path) -> None:
    calls: dict[str, Callable[[AsyncMemory, str, str], Awaitable[Any]]] = {
        "raw add": lambda memory, _, text: memory.add(text, **U, infer=False),
        "search": lambda memory, _, text: memory.search(text, filters=U),
        "update": lambda memory, one, text: memory.update(one, text),
    }

    async def on_loop(count: int) -> int:
        memory, ids = await filled(tmp_path / f"{count}.db", FEW)
        with OnLoop() as seen:
            await calls[name](memory, ids[0], " ".join(["a bird was seen"] * count))
        await memory.aclose()
        return seen.calls

    assert asyncio.run(on_loop(1)) == asyncio.run(on_loop(MANY))


TRIPS = {
    "raw add": ["store", "store"],
    "search": ["store"],
    "get": ["store"],
    "get_all": ["store"],
    "update": ["store", "store"],
    "history": ["store"],
    "delete": ["store", "store"],
    "delete_all": ["store", "store"],
}
"""With what comes with isomem: a trip to the thread of the store, and a turn of its plan."""


@pytest.mark.parametrize("name", TRIPS)
def test_a_call_that_waits_for_nothing_is_one_trip_to_a_thread(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trips: list[str] = []

    async def main() -> None:
        memory, ids = await filled(tmp_path / "m.db", FEW)
        submit = memory._pools.submit
        monkeypatch.setattr(
            memory._pools, "submit", lambda pool, work: [trips.append(pool), submit(pool, work)]
        )
        await CALLS[name](memory, ids)
        await memory.aclose()

    asyncio.run(main())
    assert trips == TRIPS[name]


class Noting:
    """A part whose every method notes the thread that it runs in."""

    def __init__(self, part: Any, seen: dict[str, str]) -> None:
        self._part = part
        self._seen = seen

    def __getattr__(self, name: str) -> Any:
        if name.startswith("a") and name != "add":  # blocking: it has no asynchronous methods
            raise AttributeError(name)
        value = getattr(self._part, name)
        if not callable(value):
            return value

        def call(*args: Any, **kwargs: Any) -> Any:
            self._seen[name] = threading.current_thread().name.rpartition("_")[0]
            return value(*args, **kwargs)

        return call


def test_every_part_runs_in_its_own_kind_of_thread(tmp_path: Path) -> None:
    seen: dict[str, str] = {}

    async def main() -> None:
        memory, ids = await filled(tmp_path / "m.db", FEW)
        memory.llm = Noting(ScriptedLLM([facts("Bruno saw a fox in Porto")]), seen)
        memory.embedding_model = Noting(memory.embedding_model, seen)
        memory.nlp = Noting(memory.nlp, seen)
        await memory.add("What else happened", **U)
        await memory.search("Bruno in Porto", filters=U)
        await memory.update(ids[0], "Ana saw a fox in Porto")
        await memory.aclose()

    asyncio.run(main())
    assert seen == {
        "generate_response": "isomem-provider",
        "embed": "isomem-provider",
        "embed_batch": "isomem-provider",
        "lemmatize": "isomem-compute",
        "entities": "isomem-compute",
        "entities_batch": "isomem-compute",
        "close": "asyncio",
    }
