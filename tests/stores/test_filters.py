"""Filters mean the same on every engine: what `contract.filters.matches` says."""

from __future__ import annotations

import enum
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isomem import MemoryError
from isomem.contract.filters import compile_filters, matches
from tests.stores.adapters import DIMS, RUNS_ALL
from tests.stores.conftest import say, texts
from tests.unit.store import grammar
from tests.unit.store.fuzz import examples

pytestmark = pytest.mark.filterwarnings("ignore")

EXAMPLES = examples(300 if RUNS_ALL else 20)
SCOPE = {"user_id": "ana"}
OTHER = {"user_id": "bob"}

# One point of each kind that an operator looks at, under a key that the filters below name.
VALUES: list[Any] = [
    None, True, False, 0, 1, 1.0, 2, 2.5, -3, 2**53 + 1, "", "a", "Red apple", "red-apple", "1",
    "*", "2024-01-15", "2024-01-15T10:30:00+02:00", "2024-1-5", "no date", [], ["a", "b"], [1, "x"],
    [None], {"in": "side"}, [[1]], "İstanbul", "straße",
]  # fmt: skip
OPERATORS: list[Any] = [
    "a", 1, True, False, "*", "1", ["a", "b"], [1, 2], [],
    {"eq": "a"}, {"eq": 1}, {"eq": True}, {"ne": "a"}, {"ne": 1},
    {"in": ["a", ""]}, {"in": [0, 1]}, {"in": []}, {"nin": ["a", "b"]}, {"nin": [1]}, {"nin": []},
    {"gt": 0}, {"gte": 1, "lt": 2.5}, {"lte": -3}, {"gt": 2**53},
    {"gt": "2024-01-15"}, {"lte": "2024-01-15T08:30:00Z"}, {"lt": "2024-01-10"},
    {"contains": "red"}, {"contains": "apple red"}, {"icontains": "RED"}, {"contains": ""},
    {"contains": "re"}, {"contains": "istanbul"}, {"contains": "İstanbul"},
]  # fmt: skip


def point_id(number: int) -> str:
    return f"7d8c1a44-0000-4000-8000-{number:012}"


def fill(store: Any, payloads: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """An empty store with the points that it takes, and as many of another scope."""
    store.reset()
    stored = {}
    for number, payload in enumerate(payloads):
        vector = [math.cos(number), math.sin(number), *[0.0] * (DIMS - 2)]
        text = f"word{number} common"
        whole = {"data": text, "text_lemmatized": text, **payload, **SCOPE}
        try:
            store.insert(vectors=[vector], payloads=[whole], ids=[point_id(number)])
        except (MemoryError, ValueError, TypeError):
            continue  # Not every engine can store every payload.
        foreign = {**whole, **OTHER}
        store.insert(vectors=[vector], payloads=[foreign], ids=[point_id(10_000 + number)])
        stored[point_id(number)] = whole
    return stored


def check(store: Any, stored: dict[str, dict[str, Any]], filters: dict[str, Any]) -> None:
    """Every way of finding gives exactly the points that pass, and of the right scope."""
    asked = {**filters, **SCOPE}
    group = compile_filters(asked)
    assert group is not None
    passing = sorted(name for name, payload in stored.items() if matches(group, payload))
    listed, _ = store.list(filters=asked, top_k=1000)
    # Some engines list the newest first.
    assert [str(point.id) for point in listed] in (passing, passing[::-1])
    query = [1.0, *[0.0] * (DIMS - 1)]
    found = store.search(query="", vectors=query, top_k=1000, filters=asked)
    assert sorted(str(point.id) for point in found) == passing
    first = store.search(query="", vectors=query, top_k=2, filters=asked)
    assert len(first) == min(2, len(passing))
    assert {str(point.id) for point in first} <= set(passing)
    [batch] = store.search_batch(queries=[""], vectors_list=[query], top_k=2, filters=asked)
    assert [str(point.id) for point in batch] == [str(point.id) for point in first]
    by_word = store.keyword_search(query="common", top_k=1000, filters=asked)
    if by_word is not None:
        assert sorted(str(point.id) for point in by_word) == passing


def test_every_operator_meets_every_kind_of_value(memory: Any) -> None:
    store = memory.vector_store
    stored = fill(store, [{"k": value} for value in VALUES] + [{}])
    assert len(stored) >= len(VALUES) - 2
    for operator in OPERATORS:
        check(store, stored, {"k": operator})
        check(store, stored, {"NOT": [{"k": operator}]})
        if RUNS_ALL:
            check(store, stored, {"OR": [{"k": operator}, {"k": "a"}]})


def test_random_filters_on_random_payloads_find_what_matches(memory: Any) -> None:
    store = memory.vector_store

    @settings(parent=EXAMPLES, suppress_health_check=[*HealthCheck])
    @given(
        st.lists(grammar.payloads, min_size=1, max_size=6),
        st.lists(grammar.right_filters, min_size=1, max_size=4),
    )
    def holds(payloads: list[dict[str, Any]], filters: list[dict[str, Any]]) -> None:
        stored = fill(store, payloads)
        for each in filters:
            check(store, stored, each)

    holds()


@pytest.mark.parametrize(
    "wrong",
    [
        {"k": {"gt": "x"}},
        {"k": {"gt": 1, "eq": 1}},
        {"k": {"in": ["a", 1]}},
        {"k": {"near": 1}},
        {"k": 1.5},
        {"OR": [3]},
        {"a..b": 1},
    ],
    ids=str,
)
def test_a_filter_that_means_nothing_is_refused(memory: Any, wrong: dict[str, Any]) -> None:
    memory.add("Ana likes tea", user_id="ana", infer=False)
    store = memory.vector_store
    with pytest.raises(ValueError):  # noqa: PT011 - each engine has its words for it
        store.list(filters={**wrong, **SCOPE})
    with pytest.raises(ValueError):  # noqa: PT011
        store.search(query="", vectors=[1.0] * DIMS, filters={**wrong, **SCOPE})


class Field(str, enum.Enum):
    USER = "user_id"
    COLOUR = "colour"


class Named(str, enum.Enum):
    ANA = "ana"
    RED = "red"
    DAY = "2024-01-15"


class Level(enum.IntEnum):
    ONE = 1


ARE_RED: list[dict[Any, Any]] = [
    {"user_id": Named.ANA, "colour": "red"},
    {Field.USER: Named.ANA, Field.COLOUR: "red"},
    {**SCOPE, Field.COLOUR: Named.RED},
    {**SCOPE, "colour": [Named.RED, "green"]},
    {**SCOPE, "colour": {"in": [Named.RED, "green"]}},
    {**SCOPE, "colour": {"contains": Named.RED}},
    {**SCOPE, "day": {"gte": Named.DAY}},
    {**SCOPE, "level": Level.ONE},
    {**SCOPE, "level": {"in": [Level.ONE, 5]}},
    {**SCOPE, "level": {"lte": Level.ONE}},
    {**SCOPE, "OR": [{Field.COLOUR: Named.RED}, {"level": 5}]},
]
ARE_BLUE: list[dict[Any, Any]] = [
    {**SCOPE, "NOT": [{Field.COLOUR: Named.RED}]},
    {**SCOPE, "colour": {"ne": Named.RED}},
    {**SCOPE, Field.COLOUR: {"nin": [Named.RED]}},
    {**SCOPE, "NOT": [{"level": Level.ONE}]},
]


def test_a_member_of_an_enum_is_its_value(memory: Any) -> None:
    say(memory, "red", metadata={"colour": Named.RED, "day": Named.DAY, "level": Level.ONE})
    say(memory, "blue", metadata={"colour": "blue", "day": "2024-01-14", "level": 2})
    for expected, several in (("red", ARE_RED), ("blue", ARE_BLUE)):
        for filters in several:
            assert texts(memory.search("car", filters=filters, threshold=0.0)) == [expected]
            assert texts(memory.get_all(filters=filters)) == [expected]
