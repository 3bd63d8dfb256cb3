"""Everything about stored memories: read, change, remove."""

from __future__ import annotations

from isomem.contract.arguments import (
    check_history_id,
    check_ids,
    check_memory_id,
    check_other,
    check_removal_ids,
    check_text,
    check_top_k,
    not_found_for_update,
    refuse_wildcard_ids,
)
from isomem.contract.limits import MOST_REMOVED
from isomem.contract.payload import describe, listed
from isomem.contract.plan import REMOVED_AT_ONCE, Change, Plan
from isomem.contract.visibility import expiry_fields
from isomem.errors import DatabaseError, VectorValueError
from isomem.pipeline.asked import checked_filters, visibility_of
from isomem.pipeline.embedding import embed_together
from isomem.pipeline.mentions import embed_each, mentions_in, renew_vectors, with_vectors
from isomem.types import UNCHANGED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from isomem.clock import Clock
    from isomem.contract.payload import ResultFields
    from isomem.contract.plan import Mention
    from isomem.contract.profile import Profile
    from isomem.contract.visibility import Visibility
    from isomem.ports.shapes import Filters, Hit, Nlp, Payload, Ports, Stores, Vector
    from isomem.results import Done, GotMemory, HistoryRow, MemoryList, MemoryPage

LISTING = ("filters", "top_k", "show_expired", "show_superseded", "order", "page_size", "cursor")
"""The arguments of `get_all`."""


# --- Read ------------------------------------------------------------------------------------


async def get(ports: Ports, memory_id: str) -> GotMemory | None:
    """One memory, or None."""
    return await ports.store(_get, check_memory_id(memory_id), ports.profile.RESULT_FIELDS)


def _get(stores: Stores, memory_id: str, fields: ResultFields) -> Any:
    point = stores.vectors.get(vector_id=memory_id)
    return describe(str(point.id), point.payload or {}, fields, score=None) if point else None


async def get_all(
    ports: Ports,
    *,
    filters: Filters | None,
    top_k: int,
    show_expired: bool = False,
    show_superseded: bool = False,
    order: str | None = None,
    page_size: int | None = None,
    cursor: str | None = None,
    other: Mapping[str, object],
) -> MemoryList | MemoryPage:
    """The first memories of a scope, or a page of them."""
    check_other(other, "get_all", LISTING)
    top_k = check_top_k(top_k)
    asked = checked_filters(ports, filters)
    visibility = visibility_of(ports, show_expired=show_expired, show_superseded=show_superseded)
    if order is None and page_size is None and cursor is None:
        if not show_expired:
            top_k = max(top_k, ports.profile.LEAST_LISTED)
        return {"results": await ports.store(_list, asked, top_k, visibility, ports.profile)}
    # Here: most memories are never listed like this, and importing isomem would take longer.
    from isomem.pipeline import listing

    if page_size is None and cursor is None:
        return await listing.first(ports, asked, visibility, order, top_k)
    return await listing.page(
        ports, asked, visibility, top_k=top_k, order=order, page_size=page_size, cursor=cursor
    )


def _list(
    stores: Stores, filters: Filters, top_k: int, visibility: Visibility, profile: Profile
) -> list[Any]:
    """The memories that are shown; looked for among more only if one of the first is hidden."""

    def ask(most: int) -> Sequence[Hit]:
        return listed(stores.vectors.list(filters=filters, top_k=most))

    fields = profile.RESULT_FIELDS
    results = _described(_one_by_one(ask(top_k)), visibility, fields)
    if results is None:
        points = _one_by_one(profile.first_listed(ask, top_k, visibility))
        results = _described(points, visibility, fields)
    return results or []


def _described(
    points: Iterator[Hit], visibility: Visibility, fields: ResultFields
) -> list[Any] | None:
    """Points as results; None if one is hidden."""
    results = []
    for point in points:
        payload = point.payload or {}
        if visibility.hides(payload):
            return None
        results.append(describe(str(point.id), payload, fields))
    return results


def _one_by_one(answer: object) -> Iterator[Hit]:
    """The points of a vector store's `list`, each of which can be freed before the next one.

    Freeing thousands at once is one step of the interpreter, in which no other thread runs, the
    event loop's included.
    """
    points = [*listed(answer)]
    del answer
    points.reverse()
    while points:
        yield points.pop()


async def history(ports: Ports, memory_id: str) -> list[HistoryRow]:
    """The events of one memory, oldest first."""
    return await ports.store(_history, check_history_id(memory_id))


def _history(stores: Stores, memory_id: object) -> list[Any]:
    return stores.ledger.get_history(memory_id)  # type: ignore[arg-type]  # may not be an id


async def owner_of_removed(ports: Ports, memory_id: str) -> dict[str, str] | None:
    """The ids that a removed memory had; None if that is not known."""
    return await ports.store(_owner_of_removed, memory_id)


def _owner_of_removed(stores: Stores, memory_id: str) -> dict[str, str] | None:
    owner_of: Any = getattr(stores.ledger, "owner_of", None)  # mem0's ledger cannot say
    return owner_of(memory_id) if owner_of is not None else None


# --- Change ----------------------------------------------------------------------------------


async def update(
    ports: Ports,
    memory_id: str,
    text: str | None,
    metadata: dict[str, object] | None,
    *,
    expiration_date: object = UNCHANGED,
) -> Done:
    """Replaces the text of a memory, overlays its metadata, changes when it expires."""
    memory_id = check_memory_id(memory_id)
    profile = ports.profile
    if text is not None:
        check_text(text, "data")
    elif metadata is None and expiration_date is UNCHANGED:
        raise ValueError("At least one of text, metadata, or expiration_date must be provided.")
    overlay = profile.overlay(metadata)
    if expiration_date is not UNCHANGED:
        overlay.update(expiry_fields(expiration_date, profile.EXPIRATION_FIELDS))
    if text is not None:
        plan = await _new_text(ports, memory_id, text, overlay)
    elif profile.REEMBEDS_SAME_TEXT:
        plan = Plan(ports.clock, change=await _same_text(ports, memory_id, overlay))
    else:
        plan = Plan(ports.clock, change=Change(memory_id, None, "", None, overlay))
    await ports.apply(plan)
    return {"message": "Memory updated successfully!"}


async def _new_text(ports: Ports, memory_id: str, text: str, overlay: Payload) -> Plan:
    lemmas, entities = await ports.compute(_analyse, ports.nlp, text)
    found = mentions_in([(memory_id, entities)], ports.profile.entity_key)
    mentions = [mention for mention in found if mention.text.strip()]
    vector, mentions = await _embed_new_text(ports, text, mentions)
    return Plan(
        ports.clock,
        change=Change(memory_id, text, lemmas, vector, overlay, mentions),
        entity_vectors=await renew_vectors(ports, [memory_id]),
    )


async def _embed_new_text(
    ports: Ports, text: str, mentions: list[Mention]
) -> tuple[Vector, list[Mention]]:
    """The vector of a text, and its entities with theirs.

    One call of the embedder, if it gives each text of a batch the vector that it has alone,
    whatever the action. Another embedder gets the calls that mem0 makes.
    """
    if mentions and ports.embeds_alike_in_batch and not ports.embeds_by_action:
        texts = [text, *[mention.text for mention in mentions]]
        vectors = await embed_together(ports, texts, "update", "a memory and its entities")
        if vectors is not None:
            return _known(vectors[0]), with_vectors(mentions, vectors[1:])
    vector = await _embed_update(ports, text)
    return vector, await embed_each(ports, mentions, "add")


async def _same_text(ports: Ports, memory_id: str, overlay: Payload) -> Change:
    """A change of other fields. The text is embedded again if that may change anything.

    Raises:
        MemoryNotFoundError: no memory has that id.
        ValueError: the memory has no text.
    """
    old = await ports.store(_payload_of, memory_id)
    text = old.get("data")
    if not isinstance(text, str):
        raise ValueError(f"Memory with id {memory_id} does not have text content to update")
    lemmas = await ports.compute(ports.nlp.lemmatize, text)
    is_same = not ports.embeds_by_action and lemmas == old.get("text_lemmatized")
    vector = None if is_same else await _embed_update(ports, text)
    return Change(memory_id, text, lemmas, vector, overlay, keeps_text=True)


def _payload_of(stores: Stores, memory_id: str) -> Payload:
    point = stores.vectors.get(vector_id=memory_id)
    if point is None:
        raise not_found_for_update(memory_id)
    return point.payload or {}


async def _embed_update(ports: Ports, text: str) -> Vector:
    return _known(await ports.embed(text, "update"))


def _known(vector: Vector | None) -> Vector:
    if vector is None:  # To a store, None means "keep the vector of the old text".
        raise VectorValueError("a vector must be a list of numbers, not None")
    return vector


def _analyse(nlp: Nlp, text: str) -> tuple[str, list[tuple[str, str]]]:
    return nlp.lemmatize(text), nlp.entities(text)


async def restore(ports: Ports, memory_id: str) -> Done:
    """Shows a superseded memory again, as it was."""
    await ports.apply(Plan(ports.clock, restore=check_memory_id(memory_id)))
    return {"message": "Memory restored successfully!"}


# --- Remove ----------------------------------------------------------------------------------


async def delete(ports: Ports, memory_id: str) -> Done:
    """Removes one memory; its history stays."""
    memory_id = check_memory_id(memory_id)
    vectors = await renew_vectors(ports, [memory_id])
    await ports.apply(Plan(ports.clock, remove=memory_id, entity_vectors=vectors))
    return {"message": "Memory deleted successfully!"}


async def delete_all(
    ports: Ports, ids: Mapping[str, object], *, purge_history: bool = False
) -> Done:
    """Removes every memory of a scope, however many there are, and its message buffers."""
    filters = check_removal_ids(ids, ports.profile.read_id, ports.profile.is_given)
    if not ports.takes_any_id:
        refuse_wildcard_ids(filters)
    removed = await ports.store(_ids_in, filters) if ports.embeds_by_action else []
    vectors = await renew_vectors(ports, removed)
    plan = Plan(ports.clock, clear=filters, purge_history=purge_history, entity_vectors=vectors)
    await ports.apply(plan)
    return {"message": "Memories deleted successfully!"}


def _ids_in(stores: Stores, filters: Filters) -> list[str]:
    points = _one_by_one(stores.vectors.list(filters=filters, top_k=MOST_REMOVED))
    return [str(point.id) for point in points]


async def sweep(ports: Ports, ids: Mapping[str, object]) -> int:
    """Removes the expired memories of a scope, or of all if no id is given; how many."""
    is_scoped = any(value is not None for value in ids.values())
    scope = check_ids(ids, ports.profile.read_id) if is_scoped else {}
    if not ports.takes_any_id:
        refuse_wildcard_ids(scope)
    expired = await ports.store(_expired, scope, ports.clock)
    removed = 0
    for start in range(0, len(expired), REMOVED_AT_ONCE):
        some = expired[start : start + REMOVED_AT_ONCE]
        plan = Plan(ports.clock, entity_vectors=await renew_vectors(ports, some))
        removed += await ports.store(_remove_expired, some, plan)
    return removed


def _expired(stores: Stores, scope: Filters, clock: Clock) -> Sequence[str]:
    return stores.expired(scope, clock)


def _remove_expired(stores: Stores, memory_ids: Sequence[str], plan: Plan) -> int:
    return stores.remove_expired(memory_ids, plan)


async def reset(ports: Ports) -> None:
    """Removes everything: memories, entities, history and messages."""
    await ports.store(_reset)


def _reset(stores: Stores) -> None:
    stores.reset()


async def purge(ports: Ports, ids: Mapping[str, object]) -> Done:
    """Removes everything of a scope, also from the bytes of the files."""
    done = await delete_all(ports, ids, purge_history=True)
    try:
        await compact(ports)
    except DatabaseError as error:
        raise DatabaseError(
            f"everything was removed, but the bytes of the file still hold it: {error.message}",
            suggestion=error.suggestion or "Purge again when no other process is using the file.",
        ) from error
    return done


async def compact(ports: Ports) -> None:
    """Rewrites the files without what was removed."""
    await ports.store(_compact)


def _compact(stores: Stores) -> None:
    stores.compact()
