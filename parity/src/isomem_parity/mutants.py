"""Random small faults: where a line of the source can be changed, and into what.

A mutant is one change of one node of the syntax tree, written back into the text. Lines are drawn
uniformly, then one of the changes that the line allows. What cannot matter is not changed:
annotations, docstrings, imports, stubs, blocks for type checkers.
"""

from __future__ import annotations

import ast
import functools
import itertools
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FLIPPED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
    ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
AnyFunction = ast.FunctionDef | ast.AsyncFunctionDef
TYPE_QUESTIONS = {"isinstance", "issubclass"}  # With arguments swapped they always raise.
UNTOUCHED = (ast.Import, ast.ImportFrom, ast.JoinedStr)  # Inner positions of f-strings are wrong.


@dataclass(frozen=True)
class Mutant:
    """One change: of which line into what, and the whole text of the file with it."""

    file: str
    line: int
    old: str
    new: str
    is_message: bool
    text: str


@dataclass(frozen=True)
class Change:
    """A stretch of a file's bytes, and what stands there instead."""

    line: int
    begin: int
    end: int
    node: ast.AST | None
    is_message: bool = False

    @property
    def new(self) -> str:
        """What stands there instead. Writing a node takes long, and few changes are drawn."""
        return "" if self.node is None else ast.unparse(self.node)


def draw(
    package: Path, count: int, seed: int, apart: set[str], only: tuple[str, ...] = ("",)
) -> list[Mutant]:
    """Mutants of that many lines, drawn from the files of a package but those apart.

    Args:
        only: files whose path contains one of these.
    """
    found: dict[tuple[str, int], list[Change]] = {}
    texts: dict[str, str] = {}
    for path in sorted(package.rglob("*.py")):
        file = path.relative_to(package).as_posix()
        if any(part in file for part in only) and not apart & {file.partition("/")[0], file}:
            texts[file] = path.read_text(encoding="utf-8")
            for change in changes_in(texts[file]):
                found.setdefault((file, change.line), []).append(change)
    choice = random.Random(seed)
    drawn: list[Mutant] = []
    for file, line in choice.sample(sorted(found), len(found)):
        mutant = mutated(file, texts[file], choice.choice(found[file, line]))
        drawn += [mutant] if mutant else []
        if len(drawn) >= count:
            break
    return drawn


def mutated(file: str, text: str, change: Change) -> Mutant | None:
    """The file with the change in it; None when Python cannot read it or reads the same."""
    data = text.encode()
    changed = (data[: change.begin] + change.new.encode() + data[change.end :]).decode()
    try:
        if ast.dump(ast.parse(changed)) == ast.dump(ast.parse(text)):
            return None
    except SyntaxError:
        return None
    old, new = (each.splitlines()[change.line - 1].strip() for each in (text, changed))
    return Mutant(file, change.line, old, new, change.is_message, changed)


@functools.cache
def changes_in(text: str) -> tuple[Change, ...]:
    """Every change that the text of a file allows."""
    return tuple(File(text).changes())


class File:
    """The text of a file, and the changes that it allows."""

    def __init__(self, text: str) -> None:
        self.tree = ast.parse(text)
        self.lines = text.encode().splitlines(keepends=True)
        self.starts = [0, *itertools.accumulate(map(len, self.lines))]

    def changes(self) -> Iterator[Change]:
        """Every change, those of one line together or not."""
        return self._below(self.tree, in_function=False, in_raise=False)

    def _below(self, node: ast.AST, *, in_function: bool, in_raise: bool) -> Iterator[Change]:
        for child in _children(node):
            for old, new in _changes_of(child, in_function=in_function):
                yield self._replaced(old, new, in_raise=in_raise)
            if isinstance(child, ast.Constant) and isinstance(child.value, str) and not in_raise:
                yield from self._dropped_words(child)
            yield from self._below(
                child,
                in_function=in_function or isinstance(child, AnyFunction),
                in_raise=in_raise or isinstance(child, ast.Raise),
            )

    def _replaced(self, old: ast.expr | ast.stmt, new: ast.AST, *, in_raise: bool) -> Change:
        is_text = isinstance(new, ast.Constant) and isinstance(new.value, str)
        return Change(
            old.lineno,
            self.starts[old.lineno - 1] + old.col_offset,
            self.starts[(old.end_lineno or old.lineno) - 1] + (old.end_col_offset or 0),
            new,
            is_message=in_raise and is_text,
        )

    def _dropped_words(self, node: ast.Constant) -> Iterator[Change]:
        """One word fewer in a table of words, on each of its lines."""
        last = node.end_lineno or node.lineno
        for line in range(node.lineno, last + 1 if last > node.lineno else node.lineno):
            text = self.lines[line - 1]
            if not text.lstrip().startswith(b"#"):
                for word in re.finditer(rb"(?<=[\s\"])[^\s\"]+ ", text):
                    start = self.starts[line - 1]
                    yield Change(line, start + word.start(), start + word.end(), None)


def _children(node: ast.AST) -> Iterator[ast.AST]:
    """What may be changed of a node."""
    for name, value in ast.iter_fields(node):
        if name in {"annotation", "returns"}:
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not _is_untouched(child):
                yield child


def _is_untouched(node: ast.AST) -> bool:
    if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
        return True
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True  # a docstring, or the body of a stub
    if isinstance(node, AnyFunction):
        return ast.unparse(node.body[-1]) == "..."  # What a stub says is for type checkers.
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") in {"cast", "TypeVar"}:
        return True
    return isinstance(node, UNTOUCHED)


def _changes_of(
    node: ast.AST, *, in_function: bool
) -> Iterator[tuple[ast.expr | ast.stmt, ast.AST]]:
    """The changes of one node: what is replaced, and by what."""
    if isinstance(node, ast.Constant):
        yield from ((node, ast.Constant(value)) for value in _other_values(node.value))
    elif isinstance(node, ast.expr):
        yield from ((node, new) for new in _other_expressions(node))
    if isinstance(node, ast.If | ast.While | ast.IfExp):
        yield node.test, ast.UnaryOp(ast.Not(), node.test)
    if isinstance(node, AnyFunction):
        yield from _other_defaults(node.args)
    if in_function and isinstance(node, ast.stmt):
        yield from ((node, new) for new in _other_statements(node))


def _other_values(value: object) -> list[bool | int | float | str]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int | float):
        return [value + 1, value - 1]
    return [f"{value}X"] if isinstance(value, str) else []


def _other_expressions(node: ast.expr) -> Iterator[ast.expr]:
    """Comparisons and booleans turned round, arguments swapped."""
    if isinstance(node, ast.Compare):
        for index, operator in enumerate(node.ops):
            turned = [*node.ops[:index], FLIPPED[type(operator)](), *node.ops[index + 1 :]]
            yield ast.Compare(node.left, turned, node.comparators)
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield node.operand
    elif isinstance(node, ast.Call) and getattr(node.func, "id", "") not in TYPE_QUESTIONS:
        for index in range(len(node.args) - 1):
            swapped = [*node.args]
            swapped[index : index + 2] = swapped[index : index + 2][::-1]
            yield ast.Call(node.func, swapped, node.keywords)


def _other_defaults(arguments: ast.arguments) -> Iterator[tuple[ast.expr, ast.expr]]:
    """None as a default becomes a value. The other constants are changed as constants."""
    for default in [*arguments.defaults, *arguments.kw_defaults]:
        if isinstance(default, ast.Constant) and default.value is None:
            yield default, ast.Constant(1)


def _other_statements(node: ast.stmt) -> Iterator[ast.stmt]:
    """A statement with an effect left out, a result forgotten.

    A plain name that is never bound would only be a NameError, so such statements stay.
    """
    if isinstance(node, ast.Return):
        if node.value is not None and getattr(node.value, "value", ...) is not None:
            yield ast.Return(ast.Constant(None))
    elif isinstance(node, ast.Assign):
        if not isinstance(node.targets[0], ast.Name | ast.Tuple):
            yield ast.Pass()
    elif isinstance(node, ast.Expr | ast.AugAssign | ast.Raise | ast.Continue | ast.Break):
        yield ast.Pass()
