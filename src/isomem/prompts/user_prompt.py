"""Builds the user prompt of the extraction call, byte for byte as upstream's."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from isomem.types import Message

EXCERPT_LENGTH = 300
"""Characters of an earlier message that the model sees."""


def build_user_prompt(
    summary: str | Mapping[str, object] | None = None,
    recently_extracted_memories: Sequence[object] | None = None,
    existing_memories: Sequence[object] | None = None,
    new_messages: str | Sequence[object] | None = None,
    *,
    last_k_messages: Sequence[Message] | None = None,
    current_date: str | None = None,
    timestamp: str | None = None,
    custom_instructions: str | None = None,
    use_input_language: bool = False,
) -> str:
    """What the extraction model is shown.

    Args:
        summary: text, or a dict that holds it under "summary".
        recently_extracted_memories: JSON values.
        existing_memories: JSON values, such as `{"id": "0", "text": ...}`.
        new_messages: text as it is, or JSON values.
        last_k_messages: earlier messages, `{"role", "content"}` or `{"role", "message"}`. One
            without a role or content is left out; a long one is cut at `EXCERPT_LENGTH`.
        current_date: ISO date; None means today in UTC.
        timestamp: the date of the conversation; None means `current_date`.
        custom_instructions: added if not empty.
        use_input_language: adds the requirement to keep the language of the input.

    Raises:
        TypeError: a memory or message cannot be written as JSON.
        PromptIntegrityError: the language requirement is not the pinned text.
    """
    today = _today() if current_date is None else current_date
    news = new_messages if isinstance(new_messages, str) else _json(new_messages)
    sections = [
        f"## Summary\n{_summary_text(summary)}",
        f"## Last k Messages\n{''.join(_excerpts(last_k_messages or ()))}",
        f"## Recently Extracted Memories\n{_json(recently_extracted_memories)}",
        f"## Existing Memories\n{_json(existing_memories)}",
        f"## New Messages\n{news}",
        f"## Observation Date\n{today if timestamp is None else timestamp}",
        f"## Current Date\n{today}",
    ]
    if custom_instructions:
        sections += [f"## Custom Instructions\n{custom_instructions}"]
    if use_input_language:
        sections.append(_language_requirement())
    sections.append("# Output:")
    return "\n\n".join(sections)


def _summary_text(summary: str | Mapping[str, object] | None) -> object:
    # A dict's value is used as it is, even None: upstream prints it that way.
    return summary.get("summary", "") if isinstance(summary, dict) else summary or ""


def _excerpts(messages: Sequence[Message]) -> Iterator[str]:
    for message in messages:
        role = message.get("role")
        content = message.get("message") or message.get("content")
        if role and content:
            yield f"{role}: {_excerpt(content)}\n"


def _excerpt(content: str) -> str:
    return content[:EXCERPT_LENGTH] + "..." if len(content) > EXCERPT_LENGTH else content


def _json(values: Sequence[object] | None) -> str:
    import json

    return json.dumps(values or [], ensure_ascii=False)


def _today() -> str:
    from datetime import datetime, timezone

    return datetime.now(timezone.utc).date().isoformat()


def _language_requirement() -> str:
    from isomem.prompts.loader import text

    return text("LANGUAGE_REQUIREMENT")
