"""Records: memories on their way into the store, and the one step that puts them there."""

from __future__ import annotations

from isomem import log
from isomem.errors import MemoryError
from isomem.types import clone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from isomem.clock import Clock
    from isomem.ports import Payload, Stores, Vector


class Record:
    """A memory that is not stored yet."""

    __slots__ = ("id", "payload", "text", "vector")

    def __init__(self, memory_id: str, text: str, vector: Vector, payload: Payload) -> None:
        self.id = memory_id
        self.text = text
        self.vector = vector
        self.payload = payload


def start_payload(fields: Mapping[str, Any], clock: Clock, **text_fields: Any) -> Payload:
    """A new payload: the fields every memory of the call has, then those of this text.

    A `created_at` among the fields stays; `updated_at` is always equal to it.
    """
    payload = {**clone(fields), **text_fields}
    created = payload["created_at"] if "created_at" in payload else clock.now()
    payload["created_at"] = created
    payload["updated_at"] = created
    return payload


def insert(stores: Stores, records: Sequence[Record]) -> Sequence[Record]:
    """Stores the records together, or one by one where together fails.

    Returns:
        Those that are stored. The others are in the log, and nowhere else (divergence D-08).

    Raises:
        Exception: what the store raised, when none could be stored.
    """
    try:
        _insert(stores, records)
    except Exception as error:
        stored = [record for record in records if _try(stores, record)]
        if not stored:
            raise error
        return stored
    return records


def _insert(stores: Stores, records: Sequence[Record]) -> None:
    with stores.atomic():
        stores.vectors.insert(
            vectors=[record.vector for record in records],
            ids=[record.id for record in records],
            payloads=[record.payload for record in records],
        )


def _try(stores: Stores, record: Record) -> bool:
    try:
        _insert(stores, [record])
    except Exception as error:  # noqa: BLE001 - any store may stand here
        log.error("Failed to insert memory %s: %s", record.id, error)
        return False
    return True


def added(record: Record, *fields: str) -> dict[str, Any]:
    """The history row of a new memory: `created_at` and the other `fields` from its payload."""
    payload = record.payload
    event = {
        "memory_id": record.id,
        "old_memory": None,
        "new_memory": record.text,
        "event": "ADD",
        "created_at": payload.get("created_at"),
    }
    for field in fields:
        event[field] = payload.get(field)
    return event


def actors(payload: Payload) -> dict[str, Any]:
    """Who said it, for a history row."""
    return {"actor_id": payload.get("actor_id"), "role": payload.get("role")}


def find(stores: Stores, memory_id: str) -> Any:
    """The stored point of a memory, or None.

    Raises:
        ValueError: a foreign store failed to look it up.
    """
    try:
        return stores.vectors.get(vector_id=memory_id)
    except MemoryError:
        raise
    except Exception as error:
        raise ValueError(
            f"Error getting memory with ID {memory_id}. Please provide a valid 'memory_id'"
        ) from error
