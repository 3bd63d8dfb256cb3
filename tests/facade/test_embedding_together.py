"""One call of the embedder for several texts, where that gives the same vectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from isomem import VectorStoreError
from isomem.testing import HashEmbedder
from tests.facade.conftest import Face

Make = Callable[..., Face]
U = {"user_id": "u"}
SAID = [
    {"role": "user", "content": "We gave Ana Silva a cat"},
    {"role": "assistant", "content": "A cat is a friend"},
    {"role": "user", "name": "tom", "content": "Then Tom Baker left for Lisbon"},
]
TEXTS = [message["content"] for message in SAID]
NEW = "Then Tom Baker gave Ana Silva a dog"


class Counting(HashEmbedder):
    """Notes its calls, the first of which may fail. Its vectors are those of a hash embedder."""

    ignores_action = True

    def __init__(self, *, alike: bool, failing: int = 0) -> None:
        super().__init__(64)
        self.embeds_alike_in_batch = alike
        self.calls: list[Any] = []
        self.failing = failing

    def _note(self, texts: Any) -> None:
        self.calls.append(texts)
        if len(self.calls) <= self.failing:
            raise ConnectionError("down")

    def embed(self, text: str, memory_action: str | None = None) -> list[float]:
        self._note(text)
        return super().embed(text, memory_action)

    def embed_batch(self, texts: list[str], memory_action: str | None = "add") -> Any:
        self._note(list(texts))
        return [HashEmbedder.embed(self, text, memory_action) for text in texts]


def added(make: Make, embedder: Counting) -> tuple[Face, list[Any]]:
    memory = make(":memory:")
    memory.embedding_model = embedder
    stored = memory.add(SAID, user_id="u", infer=False)["results"]
    return memory, stored


def shown(memory: Face) -> list[Any]:
    listed = memory.get_all(filters=U)["results"]
    found = memory.search("Who has a dog?", filters=U, threshold=0.0)["results"]
    return [
        [(each["memory"], each.get("actor_id"), each["role"]) for each in listed],
        [(each["memory"], each["score"]) for each in found],
    ]


def test_the_messages_of_a_raw_add_are_one_call_with_the_same_results(make: Make) -> None:
    together, one_by_one = Counting(alike=True), Counting(alike=False)
    memory, stored = added(make, together)
    other, same = added(make, one_by_one)
    assert together.calls == [TEXTS]
    assert one_by_one.calls == TEXTS
    assert [each["memory"] for each in stored] == [each["memory"] for each in same] == TEXTS
    assert shown(memory) == shown(other)


def test_one_message_is_embedded_alone(make: Make) -> None:
    memory, embedder = make(), Counting(alike=True)
    memory.embedding_model = embedder
    memory.add(TEXTS[0], user_id="u", infer=False)
    assert embedder.calls == TEXTS[:1]


def test_messages_whose_batch_fails_are_embedded_one_by_one(make: Make) -> None:
    embedder = Counting(alike=True, failing=1)
    memory, _ = added(make, embedder)
    assert embedder.calls == [TEXTS, *TEXTS]
    assert len(memory.get_all(filters=U)["results"]) == 3
    with pytest.raises(ConnectionError):
        added(make, Counting(alike=True, failing=2))


def test_the_text_of_an_update_and_its_entities_are_one_call_with_the_same_results(
    make: Make,
) -> None:
    seen = []
    for alike in (True, False):
        memory, stored = added(make, Counting(alike=alike))
        embedder = memory.embedding_model = Counting(alike=alike)
        memory.update(stored[1]["id"], NEW)
        seen.append(([*embedder.calls], shown(memory)))
    (together, results), (one_by_one, same) = seen
    assert together == [[NEW, "Tom Baker", "Ana Silva"]]
    assert one_by_one == [NEW, "Tom Baker", "Ana Silva"]
    assert results == same


def test_an_update_whose_batch_fails_is_embedded_one_by_one(make: Make) -> None:
    memory, stored = added(make, Counting(alike=True))
    embedder = memory.embedding_model = Counting(alike=True, failing=1)
    memory.update(stored[0]["id"], NEW)
    entities = ["Tom Baker", "Ana Silva"]
    assert embedder.calls == [[NEW, *entities], NEW, *entities]


def test_an_update_without_a_vector_is_refused_and_nothing_changes(make: Make) -> None:
    memory, stored = added(make, Counting(alike=True))
    embedder = memory.embedding_model = Counting(alike=True)
    embedder.embed_batch = lambda texts, _: [None] * len(texts)  # type: ignore[method-assign]
    before = shown(memory)[0]
    with pytest.raises(VectorStoreError, match="not None"):
        memory.update(stored[0]["id"], NEW)
    assert shown(memory)[0] == before
