"""JSON schemas of what the calls return, made from the types in `isomem.results`."""

from __future__ import annotations

import types
import typing
from functools import cache
from typing import Any, Union

from isomem import results
from isomem.serve.queue import STATES

Schema = dict[str, Any]

REFERENCE = "#/components/schemas/"
_PLAIN: dict[object, Schema] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    Any: {},
}
_TYPED_DICT = type(results.Done)

PROBLEM: Schema = {
    "type": "object",
    "description": "What went wrong (RFC 9457).",
    "properties": {
        "type": {"type": "string", "description": "always about:blank"},
        "title": {"type": "string", "description": "what the status means"},
        "status": {"type": "integer", "description": "of HTTP"},
        "detail": {"type": "string", "description": "what was wrong, for a person"},
        "code": {"type": "string", "description": "the same for a program"},
        "request_id": {"type": "string", "description": "by which the log has it"},
        "suggestion": {"type": "string", "description": "what to do about it"},
        "error": {
            "type": "object",
            "description": "what the call raised, for a client that raises it again",
            "additionalProperties": True,
        },
    },
    "required": ["type", "title", "status", "detail", "code", "request_id"],
    "additionalProperties": False,
}


JOB: Schema = {
    "type": "object",
    "description": "A call that is made later.",
    "properties": {
        "id": {"type": "string"},
        "status": {"enum": [*STATES]},
        "call": {"type": "string", "description": "what is called"},
        "submitted_at": {"type": "string", "format": "date-time"},
        "finished_at": {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]},
        "failures": {"type": "integer", "description": "how often it has failed so far"},
        "error": {
            "description": "the last failure",
            "anyOf": [
                {
                    "type": "object",
                    "properties": {
                        "status": {"type": "integer"},
                        "code": {"type": "string"},
                        "detail": {"type": "string"},
                    },
                    "required": ["status", "code", "detail"],
                    "additionalProperties": False,
                },
                {"type": "null"},
            ],
        },
        "result": {"$ref": f"{REFERENCE}AddResults"},
    },
    "required": ["id", "status", "call", "submitted_at", "finished_at", "failures", "error"],
    "additionalProperties": False,
}


def reference(name: str) -> Schema:
    """A schema that refers to one of `components`."""
    return {"$ref": f"{REFERENCE}{name}"}


def components() -> dict[str, Schema]:
    """The schemas that others refer to, by name."""
    named = {
        name: _of_class(getattr(results, name))
        for name in results.__all__
        if name != "AddOptions"  # what goes in, and not what comes out
    }
    return {**named, "Problem": PROBLEM, "Job": JOB}


def of_result(text: str) -> Schema:
    """The schema of a type as the table of calls names it, such as `GotMemory | None`."""
    kinds = [_of_name(kind.strip()) for kind in text.split("|")]
    return kinds[0] if len(kinds) == 1 else {"anyOf": kinds}


def _of_name(text: str) -> Schema:
    if text.startswith("list["):
        return {"type": "array", "items": _of_name(text[len("list[") : -1])}
    plain = {"str": str, "int": int, "None": type(None)}
    return _PLAIN[plain[text]] if text in plain else reference(text)


@cache
def _of_class(kind: Any) -> Schema:
    hints = typing.get_type_hints(kind)
    return {
        "type": "object",
        "description": (kind.__doc__ or "").partition("\n")[0],
        "properties": {name: of_type(hint) for name, hint in hints.items()},
        "required": sorted(kind.__required_keys__),
        "additionalProperties": False,
    }


def of_type(hint: Any) -> Schema:
    """The schema of a type that `isomem.results` uses."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return {"anyOf": [of_type(each) for each in arguments]}
    if origin is list:
        return {"type": "array", "items": of_type(arguments[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": of_type(arguments[1])}
    if isinstance(hint, _TYPED_DICT):
        return reference(hint.__name__)
    return _PLAIN[hint]
