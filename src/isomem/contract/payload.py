"""Payloads: the fields of stored memories and entities, and the history rows made from them."""

from __future__ import annotations

from isomem.contract.arguments import check_metadata, shown
from isomem.contract.limits import MEMORY_FIELDS, OWN_FIELDS, RECORDED_BITS, SPEAKER_FIELDS
from isomem.contract.visibility import (
    EXPIRATION_DATE,
    SUPERSEDED_AT,
    SUPERSEDED_BY,
    SUPERSEDED_FIELDS,
)
from isomem.dates import datetime, utc_text
from isomem.digest import md5_hex
from isomem.errors import ValidationError
from isomem.types import clone, is_unicode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from isomem.clock import Clock
    from isomem.contract.plan import Change, Mention
    from isomem.types import Hit, Payload

LINKS = "linked_memory_ids"

_OWN = (*OWN_FIELDS, *SUPERSEDED_FIELDS)
"""Fields that only isomem writes."""

OF_TEXT = ("data", "hash", "text_lemmatized")
"""The fields that follow from the text of a memory."""


class ResultFields:
    """Which fields of a payload are in a result.

    Args:
        promoted: fields that are at the top level, if the payload has them, in this order.
        expiration: fields with an expiration date; if the payload has several, the earliest counts.

    Attributes:
        not_metadata: all fields that are not the caller's metadata.
    """

    __slots__ = ("expiration", "not_metadata", "promoted")

    def __init__(self, *promoted: str, expiration: Sequence[str]) -> None:
        self.promoted = promoted
        self.expiration = expiration
        self.not_metadata = frozenset((*MEMORY_FIELDS, *promoted, *expiration, *_OWN))


# --- Memories --------------------------------------------------------------------------------


def own_copy(metadata: Mapping[str, object]) -> dict[str, object]:
    """A copy of a caller's metadata, with what is inside of it.

    Raises:
        ValidationError: VALIDATION_005, `metadata` is not a dict, is too deep or large, or has a
            field that only isomem writes.
    """
    fields: dict[str, object] = clone(dict(check_metadata(metadata)))
    for key in _OWN:
        if key in fields:
            raise ValidationError(
                f"metadata cannot have the key {key!r}, which isomem writes itself",
                error_code="VALIDATION_005",
                suggestion="Use the argument for it, or another key.",
            )
    return fields


def start_payload(fields: Mapping[str, object], clock: Clock, **own: object) -> Payload:
    """A new payload: the fields that every memory of the call has, then those of this one.

    A `created_at` among the fields is kept; `updated_at` always equals it.
    """
    payload: Payload = clone(fields)
    payload.update(own)
    created = payload["created_at"] if "created_at" in payload else clock.now()
    payload["created_at"] = created
    payload["updated_at"] = created
    return payload


def text_fields(old: Payload, change: Change) -> Payload:
    """The fields that follow from the text; those of `old` if it stays."""
    if change.text is None:
        return {key: old[key] for key in OF_TEXT if key in old}
    values = (change.text, md5_hex(change.text), change.lemmas)
    return dict(zip(OF_TEXT, values, strict=True))


def superseded(payload: Payload, by: str, now: str) -> Payload:
    """The payload of a memory after the memory `by` has superseded it."""
    return {**payload, SUPERSEDED_BY: by, SUPERSEDED_AT: now}


def restored(payload: Payload) -> Payload:
    """The payload of a superseded memory as it was before that."""
    return {key: value for key, value in payload.items() if key not in SUPERSEDED_FIELDS}


def describe(
    memory_id: str, payload: Payload, fields: ResultFields, **score: float | None
) -> dict[str, object]:
    """One memory: id, memory, hash, metadata, score (if one is passed), times, ids, what hides it.

    Payload fields that isomem does not know are the caller's `metadata`.
    """
    metadata = None
    if not fields.not_metadata.issuperset(payload):
        known = fields.not_metadata
        metadata = {key: value for key, value in payload.items() if key not in known}
    described = {
        "id": memory_id,
        "memory": payload.get("data", ""),
        "hash": payload.get("hash"),
        "metadata": metadata,
        **score,
        "created_at": payload.get("created_at"),
        "updated_at": payload.get("updated_at"),
        **{key: payload[key] for key in fields.promoted if key in payload},
    }
    dates = [payload[field] for field in fields.expiration if field in payload]
    if dates:
        described[EXPIRATION_DATE] = dates[0] if len(dates) == 1 else _first_of(dates)
    if payload.get(SUPERSEDED_BY):
        described.update({name: payload.get(key) for key, name in SUPERSEDED_FIELDS.items()})
    return described


def _first_of(dates: Iterable[object]) -> object:
    """The expiration date that counts, if a memory has one of each profile: the earlier one."""
    return min((day for day in dates if day), key=str, default=None)


# --- History ---------------------------------------------------------------------------------


def added_event(memory_id: str, text: str, payload: Payload) -> dict[str, object]:
    """The history row of a new memory that a model has found."""
    return {
        "memory_id": memory_id,
        "old_memory": None,
        "new_memory": text,
        "event": "ADD",
        "created_at": payload["created_at"],
    }


def said_event(memory_id: str, text: str, payload: Payload) -> dict[str, object]:
    """The history row of a new memory that was said as it is: it names the speaker, too."""
    return {
        **added_event(memory_id, text, payload),
        "updated_at": payload["updated_at"],
        "actor_id": payload.get("actor_id"),
        "role": payload.get("role"),
    }


def changed_event(memory_id: str, old: Payload, payload: Payload) -> dict[str, object]:
    """The history row of an update from the payload `old` to `payload`."""
    return _recorded(
        {
            "memory_id": memory_id,
            "old_memory": old.get("data"),
            "new_memory": payload.get("data"),
            "event": "UPDATE",
            "created_at": payload["created_at"],
            "updated_at": payload["updated_at"],
            **_speaker(payload),
        }
    )


def removed_event(memory_id: str, payload: Payload, now: str) -> dict[str, object]:
    """The history row of a removal."""
    return _recorded(
        {
            "memory_id": memory_id,
            "old_memory": payload.get("data", ""),
            "new_memory": None,
            "event": "DELETE",
            "created_at": in_utc(payload.get("created_at")),
            "updated_at": now,
            "is_deleted": 1,
            **_speaker(payload),
        }
    )


def superseded_event(memory_id: str, payload: Payload, text: str, now: str) -> dict[str, object]:
    """The history row of a memory that a new fact, `text`, supersedes."""
    return _recorded(
        {
            "memory_id": memory_id,
            "old_memory": payload.get("data", ""),
            "new_memory": text,
            "event": "SUPERSEDE",
            "created_at": payload.get("created_at"),
            "updated_at": now,
            **_speaker(payload),
        }
    )


def restored_event(memory_id: str, payload: Payload, now: str) -> dict[str, object]:
    """The history row of a superseded memory that is shown again."""
    text = payload.get("data", "")
    return {**superseded_event(memory_id, payload, text, now), "event": "RESTORE"}


def is_recordable(value: object) -> bool:
    """Whether a row of the history can hold a value."""
    if isinstance(value, str):
        return is_unicode(value)
    if isinstance(value, int):
        return value.bit_length() < RECORDED_BITS
    return value is None or isinstance(value, (float, bytes))


def _recorded(event: dict[str, object]) -> dict[str, object]:
    """A history row with text in place of what the history cannot hold.

    A stored memory may have any value as its `role`, and it must be possible to remove it.
    """
    for key, value in event.items():
        # Most values are: they need no closer look.
        is_plain = value is None or (isinstance(value, str) and value.isascii())
        if not (is_plain or is_recordable(value)):
            event[key] = shown(value)
    return event


def _speaker(payload: Payload) -> dict[str, object]:
    return {field: payload.get(field) for field in SPEAKER_FIELDS}


def in_utc(moment: object) -> object:
    """An ISO time with a zone, moved to UTC; anything else as it is."""
    if not isinstance(moment, str):
        return moment
    try:
        parsed = datetime.fromisoformat(moment)
        return utc_text(parsed) if parsed.tzinfo else moment
    except (ValueError, OverflowError):
        return moment


# --- Entities --------------------------------------------------------------------------------


def entity_payload(mention: Mention, scope: Mapping[str, object]) -> Payload:
    """The payload of a new entity."""
    return {
        "data": mention.text,
        "entity_type": mention.kind,
        LINKS: sorted(mention.memory_ids),
        **scope,
    }


def links_of(payload: Payload | None) -> Sequence[str]:
    """The ids of the memories that name an entity: the texts in a list, if the payload has one."""
    links = (payload or {}).get(LINKS)
    return [each for each in links if isinstance(each, str)] if isinstance(links, list) else ()


def with_links(payload: Payload, memory_ids: Iterable[str]) -> Payload:
    """An entity's payload with exactly these links."""
    return {**payload, LINKS: list(memory_ids)}


# --- Points ----------------------------------------------------------------------------------


def listed(answer: Any) -> Sequence[Hit]:
    """The points of a vector store's `list`, which some stores wrap in a list or tuple."""
    if isinstance(answer, (list, tuple)) and answer and isinstance(answer[0], (list, tuple)):
        points: Sequence[Hit] = answer[0]
        return points
    return answer or ()
