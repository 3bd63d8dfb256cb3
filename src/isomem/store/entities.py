"""Entities: the collection of names and terms, and which memories each of them stands in.

The links are rows of a table indexed from both sides. Callers still see upstream's payload, with
`linked_memory_ids` as a list in it.
"""

from __future__ import annotations

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
            "SELECT seq, id, payload FROM points WHERE collection = ? AND seq IN"
            " (SELECT entity FROM links WHERE memory_id = ?) ORDER BY seq"
        )
        with self.database.reading():
            rows = self.database.rows(sql, (self._number, memory_id))
            return [Point(self, seq, name, 0.0, self._load(seq, text)) for seq, name, text in rows]

    def _dump(self, payload: Payload) -> str:
        # The empty list keeps the key's place among the others.
        return super()._dump({**payload, LINKS: []} if LINKS in payload else payload)

    def _stored(self, seq: int, payload: Payload) -> None:
        self._removed(seq)
        rows = ((seq, place, memory) for place, memory in enumerate(payload.get(LINKS, ())))
        self.database.execute_many("INSERT INTO links VALUES (?, ?, ?)", rows)

    def _removed(self, seq: int) -> None:
        self.database.execute("DELETE FROM links WHERE entity = ?", (seq,))

    def _emptied(self) -> None:
        self.database.execute(
            "DELETE FROM links WHERE entity IN (SELECT seq FROM points WHERE collection = ?)",
            (self._number,),
        )

    def _load(self, seq: int, text: str) -> Payload:
        payload = super()._load(seq, text)
        if LINKS in payload:
            sql = "SELECT memory_id FROM links WHERE entity = ? ORDER BY position"
            payload[LINKS] = [row[0] for row in self.database.rows(sql, (seq,))]
        return payload
