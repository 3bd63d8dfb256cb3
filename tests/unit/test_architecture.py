"""Data flows one way, and everything public says what it is for."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from scripts.imports import (
    HARNESS,
    PACKAGE,
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


def test_the_harness_is_known_to_its_command_alone() -> None:
    """It is a distribution of its own, so nothing else may need it."""
    knowing = [
        dotted(path)
        for path in modules()
        if any(found.name.split(".")[0] == HARNESS.name for found in imports_of(path))
    ]
    assert knowing == ["isomem.cli.commands"]


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
