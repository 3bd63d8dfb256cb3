"""`import isomem.compat` makes programs written for mem0 run on isomem."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

import pytest


def run(program: str) -> subprocess.CompletedProcess[str]:
    source = textwrap.dedent(program)
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", source], capture_output=True, text=True, check=False
    )


def test_an_existing_program_runs_after_one_line() -> None:
    done = run("""
        import isomem.compat
        from mem0 import AsyncMemory, Memory
        from mem0.configs.base import MemoryConfig
        from mem0.configs.enums import MemoryType
        from mem0.embeddings.base import EmbeddingBase
        from mem0.exceptions import ValidationError
        from mem0.memory.main import Memory as SameMemory
        from mem0.vector_stores.configs import VectorStoreConfig
        import mem0.memory.utils

        class Lengths(EmbeddingBase):
            def embed(self, text, memory_action=None):
                return [1.0, float(len(text))]

        from mem0.embeddings.configs import EmbedderConfig
        from mem0.llms.configs import LlmConfig

        config = MemoryConfig(
            vector_store=VectorStoreConfig(
                provider="embedded", config={"path": ":memory:", "embedding_model_dims": 2}
            ),
            embedder=EmbedderConfig(provider="mock"),
            llm=LlmConfig(provider="mock"),
        )
        memory = Memory(config)
        memory.embedding_model = Lengths()
        memory.add("hello", user_id="u", infer=False)
        assert memory.search("hello", filters={"user_id": "u"})["results"][0]["memory"] == "hello"
        assert SameMemory is Memory and MemoryType.PROCEDURAL.value == "procedural_memory"
        try:
            memory.add("hello")
        except ValidationError as error:
            assert error.error_code == "VALIDATION_001"
        assert mem0.memory.utils.remove_code_blocks("```json\\n{}\\n```") == "{}"
        assert isomem.compat.install() is mem0
    """)
    assert done.returncode == 0, done.stderr


def test_prompts_are_found_under_their_module() -> None:
    done = run("""
        import isomem.compat
        from mem0.configs.prompts import MEMORY_ANSWER_PROMPT
        assert MEMORY_ANSWER_PROMPT
    """)
    assert done.returncode == 0, done.stderr


def test_a_name_that_isomem_lacks_is_refused_by_name() -> None:
    done = run("import isomem.compat\nfrom mem0 import GraphMemory")
    assert "GraphMemory" in done.stderr
    assert "ImportError" in done.stderr


def test_it_must_come_before_the_real_one() -> None:
    done = run("""
        import sys, types
        sys.modules["mem0"] = types.ModuleType("mem0")
        import isomem.compat
    """)
    assert "put `import isomem.compat` before" in done.stderr


def test_uninstall_gives_the_name_back() -> None:
    done = run("""
        import sys
        import isomem.compat
        isomem.compat.uninstall()
        assert not any(name.partition(".")[0] == "mem0" for name in sys.modules)
    """)
    assert done.returncode == 0, done.stderr


def test_an_error_that_isomem_never_raises_is_still_there_to_be_caught() -> None:
    done = run("""
        import isomem, isomem.compat, pickle
        from mem0.exceptions import CacheError, MemoryQuotaExceededError, VectorSearchError
        for kind in (CacheError, MemoryQuotaExceededError, VectorSearchError):
            error = kind("full", "QUOTA_001", {"used": 5}, "Pay", {"id": 1})
            assert issubclass(kind, isomem.MemoryError)
            assert not hasattr(isomem.errors, kind.__name__)
            assert (error.message, error.suggestion) == ("full", "Pay")
            assert error.error_code == "QUOTA_001"
            assert (error.details, error.debug_info) == ({"used": 5}, {"id": 1})
            assert repr(pickle.loads(pickle.dumps(error))) == repr(error)
    """)
    assert done.returncode == 0, done.stderr


SIGNATURES = """
import inspect, json
from mem0 import exceptions
print(json.dumps({
    name: [list(inspect.signature(kind).parameters), *attributes(kind)]
    for name, kind in sorted(vars(exceptions).items())
    if isinstance(kind, type) and issubclass(kind, exceptions.MemoryError)
}))
"""
ATTRIBUTES = """
def attributes(kind):
    made = kind("m", "C", {"a": 1}, "S", {"b": 2})
    return [vars(made), list(made.args)]
"""


@pytest.mark.oracle
def test_the_errors_have_mem0s_names_signatures_and_attributes() -> None:
    theirs = run(ATTRIBUTES + SIGNATURES)
    ours = run("import isomem.compat" + ATTRIBUTES + SIGNATURES)
    assert theirs.returncode == ours.returncode == 0, theirs.stderr + ours.stderr
    wanted, found = json.loads(theirs.stdout), json.loads(ours.stdout)
    assert len(wanted) > 10
    assert {name: found.get(name) for name in wanted} == wanted
