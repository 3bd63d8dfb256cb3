"""Notes each call of a private method, in mem0 or in what stands in for it, and prints them.

`python -m tests.unit.compat.hooked [isomem]`; `test_hook_calls` compares the two.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import types
import warnings
from collections.abc import Callable
from typing import Any

warnings.simplefilter("ignore")
os.environ.update(MEM0_TELEMETRY="false", MEM0_DIR=tempfile.mkdtemp(), OPENAI_API_KEY="k")
if "isomem" in sys.argv:
    import isomem.compat  # noqa: F401 - takes the name of mem0

from mem0 import Memory  # noqa: E402
from mem0.embeddings.base import EmbeddingBase  # noqa: E402
from mem0.llms.base import LLMBase  # noqa: E402
from mem0.utils.factory import EmbedderFactory, LlmFactory, VectorStoreFactory  # noqa: E402

HOOKS = (
    "_add_to_vector_store",
    "_create_memory",
    "_create_procedural_memory",
    "_update_memory",
    "_delete_memory",
    "_search_vector_store",
    "_get_all_from_vector_store",
)
NOT_COMPARED = ("created_at", "updated_at", "hash")

calls: list[Any] = []
known: dict[str, str] = {}


def plain(value: Any) -> Any:
    """A value without what differs in each run: ids by their order, no times."""
    if isinstance(value, dict):
        return {plain(k): plain(each) for k, each in value.items() if k not in NOT_COMPARED}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, str) and len(value) == 36:
        return known.setdefault(value, f"id {len(known)}")
    return value if value is None or isinstance(value, (str, int, float)) else "object"


class Lengths(EmbeddingBase):  # type: ignore[misc,unused-ignore]
    def embed(self, text: str, memory_action: str | None = None) -> list[float]:
        return [1.0, float(len(text))]


class Model(LLMBase):  # type: ignore[misc,unused-ignore]
    def generate_response(self, messages: Any, *more: Any, **options: Any) -> str:
        return '{"memory": []}'


class Store:
    """Points in a dict; a filter is the ids."""

    def __init__(self, **_options: Any) -> None:
        self.points: dict[str, Any] = {}

    def insert(self, vectors: Any, payloads: Any = None, ids: Any = None) -> None:
        for one, payload in zip(ids, payloads, strict=True):
            self.points[one] = types.SimpleNamespace(id=one, payload=payload, score=1.0)

    def list(self, filters: Any = None, top_k: Any = None) -> Any:
        names = {"user_id", "agent_id", "run_id"} & {*(filters or {})}
        return [
            [p for p in self.points.values() if all(p.payload.get(k) == filters[k] for k in names)]
        ]

    def search(self, query: Any, vectors: Any, top_k: int = 5, filters: Any = None) -> Any:
        return self.list(filters)[0][:top_k]

    def keyword_search(self, query: Any, top_k: int = 5, filters: Any = None) -> None:
        return None

    def get(self, vector_id: str) -> Any:
        return self.points.get(vector_id)

    def delete(self, vector_id: str) -> None:
        self.points.pop(vector_id, None)

    def update(self, vector_id: str, vector: Any = None, payload: Any = None) -> None:
        self.points[vector_id].payload = payload


def noting(name: str) -> Callable[..., Any]:
    def called(self: Any, *given: Any, **named: Any) -> Any:
        calls.append([name, plain(given), plain(named)])
        return getattr(super(Noting, self), name)(*given, **named)

    return called


Noting: Any = type("Noting", (Memory,), {name: noting(name) for name in HOOKS})


def tried(call: Callable[..., Any], *given: Any, **named: Any) -> Any:
    """What a call returns. Its error is noted: a ValueError, or mem0's own."""
    try:
        return call(*given, **named)
    except Exception as error:
        calls.append(["refused", isinstance(error, ValueError), str(error).split(".")[0]])
        return None


def drive(memory: Any) -> None:
    said = [
        {"role": "user", "content": "likes tea", "name": "ana"},
        {"role": "system", "content": "x"},
        {"role": "assistant", "content": "fine"},
    ]
    added = memory.add(said, user_id=" u ", agent_id="a", metadata={"k": 1}, infer=False)
    one = added["results"][0]["id"]
    tried(memory.add, "x")
    tried(memory.add, "x", user_id="u", memory_type="nope")
    tried(memory.add, 3, user_id="u")
    memory.add("plain", user_id="u", prompt="p")
    memory.add({"role": "user", "content": "one"}, run_id="r", infer=False)
    memory.add("steps", agent_id="a", memory_type="procedural_memory", metadata={"z": 1})
    memory.add("steps", user_id="u", memory_type="procedural_memory")
    memory.update(one, "likes green tea")
    memory.update(one, "likes more tea", metadata={"k": 2})
    for filters in (
        {"user_id": "u"}, {"user_id": " u "}, {}, None, {"user_id": "a b"}, {"user_id": ""},
        {"k": 1}, {"user_id": "u", "k": {"gt": 0}}, {"user_id": "u", "k": "*"},
        {"user_id": "u", "OR": [{"k": 1}, {"k": 2}]}, {"user_id": "u", "NOT": [{"k": 9}]},
        {"user_id": "u", "AND": [{"k": {"gte": 1}}, {"k": {"lt": 5}}]},
        {"user_id": "u", "OR": []},
    ):  # fmt: skip
        tried(memory.search, "q", filters=filters, top_k=3, threshold=0.0)
    for filters in ({"user_id": " u "}, {}, None, {"user_id": "a b"}, {"k": 1}):
        tried(memory.get_all, filters=filters)
    tried(memory.search, "q", filters={"user_id": "u"}, top_k=-1)
    tried(memory.search, "q", filters={"user_id": "u"}, threshold=3)
    tried(memory.search, "q", user_id="u")
    tried(memory.get_all, user_id="u")
    tried(memory.get_all, filters={"user_id": "u"}, top_k="x")
    tried(memory.delete, one)
    tried(memory.delete_all)
    tried(memory.delete_all, agent_id="a")


def main() -> int:
    EmbedderFactory.provider_to_class["openai"] = "__main__.Lengths"
    LlmFactory.provider_to_class["openai"] = (
        "__main__.Model",
        LlmFactory.provider_to_class["openai"][1],
    )
    VectorStoreFactory.provider_to_class["qdrant"] = "__main__.Store"
    folder = tempfile.mkdtemp()
    memory = Noting.from_config(
        {
            "vector_store": {"provider": "qdrant", "config": {"path": f"{folder}/q"}},
            "llm": {"provider": "openai", "config": {"model": "m"}},
            "embedder": {"provider": "openai"},
            "history_db_path": f"{folder}/history.db",
        }
    )
    drive(memory)
    sys.stdout.write(json.dumps(calls))
    return 0


if __name__ == "__main__":
    sys.exit(main())
