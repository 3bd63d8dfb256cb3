"""Results: a stored memory as callers see it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from isomem.ports import Hit, Payload

# Fields of a payload that a result names at its top level, where the payload has them.
_PROMOTED = ("user_id", "agent_id", "run_id", "actor_id", "role")
_CORE = {"data", "hash", "created_at", "updated_at", "id", "text_lemmatized", "attributed_to"}
_NOT_METADATA = _CORE | set(_PROMOTED)


def describe(memory_id: str, payload: Payload, **score: float | None) -> dict[str, Any]:
    """One memory: id, memory, hash, metadata, score (where one is passed), times, ids.

    Payload fields that isomem does not know are the caller's `metadata`.
    """
    metadata = {key: value for key, value in payload.items() if key not in _NOT_METADATA}
    return {
        "id": memory_id,
        "memory": payload.get("data", ""),
        "hash": payload.get("hash"),
        "metadata": metadata or None,
        **score,
        "created_at": payload.get("created_at"),
        "updated_at": payload.get("updated_at"),
        **{key: payload[key] for key in _PROMOTED if key in payload},
    }


def listed(answer: Any) -> Sequence[Hit]:
    """The points of a vector store's `list`, which some stores wrap in a list or tuple."""
    if isinstance(answer, (list, tuple)) and answer and isinstance(answer[0], (list, tuple)):
        return answer[0]
    return answer or ()
