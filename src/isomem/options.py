"""Options: one row for each says its name, default, what it may be and what it is for."""

from __future__ import annotations

import os

from isomem.errors import InvalidConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any


# --- What an option may be -------------------------------------------------------------------


class Kind:
    """The values that an option may have.

    Args:
        words: what they are, for errors and documentation, such as "a number, at least 0".
        accepts: whether a value is one of them.
        names: all of them, where they are a few words.
    """

    __slots__ = ("accepts", "names", "words")

    def __init__(
        self, words: str, accepts: Callable[[Any], bool], names: Sequence[str] = ()
    ) -> None:
        self.words = words
        self.accepts = accepts
        self.names = names


def optional(kind: Kind) -> Kind:
    """None, or what `kind` accepts."""
    return Kind(f"{kind.words}, or None", lambda value: value is None or kind.accepts(value))


def number(least: float, most: float) -> Kind:
    """A number in a range; no bool, and no NaN."""
    return Kind(
        f"a number from {least:,} to {most:,}",
        lambda value: type(value) in (int, float) and least <= value <= most,
    )


def whole(least: int, most: int) -> Kind:
    """A whole number in a range; no bool."""
    return Kind(
        f"a whole number from {least:,} to {most:,}",
        lambda value: type(value) is int and least <= value <= most,
    )


def one_of(*words: str) -> Kind:
    """One of some words."""
    return Kind(
        f"one of {', '.join(map(repr, words))}",
        lambda value: isinstance(value, str) and value in words,
        words,
    )


SWITCH = Kind("True or False", lambda value: isinstance(value, bool))
TEXT = Kind("text", lambda value: isinstance(value, str))
ANYTHING = Kind("anything", lambda _: True)


def _is_file(value: Any) -> bool:
    if not (isinstance(value, str) or hasattr(value, "__fspath__")):
        return False
    path = os.fspath(value)
    return isinstance(path, str) and bool(path.strip()) and "\0" not in path


FILE = Kind("the path of a file", lambda value: _is_file(value) and not os.path.isdir(home(value)))


def home(path: Any) -> str:
    """A path as text, with the home of a user in place of `~`."""
    text: str = os.fspath(path)
    return os.path.expanduser(text)


# --- The table -------------------------------------------------------------------------------


class Option:
    """One option.

    Args:
        name: its key in the configuration.
        default: what it is when it is not given.
        kind: what it may be.
        doc: what it is for, for the documentation.
    """

    __slots__ = ("default", "doc", "kind", "name")

    def __init__(self, name: str, default: Any, kind: Kind, doc: str) -> None:
        self.name = name
        self.default = default
        self.kind = kind
        self.doc = doc


def defaults_of(table: Sequence[Option]) -> dict[str, Any]:
    """The default of each option, by its name."""
    return {option.name: option.default for option in table}


def read_table(given: Any, table: Sequence[Option], where: str) -> dict[str, Any]:
    """The defaults of a table overlaid with `given`, each value checked.

    Args:
        given: what the caller wrote; None is an empty dict.
        table: every option that may be written.
        where: names the dict in errors, such as "vector_store.config".

    Raises:
        InvalidConfigError: `given` is not a dict, holds a key that is not in the table, or a
            value that its option does not take.
    """
    options = read_options(given, defaults_of(table), where)
    for option in table:
        if option.name in (given or ()):
            check_option(option, options[option.name], where)
    return options


def check_option(option: Option, value: Any, where: str) -> None:
    """Raises InvalidConfigError unless the option takes the value."""
    if option.kind.accepts(value):
        return
    if option.kind.names and isinstance(value, str):
        raise unknown(f"{where}.{option.name}", value, option.kind.names)
    raise InvalidConfigError(
        f"{where}: {option.name} must be {option.kind.words}, got {_shown(value)}",
        error_code="CONFIG_002",
        details={"key": option.name, "given": _shown(value), "expected": option.kind.words},
        suggestion=f"{option.name}: {option.doc}.",
    )


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        text = f"a very large {type(value).__name__}"
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."


_SHOWN_CHARACTERS = 100


# --- Names -----------------------------------------------------------------------------------


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word most like `word`, or None when none is close."""
    from difflib import get_close_matches

    matches = get_close_matches(str(word), list(known), n=1, cutoff=0.6)
    return matches[0] if matches else None


def unknown(what: str, word: str, known: Iterable[str]) -> InvalidConfigError:
    """The error for a word that is not one of `known`, with the nearest one suggested."""
    names = sorted(known)
    close = nearest(word, names)
    hint = f"Did you mean {close!r}?" if close else f"Known: {', '.join(names)}."
    return InvalidConfigError(
        f"Unknown {what}: {word!r}. {hint}",
        error_code="CONFIG_001",
        details={"given": word, "known": names},
        suggestion=hint,
    )


def read_options(
    given: Mapping[str, Any] | None, defaults: Mapping[str, Any], where: str
) -> dict[str, Any]:
    """`defaults` overlaid with `given`.

    Args:
        given: what the caller wrote; None is an empty dict.
        defaults: every key that may be written, with its default.
        where: names the dict in errors, such as "llm.config".

    Raises:
        InvalidConfigError: `given` is not a dict, or holds a key that is not in `defaults`.
    """
    if given is None:
        return dict(defaults)
    if not hasattr(given, "items"):
        raise InvalidConfigError(
            f"{where} must be a dict, got {type(given).__name__}", error_code="CONFIG_002"
        )
    for key in given:
        if key not in defaults:
            raise unknown(f"key in {where}", key, defaults)
    return {**defaults, **given}
