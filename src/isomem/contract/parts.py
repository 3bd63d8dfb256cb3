"""Content in parts: what is left of a message that no model is shown as images.

A message whose content is neither a list nor a dict has no parts, and stays as it is.
"""

from __future__ import annotations

from isomem import log
from isomem.contract.arguments import check_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from isomem.types import Message

SILENT = "Skipping a message of role %r without text"


def in_lines(message: Message) -> Message | None:
    """The message with the texts of its parts as its content, one a line; None if it has none.

    Divergence D-10.
    """
    content = message["content"]
    if not isinstance(content, (list, dict)):
        return message
    parts = [part for part in (content if isinstance(content, list) else [content]) if part]
    texts = [part.get("text") if isinstance(part, dict) else part for part in parts]
    text = "\n".join(text for text in texts if isinstance(text, str))
    if not text:
        log.warning(SILENT, message.get("role"))
        return None
    return {**message, "content": check_text(text, "message content")}


def in_words(message: Message) -> Message | None:
    """A message of a list of parts as its role and the texts in them, with spaces in between.

    Only parts of the type "text" count. None if there are none.
    """
    parts = [part for part in message["content"] if isinstance(part, dict)]
    found = [part.get("text") for part in parts if part.get("type") == "text"]
    texts = [text for text in found if isinstance(text, str)]
    if not texts:
        log.warning(SILENT, message.get("role"))
        return None
    return {"role": message.get("role"), "content": check_text(" ".join(texts), "message content")}
