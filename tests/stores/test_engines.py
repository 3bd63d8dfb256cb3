"""What the stores over engines promise, whatever their engine does."""

from __future__ import annotations

from fractions import Fraction
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings

from isomem import MemoryNotFoundError
from isomem.contract.filters import compile_filters, matches
from isomem.stores.engine import EngineStore, decider, uuid_of
from tests.stores.conftest import say
from tests.unit.store import grammar
from tests.unit.store.fuzz import examples

ANA = {"user_id": "ana"}
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def filled(memory: Any) -> Any:
    """A memory over an engine, with some of two users."""
    if not isinstance(memory.vector_store, EngineStore):
        pytest.skip("not a store over an engine")
    for number in range(3):
        say(memory, f"tea {number}")
        say(memory, f"tea {number}", user_id="eve")
    return memory


def answers(store: Any, vector: Any, top_k: int) -> list[Any]:
    """What every way to search finds."""
    found = [
        store.search(query="tea", vectors=vector, top_k=top_k, filters=ANA),
        *store.search_batch(["tea"] * 2, [vector] * 2, top_k=top_k, filters=ANA),
        *store.both(vector, "tea", top_k, ANA),
    ]
    if store.finds_words:
        found.append(store.keyword_search("tea", top_k=top_k, filters=ANA))
    else:
        assert found.pop() is None
        assert store.keyword_search("tea", top_k=top_k, filters=ANA) is None
    return [[*hits] for hits in found]


@pytest.mark.parametrize("top_k", [2, 6])
def test_nothing_of_another_scope_comes_through_even_if_the_engine_finds_it(
    filled: Any, monkeypatch: pytest.MonkeyPatch, top_k: int
) -> None:
    store, vector = filled.vector_store, filled.embedding_model.embed("tea", "search")
    everything = store._asked(None)
    monkeypatch.setattr(store, "_asked", lambda _: everything)
    listed = store.list(filters=ANA, top_k=top_k)[0]
    for hits in (listed, *answers(store, vector, top_k)):
        assert {hit.payload["user_id"] for hit in hits} <= {"ana"}
        assert len(hits) == 3 or top_k == 2
    assert {hit.payload["user_id"] for hit in store.list(top_k=6)[0]} == {"ana", "eve"}


@pytest.mark.parametrize("top_k", [0, -1])
def test_nothing_is_found_if_nothing_is_asked_for(filled: Any, top_k: int) -> None:
    """As in the embedded store; a list is refused, as there."""
    store, vector = filled.vector_store, filled.embedding_model.embed("tea", "search")
    assert not any(answers(store, vector, top_k))
    assert store.search_batch([], [], top_k=top_k) == []
    with pytest.raises(ValueError, match="Must be 1 or larger"):
        store.list(filters=ANA, top_k=top_k)


@settings(parent=examples(100), suppress_health_check=[*HealthCheck])
@given(payload=grammar.payloads, filters=grammar.right_filters)
def test_what_decides_fast_decides_alike(payload: dict[str, Any], filters: dict[str, Any]) -> None:
    for asked in (filters, {**ANA, **filters}, {"AND": [ANA, {"user_id": "eve"}]}):
        group = compile_filters(asked)
        for each in (payload, {**payload, **ANA}, {**payload, "user_id": ["ana"]}):
            assert decider(group)(each) == (group is None or matches(group, each))


# --- What is given ---------------------------------------------------------------------------

NAMES = [f"7d8c1a44-0000-4000-8000-{number:012}" for number in range(3)]


def test_numbers_of_any_kind_are_a_vector(filled: Any) -> None:
    """An embedder may return a list of those of numpy."""
    store, vector = filled.vector_store, filled.embedding_model.embed("tea", "search")
    odd = [Fraction(number) for number in vector]
    store.insert(vectors=[odd], payloads=[ANA], ids=NAMES[:1])
    expected = [[hit.id for hit in hits] for hits in answers(store, vector, 2)]
    assert [[hit.id for hit in hits] for hits in answers(store, odd, 2)] == expected
    assert expected[0][0] == NAMES[0]
    store.update(NAMES[0], vector=odd)
    assert store.search(query="", vectors=vector, top_k=1)[0].id == NAMES[0]


def test_more_may_be_asked_for_than_an_engine_can_count(filled: Any) -> None:
    store, vector = filled.vector_store, filled.embedding_model.embed("tea", "search")
    assert [len(hits) for hits in answers(store, vector, 10**30)][:3] == [3] * 3
    assert len(store.list(filters=ANA, top_k=10**30)[0]) == 3


def test_a_payload_of_none_is_empty(filled: Any) -> None:
    store, vector = filled.vector_store, filled.embedding_model.embed("tea", "search")
    store.insert(vectors=[vector] * 2, payloads=[None, ANA], ids=NAMES[:2])
    assert store.get(NAMES[1]).payload["user_id"] == "ana"
    assert "user_id" not in store.get(NAMES[0]).payload


HEX = "7d8c1a4400004000800000000000000f"


@pytest.mark.parametrize(
    "name",
    [
        f"7-{HEX[1:]}",
        f"7_{HEX[2:]}",
        f"\u0667{HEX[1:]}",
        f"{HEX[:8]}-{HEX[8:12]}-4000-80000-0000000000f",
        f" {HEX}",
        f"{HEX}\n",
        "",
        "a\0b",
    ],
    ids=ascii,
)
def test_an_id_that_only_looks_like_one_is_not_there(filled: Any, name: str) -> None:
    assert filled.vector_store.get(name) is None
    assert filled.get(name) is None
    with pytest.raises(MemoryNotFoundError):
        filled.update(name, "Ana likes coffee")


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (HEX, True),
        (HEX.upper(), True),
        (f"urn:uuid:{HEX}", True),
        (f"{{{HEX}}}", True),
        (UUID(HEX), True),
        (HEX[1:], False),
        (f"{HEX[:8]}-{HEX[8:12]}-4000-80000-0000000000f", False),
        (f"{HEX[:8]}-{HEX[8:12]}-4000-8000-00000000000\u0666", False),
        (7, False),
        (None, False),
    ],
    ids=ascii,
)
def test_what_a_uuid_is(given: object, found: bool) -> None:
    assert uuid_of(given) == ("7d8c1a44-0000-4000-8000-00000000000f" if found else None)
