"""Links of entities in a store of ours: rows of a table, changed in the transaction of a plan."""

from __future__ import annotations

from isomem import log
from isomem.contract.limits import LISTED_ENTITIES
from isomem.contract.payload import entity_payload
from isomem.store.cache import Scope
from isomem.store.writing import NewPoint
from isomem.stores.linking import Links, is_match

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from isomem.clock import Clock
    from isomem.contract.plan import Mention
    from isomem.ports.shapes import Hit, Payload
    from isomem.store.entities import Entities
    from isomem.store.reading import Point


class EmbeddedLinks(Links):
    """Links that are rows of a table, which leads from a memory to its entities."""

    _entities: Entities
    _lists_all = True

    def _linked(self, memory_id: str, scope: Payload) -> Iterator[Sequence[Hit]]:
        del scope
        yield self._entities.linked_to(memory_id)

    def may_boost(self, scope: Payload) -> bool:
        """Whether there are entities in the scopes that have these ids."""
        return self._entities.has_points(scope)


class JoinedLinks(EmbeddedLinks):
    """`EmbeddedLinks` whose every step is a part of the caller's block.

    What cannot be stored raises before anything is written of it, so that no step has to be undone
    by itself.
    """

    def link(self, mentions: Sequence[Mention], scope: Payload, clock: Clock) -> None:
        """As `Links.link`."""
        if not mentions:
            return
        vectors = [mention.vector or () for mention in mentions]
        try:
            found = self._entities.reader.nearest(vectors, 1, scope)
        except self._excused as error:
            log.warning("Linking %d entities failed: %s", len(mentions), error)
            return
        same = self._same_texts(mentions, scope) if self._profile.MATCHES_TEXT else {}
        known, new = {}, []
        for mention, hits in zip(mentions, found, strict=True):
            match = same.get(self._key_of(mention)) if same else None
            if match is not None:
                known[match] = mention.memory_ids
            elif hits and is_match(hits[0].score):
                known[hits[0].row_key] = mention.memory_ids
            else:
                new.append(mention)
        self._entities.links.merge(known)
        if new:
            self._insert(new, scope, clock)

    def relink(
        self, memory_id: str, mentions: Sequence[Mention], scope: Payload, clock: Clock
    ) -> None:
        """As `Links.relink`, but what is new is inserted at once, at the end.

        Of equally similar entities, the new one counts, since it is the later insertion. It is
        linked already: all mentions are of one memory.
        """
        if not mentions:
            return
        same = self._same_texts(mentions, scope) if self._profile.MATCHES_TEXT else {}
        known = self._entities.reader.scope(scope)
        added: Scope | None = None
        new: list[Mention] = []
        matched = set()
        for mention in mentions:
            match = same.get(self._key_of(mention)) if same else None
            if match is not None:
                matched.add(match)
                continue
            try:
                unit = self._entities.writer.unit(mention.vector or ())
            except self._excused as error:
                log.warning("Linking the entity %r failed: %s", mention.text, error)
                continue
            score, row_key = _best(known, unit)
            among_new = _best(added, unit)[0] if added else 0.0
            if not is_match(max(score, among_new)):
                added = added or Scope()
                added.extend([(len(new), "", unit, b"")])
                new.append(mention)
            elif score > among_new:
                matched.add(row_key)
        if new:
            self._add(new, scope, clock)
        if matched:
            self._entities.links.append(memory_id, matched)

    def _key_of(self, mention: Mention) -> str:
        return self._profile.entity_key(mention.text)

    def _same_texts(self, mentions: Sequence[Mention], scope: Payload) -> dict[str, int]:
        """The row keys of the entities of a scope that have the texts of these mentions."""
        wanted = set(map(self._key_of, mentions))
        same: dict[str, int] = {}
        for row_key, text in self._entities.texts(scope, LISTED_ENTITIES):
            key = self._profile.entity_key(text)
            if key in wanted:
                same.setdefault(key, row_key)
        return same

    def shared(self, memory_ids: Sequence[str]) -> dict[str, str]:
        """As `Links.shared`."""
        return self._entities.shared(memory_ids)

    def _memories_of(self, entity: Point) -> Sequence[str]:  # type: ignore[override]
        return self._entities.links.of(entity.row_key)

    def _search(self, mention: Mention, scope: Payload, top_k: int) -> Sequence[Point]:
        return self._entities.reader.nearest([mention.vector or ()], top_k, scope)[0]

    def _add(self, mentions: Sequence[Mention], scope: Payload, clock: Clock) -> None:
        self._entities.writer.insert(
            [
                NewPoint(clock.new_id(), mention.vector or (), entity_payload(mention, scope))
                for mention in mentions
            ]
        )


def _best(scope: Scope, unit: bytes) -> tuple[float, int]:
    """The similarity and the row key of the nearest point of a scope; 0.0 if it has none."""
    for score, row in scope.nearest(unit, 1, None):
        return score, scope.row_keys[row]
    return 0.0, 0
