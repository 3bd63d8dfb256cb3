"""Links: which memories each entity is in, as rows that are indexed in both directions.

An entity's payload shows them as a list, as in upstream. In the file that list is empty, and the
rows stand for it, so that linking a memory costs the same however many memories an entity has.
"""

from __future__ import annotations

from isomem.contract.payload import LINKS, links_of, with_links
from isomem.errors import ValidationError
from isomem.store.codec import dump_payload, load_payload
from isomem.store.row_keys import SEQ_BITS, SEQ_MASK, STORED, stored
from isomem.types import is_unicode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from isomem.ports.shapes import Payload
    from isomem.store.database import Database
    from isomem.store.row_keys import Stored

_INSERT = "INSERT INTO linked_memories VALUES (?, ?, ?)"
_APPEND = (
    "INSERT INTO linked_memories SELECT ?1, ?2,"
    " coalesce((SELECT max(position) + 1 FROM linked_memories WHERE entity = ?2), 0)"
    " WHERE NOT EXISTS (SELECT 1 FROM linked_memories WHERE memory_id = ?1 AND entity = ?2)"
)
_ADD = "INSERT OR IGNORE INTO linked_memories VALUES (?, ?, 0)"
_SORT = "UPDATE OR REPLACE linked_memories SET position = 0 WHERE entity = ? AND position > 0"
_REMOVE = "DELETE FROM linked_memories WHERE memory_id = ? AND entity = ?"
_MOVE = "UPDATE linked_memories SET entity = ? WHERE entity = ?"
_REMOVE_ALL = "DELETE FROM linked_memories WHERE entity = ?"
_CLEAR = (
    "DELETE FROM linked_memories WHERE entity IN (SELECT row_key FROM points WHERE collection = ?)"
)
_OF_ENTITY = "SELECT memory_id FROM linked_memories WHERE entity = ? ORDER BY position, memory_id"
_OF_MEMORY = (
    f"SELECT {STORED}, EXISTS ("
    "SELECT 1 FROM linked_memories AS o WHERE o.entity = p.row_key AND o.memory_id <> ?1"
    ") FROM linked_memories AS l CROSS JOIN points AS p ON p.row_key = l.entity"
    f" CROSS JOIN scopes AS s ON s.number = p.row_key >> {SEQ_BITS}"
    " WHERE l.memory_id = ?1 AND p.collection = ?2 AND s.collection > 0 GROUP BY l.entity"
)


class LinkTable:
    """The links of the entities in one file, by row key. Runs in the caller's transaction.

    A link has a position. Links of the same position are ordered by the ids of the memories.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- Payloads ---

    def dump(self, payload: Payload) -> str:
        """The payload of an entity as JSON, without its links.

        Raises:
            ValidationError: VALIDATION_005, the payload cannot be written as JSON, or its links
                are not ids.
        """
        linked = payload.get(LINKS)
        if not isinstance(linked, list):
            return dump_payload(payload)
        _check(linked)
        return dump_payload(with_links(payload, ()))

    def load(self, entity: int, text: str) -> Payload:
        """The payload of an entity, with its links.

        Raises:
            MemoryCorruptionError: the text is not JSON.
        """
        payload = load_payload(text)
        linked = self.of(entity)
        # A caller may have stored something else there. It stays until a memory is linked.
        if linked or isinstance(payload.get(LINKS), list):
            payload[LINKS] = linked
        return payload

    def of(self, entity: int) -> list[str]:
        """The ids of the memories that an entity is linked to, in order."""
        return [row[0] for row in self._database.rows(_OF_ENTITY, (entity,))]

    def insert(self, entities: Iterable[tuple[int, Payload]]) -> None:
        """Stores the links of new entities, each a row key and a payload."""
        self._database.execute_many(
            _INSERT,
            [
                (memory_id, row_key, position)
                for row_key, payload in entities
                for position, memory_id in enumerate(links_of(payload))
            ],
        )

    def replace(self, entity: int, payload: Payload) -> None:
        """Stores the links of an entity whose payload was overwritten."""
        self.remove(entity)
        self.insert([(entity, payload)])

    # --- Single links ---

    def append(self, memory_id: str, entities: Iterable[int]) -> None:
        """Links a memory to entities, after their other memories; nothing happens if it is."""
        self._database.execute_many(_APPEND, [(memory_id, entity) for entity in entities])

    def merge(self, links: Mapping[int, Collection[str]]) -> None:
        """Links memories to entities, given by row key, whose links are then in sorted order."""
        added = [(memory_id, entity) for entity, some in links.items() for memory_id in some]
        self._database.execute_many(_ADD, added)
        self._database.execute_many(_SORT, [(entity,) for entity in links])

    def unlink(self, memory_id: str, entities: Iterable[int]) -> None:
        """Removes the links between a memory and some entities."""
        self._database.execute_many(_REMOVE, [(memory_id, entity) for entity in entities])

    # --- Entities ---

    def move(self, entity: int, new: int) -> None:
        """An entity has another row key."""
        self._database.execute(_MOVE, (new, entity))

    def remove(self, entity: int) -> None:
        """Removes the links of an entity."""
        self._database.execute(_REMOVE_ALL, (entity,))

    def remove_each(self, entities: Sequence[tuple[int]]) -> None:
        """Removes the links of entities that are about to be removed."""
        self._database.execute_many(_REMOVE_ALL, entities)

    def clear(self, collection: int) -> None:
        """Removes the links of all entities of a collection, which are about to be removed."""
        self._database.execute(_CLEAR, (collection,))

    def entities_of(self, memory_id: str, collection: int) -> Sequence[tuple[Stored, bool]]:
        """The entities of a memory, in insertion order, and whether other memories have them."""
        rows = self._database.rows(_OF_MEMORY, (memory_id, collection))
        if len(rows) > 1:
            rows.sort(key=_order)
        return [(stored(row), row[-1] > 0) for row in rows]


def _order(row: Sequence[int]) -> int:
    return row[0] & SEQ_MASK


def _check(linked: Sequence[object]) -> None:
    """Raises ValidationError unless these are texts that UTF-8 can encode, as ids are."""
    try:
        if is_unicode("".join(linked)):  # type: ignore[arg-type]
            return
    except TypeError:
        pass
    raise ValidationError(
        f"{LINKS} must be a list of ids of memories, as text",
        error_code="VALIDATION_005",
        suggestion="Leave the list to isomem: it links the memories of an entity by itself.",
    )
