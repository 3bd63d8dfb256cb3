"""`mem0.utils.factory`: a class that a program registers is what a memory uses for that name."""

from __future__ import annotations

import pytest

from tests.unit.compat.children import run, told

PARTS = """
import isomem.compat, json, sys, types
from mem0 import Memory
from mem0.configs.base import MemoryConfig
from mem0.configs.llms.base import BaseLlmConfig
from mem0.embeddings.base import EmbeddingBase
from mem0.llms.base import LLMBase
from mem0.reranker.base import BaseReranker
from mem0.utils.factory import EmbedderFactory, LlmFactory, RerankerFactory, VectorStoreFactory

class Model(LLMBase):
    def generate_response(self, messages, tools=None, tool_choice="auto", **kwargs):
        return json.dumps({"memory": [{"text": "said by " + str(self.config.model)}]})

class Lengths(EmbeddingBase):
    def embed(self, text, memory_action=None):
        return [1.0, float(len(text))]

class Reversed(BaseReranker):
    def __init__(self, config):
        self.config = config
    def rerank(self, query, documents, top_k=None):
        return [{**each, "rerank_score": 1.0} for each in reversed(documents)]

STORE = {"provider": "embedded", "config": {"path": ":memory:"}}
"""


@pytest.mark.parametrize(
    ("llm", "embedder"),
    [
        ('LlmFactory.register_provider("own", "__main__.Model")', ""),
        ('LlmFactory.provider_to_class["own"] = ("__main__.Model", BaseLlmConfig)', ""),
        ('LlmFactory.provider_to_class["own"] = "__main__.Model"', ""),
        (
            'LlmFactory.provider_to_class["own"] = ("__main__.Model", None)',
            'EmbedderFactory.register_provider("lengths", "__main__.Lengths")',
        ),
    ],
)
def test_a_registered_model_and_embedder_are_used(llm: str, embedder: str) -> None:
    used = embedder or 'EmbedderFactory.provider_to_class["lengths"] = "__main__.Lengths"'
    assert (
        told(f"""{PARTS}
{llm}
{used}
config = {{
    "vector_store": STORE, "llm": {{"provider": "own", "config": {{"model": "m"}}}},
    "embedder": {{"provider": "lengths", "config": {{"embedding_dims": 2}}}},
}}
made = [Memory.from_config(config), Memory(MemoryConfig(**config))]
print(json.dumps([
    [type(each.llm).__name__, type(each.llm.config).__name__, each.embedding_model.embed("ab"),
     [one["memory"] for one in each.add("x", user_id="u")["results"]]]
    for each in made
]))
""")
        == [["Model", "BaseLlmConfig", [1.0, 2.0], ["said by m"]]] * 2
    )


def test_a_class_that_replaces_one_of_mem0s_is_used() -> None:
    assert told(f"""{PARTS}
LlmFactory.provider_to_class["gemini"] = "__main__.Model"
EmbedderFactory.provider_to_class["openai"] = "__main__.Lengths"
RerankerFactory.provider_to_class["cohere"] = ("__main__.Reversed", None)
memory = Memory.from_config({{
    "vector_store": STORE, "llm": {{"provider": "gemini", "config": {{"model": "m"}}}},
    "embedder": {{"provider": "openai"}}, "reranker": {{"provider": "cohere"}},
}})
for text in ("a", "ab"):
    memory.add(text, user_id="u", infer=False)
plain = memory.search("ab", filters={{"user_id": "u"}})["results"]
again = memory.search("ab", filters={{"user_id": "u"}}, rerank=True)["results"]
print(json.dumps([
    type(memory.llm).__name__, type(memory.reranker.config).__name__,
    [each["memory"] for each in plain], [each["memory"] for each in again],
]))
""") == ["Model", "BaseRerankerConfig", ["ab", "a"], ["a", "ab"]]


STORE_CLASS = """
class Own:
    made = []
    def __init__(self, collection_name, embedding_model_dims, path, distance):
        Own.made.append([collection_name, embedding_model_dims, path, distance])
        self.points = {}
    def insert(self, vectors, payloads=None, ids=None):
        for one, payload in zip(ids, payloads):
            self.points[one] = types.SimpleNamespace(id=one, payload=payload, score=1.0)
    def search(self, query, vectors, top_k=5, filters=None):
        return list(self.points.values())[:top_k]
    def list(self, filters=None, top_k=None):
        return [list(self.points.values())]
    def get(self, vector_id):
        return self.points.get(vector_id)
    def delete(self, vector_id):
        self.points.pop(vector_id, None)
    def update(self, vector_id, vector=None, payload=None):
        self.points[vector_id].payload = payload
    def reset(self):
        self.points.clear()
"""


def test_a_registered_store_with_a_configuration_class_of_its_own_is_used() -> None:
    """Published programs put a module under mem0's name, and its class into a private table."""
    assert told(f"""{PARTS}{STORE_CLASS}
from pydantic import BaseModel
from mem0.vector_stores.configs import VectorStoreConfig
class OwnConfig(BaseModel):
    collection_name: str = "memories"
    embedding_model_dims: int | None = 7
    path: str = "somewhere"
    distance: str = "cosine"
module = types.ModuleType("mem0.configs.vector_stores.own")
module.OwnConfig = OwnConfig
sys.modules[module.__name__] = module
VectorStoreConfig.__private_attributes__["_provider_configs"].default["own"] = "OwnConfig"
VectorStoreFactory.provider_to_class["own"] = "__main__.Own"
store = {{"provider": "own", "config": {{"distance": "dot"}}}}
rest = {{"embedder": {{"provider": "mock"}}, "llm": {{"provider": "mock"}}}}
made = [Memory.from_config({{"vector_store": store, **rest}}),
        Memory(MemoryConfig(vector_store=store, **rest))]
for memory in made:
    memory.add("likes tea", user_id="u", infer=False)
print(json.dumps([
    type(VectorStoreConfig(**store).config).__name__, Own.made,
    [[each["memory"] for each in one.get_all(filters={{"user_id": "u"}})["results"]]
     for one in made],
]))
""") == [
        "OwnConfig",
        [
            ["memories", 7, "/tmp/own", "dot"],
            ["memories_entities", 7, "/tmp/own", "dot"],
            ["memories", 7, "/tmp/own", "dot"],
            ["memories_entities", 7, "/tmp/own", "dot"],
        ],
        [["likes tea"], ["likes tea"]],
    ]


def test_create_that_a_test_replaces_is_what_a_memory_calls() -> None:
    assert told("""
        import isomem.compat, json
        from unittest.mock import patch
        from mem0 import Memory
        config = {"vector_store": {"provider": "qdrant", "config": {"path": "p"}},
                  "llm": {"provider": "openai"}, "embedder": {"provider": "openai"}}
        with patch("mem0.utils.factory.LlmFactory.create") as llm, \\
             patch("mem0.utils.factory.EmbedderFactory.create") as embedder, \\
             patch("mem0.utils.factory.VectorStoreFactory.create") as store:
            memory = Memory.from_config(config)
            plain = Memory()
        assert plain.vector_store is store.return_value and plain.config.version == "v1.1"
        print(json.dumps([
            memory.llm is llm.return_value, memory.embedding_model is embedder.return_value,
            memory.vector_store is store.return_value, llm.call_args.args[0],
        ]))
        config["vector_store"] = {"provider": "embedded", "config": {"path": ":memory:"}}
        config["embedder"] = {"provider": "mock"}
        with patch("mem0.memory.main.LlmFactory") as llm:
            assert Memory.from_config(config).llm is llm.create.return_value
    """) == [True, True, True, "openai"]


def test_a_history_that_a_program_replaces_is_what_a_memory_writes_to() -> None:
    assert told("""
        import isomem.compat, json
        import mem0.memory.main as main
        class Own(main.SQLiteManager):
            rows = []
            def batch_add_history(self, records):
                Own.rows += [[each["event"], each["new_memory"]] for each in records]
        main.SQLiteManager = Own
        memory = main.Memory.from_config({
            "vector_store": {"provider": "embedded", "config": {"path": ":memory:"}},
            "llm": {"provider": "mock"}, "embedder": {"provider": "mock"},
            "history_db_path": ":memory:",
        })
        memory.add("likes tea", user_id="u", infer=False)
        print(json.dumps([type(memory.db).__name__, Own.rows]))
    """) == ["Own", [["ADD", "likes tea"]]]


def test_a_name_that_nobody_has_is_refused() -> None:
    done = run("""
        import isomem.compat
        from mem0.utils.factory import EmbedderFactory, LlmFactory, RerankerFactory
        for factory in (LlmFactory, EmbedderFactory, RerankerFactory):
            try:
                factory.create("nobody", {})
            except ValueError as error:
                assert str(error).startswith("Unsupported"), error
            else:
                raise AssertionError(factory)
        assert LlmFactory.get_supported_providers()[:1] == ["anthropic"]
    """)
    assert done.returncode == 0, done.stderr


CONCRETE = """
import isomem.compat, json, os
os.environ["OPENAI_API_KEY"] = "k"
from mem0.configs.llms.base import BaseLlmConfig
from mem0.configs.llms.openai import OpenAIConfig
from mem0.configs.embeddings.base import BaseEmbedderConfig
from mem0.embeddings.openai import OpenAIEmbedding
from mem0.embeddings.ollama import OllamaEmbedding
from mem0.llms.base import LLMBase
from mem0.llms.openai import OpenAILLM
"""


def test_a_concrete_class_takes_mem0s_configuration_objects_and_can_be_subclassed() -> None:
    assert told(f"""{CONCRETE}
class Config(OpenAIConfig):
    def __init__(self, own=None, **options):
        super().__init__(**options)
        self.own = own
class Mine(OpenAILLM):
    def __init__(self, config=None):
        super().__init__(config)
        self.mine = self.config.own
    def generate_response(self, messages, **more):
        return "mine"
own = Config(own=1, model="m", temperature=0.5)
given = [own, {{"model": "m"}}, BaseLlmConfig(model="m"), None]
made = [Mine(given[0])] + [OpenAILLM(each) for each in given]
print(json.dumps([
    [each.config.model, each.config.temperature, isinstance(each, LLMBase)] for each in made
] + [made[0].mine, made[0].generate_response([]), hasattr(made[0], "agenerate_response"),
     hasattr(made[1], "agenerate_response"), made[1]._get_common_params(x=1)["x"]]))
""") == [
        ["m", 0.5, True],
        ["m", 0.5, True],
        ["m", 0.1, True],
        ["m", 0.1, True],
        ["gpt-5-mini", 0.1, True],
        1,
        "mine",
        False,
        True,
        1,
    ]


def test_asynchronous_memories_call_what_a_program_replaced() -> None:
    """In a subclass, or in mem0's class: isomem's own asynchronous method must not be used."""
    assert told(f"""{CONCRETE}
import asyncio
from mem0 import AsyncMemory
from mem0.utils.factory import LlmFactory
reply = json.dumps({{"memory": [{{"text": "replaced"}}]}})
OpenAILLM.generate_response = lambda self, messages, **more: reply
class Embedder(OllamaEmbedding):
    def embed(self, text, memory_action=None):
        return [1.0, float(len(text))]
async def main():
    memory = AsyncMemory.from_config({{
        "vector_store": {{"provider": "embedded",
                          "config": {{"path": ":memory:", "embedding_model_dims": 2}}}},
        "llm": {{"provider": "openai"}}, "embedder": {{"provider": "mock"}},
    }})
    memory.embedding_model = Embedder(BaseEmbedderConfig(model="m"))
    added = await memory.add("x", user_id="u")
    return [each["memory"] for each in added["results"]]
embedder = Embedder()
print(json.dumps([asyncio.run(main()), embedder.embed_batch(["a", "ab"]),
                  [hasattr(embedder, each) for each in ("aembed", "aembed_batch")],
                  hasattr(OllamaEmbedding(), "aembed_batch")]))
""") == [["replaced"], [[1.0, 1.0], [1.0, 2.0]], [False, False], True]
