"""Entities: the collection of names and terms, and which memories each of them stands in.

An entity's payload is upstream's, with `linked_memory_ids` as a list in it. The same links are
rows of a table that is indexed from both sides, so that a memory finds its entities at once.
"""

from __future__ import annotations

from isomem.contract.payload import LINKS, links_of
from isomem.store.codec import load_payload
from isomem.store.detached import salvaged
from isomem.store.places import SEQ_MASK
from isomem.store.points import Point, Points

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from isomem.ports.shapes import Payload, Vector

_LINK = "INSERT INTO links (memory_id, entity) VALUES (?, ?)"
_LINKED = "SELECT memory_id FROM links WHERE entity = ?"
_UNLINK = "DELETE FROM links WHERE memory_id = ? AND entity = ?"


class Entities(Points):
    """One collection of entities."""

    def linked_to(self, memory_id: str) -> Sequence[Point]:
        """The entities that a memory stands in, in the order they were made."""
        sql = (
            "SELECT place, id, payload FROM points WHERE collection = ? AND place IN"
            f" (SELECT entity FROM links WHERE memory_id = ?) ORDER BY place & {SEQ_MASK}"
        )
        with self.database.reading():
            rows = self.database.rows(sql, (self._number, memory_id))
            return [Point(self, place, name, 0.0, load_payload(text)) for place, name, text in rows]

    def unlink_all(
        self,
        memory_ids: Collection[str],
        vectors: Mapping[str, Vector],
        memories: Points | None = None,
    ) -> None:
        """Takes memories out of all their entities; an entity that stands nowhere then is removed.

        The ids that stay keep their order. An entity with a damaged payload is removed.

        Args:
            memory_ids: of the memories.
            vectors: new vectors, by entity id, of entities that stay.
            memories: where the memories are stored, if in the same file. Whatever is detached
                there is taken out of these entities at the same time, so that an entity of very
                many memories is written once.
        """
        gone = set(memory_ids)
        with self.database.writing():
            for place in self._places_of(gone):
                self._unlink(place, gone.union(self._detached_of(place, memories)), vectors)

    def _places_of(self, memory_ids: Collection[str]) -> list[int]:
        """The row keys of the entities that these memories stand in, in insertion order."""
        sql = (
            "SELECT l.entity FROM links AS l JOIN points AS p ON p.place = l.entity"
            " WHERE l.memory_id = ? AND p.collection = ?"
        )
        rows = self.database.rows
        found = {row[0] for each in memory_ids for row in rows(sql, (each, self._number))}
        return sorted(found, key=SEQ_MASK.__and__)

    def _detached_of(self, place: int, memories: Points | None) -> set[str]:
        if memories is None or memories.database is not self.database:
            return set()
        return memories.detached_among(place)

    def _unlink(self, place: int, gone: set[str], vectors: Mapping[str, Vector]) -> None:
        sql = "SELECT id, payload FROM points WHERE place = ?"
        for entity_id, text in self.database.rows(sql, (place,)):
            payload = salvaged(text)
            rest = [each for each in links_of(payload) if each not in gone]
            if rest:
                self.update(entity_id, vectors.get(entity_id), {**payload, LINKS: rest})
            else:
                self.delete(entity_id)

    def _stored(self, place: int, payload: Payload, *, is_new: bool) -> None:
        before, now = set() if is_new else self._links_of(place), set(links_of(payload))
        for change, memories in ((_UNLINK, before - now), (_LINK, now - before)):
            if memories:
                self.database.execute_many(change, ((memory, place) for memory in memories))

    def _links_of(self, place: int) -> set[str]:
        # From the table, because the payload that is written over may be damaged.
        return {row[0] for row in self.database.rows(_LINKED, (place,))}

    def _moved(self, place: int, new: int) -> None:
        self.database.execute("UPDATE links SET entity = ? WHERE entity = ?", (new, place))

    def _removed(self, place: int) -> None:
        self.database.execute("DELETE FROM links WHERE entity = ?", (place,))

    def _emptied(self) -> None:
        self.database.execute(
            "DELETE FROM links WHERE entity IN (SELECT place FROM points WHERE collection = ?)",
            (self._number,),
        )
