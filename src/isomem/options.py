"""Options: each is one row with its name, its default, what it may be and what it is for.

The checks (here), the pages and the JSON schema (`reference`), and the command line's flags, help
and variables are all made from these rows.
"""

from __future__ import annotations

import os

from isomem.errors import InvalidConfigError
from isomem.types import is_unicode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any, TypeAlias, TypeGuard

    Schema: TypeAlias = dict[str, object]
    Table: TypeAlias = tuple["Option", ...]


# --- What an option may be -------------------------------------------------------------------


class Kind:
    """The values that an option may have.

    Args:
        words: what they are, for errors and documentation, such as "a number, at least 0".
        accepts: whether a value is one of them.
        schema: the same as a JSON schema.
        names: all of them, if they are a few words.
        fault: what is wrong with a value that is not accepted, if there is more to say than
            `words`; "" if not. It shows no secret.
    """

    __slots__ = ("accepts", "fault", "names", "schema", "words")

    def __init__(
        self,
        words: str,
        accepts: Callable[[object], bool],
        schema: Schema,
        names: Sequence[str] = (),
        fault: Callable[[object], str] | None = None,
    ) -> None:
        self.words = words
        self.accepts = accepts
        self.schema = schema
        self.names = names
        self.fault = fault


def optional(kind: Kind) -> Kind:
    """None, or what `kind` accepts."""
    return Kind(
        f"{kind.words}, or None",
        lambda value: value is None or kind.accepts(value),
        {"anyOf": [kind.schema, {"type": "null"}]},
        kind.names,
        kind.fault,
    )


def or_empty(kind: Kind) -> Kind:
    """What `kind` accepts, or an empty value of any type, which means the same as None."""
    return Kind(
        f"{kind.words}, or None",
        lambda value: _is_empty(value) or kind.accepts(value),
        {"anyOf": [kind.schema, {"enum": EMPTY_IN_JSON}]},
        kind.names,
        kind.fault,
    )


def _is_empty(value: object) -> bool:
    return value is None or (isinstance(value, _CAN_BE_EMPTY) and not value)


EMPTY_IN_JSON: list[object] = [None, False, 0, "", [], {}]
_CAN_BE_EMPTY = (str, int, float, list, dict, tuple)


def number(least: float, most: float) -> Kind:
    """A number in a range; not a bool, and not NaN."""
    return Kind(
        f"a number from {least:,} to {most:,}",
        lambda value: _is_number(value) and least <= value <= most,
        {"type": "number", "minimum": least, "maximum": most},
    )


def whole(least: int, most: int) -> Kind:
    """A whole number in a range; not a bool."""
    return Kind(
        f"a whole number from {least:,} to {most:,}",
        lambda value: _is_whole(value) and least <= value <= most,
        {"type": "integer", "minimum": least, "maximum": most},
    )


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def one_of(*choices: str | int) -> Kind:
    """One of some words or whole numbers."""
    kinds = {type(choice) for choice in choices}
    return Kind(
        f"one of {', '.join(map(repr, choices))}",
        lambda value: (isinstance(value, str) or type(value) in kinds) and value in choices,
        {"enum": list(choices)},
        [choice for choice in choices if isinstance(choice, str)],
    )


def is_text(value: object) -> TypeGuard[str]:
    """Whether it is a str."""
    return isinstance(value, str)


def _is_texts(value: object) -> bool:
    return isinstance(value, (list, tuple)) and all(map(is_text, value))


def is_dict(value: object) -> TypeGuard[Mapping[Any, Any]]:
    """Whether it is a dict, or can be turned into one."""
    is_class = isinstance(value, type)
    return not is_class and hasattr(value, "keys") and hasattr(value, "__getitem__")


SWITCH = Kind("True or False", lambda value: isinstance(value, bool), {"type": "boolean"})
TEXT = Kind("text", is_text, {"type": "string"})
TEXTS = Kind("a list of text", _is_texts, {"type": "array", "items": {"type": "string"}})
DICT = Kind("a dict", is_dict, {"type": "object"})
CALLABLE = Kind("a callable", callable, {"not": {}})
ANYTHING = Kind("anything", lambda _: True, {})


def _is_file(value: object) -> TypeGuard[str | os.PathLike[str]]:
    if not (isinstance(value, str) or hasattr(value, "__fspath__")):
        return False
    path: object = os.fspath(value)
    return is_text(path) and bool(path.strip()) and "\0" not in path and is_unicode(path)


FILE = Kind(
    "the path of a file",
    lambda value: _is_file(value) and not os.path.isdir(home(value)),
    {"type": "string", "pattern": r"\S", "not": {"pattern": r"\u0000"}},
)


def home(path: str | os.PathLike[str]) -> str:
    """A path as text, with `~` expanded to the user's home."""
    return os.path.expanduser(os.fspath(path))


# --- The table -------------------------------------------------------------------------------


class Option:
    """One option.

    Args:
        name: its key in the configuration.
        default: its value if it is not given.
        kind: what it may be.
        doc: what it is for, for the documentation.
        unset: what applies if it is None, for the documentation.
        variables: environment variables that the library reads if it is None.
        secret: whether its value must not be shown.
        idle: whether it is only accepted for compatibility with mem0, and does nothing.
    """

    __slots__ = ("default", "doc", "idle", "kind", "name", "secret", "unset", "variables")

    def __init__(
        self,
        name: str,
        default: object,
        kind: Kind,
        doc: str,
        *,
        unset: str = "",
        variables: tuple[str, ...] = (),
        secret: bool = False,
        idle: bool = False,
    ) -> None:
        self.name = name
        self.default = default
        self.kind = kind
        self.doc = doc
        self.unset = unset
        self.variables = variables
        self.secret = secret
        self.idle = idle


def idle(option: Option) -> Option:
    """The same option of a provider that accepts it, but has no use for it."""
    doc = "accepted, but does nothing here"
    return Option(option.name, option.default, option.kind, doc, secret=option.secret, idle=True)


def merged(*tables: Sequence[Option]) -> Table:
    """The rows of all tables. Of two with the same name, the later one counts."""
    return tuple({option.name: option for table in tables for option in table}.values())


def defaults_of(table: Sequence[Option]) -> dict[str, object]:
    """The default of each option, by its name."""
    return {option.name: option.default for option in table}


def read_table(given: object, table: Sequence[Option], where: str) -> dict[str, Any]:
    """The defaults of a table overlaid with `given`, each value checked.

    Args:
        given: what the caller wrote; None is an empty dict.
        table: every option that may be given.
        where: names the dict in errors, such as "vector_store.config".

    Raises:
        InvalidConfigError: `given` is not a dict, has a key that is not in the table, or a
            value that its option does not accept.
    """
    options = read_options(given, defaults_of(table), where)
    for option in table:
        if options[option.name] is not option.default:
            check_option(option, options[option.name], where)
    return options


def check_option(option: Option, value: object, where: str) -> None:
    """Raises InvalidConfigError unless the option accepts the value."""
    kind = option.kind
    if kind.accepts(value):
        return
    shown = shown_in_errors(option, value)
    fault = kind.fault(value) if kind.fault else ""
    close = nearest(value, kind.names) if is_text(value) and not option.secret else None
    raise InvalidConfigError(
        f"{where}: {option.name} must be {kind.words}, got {shown}"
        f"{f': {fault}' if fault else ''}{f'. Did you mean {close!r}?' if close else ''}",
        error_code="CONFIG_002",
        details={"key": option.name, "given": shown, "expected": kind.words},
        suggestion=f"{option.name}: {option.doc}.",
    )


def shown_in_errors(option: Option, value: object) -> str:
    """A value as errors show it: cut, and without secrets, such as a password in an address."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        return f"a very large {type(value).__name__}"
    if option.secret or is_dict(value) or "{" in text or "@" in text:
        return f"a {type(value).__name__} that is hidden, since it can hold a secret"
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."


_SHOWN_CHARACTERS = 100


# --- Names -----------------------------------------------------------------------------------


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word most like `word`, or None if none is close."""
    from difflib import get_close_matches

    matches = get_close_matches(str(word), list(known), n=1, cutoff=0.6)
    return matches[0] if matches else None


def unknown(what: str, word: object, known: Iterable[str]) -> InvalidConfigError:
    """The error for a word that is not one of `known`, with the nearest one suggested."""
    names = sorted(known)
    close = nearest(str(word), names)
    hint = f"Did you mean {close!r}?" if close else f"Known: {', '.join(names)}."
    return InvalidConfigError(
        f"Unknown {what}: {word!r}. {hint}",
        error_code="CONFIG_001",
        details={"given": word, "known": names},
        suggestion=hint,
    )


def read_options(given: object, defaults: Mapping[str, object], where: str) -> dict[str, Any]:
    """`defaults` overlaid with `given`.

    Args:
        given: what the caller wrote; None is an empty dict.
        defaults: every key that may be given, with its default.
        where: names the dict in errors, such as "llm.config".

    Raises:
        InvalidConfigError: `given` is not a dict, or has a key that is not in `defaults`.
    """
    options = {} if given is None else as_dict(given, where)
    for key in options:
        if key not in defaults:
            raise unknown(f"key in {where}", key, defaults)
    return {**defaults, **options}


def split_known(
    given: Mapping[str, object], known: Sequence[str], where: str
) -> tuple[dict[str, object], list[str]]:
    """What is known of `given`, and a description of every other key with the nearest known one.

    Args:
        given: what the caller wrote.
        known: the keys that there are.
        where: names the dict, such as "llm.config"; "" is the configuration itself.
    """
    at = f"{where}." if where else ""
    others = [f"{at}{key}{_hint(at, key, known)}" for key in given if key not in known]
    return {key: value for key, value in given.items() if key in known}, others


def _hint(at: str, key: str, known: Sequence[str]) -> str:
    close = nearest(key, known)
    return f" (did you mean {at}{close}?)" if close else ""


def as_dict(given: object, where: str) -> dict[str, object]:
    """What the caller wrote, as a dict. Its keys are not checked yet.

    Raises:
        InvalidConfigError: it is not a dict.
    """
    if is_dict(given):
        return dict(given)
    raise InvalidConfigError(
        f"{where} must be a dict, got {type(given).__name__}", error_code="CONFIG_002"
    )
