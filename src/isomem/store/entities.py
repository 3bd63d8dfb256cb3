"""Entities: the collection of names and terms, and which memories each of them stands in.

The links are rows of a table indexed from both sides. Callers still see upstream's payload, with
`linked_memory_ids` as a list in it.
"""

from __future__ import annotations

from isomem.store.places import SEQ_MASK
from isomem.store.points import Point, Points

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from isomem.ports import Payload

LINKS = "linked_memory_ids"


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
            return [
                Point(self, place, name, 0.0, self._load(place, text)) for place, name, text in rows
            ]

    def _dump(self, payload: Payload) -> str:
        # The empty list keeps the key's place among the others.
        return super()._dump({**payload, LINKS: []} if LINKS in payload else payload)

    def _stored(self, place: int, payload: Payload) -> None:
        self._removed(place)
        rows = ((place, at, memory) for at, memory in enumerate(payload.get(LINKS, ())))
        self.database.execute_many("INSERT INTO links VALUES (?, ?, ?)", rows)

    def _moved(self, place: int, new: int) -> None:
        self.database.execute("UPDATE links SET entity = ? WHERE entity = ?", (new, place))

    def _removed(self, place: int) -> None:
        self.database.execute("DELETE FROM links WHERE entity = ?", (place,))

    def _emptied(self) -> None:
        self.database.execute(
            "DELETE FROM links WHERE entity IN (SELECT place FROM points WHERE collection = ?)",
            (self._number,),
        )

    def _load(self, place: int, text: str) -> Payload:
        payload = super()._load(place, text)
        if LINKS in payload:
            sql = "SELECT memory_id FROM links WHERE entity = ? ORDER BY position"
            payload[LINKS] = [row[0] for row in self.database.rows(sql, (place,))]
        return payload
