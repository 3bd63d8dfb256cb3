"""What pydantic makes of a value for each type, and parts of what is dumped."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_SWITCHES = {
    **dict.fromkeys(("1", "on", "t", "true", "y", "yes"), True),
    **dict.fromkeys(("0", "off", "f", "false", "n", "no"), False),
}
_WHOLE = re.compile(r"[+-]?[0-9]+(_[0-9]+)*(\.0*)?")

SCHEMA: dict[str, dict[str, Any]] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "dict": {"type": "object", "additionalProperties": True},
    "Dict": {"type": "object", "additionalProperties": True},
    "list": {"type": "array"},
    "List": {"type": "array"},
}
"""The types that are checked, as JSON schemas."""


def typed(annotation: object, value: object) -> object:
    """A value as a type wants it.

    Args:
        annotation: the type, or the text of it. One that is not in `SCHEMA` takes everything.

    Raises:
        ValueError: it cannot be made into that type. The text goes on after "must".
    """
    plain, optional = words_of(annotation)
    if value is None:
        if plain not in ("", "Any") and not optional:
            raise ValueError("not be None")
        return value
    make = _MAKERS.get(plain.partition("[")[0])
    if make is None:
        return value
    try:
        return make(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"be of type {plain}, not {type(value).__name__}") from None


def words_of(annotation: object) -> tuple[str, bool]:
    """A type as text, without what says that it may be None, and whether it may."""
    if isinstance(annotation, type) and not hasattr(annotation, "__args__"):
        return annotation.__name__, False
    words = str(annotation).replace("typing.", "")
    optional = "None" in words or "Optional" in words
    if words.startswith("Optional["):
        words = words.removeprefix("Optional[").removesuffix("]")
    return words.replace(" | None", ""), optional


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (bytes, bytearray)):
        return value.decode()
    if hasattr(value, "__fspath__"):
        return str(value)
    raise TypeError


def _switch(value: object) -> bool:
    if isinstance(value, (bool, int, float)):
        if value not in (0, 1):
            raise ValueError
        return bool(value)
    return _SWITCHES[_known(_text(value).lower(), _SWITCHES)]


def _known(word: str, words: dict[str, bool]) -> str:
    if word not in words:
        raise ValueError
    return word


def _count(value: object) -> int:
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if value != int(value):
            raise ValueError
        return int(value)
    text = _text(value).strip()
    if not _WHOLE.fullmatch(text):
        raise ValueError
    return int(text.partition(".")[0])


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else float(_text(value))


def _dict(value: Any) -> object:
    if isinstance(value, dict):
        return value
    if hasattr(value, "model_dump"):
        return value.model_dump()
    raise TypeError


def _list(value: Any) -> object:
    if isinstance(value, list):
        return value
    if isinstance(value, (tuple, set, frozenset)):
        return [*value]
    raise TypeError


_MAKERS: dict[str, Callable[[Any], object]] = {
    "str": _text,
    "int": _count,
    "float": _number,
    "bool": _switch,
    "dict": _dict,
    "Dict": _dict,
    "list": _list,
    "List": _list,
}


# --- Parts of what is dumped -----------------------------------------------------------------


def below(names: Any, name: str) -> Any:
    """What of the names to take or leave is said about the inside of one; None if nothing."""
    inner = names.get(name) if isinstance(names, dict) else None
    return inner if isinstance(inner, (dict, set, frozenset, list, tuple)) else None


def is_whole(names: Any, name: str) -> bool:
    """Whether the whole of one is meant, not a part of it."""
    if not names or name not in names:
        return False
    return not isinstance(names, dict) or names[name] in (True, ...)


def parts_of(value: Any, include: Any, exclude: Any) -> Any:
    """A dict, with some of its keys taken or left out, at every depth."""
    if not isinstance(value, dict) or (include is None and exclude is None):
        return value
    return {
        name: parts_of(each, below(include, name), below(exclude, name))
        for name, each in value.items()
        if (include is None or name in include) and not is_whole(exclude, name)
    }
