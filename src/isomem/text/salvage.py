"""Salvage: what can be used of a reply that `reply.read_facts` refuses.

Small models wrap, cut off or misspell their answers in a few ways that leave the facts readable.
Every fact that is salvaged is in the reply, word for word: nothing is completed or guessed.
"""

from __future__ import annotations

from isomem.pattern import Pattern
from isomem.types import is_unicode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Fact = dict[str, object]

_LISTS = ("memory", "facts", "memories")
"""The keys under which a list of facts is accepted."""

_THOUGHTS = tuple((f"<{tag}>", f"</{tag}>") for tag in ("think", "thinking", "thought"))

_MOST_STARTS = 1000
"""At how many braces a cut-off reply is tried, so that the time stays in bounds."""

# A string that never ends takes the rest of the text, so nothing is looked at twice.
_strings_and_last_commas = Pattern(r'("(?:[^"\\]|\\[\s\S])*(?:"|\\?\Z))|,(?=\s*[\]}])').sub
_opening_brackets = Pattern(r"[{\[]").finditer


def salvage_facts(reply: object) -> list[Fact] | None:
    """The facts in a reply, each a dict with a non-empty str under `text`; None if there are none.

    It accepts, beyond what `read_facts` does: a list instead of an object; the list under "facts"
    or "memories"; facts that are strings; a reply in parts; commas after the last item; prose
    around all of it; `<thinking>`, `<thought>`, and a closing tag without an opening one; and of a
    reply that is cut off, the objects that are complete. An empty list means that there is nothing
    to remember.
    """
    if isinstance(reply, dict) and not reply.keys().isdisjoint(_LISTS):
        return _facts_of(reply)
    text = _without_last_commas(_without_thoughts(reply_text(reply)))
    found = _whole(text)
    return _complete_ones(text) if found is None else found


def reply_text(reply: object) -> str:
    """The text of a reply: itself, its parts, or its content; "" if it has none."""
    if isinstance(reply, dict):
        reply = reply.get("content")
    if isinstance(reply, (list, tuple)):
        parts = (part.get("text") if isinstance(part, dict) else part for part in reply)
        reply = "".join(part for part in parts if isinstance(part, str))
    return reply if isinstance(reply, str) else ""


def _without_thoughts(text: str) -> str:
    for opening, closing in _THOUGHTS:
        kept, at = [], 0
        while (start := text.find(opening, at)) >= 0:
            kept.append(text[at:start])
            end = text.find(closing, start)
            at = end + len(closing) if end >= 0 else len(text)
        # What is left before a closing tag was thought, too: some templates omit the opening one.
        text = "".join([*kept, text[at:]]).rpartition(closing)[2]
    return text


def _without_last_commas(text: str) -> str:
    return _strings_and_last_commas(r"\1", text)


def _whole(text: str) -> list[Fact] | None:
    """The facts of the first complete JSON value that has any, or that is an empty list."""
    end = 0
    for bracket in _opening_brackets(text):
        if bracket.start() < end:
            continue
        value, end = _value_at(text, bracket.start())
        if end < 0:
            return None
        found = _facts_of(value)
        if found is not None:
            return found
    return None


def _complete_ones(text: str) -> list[Fact] | None:
    """The facts that are complete objects, wherever they stand."""
    facts: list[Fact] = []
    at = 0
    for _ in range(_MOST_STARTS):
        start = text.find("{", at)
        if start < 0:
            break
        value, end = _value_at(text, start)
        facts += _facts_of(value) or ()
        at = end if end >= 0 else start + 1
    return facts or None


def _value_at(text: str, start: int) -> tuple[Any, int]:
    """The JSON value that begins there, and where it ends; -1 if there is none."""
    import json

    try:
        return json.JSONDecoder(strict=False).raw_decode(text, start)
    except (ValueError, RecursionError):
        return None, -1


def _facts_of(value: Any) -> list[Fact] | None:
    """The facts of an answer; None if it is something else."""
    items = value
    if isinstance(value, dict):
        items = next((value[key] or [] for key in _LISTS if key in value), [value])
    if not isinstance(items, list):
        return None
    facts = [fact for item in items if (fact := _fact_of(item))]
    return facts if facts or not items else None


def _fact_of(item: object) -> Fact | None:
    fact = {"text": item} if isinstance(item, str) else item
    text = fact.get("text") if isinstance(fact, dict) else None
    is_fact = isinstance(text, str) and text.strip() and is_unicode(text)
    return fact if is_fact else None  # type: ignore[return-value]
