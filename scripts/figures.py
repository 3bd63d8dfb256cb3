"""How the code compares with its targets: `python scripts/figures.py` prints a table.

Measured over `src/isomem`. `--check` exits with status 1 if a target is missed; `--worst` names the
worst cases for each.
"""

from __future__ import annotations

import argparse
import ast
import math
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "isomem"
TESTS = ROOT / "tests"

FACTS_SHARE = 0.8
"""A file is a table of facts when this share of its lines holds values and no logic."""

AnyFunction = ast.FunctionDef | ast.AsyncFunctionDef
# What divides the way through a function in two.
DECISIONS = (
    ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.match_case,
)  # fmt: skip


class Function(NamedTuple):
    """One function of the package, stubs apart."""

    where: str
    lines: int
    complexity: int


class File(NamedTuple):
    """One file of the package."""

    where: str
    lines: int
    is_facts: bool


class Measured(NamedTuple):
    """What the figures are made from."""

    functions: list[Function]
    annotations: list[tuple[str, bool]]
    files: list[File]
    code_lines: int
    test_lines: int


class Figure(NamedTuple):
    """One row of the table: a value, its target, and what stands against it."""

    name: str
    value: float
    target: float
    unit: str = ""
    least: bool = False
    worst: tuple[str, ...] = ()

    @property
    def met(self) -> bool:
        """Whether the target is reached."""
        return self.value >= self.target if self.least else self.value <= self.target


def main(argv: list[str] | None = None) -> int:
    """0, or 1 when a target is missed and `--check` was given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="status 1 when a target is missed")
    parser.add_argument("--worst", action="store_true", help="name what stands against a target")
    options = parser.parse_args(argv)
    found = figures(measured(PACKAGE, TESTS))
    print("\n".join(table(found, worst=options.worst)))
    return int(options.check and not all(figure.met for figure in found))


def measured(package: Path, tests: Path) -> Measured:
    """Read the package and its tests."""
    paths = sorted(package.rglob("*.py"))
    texts = {str(path.relative_to(package)): path.read_text(encoding="utf-8") for path in paths}
    trees = {where: ast.parse(text) for where, text in texts.items()}
    return Measured(
        functions=[one for where, tree in trees.items() for one in functions_of(tree, where)],
        annotations=[one for where, tree in trees.items() for one in annotations_of(tree, where)],
        files=[file_of(trees[where], text, where) for where, text in texts.items()],
        code_lines=sum(filled_lines(text) for text in texts.values()),
        test_lines=sum(filled_lines(path.read_text("utf-8")) for path in tests.rglob("*.py")),
    )


def figures(found: Measured) -> list[Figure]:
    """The rows of the table."""
    lengths = [one.lines for one in found.functions]
    return [
        Figure("function length, median", quantile(lengths, 0.5), 8, " lines"),
        Figure("function length, 90 of 100", quantile(lengths, 0.9), 25, " lines"),
        _share("functions above 40 lines", found.functions, lambda one: one.lines > 40, 3),
        _longest("longest function", found.functions, 45),
        _share("functions of complexity above 10", found.functions, lambda one: one.complexity > 10,
               2),
        _any_share(found.annotations),
        _long_files(found.files),
        Figure("lines of tests per line of code", found.test_lines / found.code_lines, 1.2,
               least=True),
    ]  # fmt: skip


def _share(
    name: str, functions: list[Function], counts: Callable[[Function], bool], target: float
) -> Figure:
    worst = sorted(filter(counts, functions), key=lambda one: (-one.lines, one.where))
    share = 100 * len(worst) / len(functions)
    named = (f"{one.where}: {one.lines} lines, complexity {one.complexity}" for one in worst)
    return Figure(name, share, target, " %", worst=tuple(named))


def _longest(name: str, functions: list[Function], target: int) -> Figure:
    above = [f"{one.where}: {one.lines} lines" for one in functions if one.lines > target]
    return Figure(name, max(one.lines for one in functions), target, " lines", worst=tuple(above))


def _any_share(annotations: list[tuple[str, bool]]) -> Figure:
    """The share of annotations with `Any` in them, and the files that have most of them."""
    loose = [where for where, has_any in annotations if has_any]
    counts = {where: loose.count(where) for where in loose}
    most = sorted(counts, key=lambda where: -counts[where])
    share = 100 * len(loose) / len(annotations)
    worst = tuple(f"{where}: {counts[where]}" for where in most)
    return Figure("annotations with Any", share, 10, " %", worst=worst)


def _long_files(files: list[File]) -> Figure:
    long = [f"{one.where}: {one.lines}" for one in files if one.lines > 600 and not one.is_facts]
    return Figure("files above 600 lines, facts apart", len(long), 0, worst=tuple(long))


def table(found: list[Figure], *, worst: bool) -> list[str]:
    """The lines to print."""
    lines = [f"{'':<36}{'measured':>12}{'target':>14}"]
    for figure in found:
        bound = f"{'≥' if figure.least else '≤'} {figure.target:g}{figure.unit}"
        value = f"{figure.value:.3g}{figure.unit}"
        lines.append(
            f"{figure.name:<36}{value:>12}{bound:>14}  {'met' if figure.met else 'MISSED'}"
        )
        lines += [f"    {each}" for each in figure.worst if worst]
    return lines


def functions_of(tree: ast.Module, where: str) -> Iterator[Function]:
    """Every function, inner ones included. A stub (`...`) does not count."""
    for node in ast.walk(tree):
        if isinstance(node, AnyFunction) and not is_stub(node):
            yield Function(f"{where}:{node.lineno} {node.name}", length(node), complexity(node))


def is_stub(node: AnyFunction) -> bool:
    """Whether the body is `...`, whatever docstring stands before it."""
    last = node.body[-1]
    return isinstance(last, ast.Expr) and getattr(last.value, "value", None) is Ellipsis


def length(node: AnyFunction) -> int:
    """The lines of a function from its `def` to its end, the docstring apart."""
    docstring = node.body[0] if ast.get_docstring(node) is not None else None
    return lines_of(node) - (lines_of(docstring) if docstring else 0)


def lines_of(node: ast.stmt) -> int:
    """How many lines of the file a statement takes."""
    return (node.end_lineno or node.lineno) - node.lineno + 1


def complexity(node: AnyFunction) -> int:
    """McCabe's number with the decisions inside expressions; an inner function has its own."""
    return 1 + sum(map(_decisions, _own_nodes(node)))


def _decisions(node: ast.AST) -> int:
    if isinstance(node, ast.BoolOp):
        return len(node.values) - 1
    if isinstance(node, ast.comprehension):
        return 1 + len(node.ifs)
    return int(isinstance(node, DECISIONS))


def _own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, AnyFunction | ast.ClassDef):
            yield child
            yield from _own_nodes(child)


def annotations_of(tree: ast.Module, where: str) -> Iterator[tuple[str, bool]]:
    """Each annotation: the file that it is in, and whether `Any` occurs in it."""
    for node in ast.walk(tree):
        for note in _annotations(node):
            yield where, any(_is_any(inner) for inner in ast.walk(_unquoted(note)))


def _annotations(node: ast.AST) -> Iterable[ast.expr]:
    """What is annotated there: an argument, a variable, a result."""
    if isinstance(node, ast.arg | ast.AnnAssign):
        return [node.annotation] if node.annotation else []
    if isinstance(node, AnyFunction):
        return [node.returns] if node.returns else []
    return []


def _unquoted(note: ast.expr) -> ast.expr:
    if isinstance(note, ast.Constant) and isinstance(note.value, str):
        return ast.parse(note.value, mode="eval").body
    return note


def _is_any(node: ast.AST) -> bool:
    return "Any" in {getattr(node, "id", ""), getattr(node, "attr", "")}


def file_of(tree: ast.Module, text: str, where: str) -> File:
    """A file, and whether it is a table of facts."""
    facts = sum(
        lines_of(node) for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign)
    )
    lines = len(text.splitlines())
    return File(where, lines, facts >= FACTS_SHARE * lines)


def filled_lines(text: str) -> int:
    """The lines that are not blank."""
    return sum(bool(line.strip()) for line in text.splitlines())


def quantile(values: list[int], share: float) -> float:
    """The least value that this share of the values does not exceed."""
    return sorted(values)[math.ceil(share * len(values)) - 1]


if __name__ == "__main__":
    sys.exit(main())
