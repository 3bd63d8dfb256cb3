"""The calls of a memory as one table, from which every way in is made.

A row says what a call needs and how it is kept inside a key's scopes. Its parameters, their
defaults and their documentation are those of the method of `Memory`.
"""

from __future__ import annotations

import inspect
import re
from functools import cache

from isomem.memory import Memory
from isomem.types import ORDERS, RANKINGS, SUPERSEDING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Schema = dict[str, Any]

IDS, FILTERS, MEMORY, EVERYTHING = "ids", "filters", "memory", "everything"
"""What says whose memories a call touches: its ids, its filters, a memory's id, or nothing."""


class Parameter:
    """An argument of a call.

    Attributes:
        schema: JSON Schema of its values.
        default: of the method; `REQUIRED` if there is none, `UNCHANGED` if leaving it out has a
            meaning of its own.
        doc: what it means.
    """

    __slots__ = ("default", "doc", "name", "schema")

    def __init__(self, name: str, schema: Schema, default: object, doc: str) -> None:
        self.name = name
        self.schema = schema
        self.default = default
        self.doc = doc


REQUIRED = inspect.Parameter.empty
_PAGE_SIZE: Schema = {"type": "integer", "minimum": 1, "maximum": 1000}


class Call:
    """One call.

    Attributes:
        name: of the method.
        right: what a key must be for.
        kept_by: how it is kept inside the key's scopes: `IDS`, `FILTERS`, `MEMORY`, `EVERYTHING`.
        lists_scopes: whether its result is a list of scopes, which can be narrowed down afterwards.
        result: the name of the result's type, as in `isomem.results`.
        is_repeatable: whether doing it twice is the same as doing it once.
        destroys: whether it removes something.
        more: arguments that only the service has.
    """

    __slots__ = (
        "destroys", "is_repeatable", "kept_by", "lists_scopes", "more", "name", "result", "right",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        right: str,
        kept_by: str,
        result: str,
        *,
        lists_scopes: bool = False,
        is_repeatable: bool = True,
        destroys: bool = False,
        more: tuple[Parameter, ...] = (),
    ) -> None:
        self.name = name
        self.right = right
        self.kept_by = kept_by
        self.result = result
        self.lists_scopes = lists_scopes
        self.is_repeatable = is_repeatable
        self.destroys = destroys
        self.more = {each.name: each for each in more}

    @property
    def parameters(self) -> dict[str, Parameter]:
        """The arguments by name, in order."""
        return {**_parameters(self.name), **self.more} if self.more else _parameters(self.name)

    @property
    def reads(self) -> bool:
        """Whether it changes nothing."""
        return self.right == "read"

    @property
    def doubt(self) -> str:
        """What to bear in mind if nobody knows whether it was carried out; "" if it only reads."""
        if self.reads:
            return ""
        return "Doing it again does no harm." if self.is_repeatable else "It may be stored already."

    @property
    def summary(self) -> str:
        """What it does, in a sentence."""
        return _doc(self.name).partition("\n")[0]

    @property
    def doc(self) -> str:
        """The documentation of the method, as Markdown."""
        return _doc(self.name)


_PAGING = (
    Parameter(
        "page_size", {"anyOf": [_PAGE_SIZE, {"type": "null"}]}, None,
        "how many scopes are on a page, 1 to 1000; 100 by default",
    ),
    Parameter(
        "cursor", {"anyOf": [{"type": "string"}, {"type": "null"}]}, None,
        "the `next_cursor` of the page before, with the same ids, `show_expired` and "
        "`show_superseded`; None asks for the first page",
    ),
)  # fmt: skip

CALLS = {
    call.name: call
    for call in (
        Call("add", "write", IDS, "AddResults", is_repeatable=False),
        Call("remember", "write", IDS, "AddResults", is_repeatable=False),
        Call("search", "read", FILTERS, "SearchResults"),
        Call("context", "read", FILTERS, "str"),
        Call("get", "read", MEMORY, "GotMemory | None"),
        Call("get_all", "read", FILTERS, "MemoryList | MemoryPage"),
        Call("count", "read", FILTERS, "int"),
        Call("scopes", "read", IDS, "list[Scope] | ScopePage", lists_scopes=True, more=_PAGING),
        Call("history", "read", MEMORY, "list[HistoryRow]"),
        Call("update", "write", MEMORY, "Done"),
        Call("restore", "write", MEMORY, "Done"),
        Call("delete", "write", MEMORY, "Done", destroys=True),
        Call("delete_all", "write", IDS, "Done", destroys=True),
        Call("purge", "write", IDS, "Done", destroys=True),
        Call("sweep", "write", IDS, "int", destroys=True),
        Call("compact", "admin", EVERYTHING, "None"),
        Call("reset", "admin", EVERYTHING, "None", destroys=True),
    )
}
"""The calls that a service offers."""

REMOVALS = frozenset({"delete_all", "purge", "reset"})
"""Those that remove whole scopes."""

_JSON: Schema = {"type": "object", "additionalProperties": True}
_LABEL = ["string", "number", "boolean"]
_MESSAGE: Schema = {
    "type": "object",
    "properties": {
        "role": {
            "type": _LABEL,
            "description": "who says it, such as user or assistant; with the profile 2.2.1, it may "
            "be left out",
        },
        "content": {
            "description": "what is said: text, or a list of parts; a message without any, such as "
            "the call of a tool, is passed over"
        },
        "name": {"type": [*_LABEL, "null"], "description": "of the speaker"},
    },
    "required": ["role"],
    "additionalProperties": True,
}
_SCHEMAS: dict[str, Schema] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "None": {"type": "null"},
    "Json": _JSON,
    "list[Json]": {"type": "array", "items": _MESSAGE},
    "Moment": {"anyOf": [{"type": "string"}, {"type": "number"}]},
    "Day": {"type": "string"},
}
_OF_NAME: dict[str, Schema] = {
    "ranking": {"enum": [*RANKINGS]},
    "order": {"enum": [*ORDERS]},
    "supersede": {"enum": [*SUPERSEDING]},
    "threshold": {"type": "number", "minimum": 0, "maximum": 1},
    "top_k": {"type": "integer", "minimum": 0},
    "page_size": _PAGE_SIZE,
    "max_tokens": {"type": "integer", "minimum": 0},
}
"""What the type of a parameter does not say."""

_NOT_SENT = frozenset({"self", "kwargs", "count_tokens", "llm"})


@cache
def _parameters(name: str) -> dict[str, Parameter]:
    found: dict[str, Parameter] = {}
    for each in inspect.signature(getattr(Memory, name)).parameters.values():
        if each.name == "options":
            found |= {key: value for key, value in _parameters("add").items() if key != "messages"}
        elif each.name not in _NOT_SENT:
            schema = _schema(each.name, str(each.annotation))
            found[each.name] = Parameter(
                each.name, schema, each.default, _documented(name, each.name)
            )
    return found


def _schema(name: str, annotation: str) -> Schema:
    kinds = [kind.strip() for kind in annotation.split("|")]
    known = [_SCHEMAS[kind] for kind in kinds if kind in _SCHEMAS]
    if name in _OF_NAME:
        known = [_OF_NAME[name], *([_SCHEMAS["None"]] if "None" in kinds else [])]
    return known[0] if len(known) == 1 else {"anyOf": known}


def _doc(name: str) -> str:
    return inspect.getdoc(getattr(Memory, name)) or ""


def _documented(call: str, name: str) -> str:
    """What the method's documentation says about an argument; "" if it does not."""
    args = _doc(call).partition("\nArgs:\n")[2]
    entry = re.search(
        rf"^    (?:\w+, )*{name}(?:, \w+)*: (.*(?:\n {{5,}}.*)*)", args, flags=re.MULTILINE
    )
    text = " ".join(entry[1].split()) if entry else ""
    if text.startswith(("as in `", "As in `")):
        other = text.split("`")[1]
        text = _documented(other, name) or text
    return text
