"""Finds pinned texts among the string constants of a module, without importing it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from isomem.prompts.manifest import Pin


def extract(source: str | bytes, pins: Iterable[Pin]) -> dict[str, bytes]:
    """The pinned texts that are string constants of `source`, by name.

    A text is recognised by its digest, so it is found wherever it is: assigned to a name, passed
    as an argument, or joined by the parser from adjacent literals. A text that is missing, or is
    put together at run time, is left out.

    Raises:
        SyntaxError: `source` is not Python.
    """
    constants = set(_constants(ast.parse(source)))
    return {pin.name: text for pin in pins for text in constants if pin.matches(text)}


def _constants(tree: ast.AST) -> Iterator[bytes]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            # Other strings may have lone surrogates; these must not stop the walk.
            yield node.value.encode("utf-8", "surrogatepass")
