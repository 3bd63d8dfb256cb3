"""A memory over a vector store of mem0's: the same store as mem0 has, there and back."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from isomem import AsyncMemory, DependencyError, Memory, MemoryConfig, VectorStoreError
from isomem.providers.bridge import copy
from isomem.testing import HashEmbedder, ScriptedLLM
from tests.stores.bridged import mem0s_qdrant

needs_mem0 = pytest.mark.skipif(copy.folder() is None, reason="mem0ai is not installed")
pytestmark = [needs_mem0, pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]

DIMS = 32
ANA = {"user_id": "ana"}
TURNS = [
    "I moved to Lisbon in May and rent a flat in Alfama.",
    "My sister Inês plays the cello in an orchestra.",
    "I am allergic to peanuts, not to almonds.",
]


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "fastembed", None)
    with mem0s_qdrant():
        yield


def written_for_mem0(folder: Path) -> dict[str, Any]:
    """A configuration as mem0's users have it."""
    store = {"path": str(folder / "qdrant"), "embedding_model_dims": DIMS, "on_disk": True}
    return {
        "vector_store": {"config": store},  # Without a provider: Qdrant.
        "history_db_path": str(folder / "history.db"),
        "llm": {"provider": "openai", "config": {"api_key": "unused"}},
        "embedder": {"provider": "openai", "config": {"api_key": "unused"}},
        "version": "v1.1",
        "from_an_old_release": True,
    }


def equipped(memory: Any) -> Any:
    """With models of our own, which answer the same on both sides."""
    memory.embedding_model = HashEmbedder(dims=DIMS)
    memory.llm = ScriptedLLM([{"memory": [{"text": turn}]} for turn in TURNS] * 2)
    return memory


def theirs(folder: Path) -> Any:
    mem0 = pytest.importorskip("mem0")
    from isomem_parity import tiers

    tiers.enter("A")
    return equipped(mem0.Memory.from_config(written_for_mem0(folder)))


def ours(folder: Path) -> Any:
    return equipped(Memory.from_config({**written_for_mem0(folder), "nlp": {"provider": "none"}}))


def closed(memory: Any) -> None:
    memory.close()
    if not isinstance(memory, Memory):
        memory.vector_store.client.close()


def seen(memory: Any) -> list[tuple[str, str, float]]:
    found = [memory.search(turn, filters=ANA, threshold=0.0) for turn in TURNS]
    return [
        (hit["id"], hit["memory"], round(hit["score"], 6))
        for result in found
        for hit in result["results"]
    ]


def test_a_store_of_mem0s_goes_on_with_isomem_and_back(tmp_path: Path) -> None:
    """Each side sees what the other has stored, changed and removed; the same hits and scores."""
    before = theirs(tmp_path)
    for turn in TURNS[:2]:
        before.add(turn, user_id="ana")
    first, second = (hit["id"] for hit in before.get_all(filters=ANA)["results"])
    their_view, their_past = seen(before), before.history(first)
    closed(before)

    memory = ours(tmp_path)
    assert seen(memory) == their_view
    assert memory.history(first) == their_past
    memory.update(first, "I live in Porto now.")
    memory.delete(second)
    memory.llm = ScriptedLLM([{"memory": [{"text": TURNS[2]}]}])
    [added] = memory.add(TURNS[2], user_id="ana")["results"]
    our_view = seen(memory)
    our_past = [memory.history(each) for each in (first, second, added["id"])]
    closed(memory)

    back = theirs(tmp_path)
    assert {memory for _, memory, _ in our_view} == {"I live in Porto now.", TURNS[2]}
    assert seen(back) == our_view
    assert [back.history(each) for each in (first, second, added["id"])] == our_past
    closed(back)


def test_the_calls_of_an_asynchronous_memory_work_and_persist(tmp_path: Path) -> None:
    async def first() -> str:
        memory = AsyncMemory.from_config(written_for_mem0(tmp_path))
        equipped(memory)
        [added] = (await memory.add(TURNS[0], user_id="ana"))["results"]
        await asyncio.gather(*(memory.search(turn, filters=ANA) for turn in TURNS))
        memory.close()
        return str(added["id"])

    async def second(memory_id: str) -> Any:
        memory = AsyncMemory.from_config(written_for_mem0(tmp_path))
        equipped(memory)
        found = await memory.get(memory_id)
        entities = memory.entity_store.list()
        await memory.delete_all(user_id="ana")
        assert not (await memory.get_all(filters=ANA))["results"]
        memory.close()
        return found, entities

    found, entities = asyncio.run(second(asyncio.run(first())))
    assert found["memory"] == TURNS[0]
    assert entities[0]


def test_a_store_that_fails_is_an_error_of_ours(tmp_path: Path) -> None:
    memory = ours(tmp_path)
    memory.add(TURNS[0], user_id="ana", infer=False)
    memory.vector_store.client.close()
    with pytest.raises(VectorStoreError, match="vector_store qdrant"):
        memory.search(TURNS[0], filters=ANA)
    with pytest.raises(VectorStoreError):
        memory.add(TURNS[1], user_id="ana", infer=False)
    memory.close()


def test_a_store_that_cannot_be_opened_is_an_error_of_ours(tmp_path: Path) -> None:
    memory = ours(tmp_path)
    with pytest.raises(VectorStoreError, match="already accessed"):
        ours(tmp_path)
    memory.close()


def test_mem0s_own_configuration_object_is_taken(tmp_path: Path) -> None:
    """With mem0's own classes for the sections and their options."""
    pytest.importorskip("mem0")
    from mem0.configs.base import MemoryConfig as TheirConfig
    from mem0.configs.llms.openai import OpenAIConfig
    from mem0.llms.configs import LlmConfig

    given = written_for_mem0(tmp_path)
    config: Any = TheirConfig(**given)
    memory = Memory(config)
    assert memory.collection_name == "mem0"
    assert memory.config.history_db_path == given["history_db_path"]
    assert memory.vector_store.embedding_model_dims == DIMS  # type: ignore[attr-defined]
    assert memory.llm.config.api_key == "unused"  # type: ignore[attr-defined]
    memory.close()

    embedded = {"provider": "embedded", "config": {"path": ":memory:"}}
    one = LlmConfig(provider="openai", config={"model": "m", "api_key": "k"})
    of_options = {"provider": "openai", "config": OpenAIConfig(model="m", api_key="k")}
    for llm in (one, of_options):
        made = Memory(MemoryConfig(vector_store=embedded, embedder={"provider": "mock"}, llm=llm))
        assert made.config.llm.config["model"] == "m"
        assert made.llm.config.model == "m"  # type: ignore[attr-defined]
        made.close()


def test_mem0s_objects_for_options_are_taken_in_every_section(tmp_path: Path) -> None:
    pytest.importorskip("mem0")
    from mem0.configs.embeddings.base import BaseEmbedderConfig
    from mem0.configs.llms.base import BaseLlmConfig
    from mem0.configs.rerankers.llm import LLMRerankerConfig
    from mem0.configs.vector_stores.qdrant import QdrantConfig

    store = QdrantConfig(path=str(tmp_path / "q"), collection_name="c", on_disk=True)
    parts: dict[str, Any] = {
        "vector_store": {"provider": "qdrant", "config": store},
        "llm": {"provider": "openai", "config": BaseLlmConfig(model="m", api_key="k")},
        "embedder": {
            "provider": "openai",
            "config": BaseEmbedderConfig(model="e", api_key="k", embedding_dims=DIMS),
        },
        "reranker": {"provider": "llm_reranker", "config": LLMRerankerConfig(api_key="k", top_k=3)},
    }
    memory: Any = Memory(MemoryConfig(**parts, history_db_path=str(tmp_path / "h.db")))
    assert (memory.collection_name, memory.vector_store.embedding_model_dims) == ("c", DIMS)
    assert (memory.llm.config.model, memory.embedding_model.config.model) == ("m", "e")
    assert memory.reranker.config.top_k == 3
    memory.close()


def test_without_mem0_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copy, "folder", lambda: None)
    with pytest.raises(DependencyError, match="pip install mem0ai") as caught:
        ours(tmp_path)
    assert '{"provider": "embedded"}' in str(caught.value)
    assert not list(tmp_path.iterdir())
