"""Whichever call into a foreign store fails: the memories are those of before, or all is done.

Each call of a memory is made again and again, and each time the next call into a store fails, until
none fires.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest

from tests.facade.conftest import Face
from tests.facade.test_replaced_parts import Store

Make = Callable[..., Face]
Act = Callable[[Face, str], Any]
U = {"user_id": "u"}


class RefusedError(Exception):
    """What a store raises."""


class Fuse:
    """Blows at the n-th call, counted over several stores, and at later ones of that name.

    Args:
        times: how often.
    """

    def __init__(self, times: int) -> None:
        self.left = 0
        self.times = times
        self.blown = ""

    def burn(self, name: str) -> bool:
        self.left -= 1
        if self.left == 0:
            self.blown = name
        blows = name == self.blown and self.times > 0
        self.times -= blows
        return blows


class Failing(Store):
    """A store whose calls fail when a fuse blows; an insert keeps the first point that it got."""

    def __init__(self, fuse: Fuse, *, keeps: bool) -> None:
        super().__init__()
        self._fuse = fuse
        self._keeps = keeps

    def _enter(self, name: str) -> None:
        if name != "insert" and self._fuse.burn(name):
            raise RefusedError(name)

    def insert(self, vectors: Any, payloads: Any = None, ids: Any = None) -> None:
        if self._fuse.burn("insert"):
            if self._keeps:
                super().insert(vectors[:1], payloads[:1], ids[:1])
            raise RefusedError("insert")
        super().insert(vectors, payloads, ids)


ACTS: dict[str, Act] = {
    "facts": lambda memory, _: _learn(memory, "We gave Bruno Costa a cow", "We saw Carla Dias"),
    "messages": lambda memory, _: memory.add(_MESSAGES, **U, infer=False),
    "update": lambda memory, one: memory.update(one, "We gave Dora Egli a dog"),
    "delete": lambda memory, one: memory.delete(one),
    "everything": lambda memory, _: memory.delete_all(**U),
}
_MESSAGES = [{"role": "user", "content": text} for text in ("one", "two")]


def _learn(memory: Face, *texts: str) -> Any:
    memory.say(texts)
    return memory.add("hello", **U)


def memories(memory: Face) -> dict[str, str]:
    return {name: payload["data"] for name, (_, payload) in memory.vector_store.points.items()}


def told(memory: Face) -> dict[str, str]:
    """What is stored by what the history tells."""
    with memory.db.database.reading() as database:
        rows = database.rows("SELECT memory_id, new_memory FROM history ORDER BY rowid")
    return {name: text for name, text in dict(rows).items() if text is not None}


def blown(
    make: Make, act: Act, *, keeps: bool, times: int
) -> Iterator[tuple[Face, Any, dict[str, str], str]]:
    """The memory, the result or the error, what was stored before, and which call failed."""
    for number in count(1):
        fuse = Fuse(times)
        memory = make(":memory:")
        memory.vector_store, memory.entity_store = (Failing(fuse, keeps=keeps) for _ in "me")
        one, _ = memory.learn("We gave Ana Silva a cat", "We gave Fritz Gut a fish")
        before = memories(memory)
        fuse.left = number
        try:
            outcome = act(memory, one)
        except (RefusedError, ValueError) as error:  # One that fails a look-up is a ValueError.
            outcome = error
        if not fuse.blown:
            assert not isinstance(outcome, Exception)
            return
        yield memory, outcome, before, fuse.blown


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("keeps", [False, True], ids=["all or nothing", "some of it"])
@pytest.mark.parametrize("name", ACTS)
def test_history_and_memories_agree_whichever_call_fails(
    make: Make, name: str, keeps: bool, times: int
) -> None:
    failed = []
    for memory, outcome, before, at in blown(make, ACTS[name], keeps=keeps, times=times):
        failed.append(at)
        now = memories(memory)
        assert told(memory) == now, at
        if isinstance(outcome, Exception) and name != "everything":
            assert now == before, at
        if isinstance(outcome, dict) and "results" in outcome:
            added = {each["id"]: each["memory"] for each in outcome["results"]}
            assert now == {**before, **added}, at
    assert failed
