"""Links: which entities stand in which memories, and what that says in a search."""

from __future__ import annotations

from isomem import log
from isomem.pipeline.results import listed
from isomem.scope import scope_of
from isomem.scoring import BOOST_SIMILARITY, MATCH_SIMILARITY, entity_boost

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from isomem.clock import Clock
    from isomem.ports import Hit, Payload, Ports, Stores, Vector

    Entity = tuple[str, str]

LINKS = "linked_memory_ids"
QUERY_ENTITIES = 8
"""How many entities of a query are looked at."""

_MATCHES = 500
_LISTED = 10_000


class Mention:
    """An entity and the memories it was found in. `vector` is None until it is embedded."""

    __slots__ = ("kind", "memory_ids", "text", "vector")

    def __init__(self, kind: str, text: str, memory_ids: set[str]) -> None:
        self.kind = kind
        self.text = text
        self.memory_ids = memory_ids
        self.vector: Vector | None = None


def mentions_in(found: Iterable[tuple[str, Sequence[Entity]]]) -> list[Mention]:
    """The distinct entities of several memories, each with the memories it is in.

    Entities are the same when their texts are, but for case and outer white space; the first
    spelling and kind stay.
    """
    mentions: dict[str, Mention] = {}
    for memory_id, entities in found:
        for kind, text in entities:
            mention = mentions.setdefault(text.strip().lower(), Mention(kind, text, set()))
            mention.memory_ids.add(memory_id)
    return list(mentions.values())


async def embed_mentions(ports: Ports, mentions: list[Mention]) -> list[Mention]:
    """Gives the mentions their vectors, all in one call or else one by one.

    Returns:
        The mentions that could be embedded.
    """
    texts = [mention.text for mention in mentions]
    try:
        vectors: Sequence[Vector | None] = await ports.embed_batch(texts, "add") if texts else []
    except Exception as error:  # noqa: BLE001 - any embedder may stand here
        log.warning("Embedding %d entities one by one: %s", len(texts), error)
        return await embed_each(ports, mentions, "add")
    for mention, vector in zip(mentions, vectors, strict=False):
        mention.vector = vector
    return [mention for mention in mentions if mention.vector is not None]


async def embed_each(ports: Ports, mentions: list[Mention], action: str) -> list[Mention]:
    """Gives the mentions their vectors one by one; those that fail are left out."""
    for mention in mentions:
        try:
            mention.vector = await ports.embed(mention.text, action)
        except Exception as error:  # noqa: BLE001 - any embedder may stand here
            log.warning("Failed to embed the entity %r: %s", mention.text, error)
    return [mention for mention in mentions if mention.vector is not None]


def link(stores: Stores, mentions: list[Mention], scope: dict[str, Any], clock: Clock) -> None:
    """Links the memories of one add to their entities, new or known.

    An entity that matches a known one of the scope adds its links there. All matches are
    looked up before the first write. A failure costs its links and not the memories.
    """
    try:
        new = _link_known(stores, mentions, scope) if mentions else []
        if new:
            _insert_entities(stores, new, scope, clock)
    except Exception as error:  # noqa: BLE001 - any store may stand here
        log.warning("Linking %d entities failed: %s", len(mentions), error)


def _link_known(stores: Stores, mentions: list[Mention], scope: dict[str, Any]) -> list[Mention]:
    """Adds links to the entities that are known; the mentions of the others."""
    found = stores.entities.search_batch(
        queries=[mention.text for mention in mentions],
        vectors_list=[mention.vector or () for mention in mentions],
        top_k=1,
        filters=scope,
    )
    # Read before the first write: of two mentions that match one entity the later counts.
    known = [(hits[0], hits[0].payload or {}) if _matched(hits) else None for hits in found]
    new = []
    for mention, match in zip(mentions, known, strict=False):
        if match is None:
            new.append(mention)
        else:
            _add_links(stores, *match, mention)
    return new


def _add_links(stores: Stores, known: Hit, payload: Payload, mention: Mention) -> None:
    linked = sorted(mention.memory_ids.union(payload.get(LINKS, ())))
    try:
        with stores.atomic():
            stores.entities.update(known.id, vector=None, payload={**payload, LINKS: linked})
    except Exception as error:  # noqa: BLE001 - any store may stand here
        log.warning("Linking the entity %r failed: %s", mention.text, error)


def _insert_entities(
    stores: Stores, new: list[Mention], scope: dict[str, Any], clock: Clock
) -> None:
    with stores.atomic():
        stores.entities.insert(
            vectors=[mention.vector or () for mention in new],
            ids=[clock.new_id() for _ in new],
            payloads=[_entity_payload(mention, scope) for mention in new],
        )


def _matched(hits: Sequence[Hit]) -> bool:
    return bool(hits) and hits[0].score >= MATCH_SIMILARITY


def _entity_payload(mention: Mention, scope: dict[str, Any]) -> Payload:
    return {
        "data": mention.text,
        "entity_type": mention.kind,
        LINKS: sorted(mention.memory_ids),
        **scope,
    }


def relink(
    stores: Stores, memory_id: str, mentions: list[Mention], scope: dict[str, Any], clock: Clock
) -> None:
    """Links one memory whose text has changed.

    Its entities are matched one after the other, each seeing those before it.
    """
    for mention in mentions:
        try:
            with stores.atomic():
                _link_one(stores, memory_id, mention, scope, clock)
        except Exception as error:  # noqa: BLE001 - any store may stand here
            log.warning("Linking the entity %r failed: %s", mention.text, error)


def _link_one(
    stores: Stores, memory_id: str, mention: Mention, scope: dict[str, Any], clock: Clock
) -> None:
    vector = mention.vector or ()
    hits = stores.entities.search(query=mention.text, vectors=vector, top_k=1, filters=scope)
    if not _matched(hits):
        payload = _entity_payload(mention, scope)
        stores.entities.insert(vectors=[vector], ids=[clock.new_id()], payloads=[payload])
        return
    payload = hits[0].payload or {}
    linked = payload.get(LINKS, [])
    if memory_id not in linked:
        payload = {**payload, LINKS: [*linked, memory_id]}
        stores.entities.update(hits[0].id, vector=None, payload=payload)


def unlink(
    stores: Stores, memory_id: str, scope: dict[str, Any], vectors: Mapping[str, Vector]
) -> None:
    """Takes a memory out of all entities; those that stand nowhere then are removed.

    `vectors` are the new ones of entities that stay, from `renew_vectors`. An entity that cannot
    be changed keeps its link, and no other does.
    """
    try:
        entities = _linked(stores, memory_id, scope)
    except Exception as error:  # noqa: BLE001 - any store may stand here
        log.warning("Looking up the entities of memory %s failed: %s", memory_id, error)
        return
    for entity in entities:
        try:
            with stores.atomic():
                _unlink_one(stores, memory_id, entity, vectors.get(str(entity.id)))
        except Exception as error:  # noqa: BLE001 - any store may stand here
            log.warning("Taking memory %s out of an entity failed: %s", memory_id, error)


def _unlink_one(stores: Stores, memory_id: str, entity: Hit, vector: Vector | None) -> None:
    payload = entity.payload or {}
    remaining = [other for other in payload.get(LINKS) or () if other != memory_id]
    if remaining:
        payload = {**payload, LINKS: remaining}
        stores.entities.update(vector_id=entity.id, vector=vector, payload=payload)
    else:
        stores.entities.delete(vector_id=entity.id)


def _linked(stores: Stores, memory_id: str, scope: dict[str, Any]) -> Sequence[Hit]:
    """The entities that a memory stands in; asked directly where the store can tell."""
    if hasattr(stores.entities, "linked_to"):
        found: Sequence[Hit] = stores.entities.linked_to(memory_id)
        return found
    listing = listed(stores.entities.list(filters=scope, top_k=_LISTED))
    return [each for each in listing if memory_id in ((each.payload or {}).get(LINKS) or ())]


async def renew_vectors(ports: Ports, memory_ids: Sequence[str]) -> dict[str, Vector]:
    """New vectors, by entity id, for the entities that lose these memories and keep others.

    mem0 embeds such an entity again, with the action "update". That makes another vector only
    with an embedder that looks at the action; with others nothing is asked. One that cannot be
    embedded keeps its vector.
    """
    if not ports.embeds_by_action:
        return {}
    try:
        texts = await ports.store(_shared_entities, memory_ids)
    except Exception as error:  # noqa: BLE001 - any store may stand here
        log.warning("Entities keep their vectors, as they could not be looked up: %s", error)
        return {}
    mentions = {entity_id: Mention("", text, set()) for entity_id, text in texts.items()}
    await embed_each(ports, list(mentions.values()), "update")
    return {
        entity_id: mention.vector
        for entity_id, mention in mentions.items()
        if mention.vector is not None
    }


def _shared_entities(stores: Stores, memory_ids: Sequence[str]) -> dict[str, str]:
    """The texts, by id, of the entities that stand in these memories and in others."""
    shared = {}
    for memory_id in memory_ids:
        point = stores.vectors.get(vector_id=memory_id)
        for entity in _linked(stores, memory_id, scope_of(point.payload or {})) if point else ():
            payload = entity.payload or {}
            if set(payload.get(LINKS) or ()).difference(memory_ids) and payload.get("data"):
                shared[str(entity.id)] = payload["data"]
    return shared


async def probes_of(ports: Ports, entities: Sequence[Entity]) -> list[Mention]:
    """The distinct entities of a query, embedded; the first that cannot be ends the list."""
    distinct = mentions_in([("", entities[:QUERY_ENTITIES])])
    probes: list[Mention] = []
    for mention in distinct:
        if not mention.text.strip():
            continue
        try:
            mention.vector = await ports.embed(mention.text, "search")
        except Exception as error:  # noqa: BLE001 - any embedder may stand here
            log.warning("Entity boosts end at %r: %s", mention.text, error)
            break
        probes.append(mention)
    return probes


def boosts(stores: Stores, probes: list[Mention], scope: dict[str, Any]) -> dict[str, float]:
    """What the entities of a query add to each memory: the highest boost counts."""
    highest: dict[str, float] = {}
    try:
        for probe in probes:
            hits = stores.entities.search(
                query=probe.text, vectors=probe.vector or (), top_k=_MATCHES, filters=scope
            )
            for hit in hits:
                if hit.score >= BOOST_SIMILARITY:
                    _raise_boosts(highest, hit)
    except Exception as error:  # noqa: BLE001 - any store may stand here
        log.warning("Entity boosts are incomplete: %s", error)
    return highest


def _raise_boosts(highest: dict[str, float], hit: Hit) -> None:
    linked = (hit.payload or {}).get(LINKS, [])
    if not isinstance(linked, list):
        return
    boost = entity_boost(hit.score, len(linked))
    for memory_id in filter(None, linked):
        highest[str(memory_id)] = max(highest.get(str(memory_id), 0.0), boost)
