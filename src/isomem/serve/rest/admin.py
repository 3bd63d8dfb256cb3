"""What administrators do in the dialect of mem0's self-hosted server: the configuration."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from isomem.causes import message_of
from isomem.errors import ConfigurationError, DependencyError
from isomem.providers import registry
from isomem.serve.configuration import shown
from isomem.serve.problems import BAD_INPUT, Problem
from isomem.serve.rest.arguments import OBJECT, TEXT, Reader
from isomem.serve.rest.selfhosted import MESSAGE, TAG, operation

if TYPE_CHECKING:
    from isomem.serve.callers import Caller
    from isomem.serve.rest.operations import Operation
    from isomem.serve.rest.schemas import Schema
    from isomem.serve.rest.selfhosted import Row

USE_CASE = Reader({"use_case": TEXT}, required=("use_case",))
_NAMES: Schema = {"type": "array", "items": TEXT}
_PROVIDERS: Schema = {
    "type": "object",
    "properties": {"llm": _NAMES, "embedder": _NAMES},
    "required": ["llm", "embedder"],
    "additionalProperties": False,
}
_GENERATED: Schema = {
    "type": "object",
    "properties": {"custom_instructions": TEXT, "test_message": TEXT},
    "required": ["custom_instructions", "test_message"],
    "additionalProperties": False,
}

_ASK = """A program will remember facts about people in the following situation: {use_case}

Write two lines and nothing else. The first says in a few sentences which facts are worth \
remembering there, and which are not. The second is one sentence that somebody might say there, \
with such a fact in it. Begin the lines with these words:
INSTRUCTIONS:
TEST_MESSAGE:"""
_NO_MESSAGE = "On Saturdays I go climbing with my brother."


def operations() -> list[Operation]:
    """The operations on the configuration."""
    rows: tuple[Row, ...] = (
        ("GET", "/configure", get_configuration, "Get the configuration, without secrets", OBJECT),
        ("POST", "/configure", set_configuration, "Change the configuration", MESSAGE, OBJECT),
        ("GET", "/configure/providers", providers, "List the providers that there are", _PROVIDERS),
        ("POST", "/generate-instructions", generate_instructions,
         "Let the model write instructions for a use case", _GENERATED, USE_CASE.body),
    )  # fmt: skip
    return [operation(TAG, "selfhosted", *row) for row in rows]


async def get_configuration(caller: Caller) -> object:
    """The configuration."""
    check_administrator(caller)
    return shown(caller.service.configuration)


async def set_configuration(caller: Caller) -> object:
    """Changes the configuration."""
    check_administrator(caller)
    changed = await caller.object()
    try:
        await asyncio.to_thread(caller.service.configure, changed)
    except (ConfigurationError, DependencyError) as error:
        advice, said = error.suggestion, message_of(error)
        raise Problem(BAD_INPUT, error.error_code, said, advice) from None
    return {"message": "Configuration set successfully"}


def check_administrator(caller: Caller) -> None:
    """Raises PermissionDeniedError unless a key may administer everything."""
    caller.access.check_right("admin")
    caller.access.check_everything()


async def providers(caller: Caller) -> object:
    """The names of the models and embedders that can be configured."""
    del caller
    kinds = {"llm": registry.LLMS, "embedder": registry.EMBEDDERS}
    return {section: registry.names_of(kind) for section, kind in kinds.items()}


async def generate_instructions(caller: Caller) -> object:
    """Asks the model for instructions."""
    caller.access.check_right("write")
    use_case = USE_CASE.read(await caller.object())["use_case"]
    if not use_case.strip():
        raise Problem(BAD_INPUT, "VALIDATION_008", "use_case: is blank.")
    reply = await caller.ask_model([{"role": "user", "content": _ASK.format(use_case=use_case)}])
    return parsed(str(reply))


def parsed(reply: str) -> dict[str, str]:
    """The two parts of a reply; one that has no parts is all instructions."""
    instructions, marked, message = reply.partition("TEST_MESSAGE:")
    if not marked or "INSTRUCTIONS:" not in reply:
        return {"custom_instructions": reply, "test_message": _NO_MESSAGE}
    instructions = instructions.replace("INSTRUCTIONS:", "").strip()
    return {"custom_instructions": instructions, "test_message": message.strip()}
