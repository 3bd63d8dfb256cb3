"""Entities: the collection of names and terms, and which memories each of them stands in.

An entity's payload is upstream's, with `linked_memory_ids` as a list in it. The same links are
rows of a table that is indexed from both sides, so that a memory finds its entities at once.
"""

from __future__ import annotations

from isomem.store.codec import load_payload
from isomem.store.places import SEQ_MASK
from isomem.store.points import Point, Points

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from isomem.ports import Payload

LINKS = "linked_memory_ids"

_LINK = "INSERT INTO links (memory_id, entity) VALUES (?, ?)"
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

    def _stored(self, place: int, payload: Payload, old: Payload) -> None:
        before, now = set(old.get(LINKS) or ()), set(payload.get(LINKS) or ())
        for change, memories in ((_UNLINK, before - now), (_LINK, now - before)):
            if memories:
                self.database.execute_many(change, ((memory, place) for memory in memories))

    def _moved(self, place: int, new: int) -> None:
        self.database.execute("UPDATE links SET entity = ? WHERE entity = ?", (new, place))

    def _removed(self, place: int) -> None:
        self.database.execute("DELETE FROM links WHERE entity = ?", (place,))

    def _emptied(self) -> None:
        self.database.execute(
            "DELETE FROM links WHERE entity IN (SELECT place FROM points WHERE collection = ?)",
            (self._number,),
        )
