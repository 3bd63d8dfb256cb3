"""Data flows one way, importing costs little, and everything public says what it is for."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import isomem
from isomem import errors
from scripts.imports import (
    HARNESS,
    PACKAGE,
    SOURCE,
    circles,
    dotted,
    imports_of,
    module_graph,
    modules,
    part_graph,
    part_of,
    reachable,
    tree_of,
)

# Who may be imported by whom: a part may import the parts in its row, and itself.
LOWEST = {"types", "errors", "kernel", "pieces", "pattern", "dates"}
PURE = LOWEST | {"causes", "clock", "digest", "log", "options", "contract"}
ALLOWED: dict[str, set[str]] = {
    "types": set(),
    "kernel": set(),
    "pieces": set(),
    "pattern": set(),
    "dates": set(),
    "errors": set(),
    "causes": {"errors"},
    "log": set(),
    "results": set(),
    "clock": LOWEST,
    "digest": set(),
    "options": LOWEST,
    "contract": LOWEST | {"clock", "digest", "log", "options"},
    "ports": LOWEST | {"clock", "contract", "log"},
    "engine_options": LOWEST | {"options"},
    "config": LOWEST | {"log", "options", "engine_options"},
    "text": LOWEST | {"log", "options", "ports", "contract"},
    "prompts": LOWEST | {"log"},
    "pipeline": PURE | {"text", "prompts", "ports", "results"},
    "store": PURE | {"ports"},
    "providers": PURE | {"ports", "prompts"},
    "stores": PURE | {"config", "ports", "providers", "store", "text"},
    "wiring": PURE | {"providers", "text", "config", "ports"},
    "facade": PURE | {"wiring", "stores", "config", "config_file", "ports"},
    "memory": PURE | {"facade", "pipeline", "config", "ports", "results"},
    "memory_async": PURE | {"facade", "pipeline", "config", "ports", "results"},
    "config_file": LOWEST,
    "location": LOWEST | {"config"},
    "testing": PURE | {"providers", "ports"},
    "reference": PURE | {"config", "providers", "text"},
    "client": PURE
    | {"memory", "memory_async", "pipeline", "providers", "results", "store", "text"},
    "": {"client", "config", "errors", "memory", "memory_async"},
}
# The front ends and the tools, which nothing below imports.
BELOW = set(ALLOWED)
ALLOWED |= {
    "compat": BELOW,
    "demo": BELOW | {"ingest"},
    "importer": BELOW | {"moving"},
    "moving": BELOW,
    "ingest": BELOW,
    "reembed": BELOW,
    "serve": BELOW,
    "cli": BELOW | {"demo", "ingest", "moving", "reembed", "serve"},
    "__main__": {"cli"},
}
# A pipeline and the pure parts ask nobody: no disk, no network, no clock of their own.
NO_INPUT_OR_OUTPUT = ("contract", "pipeline", "text")
INPUT_OR_OUTPUT = {
    "aiohttp", "apsw", "asyncio", "concurrent", "fcntl", "ftplib", "glob", "http", "httpx", "io",
    "logging", "mmap", "multiprocessing", "numpy", "openai", "os", "pathlib", "pickle", "random",
    "requests", "secrets", "select", "shelve", "shutil", "signal", "simsimd", "smtplib", "socket",
    "sqlite3", "ssl", "subprocess", "tempfile", "threading", "time", "urllib", "uuid",
}  # fmt: skip


def test_no_import_points_up() -> None:
    """Types and imports inside functions included: what a part may import stands in its row."""
    for path in modules():
        part = part_of(dotted(path))
        for found in imports_of(path):
            target = part_of(found.name)
            if found.name.split(".")[0] == "isomem" and target != part:
                assert target in ALLOWED[part], f"{path}:{found.line} imports {found.name}"


def test_every_part_has_a_row_and_every_row_a_part() -> None:
    assert {part_of(dotted(path)) for path in modules()} == set(ALLOWED)


def test_the_rows_have_a_direction() -> None:
    """A part that its own imports may import, over any number of steps, would be a circle."""
    graph = {part: frozenset(row) for part, row in ALLOWED.items()}
    assert not [part for part in graph if part in reachable(graph, part)]


def test_no_part_is_in_a_circle() -> None:
    assert circles(part_graph()) == set()


@pytest.mark.parametrize("package", [PACKAGE, HARNESS], ids=lambda path: path.name)
def test_no_module_is_in_a_circle(package: Path) -> None:
    assert circles(module_graph(package)) == set()


def test_the_harness_is_known_to_its_command_alone_and_imported_when_that_runs() -> None:
    """It is a distribution of its own, so nothing else may need it."""
    knowing = [
        dotted(path)
        for path in modules()
        if any(found.name.split(".")[0] == HARNESS.name for found in imports_of(path))
    ]
    assert knowing == ["isomem.cli.commands"]
    code = "import sys, isomem.cli.commands; print('isomem_parity' in sys.modules)"
    assert run(code) == "False"


def test_a_circle_is_found_over_any_number_of_steps() -> None:
    graph = {"a": "b", "b": "c", "c": "ad", "d": "e", "e": "", "f": "gd", "g": "f"}
    found = circles({name: frozenset(targets) for name, targets in graph.items()})
    assert found == {frozenset("abc"), frozenset("fg")}


def test_imports_for_types_and_inside_functions_are_in_the_graph() -> None:
    graph = module_graph()
    assert "isomem.types" in graph["isomem.ports.shapes"]  # under TYPE_CHECKING
    assert "isomem.text.spacy_tier" in graph["isomem.text.tiers"]  # in a function


@pytest.mark.parametrize(
    "path",
    [path for path in modules() if part_of(dotted(path)) in NO_INPUT_OR_OUTPUT],
    ids=dotted,
)
def test_pure_parts_import_no_input_or_output(path: Path) -> None:
    for found in imports_of(path):
        top = found.name.split(".")[0]
        if top in {"os", "threading"} and path.name == "spacy_tier.py":
            continue  # It looks for the model of spaCy beside spaCy, and shares what it loads.
        assert top not in INPUT_OR_OUTPUT, f"{path}:{found.line} imports {found.name}"
        if top == "spacy":
            assert path.name == "spacy_tier.py"


def test_spacy_is_imported_inside_a_function() -> None:
    code = "import sys, isomem.text.tiers, isomem.text.spacy_tier; print('spacy' in sys.modules)"
    assert run(code) == "False"


@pytest.mark.parametrize("path", [*modules(), *modules(HARNESS)], ids=dotted)
def test_every_public_thing_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(tree_of(path)), f"{path} has no docstring"
    if path.is_relative_to(HARNESS):
        return  # A tool and no part of the API: its modules and classes say what they are for.
    for node, inside in public(tree_of(path)):
        assert said(node, inside), f"{path}:{node.lineno} {inside}{node.name}"


Named = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def public(node: ast.AST, inside: str = "") -> Iterator[tuple[Named, str]]:
    """The public classes, functions and methods, and the names of the classes they are in."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Named) and not child.name.startswith("_"):
            yield child, inside
            if isinstance(child, ast.ClassDef):
                yield from public(child, f"{child.name}.")


def said(node: Named, inside: str) -> bool:
    """By its own docstring or by that of what it overrides or derives from."""
    if ast.get_docstring(node) or is_stub(node):
        return True
    if isinstance(node, ast.ClassDef):
        return bool(node.bases)
    return bool(inside) and node.name in explained()


@cache
def explained() -> set[str]:
    """The methods that are explained somewhere, and those of ports, whose classes say it all."""
    found: set[str] = set()
    for path in modules():
        for node, inside in public(tree_of(path)):
            if inside and (ast.get_docstring(node) or path.name == "shapes.py"):
                found.add(node.name)
    return found


def is_stub(node: ast.AST) -> bool:
    last = getattr(node, "body", [None])[-1]
    return isinstance(last, ast.Expr) and getattr(last.value, "value", None) is Ellipsis


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
