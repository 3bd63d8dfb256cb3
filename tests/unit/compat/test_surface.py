"""Everything that programs import from mem0 2.0.4 is there, or is listed here with the reason."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest

from tests.unit.compat.children import WITH_COMPAT, printed, told

LACKING = {
    "mem0.reranker.cohere_reranker.COHERE_AVAILABLE": "isomem needs no such library",
    "mem0.reranker.huggingface_reranker.TRANSFORMERS_AVAILABLE": "known when a reranker is made",
    "mem0.reranker.sentence_transformer_reranker.SENTENCE_TRANSFORMERS_AVAILABLE": "the same",
    "mem0.reranker.zero_entropy_reranker.ZERO_ENTROPY_AVAILABLE": "isomem needs no such library",
    "mem0.vector_stores.azure_mysql.AZURE_IDENTITY_AVAILABLE": "internal to that store's class",
    "mem0.vector_stores.faiss.SafeUnpickler": "internal to that store's class",
    "mem0.vector_stores.pgvector.OPERATOR_SQL_MAP": "internal to that store's class",
    "mem0.vector_stores.pgvector.PSYCOPG_VERSION": "internal to that store's class",
    "mem0.vector_stores.redis.DEFAULT_FIELDS": "internal to that store's class",
    "mem0.vector_stores.valkey.DEFAULT_FIELDS": "internal to that store's class",
}
"""Public names of mem0 that isomem does not have, and why."""

PRIVATE = {
    "mem0.memory.main": {
        "_build_filters_and_metadata",
        "_build_session_scope",
        "_normalize_iso_timestamp_to_utc",
        "_reject_top_level_entity_params",
        "_safe_deepcopy_config",
        "_validate_and_trim_entity_id",
        "_validate_search_params",
    }
}
"""Private names that published programs import."""


def names_in(body: list[ast.stmt]) -> Iterator[str]:
    """What a module defines, and what it takes from another module of mem0."""
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (each.id for each in node.targets if isinstance(each, ast.Name))
        elif isinstance(node, ast.ImportFrom) and (
            node.level or str(node.module).startswith("mem0")
        ):
            yield from (each.asname or each.name for each in node.names)
        elif isinstance(node, (ast.Try, ast.If)):
            yield from names_in(node.body)


def upstream() -> dict[str, set[str]]:
    """The modules of the installed mem0ai, with their names; nothing is imported."""
    package = distribution("mem0ai")
    assert package.version == "2.0.4"
    root = Path(str(package.locate_file("mem0")))
    found = {}
    for path in root.rglob("*.py"):
        parts = ["mem0", *path.relative_to(root).with_suffix("").parts]
        name = ".".join(parts).removesuffix(".__init__")
        found[name] = set(names_in(ast.parse(path.read_text("utf-8")).body))
    return found


@pytest.mark.oracle
def test_every_module_and_public_name_of_mem0_is_there_or_listed() -> None:
    theirs = upstream()
    assert len(theirs) > 120
    wanted = {
        f"{module}.{name}"
        for module, names in theirs.items()
        for name in names
        if not name.startswith("_") or name == "__version__"
    }
    ours = told(f"""
        {WITH_COMPAT}
        import importlib, json
        found = []
        for name in {sorted(theirs)!r}:
            module = importlib.import_module(name)
            found += [f"{{name}}.{{each}}" for each in dir(module) if hasattr(module, each)]
        print(json.dumps(found))
    """)
    assert wanted - set(ours) == set(LACKING)
    for module, names in PRIVATE.items():
        assert names <= theirs[module]
        assert {f"{module}.{name}" for name in names} <= set(ours)


CLASSES = """
import importlib, inspect, json
found = {}
for module, names in %r.items():
    for name in names:
        made = getattr(importlib.import_module(module), name)
        methods = [each for each in dir(made) if not each.startswith("_")]
        helpers = [each for each in %r if hasattr(made, each)]
        abstract = sorted(getattr(made, "__abstractmethods__", ()))
        found[f"{module}.{name}"] = [methods, helpers, abstract]
print(json.dumps(found))
"""
BASES = {
    "mem0.llms.base": ["LLMBase"],
    "mem0.embeddings.base": ["EmbeddingBase"],
    "mem0.vector_stores.base": ["VectorStoreBase"],
    "mem0.reranker.base": ["BaseReranker"],
    "mem0.memory.base": ["MemoryBase"],
    "mem0.memory.main": ["Memory", "AsyncMemory"],
    "mem0.client.main": ["MemoryClient", "AsyncMemoryClient"],
    "mem0.utils.factory": [
        "LlmFactory",
        "EmbedderFactory",
        "VectorStoreFactory",
        "RerankerFactory",
    ],
}
HELPERS = [
    "_get_common_params",
    "_get_supported_params",
    "_is_reasoning_model",
    "_validate_config",
    "_add_to_vector_store",
    "_create_memory",
    "_create_procedural_memory",
    "_update_memory",
    "_delete_memory",
    "_search_vector_store",
    "_get_all_from_vector_store",
    "_should_use_agent_memory_extraction",
]


@pytest.mark.oracle
def test_the_base_classes_have_mem0s_methods_helpers_and_abstract_methods() -> None:
    program = CLASSES % (BASES, HELPERS)
    theirs, ours = told(program, warnings="ignore"), told(WITH_COMPAT + program)
    for name, (methods, helpers, abstract) in theirs.items():
        # The entity store is an attribute of each memory here, which has it from the beginning.
        assert set(methods) - {"entity_store"} <= set(ours[name][0]), name
        assert set(helpers) <= set(ours[name][1]), name
        assert abstract == ours[name][2], name


OPTION_CLASSES = """
import importlib, inspect, json
found = {}
for module in %r:
    for name, made in inspect.getmembers(importlib.import_module(module), inspect.isclass):
        if name.endswith("Config") and name not in ("BaseModel", "AzureConfig"):
            if hasattr(made, "model_fields"):
                fields = {
                    key: "required" if field.is_required()
                    else repr(getattr(field.default, "value", field.default))
                    for key, field in made.model_fields.items()
                }
            else:
                fields = {
                    key: repr(each.default)
                    for key, each in inspect.signature(made).parameters.items()
                    if each.kind is not each.VAR_KEYWORD
                }
            found[name] = fields
print(json.dumps(found))
"""
OPTION_MODULES = [
    *(
        f"mem0.configs.llms.{name}"
        for name in (
            "anthropic", "aws_bedrock", "azure", "base", "deepseek", "lmstudio", "minimax",
            "ollama", "openai", "vllm",
        )
    ),
    "mem0.configs.embeddings.base",
    *(
        f"mem0.configs.rerankers.{name}"
        for name in (
            "base", "cohere", "config", "huggingface", "llm", "sentence_transformer",
            "zero_entropy",
        )
    ),
    *(
        f"mem0.configs.vector_stores.{name}"
        for name in (
            "azure_ai_search", "azure_mysql", "baidu", "cassandra", "elasticsearch", "faiss",
            "milvus", "mongodb", "neptune", "opensearch", "pgvector", "pinecone", "qdrant",
            "redis", "s3_vectors", "supabase", "turbopuffer", "valkey",
            "vertex_ai_vector_search",
        )
    ),
]  # fmt: skip
"""Those that mem0 can import without the library of a store."""


@pytest.mark.oracle
def test_the_configuration_classes_have_mem0s_options_and_defaults() -> None:
    program = OPTION_CLASSES % OPTION_MODULES
    theirs, ours = told(program, warnings="ignore"), told(WITH_COMPAT + program)
    assert len(theirs) > 35
    more = {"AWSBedrockConfig": {"api_key", "enable_vision", "vision_details", "reasoning_effort"}}
    more["AWSBedrockConfig"].add("http_client_proxies")  # In mem0, through **kwargs.
    for name, options in theirs.items():
        assert {key: ours[name].get(key) for key in options} == options, name
        assert set(ours[name]) - set(options) == more.get(name, set()), name


def test_a_star_import_has_the_public_names() -> None:
    program = WITH_COMPAT + "from mem0.configs.prompts import *\nprint(len(MEMORY_ANSWER_PROMPT))"
    assert int(printed(program)) > 100


def test_mem0_has_a_version_a_spec_a_file_and_a_distribution() -> None:
    program = """
        import isomem.compat
        import importlib.metadata, importlib.util, json, os, sys
        import mem0
        spec = importlib.util.find_spec("mem0")
        print(json.dumps([
            mem0.__version__, importlib.metadata.version("mem0ai"), spec is mem0.__spec__,
            spec.name, os.path.exists(mem0.__file__), mem0.memory.main.__name__,
            importlib.util.find_spec("mem0.memory.main").name,
            importlib.util.find_spec("mem0.nothing"),
        ]))
    """
    assert told(program) == [
        "2.0.4", "2.0.4", True, "mem0", True, "mem0.memory.main", "mem0.memory.main", None,
    ]  # fmt: skip


def test_importing_it_imports_little_and_configuration_classes_do_not_import_pydantic() -> None:
    at_once = set(
        told("""
        import sys
        import isomem
        before = set(sys.modules)
        import isomem.compat
        import json
        print(json.dumps([name for name in set(sys.modules) - before if "isomem" in name]))
        """)
    )
    assert at_once == {"isomem.compat", "isomem.compat.modules", "isomem.compat.surface"}
    heavy = told(f"""
        {WITH_COMPAT}
        import sys, json
        from mem0 import AsyncMemory, Memory
        from mem0.configs.base import MemoryConfig
        from mem0.configs.vector_stores.qdrant import QdrantConfig
        from mem0.configs.llms.openai import OpenAIConfig
        MemoryConfig(llm={{"provider": "openai", "config": {{"model": "m"}}}}).model_dump()
        QdrantConfig(path="p").model_dump()
        OpenAIConfig(model="m")
        heavy = ("pydantic", "pydantic_core", "qdrant_client", "openai", "posthog", "httpx")
        print(json.dumps([name for name in heavy if name in sys.modules]))
    """)
    assert heavy == []
