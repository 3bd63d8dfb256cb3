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

SOURCE = Path(__file__).resolve().parents[2] / "src"
PACKAGE = SOURCE / "isomem"

# Who may be imported by whom: a part may import the parts in its row, and itself.
LOWEST = {"types", "errors", "kernel", "pattern", "dates"}
PURE = LOWEST | {
    "clock", "digest", "log", "options", "scope", "scoring", "filters", "contract",
}  # fmt: skip
ALLOWED: dict[str, set[str]] = {
    "types": set(),
    "kernel": set(),
    "pattern": set(),
    "dates": set(),
    "errors": set(),
    "log": set(),
    "guard": set(),
    "clock": LOWEST,
    "digest": set(),
    "drive": {"guard"},
    "scoring": set(),
    "contract": LOWEST | {"clock", "digest"},
    "filters": LOWEST | {"contract"},
    "options": LOWEST,
    "ports": LOWEST | {"clock", "contract"},
    "scope": LOWEST | {"log", "contract"},
    "config": LOWEST | {"log", "options"},
    "text": LOWEST | {"log", "options", "ports", "contract"},
    "prompts": LOWEST | {"log"},
    "pipeline": PURE | {"text", "prompts", "ports", "guard"},
    "store": PURE | {"ports"},
    "stores": PURE | {"ports", "guard", "store"},
    "providers": PURE | {"ports", "prompts"},
    "blocking": PURE | {"ports", "guard"},
    "asynchronous": PURE | {"ports", "guard", "blocking"},
    "wiring": PURE | {"store", "stores", "providers", "text", "config", "ports"},
    "memory": PURE
    | {"pipeline", "blocking", "asynchronous", "wiring", "stores", "config", "drive", "ports"},
    "testing": PURE | {"providers", "ports"},
    "": {"config", "memory"},
}
# A pipeline and the pure parts ask nobody: no disk, no network, no clock of their own.
NO_INPUT_OR_OUTPUT = ("contract", "pipeline", "scoring", "filters", "text", "scope", "drive")
INPUT_OR_OUTPUT = {
    "aiohttp", "apsw", "asyncio", "concurrent", "fcntl", "ftplib", "glob", "http", "httpx", "io",
    "logging", "mmap", "multiprocessing", "numpy", "openai", "os", "pathlib", "pickle", "random",
    "requests", "secrets", "select", "shelve", "shutil", "signal", "simsimd", "smtplib", "socket",
    "sqlite3", "ssl", "subprocess", "tempfile", "threading", "time", "urllib", "uuid",
}  # fmt: skip


class Import:
    """One import: of which module, and whether at run time."""

    def __init__(self, name: str, line: int, *, typing: bool) -> None:
        self.name = name
        self.line = line
        self.typing = typing


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")


def part_of(module: str) -> str:
    """The first name below the package; of a name in it, the module that holds it."""
    return module.removeprefix("isomem").removeprefix(".").partition(".")[0]


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports_in(node: ast.AST, *, typing: bool = False) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        guarded = typing
        if isinstance(child, ast.If) and getattr(child.test, "id", "") == "TYPE_CHECKING":
            for each in child.body:
                yield from imports_in(ast.Module([each], []), typing=True)
            for each in child.orelse:
                yield from imports_in(ast.Module([each], []), typing=typing)
            continue
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(alias.name, child.lineno, typing=typing)
        elif isinstance(child, ast.ImportFrom):
            yield from names_of(child, typing=typing)
        yield from imports_in(child, typing=guarded)


def names_of(node: ast.ImportFrom, *, typing: bool) -> Iterator[Import]:
    module = node.module or ""
    for alias in node.names:
        # `from isomem import log` imports a module, `from isomem.log import x` a name in it.
        inner = PACKAGE.parent / Path(*module.split(".")) / alias.name
        is_module = inner.is_dir() or inner.with_suffix(".py").is_file()
        name = f"{module}.{alias.name}" if module == "isomem" and is_module else module
        yield Import(name, node.lineno, typing=typing)


@pytest.mark.parametrize("path", modules(), ids=dotted)
def test_no_import_points_up(path: Path) -> None:
    part = part_of(dotted(path))
    if part not in ALLOWED:  # A front end, or a tool: it stands above everything.
        return
    for found in imports_in(tree_of(path)):
        if found.name.split(".")[0] != "isomem":
            continue
        target = part_of(found.name)
        if target == part:
            continue
        assert target in ALLOWED[part], f"{path}:{found.line} imports {found.name}"


def test_nothing_below_imports_a_front_end() -> None:
    parts = {part_of(dotted(path)) for path in modules()}
    above = parts - set(ALLOWED)
    assert {"cli"} <= above
    assert above <= {
        "cli", "serve", "compat", "parity", "demo", "demo_data", "importer", "ingest", "__main__",
    }  # fmt: skip
    assert not any(above & allowed for allowed in ALLOWED.values())


@pytest.mark.parametrize(
    "path",
    [path for path in modules() if part_of(dotted(path)) in NO_INPUT_OR_OUTPUT],
    ids=dotted,
)
def test_pure_parts_import_no_input_or_output(path: Path) -> None:
    for found in imports_in(tree_of(path)):
        top = found.name.split(".")[0]
        if found.name in {"os.path", "os"} and path.name == "spacy_tier.py":
            continue  # It looks for the model of spaCy beside spaCy.
        assert top not in INPUT_OR_OUTPUT, f"{path}:{found.line} imports {found.name}"
        if top == "spacy":
            assert path.name == "spacy_tier.py"


def test_spacy_is_imported_inside_a_function() -> None:
    code = "import sys, isomem.text.tiers, isomem.text.spacy_tier; print('spacy' in sys.modules)"
    assert run(code) == "False"


@pytest.mark.parametrize("path", modules(), ids=dotted)
def test_every_public_thing_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(tree_of(path)), f"{path} has no docstring"
    if part_of(dotted(path)) == "parity":
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
            if inside and (ast.get_docstring(node) or path.name == "ports.py"):
                found.add(node.name)
    return found


def is_stub(node: ast.AST) -> bool:
    last = getattr(node, "body", [None])[-1]
    return isinstance(last, ast.Expr) and getattr(last.value, "value", None) is Ellipsis


def test_the_names_of_the_package_are_exact() -> None:
    assert isomem.__all__ == ["AsyncMemory", "Memory", "MemoryConfig", "__version__"]
    code = (
        "import isomem, types; print(sorted(name for name, value in vars(isomem).items()"
        " if not isinstance(value, types.ModuleType) and not name.startswith('_')))"
    )
    assert run(code) == "['AsyncMemory', 'Memory', 'MemoryConfig', 'annotations']"


def run(code: str) -> str:
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env={"PYTHONPATH": str(SOURCE)}
    )
    return done.stdout.strip()


HEAVY = (
    "asyncio", "logging", "httpx", "numpy", "hashlib", "_hashlib", "ssl", "dataclasses",
    "importlib.metadata", "pydantic", "concurrent.futures", "threading", "sqlite3", "pathlib",
    "urllib.request", "http.client", "email", "inspect", "uuid", "random",
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
    "vector_store": {{"config": {{"path": {str(tmp_path / "m.db")!r}}}}},
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
