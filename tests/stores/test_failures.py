"""What an engine refuses, and what is left if a part of it fails in the middle of a call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from isomem import Memory, MemoryError, VectorStoreError, VectorValueError
from isomem.stores.engine import EngineStore
from isomem.testing import HashEmbedder, ScriptedLLM
from tests.stores.adapters import DIMS, Adapter
from tests.stores.conftest import Open, learn, say, texts

ANA = {"user_id": "ana"}
pytestmark = pytest.mark.filterwarnings("ignore")


class Failing:
    """A store that fails at every call of one method.

    Args:
        part: the real one.
        late: whether the method does its work before it fails.
    """

    def __init__(self, part: Any, method: str, *, late: bool = False) -> None:
        self.part = part
        self.method = method
        self.late = late

    def __getattr__(self, name: str) -> Any:
        real = getattr(self.part, name)
        if name != self.method:
            return real

        def fail(*args: Any, **kwargs: Any) -> Any:
            if self.late:
                real(*args, **kwargs)
            raise OSError("the connection is gone")

        return fail


def whole(memory: Any) -> tuple[list[str], int, list[str]]:
    """All texts, the number of history rows, and the entities."""
    listed = memory.vector_store.list(top_k=10_000)[0]
    rows = sum(len(memory.history(str(each.id))) for each in listed)
    entities = memory.entity_store.list(top_k=10_000)[0]
    return (
        sorted(each.payload["data"] for each in listed),
        rows,
        sorted(each.payload["data"] for each in entities),
    )


# --- What is refused -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "vector", [[1.0] * (DIMS - 1), [float("nan")] * DIMS, []], ids=["short", "nan", "empty"]
)
def test_a_vector_that_does_not_fit_is_refused_and_nothing_is_stored(
    memory: Any, adapter: Adapter, vector: list[float]
) -> None:
    if adapter.name == "mem0-qdrant" and len(vector) == DIMS:
        pytest.skip("mem0's class stores NaN")
    say(memory, "Ana likes tea")
    embedder = HashEmbedder(dims=DIMS)
    embedder.embed = lambda text, memory_action=None: vector  # type: ignore[method-assign]
    embedder.embed_batch = lambda texts, memory_action="add": [vector] * len(texts)  # type: ignore[method-assign]
    memory.embedding_model = embedder
    with pytest.raises(ValueError):  # noqa: PT011 - mem0's class has its own words
        say(memory, "Ana likes coffee")
    memory.embedding_model = HashEmbedder(dims=DIMS)
    assert texts(memory.get_all(filters=ANA)) == ["Ana likes tea"]


def test_after_a_reset_vectors_are_as_long_as_the_embedder_says(open_memory: Open) -> None:
    memory = open_memory()
    if not isinstance(memory.vector_store, EngineStore):
        pytest.skip("a memory of another embedder is not opened")
    learn(memory, "Ana Silva likes tea")
    memory.close()
    half = {"provider": "mock", "config": {"embedding_dims": DIMS // 2}}
    other = open_memory(embedder=half)
    other.reset()
    assert learn(other, "Ana Silva likes coffee")
    assert texts(other.search("coffee", filters=ANA, threshold=0.0)) == ["Ana Silva likes coffee"]
    assert whole(other)[2] == ["Ana Silva"]


def test_points_of_wrong_shapes_are_errors_of_values(memory: Any, adapter: Adapter) -> None:
    if adapter.name == "mem0-qdrant":
        pytest.skip("mem0's class raises what its client raises")
    store = memory.vector_store
    name = "7d8c1a44-0000-4000-8000-000000000001"
    with pytest.raises(VectorValueError):
        store.insert(vectors=[[1.0] * 3], payloads=[ANA], ids=[name])
    with pytest.raises(VectorStoreError, match="one length"):
        store.insert(vectors=[[1.0] * DIMS], payloads=[ANA, ANA], ids=[name])
    with pytest.raises(VectorValueError):
        store.search(query="", vectors=[1.0] * 3, filters=ANA)
    with pytest.raises(ValueError, match="limit value 0"):
        store.list(filters=ANA, top_k=0)
    store.insert(vectors=[], payloads=[], ids=[])
    assert store.search_batch(queries=[], vectors_list=[], filters=ANA) == []
    assert store.list(top_k=10_000)[0] == []


def test_a_closed_memory_says_so(open_memory: Open, adapter: Adapter) -> None:
    memory = open_memory()
    say(memory, "Ana likes tea")
    memory.close()
    memory.close()
    if adapter.equip is None:
        with pytest.raises(MemoryError, match=r"clos"):
            memory.search("tea", filters=ANA)
        with pytest.raises(MemoryError, match=r"clos"):
            say(memory, "Ana likes coffee")


# --- A part that fails in the middle ---------------------------------------------------------


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("infer", [False, True], ids=["raw", "facts"])
def test_an_add_whose_memories_cannot_be_stored_leaves_nothing(
    memory: Any, infer: bool, late: bool
) -> None:
    learn(memory, "Ana met Inês Duarte")
    before = whole(memory)
    real = memory.vector_store
    memory.vector_store = Failing(real, "insert", late=late)
    memory.llm = ScriptedLLM([{"memory": [{"text": "Ana met Rui Costa"}]}])
    with pytest.raises(OSError, match="the connection is gone"):
        memory.add("I met Rui", infer=infer, **ANA)
    memory.vector_store = real
    assert whole(memory) == before


@pytest.mark.parametrize("infer", [False, True], ids=["raw", "facts"])
def test_an_add_whose_history_cannot_be_stored_leaves_nothing(memory: Any, infer: bool) -> None:
    learn(memory, "Ana met Inês Duarte")
    before = whole(memory)
    real = memory.db
    memory.db = Failing(real, "batch_add_history")
    memory.llm = ScriptedLLM([{"memory": [{"text": "Ana met Rui Costa"}]}])
    with pytest.raises(OSError, match="the connection is gone"):
        memory.add("I met Rui", infer=infer, **ANA)
    memory.db = real
    assert whole(memory) == before


@pytest.mark.parametrize(("call", "method"), [("update", "update"), ("delete", "delete")])
def test_a_change_that_fails_leaves_the_memory_and_its_history(
    memory: Any, call: str, method: str
) -> None:
    [one] = learn(memory, "Ana met Inês Duarte")
    before = whole(memory)
    real = memory.vector_store
    memory.vector_store = Failing(real, method)
    with pytest.raises(OSError, match="the connection is gone"):
        memory.update(one, "Ana met Rui Costa") if call == "update" else memory.delete(one)
    memory.vector_store = real
    assert whole(memory) == before
    memory.update(one, "Ana met Rui Costa") if call == "update" else memory.delete(one)


def test_links_that_fail_lose_no_memory(memory: Any) -> None:
    real = memory.entity_store
    memory.entity_store = Failing(real, "search_batch")
    [one] = learn(memory, "Ana met Inês Duarte")
    memory.entity_store = real
    assert memory.get(one)["memory"] == "Ana met Inês Duarte"
    assert real.list(top_k=10_000)[0] == []


# --- Opening ---------------------------------------------------------------------------------


def test_what_cannot_be_opened_is_an_error_of_the_store(tmp_path: Path) -> None:
    pytest.importorskip("qdrant_client")
    file = tmp_path / "file"
    file.write_text("not a folder")
    config = {
        "vector_store": {"provider": "qdrant", "config": {"path": str(file)}},
        "history_db_path": str(tmp_path / "history.db"),
        "embedder": {"provider": "mock", "config": {"embedding_dims": DIMS}},
        "llm": {"provider": "mock"},
    }
    with pytest.raises(VectorStoreError, match="cannot be opened"):
        Memory.from_config(config)


def test_a_server_that_cannot_be_reached_is_an_error_of_the_store(tmp_path: Path) -> None:
    pytest.importorskip("qdrant_client")
    store = {"host": "127.0.0.1", "port": 9, "api_key": "s3cret", "max_retries": 1, "https": False}
    config = {
        "vector_store": {"provider": "qdrant", "config": store},
        "history_db_path": str(tmp_path / "history.db"),
        "embedder": {"provider": "mock", "config": {"embedding_dims": DIMS}},
        "llm": {"provider": "mock"},
    }
    with pytest.raises(VectorStoreError, match="vector_store qdrant failed") as caught:
        Memory.from_config(config)
    assert "s3cret" not in str(caught.value)
