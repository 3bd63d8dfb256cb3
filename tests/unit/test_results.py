"""The types of results say what is in them, for every call, and their examples run."""

from __future__ import annotations

import asyncio
import inspect
import typing
from collections.abc import Iterator
from typing import Any

import pytest

from isomem import AsyncMemory, Memory, results
from isomem.testing import ScriptedLLM
from tests.facade.conftest import Ticks, configuration
from tests.typed import usage

FILTERS = {"user_id": "ana"}


@pytest.fixture
def memory() -> Iterator[Memory]:
    with Memory.from_config(configuration(":memory:"), clock=Ticks()) as made:
        yield made


def check(value: Any, kind: Any) -> None:
    """Fails unless a value has the keys and the types that a type names."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if typing.is_typeddict(kind):
        hints = typing.get_type_hints(kind)
        assert kind.__required_keys__ <= set(value) <= set(hints), (kind, value)
        for key, each in value.items():
            check(each, hints[key])
    elif origin is list:
        for each in value:
            check(each, inner[0])
    elif origin is dict:
        assert isinstance(value, dict)
    elif inner:
        assert any(fits(value, one) for one in inner), (kind, value)
    elif kind is not Any:
        assert isinstance(value, kind), (kind, value)


def fits(value: Any, kind: Any) -> bool:
    try:
        check(value, kind)
    except AssertionError:
        return False
    return True


def test_every_call_returns_what_its_type_says(memory: Memory) -> None:
    said = [{"role": "user", "content": "I like tea", "name": "ana"}]
    check(memory.add(said, user_id="ana", infer=False), results.AddResults)
    memory.llm = ScriptedLLM([{"memory": [{"text": "Ana likes green tea"}]}])
    added = memory.add("I like green tea", user_id="ana", agent_id="a", metadata={"n": 1})
    check(added, results.AddResults)
    memory_id = added["results"][0]["id"]
    for options in ({}, {"explain": True}, {"explain": True, "ranking": "fused"}):
        check(memory.search("tea", filters=FILTERS, **options), results.SearchResults)
    check(memory.get(memory_id), results.GotMemory)
    check(memory.get_all(filters=FILTERS), results.MemoryList)
    check(memory.get_all(filters=FILTERS, order="newest"), results.MemoryList)
    check(memory.get_all(filters=FILTERS, page_size=1), results.MemoryPage)
    check(list(memory.iter_all(FILTERS)), list[results.MemoryItem])
    check(memory.scopes(), list[results.Scope])
    check(memory.update(memory_id, "Ana likes black tea"), results.Done)
    check(memory.delete(memory_id), results.Done)
    check(memory.history(memory_id), list[results.HistoryRow])
    check(memory.delete_all("ana"), results.Done)
    check(memory.purge("ana"), results.Done)


def test_a_wrong_result_is_noticed() -> None:
    for value in ({"message": 5}, {}, {"message": "x", "more": 1}):
        with pytest.raises(AssertionError):
            check(value, results.Done)


def test_every_type_has_a_name_to_import_and_no_other_has() -> None:
    made = {
        name for name, value in vars(results).items()
        if typing.is_typeddict(value) and not name.startswith("_")
    }  # fmt: skip
    assert made == set(results.__all__)


def arguments(signature: inspect.Signature) -> list[tuple[Any, ...]]:
    return [
        (each.name, each.kind, each.default, each.annotation)
        for each in signature.parameters.values()
        if each.name not in {"self", "llm"}
    ]


@pytest.mark.parametrize("kind", [Memory, AsyncMemory])
def test_both_classes_are_typed_alike(kind: type) -> None:
    """Every method of the one is in the other, with the same arguments and results."""
    other = AsyncMemory if kind is Memory else Memory
    for name, method in vars(kind).items():
        if name.startswith("_") or name in {"aclose", "close"}:
            continue
        ours, theirs = inspect.signature(method), inspect.signature(getattr(other, name))
        assert arguments(ours) == arguments(theirs), name
        returned = [str(one.return_annotation).removeprefix("Async") for one in (ours, theirs)]
        assert returned[0] == returned[1], name


def test_the_examples_run(memory: Memory) -> None:
    usage.results_are_typed(memory)
    with pytest.raises(KeyError):
        usage.keys_that_do_not_exist_are_errors(memory)
    with pytest.raises(TypeError):
        usage.arguments_that_do_nothing_are_errors(memory)
    usage.a_page_and_a_list_are_told_apart(memory)
    usage.everything_and_everybody(memory)


def test_the_asynchronous_examples_run() -> None:
    async def use() -> None:
        async with AsyncMemory.from_config(configuration(":memory:"), clock=Ticks()) as memory:
            await usage.the_same_for_coroutines(memory)

    asyncio.run(use())
