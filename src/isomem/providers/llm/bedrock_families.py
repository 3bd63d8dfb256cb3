"""What the models of each maker are sent and answer on Bedrock: its Converse API, or their own."""

from __future__ import annotations

from isomem.errors import InvalidConfigError
from isomem.options import Kind, is_text
from isomem.providers.answers import MissingError, member

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from isomem.ports.shapes import Message
    from isomem.providers.answers import JsonObject

FAMILIES = (
    *("ai21", "amazon", "anthropic", "cohere", "meta", "mistral", "stability", "writer"),
    *("deepseek", "gpt-oss", "perplexity", "snowflake", "titan", "command", "j2", "llama"),
    "minimax",
)
"""Upstream's list: the first of them that is a word in a model's name is its family."""

CALLING_TOOLS = frozenset(("anthropic", "cohere", "amazon"))
_CONVERSING = frozenset(("anthropic", "minimax", "mistral"))
_ONE_SYSTEM = frozenset(("anthropic",))
_TEMPERATURE_ONLY = frozenset(("anthropic", "minimax"))


def family_of(model: str) -> str:
    """Who made a model, by upstream's rule.

    Raises:
        InvalidConfigError: nobody that upstream knows.
    """
    family = _family_in(model)
    if family is None:
        raise InvalidConfigError(
            f"Unknown provider in model: {model}",
            error_code="CONFIG_002",
            details={"given": model, "known": list(FAMILIES)},
            suggestion="Such as anthropic.claude-3-5-sonnet-20240620-v1:0",
        )
    return family


def _family_in(model: str) -> str | None:
    import re

    found = (family for family in FAMILIES if re.search(rf"\b{re.escape(family)}\b", model))
    return next(found, None)


MODEL = Kind(
    "the name of a model with its maker in it",
    lambda value: is_text(value) and (not value or _family_in(value) is not None),
    {"type": "string", "pattern": rf"\b({'|'.join(FAMILIES)})\b|^(?![\s\S])"},
    fault=lambda value: f"Unknown provider in model: {value}" if is_text(value) else "",
)


def converses(family: str, model: str) -> bool:
    """Whether a model is asked through the Converse API even without tools."""
    return family in _CONVERSING or (family == "amazon" and "nova" in model.lower())


# --- The Converse API ------------------------------------------------------------------------


def conversation(
    family: str, messages: list[Message], options: JsonObject, tools: list[Any] | None
) -> JsonObject:
    """The body of a request to the Converse API."""
    systems = [_text(each) for each in messages if each.get("role") == "system"]
    others = [each for each in messages if each.get("role") != "system"]
    if tools and family == "cohere":
        systems, others = [], messages[-1:]
    if family in _ONE_SYSTEM:
        systems = systems[-1:]
        others = [each for each in others if each.get("role") in {"user", "assistant"}]
    turns = [{"role": each.get("role"), "content": [{"text": _text(each)}]} for each in others]
    empty = [{"role": "user", "content": [{"text": ""}]}]
    body: JsonObject = {"messages": turns or empty, "inferenceConfig": _inference(family, options)}
    if any(systems):
        body["system"] = [{"text": "\n".join(systems)}]
    if tools:
        body["toolConfig"] = {"tools": [_tool(each) for each in tools]}
    return body


def _inference(family: str, options: JsonObject) -> JsonObject:
    given = {"maxTokens": options.get("max_tokens"), "temperature": options.get("temperature")}
    if family not in _TEMPERATURE_ONLY:
        given["topP"] = options.get("top_p")
    return {name: value for name, value in given.items() if value is not None}


def _tool(tool: Any) -> JsonObject:
    function = tool.get("function") if isinstance(tool, dict) else None
    if not isinstance(function, dict):
        return {"toolSpec": tool}
    schema = {"json": function.get("parameters", {})}
    described = {"name": function.get("name"), "description": function.get("description", "")}
    return {"toolSpec": {**described, "inputSchema": schema}}


def _text(message: Message) -> str:
    """The text of a message, whose content may be in parts."""
    content = message.get("content")
    if isinstance(content, list):
        texts = [each.get("text") for each in content if isinstance(each, dict)]
        return "".join(text for text in texts if isinstance(text, str))
    return content if isinstance(content, str) else str(content)


def blocks_of(answer: object) -> list[JsonObject] | None:
    """The blocks of an answer of the Converse API; None if it is another one's."""
    output = answer.get("output") if isinstance(answer, dict) else None
    if not isinstance(output, dict):
        return None
    blocks = member(output, "message", "content")
    if isinstance(blocks, list) and all(isinstance(each, dict) for each in blocks):
        return blocks
    raise MissingError("output.message.content")


# --- Bodies of their own ---------------------------------------------------------------------


def invocation(family: str, model: str, messages: list[Message], options: JsonObject) -> JsonObject:
    """The body of a request in the form of the model's maker."""
    if family == "amazon":
        sampling = {
            "maxTokenCount": options.get("max_tokens"),
            "temperature": options.get("temperature"),
            "topP": options.get("top_p"),
        }
        return {"inputText": _dialogue(messages), "textGenerationConfig": _given(sampling)}
    if family == "meta":
        sampling = {
            "max_gen_len": options.get("max_tokens"),
            "temperature": options.get("temperature"),
            "top_p": options.get("top_p"),
        }
        return {"prompt": _lines(messages), **_given(sampling)}
    if family == "cohere":
        return _of_cohere(model, _lines(messages), options)
    return {
        "prompt": _dialogue(messages),
        **(_of_ai21(options) if family == "ai21" else {}),
        **_given(options),
    }


def _of_cohere(model: str, prompt: str, options: JsonObject) -> JsonObject:
    own = _given({"max_tokens": options.get("max_tokens"), "p": options.get("top_p")})
    if "cohere.command" in model:
        return {**own, "message": prompt}
    return {"prompt": prompt, **own, **_given(options)}


def _of_ai21(options: JsonObject) -> JsonObject:
    return _given({"maxTokens": options.get("max_tokens"), "topP": options.get("top_p")})


def _given(options: JsonObject) -> JsonObject:
    return {name: value for name, value in options.items() if value is not None}


def _lines(messages: list[Message]) -> str:
    return "\n".join(f"{_role(each)}: {_text(each)}" for each in messages)


def _dialogue(messages: list[Message]) -> str:
    turns = "".join(f"\n\n{_role(each)}: {_text(each)}" for each in messages)
    return f"\n\nHuman: {turns}\n\nAssistant:"


def _role(message: Message) -> str:
    return str(message.get("role")).capitalize()


_TEXTS: tuple[tuple[str | int, ...], ...] = (
    ("generation",),
    ("results", 0, "outputText"),
    ("outputs", 0, "text"),
    ("generations", 0, "text"),
    ("completions", 0, "data", "text"),
    ("content", 0, "text"),
    ("choices", 0, "message", "content"),
    ("choices", 0, "text"),
    *(("content",), ("text",), ("completion",)),
)
"""Where the makers put the text of an answer."""


def text_in(answer: object) -> str:
    """The text of an answer in any of the makers' forms.

    Raises:
        MissingError: there is none.
    """
    for path in _TEXTS:
        try:
            text = member(answer, *path)
        except MissingError:
            continue
        if isinstance(text, str):
            return text
    raise MissingError("a text")
