"""Whatever a model sends: an answer that keeps to its schema, and nothing outside the scope."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping
from random import Random
from typing import Any

import pytest

pytest.importorskip("jsonschema")

from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from isomem.memory_async import AsyncMemory
from isomem.serve.mcp.session import open_local_session
from isomem.serve.mcp.settings import Settings
from isomem.serve.mcp.toolbox import Toolbox
from isomem.serve.mcp.tools import TOOLS
from isomem.testing import HashEmbedder
from tests.serve.mcp_parts import open_memory, used
from tests.torture.storage import scaled

CALLS = scaled(400, 20_000)
SCOPES: tuple[dict[str, str], ...] = (
    {"user_id": "u1"}, {"user_id": "u10"}, {"agent_id": "u1"}, {"user_id": "u1", "run_id": "r"},
    {"user_id": "*"}, {"user_id": "é"}, {"run_id": "r"},
)  # fmt: skip
IDS = ("user_id", "agent_id", "run_id")
WORDS = ("tea", "chess", "Rome", "the garden", "京都")

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


# --- Arguments of any kind -------------------------------------------------------------------


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_arguments_of_any_kind_are_answered(data: st.DataObject) -> None:
    """The names of arguments are right or not; their values are anything that JSON can say."""
    name = data.draw(st.sampled_from(list(TOOLS)))
    names = st.sampled_from([*TOOLS[name].arguments, *IDS, "limit"]) | st.text(max_size=8)
    arguments = data.draw(st.dictionaries(names, VALUES, max_size=4))

    async def work() -> None:
        memory = open_memory()
        kept = (await memory.add("Bob's secret", user_id="bob", infer=False))["results"][0]["id"]
        box = Toolbox(open_local_session(memory, Settings({"user_id": "ana", "infer": False})))
        outcome = await box.use(name, arguments)
        assert outcome.text.strip()
        assert "secret" not in outcome.text
        if outcome.is_error:
            assert "should not have" not in outcome.text, (name, arguments)
        else:
            Draft202012Validator(TOOLS[name].output).validate(outcome.structured)
            json.dumps(outcome.structured, allow_nan=False)
        assert await memory.get(kept) is not None
        await memory.aclose()

    run(work())


# --- Scopes ----------------------------------------------------------------------------------


class World:
    """Memories of everybody, and one session for each scope."""

    def __init__(self, memory: AsyncMemory, random: Random) -> None:
        self.memory = memory
        self.random = random
        self.count = 0
        self.boxes = [
            (scope, Toolbox(open_local_session(memory, Settings({**scope, "max_tokens": 10**6}))))
            for scope in SCOPES
        ]

    async def stored(self) -> dict[str, dict[str, Any]]:
        ports = self.memory._ports
        points = await ports.store(lambda stores: stores.vectors.list(filters={}, top_k=10**6))
        return {str(point.id): dict(point.payload) for point in points[0]}  # type: ignore[index]

    async def fill(self) -> None:
        for scope in SCOPES:
            for more in ({}, {"agent_id": "a"}, {"run_id": "r"}):
                text = f"{self.random.choice(WORDS)} of {sorted({**more, **scope}.items())}"
                await self.memory.add(text, **{**more, **scope}, infer=False)

    def text(self) -> str:
        self.count += 1
        return f"{self.random.choice(WORDS)} {self.count}"

    def filters(self) -> dict[str, Any]:
        pick = self.random.choice
        odd = pick(("u1", "u10", "*", {"ne": ""}, {"in": ["u1", "u10"]}, ["u1"]))
        return pick(({}, {pick(IDS): odd}, {pick(("OR", "NOT", "AND")): [{pick(IDS): odd}]}))

    def use(self, ids: list[str]) -> tuple[str, dict[str, Any]]:
        """A tool and its arguments, any memory's id among them."""
        pick = self.random.choice
        one = {"memory_id": pick([*ids, "none"])}
        arguments: Mapping[str, Callable[[], dict[str, Any]]] = {
            "add_memory": lambda: {"text": self.text(), "infer": False},
            "search_memories": lambda: {"query": pick(WORDS), "filters": self.filters()},
            "get_memories": lambda: {"filters": self.filters()},
            "get_memory": lambda: one,
            "update_memory": lambda: {**one, "text": self.text()},
            "delete_memory": lambda: one,
            "memory_history": lambda: one,
            "delete_all_memories": dict,
        }
        name = pick([*arguments] if self.random.random() < 0.3 else [*arguments][:-1])
        given = arguments[name]()
        if self.random.random() < 0.1:
            given[pick(IDS)] = pick(("u1", "u10", "*"))
        return name, given


def test_random_calls_of_a_session_stay_in_its_scope() -> None:
    """Whatever is shown was in the scope before or is now, and so is whatever has changed."""

    async def work() -> None:
        memory = open_memory()
        memory.embedding_model = HashEmbedder(16)
        world = World(memory, Random(5))
        await world.fill()
        before, answered = await world.stored(), 0
        owners = dict(before)
        for _ in range(CALLS):
            scope, box = world.random.choice(world.boxes)
            name, arguments = world.use([*owners])
            outcome = await box.use(name, arguments)
            after = await world.stored()

            def is_inside(payload: Mapping[str, Any], own: Mapping[str, str] = scope) -> bool:
                return own.items() <= payload.items()

            changed = [each for each in {*before, *after} if before.get(each) != after.get(each)]
            for each in changed:
                for payload in filter(None, (before.get(each), after.get(each))):
                    assert is_inside(payload), (scope, name, arguments)
            owners |= after
            ids = [each["id"] for each in (outcome.structured or {}).get("memories", [])]
            if not outcome.is_error and "memory_id" in arguments:
                ids.append(arguments["memory_id"])
            for each in ids:
                assert is_inside(owners[each]), (scope, name, arguments)
            assert (
                outcome.is_error
                or name != "delete_all_memories"
                or not any(map(is_inside, after.values()))
            )
            answered += not outcome.is_error
            before = after
            if len(before) < 10:
                await world.fill()
                before = await world.stored()
        assert answered > CALLS / 4
        await memory.aclose()

    run(work())


# --- Pages -----------------------------------------------------------------------------------


@given(
    st.lists(st.integers(1, 120), min_size=1, max_size=25),
    st.integers(1, 30),
    st.integers(100, 900),
    st.sampled_from(["newest", "oldest"]),
)
@settings(max_examples=15, deadline=None)
def test_pages_show_every_memory_once_and_in_order(
    lengths: list[int], page_size: int, most: int, order: str
) -> None:
    """Whatever the length of the memories, the size of a page, and the budget."""

    async def work() -> None:
        memory = open_memory()
        for day, length in enumerate(lengths, 1):
            await memory.add(
                "tea " * length, user_id="ana", infer=False, timestamp=f"2026-05-{day:02}"
            )
        box = Toolbox(open_local_session(memory, Settings({"user_id": "ana", "max_tokens": most})))
        seen: list[str] = []
        arguments: dict[str, Any] = {"order": order}
        while True:
            page = await used(box, "get_memories", page_size=page_size, **arguments)
            assert page["total"] == len(lengths)
            assert 1 <= len(page["memories"]) <= page_size
            seen += [each["date"] for each in page["memories"]]
            if page["next_cursor"] is None:
                break
            arguments = {"cursor": page["next_cursor"]}
        assert seen == sorted(seen, reverse=order == "newest")
        assert len(set(seen)) == len(lengths)
        await memory.aclose()

    run(work())


@given(
    st.lists(st.tuples(st.sampled_from(WORDS), st.integers(1, 200)), min_size=1, max_size=20),
    st.integers(100, 2000),
)
@settings(max_examples=15, deadline=None)
def test_a_search_shows_the_best_that_fit_and_counts_the_rest(
    said: list[tuple[str, int]], most: int
) -> None:
    async def work() -> None:
        memory = open_memory()
        memory.embedding_model = HashEmbedder(16)
        for number, (word, length) in enumerate(said):
            await memory.add(f"{number} {f'{word} ' * length}", user_id="ana", infer=False)
        chosen = Settings({"user_id": "ana", "max_tokens": most})
        limited = Toolbox(open_local_session(memory, chosen))
        whole = Toolbox(
            open_local_session(memory, Settings({"user_id": "ana", "max_tokens": 10**6}))
        )
        query = {"query": said[0][0], "top_k": 20}
        part = await used(limited, "search_memories", **query)
        full = await used(whole, "search_memories", **query)
        assert full["left_out"] == 0
        assert len(part["memories"]) + part["left_out"] == len(full["memories"])
        kept = [each["id"] for each in part["memories"]]
        assert kept == [each["id"] for each in full["memories"] if each["id"] in kept]
        await memory.aclose()

    run(work())
