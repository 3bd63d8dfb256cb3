"""A memory for calls that are made without one, and what they do."""

from __future__ import annotations

import asyncio
import gc
import threading
import warnings
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from isomem.contract.profile import DEFAULT
from isomem.ports.asynchronous import AsyncPorts
from isomem.ports.pools import Pools
from isomem.testing import HashEmbedder
from isomem.text.tiers import BuiltinTier


class Stores:
    """A store set whose plans are what becomes of them."""

    def __init__(self, *, serial: bool = True) -> None:
        self.serial = serial
        self.plans: list[Any] = []

    def shares(self, _: Any) -> bool:
        return False

    def apply(self, plan: Any) -> Any:
        self.plans.append(plan)
        return plan


def memory(**given: Any) -> Any:
    parts = {"embedding_model": HashEmbedder(8), "llm": None, "reranker": None}
    return SimpleNamespace(
        **{"stores": Stores(), "nlp": BuiltinTier(), "profile": DEFAULT, **parts, **given}
    )


def here(*_: Any, **__: Any) -> str:
    return threading.current_thread().name.rpartition("_")[0]


@pytest.fixture
def ports() -> Iterator[AsyncPorts]:
    """Over a serial store set."""
    pools = Pools()
    yield AsyncPorts(memory(), pools)
    pools.close()


@pytest.fixture(autouse=True)
def _nothing_is_left_unawaited(few_objects: None) -> Iterator[None]:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        yield
        gc.collect()
    assert [str(each.message) for each in seen if "never awaited" in str(each.message)] == []


class Gate:
    """A step that says when it has begun, and ends when it may."""

    def __init__(self) -> None:
        self.begun, self.may_end = threading.Event(), threading.Event()

    def __call__(self, *_: Any) -> str:
        self.begun.set()
        self.may_end.wait(30)
        return ""


async def settled(ports: AsyncPorts) -> None:
    """Waits until the thread of the stores has done all that is waiting now."""
    await ports.run(ports.store(here))


async def ends_cancelled(task: asyncio.Task[Any]) -> bool:
    task.cancel()
    await asyncio.wait([task])
    return task.cancelled()
