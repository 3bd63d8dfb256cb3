"""Links: which entities are in which memories, in any store with upstream's methods; and what a
search asks such a store for.
"""

from __future__ import annotations

from itertools import chain
from operator import itemgetter

from isomem import log
from isomem.contract.limits import (
    BOOST_SIMILARITY,
    ENTITY_MATCHES,
    LISTED_ENTITIES,
    MATCH_SIMILARITY,
)
from isomem.contract.payload import LINKS, entity_payload, links_of, listed, with_links
from isomem.contract.profile import DEFAULT
from isomem.contract.scope import scope_of
from isomem.contract.scoring import entity_boost
from isomem.store.codec import canonical_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from typing import Any

    from isomem.clock import Clock
    from isomem.contract.plan import Mention
    from isomem.contract.profile import Profile
    from isomem.ports.shapes import Filters, Hit, Payload, Vector, VectorStore

    Both = tuple[Sequence[Hit], Sequence[Hit] | None]
    Scope = dict[str, Any]
    Excused = tuple[type[Exception], ...]


class Joined:
    """A block that is a part of the caller's.

    `contextlib.nullcontext` does the same, but importing it costs 0.1 MB and half a millisecond.
    """

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


class Asking:
    """A store set that asks for one after the other.

    Attributes:
        vectors: the memories.
    """

    vectors: Any

    def both(self, text: str, vector: Vector, lemmas: str, top_k: int, filters: Filters) -> Both:
        """The memories nearest to a vector, and those with the words of a query, best first.

        Args:
            text: the query.
            vector: its vector.
            lemmas: its words.
            top_k: how many of each.
            filters: which memories.
        """
        nearest = self.vectors.search(query=text, vectors=vector, top_k=top_k, filters=filters)
        return nearest, self.vectors.keyword_search(query=lemmas, top_k=top_k, filters=filters)

    def with_payloads(self, hits: Sequence[Hit]) -> Sequence[Hit]:
        """Hits of a search of these stores: their payloads are there, or are read when used."""
        return hits

    def when_written(self, parts: Sequence[object], close: Callable[[], object]) -> None:
        """Closes parts: nobody has to be waited for, since a step is whole or nothing."""
        del parts
        close()


class Links:
    """The entities of one memory's scopes, and the memories that each of them links to.

    Args:
        memories, entities: the two stores.
        excused: errors that lose links but do not fail the call: those of foreign parts.
        atomic: makes a block that is undone alone if it raises.
        profile: of the memory.
    """

    def __init__(
        self,
        memories: VectorStore,
        entities: VectorStore,
        excused: Excused,
        atomic: Callable[[], AbstractContextManager[object]],
        profile: Profile = DEFAULT,
    ) -> None:
        self._memories = memories
        self._entities = entities
        self._excused = excused
        self._atomic = atomic
        self._profile = profile

    @property
    def _batch(self) -> Any:
        """The method of a store of ours that changes several points in one request, or None."""
        store: Any = self._entities
        part = getattr(store, "part", store)
        return store.batch if getattr(part, "batches", False) is True else None

    @property
    def _lists_all(self) -> bool:
        """Whether it is a store of ours: it lists the entities of one memory, however many."""
        store: Any = self._entities
        return getattr(getattr(store, "part", store), "lists_all", False) is True

    # --- Linking ---

    def link(self, mentions: Sequence[Mention], scope: Scope, clock: Clock) -> None:
        """Links the memories of one add to their entities, new or known.

        The links of an entity that matches a known one of the scope are added to that one. All
        matches are looked up before the first write, so if two mentions match one entity, the
        later one counts.
        """
        if not mentions:
            return
        try:
            known = self._known(mentions, scope)
        except self._excused as error:
            log.warning("Linking %d entities failed: %s", len(mentions), error)
            return
        new, more = [], []
        for mention, match in zip(mentions, known, strict=False):
            if match is None:
                new.append(mention)
            else:
                hit, payload = match
                linked = sorted(mention.memory_ids.union(links_of(payload)))
                more.append((hit, with_links(payload, linked), mention.text))
        self._add_links(more)
        if new:
            self._insert(new, scope, clock)

    def _known(self, mentions: Sequence[Mention], scope: Scope) -> list[tuple[Hit, Payload] | None]:
        found = self._search_all(mentions, scope, 1)
        same = self._by_text(scope)
        matches = (
            same.get(self._profile.entity_key(mention.text))
            or (hits[0] if _matched(hits) else None)
            for mention, hits in zip(mentions, found, strict=False)
        )
        return [(match, match.payload or {}) if match else None for match in matches]

    def _by_text(self, scope: Scope) -> dict[str, Hit]:
        """The entities of a scope by the keys of their texts, the first of each; if they count."""
        if not self._profile.MATCHES_TEXT:
            return {}
        try:
            listing = listed(self._entities.list(filters=scope, top_k=LISTED_ENTITIES))
        except self._excused as error:
            log.warning("Entities are matched by similarity alone: %s", error)
            return {}
        by_text: dict[str, Hit] = {}
        for entity in listing:
            text = (entity.payload or {}).get("data")
            if isinstance(text, str):
                by_text.setdefault(self._profile.entity_key(text), entity)
        return by_text

    def _add_links(self, more: Sequence[tuple[Hit, Payload, str]]) -> None:
        """Gives known entities their new payloads; their texts are for the log."""
        if len(more) > 1 and self._batch is not None:
            try:
                self._batch([(entity.id, payload) for entity, payload, _ in more])
            except self._excused as error:
                log.warning("Linking %d entities one by one: %s", len(more), error)
            else:
                return
        for entity, payload, text in more:
            try:
                self._put_links(entity, payload)
            except self._excused as error:
                log.warning("Linking the entity %r failed: %s", text, error)

    def _insert(self, new: Sequence[Mention], scope: Scope, clock: Clock) -> None:
        try:
            with self._atomic():
                self._add(new, scope, clock)
        except self._excused as error:
            log.warning("Linking %d entities failed: %s", len(new), error)

    def relink(
        self, memory_id: str, mentions: Sequence[Mention], scope: Scope, clock: Clock
    ) -> None:
        """Links one memory whose text has changed.

        Its entities are matched one after another, and each sees the earlier ones.
        """
        for mention in mentions:
            try:
                with self._atomic():
                    self._link_one(memory_id, mention, scope, clock)
            except self._excused as error:
                log.warning("Linking the entity %r failed: %s", mention.text, error)

    def _link_one(self, memory_id: str, mention: Mention, scope: Scope, clock: Clock) -> None:
        known = self._by_text(scope).get(self._profile.entity_key(mention.text))
        if known is None:
            hits = self._search(mention, scope, 1)
            if not _matched(hits):
                self._add([mention], scope, clock)
                return
            known = hits[0]
        payload = known.payload or {}
        linked = links_of(payload)
        if memory_id not in linked:
            self._put_links(known, with_links(payload, [*linked, memory_id]))

    # --- Unlinking ---

    def unlink(self, memory_id: str, scope: Scope, vectors: Mapping[str, Vector]) -> None:
        """Removes a memory from all its entities; entities without memories are removed.

        `vectors` has new vectors, by entity id, for entities that stay. An entity that cannot be
        changed keeps its link; no other entity does.
        """
        try:
            for entities in self._linked(memory_id, scope):
                self._unlink_each(memory_id, entities, vectors)
        except self._excused as error:
            log.warning("Looking up the entities of memory %s failed: %s", memory_id, error)

    def _unlink_each(
        self, memory_id: str, entities: Sequence[Hit], vectors: Mapping[str, Vector]
    ) -> None:
        if len(entities) > 1 and self._batch is not None and not vectors:
            try:
                self._unlink_all(memory_id, entities)
            except self._excused as error:
                log.warning("Removing memory %s from entities one by one: %s", memory_id, error)
            else:
                return
        for entity in entities:
            try:
                with self._atomic():
                    self._unlink_one(memory_id, entity, vectors.get(str(entity.id)))
            except self._excused as error:
                log.warning("Removing memory %s from an entity failed: %s", memory_id, error)

    def _unlink_all(self, memory_id: str, entities: Sequence[Hit]) -> None:
        """As `_unlink_one`, all in one request."""
        stay, gone = [], []
        for entity in entities:
            remaining = [other for other in links_of(entity.payload) if other != memory_id]
            if remaining:
                stay.append((entity.id, with_links(entity.payload or {}, remaining)))
            else:
                gone.append(entity.id)
        self._batch(stay, gone)

    def _unlink_one(self, memory_id: str, entity: Hit, vector: Vector | None) -> None:
        payload = entity.payload or {}
        remaining = [other for other in links_of(payload) if other != memory_id]
        if remaining:
            payload = with_links(payload, remaining)
            self._entities.update(vector_id=entity.id, vector=vector, payload=payload)
        else:
            self._entities.delete(vector_id=entity.id)

    def prune(self, scope: Mapping[str, str]) -> None:
        """Removes links to memories that are gone, and entities that have no others.

        Such are left by a process that died, and by processes that wrote at the same time.

        Args:
            scope: of the entities; those of more ids are looked at, too.
        """
        try:
            for entities in self._parts(dict(scope)):
                linked = {memory_id for each in entities for memory_id in links_of(each.payload)}
                there = self._that_are_there(linked)
                for entity in entities:
                    self._keep(entity, there)
        except self._excused as error:
            log.warning("Looking for what is left of removed memories failed: %s", error)

    def _that_are_there(self, memory_ids: set[str]) -> set[str]:
        """Those of some memories that are in the store; by one request if it can do that."""
        store: Any = self._memories
        if memory_ids and hasattr(getattr(store, "part", store), "payloads_of"):
            found = set(map(canonical_id, store.payloads_of(sorted(memory_ids))))
            return {each for each in memory_ids if canonical_id(each) in found}
        return {each for each in memory_ids if store.get(vector_id=each) is not None}

    def _keep(self, entity: Hit, there: set[str]) -> None:
        """Keeps those links of an entity that lead to memories that are there."""
        linked = links_of(entity.payload)
        left = [each for each in linked if each in there]
        if linked and not left:
            self._entities.delete(vector_id=entity.id)
        elif len(left) < len(linked):
            self._put_links(entity, with_links(entity.payload or {}, left))

    def _linked(self, memory_id: str, scope: Scope) -> Iterator[Sequence[Hit]]:
        """The entities of a memory, part by part; see `_parts`."""
        filters = {**scope, LINKS: memory_id} if self._lists_all else scope
        for entities in self._parts(filters):
            yield [each for each in entities if memory_id in links_of(each.payload)]

    def _parts(self, filters: Filters) -> Iterator[Sequence[Hit]]:
        """The entities that pass, part by part.

        A foreign store lists `LISTED_ENTITIES`, as for mem0. It is asked again until it shows no
        others: what the caller removes makes room for them.
        """
        if self._lists_all:
            yield listed(self._entities.list(filters=filters, top_k=None))
            return
        seen: set[str] = set()
        while True:
            entities = listed(self._entities.list(filters=filters, top_k=LISTED_ENTITIES))
            new = [each for each in entities if str(each.id) not in seen]
            yield new
            if not new or len(entities) < LISTED_ENTITIES:
                return
            seen.update(str(each.id) for each in new)

    # --- What the store is asked ---

    def _search(self, mention: Mention, scope: Scope, top_k: int) -> Sequence[Hit]:
        return self._entities.search(
            query=mention.text, vectors=mention.vector or (), top_k=top_k, filters=scope
        )

    def _search_all(
        self, mentions: Sequence[Mention], scope: Scope, top_k: int
    ) -> Sequence[Sequence[Hit]]:
        return self._entities.search_batch(
            queries=[mention.text for mention in mentions],
            vectors_list=[mention.vector or () for mention in mentions],
            top_k=top_k,
            filters=scope,
        )

    def _add(self, mentions: Sequence[Mention], scope: Scope, clock: Clock) -> None:
        self._entities.insert(
            vectors=[mention.vector or () for mention in mentions],
            ids=[clock.new_id() for _ in mentions],
            payloads=[entity_payload(mention, scope) for mention in mentions],
        )

    def _put_links(self, entity: Hit, payload: Payload) -> None:
        self._entities.update(entity.id, vector=None, payload=payload)

    # --- Reading ---

    def shared(self, memory_ids: Sequence[str]) -> dict[str, str]:
        """The texts, by id, of the entities that are in these memories and in others."""
        removed, shared = set(memory_ids), {}
        for memory_id in memory_ids:
            point = self._memories.get(vector_id=memory_id)
            parts = self._linked(memory_id, scope_of(point.payload or {})) if point else ()
            for entity in chain.from_iterable(parts):
                payload = entity.payload or {}
                if payload.get("data") and not removed.issuperset(links_of(payload)):
                    shared[str(entity.id)] = payload["data"]
        return shared

    def may_boost(self, scope: Scope) -> bool:
        """Whether there may be entities in a scope; a foreign store is not asked."""
        del scope
        return True

    def boosts(self, probes: Sequence[Mention], scope: Scope) -> dict[str, float]:
        """What the entities of a query add to each memory: the highest boost counts."""
        found: list[tuple[float, Sequence[str]]] = []
        for hits in self._hits_of(probes, scope):
            for hit in hits:
                if hit.score >= BOOST_SIMILARITY:
                    linked = self._memories_of(hit)
                    found.append((entity_boost(hit.score, len(linked)), linked))
        return highest(found)

    def _hits_of(self, probes: Sequence[Mention], scope: Scope) -> Iterator[Sequence[Hit]]:
        """The entities near each probe, as far as the store answers."""
        if len(probes) > 1 and self._batch is not None:
            try:
                yield from self._search_all(probes, scope, ENTITY_MATCHES)
            except self._excused as error:
                log.warning("Entities are looked up one by one: %s", error)
            else:
                return
        for probe in probes:
            try:
                yield self._search(probe, scope, ENTITY_MATCHES)
            except self._excused as error:
                log.warning("Entity boosts are incomplete: %s", error)
                if not self._profile.BOOSTS_SINGLY:
                    return

    def _memories_of(self, entity: Hit) -> Sequence[str]:
        return links_of(entity.payload)


def is_match(similarity: float) -> bool:
    """Whether two entities of a scope are the same."""
    return similarity >= MATCH_SIMILARITY


def _matched(hits: Sequence[Hit]) -> bool:
    return bool(hits) and is_match(hits[0].score)


def highest(found: list[tuple[float, Sequence[str]]]) -> dict[str, float]:
    """The highest boost of each memory, from boosts and the memories that they apply to."""
    highest: dict[str, float] = {}
    for boost, linked in sorted(found, key=itemgetter(0)):
        highest.update(dict.fromkeys(map(str, filter(None, linked)), boost))
    return highest
