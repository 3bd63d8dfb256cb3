"""Single steps of the pipeline, over ports that are a few lines each."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomem.clock import Clock
from isomem.contract.payload import added_event, describe, in_utc, listed, said_event, start_payload
from isomem.contract.plan import Mention
from isomem.contract.profile import DEFAULT
from isomem.pipeline.mentions import embed_query, mentions_in
from isomem.pipeline.search import check_threshold, check_top_k
from isomem.ports.blocking import drive
from isomem.ports.guard import PartFailure
from isomem.stores.linking import Links
from isomem.types import clone
from tests.unit.store.fuzz import examples


class Ports:
    """Embeds a text as its length; fails for "bad"."""

    profile = DEFAULT
    embeds_alike_in_batch = False

    def __init__(self) -> None:
        self.embedded: list[tuple[str, str]] = []

    async def embed(self, text: str, action: str) -> list[float]:
        if text == "bad":
            raise PartFailure(ConnectionError("down"))
        self.embedded.append((text, action))
        return [float(len(text))]


class EntityStore:
    """Finds what it is told to, and notes what is asked of it."""

    def __init__(self, *hits: Any, entities: Any = ()) -> None:
        self.hits = list(hits)
        self.entities = entities
        self.calls: list[Any] = []

    def search(self, **asked: Any) -> Any:
        self.calls.append(("search", asked["query"], asked["top_k"]))
        return self.hits

    def insert(self, **given_points: Any) -> None:
        self.calls.append(("insert", given_points["payloads"]))

    def update(self, vector_id: str, vector: Any, payload: Any) -> None:
        self.calls.append(("update", vector_id, payload["linked_memory_ids"]))

    def delete(self, vector_id: str) -> None:
        self.calls.append(("delete", vector_id))

    def list(self, filters: Any, top_k: int) -> Any:
        self.calls.append(("list", filters, top_k))
        return [self.entities]


def hit(name: str, score: float, *linked: str) -> Any:
    return SimpleNamespace(id=name, score=score, payload={"linked_memory_ids": list(linked)})


def links(entities: Any) -> Links:
    return Links(None, entities, (PartFailure,), nullcontext)  # type: ignore[arg-type]


# --- Entities --------------------------------------------------------------------------------


def test_entities_that_differ_in_case_and_space_are_one() -> None:
    found = [
        ("m1", [("PROPER", "Ana"), ("QUOTED", " ana ")]),
        ("m2", [("QUOTED", "ANA"), ("PROPER", "Bo")]),
    ]
    mentions = mentions_in(found, DEFAULT.entity_key)
    assert [(each.kind, each.text, each.memory_ids) for each in mentions] == [
        ("PROPER", "Ana", {"m1", "m2"}), ("PROPER", "Bo", {"m2"}),
    ]  # fmt: skip


def test_at_most_eight_entities_of_a_query_are_looked_at() -> None:
    ports: Any = Ports()
    entities = [("PROPER", name) for name in ("a", "A", " ", *"bcdefghij")]
    vector, probes = drive(embed_query(ports, "query", entities, {}))
    assert vector == [5.0]
    assert [probe.text for probe in probes] == ["a", "b", "c", "d", "e", "f"]
    assert {action for _, action in ports.embedded} == {"search"}


def test_the_first_entity_that_cannot_be_embedded_ends_the_list() -> None:
    ports: Any = Ports()
    entities = [("PROPER", name) for name in ("a", "bad", "c")]
    _, probes = drive(embed_query(ports, "query", entities, {}))
    assert [probe.text for probe in probes] == ["a"]


def test_the_highest_boost_of_a_memory_counts() -> None:
    found = EntityStore(hit("e1", 0.9, "m1", "m2"), hit("e2", 1.0, "m1", ""), hit("e3", 0.49, "m3"))
    raised = links(found).boosts([Mention("PROPER", "Ana", set())], {})
    assert raised == {"m1": 0.5 / 1.001, "m2": pytest.approx(0.45 / 1.001)}
    assert found.calls == [("search", "Ana", 500)]


def test_a_memory_that_is_linked_already_is_not_linked_twice() -> None:
    entities = EntityStore(hit("e", 0.95, "m1", "m2"))
    links(entities).relink("m2", [Mention("PROPER", "Ana", {"m2"})], {}, Clock())
    assert [call[0] for call in entities.calls] == ["search"]
    entities.calls.clear()
    links(entities).relink("m3", [Mention("PROPER", "Ana", {"m3"})], {}, Clock())
    assert entities.calls[-1] == ("update", "e", ["m1", "m2", "m3"])
    entities.hits = [hit("e", 0.9499, "m1")]
    mentions = [Mention("PROPER", "Ana", {"m3"})]
    links(entities).relink("m3", mentions, {"user_id": "u"}, Clock())
    assert entities.calls[-1] == (
        "insert",
        [{"data": "Ana", "entity_type": "PROPER", "linked_memory_ids": ["m3"], "user_id": "u"}],
    )


def test_a_foreign_entity_store_is_cleaned_entity_by_entity() -> None:
    listed_entities = [
        hit("e1", 0, "m1"), hit("e2", 0, "m1", "m2"), hit("e3", 0, "m2"), hit("e4", 0),
        SimpleNamespace(id="e5", payload=None),
    ]  # fmt: skip
    entities = EntityStore(entities=listed_entities)
    links(entities).unlink("m1", {"user_id": "u"}, {})
    assert entities.calls == [
        ("list", {"user_id": "u"}, 10_000), ("delete", "e1"), ("update", "e2", ["m2"]),
    ]  # fmt: skip


def test_nothing_to_link_asks_nothing() -> None:
    links(None).link([], {}, Clock())


# --- Records ---------------------------------------------------------------------------------


def test_a_payload_shares_nothing_with_the_fields_it_started_from() -> None:
    fields = {"tag": [{"a": 1}]}
    payload = start_payload(fields, Clock(), data="x")
    payload["tag"][0]["a"] = 2
    assert fields == {"tag": [{"a": 1}]}
    assert payload["created_at"] == payload["updated_at"]


@pytest.mark.parametrize(
    ("moment", "shown"),
    [
        ("2024-01-01T02:00:00+02:00", "2024-01-01T00:00:00+00:00"),
        ("2024-01-01T00:00:00+00:00", "2024-01-01T00:00:00+00:00"),
        ("2024-01-01T00:00:00", "2024-01-01T00:00:00"),
        ("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00+14:00"),
        ("9999-12-31T23:00:00-14:00", "9999-12-31T23:00:00-14:00"),
        ("yesterday", "yesterday"),
        (None, None),
        (5, 5),
    ],
)
def test_the_history_of_a_delete_has_its_time_in_utc(moment: Any, shown: Any) -> None:
    assert in_utc(moment) == shown


# --- Results ---------------------------------------------------------------------------------


def test_what_isomem_does_not_know_is_metadata() -> None:
    payload = {
        "data": "x", "hash": "h", "created_at": 1, "updated_at": 2, "text_lemmatized": "x",
        "attributed_to": "user", "user_id": "u", "role": None, "id": "inner", "k": [1],
    }  # fmt: skip
    assert describe("m", payload, DEFAULT.RESULT_FIELDS, score=0.5) == {
        "id": "m", "memory": "x", "hash": "h", "metadata": {"k": [1]}, "score": 0.5,
        "created_at": 1, "updated_at": 2, "user_id": "u", "role": None,
    }  # fmt: skip
    assert describe("m", {}, DEFAULT.RESULT_FIELDS) == {
        "id": "m", "memory": "", "hash": None, "metadata": None, "created_at": None,
        "updated_at": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "points"),
    [(None, []), ([], []), (([1], None), [1]), ([[1, 2]], [1, 2]), ([1, 2], [1, 2]), ((1,), [1])],
)
def test_points_are_unwrapped(answer: Any, points: list[Any]) -> None:
    assert list(listed(answer)) == points


# --- Checks ----------------------------------------------------------------------------------

_numbers = st.integers() | st.floats() | st.booleans()


@examples(200)
@given(_numbers | st.none() | st.text())
def test_a_threshold_is_a_number_from_0_to_1_or_none(value: Any) -> None:
    good = value is None or (isinstance(value, (int, float)) and 0 <= value <= 1)
    assert accepts(check_threshold, value) == good


@examples(200)
@given(_numbers | st.none() | st.text())
def test_top_k_is_an_integer_from_0_on(value: Any) -> None:
    assert accepts(check_top_k, value) == (type(value) is int and value >= 0)


def accepts(check: Callable[[Any], None], value: Any) -> bool:
    try:
        check(value)
    except ValueError:
        return False
    return True


@examples(100)
@given(
    st.recursive(st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
)
def test_a_clone_is_equal_and_shares_no_container(value: Any) -> None:
    def containers(each: Any) -> set[int]:
        if isinstance(each, dict):
            return {id(each)}.union(*map(containers, each.values()))
        return {id(each)}.union(*map(containers, each)) if isinstance(each, list) else set()

    copied = clone(value)
    assert copied == value
    assert not containers(copied) & containers(value)


def test_the_history_row_of_a_new_memory() -> None:
    times = {"created_at": "2026-01-01", "updated_at": "2026-01-02"}
    row = {"memory_id": "m", "old_memory": None, "new_memory": "x", "event": "ADD",
           "created_at": "2026-01-01"}  # fmt: skip
    assert added_event("m", "x", {**times, "role": "user"}) == row
    said = {"updated_at": "2026-01-02", "role": "user", "actor_id": None}
    assert said_event("m", "x", {**times, "role": "user"}) == {**row, **said}
    assert said_event("m", "x", {**times, "actor_id": "ana"})["actor_id"] == "ana"
