"""Replies: the facts in what a model answered, however it wrapped them.

A reply either says what to remember, which may be nothing, or it cannot be used. A usable reply is
a JSON object with the key "memory". An empty value under that key (a list without items, null, or
another empty value) means that there is nothing to remember. Everything else is unusable: no text,
prose, JSON that is cut off or is not an object, an object without that key, a value there that is
not a list, a list in which no item has a text.
"""

from __future__ import annotations

from isomem import log
from isomem.errors import UnusableReplyError
from isomem.types import is_unicode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeGuard

    Fact = dict[str, object]

_EXCERPT = 200
"""The maximum number of characters of a reply that an error shows."""

_FENCE = "```"
_THINK, _END_THINK = "<think>", "</think>"


def strip_wrapping(reply: str) -> str:
    """The reply without a code fence around it, and without think blocks in it."""
    return _without_thoughts(_without_fence(reply.strip())).strip()


def _without_fence(text: str) -> str:
    """The inside of a fence that encloses all of `text`; `text` itself if there is none."""
    first, newline, rest = text.partition("\n")
    language = first[len(_FENCE) :]
    opens = first.startswith(_FENCE) and (not language or _is_language(language))
    if not (newline and opens and rest.endswith("\n" + _FENCE)):
        return text
    return rest[: -len(_FENCE) - 1].strip()


def _is_language(tag: str) -> bool:
    return tag.isascii() and tag.isalnum()


def _without_thoughts(text: str) -> str:
    # Not with a lazy regular expression, which is quadratic in unclosed tags.
    kept, position = [], 0
    while (start := text.find(_THINK, position)) >= 0:
        end = text.find(_END_THINK, start)
        if end < 0:
            break
        kept.append(text[position:start])
        position = end + len(_END_THINK)
    return "".join([*kept, text[position:]])


def find_json(text: str) -> str:
    """The part of `text` that looks like JSON: a fenced block, or else from `{` to `}`."""
    text = text.strip()
    opening = text.find(_FENCE)
    closing = text.find(_FENCE, opening + len(_FENCE)) if opening >= 0 else -1
    if closing >= 0:
        return text[opening + len(_FENCE) : closing].removeprefix("json").strip()
    start, end = text.find("{"), text.rfind("}")
    return text[start : end + 1] if 0 <= start < end else text


def read_facts(reply: object) -> list[Fact]:
    """The facts of an extraction reply, each a dict with a non-empty str under `text`.

    An item without a text is left out, and the log says so (divergence D-13 where upstream
    breaks on it).

    Args:
        reply: what the model answered. A str may have the attributes of `providers.answers.Reply`,
            which say how it ended.

    Raises:
        UnusableReplyError: the reply does not say what to remember. The message says why, and
            shows the beginning of the reply.
    """
    items = read_items(reply, "memory")
    facts = [item for item in items if _is_fact(item)]
    if items and not facts:
        raise _unusable(reply, "none of its items has a text")
    return facts


def read_items(reply: object, key: str) -> list[object]:
    """The list under a key of a reply that is a JSON object; empty if its value is empty.

    Raises:
        UnusableReplyError: the reply has no such list. The message says why.
    """
    try:
        return _items_of(_answered(reply), key)
    except _UnusableError as fault:
        raise _unusable(reply, str(fault)) from None


def read_text(reply: object) -> str:
    """A reply that is plain text, without its wrapping.

    Raises:
        UnusableReplyError: it is not text, or it is empty and the model says why.
    """
    if isinstance(reply, str) and (reply or not _ending(reply)):
        return strip_wrapping(reply)
    raise _unusable(reply, "it has no text")


class _UnusableError(Exception):
    """A reply does not say what to remember; the message says why."""


def _answered(reply: object) -> str:
    if reply is None:
        raise _UnusableError("it is empty")
    if not isinstance(reply, str):
        called = isinstance(reply, dict) and reply.get("tool_calls")
        kind = "a tool call" if called else f"a value of type {type(reply).__name__}"
        raise _UnusableError(f"it is {kind} and not text")
    text = strip_wrapping(reply)
    if not text:
        raise _UnusableError("it has nothing but wrapping" if reply.strip() else "it is empty")
    return text


def _items_of(text: str, key: str) -> list[object]:
    answer = _json_in(text)
    if not isinstance(answer, dict):
        raise _UnusableError(f"its JSON is {_KINDS[type(answer)]} and not an object")
    if key not in answer:
        raise _UnusableError(f'it has no "{key}", {_keys_of(answer)}')
    items = answer[key] or []
    if not isinstance(items, list):
        raise _UnusableError(f'"{key}" in it is {_KINDS[type(items)]} and not a list')
    return items


def _keys_of(answer: dict[str, object]) -> str:
    if "tool_calls" in answer or {"name", "arguments"} <= answer.keys():
        return "it is a tool call"
    names = ", ".join(repr(key[:40]) for key in list(answer)[:5])
    return f"only {names}" if names else "it is an empty object"


def _json_in(text: str) -> object:
    import json  # Here: a memory that is only searched does not need it.

    try:
        try:
            return json.loads(text, strict=False)
        except json.JSONDecodeError:
            return json.loads(find_json(text), strict=False)
    except json.JSONDecodeError as error:
        raise _UnusableError(_json_fault(text, error.msg, error.pos)) from None
    except (ValueError, RecursionError) as error:
        raise _UnusableError(f"its JSON cannot be read: {error}") from None


def _json_fault(text: str, fault: str, position: int) -> str:
    if "{" not in text:
        return "it is prose and not JSON"
    if fault.startswith("Unterminated string") or position >= len(find_json(text)):
        return "its JSON is cut off"
    return f"its JSON is not valid: {fault} (at character {position})"


_KINDS = {
    type(None): "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "an object",
}


_ENDINGS = {
    "length": "the model was cut off: raise max_tokens",
    "max_tokens": "the model was cut off: raise max_tokens",  # Anthropic, Bedrock
    "MAX_TOKENS": "the model was cut off: raise max_tokens",  # Google
    "content_filter": "a content filter stopped the model",
    "tool_calls": "the model called a tool",
    "function_call": "the model called a tool",
}


def _ending(reply: object) -> str:
    """How a reply ended, if it did not end normally, and what the server says about it."""
    reason = getattr(reply, "finish_reason", None)
    said = getattr(reply, "explanation", None)
    parts = []
    if isinstance(reason, str) and reason:
        meaning = _ENDINGS.get(reason)
        parts.append(f"finish_reason {reason!r}" + (f", {meaning}" if meaning else ""))
    if isinstance(said, str) and said:
        parts.append(f"the server says: {said[:_EXCERPT]}")
    return "; ".join(parts)


def _unusable(reply: object, fault: str) -> UnusableReplyError:
    text = reply if isinstance(reply, str) else "" if reply is None else repr(reply)
    excerpt = text.strip()[:_EXCERPT]
    ending = _ending(reply)
    message = f"the model's reply cannot be used: {fault}"
    message += f" ({ending})" if ending else ""
    message += f". It begins: {excerpt!r}" if excerpt else ""
    reason = getattr(reply, "finish_reason", None)
    details = {"fault": fault, "finish_reason": reason, "excerpt": excerpt}
    return UnusableReplyError(message, details=details)


def _is_fact(item: object) -> TypeGuard[Fact]:
    text = item.get("text") if isinstance(item, dict) else None
    if isinstance(text, str) and text and is_unicode(text):
        return True
    log.warning("Skipping an extracted item without a text: %.200r", item)
    return False
