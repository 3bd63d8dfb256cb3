"""A language model that returns prepared replies."""

from __future__ import annotations

from isomem.errors import LLMError
from isomem.options import ANYTHING, Kind, Option, is_text, merged
from isomem.providers.settings import default_settings, read_settings, takes
from isomem.providers.tables import LLM_OPTIONS, MODEL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from isomem.ports.shapes import Message

    Reply = (
        str | dict[str, Any] | list[Any] | BaseException | type[BaseException] | Callable[..., Any]
    )


NAME = "scripted"
"""The model name that it reports."""


class ScriptedLLM:
    """Returns prepared replies, one per call, and records what it was asked.

    Args:
        replies: each is a text; a dict or list, returned as JSON; an exception, raised; or a
            callable that gets the messages and returns any of these.
        default: the reply to every call after the last one; by default such a call fails.

    Attributes:
        calls: one dict per call: {"messages": …} and the options that were given.
        config: options under upstream's names.
    """

    def __init__(self, replies: Iterable[Reply] = (), default: Reply | None = None) -> None:
        self.config = default_settings(LLM_OPTIONS, model=NAME)
        self.calls: list[dict[str, Any]] = []
        self._replies = list(replies)
        self._default = default

    def reply(self, *replies: Reply) -> None:
        """Adds replies at the end of the queue."""
        self._replies += replies

    @property
    def remaining(self) -> int:
        """How many replies are still in the queue."""
        return len(self._replies)

    def generate_response(self, messages: list[Message], *args: Any, **options: Any) -> Any:
        """The next reply.

        Raises:
            LLMError: there is no reply left.
        """
        options.update(zip(("response_format", "tools", "tool_choice"), args, strict=False))
        # A copy: the caller may change its messages later.
        self.calls.append({"messages": [dict(message) for message in messages], **options})
        return _resolved(self._next(), messages)

    async def agenerate_response(self, messages: list[Message], *args: Any, **options: Any) -> Any:
        """As `generate_response`."""
        return self.generate_response(messages, *args, **options)

    def _next(self) -> Any:
        if self._replies:
            return self._replies.pop(0)
        if self._default is not None:
            return self._default
        raise LLMError(
            f"The scripted llm has no reply for call {len(self.calls)}: all prepared ones are used",
            details={"provider": "mock", "calls": len(self.calls)},
            suggestion='Prepare more: ScriptedLLM([...]), or {"provider": "mock", "config": '
            '{"replies": [...]}}; or give a "default"',
        )

    def close(self) -> None:
        """Nothing to close."""

    async def aclose(self) -> None:
        """Nothing to close."""

    def __repr__(self) -> str:
        return f"<ScriptedLLM {len(self.calls)} calls, {self.remaining} replies left>"


def _resolved(reply: Any, messages: list[Message]) -> Any:
    if isinstance(reply, BaseException) or (
        isinstance(reply, type) and issubclass(reply, BaseException)
    ):
        raise reply
    if callable(reply):
        return _resolved(reply(messages), messages)
    if isinstance(reply, (dict, list)):
        import json

        return json.dumps(reply, ensure_ascii=False)
    return reply


def _are_replies(value: object) -> bool:
    return hasattr(value, "__iter__") and not is_text(value) and not hasattr(value, "keys")


OPTIONS = merged(
    LLM_OPTIONS,
    (
        Option("model", None, MODEL, "the model name that it reports", unset=f"`{NAME}`"),
        Option(
            "replies",
            (),
            Kind("a list of replies", _are_replies, {"type": "array"}),
            "what to answer, in order",
        ),
        Option(
            "default",
            None,
            ANYTHING,
            "what to answer after the last reply; without it, such a call fails",
        ),
    ),
)


@takes(OPTIONS)
def mock_llm(config: Mapping[str, object] | None = None) -> ScriptedLLM:
    """A `ScriptedLLM` from options: `replies`, `default`, and those of every model.

    Raises:
        InvalidConfigError: an option is unknown.
    """
    settings = read_settings(config, OPTIONS, "llm.config (mock)")
    llm = ScriptedLLM(settings.replies, settings.default)
    del settings.replies, settings.default
    settings.model = settings.model or NAME
    llm.config = settings
    return llm
