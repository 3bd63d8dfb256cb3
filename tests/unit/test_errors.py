"""The tree of errors: what is drawn, what is exported, what is raised, and how each behaves."""

from __future__ import annotations

import ast
import copy
import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import isomem
from isomem import errors
from isomem.errors import MemoryError
from scripts.imports import modules, tree_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "errors.md"
KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type)]
PUBLIC = [kind for kind in KINDS if not kind.__name__.startswith("_")]
BY_NAME: dict[str, type[MemoryError]] = {kind.__name__: kind for kind in PUBLIC}
CODE = re.compile(r"[A-Z]+_\d{3}")

kinds = st.sampled_from(PUBLIC)
words = st.text(st.characters(codec="utf-8"), max_size=30)
facts = st.dictionaries(words, st.one_of(st.none(), st.integers(), words), max_size=3)
made = st.builds(
    lambda kind, *fields: kind(*fields), kinds, words, words, facts, st.none() | words, facts
)


def fields(error: MemoryError) -> dict[str, Any]:
    names = ("message", "error_code", "details", "suggestion", "debug_info", "args", "__cause__")
    return {name: getattr(error, name) for name in names} | {"notes": notes(error)}


def notes(error: MemoryError) -> Any:
    return getattr(error, "__notes__", None)


# --- The tree --------------------------------------------------------------------------------


def drawn() -> str:
    """The tree in the docstring of errors.py."""
    lines = (errors.__doc__ or "").splitlines()
    tree = [line[4:] for line in lines if line.startswith("    ")]
    return "\n".join(tree)


def drawn_parents() -> Iterator[tuple[str, str]]:
    """Each class in the drawing with the class that it hangs from."""
    above: list[tuple[int, str]] = []
    for line in drawn().splitlines():
        found = re.match(r"((?:[│ ]*[├└]── )?)([A-Z]\w+)", line)
        if found is None:
            continue
        depth = len(found[1])
        above = [each for each in above if each[0] < depth]
        if above:
            yield found[2], above[-1][1]
        above.append((depth, found[2]))


def public_parent(kind: type) -> str:
    parents = [each for each in kind.__mro__[1:] if each in PUBLIC]
    return parents[0].__name__ if parents else "Exception"


def test_the_drawing_is_the_tree() -> None:
    assert dict(drawn_parents()) == {kind.__name__: public_parent(kind) for kind in PUBLIC}


def test_what_the_drawing_calls_a_value_error_is_one() -> None:
    for kind in PUBLIC:
        (line,) = [each for each in drawn().splitlines() if f"── {kind.__name__} " in each]
        assert ("a ValueError" in line) == issubclass(kind, ValueError), line


def test_the_page_has_the_same_drawing() -> None:
    assert f"```text\n{drawn()}\n```" in PAGE.read_text("utf-8")


def test_all_errors_are_exported_and_nothing_else() -> None:
    assert errors.__all__ == sorted(BY_NAME)
    for name, kind in BY_NAME.items():
        assert getattr(isomem, name) is kind
        assert name in isomem.__all__


def test_every_error_is_an_error_of_isomem() -> None:
    assert all(issubclass(kind, MemoryError) for kind in KINDS)


# --- What is raised --------------------------------------------------------------------------


def codes_of_calls() -> Iterator[tuple[str, str | None]]:
    """Class and code of every place in the package that makes an error; None: its default."""
    for path in modules():
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Call):
                yield from _made_by(node)
            # `providers.http` has a table of those that it makes for a status.
            if isinstance(node, ast.Dict):
                named = [each.id for each in node.values if isinstance(each, ast.Name)]
                yield from ((name, None) for name in named if name in BY_NAME)


def _made_by(call: ast.Call) -> Iterator[tuple[str, str | None]]:
    given_code = [each.value for each in call.keywords if each.arg == "error_code"]
    code = given_code[0].value if given_code and isinstance(given_code[0], ast.Constant) else None
    if isinstance(call.func, ast.Name) and call.func.id in BY_NAME:
        yield call.func.id, code if isinstance(code, str) else None
    # `Endpoint.error` and `caused` are told which one to make.
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    if name in {"error", "caused"}:
        handed = [each.id for each in call.args if isinstance(each, ast.Name)]
        yield from ((name, None) for name in handed if name in BY_NAME)


RAISED = set(codes_of_calls())
"""Pairs of class and code; `ScriptError` and the like are no part of the tree."""


def test_every_error_is_raised_somewhere_or_is_the_base_of_one_that_is() -> None:
    names = {name for name, _ in RAISED}
    for kind in PUBLIC:
        below = {each.__name__ for each in PUBLIC if issubclass(each, kind)}
        assert names & below, f"nothing raises {kind.__name__}"


def codes() -> dict[str, set[str]]:
    """The codes of each class: its default, and those that the code gives."""
    found = {kind.__name__: {kind.default_code} for kind in PUBLIC if hasattr(kind, "default_code")}
    for name, code in RAISED:
        default: str | None = getattr(BY_NAME[name], "default_code", None)
        assert code or default, f"a {name} without a code"
        found.setdefault(name, set()).add(str(code or default))
    return found


def test_the_drawing_has_every_code() -> None:
    assert drawn_codes() == codes()


def drawn_codes() -> dict[str, set[str]]:
    """The codes of each class in the drawing, where "001-003" means three of them."""
    found: dict[str, set[str]] = {}
    name = ""
    for line in drawn().splitlines():
        named = re.match(r"[│├└─ ]*([A-Z]\w+)  +", line)
        name = named[1] if named and named[1] in BY_NAME else name
        for prefix, rest in re.findall(r"\b([A-Z]+)_(\d{3}(?:(?:-|, )\d{3})*)", line):
            found.setdefault(name, set()).update(f"{prefix}_{n:03}" for n in _numbers(rest))
    return found


def _numbers(text: str) -> Iterator[int]:
    for part in text.split(", "):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def test_the_page_explains_every_code() -> None:
    rows = re.findall(r"^\| `([A-Z]+_\d{3})` \| (.*?) \| \S", PAGE.read_text("utf-8"), re.MULTILINE)
    explained: dict[str, set[str]] = {}
    for code, named in rows:
        for name in re.findall(r"`(\w+)`", named):
            explained.setdefault(name, set()).add(code)
    assert explained == codes()


# --- How each behaves ------------------------------------------------------------------------


@given(made)
def test_its_text_begins_with_the_message_and_has_the_suggestion_once(error: MemoryError) -> None:
    text = str(error)
    assert text.startswith(error.message)
    assert not error.suggestion or error.suggestion in text
    rest = text[len(error.message) :]
    assert rest in {"", f" {error.suggestion}", f". {error.suggestion}"}
    if error.suggestion and error.suggestion in error.message:
        assert rest == ""


@pytest.mark.parametrize(
    ("message", "suggestion", "text"),
    [
        ("It failed", None, "It failed"),
        ("It failed", "Try again", "It failed. Try again"),
        ("It failed.", "Try again", "It failed. Try again"),
        ("Failed?", "Try again.", "Failed? Try again."),
        ('Missing: pip install "x"', 'pip install "x"', 'Missing: pip install "x"'),
    ],
)
def test_the_text_of_an_error(message: str, suggestion: str | None, text: str) -> None:
    assert str(MemoryError(message, "C", suggestion=suggestion)) == text


@given(made, st.lists(words, max_size=2))
def test_pickling_and_copying_keep_everything(error: MemoryError, said: list[str]) -> None:
    for note in said:
        if hasattr(error, "add_note"):  # Python 3.11 and newer
            error.add_note(note)
    copies = [copy.copy(error), copy.deepcopy(error)]
    protocols = range(pickle.HIGHEST_PROTOCOL + 1)
    copies += [pickle.loads(pickle.dumps(error, protocol)) for protocol in protocols]
    for other in copies:
        assert type(other) is type(error)
        assert fields(other) == fields(error)
        assert (str(other), repr(other)) == (str(error), repr(error))


class OwnError(errors.LLMError):
    """A subclass of a user's, with arguments of its own."""

    def __init__(self, model: str) -> None:
        super().__init__(f"{model} failed", details={"model": model})


def test_a_subclass_with_other_arguments_can_be_pickled() -> None:
    other = pickle.loads(pickle.dumps(OwnError("m-1")))
    assert (type(other), str(other)) == (OwnError, str(OwnError("m-1")))


@given(made)
def test_printing_shows_every_field(error: MemoryError) -> None:
    shown = repr(error)
    assert shown.startswith(f"{type(error).__name__}(message={error.message!r}, ")
    for name in ("error_code", "details", "suggestion", "debug_info"):
        assert f"{name}={getattr(error, name)!r}" in shown


@given(made)
def test_code_is_short_for_error_code(error: MemoryError) -> None:
    assert error.code == error.error_code


@given(st.sampled_from([kind for kind in PUBLIC if issubclass(kind, errors.ProviderError)]))
def test_what_is_not_known_of_a_provider_is_none(kind: type[errors.ProviderError]) -> None:
    error = kind("m")
    assert (error.provider, error.status, error.retry_after) == (None, None, None)
