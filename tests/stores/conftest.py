"""A memory over each engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from isomem.testing import ScriptedLLM
from tests.stores import server
from tests.stores.adapters import ADAPTERS, RUNS_ALL, Adapter

Open = Callable[..., Any]

if find_spec("qdrant_client"):
    from isomem_parity.upstream import share_inspector

    share_inspector()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes an `adapter` runs on every engine; one that cannot run here is skipped."""
    if "adapter" in metafunc.fixturenames:
        chosen = [each for each in ADAPTERS if each.quick or RUNS_ALL]
        metafunc.parametrize("adapter", [pytest.param(each, id=each.name) for each in chosen])


@pytest.fixture
def open_memory(adapter: Adapter, tmp_path: Path) -> Iterator[Open]:
    """Opens memories over the engine; all of one test see the same data, if the engine can."""
    lacks = adapter.missing()
    if lacks:
        pytest.skip(f"{adapter.name}: {lacks}")
    opened: list[Any] = []

    def one(**more: Any) -> Any:
        opened.append(adapter.open(tmp_path, **more))
        return opened[-1]

    yield one
    for memory in opened:
        memory.close()


@pytest.fixture
def memory(open_memory: Open) -> Any:
    """An empty memory over the engine."""
    return open_memory()


@pytest.fixture
def section() -> dict[str, Any]:
    """The `vector_store` of a memory with a schema of its own."""
    return server.section()


def learn(memory: Any, *texts: str, **ids: Any) -> list[str]:
    """Adds facts by way of the model; their ids."""
    memory.llm = ScriptedLLM([{"memory": [{"text": text} for text in texts]}])
    added = memory.add("; ".join(texts), **(ids or {"user_id": "ana"}))
    return [each["id"] for each in added["results"]]


def say(memory: Any, text: str, **more: Any) -> str:
    """Adds one memory as it is; its id."""
    [added] = memory.add(text, infer=False, **({"user_id": "ana"} | more))["results"]
    return str(added["id"])


def texts(found: Any) -> list[str]:
    """The texts of results, in their order."""
    return [each["memory"] for each in found["results"]]
