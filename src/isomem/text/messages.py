"""Messages: what a caller hands to `add`, as the list of dicts that the pipeline works on."""

from __future__ import annotations

from isomem import log
from isomem.contract.arguments import check_text, not_unicode
from isomem.errors import ValidationError
from isomem.types import is_unicode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Message = dict[str, Any]

SPOKEN_ROLES = ("system", "user", "assistant")


def as_messages(given: Any) -> list[Message]:
    """A str, a dict or a list of dicts as a list of messages.

    Raises:
        ValidationError: VALIDATION_003, another type.
    """
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    if isinstance(given, dict):
        return [given]
    if not isinstance(given, list) or not all(isinstance(message, dict) for message in given):
        raise _wrong_type(given)
    return given


def _wrong_type(given: Any) -> ValidationError:
    return ValidationError(
        "messages must be str, dict, or list[dict]",
        error_code="VALIDATION_003",
        details={
            "provided_type": type(given).__name__,
            "valid_types": ["str", "dict", "list[dict]"],
        },
        suggestion="Convert your input to a string, dictionary, or list of dictionaries.",
    )


def with_content(messages: list[Message]) -> list[Message]:
    """The messages that have the key `content`.

    One without it (a tool call, say) has nothing to remember, and the log says so
    (divergence D-10).

    Raises:
        ValidationError: VALIDATION_004, a message without a role, with a role or name that is
            not text, or with text that is not valid Unicode.
    """
    kept = []
    for index, message in enumerate(messages):
        if not message.get("role"):
            raise _no_role(index, message)
        _check_labels(index, message)
        if "content" not in message:
            log.warning("Skipping a message of role %r without content", message["role"])
            continue
        content = message["content"]
        if isinstance(content, str) and not is_unicode(content):
            raise not_unicode(f"message {index}")
        kept.append(message)
    return kept


def _check_labels(index: int, message: Message) -> None:
    """Refuses a role or a name that no row could hold; mem0 stores numbers as they are."""
    for key in ("role", "name"):
        label = message.get(key)
        if isinstance(label, str):
            if not is_unicode(label):
                raise not_unicode(f"the {key} of message {index}")
        elif label is not None and not isinstance(label, (bool, int, float, bytes)):
            check_text(label, f"the {key} of message {index}")


def _no_role(index: int, message: Message) -> ValidationError:
    return ValidationError(
        f"message {index} has no role",
        error_code="VALIDATION_004",
        details={"index": index, "keys": sorted(map(str, message))},
        suggestion="Give every message a 'role', such as 'user' or 'assistant'.",
    )


def text_of(message: Message) -> Message | None:
    """The message with its content reduced to text; None when it holds none.

    Of a list of parts the text parts remain (divergence D-10).
    """
    content = message["content"]
    if not isinstance(content, (list, dict)):
        return message
    parts = [part for part in (content if isinstance(content, list) else [content]) if part]
    texts = [part.get("text") if isinstance(part, dict) else part for part in parts]
    text = "\n".join(text for text in texts if isinstance(text, str))
    if not text:
        log.warning("Skipping a message of role %r without text", message["role"])
        return None
    return {**message, "content": check_text(text, "message content")}


def transcript(messages: list[Message]) -> str:
    """The conversation as lines of `role: content`, roles other than the three left out."""
    return "".join(
        f"{message['role']}: {message['content']}\n"
        for message in messages
        if message["role"] in SPOKEN_ROLES
    )
