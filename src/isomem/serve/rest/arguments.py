"""Arguments of other servers' dialects: read as leniently as those servers read them.

They take "5" for 5 and "yes" for True, and pass over names that they do not know, so programs may
send such things. pydantic reads them there, and here.
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, create_model
from pydantic import ValidationError as Invalid

from isomem.serve.calls import CALLS, REQUIRED
from isomem.serve.problems import BAD_INPUT, Problem
from isomem.serve.rest.native import described

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from isomem.serve.rest.schemas import Schema

TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer"}
OBJECT: Schema = {"type": "object", "additionalProperties": True}
_TYPES: dict[str, Any] = {
    "string": str, "integer": int, "number": float, "boolean": bool, "null": None,
    "object": dict[str, Any], "array": list[Any],
}  # fmt: skip


class Reader:
    """Reads some arguments.

    Args:
        schemas: of the arguments, by name.
        required: the names of those that may not be left out.
        nullable: the names of those for which null means something else than leaving them out.
    """

    def __init__(
        self,
        schemas: Mapping[str, Schema],
        required: Collection[str] = (),
        nullable: Collection[str] = (),
    ) -> None:
        self.schemas = dict(schemas)
        self._nullable = frozenset(nullable)
        self._required = tuple(required)
        fields: dict[str, Any] = {
            name: (_type(schema), ...) if name in required else (_type(schema) | None, None)
            for name, schema in self.schemas.items()
        }
        config = ConfigDict(extra="ignore", protected_namespaces=())
        self._model = create_model("Arguments", __config__=config, **fields)

    def read(self, given: object) -> dict[str, Any]:
        """The arguments that are given; null means that one is not.

        Raises:
            Problem: 400, one is missing or of the wrong type.
        """
        try:
            read = self._model.model_validate(given)
        except Invalid as error:
            raise _problem(error) from None
        values = {name: getattr(read, name) for name in read.model_fields_set}
        return {
            name: value
            for name, value in values.items()
            if value is not None or name in self._nullable
        }

    @property
    def body(self) -> Schema:
        """The schema of an object with these arguments."""
        return {
            "type": "object",
            "properties": self.schemas,
            "required": list(self._required),
            "additionalProperties": True,
        }


def of_call(name: str, *left_out: str) -> dict[str, Schema]:
    """The schemas of a call's arguments, without some."""
    return {
        each.name: described(each.schema, each.doc, REQUIRED)
        for each in CALLS[name].parameters.values()
        if each.name not in left_out
    }


def _type(schema: Schema) -> Any:
    kinds = _kinds(schema)
    if {"array", "object"} <= {*kinds}:
        return Any  # The call itself says what is wrong with such a value.
    return reduce(or_, (_TYPES[kind] for kind in kinds))


def _kinds(schema: Schema) -> list[str]:
    """The types of JSON that a schema allows."""
    if "anyOf" in schema:
        return [kind for each in schema["anyOf"] for kind in _kinds(each)]
    return [schema.get("type", "string")]


def _problem(error: Invalid) -> Problem:
    fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in fault["loc"]) or "body"
    return Problem(BAD_INPUT, "VALIDATION_008", f"{where}: {fault['msg']}")
