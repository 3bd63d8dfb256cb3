"""Both classes behind one face: a scenario is written once and run on each."""

from __future__ import annotations

import asyncio
import inspect
import math
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from isomem import AsyncMemory, Memory, MemoryConfig
from isomem.clock import Clock
from isomem.store.database import Database
from isomem.testing import HashEmbedder, ScriptedLLM


class Ticks(Clock):
    """Every look at the clock is a second later; ids count, and sort in the order of making."""

    def __init__(self) -> None:
        self._seconds = count()
        self._ids = count(1)
        self._rows = count(1)

    def now(self) -> str:
        minutes, seconds = divmod(next(self._seconds), 60)
        return f"2024-05-01T10:{minutes:02}:{seconds:02}+00:00"

    def today(self) -> str:
        return "2024-05-01"

    def new_id(self) -> str:
        return f"00000000-0000-4000-8000-{next(self._ids):012}"

    def new_row_id(self) -> str:
        return f"row-{next(self._rows):06}"


class PlantedEmbedder:
    """A vector for each text that was planted; a similarity to the first axis for short."""

    identity = "planted"
    dims = 3

    def __init__(self, vectors: dict[str, Any] | None = None) -> None:
        self.vectors = dict(vectors or {})
        self.calls: list[tuple[Any, str | None]] = []

    def embed(self, text: str, memory_action: str | None = None) -> list[float]:
        self.calls.append((text, memory_action))
        return self._vector(text)

    def embed_batch(self, texts: list[str], memory_action: str | None = "add") -> Any:
        self.calls.append((list(texts), memory_action))
        return [self._vector(text) for text in texts]

    def _vector(self, text: str) -> list[float]:
        found = self.vectors.get(text, 0.0)
        if isinstance(found, float):
            return [found, math.sqrt(1 - found * found), 0.0]
        if isinstance(found, Exception):
            raise found
        return list(found)


class Face:
    """One memory of either class; calls of the asynchronous one are awaited here."""

    def __init__(
        self, kind: type, config: dict[str, Any], loop: asyncio.AbstractEventLoop, clock: Clock
    ) -> None:
        self.real: Any = kind(MemoryConfig(**config), clock=clock)
        self.is_async = kind is AsyncMemory
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.real, name)
        if not inspect.iscoroutinefunction(value):
            return value
        return lambda *args, **kwargs: self._loop.run_until_complete(value(*args, **kwargs))

    def __setattr__(self, name: str, value: Any) -> None:
        if name in {"real", "is_async", "_loop"}:
            object.__setattr__(self, name, value)
        else:
            setattr(self.real, name, value)

    def say(self, *replies: Any) -> ScriptedLLM:
        """What the model answers from now on: texts of facts, or a reply as it is."""
        llm = ScriptedLLM(
            [facts(*reply) if isinstance(reply, tuple) else reply for reply in replies]
        )
        self.real.llm = llm
        return llm

    def learn(self, *texts: str, said: str = "hello", **ids: Any) -> list[str]:
        """Adds facts by way of the model; their ids."""
        self.say(texts)
        added = self.add(said, **(ids or {"user_id": "u"}))
        return [each["id"] for each in added["results"]]

    def plant(self, **similarities: float) -> dict[str, str]:
        """Raw memories of "u" by text, with the given similarity to the query "query"."""
        self.real.embedding_model = PlantedEmbedder({"query": 1.0, **similarities})
        return {
            text: self.add(text, user_id="u", infer=False)["results"][0]["id"]
            for text in similarities
        }

    def state(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every table."""
        store: Any = self.real.vector_store
        database: Database = store.database
        tables = (
            "collections",
            "scopes",
            "points",
            "terms",
            "linked_memories",
            "history",
            "messages",
        )
        with database.reading():
            return {
                table: sorted(database.rows(f"SELECT * FROM {table}"), key=repr) for table in tables
            }

    def memories(self, **ids: Any) -> list[str]:
        """The texts in a scope, in the order of their ids."""
        listed = self.get_all(filters=ids or {"user_id": "u"}, top_k=10_000)
        return [each["memory"] for each in listed["results"]]

    def entities(self) -> dict[str, Any]:
        """The payloads of all entities, by their text."""
        points, _ = self.real.entity_store.list(top_k=None)
        return {point.payload["data"]: point.payload for point in points}


def facts(*texts: str) -> dict[str, Any]:
    return {"memory": [{"text": text} for text in texts]}


def configuration(path: Path | str, **more: Any) -> dict[str, Any]:
    store = {"path": str(path), **more.pop("store", {})}
    return {
        "vector_store": {"provider": "embedded", "config": store},
        "embedder": {"provider": "mock", "config": {"embedding_dims": 64}},
        "llm": {"provider": "mock"},
        **more,
    }


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


@pytest.fixture(params=[Memory, AsyncMemory], ids=["sync", "async"])
def make(
    request: pytest.FixtureRequest, tmp_path: Path, loop: asyncio.AbstractEventLoop
) -> Iterator[Callable[..., Face]]:
    """Makes a memory of one class; the default file is the same for all of one test."""
    made: list[Face] = []
    clock = Ticks()

    def one(path: Path | str = tmp_path / "memory.db", **more: Any) -> Face:
        made.append(Face(request.param, configuration(path, **more), loop, clock))
        return made[-1]

    yield one
    for face in made:
        face.close()


@pytest.fixture
def memory(make: Callable[..., Face]) -> Face:
    """A memory with a hash embedder and the built-in tier."""
    face = make()
    assert isinstance(face.real.embedding_model, HashEmbedder)
    return face


@pytest.fixture
def planted(make: Callable[..., Face]) -> Face:
    """A memory whose vectors are planted, without entities and without keywords."""
    face = make(
        nlp={"provider": "none"},
        store={"keyword_search": False, "embedding_model_dims": 3},
        embedder={"provider": "mock"} | {"config": {"embedding_dims": 3}},
    )
    face.embedding_model = PlantedEmbedder({"query": 1.0})
    return face
