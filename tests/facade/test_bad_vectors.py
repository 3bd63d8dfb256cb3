"""An embedder that returns no vector is an error of ours, on every call, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from isomem import Memory
from isomem.errors import VectorValueError
from isomem.providers.llm.mock import ScriptedLLM

IDS = {"user_id": "u"}
BAD = (
    None,
    "text",
    b"\0" * 32,
    ["1"] * 8,
    [None] * 8,
    [10**400] * 8,
    [[1.0] * 8],
    7,
    {},
    [1.0] * 3,
)


class BadEmbedder:
    def __init__(self, vector: Any) -> None:
        self.vector = vector

    def embed(self, text: str, memory_action: str | None = None) -> Any:
        return self.vector

    def embed_batch(self, texts: list[str], memory_action: str | None = "add") -> Any:
        return [self.vector for _ in texts]


def infer(memory: Memory, first: str) -> Any:
    llm = ScriptedLLM([{"memory": [{"text": 'Reads "Moby Dick"'}]}])
    return memory.replacing(llm=llm, raise_on_llm_error=True).add("x", **IDS)


CALLS: dict[str, Callable[[Memory, str], Any]] = {
    "raw add": lambda memory, first: memory.add("x", infer=False, **IDS),
    "add": infer,
    "update": lambda memory, first: memory.update(first, "y"),
    "search": lambda memory, first: memory.search("x", filters=IDS),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
@pytest.mark.parametrize("vector", BAD, ids=[repr(bad)[:12] for bad in BAD])
def test_an_embedder_without_a_vector_is_refused_and_nothing_changes(
    call: Callable[[Memory, str], Any], vector: Any
) -> None:
    memory = Memory.from_config({
        "vector_store": {"provider": "embedded", "config": {"path": ":memory:"}},
        "embedder": {"provider": "mock", "config": {"embedding_dims": 8}},
        "llm": {"provider": "mock"},
    })  # fmt: skip
    first = memory.add("first", infer=False, **IDS)["results"][0]["id"]
    before = memory.get_all(filters=IDS), memory.history(first)
    memory.embedding_model = BadEmbedder(vector)
    with pytest.raises(VectorValueError):
        call(memory, first)
    assert (memory.get_all(filters=IDS), memory.history(first)) == before
    memory.close()
