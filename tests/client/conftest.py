"""A service and its clients, beside a memory that is called directly."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from isomem import AsyncClient, AsyncMemory, Client, Memory, MemoryConfig
from isomem.testing import HashEmbedder, ScriptedLLM
from tests.client.running import running
from tests.facade.conftest import Ticks, configuration, facts

KIND = {"sync": Client, "async": AsyncClient}


@dataclass
class Side:
    """A memory, or a client of one; calls of the asynchronous kinds are awaited here."""

    real: Any
    kept: Any
    loop: asyncio.AbstractEventLoop

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.real, name)
        if inspect.iscoroutinefunction(value):
            return lambda *args, **kwargs: self.loop.run_until_complete(value(*args, **kwargs))
        if name == "iter_all" and not isinstance(self.real, (Client, Memory)):
            return lambda *args, **kwargs: self.loop.run_until_complete(
                _all(value(*args, **kwargs))
            )
        return value

    def say(self, *replies: Any) -> None:
        """What the model of this side answers from now on."""
        self.kept.llm = ScriptedLLM(
            [facts(*reply) if isinstance(reply, tuple) else reply for reply in replies]
        )


async def _all(walk: Any) -> list[Any]:
    return [each async for each in walk]


@dataclass
class Both:
    """The same memory twice: called directly, and by way of a client."""

    direct: Side
    client: Side
    service: Any
    url: str
    opened: list[Any]

    def say(self, *replies: Any) -> None:
        self.direct.say(*replies)
        self.client.say(*replies)

    def key(self, rights: list[str], *grants: dict[str, str]) -> str:
        """A new key of the service."""
        text: str = self.service.keys.create("test", rights, grants or [{}])[0]
        return text

    def connect(self, key: str) -> Side:
        """Another client, with another key."""
        self.opened.append(type(self.client.real)(self.url, key))
        return Side(self.opened[-1], self.client.kept, self.client.loop)


def _config(path: Path) -> dict[str, Any]:
    return configuration(path, raise_on_llm_error=True, custom_instructions="Be brief.")


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


@pytest.fixture(params=["sync", "async"])
def both(
    request: pytest.FixtureRequest, tmp_path: Path, loop: asyncio.AbstractEventLoop
) -> Iterator[Both]:
    pytest.importorskip("fastapi")
    pytest.importorskip("uvicorn")
    from isomem.serve.app import make_app
    from isomem.serve.service import Service

    kept = AsyncMemory(MemoryConfig(**_config(tmp_path / "kept.db")), clock=Ticks())
    direct = Memory(MemoryConfig(**_config(tmp_path / "direct.db")), clock=Ticks())
    assert isinstance(direct.embedding_model, HashEmbedder)
    service = Service({"serve": {"state_path": str(tmp_path / "service.db")}}, memory=kept)
    key = service.keys.create("test", ["read", "write", "admin"], [{}])[0]
    with running(make_app(service)) as url:
        client = KIND[request.param](url, key)
        opened = [client]
        yield Both(Side(direct, direct, loop), Side(client, kept, loop), service, url, opened)
        for each in opened:
            if request.param == "async":
                loop.run_until_complete(each.aclose())
            each.close()
    direct.close()


def outcome(call: Callable[[], Any]) -> Any:
    """What a call returns, or everything that its error says."""
    try:
        result = call()
    except Exception as error:
        names = ("message", "error_code", "details", "suggestion")
        return type(error).__name__, str(error), {n: getattr(error, n, None) for n in names}
    return result if isinstance(result, (dict, list, str, int, type(None))) else list(result)
