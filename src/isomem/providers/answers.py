"""Answers: reading the JSON that a server has sent."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    JsonObject = dict[str, Any]


class Reply(str):
    """A model's text that did not end normally.

    `text.reply` reads these attributes from any str, so your own model can set them, too.

    Attributes:
        finish_reason: the reason that the server gives, such as "length" or "content_filter";
            None if it gives none.
        explanation: what the server says about it, such as a refusal.
    """

    def __new__(
        cls, text: str, finish_reason: str | None = None, explanation: str | None = None
    ) -> Reply:
        """`text`, with its attributes."""
        self = super().__new__(cls, text)
        self.finish_reason = finish_reason
        self.explanation = explanation
        return self

    finish_reason: str | None
    explanation: str | None


_NORMAL = frozenset(("", "stop", "eos", "end_turn", "stop_sequence"))
"""Reasons of texts that ended normally."""


def ended(content: Any, reason: object, explanation: object = None) -> Any:
    """The text that a call returns: `content`, as a `Reply` if it did not end normally.

    Missing content stays None, unless there is a reason to pass on.
    """
    reason = reason if isinstance(reason, str) and reason not in _NORMAL else None
    explanation = explanation if isinstance(explanation, str) and explanation else None
    if (reason is None and explanation is None) or not isinstance(content, str | None):
        return content
    return Reply(content or "", reason, explanation)


def text_of(content: object) -> Any:
    """The text of a content that a server sends in parts; any other content as it is.

    Parts that are not text, such as reasoning, are left out.
    """
    if not isinstance(content, list) or not content:
        return content
    parts = [part.get("text") if isinstance(part, dict) else part for part in content]
    texts = [part for part in parts if isinstance(part, str)]
    return "".join(texts) if texts else None


class MissingError(Exception):
    """An answer lacks something; the message names it."""


def member(answer: object, *path: str | int) -> Any:
    """The value at `path` in JSON.

    Raises:
        MissingError: there is no such value.
    """
    value: Any = answer
    try:
        for step in path:
            value = value[step]
    except (KeyError, IndexError, TypeError):
        raise MissingError(_spelled(path)) from None
    return value


def _spelled(path: tuple[str | int, ...]) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.lstrip(".")


def calls_in(message: JsonObject) -> list[JsonObject]:
    """The tool calls in a model's message, as the server sent them.

    Raises:
        MissingError: they are not a list of objects.
    """
    calls = message.get("tool_calls") or []
    if isinstance(calls, list) and all(isinstance(call, dict) for call in calls):
        return calls
    raise MissingError("tool_calls that are a list of objects")


def complaint(answer: object) -> str | None:
    """The sentence in {"error": {"message": …}}, {"error": …} or {"message": …}."""
    for name in ("error", "message", "detail"):
        if isinstance(answer, dict) and answer.get(name):
            answer = answer[name]
    return answer if isinstance(answer, str) else None


def finite(value: object, name: str) -> float:
    """`value`, if it is a number, and neither infinite nor NaN, which Python reads in JSON.

    Raises:
        MissingError: it is not; the message has its `name`.
    """
    from math import isfinite

    try:
        if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value):
            return float(value)
    except OverflowError:  # an int of hundreds of digits
        pass
    raise MissingError(name)


def vector(value: object) -> list[float]:
    """`value`, if it is a list of numbers that is not empty.

    Raises:
        MissingError: it is not.
    """
    if isinstance(value, list) and value and all(type(x) in {float, int} for x in value):
        return value
    raise MissingError("a vector of numbers")


def arguments(text: object) -> object:
    """The arguments of a tool call, which a model writes as JSON, perhaps with text around it.

    Raises:
        MissingError: there is no JSON in it.
    """
    import json

    if not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        inner = text[text.find("{") : text.rfind("}") + 1]
    try:
        return json.loads(inner)
    except (ValueError, RecursionError):
        raise MissingError("arguments of a tool call that are JSON") from None
