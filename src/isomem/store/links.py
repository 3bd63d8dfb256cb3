"""Links as rows: the memories that an entity is in, indexed in both directions.

An entity's payload lists them, too, as in upstream. The rows lead from a memory to its entities.
"""

from __future__ import annotations

from isomem.contract.payload import links_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from isomem.ports.shapes import Payload
    from isomem.store.database import Database

_INSERT = "INSERT INTO links (memory_id, entity) VALUES (?, ?)"
_DELETE = "DELETE FROM links WHERE memory_id = ? AND entity = ?"
_CLEAR = "DELETE FROM links WHERE entity IN (SELECT row_key FROM points WHERE collection = ?)"
_OF_MEMORY = (
    "SELECT l.entity FROM links AS l JOIN points AS p ON p.row_key = l.entity"
    " WHERE l.memory_id = ? AND p.collection = ?"
)


class LinkTable:
    """The links of the entities in one file, by row key. Runs in the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def insert(self, entity: int, payload: Payload) -> None:
        """Stores the links of a new entity."""
        self._write(_INSERT, set(links_of(payload)), entity)

    def replace(self, entity: int, payload: Payload) -> None:
        """Stores the links of an entity whose payload was overwritten."""
        # The old links come from the table, because the overwritten payload may be damaged.
        sql = "SELECT memory_id FROM links WHERE entity = ?"
        before = {row[0] for row in self._database.rows(sql, (entity,))}
        now = set(links_of(payload))
        self._write(_DELETE, before - now, entity)
        self._write(_INSERT, now - before, entity)

    def _write(self, sql: str, memory_ids: Iterable[str], entity: int) -> None:
        self._database.execute_many(sql, [(memory_id, entity) for memory_id in memory_ids])

    def move(self, entity: int, new: int) -> None:
        """An entity has another row key."""
        self._database.execute("UPDATE links SET entity = ? WHERE entity = ?", (new, entity))

    def remove(self, entity: int) -> None:
        """Removes the links of an entity that is about to be removed."""
        self._database.execute("DELETE FROM links WHERE entity = ?", (entity,))

    def clear(self, collection: int) -> None:
        """Removes the links of all entities of a collection, which are about to be removed."""
        self._database.execute(_CLEAR, (collection,))

    def entities_of(self, memory_ids: Collection[str], collection: int) -> set[int]:
        """The row keys of the entities of a collection that these memories are linked to."""
        rows = self._database.rows
        return {row[0] for each in memory_ids for row in rows(_OF_MEMORY, (each, collection))}
