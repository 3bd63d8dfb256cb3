"""Entities and the memories they stand in, over a store that notes what is asked of it."""

from __future__ import annotations

import copy
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.claims.sides import both, examples

LINKS = "linked_memory_ids"
SCOPE = {"user_id": "ines", "run_id": "7"}


class Entities:
    """An entity store as any vector store is: it finds and lists what it was made with."""

    def __init__(self, *entities: Any, fails_on: str = "") -> None:
        self.entities = list(entities)
        self.fails_on = fails_on
        self.asked: list[Any] = []
        self.inserted: list[Any] = []
        kept = {one.id: one.payload.get(LINKS) for one in entities if one.payload}
        self.links = copy.deepcopy(kept)

    def search(self, **query: Any) -> list[Any]:
        self.asked.append(query["filters"])
        return self.entities[: query["top_k"]]

    def list(self, filters: Any, top_k: int) -> Any:
        self.asked.append(filters)
        return (self.entities, None)

    def insert(self, vectors: Any, ids: Any, payloads: Any) -> None:
        self.inserted += payloads

    def update(self, vector_id: str, vector: Any, payload: Any) -> None:
        self._touch(vector_id)
        self.links[vector_id] = payload[LINKS]

    def delete(self, vector_id: str) -> None:
        self._touch(vector_id)
        del self.links[vector_id]

    def _touch(self, vector_id: str) -> None:
        if vector_id == self.fails_on:
            raise ConnectionError("down")


def entity(name: str, *linked: Any, score: float = 1.0) -> Any:
    payload = {"data": name, LINKS: list(linked)}
    return SimpleNamespace(id=name, score=score, payload=copy.deepcopy(payload))


class Ours:
    """isomem's steps."""

    def link(self, store: Entities, memory_id: str) -> None:
        from isomem.clock import Clock
        from isomem.contract.plan import Mention

        mention = Mention("PROPER", "Lisbon", {memory_id}, [1.0])
        self._links(store).relink(memory_id, [mention], SCOPE, Clock())

    def unlink(self, store: Entities, memory_id: str) -> None:
        self._links(store).unlink(memory_id, SCOPE, {})

    def _links(self, store: Entities) -> Any:
        from isomem.ports.guard import Guarded, PartFailure
        from isomem.stores.linking import Links

        entities: Any = Guarded(store)
        return Links(entities, entities, (PartFailure,), nullcontext)


class Theirs:
    """mem0's methods."""

    def link(self, store: Entities, memory_id: str) -> None:
        self._memory(store)._upsert_entity("Lisbon", "PROPER", memory_id, {**SCOPE, "mood": 1})

    def unlink(self, store: Entities, memory_id: str) -> None:
        self._memory(store)._remove_memory_from_entity_store(memory_id, {**SCOPE, "mood": 1})

    def _memory(self, store: Entities) -> Any:
        from mem0 import Memory

        memory = object.__new__(Memory)
        memory.embedding_model = SimpleNamespace(embed=lambda text, action: [1.0])
        memory._entity_store = store
        return memory


side = both(Ours, Theirs)


def test_a_new_entity_has_its_text_kind_memory_and_scope(side: Any) -> None:
    store = Entities()
    side.link(store, "m1")
    assert store.inserted == [
        {"data": "Lisbon", "entity_type": "PROPER", LINKS: ["m1"], **SCOPE},
    ]
    assert list(store.inserted[0]) == ["data", "entity_type", LINKS, *SCOPE]
    assert store.asked == [SCOPE]


@pytest.mark.parametrize(("score", "known"), [(0.9499, False), (0.95, True), (1.0, True)])
def test_an_entity_is_known_from_a_similarity_of_95_hundredths_on(
    side: Any, score: float, known: bool
) -> None:
    store = Entities(entity("lisbon", "m1", score=score))
    side.link(store, "m2")
    assert store.links["lisbon"] == (["m1", "m2"] if known else ["m1"])
    assert bool(store.inserted) != known


def test_a_memory_is_linked_once(side: Any) -> None:
    store = Entities(entity("lisbon", "m1", "m2"), fails_on="lisbon")
    side.link(store, "m1")
    assert store.links == {"lisbon": ["m1", "m2"]}
    assert store.inserted == []


def test_an_entity_goes_with_its_last_memory_and_others_are_let_be(side: Any) -> None:
    store = Entities(entity("alone", "m1"), entity("shared", "m2", "m1", "m3"),
                     entity("other", "m2"), entity("m1"))  # fmt: skip
    side.unlink(store, "m1")
    assert store.links == {"shared": ["m2", "m3"], "other": ["m2"], "m1": []}
    assert store.asked == [SCOPE]


@pytest.mark.parametrize("payload", [None, {}, {LINKS: None}])
def test_an_entity_without_links_is_let_be(side: Any, payload: Any) -> None:
    odd = SimpleNamespace(id="odd", score=1.0, payload=payload)
    store = Entities(odd, entity("alone", "m1"), fails_on="odd")
    side.unlink(store, "m1")
    assert "alone" not in store.links


@pytest.mark.parametrize("action", ["link", "unlink"])
def test_a_store_that_fails_fails_no_call(side: Any, action: str) -> None:
    store = Entities(entity("lisbon", "m1", "m2"), fails_on="lisbon")
    getattr(side, action)(store, {"link": "m3", "unlink": "m1"}[action])
    assert store.links == {"lisbon": ["m1", "m2"]}


def test_an_entity_that_cannot_be_changed_costs_itself_alone(side: Any) -> None:
    store = Entities(entity("e1", "m1"), entity("e2", "m1"), entity("e3", "m1", "m2"),
                     fails_on="e1")  # fmt: skip
    side.unlink(store, "m1")
    assert store.links == {"e1": ["m1"], "e3": ["m2"]}


_memories = st.lists(st.sampled_from(("m1", "m2", "m3")), max_size=3, unique=True)


@examples(100)
@given(st.lists(_memories, max_size=5), st.sampled_from(("m1", "m2", "m9")))
def test_after_a_removal_no_entity_names_the_memory_and_the_rest_is_as_it_was(
    side: Any, links: list[list[str]], gone: str
) -> None:
    store = Entities(*(entity(f"e{number}", *linked) for number, linked in enumerate(links)))
    side.unlink(store, gone)
    expected = {
        f"e{number}": [each for each in linked if each != gone]
        for number, linked in enumerate(links)
        if linked != [gone]
    }
    assert store.links == expected
