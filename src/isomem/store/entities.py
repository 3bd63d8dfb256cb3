"""Entities: the collection of names and terms, and the memories that each of them is in.

An entity's payload is upstream's, with `linked_memory_ids` as a list in it.
"""

from __future__ import annotations

from isomem.store.codec import salvaged
from isomem.store.collection import Collection
from isomem.store.links import LinkTable
from isomem.store.reading import Point

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from isomem.ports.shapes import Filters, Vector
    from isomem.store.row_keys import Stored


class Entities(Collection):
    """One collection of entities.

    Attributes:
        links: the memories that each entity is in.
    """

    links: LinkTable

    def _link_table(self) -> LinkTable:
        self.links = LinkTable(self.database)
        return self.links

    def linked_to(self, memory_id: str) -> Sequence[Point]:
        """The entities of a memory, in insertion order."""
        with self.database.reading():
            return [
                Point(self.reader, row_key, entity_id, 0.0, self.links.load(row_key, text))
                for (row_key, entity_id, _, text, *_), _ in self._of(memory_id)
            ]

    def texts(self, scope: Filters, top_k: int) -> Iterator[tuple[int, str]]:
        """The row keys and texts of the first `top_k` entities of a scope, ordered by id.

        Runs in the caller's block.
        """
        for row_key, text in self.reader.texts(scope, top_k):
            data = salvaged(text).get("data")
            if isinstance(data, str):
                yield row_key, data

    def shared(self, memory_ids: Sequence[str]) -> dict[str, str]:
        """The texts, by id, of the entities that are in these memories and in others.

        Runs in the caller's block.
        """
        found = [self._of(memory_id) for memory_id in memory_ids]
        stay = {entity[0]: entity for some in found for entity, is_shared in some if is_shared}
        if len(memory_ids) > 1:
            removed = set(memory_ids)
            stay = {row_key: entity for row_key, entity in stay.items()
                    if not removed.issuperset(self.links.of(row_key))}  # fmt: skip
        texts = {entity[1]: salvaged(entity[3]).get("data") for entity in stay.values()}
        return {entity_id: text for entity_id, text in texts.items() if text}

    def unlink_all(self, memory_ids: Iterable[str], vectors: Mapping[str, Vector]) -> None:
        """Removes memories from all their entities; an entity without memories is removed.

        The remaining ids keep their order. Runs in the caller's transaction.

        Args:
            memory_ids: of the memories.
            vectors: new vectors, by entity id, of entities that stay.
        """
        for memory_id in memory_ids:
            self._unlink(memory_id, vectors)

    def _unlink(self, memory_id: str, vectors: Mapping[str, Vector]) -> None:
        linked = self._of(memory_id)
        kept = [entity for entity, is_shared in linked if is_shared]
        if len(kept) < len(linked):
            self.writer.remove(*(entity for entity, is_shared in linked if not is_shared))
        if kept:
            self.links.unlink(memory_id, [entity[0] for entity in kept])
        self._embed_again(kept, vectors)

    def _embed_again(self, entities: Iterable[Stored], vectors: Mapping[str, Vector]) -> None:
        """Stores the new vectors of entities that stay."""
        for entity in entities if vectors else ():
            vector = vectors.get(entity[1])
            if vector is not None:
                self.writer.replace_vector(entity, vector)

    def _of(self, memory_id: str) -> Sequence[tuple[Stored, bool]]:
        return self.links.entities_of(memory_id, self._number)
