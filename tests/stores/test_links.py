"""Entities go with their memories, however many of them a scope has."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from isomem.ports.guard import PartFailure
from isomem.stores import linking
from isomem.stores.linking import Links
from isomem.testing import HashEmbedder
from tests.stores.adapters import DIMS, Adapter
from tests.stores.conftest import say

ANA = {"user_id": "ana"}
BOB = {"user_id": "bob"}
LISTED = 3
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def _few_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a store had more entities than mem0 asks for."""
    monkeypatch.setattr(linking, "LISTED_ENTITIES", LISTED)


def put_entities(memory: Any, first: int, *links: Sequence[object], **ids: str) -> None:
    """Stores an entity for each of some lists of links, numbered from `first` on."""
    numbers = range(first, first + len(links))
    memory.entity_store.insert(
        vectors=[HashEmbedder(dims=DIMS).embed(f"entity {number}") for number in numbers],
        ids=[f"7d8c1a44-0000-4000-8000-{number:012}" for number in numbers],
        payloads=[
            {
                "data": f"entity {number}",
                "entity_type": "PROPER",
                "linked_memory_ids": [*linked],
                **(ids or ANA),
            }
            for number, linked in zip(numbers, links, strict=True)
        ],
    )


def entities(memory: Any, filters: dict[str, str]) -> dict[str, object]:
    """The links of every entity of a scope, by its text."""
    found = memory.entity_store.list(filters=filters, top_k=1000)[0]
    return {each.payload["data"]: each.payload["linked_memory_ids"] for each in found}


def test_a_memory_is_removed_from_all_its_entities(memory: Any, adapter: Adapter) -> None:
    if adapter.equip is not None:
        pytest.skip("a foreign store shows only the first ones")
    one, other = say(memory, "it rains"), say(memory, "it snows")
    put_entities(memory, 0, *[[other]] * 5, *[[one]] * 5, *[[other, one]] * 5)
    memory.delete(one)
    kept = [*range(5), *range(10, 15)]
    assert entities(memory, ANA) == {f"entity {number}": [other] for number in kept}


def test_a_memory_whose_text_changes_is_removed_from_all_its_entities(
    memory: Any, adapter: Adapter
) -> None:
    if adapter.equip is not None:
        pytest.skip("a foreign store shows only the first ones")
    one, other = say(memory, "it rains"), say(memory, "it snows")
    put_entities(memory, 0, *[[other]] * 5, *[[one, other]] * 5)
    memory.update(one, "it hails")
    assert entities(memory, ANA) == {f"entity {number}": [other] for number in range(10)}


def test_no_entity_of_a_removed_scope_is_left(memory: Any) -> None:
    for number in range(4):
        put_entities(memory, 5 * number, *[[say(memory, f"day {number}")]] * 5)
    kept = say(memory, "Bob's day", **BOB)
    put_entities(memory, 20, [kept], **BOB)
    memory.delete_all(**ANA)
    assert entities(memory, ANA) == {}
    assert entities(memory, BOB) == {"entity 20": [kept]}


def test_entities_of_memories_that_are_gone_go_with_their_scope(
    memory: Any, adapter: Adapter
) -> None:
    """A process that died may have left them."""
    if adapter.can.atomic:
        pytest.skip("a call is stored as a whole")
    put_entities(memory, 0, *[["7d8c1a44-0000-4000-8000-00000000ffff"]] * 8)
    memory.delete_all(**ANA)
    assert entities(memory, ANA) == {}


def test_links_that_are_not_texts_are_in_nobodys_way(memory: Any, adapter: Adapter) -> None:
    """Another program has written them, where one can."""
    if adapter.can.atomic:
        pytest.skip("they are refused")
    one, other = say(memory, "it rains"), say(memory, "it snows")
    put_entities(memory, 0, [{"a": 1}, 5, None, one], [one, ["x"]], [5])
    memory.update(other, "it hails")
    memory.delete(one)
    assert "entity 1" not in entities(memory, ANA)
    memory.delete_all(**ANA)
    assert memory.get_all(filters=ANA)["results"] == []


class Stubborn:
    """An entity store that says it has removed something, and has not."""

    def __init__(self, count: int) -> None:
        payload = {"linked_memory_ids": ["m1"]}
        self.entities = [SimpleNamespace(id=number, payload=payload) for number in range(count)]
        self.listed = 0

    def list(self, filters: Any, top_k: int) -> Any:
        self.listed += 1
        return self.entities[:top_k], None

    def delete(self, vector_id: int) -> None:
        """Nothing."""


@pytest.mark.parametrize(("count", "asked"), [(LISTED - 1, 1), (LISTED, 2), (LISTED + 5, 2)])
def test_a_store_that_keeps_everything_is_not_asked_for_ever(count: int, asked: int) -> None:
    store: Any = Stubborn(count)
    links = Links(SimpleNamespace(get=lambda vector_id: None), store, (PartFailure,), nullcontext)  # type: ignore[arg-type]
    links.unlink("m1", {**ANA}, {})
    assert store.listed == asked
    links.prune(ANA)
    assert store.listed == 2 * asked
