"""Our own calls: `POST /api/NAME` with the arguments as a JSON object.

Everything is from the table of calls: arguments, defaults, documentation and results.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from isomem.serve.callers import BACKGROUND
from isomem.serve.calls import CALLS, REQUIRED
from isomem.serve.rest.operations import Operation
from isomem.serve.rest.schemas import of_result
from isomem.types import UNCHANGED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from isomem.serve.callers import Caller
    from isomem.serve.calls import Call, Parameter
    from isomem.serve.rest.schemas import Schema

TAG = "isomem"
IN_BACKGROUND: Schema = {
    "type": "boolean",
    "description": "whether to answer with a job, and make the call later",
    "default": False,
}


def operations() -> list[Operation]:
    """One for each call."""
    return [_operation(call) for call in CALLS.values()]


def _operation(call: Call) -> Operation:
    return Operation(
        "POST",
        f"/api/{call.name}",
        _runner(call.name),
        name=call.name,
        summary=call.summary,
        tag=TAG,
        result=of_result(call.result),
        body=body_of(call),
        may_wait=not call.is_repeatable,
        doc=f"Needs a key with the right `{call.right}`.\n\n{call.doc}",
    )


def _runner(name: str) -> Callable[[Caller], Awaitable[Any]]:
    async def run(caller: Caller) -> object:
        return await caller.call(name, await caller.object())

    return run


def body_of(call: Call) -> Schema:
    """The schema of the arguments of a call."""
    parameters = call.parameters.values()
    return {
        "type": "object",
        "properties": {
            **{each.name: described(_taken(each), each.doc, each.default) for each in parameters},
            **({} if call.is_repeatable else {BACKGROUND: IN_BACKGROUND}),
        },
        "required": [each.name for each in parameters if each.default is REQUIRED],
        "additionalProperties": False,
    }


def _taken(parameter: Parameter) -> Schema:
    """The schema of what a call takes: an id may be anything that can be written as text."""
    return {} if parameter.name == "memory_id" else parameter.schema


def described(schema: Schema, doc: str, default: object) -> Schema:
    """The schema of an argument with its documentation and its default."""
    known = default is not REQUIRED and default is not UNCHANGED and default is not None
    return {
        **schema,
        **({"description": doc} if doc else {}),
        **({"default": default} if known else {}),
    }
