"""Superseding in any store set: which memories a plan marks, and what may be restored."""

from __future__ import annotations

from isomem.contract.payload import superseded, superseded_event
from isomem.contract.visibility import is_superseded
from isomem.errors import ValidationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from isomem.contract.plan import Plan, Record, Supersession
    from isomem.types import Payload

    Mark = Callable[[str, Payload, dict[str, Any]], bool]
    """Stores another payload of the memory with that id, and a history row; whether it could."""


def supersede(
    plan: Plan, stored: Sequence[Record], find: Callable[[str], Payload | None], mark: Mark
) -> None:
    """Marks what the stored records of a plan supersede, and tells the records.

    A memory that another call has removed, changed or superseded meanwhile stays as it is. So does
    one that is equal to a record that is not stored: it may be what is left of that fact.

    Args:
        find: the payload of a memory; None if there is none.
        mark: stores what marks a memory.
    """
    now = plan.clock.now()
    left_out = _hashes(plan.records) - _hashes(stored)
    for record in stored:
        told = []
        for each in plan.supersedes:
            payload = find(each.memory_id) if each.by == record.id else None
            if payload is None or each.hash in left_out or not _is_as_before(payload, each):
                continue
            event = superseded_event(each.memory_id, payload, record.text, now)
            if mark(each.memory_id, superseded(payload, record.id, now), event):
                told.append(
                    {"id": each.memory_id, "memory": payload.get("data", ""), "why": each.why}
                )
        record.supersedes = told


def _hashes(records: Sequence[Record]) -> set[str]:
    return {record.payload["hash"] for record in records}


def _is_as_before(payload: Payload, decided: Supersession) -> bool:
    return payload.get("hash") == decided.hash and not is_superseded(payload)


def check_superseded(memory_id: str, payload: Payload) -> None:
    """Raises ValidationError VALIDATION_007 unless the memory is superseded."""
    if not is_superseded(payload):
        raise ValidationError(
            f"Memory with id {memory_id} is not superseded",
            error_code="VALIDATION_007",
            details={"memory_id": memory_id},
            suggestion="Its history says what happened to it; nothing has to be restored.",
        )
