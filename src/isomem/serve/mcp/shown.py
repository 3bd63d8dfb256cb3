"""What a model gets to see: memories with their dates and ids, within a budget of tokens."""

from __future__ import annotations

import json

from isomem.contract.context import estimate_tokens
from isomem.contract.moments import EVENT_TIME
from isomem.contract.pages import moment_of
from isomem.types import SCOPE_KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    Json = dict[str, Any]
    Found = Mapping[str, Any]
    """What a call returns: one of the dicts of `isomem.results`."""

_UNDATED = "undated"
_MORE = ("role", "actor_id", "expiration_date", "superseded_by")
_LEAST = 20
"""No memory and no event has fewer tokens: the names of their fields alone have more."""
_DIGITS = 3
"""Of a score, after the point."""


class Shown:
    """Something that a model sees, in both forms.

    Attributes:
        structured: as JSON.
        line: as text.
    """

    __slots__ = ("line", "structured")

    def __init__(self, structured: Json, line: str) -> None:
        self.structured = structured
        self.line = line

    @property
    def tokens(self) -> int:
        """About how many tokens the longer form has: a client shows its model one of them."""
        as_json = json.dumps(self.structured, ensure_ascii=False)
        return max(estimate_tokens(as_json), estimate_tokens(self.line) + 1)


def memory_shown(memory: Found, scope: Mapping[str, str]) -> Shown:
    """A memory as a result of any call has it.

    Args:
        scope: ids that every memory here has, which are not repeated.
    """
    metadata = dict(memory.get("metadata") or {})
    date = date_of(metadata.pop(EVENT_TIME, None), memory.get("created_at"))
    structured: Json = {"id": memory["id"], "memory": memory["memory"], "date": date}
    if memory.get("score") is not None:
        structured["score"] = round(memory["score"], _DIGITS)
    if "score_details" in memory:
        details = memory["score_details"].items()
        structured["score_details"] = {name: round(value, _DIGITS) for name, value in details}
    if metadata:
        structured["metadata"] = metadata
    for key in (*SCOPE_KEYS, *_MORE):
        if memory.get(key) is not None and memory[key] != scope.get(key):
            structured[key] = memory[key]
    day = date[: len("2026-05-01")] if date else _UNDATED
    return Shown(structured, f"- [{day}] {_indented(memory['memory'])} (id: {memory['id']})")


def event_shown(event: Found) -> Shown:
    """A row of a history."""
    old, new = event.get("old_memory"), event.get("new_memory")
    date = date_of(None, event.get("updated_at") or event.get("created_at"))
    structured = {"event": event["event"], "date": date, "old_memory": old, "new_memory": new}
    texts = " -> ".join(_indented(text) for text in (old, new) if text is not None)
    return Shown(structured, f"- [{date or _UNDATED}] {event['event']}: {texts}")


def date_of(said: object, stored: object) -> str | None:
    """When something was said, or else stored, to the second and in UTC; None if unknown."""
    moment = moment_of(said, stored)
    if moment is None:
        return None
    return moment.replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def fitting(items: Sequence[Shown], max_tokens: int) -> list[Shown]:
    """Those that fit, in order. One that is too long is left out, and the next are still tried."""
    kept = []
    for each in items:
        if max_tokens < _LEAST:
            break  # Counting the rest would cost more than it finds.
        tokens = each.tokens
        if tokens <= max_tokens:
            kept.append(each)
            max_tokens -= tokens
    return kept


def most_that_fit(max_tokens: int) -> int:
    """A number of memories more than which never fit."""
    return max_tokens // _LEAST + 1


def how_many_fit(items: Sequence[Shown], max_tokens: int) -> int:
    """How many of the first fit, but one at least: a page without any would have no next one."""
    count = 0
    for each in items:
        max_tokens -= each.tokens
        if max_tokens < 0:
            break
        count += 1
    return max(count, 1)


def _indented(text: str) -> str:
    """A text as part of an item of a list: its further lines stay in the item."""
    return "\n  ".join(text.splitlines())
