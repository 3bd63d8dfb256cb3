"""Importing costs little, does nothing, and gives the names that are documented."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import isomem
from isomem import errors
from scripts.imports import SOURCE


def test_the_names_of_the_package_are_exact() -> None:
    names = ["AsyncClient", "AsyncMemory", "Client", "Memory", "MemoryConfig", *errors.__all__]
    assert sorted(isomem.__all__) == sorted([*names, "__version__"])
    code = (
        "import isomem, types; print(sorted(name for name in dir(isomem) if name[0] != '_'"
        " and not isinstance(getattr(isomem, name), types.ModuleType)))"
    )
    assert run(code) == str(sorted([*names, "annotations", "TYPE_CHECKING"]))


def test_the_asynchronous_class_and_the_clients_are_imported_on_their_first_use() -> None:
    code = (
        "import sys, isomem; before = 'isomem.memory_async' in sys.modules; isomem.AsyncMemory;"
        " print(before, 'isomem.memory_async' in sys.modules, hasattr(isomem, 'Asyncmemory'))"
    )
    assert run(code) == "False True False"


def run(code: str) -> str:
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env={"PYTHONPATH": str(SOURCE)}
    )
    return done.stdout.strip()


def test_spacy_is_imported_inside_a_function() -> None:
    code = "import sys, isomem.text.tiers, isomem.text.spacy_tier; print('spacy' in sys.modules)"
    assert run(code) == "False"


def test_the_harness_is_imported_when_its_command_runs() -> None:
    code = "import sys, isomem.cli.commands; print('isomem_parity' in sys.modules)"
    assert run(code) == "False"


HEAVY = (
    "asyncio", "logging", "httpx", "numpy", "hashlib", "_hashlib", "ssl", "dataclasses",
    "importlib.metadata", "pydantic", "concurrent.futures", "threading", "sqlite3", "pathlib",
    "urllib.request", "http.client", "email", "inspect", "uuid", "random", "contextlib",
)  # fmt: skip


def test_importing_the_package_loads_nothing_heavy() -> None:
    bare = set(json.loads(run("import json, sys; print(json.dumps(list(sys.modules)))")))
    code = "import isomem, json, sys; print(json.dumps(list(sys.modules)))"
    loaded = set(json.loads(run(code))) - bare
    assert not loaded & set(HEAVY)


def test_a_synchronous_memory_loads_nothing_heavy_either(tmp_path: Path) -> None:
    code = f"""
import sys
before = set(sys.modules)
from isomem import Memory
memory = Memory.from_config({{
    "vector_store": {{"provider": "embedded", "config": {{"path": {str(tmp_path / "m.db")!r}}}}},
    "embedder": {{"provider": "mock", "config": {{"embedding_dims": 16}}}},
    "llm": {{"provider": "mock", "config": {{"replies": [
        {{"memory": [{{"text": "Ana likes green tea"}}]}}]}}}},
}})
added = memory.add("I am Ana and I like green tea", user_id="ana")["results"]
assert memory.search("tea for Ana", filters={{"user_id": "ana", "n": {{"ne": 1}}}}) is not None
memory.update(added[0]["id"], "Ana likes black tea")
memory.delete(added[0]["id"])
memory.history(added[0]["id"]), memory.reset(), memory.close()
print(sorted((set(sys.modules) - before) & set({HEAVY!r})))
"""
    assert run(code) == "[]"


def test_importing_starts_no_thread_and_writes_nothing(tmp_path: Path) -> None:
    code = f"""
import os, sys
os.environ["HOME"] = os.environ["ISOMEM_DIR"] = {str(tmp_path)!r}
import isomem, isomem.config
isomem.MemoryConfig()
import threading
print(threading.active_count(), os.listdir({str(tmp_path)!r}))
"""
    assert run(code) == "1 []"
