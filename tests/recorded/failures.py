"""What a server can do wrong, and what comes of it on both sides."""

from __future__ import annotations

from typing import Any

from isomem.errors import AuthenticationError, LLMError, NetworkError, RateLimitError
from tests.unit.providers.servers import Answer

SAID = "the model is on holiday"
ERROR = {"error": {"message": SAID, "type": "trouble", "code": "trouble"}}
SOON = {"Retry-After": "0"}
TIMEOUT_S = 0.1

FAULTS: dict[str, tuple[Answer, type[Exception]]] = {
    "401": (Answer(401, ERROR), AuthenticationError),
    "429": (Answer(429, ERROR, SOON), RateLimitError),
    "500": (Answer(500, ERROR, SOON), LLMError),
    "timeout": (Answer(after_s=8 * TIMEOUT_S), NetworkError),
    "HTML": (Answer(200, "<html>holiday</html>", {"Content-Type": "text/html"}), LLMError),
    "truncated JSON": (Answer(200, '{"choices": [{"mess'), LLMError),
    "error in a 200": (Answer(200, ERROR), LLMError),
}
"""The server's answer to every request, and the error that ours raises."""

LIMITS: tuple[dict[str, Any], dict[str, Any]] = (
    {"timeout_s": 30},
    {"timeout_s": 2 * TIMEOUT_S, "max_retries": 0},
)
"""The options of ours: against a server that answers, and against one that does not."""

Outcome = tuple[str, int]
"""The class of upstream's error, or what it returned instead, and how often it sent the request."""


def outcome(made: Any) -> Outcome:
    """What came of a call, in words."""
    if made.error is None:
        kind = type(made.result).__name__
        return "returns None" if made.result is None else f"returns a {kind}", len(made.sent)
    return type(made.error).__name__, len(made.sent)


def is_sent(fault: str, sent: list[Any], attempts: int) -> bool:
    """Whether the request was sent that often.

    On a busy machine the time of the fault "timeout" may be up before the request is out.
    """
    return len(sent) == attempts or (fault == "timeout" and not sent)
