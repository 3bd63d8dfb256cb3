"""The import graph of a package: which module imports which, types and those in functions included.

It is read from the source, so nothing is imported and nothing is missed for being lazy.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src"
PACKAGE = SOURCE / "isomem"
HARNESS = ROOT / "parity" / "src" / "isomem_parity"

Graph = Mapping[str, frozenset[str]]


class Import(NamedTuple):
    """One import: of which module, and the line where it stands."""

    name: str
    line: int


def modules(package: Path = PACKAGE) -> list[Path]:
    """The files of the package."""
    return sorted(package.rglob("*.py"))


def dotted(path: Path) -> str:
    """The name under which a file of a package is imported."""
    package = HARNESS if path.is_relative_to(HARNESS) else PACKAGE
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


def part_of(module: str) -> str:
    """The first name below `isomem`: a module or a folder of them. "" is the package itself."""
    return module.removeprefix("isomem").removeprefix(".").partition(".")[0]


@cache
def tree_of(path: Path) -> ast.Module:
    """The syntax tree of a file, parsed once."""
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def names(package: Path = PACKAGE) -> frozenset[str]:
    """The modules of the package."""
    return frozenset(dotted(path) for path in modules(package))


def imports_of(path: Path) -> list[Import]:
    """Every import in a file, those of other packages included."""
    return [
        Import(name, node.lineno)
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in _targets(node)
    ]


def module_graph(package: Path = PACKAGE) -> Graph:
    """From every module to the modules of the package that it imports."""
    known = names(package)
    return {
        dotted(path): frozenset(
            found.name for found in imports_of(path) if found.name in known - {dotted(path)}
        )
        for path in modules(package)
    }


def joined(graph: Graph, node_of: Mapping[str, str]) -> Graph:
    """The same graph with modules joined into nodes. A module without a node is left out."""
    arrows: dict[str, set[str]] = {node: set() for node in node_of.values()}
    for name, targets in graph.items():
        if name in node_of:
            arrows[node_of[name]] |= {node_of[target] for target in targets if target in node_of}
    return {node: frozenset(targets - {node}) for node, targets in arrows.items()}


def part_graph() -> Graph:
    """From every part to the parts that it imports."""
    return joined(module_graph(), {name: part_of(name) for name in names()})


def circles(graph: Graph) -> set[frozenset[str]]:
    """The groups of nodes in which each can be reached from each other."""
    reach = {name: reachable(graph, name) for name in graph}
    return {
        frozenset(other for other in reach[name] if name in reach.get(other, frozenset()))
        for name in graph
        if name in reach[name]
    }


def reachable(graph: Graph, start: str) -> frozenset[str]:
    """The nodes at the end of one arrow or more."""
    seen: set[str] = set()
    waiting = list(graph.get(start, ()))
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += graph.get(name, ())
    return frozenset(seen)


def _targets(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    else:
        module = node.module or ""
        for alias in node.names:
            # `from isomem import log` imports a module, `from isomem.log import x` a name in it.
            inner = f"{module}.{alias.name}"
            yield inner if inner in names() | names(HARNESS) else module
