"""What a key may not see does not show in its scores: how rare a word is there, say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from isomem import Memory

pytest.importorskip("fastapi")
from tests.serve.service import Client, Served, serving

ASKED = {"query": "zebra tea", "threshold": 0, "explain": True, "filters": {"user_id": "ana"}}


@pytest.fixture
def served() -> Iterator[Served]:
    with serving(scripted=False) as served:
        yield served


def fill(served: Served, user: str, *texts: str) -> None:
    async def add() -> None:
        for text in texts:
            await served.service.memory.add(text, user_id=user, infer=False)

    served.run(add())


def scores(client: Client) -> Any:
    found = client.post("/api/search", ASKED)
    assert found.status_code == 200, found.text
    kept = ("memory", "score", "score_details")
    return [{key: each[key] for key in kept} for each in found.json()["results"]]


def test_a_word_in_the_memories_of_others_changes_no_score(served: Served) -> None:
    ana, everything = served.key({"user_id": "ana"}), served.key()
    fill(served, "ana", "a zebra in the garden", "tea with milk", "tea and a zebra", "nothing")
    before, before_of_all = scores(ana), scores(everything)
    assert len(before) == 4
    assert any(each["score_details"].get("bm25_score") for each in before)
    fill(served, "bob", *(f"zebra {number}" for number in range(50)))
    assert scores(ana) == before
    # Whoever may see everything gets what the library gives, and mem0.
    assert scores(everything) != before_of_all


def test_a_model_that_is_kept_in_a_scope_sees_no_more(served: Served) -> None:
    """The key of its client may touch everything; the model may not."""
    fill(served, "ana", "a zebra in the garden", "tea with milk", "nothing")
    access = served.service.access(served.key().headers["X-API-Key"]).within({"user_id": "ana"})
    before = served.run(access.call("search", ASKED))
    fill(served, "bob", *(f"zebra {number}" for number in range(50)))
    assert served.run(access.call("search", ASKED)) == before


def test_counted_in_a_scope_that_is_all_there_is_scores_are_those_of_the_library() -> None:
    """The formula is the same: only what is counted differs."""
    store = {"provider": "embedded", "config": {"path": ":memory:"}}
    memory = Memory.from_config({"vector_store": store, "embedder": {"provider": "local"}})
    for number in range(40):
        memory.add(f"tea {number} {'zebra' * (number % 3)}", user_id="ana", infer=False)
    narrow = memory.replacing(counts_in_scope=True)
    for query in ("zebra tea", "zebrazebra", "tea tea zebra 7", "unknown"):
        asked: Any = {"filters": {"user_id": "ana"}, "threshold": 0, "top_k": 50, "explain": True}
        ours, library = (each.search(query, **asked)["results"] for each in (narrow, memory))
        assert [each["id"] for each in ours] == [each["id"] for each in library]
        for one, other in zip(ours, library, strict=True):
            assert one["score"] == pytest.approx(other["score"], abs=1e-12)
    memory.close()
