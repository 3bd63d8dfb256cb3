"""`mem0.memory.utils`: what mem0 makes of messages, replies and the facts of its older releases."""

from __future__ import annotations

import re

from isomem import prompts
from isomem.compat.templates import (
    AGENT_MEMORY_EXTRACTION_PROMPT,
    FACT_RETRIEVAL_PROMPT,
    USER_MEMORY_EXTRACTION_PROMPT,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from isomem.ports.shapes import Message

_SPOKEN = ("system", "user", "assistant")
_RELATION = ("source", "relationship", "destination")
_JSON_INSTRUCTION = "JSON_INSTRUCTION"


def _logger() -> Any:
    import logging

    return logging.getLogger("mem0.memory.utils")


# --- Prompts of the releases before mem0 2 ---------------------------------------------------


def get_fact_retrieval_messages(message: object, is_agent_memory: bool = False) -> tuple[str, str]:
    """The system and the user prompt that asked for facts before mem0 2.

    Args:
        message: the conversation.
        is_agent_memory: asks for facts about the assistant, not the user.
    """
    system = AGENT_MEMORY_EXTRACTION_PROMPT if is_agent_memory else USER_MEMORY_EXTRACTION_PROMPT
    return system, f"Input:\n{message}"


def get_fact_retrieval_messages_legacy(message: object) -> tuple[str, str]:
    """The same, of the releases before mem0 1."""
    return FACT_RETRIEVAL_PROMPT, f"Input:\n{message}"


def ensure_json_instruction(system_prompt: str, user_prompt: str) -> tuple[str, str]:
    """Two prompts, one of which has the word "json": OpenAI wants it there for JSON replies."""
    if "json" in (system_prompt + user_prompt).lower():
        return system_prompt, user_prompt
    return system_prompt + prompts.text(_JSON_INSTRUCTION), user_prompt


# --- Messages --------------------------------------------------------------------------------


def parse_messages(messages: Iterable[Message]) -> str:
    """Messages as lines of `role: content`; only those of the system, the user, the assistant.

    Raises:
        KeyError: a message has no role, or one of these has no content.
    """
    return "".join(
        f"{each['role']}: {each['content']}\n" for each in messages if each["role"] in _SPOKEN
    )


def get_image_description(image_obj: object, llm: Any, vision_details: str | None) -> Any:
    """What a model says about an image.

    Args:
        image_obj: the address of an image, or a message with images.
        llm: the model.
        vision_details: how closely it looks: "low", "high" or "auto".
    """
    message = image_obj
    if isinstance(image_obj, str):
        image = {"type": "image_url", "image_url": {"url": image_obj, "detail": vision_details}}
        question = {"type": "text", "text": prompts.text("VISION_DESCRIPTION")}
        message = {"role": "user", "content": [question, image]}
    return llm.generate_response(messages=[message])


def parse_vision_messages(
    messages: Iterable[Message], llm: Any = None, vision_details: str | None = "auto"
) -> list[Message]:
    """Messages whose images are replaced by what a model says about them.

    Raises:
        Exception: an image cannot be described; its address is in the text.
    """
    return [
        each if each["role"] == "system" else _described(each, llm, vision_details)
        for each in messages
    ]


def _described(message: Message, llm: Any, details: str | None) -> Message:
    content = message["content"]
    if isinstance(content, list):
        return {"role": message["role"], "content": get_image_description(message, llm, details)}
    if not isinstance(content, dict) or content.get("type") != "image_url":
        return message
    url = content["image_url"]["url"]
    try:
        return {"role": message["role"], "content": get_image_description(url, llm, details)}
    except Exception as error:
        raise Exception(f"Error while downloading {url}.") from error


# --- Replies ---------------------------------------------------------------------------------


def remove_code_blocks(content: str) -> str:
    """A reply without a code fence around it, and without think blocks in it."""
    text = content.strip()
    fenced = re.match(r"^```[a-zA-Z0-9]*\n([\s\S]*?)\n```$", text)
    inside = fenced.group(1).strip() if fenced else text
    return re.sub(r"<think>.*?</think>", "", inside, flags=re.DOTALL).strip()


def extract_json(text: str) -> str:
    """The part of a text that looks like JSON: a fenced block, or else from `{` to `}`."""
    text = text.strip()
    fenced = re.search(r"```(?:json)?\s*(.*?)\s*```", text, re.DOTALL)
    if fenced:
        return fenced.group(1)
    start, end = text.find("{"), text.rfind("}")
    return text[start : end + 1] if 0 <= start < end else text


def normalize_facts(raw_facts: Iterable[Any] | None) -> list[Any]:
    """Facts as texts, whatever form a small model gave them.

    A dict counts with its "fact" or its "text"; one that has neither is left out, and the log says
    so. Anything else is written as text. What is empty is left out.
    """
    normalized = []
    for item in raw_facts or ():
        fact = (item.get("fact") or item.get("text")) if isinstance(item, dict) else item
        if isinstance(item, dict) and fact is None:
            _logger().warning("Unexpected fact shape from LLM, skipping: %s", item)
            continue
        if not isinstance(item, (str, dict)):
            fact = str(item)
        if fact:
            normalized.append(fact)
    return normalized


# --- Telemetry -------------------------------------------------------------------------------


def process_telemetry_filters(filters: dict[str, Any] | None) -> Any:
    """The names of filters, and the MD5 digests of the ids in them; {} for None.

    mem0 reports these. isomem reports nothing: this is for programs that call it.
    """
    if filters is None:
        return {}
    from isomem.digest import md5_hex

    names = ("user_id", "agent_id", "run_id")
    return [*filters], {name: md5_hex(filters[name]) for name in names if name in filters}


# --- Relations of graphs ---------------------------------------------------------------------


def format_entities(entities: Iterable[dict[str, Any]] | None) -> str:
    """Relations as lines of `source -- relationship -- destination`."""
    return "\n".join(" -- ".join(f"{each[key]}" for key in _RELATION) for each in entities or ())


# ruff: noqa: RUF001 - the characters that look like others are the point.
_CYPHER = {
    "...": "ellipsis", "…": "ellipsis", "。": "period", "，": "comma", "；": "semicolon",
    "：": "colon", "！": "exclamation", "？": "question", "（": "lparen", "）": "rparen",
    "【": "lbracket", "】": "rbracket", "《": "langle", "》": "rangle", "'": "apostrophe",
    '"': "quote", "\\": "backslash", "/": "slash", "|": "pipe", "&": "ampersand", "=": "equals",
    "+": "plus", "*": "asterisk", "^": "caret", "%": "percent", "$": "dollar", "#": "hash",
    "@": "at", "!": "bang", "?": "question", "(": "lparen", ")": "rparen", "[": "lbracket",
    "]": "rbracket", "{": "lbrace", "}": "rbrace", "<": "langle", ">": "rangle",
}  # fmt: skip
"""The words that stand for characters that a name in Cypher cannot have."""


def sanitize_relationship_for_cypher(relationship: str) -> str:
    """The name of a relation as one that Cypher takes: other characters become words."""
    for character, word in _CYPHER.items():
        relationship = relationship.replace(character, f"_{word}_")
    return re.sub(r"_+", "_", relationship.replace("-", "_")).strip("_")


def remove_spaces_from_entities(
    entity_list: Iterable[Any], *, sanitize_relationship: bool = True
) -> list[dict[str, Any]]:
    """The relations among `entity_list`, in lower case, with underscores for spaces.

    The dicts are changed. What is not a relation is left out.
    """
    relations = [
        each for each in entity_list if isinstance(each, dict) and all(k in each for k in _RELATION)
    ]
    for each in relations:
        each.update({key: each[key].lower().replace(" ", "_") for key in _RELATION})
        if sanitize_relationship:
            each["relationship"] = sanitize_relationship_for_cypher(each["relationship"])
    return relations
