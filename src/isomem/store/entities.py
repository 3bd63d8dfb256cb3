"""Entities: the collection of names and terms, and which memories each of them stands in.

The links are rows of a table indexed from both sides. Callers still see upstream's payload, with
`linked_memory_ids` as a list in it.
"""

from __future__ import annotations

from isomem.store.points import Points

TYPE_CHECKING = False
if TYPE_CHECKING:
    from isomem.ports import Payload

LINKS = "linked_memory_ids"


class Entities(Points):
    """One collection of entities."""

    def unlink(self, memory_id: str) -> None:
        """Takes a memory out of every entity; an entity that stands nowhere then is removed."""
        with self.database.writing() as database:
            linked = database.rows(
                "SELECT seq, id FROM points WHERE collection = ? AND seq IN"
                " (SELECT entity FROM links WHERE memory_id = ?)",
                (self._number, memory_id),
            )
            for seq, entity_id in linked:
                database.execute(
                    "DELETE FROM links WHERE entity = ? AND memory_id = ?", (seq, memory_id)
                )
                if not database.rows("SELECT 1 FROM links WHERE entity = ? LIMIT 1", (seq,)):
                    self.delete(entity_id)

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
