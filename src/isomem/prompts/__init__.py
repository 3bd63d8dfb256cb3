"""The texts sent to models. Five have upstream's names; each is loaded and checked on first use::

    from isomem.prompts import ADDITIVE_EXTRACTION_PROMPT

The texts are not in the source: the build takes them from the upstream release that
`isomem.prompts.manifest` names by digest. `text(name)` returns the others that are pinned there.
"""

from __future__ import annotations

from isomem.prompts.loader import text
from isomem.prompts.user_prompt import build_user_prompt

ADDITIVE_EXTRACTION_PROMPT: str
DEFAULT_UPDATE_MEMORY_PROMPT: str
AGENT_CONTEXT_SUFFIX: str
PROCEDURAL_MEMORY_SYSTEM_PROMPT: str
MEMORY_ANSWER_PROMPT: str

_LAZY = frozenset(
    (
        "ADDITIVE_EXTRACTION_PROMPT",
        "DEFAULT_UPDATE_MEMORY_PROMPT",
        "AGENT_CONTEXT_SUFFIX",
        "PROCEDURAL_MEMORY_SYSTEM_PROMPT",
        "MEMORY_ANSWER_PROMPT",
    )
)

__all__ = [
    "ADDITIVE_EXTRACTION_PROMPT",
    "AGENT_CONTEXT_SUFFIX",
    "DEFAULT_UPDATE_MEMORY_PROMPT",
    "MEMORY_ANSWER_PROMPT",
    "PROCEDURAL_MEMORY_SYSTEM_PROMPT",
    "build_user_prompt",
    "text",
]


def __getattr__(name: str) -> str:
    if name in _LAZY:
        return text(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
