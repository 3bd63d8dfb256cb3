"""Entities: the collection of names and terms, and the memories that each of them is in.

An entity's payload is upstream's, with `linked_memory_ids` as a list in it.
"""

from __future__ import annotations

from isomem.contract.payload import LINKS, links_of
from isomem.store.codec import load_payload, salvaged
from isomem.store.collection import Collection
from isomem.store.links import LinkTable
from isomem.store.reading import Point
from isomem.store.row_keys import SEQ_MASK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence, Set

    from isomem.ports.shapes import Vector
    from isomem.store.codec import Stored


class Entities(Collection):
    """One collection of entities."""

    _links: LinkTable

    def _link_table(self) -> LinkTable:
        return LinkTable(self.database)

    def linked_to(self, memory_id: str) -> Sequence[Point]:
        """The entities of a memory, in insertion order."""
        with self.database.reading():
            stored = filter(None, map(self.writer.at, self._row_keys_of({memory_id})))
            return [
                Point(self.reader, row_key, entity_id, 0.0, load_payload(text))
                for row_key, entity_id, _, text, _ in stored
            ]

    def unlink_all(
        self,
        memory_ids: Sequence[str],
        vectors: Mapping[str, Vector],
        memories: Collection | None = None,
    ) -> None:
        """Removes memories from all their entities; an entity without memories is removed.

        The remaining ids keep their order. An entity with a damaged payload is removed. Runs in
        the caller's transaction.

        Args:
            memory_ids: of the memories.
            vectors: new vectors, by entity id, of entities that stay.
            memories: the collection of the memories, if it is in the same file. Everything that is
                detached there is removed from these entities at the same time, so that an entity
                with very many memories is written once.
        """
        gone = set(memory_ids)
        for row_key in self._row_keys_of(gone):
            old = self.writer.at(row_key)
            if old is not None:
                self._unlink(old, gone.union(self._detached_of(row_key, memories)), vectors)

    def _row_keys_of(self, memory_ids: Set[str]) -> Sequence[int]:
        """The row keys of the entities of these memories, in insertion order."""
        found = self._links.entities_of(memory_ids, self._number)
        return sorted(found, key=SEQ_MASK.__and__)

    def _detached_of(self, row_key: int, memories: Collection | None) -> set[str]:
        if memories is None or memories.database is not self.database:
            return set()
        return memories.detached_among(row_key)

    def _unlink(self, old: Stored, gone: set[str], vectors: Mapping[str, Vector]) -> None:
        payload, vector = salvaged(old[3]), vectors.get(old[1])
        rest = [each for each in links_of(payload) if each not in gone]
        if not rest:
            self.writer.remove(old)
        elif vector is None:
            self.writer.replace_payload(old, {**payload, LINKS: rest})
        else:
            self.writer.replace(old, vector, {**payload, LINKS: rest})
