"""`mem0.configs.prompts`: the texts that isomem sends, and those of mem0's older releases.

The texts themselves are pinned; see `isomem.prompts`. Three of the older ones name the day on which
they are first asked for, in local time, as in mem0.
"""

from __future__ import annotations

from isomem import prompts
from isomem.prompts.user_prompt import EXCERPT_LENGTH, build_user_prompt

TYPE_CHECKING = False
if TYPE_CHECKING:
    FACT_RETRIEVAL_PROMPT: str
    USER_MEMORY_EXTRACTION_PROMPT: str
    AGENT_MEMORY_EXTRACTION_PROMPT: str

__all__ = [
    "PAST_MESSAGE_TRUNCATION_LIMIT",
    "generate_additive_extraction_prompt",
    "get_update_memory_messages",
]

PAST_MESSAGE_TRUNCATION_LIMIT = EXCERPT_LENGTH
generate_additive_extraction_prompt = build_user_prompt

_DATED = (
    "FACT_RETRIEVAL_PROMPT",
    "USER_MEMORY_EXTRACTION_PROMPT",
    "AGENT_MEMORY_EXTRACTION_PROMPT",
)


def __getattr__(name: str) -> str:
    if name in _DATED:
        globals()[name] = text = _dated(name)
        return text
    if name in prompts.__all__:
        return str(getattr(prompts, name))
    raise AttributeError(name)


def _dated(name: str) -> str:
    from datetime import datetime

    today = datetime.now().strftime("%Y-%m-%d")
    return f"{prompts.text(f'{name}_BEFORE_DATE')}{today}{prompts.text(f'{name}_AFTER_DATE')}"


def get_update_memory_messages(
    retrieved_old_memory_dict: object,
    response_content: object,
    custom_update_memory_prompt: str | None = None,
) -> str:
    """The prompt that asked what to do with stored memories before mem0 2.

    Args:
        retrieved_old_memory_dict: the stored memories.
        response_content: the new facts.
        custom_update_memory_prompt: stands before them; mem0's own by default.
    """
    memories = prompts.text("UPDATE_MEMORY_EMPTY")
    if retrieved_old_memory_dict:
        intro = prompts.text("UPDATE_MEMORY_CURRENT_BEFORE")
        memories = f"{intro}{retrieved_old_memory_dict}\n    ```\n\n    "
    task = custom_update_memory_prompt
    if task is None:
        task = prompts.DEFAULT_UPDATE_MEMORY_PROMPT
    before, after = (prompts.text(f"UPDATE_MEMORY_FACTS_{part}") for part in ("BEFORE", "AFTER"))
    return f"{task}\n\n    {memories}{before}{response_content}{after}"
