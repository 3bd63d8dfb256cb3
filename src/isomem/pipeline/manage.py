"""Everything about memories that are there already: read, change, remove."""

from __future__ import annotations

from isomem.contract.arguments import (
    check_filters,
    check_history_id,
    check_memory_id,
    check_removal_ids,
    check_text,
    check_top_k,
    refuse_top_level_ids,
    refuse_wildcard_ids,
)
from isomem.dates import datetime, timezone
from isomem.digest import md5_hex
from isomem.pipeline.link import Mention, embed_each, mentions_in, relink, renew_vectors, unlink
from isomem.pipeline.records import actors, find
from isomem.pipeline.results import describe, listed
from isomem.scope import scope_of, without_ids
from isomem.types import SCOPE_KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from isomem.clock import Clock
    from isomem.ports import Filters, Hit, Payload, Ports, Stores, Vector

_PAGE = 1000
_MOST = 1_000_000

# Fields that an update writes itself; the rest of a payload is the caller's and stays.
_WRITTEN = {"data", "hash", "text_lemmatized", "created_at", "updated_at", *SCOPE_KEYS}
_SPEAKER = ("actor_id", "role")


# --- Read ------------------------------------------------------------------------------------


async def get(ports: Ports, memory_id: str) -> dict[str, Any] | None:
    """One memory, or None."""
    return await ports.store(_get, check_memory_id(memory_id))


def _get(stores: Stores, memory_id: str) -> dict[str, Any] | None:
    point = stores.vectors.get(vector_id=memory_id)
    return describe(str(point.id), point.payload or {}, score=None) if point else None


async def get_all(
    ports: Ports, *, filters: Filters | None, top_k: int, other: dict[str, Any]
) -> dict[str, Any]:
    """The first memories of a scope in the order of their ids."""
    refuse_top_level_ids(other, "get_all")
    top_k = check_top_k(top_k)
    checked = check_filters(filters)
    if not ports.takes_any_id:
        refuse_wildcard_ids(checked)
    return {"results": await ports.store(_list, checked, top_k)}


def _list(stores: Stores, filters: Filters, top_k: int) -> list[dict[str, Any]]:
    points = listed(stores.vectors.list(filters=filters, top_k=top_k))
    return [describe(str(point.id), point.payload or {}) for point in points]


async def history(ports: Ports, memory_id: str) -> list[dict[str, Any]]:
    """The events of one memory, oldest first."""
    return await ports.store(_history, check_history_id(memory_id))


def _history(stores: Stores, memory_id: str) -> list[dict[str, Any]]:
    return stores.ledger.get_history(memory_id)


# --- Change ----------------------------------------------------------------------------------


class Change:
    """A new text for a memory, ready to be written."""

    __slots__ = ("entity_vectors", "lemmas", "memory_id", "mentions", "metadata", "text", "vector")

    def __init__(
        self, memory_id: str, text: str, lemmas: str, vector: Vector, metadata: Payload
    ) -> None:
        self.memory_id = memory_id
        self.text = text
        self.lemmas = lemmas
        self.vector = vector
        self.metadata = metadata
        self.mentions: list[Mention] = []
        self.entity_vectors: dict[str, Vector] = {}


async def update(
    ports: Ports, memory_id: str, text: str, metadata: dict[str, Any] | None
) -> dict[str, str]:
    """Replaces the text of a memory and overlays its metadata."""
    memory_id = check_memory_id(memory_id)
    check_text(text, "data")
    overlay = {
        key: value for key, value in without_ids(metadata, keep={}).items() if key not in SCOPE_KEYS
    }
    vector = await ports.embed(text, "update")
    lemmas = await ports.compute(ports.nlp.lemmatize, text)
    change = Change(memory_id, text, lemmas, vector, overlay)
    entities = await ports.compute(ports.nlp.entities, text)
    mentions = [each for each in mentions_in([(memory_id, entities)]) if each.text.strip()]
    change.mentions = await embed_each(ports, mentions, "add")
    change.entity_vectors = await renew_vectors(ports, [memory_id])
    await ports.store(_write, change, ports.clock)
    return _told("Memory updated successfully!")


def _write(stores: Stores, change: Change, clock: Clock) -> None:
    with stores.atomic():
        point = find(stores, change.memory_id)
        if point is None:
            raise ValueError(
                f"Memory with id {change.memory_id} not found. Please provide a valid 'memory_id'"
            )
        old = point.payload or {}
        payload = _changed(old, change, clock.now())
        stores.vectors.update(vector_id=change.memory_id, vector=change.vector, payload=payload)
        stores.ledger.add_history(
            change.memory_id,
            old.get("data"),
            change.text,
            "UPDATE",
            created_at=payload["created_at"],
            updated_at=payload["updated_at"],
            **actors(payload),
        )
        scope = {key: payload[key] for key in SCOPE_KEYS if payload.get(key)}
        unlink(stores, str(point.id), scope, change.entity_vectors)
        relink(stores, str(point.id), change.mentions, scope, clock)


def _changed(old: Payload, change: Change, now: str) -> Payload:
    """The payload after an update: the caller's fields, ours, then whose memory it is.

    The caller's fields of before stay (divergence D-01); no field changes whose it is.
    """
    kept = {key: value for key, value in old.items() if key not in _WRITTEN and key not in _SPEAKER}
    payload = {
        **kept,
        **change.metadata,
        "data": change.text,
        "hash": md5_hex(change.text),
        "text_lemmatized": change.lemmas,
        "created_at": old.get("created_at"),
        "updated_at": now,
        **{key: old[key] for key in SCOPE_KEYS if key in old},
    }
    if "actor_id" in old:
        payload["actor_id"] = old["actor_id"]
    if "role" in old:
        payload.setdefault("role", old["role"])
    return payload


# --- Remove ----------------------------------------------------------------------------------


def _told(message: str) -> dict[str, str]:
    return {"message": message}


async def delete(ports: Ports, memory_id: str) -> dict[str, str]:
    """Removes one memory; its history stays."""
    memory_id = check_memory_id(memory_id)
    vectors = await renew_vectors(ports, [memory_id])
    await ports.store(_delete, memory_id, vectors, ports.clock)
    return _told("Memory deleted successfully!")


def _delete(stores: Stores, memory_id: str, vectors: dict[str, Vector], clock: Clock) -> None:
    with stores.atomic():
        point = stores.vectors.get(vector_id=memory_id)
        if point is None:
            raise ValueError(f"Memory with id {memory_id} not found")
        _remove(stores, point, vectors, clock)


async def delete_all(ports: Ports, ids: dict[str, Any]) -> dict[str, str]:
    """Removes every memory of a scope, however many; their history stays."""
    filters = check_removal_ids(ids)
    if not ports.takes_any_id:
        refuse_wildcard_ids(filters)
    removed = await ports.store(_ids_in, filters) if ports.embeds_by_action else []
    await ports.store(_delete_all, filters, await renew_vectors(ports, removed), ports.clock)
    return _told("Memories deleted successfully!")


def _ids_in(stores: Stores, filters: Filters) -> list[str]:
    return [str(point.id) for point in listed(stores.vectors.list(filters=filters, top_k=_MOST))]


def _delete_all(stores: Stores, filters: Filters, vectors: dict[str, Vector], clock: Clock) -> None:
    with stores.atomic():
        removed: set[str] = set()
        while True:
            page = listed(stores.vectors.list(filters=filters, top_k=_PAGE))
            left = [point for point in page if str(point.id) not in removed]
            if not left:
                return
            for point in left:
                _remove(stores, point, vectors, clock)
                removed.add(str(point.id))


def _remove(stores: Stores, point: Hit, vectors: dict[str, Vector], clock: Clock) -> None:
    payload = point.payload or {}
    stores.vectors.delete(vector_id=point.id)
    stores.ledger.add_history(
        str(point.id),
        payload.get("data", ""),
        None,
        "DELETE",
        created_at=_in_utc(payload.get("created_at")),
        updated_at=clock.now(),
        is_deleted=1,
        **actors(payload),
    )
    unlink(stores, str(point.id), scope_of(payload), vectors)


def _in_utc(moment: Any) -> Any:
    """An ISO time with a zone, moved to UTC; anything else as it is."""
    if not isinstance(moment, str):
        return moment
    try:
        parsed = datetime.fromisoformat(moment)
        return parsed.astimezone(timezone.utc).isoformat() if parsed.tzinfo else moment
    except (ValueError, OverflowError):
        return moment


async def reset(ports: Ports) -> None:
    """Removes everything: memories, entities, history and messages."""
    await ports.store(_reset)


def _reset(stores: Stores) -> None:
    with stores.atomic():
        for store in (stores.vectors, stores.entities, stores.ledger):
            store.reset()
