"""What stands around a memory: odd parts, odd paths, damaged rows, and what a reset takes along."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from isomem import Memory
from isomem.errors import EmbeddingError, MemoryCorruptionError, VectorStoreError
from isomem.ingest import Ingest, read_conversation
from isomem.testing import HashEmbedder
from tests.facade.conftest import Face, configuration, facts
from tests.facade.test_replaced_parts import Ledger, Store, foreign  # noqa: F401 - a fixture

Make = Callable[..., Face]
U = {"user_id": "u"}


class Miscounting:
    """An embedder whose batches are not what they should be; single texts are right."""

    def __init__(self, batch: Any, single: bool = True) -> None:
        self._inner = HashEmbedder(64)
        self._batch = batch
        self._single = single

    def embed(self, text: str, memory_action: str | None = None) -> list[float]:
        if not self._single and memory_action == "add":
            raise ConnectionError("down")
        return self._inner.embed(text)

    def embed_batch(self, texts: list[str], memory_action: str | None = "add") -> Any:
        return self._batch(self._inner.embed_batch(texts))


@pytest.mark.parametrize("batch", [
    lambda vectors: [], lambda vectors: vectors[:1], lambda vectors: [*vectors, vectors[0]],
    lambda vectors: None, lambda vectors: 5, iter,
])  # fmt: skip
def test_a_batch_of_another_size_loses_no_fact(memory: Face, batch: Any) -> None:
    memory.embedding_model = Miscounting(batch)
    memory.say(("We gave Ana Silva a cat", "We gave Bruno Costa a dog"))
    assert len(memory.add("hello", **U)["results"]) == 2
    assert sorted(memory.entities()) == ["Ana Silva", "Bruno Costa"]
    memory.raise_on_llm_error = True
    memory.embedding_model = Miscounting(batch, single=False)
    memory.say(("Likes tea", "Likes cake"))
    with pytest.raises(EmbeddingError, match="none of 2 facts"):
        memory.add("hello", **U)


def lines(count: int) -> Any:
    return read_conversation(f'{{"role": "user", "content": "message {n}"}}' for n in range(count))


@pytest.mark.parametrize("first", ["{", '{"memory": []}', facts("fact")])
@pytest.mark.parametrize("retry", [False, True])
def test_after_a_reset_nothing_counts_as_taken_in(tmp_path: Path, first: Any, retry: bool) -> None:
    with Memory.from_config(configuration(tmp_path / "m.db")) as memory:
        list(Ingest(memory, lines(2), ids=U, replies=[first]))
        if retry:
            list(Ingest(memory, lines(2), ids=U, replies=[facts("fact")], retry=True))
        memory.reset()
        again = Ingest(memory, lines(2), ids=U, replies=[facts("fact")])
        assert (again.resumed_at, again.failed) == (0, 0)
        assert [step.memories for step in again] == [1]


@pytest.mark.parametrize("links", ["5", "null", '"text"', '{"a": 1}'])
def test_an_entity_with_damaged_links_does_not_keep_a_memory(memory: Face, links: str) -> None:
    (one,) = memory.learn("We gave Ana Silva a cat")
    with memory.entity_store.database.writing() as database:
        database.execute(
            "UPDATE points SET payload = json_set(payload, '$.linked_memory_ids', json(?))"
            " WHERE json_extract(payload, '$.data') = 'Ana Silva'", (links,),
        )  # fmt: skip
    memory.delete(one)
    assert memory.entities() == {}
    assert memory.state()["linked_memories"] == memory.state()["points"] == []


@pytest.mark.parametrize("payload", ["[1]", "7", "{", b"{}"])
def test_a_row_that_is_not_a_payload_is_named_as_damage(memory: Face, payload: Any) -> None:
    (one,) = memory.learn("Likes tea")
    with memory.vector_store.database.writing() as database:
        database.execute("UPDATE points SET payload = ?", (payload,))
    for call in (lambda: memory.get(one), lambda: memory.get_all(filters=U)):
        with pytest.raises(MemoryCorruptionError, match=r"damaged|JSON"):
            call()
    memory.delete_all(**U)
    assert memory.memories() == []


def test_a_foreign_ledger_cannot_be_told_to_forget(memory: Face) -> None:
    memory.learn("Likes tea")
    memory.db = Ledger()
    for call in (lambda: memory.purge(**U), lambda: memory.delete_all(**U, purge_history=True)):
        with pytest.raises(VectorStoreError, match="nothing was removed"):
            call()
    assert memory.memories() == ["Likes tea"]


@pytest.mark.parametrize("spelt", ["/./memory.db", "/../{folder}/memory.db", "/link.db"])
def test_a_history_in_the_memory_file_may_be_spelt_otherwise(
    make: Make, tmp_path: Path, spelt: str
) -> None:
    path = tmp_path / "memory.db"
    (tmp_path / "link.db").symlink_to(path)
    history = str(tmp_path) + spelt.format(folder=tmp_path.name)
    memory = make(path, history_db_path=history, store={"busy_timeout_s": 0.2})
    (one,) = memory.learn("Likes tea")
    assert memory.db.database is memory.vector_store.database
    assert len(memory.history(one)) == 1


def test_the_options_of_the_store_hold_for_a_history_file_of_its_own(
    make: Make, tmp_path: Path
) -> None:
    store = {"busy_timeout_s": 0.25, "synchronous": "off"}
    memory = make(history_db_path=str(tmp_path / "history.db"), store=store)
    database = memory.db.database
    assert database is not memory.vector_store.database
    assert database.busy_timeout_s == 0.25
    with database.reading():
        assert database.rows("PRAGMA synchronous") == [(0,)]


class Bare:
    """A vector store without what mem0's base class would give it."""

    def __init__(self) -> None:
        self._inner = Store()
        for name in ("insert", "search", "get", "list", "update", "delete"):
            setattr(self, name, getattr(self._inner, name))


def test_a_store_without_keyword_search_and_batches_works(foreign: Face) -> None:  # noqa: F811
    foreign.vector_store, foreign.entity_store = Bare(), Bare()
    (one,) = [each["id"] for each in foreign.add("hello", **U)["results"]]
    (two,) = [each["id"] for each in foreign.add("Ana Silva", **U, infer=False)["results"]]
    assert foreign.search("a cat for Ana Silva", filters=U)["results"][0]["id"] in {one, two}
    assert len(foreign.entity_store._inner.points) == 1


@pytest.mark.parametrize("answer", [None, 5, "text"])
def test_a_reranker_that_gives_no_list_is_passed_over(memory: Face, answer: Any) -> None:
    memory.learn("Likes tea")

    def rerank(query: str, documents: list[Any], top_k: int) -> Any:
        documents.clear()
        return answer

    memory.reranker = SimpleNamespace(rerank=rerank)
    found = memory.search("tea", filters=U, rerank=True, threshold=0)["results"]
    assert [each["memory"] for each in found] == ["Likes tea"]


def test_aclose_closes_every_part_though_one_fails(make: Make) -> None:
    memory = make()
    if not memory.is_async:
        pytest.skip("aclose is the asynchronous class's")
    closed: list[str] = []

    async def fail() -> None:
        raise RuntimeError("boom")

    async def aclose() -> None:
        closed.append("aclose")

    memory.llm = SimpleNamespace(aclose=fail)
    memory.reranker = SimpleNamespace(aclose=aclose, close=lambda: closed.append("close"))
    with pytest.raises(RuntimeError, match="boom"):
        memory.aclose()
    assert closed == ["aclose"]
    assert not Path(f"{memory.vector_store.database.path}-wal").exists()
    memory.llm = memory.reranker = None
