"""Mentions: the entities of texts, embedded and ready to be linked or looked up."""

from __future__ import annotations

from isomem import log
from isomem.contract.limits import QUERY_ENTITIES
from isomem.contract.plan import Mention
from isomem.pipeline.embedding import embed_together
from isomem.ports.guard import PartFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from isomem.ports.shapes import Filters, Ports, Stores, Vector

    Entity = tuple[str, str]


def mentions_in(
    found: Iterable[tuple[str, Sequence[Entity]]], key_of: Callable[[str], str]
) -> list[Mention]:
    """The distinct entities of several memories, each with the memories it is in.

    Entities are the same if the keys of their texts are. The first spelling and kind are kept.
    """
    mentions: dict[str, Mention] = {}
    for memory_id, entities in found:
        for kind, text in entities:
            mention = mentions.setdefault(key_of(text), Mention(kind, text, set()))
            mention.memory_ids.add(memory_id)
    return list(mentions.values())


async def embed_mentions(ports: Ports, mentions: list[Mention]) -> list[Mention]:
    """Gives the mentions their vectors, all in one call, or one by one if that fails.

    Returns:
        The mentions that could be embedded.
    """
    if not mentions:
        return mentions
    texts = [mention.text for mention in mentions]
    vectors = await embed_together(ports, texts, "add", f"{len(texts)} entities")
    if vectors is None:
        return await embed_each(ports, mentions, "add")
    return with_vectors(mentions, vectors)


def with_vectors(mentions: list[Mention], vectors: Sequence[Vector]) -> list[Mention]:
    """Gives the mentions their vectors. Returns those that have one."""
    for mention, vector in zip(mentions, vectors, strict=True):
        mention.vector = vector
    return [mention for mention in mentions if mention.vector is not None]


async def embed_each(ports: Ports, mentions: list[Mention], action: str) -> list[Mention]:
    """Gives the mentions their vectors one by one; those that fail are left out."""
    for mention in mentions:
        try:
            mention.vector = await ports.embed(mention.text, action)
        except PartFailure as failure:
            log.warning("Failed to embed the entity %r: %s", mention.text, failure)
    return [mention for mention in mentions if mention.vector is not None]


async def renew_vectors(ports: Ports, memory_ids: Sequence[str]) -> dict[str, Vector]:
    """New vectors, by entity id, for the entities that lose these memories and keep others.

    mem0 embeds such an entity again, with the action "update". The vector changes only if the
    embedder looks at the action; otherwise it is not called. An entity that cannot be embedded
    keeps its vector.
    """
    if not ports.embeds_by_action:
        return {}
    try:
        texts = await ports.store(_shared_entities, memory_ids)
    except PartFailure as failure:
        log.warning("Entities keep their vectors, since they could not be looked up: %s", failure)
        return {}
    mentions = {entity_id: Mention("", text, set()) for entity_id, text in texts.items()}
    await embed_each(ports, list(mentions.values()), "update")
    return {
        entity_id: mention.vector
        for entity_id, mention in mentions.items()
        if mention.vector is not None
    }


def _shared_entities(stores: Stores, memory_ids: Sequence[str]) -> dict[str, str]:
    with stores.reading():
        return stores.links.shared(memory_ids)


# --- Of a query ------------------------------------------------------------------------------


async def embed_query(
    ports: Ports, text: str, entities: Sequence[Entity], scope: Filters
) -> tuple[Vector, list[Mention]]:
    """The vector of a query, and its entities with theirs: probes.

    One call of the embedder, if it gives each text of a batch the vector that it has alone. Then
    entities are only embedded if the scope has any. Another embedder gets the calls that mem0
    makes.
    """
    profile = ports.profile
    probes = _distinct(entities, profile.entity_key)
    embed = _embed_all if profile.EMBEDS_PROBES_TOGETHER else _embed_until_failure
    if ports.embeds_alike_in_batch:
        if probes and not await ports.store(_has_entities, scope):
            probes = []
        texts = [text, *(probe.text for probe in probes)]
        what = "a query and its entities"
        vectors = await embed_together(ports, texts, "search", what) if probes else None
        if vectors is not None:
            return vectors[0], with_vectors(probes, vectors[1:])
    return await ports.embed(text, "search"), await embed(ports, probes)


def _distinct(entities: Sequence[Entity], key_of: Callable[[str], str]) -> list[Mention]:
    """The distinct entities of a query, without blank ones."""
    distinct = mentions_in([("", entities[:QUERY_ENTITIES])], key_of)
    return [mention for mention in distinct if mention.text.strip()]


def _has_entities(stores: Stores, scope: Filters) -> bool:
    with stores.reading():
        return stores.links.may_boost(scope)


async def _embed_all(ports: Ports, mentions: list[Mention]) -> list[Mention]:
    """The mentions, embedded in one call; none if it fails."""
    texts = [mention.text for mention in mentions]
    try:
        vectors = await ports.embed_batch(texts, "search") if texts else []
    except PartFailure as failure:
        log.warning("There are no entity boosts: %s", failure)
        return []
    return with_vectors(mentions, vectors)


async def _embed_until_failure(ports: Ports, mentions: list[Mention]) -> list[Mention]:
    """The mentions, embedded; the first failure ends the list."""
    probes: list[Mention] = []
    for mention in mentions:
        try:
            mention.vector = await ports.embed(mention.text, "search")
        except PartFailure as failure:
            log.warning("Entity boosts end at %r: %s", mention.text, failure)
            break
        probes.append(mention)
    return probes
