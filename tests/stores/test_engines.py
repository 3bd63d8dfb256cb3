"""What the stores over engines promise, whatever their engine does."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from isomem.contract.filters import compile_filters, matches
from isomem.stores.engine import EngineStore, decider
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
