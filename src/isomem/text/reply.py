"""Replies: the facts in what a model answered, however it wrapped them."""

from __future__ import annotations

from isomem import log
from isomem.types import is_unicode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Fact = dict[str, Any]

_FENCE = "```"
_THINK, _END_THINK = "<think>", "</think>"


def strip_wrapping(reply: str) -> str:
    """The reply without the code fence around it and without think blocks inside it."""
    return _without_thoughts(_without_fence(reply.strip())).strip()


def _without_fence(text: str) -> str:
    """The inside of a fence that encloses all of `text`; `text` itself if none does."""
    first, newline, rest = text.partition("\n")
    language = first[len(_FENCE) :]
    opens = first.startswith(_FENCE) and (not language or _is_language(language))
    if not (newline and opens and rest.endswith("\n" + _FENCE)):
        return text
    return rest[: -len(_FENCE) - 1].strip()


def _is_language(tag: str) -> bool:
    return tag.isascii() and tag.isalnum()


def _without_thoughts(text: str) -> str:
    # By hand and not by a lazy regular expression, which is quadratic in unclosed tags.
    kept, position = [], 0
    while (start := text.find(_THINK, position)) >= 0:
        end = text.find(_END_THINK, start)
        if end < 0:
            break
        kept.append(text[position:start])
        position = end + len(_END_THINK)
    return "".join([*kept, text[position:]])


def find_json(text: str) -> str:
    """The part of `text` that looks like JSON: a fenced block, else from `{` to `}`."""
    text = text.strip()
    opening = text.find(_FENCE)
    closing = text.find(_FENCE, opening + len(_FENCE)) if opening >= 0 else -1
    if closing >= 0:
        return text[opening + len(_FENCE) : closing].removeprefix("json").strip()
    start, end = text.find("{"), text.rfind("}")
    return text[start : end + 1] if 0 <= start < end else text


def facts_of(reply: Any) -> list[Fact]:
    """The facts of an extraction reply, each a dict with a non-empty str under `text`.

    A reply that cannot be read has no facts, and the log says so. An item that is no fact is
    left out (divergence D-13 where upstream breaks on it).
    """
    try:
        items = _items_of(strip_wrapping(reply))
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        log.error("Error parsing extraction response: %s", error)
        return []
    if not isinstance(items, list):
        if items:
            log.error("Error parsing extraction response: 'memory' is no list")
        return []
    return [item for item in items if _is_fact(item)]


def _items_of(text: str) -> Any:
    import json  # Here, since a memory that is only searched has no replies to read.

    if not text:
        return []
    try:
        reply = json.loads(text, strict=False)
    except json.JSONDecodeError:
        reply = json.loads(find_json(text), strict=False)
    return reply.get("memory", [])


def _is_fact(item: Any) -> bool:
    text = item.get("text") if isinstance(item, dict) else None
    if isinstance(text, str) and text and is_unicode(text):
        return True
    if text or not isinstance(item, dict):
        log.warning("Skipping an extracted item that is no fact: %.200r", item)
    return False
