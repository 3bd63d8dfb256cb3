"""Links: which memories each entity is in, as rows that are indexed in both directions."""

from __future__ import annotations

from isomem.contract.payload import LINKS, links_of
from isomem.store.codec import load_payload
from isomem.store.links import LinkTable
from isomem.stores.postgres.escaped import is_storable_id, restored_all
from isomem.stores.postgres.meanings import UnsureError, overtaken
from isomem.stores.postgres.scopes import columns_of, place_of, row_key_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from isomem.ports.shapes import Payload
    from isomem.store.row_keys import Stored
    from isomem.stores.postgres.database import Database

_INSERT = "INSERT INTO links SELECT * FROM unnest(?::bigint[], ?::bigint[], ?::bigint[], ?::text[])"
_INSERT_BY_ID = (
    "INSERT INTO links (scope, seq, position, memory_id)"
    " SELECT i.scope, i.seq, n.position, n.memory_id"
    " FROM unnest(?::text[], ?::bigint[], ?::text[]) AS n (id, position, memory_id)"
    " JOIN ids AS i ON i.collection = ? AND i.id = n.id"
)
# It fails if one of the entities is gone: another transaction has removed it since it was found.
_NEW = (
    "WITH p AS (SELECT scope, seq FROM points WHERE (scope, seq) IN"
    " (SELECT * FROM unnest(?::bigint[], ?::bigint[])) FOR KEY SHARE),"
    " new AS (INSERT INTO links (scope, seq, position, memory_id)"
    " SELECT p.scope, p.seq, {position}, n.memory_id"
    " FROM unnest(?::bigint[], ?::bigint[], ?::text[]) AS n (scope, seq, memory_id)"
    " JOIN p USING (scope, seq)"
    " WHERE NOT EXISTS (SELECT 1 FROM links AS l WHERE l.scope = p.scope AND l.seq = p.seq"
    " AND l.memory_id = n.memory_id))"
    " SELECT 1 / ((SELECT count(*) FROM p) = ?)::integer"
)
_LAST = (
    "coalesce((SELECT max(position) + 1 FROM links AS o"
    " WHERE o.scope = p.scope AND o.seq = p.seq), 0)"
)
_APPEND, _ADD = _NEW.format(position=_LAST), _NEW.format(position=0)
_ONCE = (
    "DELETE FROM links AS l WHERE position > 0"
    " AND (scope, seq) IN (SELECT * FROM unnest(?::bigint[], ?::bigint[]))"
    " AND EXISTS (SELECT 1 FROM links AS o WHERE o.scope = l.scope AND o.seq = l.seq"
    " AND o.memory_id = l.memory_id AND o.position < l.position)"
)
_SORT = (
    "UPDATE links SET position = 0 WHERE position > 0"
    " AND (scope, seq) IN (SELECT * FROM unnest(?::bigint[], ?::bigint[]))"
)
_REMOVE = (
    "DELETE FROM links WHERE memory_id = ANY(?)"
    " AND (scope, seq) IN (SELECT * FROM unnest(?::bigint[], ?::bigint[]))"
)
_OF_ENTITIES = (
    "SELECT l.scope, l.seq, l.memory_id FROM links AS l"
    " JOIN unnest(?::bigint[], ?::bigint[]) AS e (scope, seq) USING (scope, seq)"
    " ORDER BY l.position, l.memory_id"
)
_LOCK_OF = (
    "SELECT 1 FROM points AS p JOIN links AS l USING (scope, seq)"
    " WHERE l.memory_id = ANY(?) AND p.collection = ? ORDER BY p.scope, p.seq FOR UPDATE OF p"
)
_OF_MEMORIES = (
    "SELECT p.scope, p.seq, p.id, p.terms, p.payload, s.user_id, s.agent_id, s.run_id, EXISTS ("
    "SELECT 1 FROM links AS o WHERE o.scope = p.scope AND o.seq = p.seq"
    " AND o.memory_id <> ALL(?)"
    ") FROM points AS p JOIN scopes AS s ON s.number = p.scope"
    " WHERE (p.scope, p.seq) IN (SELECT scope, seq FROM links WHERE memory_id = ANY(?))"
    " AND p.collection = ? AND s.collection > 0 ORDER BY p.seq"
)


class PostgresLinkTable(LinkTable):
    """The links of the entities in one database, by row key. Runs in the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._rows = database

    def of(self, entity: int) -> list[str]:
        """The ids of the memories that an entity is linked to, in order."""
        return self.of_all([entity]).get(entity, [])

    def of_all(self, entities: Collection[int]) -> dict[int, list[str]]:
        """The ids of the memories of several entities, by row key."""
        found: dict[int, list[str]] = {}
        for scope, seq, memory_id in self._rows.rows(_OF_ENTITIES, columns_of(entities)):
            found.setdefault(row_key_of(scope, seq), []).append(memory_id)
        return found

    def load(self, entity: int, text: str) -> Payload:
        """The payload of an entity, with its links."""
        payloads = {entity: load_payload(text)}
        self.show(payloads)
        return payloads[entity]

    def show(self, payloads: Mapping[int, Payload]) -> None:
        """Puts their links into the payloads of entities, by row key."""
        linked = self.of_all(payloads)
        for entity, payload in payloads.items():
            # A caller may have stored something else there. It stays until a memory is linked.
            if entity in linked or isinstance(payload.get(LINKS), list):
                payload[LINKS] = linked.get(entity, [])

    def insert(self, entities: Iterable[tuple[int, Payload]]) -> None:
        """Stores the links of new entities, each a row key and a payload."""
        links = [
            (*place_of(row_key), position, memory_id)
            for row_key, payload in entities
            for position, memory_id in enumerate(links_of(payload))
        ]
        if links:
            self._rows.execute(_INSERT, [*map(list, zip(*links, strict=True))])

    def insert_by_id(self, collection: int, entities: Iterable[tuple[str, Payload]]) -> None:
        """Stores the links of new entities of a collection, each an id and a payload."""
        links = [
            (entity_id, position, memory_id)
            for entity_id, payload in entities
            for position, memory_id in enumerate(links_of(payload))
        ]
        if links:
            columns = map(list, zip(*links, strict=True))
            self._rows.execute(_INSERT_BY_ID, (*columns, collection))

    def append(self, memory_id: str, entities: Iterable[int]) -> None:
        """Links a memory to entities, after their other memories; nothing happens if it is."""
        self._add(_APPEND, [(entity, memory_id) for entity in entities])

    def merge(self, links: Mapping[int, Collection[str]]) -> None:
        """Links memories to entities, given by row key, whose links are then in sorted order."""
        added = [(entity, memory_id) for entity, some in links.items() for memory_id in some]
        if added:
            self._add(_ADD, added)
            self._rows.execute(_ONCE, columns_of(links))
            self._rows.execute(_SORT, columns_of(links))

    def _add(self, sql: str, links: Sequence[tuple[int, str]]) -> None:
        """Adds links, unless an entity is gone: then the transaction has to be run again."""
        entities = {entity for entity, _ in links}
        memory_ids = [memory_id for _, memory_id in links]
        columns = columns_of([entity for entity, _ in links])
        bindings = (*columns_of(entities), *columns, memory_ids, len(entities))
        transaction = self._rows.current
        if transaction.sure:
            self._rows.execute(sql, bindings)
            return
        try:
            self._rows.rows(sql, bindings)
        except UnsureError as error:
            cause = "an entity was removed while a memory was being linked to it"
            raise overtaken(self._rows.connections.target, cause) from error

    def unlink(self, memory_id: str, entities: Iterable[int]) -> None:
        """Removes the links between a memory and some entities."""
        self.unlink_all([memory_id], entities)

    def unlink_all(self, memory_ids: Iterable[str], entities: Iterable[int]) -> None:
        """Removes the links between memories and some entities."""
        known = [*filter(is_storable_id, memory_ids)]
        self._rows.execute(_REMOVE, (known, *columns_of([*entities])))

    def move(self, entity: int, new: int) -> None:
        """An entity has another row key."""
        sql = "UPDATE links SET scope = ?, seq = ? WHERE scope = ? AND seq = ?"
        self._rows.execute(sql, (*place_of(new), *place_of(entity)))

    def remove(self, entity: int) -> None:
        """Removes the links of an entity that is about to be removed."""
        sql = "DELETE FROM links WHERE scope = ? AND seq = ?"
        self._rows.execute(sql, place_of(entity))

    def clear(self, collection: int) -> None:
        """Removes the links of all entities of a collection, which are about to be removed."""
        self._rows.execute(
            "DELETE FROM links USING points AS p"
            " WHERE p.scope = links.scope AND p.seq = links.seq AND p.collection = ?",
            (collection,),
        )

    def entities_of(self, memory_id: str, collection: int) -> Sequence[tuple[Stored, bool]]:
        """The entities of a memory, in insertion order, and whether other memories have them.

        In a block that writes, nobody else can link to them or remove them until it ends.
        """
        return self.entities_of_all([memory_id], collection)

    def entities_of_all(
        self, memory_ids: Iterable[str], collection: int
    ) -> Sequence[tuple[Stored, bool]]:
        """As `entities_of`, of several memories, and whether any others have them."""
        known = [*filter(is_storable_id, memory_ids)]
        if not known:
            return []
        if self._rows.current.writes:
            self._rows.execute(_LOCK_OF, (known, collection))
        rows = self._rows.rows(_OF_MEMORIES, (known, known, collection))
        return [
            ((row_key_of(scope, seq), *point, restored_all(tuple(ids)), False), is_shared)
            for scope, seq, *rest, is_shared in rows
            for point, ids in [(rest[:3], rest[3:])]
        ]
