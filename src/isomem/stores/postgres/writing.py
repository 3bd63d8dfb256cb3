"""Writing points: encoded first, then one statement for those of a scope.

That statement takes for granted that their ids are free and that the embedder is still the same,
and fails if not, so that nobody has to wait for an answer. The transaction is then done again,
with a look at each.
"""

from __future__ import annotations

import json

from isomem.errors import ValidationError
from isomem.store.codec import dump_payload
from isomem.store.row_keys import scope_ids
from isomem.store.writing import Writer
from isomem.stores.postgres.escaped import check_length, is_storable_id, restored_all
from isomem.stores.postgres.scopes import ALONE, WRITING, place_of, row_key_of
from isomem.types import SCOPE_KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from isomem.ports.shapes import Payload, Vector
    from isomem.store.codec import Encoded
    from isomem.store.detached import Swept
    from isomem.store.row_keys import Ids, Stored
    from isomem.stores.postgres.database import Database
    from isomem.stores.postgres.detached import PostgresDetached
    from isomem.stores.postgres.keywords import PostgresKeywords
    from isomem.stores.postgres.links import PostgresLinkTable
    from isomem.stores.postgres.scopes import ScopeTable
    from isomem.stores.postgres.vectors import PostgresVectors

_INSERT = (
    "WITH new AS (SELECT * FROM unnest(?::text[], ?::text[], ?::bytea[], ?::bytea[])"
    " WITH ORDINALITY AS n (id, payload, vector, terms, at)),"
    " named AS (INSERT INTO ids (collection, id, scope, seq)"
    " SELECT ?::bigint, id, ?::bigint, nextval('insertions') FROM new ORDER BY at"
    " ON CONFLICT DO NOTHING RETURNING id, seq)"
    " INSERT INTO points (scope, seq, collection, id, payload, vector, terms, version)"
    " SELECT ?, seq, ?, id, payload, vector, terms, ? FROM named JOIN new USING (id)"
    " RETURNING id, seq"
)
_INSERT_SURELY = (
    "WITH kept AS (UPDATE scopes SET version = version + 1 WHERE collection = ? AND name = ?"
    " RETURNING number, version),"
    f" made AS (INSERT INTO scopes (collection, name, {', '.join(SCOPE_KEYS)})"
    " SELECT ?::bigint, ?::text, ?::text, ?::text, ?::text WHERE NOT EXISTS (SELECT 1 FROM kept)"
    " ON CONFLICT (collection, name) DO UPDATE SET version = scopes.version + 1"
    " RETURNING number, version),"
    " scope AS (SELECT * FROM kept UNION ALL SELECT * FROM made),"
    " new AS (SELECT * FROM unnest(?::text[], ?::text[], ?::bytea[], ?::bytea[])"
    " WITH ORDINALITY AS n (id, payload, vector, terms, at)),"
    " named AS (INSERT INTO ids (collection, id, scope, seq)"
    " SELECT ?::bigint, n.id, s.number, nextval('insertions') FROM new AS n, scope AS s"
    " ORDER BY n.at ON CONFLICT DO NOTHING RETURNING id, seq),"
    " stored AS (INSERT INTO points (scope, seq, collection, id, payload, vector, terms, version)"
    " SELECT s.number, seq, ?::bigint, id, payload, vector, terms, s.version"
    " FROM named JOIN new USING (id), scope AS s RETURNING 1)"
    " SELECT 1 / ((SELECT count(*) FROM stored) = ? AND EXISTS (SELECT 1 FROM collections"
    " WHERE number = ? AND dims = ? AND embedder IS NOT DISTINCT FROM ?))::integer"
)
_LOCK = "SELECT 1 FROM ids WHERE collection = ? AND id = ? FOR UPDATE"
_FIND = (
    "SELECT p.scope, p.seq, p.id, p.terms, p.payload, s.user_id, s.agent_id, s.run_id"
    " FROM ids AS i JOIN points AS p USING (scope, seq) JOIN scopes AS s ON s.number = p.scope"
    " WHERE i.collection = ? AND i.id = ? AND s.collection > 0"
)
_AT = " WHERE scope = ? AND seq = ?"
_CHANGE = (
    "WITH touched AS (UPDATE scopes SET version = version + 1 WHERE number = ? RETURNING version)"
    f" UPDATE points SET {{}}, version = coalesce((SELECT version FROM touched), 0){_AT}"
)
_REPLACE = _CHANGE.format("payload = ?, vector = ?, terms = ?")
_REPLACE_PAYLOAD = _CHANGE.format("payload = ?")
_REPLACE_VECTOR = _CHANGE.format("vector = ?")
_COPY = (
    "INSERT INTO points SELECT ?, seq, collection, id, payload, vector, terms, ?, made"
    f" FROM points{_AT}"
)


class PostgresWriter(Writer):
    """Writes the points of one collection. Runs in the caller's transaction."""

    _links: PostgresLinkTable | None
    _vectors: PostgresVectors

    def __init__(
        self,
        database: Database,
        number: int,
        scopes: ScopeTable,
        vectors: PostgresVectors,
        keywords: PostgresKeywords | None,
        links: PostgresLinkTable | None,
        detached: PostgresDetached,
    ) -> None:
        self._rows = database
        self._number = number
        self._scopes = scopes
        self._vectors = vectors
        self.unit = vectors.unit
        self._keywords = keywords
        self._links = links
        self._dump = links.dump if links else dump_payload
        self._detached = detached

    # --- New points ---

    def insert_encoded(self, rows: Sequence[Encoded]) -> None:
        """Adds what `encode` made; at least one point."""
        by_scope: dict[Ids, list[Encoded]] = {}
        for row in rows:
            _check_id(row[0])
            by_scope.setdefault(row[2], []).append(row)
        for ids, some in by_scope.items():
            self._insert(ids, some)

    def _insert(self, ids: Ids, rows: Sequence[Encoded]) -> None:
        # Of points with one id, the last counts; the others are replaced one after another.
        last = {row[0]: row for row in rows}
        is_sure = self._rows.current.sure and self._vectors.recorded[0] is not None
        if is_sure and self._scopes.may_be_new(ids):
            self._insert_surely(ids, [*last.values()])
        else:
            self._insert_carefully(ids, last)

    def _insert_surely(self, ids: Ids, rows: Sequence[Encoded]) -> None:
        """Adds points with ids that are free. If one is not, the transaction fails."""
        number = self._number
        self._rows.execute(
            _INSERT_SURELY,
            (
                number, json.dumps(ids), number, *self._scopes.row_of(ids), *_columns(rows),
                number, number, len(rows), number, *self._vectors.recorded,
            ),
        )  # fmt: skip
        self._rows.current.changed.add(number)
        if self._keywords:
            self._keywords.inserted(rows)
        if self._links:
            self._links.insert_by_id(number, ((row[0], row[5]) for row in rows))

    def _insert_carefully(self, ids: Ids, last: Mapping[str, Encoded]) -> None:
        scope, version = self._scopes.change(self._number, ids)
        self._check_embedder()
        seqs = self._insert_rows(scope, version, [*last.values()])
        inserted = [row for row in last.values() if row[0] in seqs]
        if self._keywords:
            self._keywords.inserted(inserted)
        if self._links:
            self._links.insert((row_key_of(scope, seqs[row[0]]), row[5]) for row in inserted)
        for row in last.values():
            if row[0] not in seqs:
                self._store_over(row)
        if len(seqs) < len(last):
            self._scopes.drop_empty([scope])

    def _insert_rows(self, scope: int, version: int, rows: Sequence[Encoded]) -> dict[str, int]:
        """The insertion orders of those points whose ids were free."""
        number = self._number
        bindings = (*_columns(rows), number, scope, scope, number, version)
        return dict(self._rows.rows(_INSERT, bindings))

    def _store_over(self, row: Encoded) -> None:
        """Stores a point whose id is taken: over the old point, or by way of a detached one's."""
        old = self.find(row[0])
        if old is not None:
            self._replace(old, row)
            return
        sql = "DELETE FROM ids WHERE collection = ? AND id = ?"
        self._rows.execute(sql, (self._number, row[0]))
        self._insert(row[2], [row])

    def _check_embedder(self) -> None:
        """Compares the embedder with the recorded one until the first write is through."""
        self._vectors.claim()

    # --- Points that are there ---

    def find(self, point_id: str) -> Stored | None:
        """What is stored of a point, by its id; nobody else can change it until the end."""
        if not is_storable_id(point_id):
            return None
        if self._rows.current.writes:
            self._rows.execute(WRITING)
            self._rows.execute(_LOCK, (self._number, point_id))
        for scope, seq, name, terms, payload, *ids in self._rows.rows(
            _FIND, (self._number, point_id)
        ):
            return row_key_of(scope, seq), name, terms, payload, restored_all(tuple(ids)), False
        return None

    def _replace(self, old: Stored, row: Encoded) -> None:
        row_key, _, old_terms, _, old_ids, _ = old
        _, unit, ids, text, terms, payload = row
        row_key = self._move(row_key, old_ids, ids)
        self._change(_REPLACE, row_key, text, unit, terms)
        if self._keywords:
            self._keywords.change(old_terms, terms, counted=True)
        if self._links:
            self._links.replace(row_key, payload)

    def _change(self, sql: str, row_key: int, *values: object) -> None:
        """Stores other values of a point, and raises the version of its scope."""
        scope, seq = place_of(row_key)
        self._rows.current.dirty.add(scope)
        self._rows.execute(sql, (scope, *values, scope, seq))

    def _move(self, row_key: int, old_ids: Ids, ids: Ids) -> int:
        """The row key of a point whose scope may have changed."""
        if ids == old_ids:
            return row_key
        scope, seq = place_of(row_key)
        # Copied: a cluster does not move a row to another node by an update.
        number, version = self._scopes.change(self._number, ids)
        self._scopes.remove_from([scope])
        self._rows.execute(_COPY, (number, version, scope, seq))
        self._rows.execute(f"DELETE FROM points{_AT}", (scope, seq))
        sql = "UPDATE ids SET scope = ? WHERE collection = ? AND scope = ? AND seq = ?"
        self._rows.execute(sql, (number, self._number, scope, seq))
        new = row_key_of(number, seq)
        if self._links:
            self._links.move(row_key, new)
        self._scopes.drop_empty([scope])
        return new

    def replace_payload(self, old: Stored, payload: Payload) -> None:
        """Stores another payload of a point."""
        row_key = self._move(old[0], old[4], scope_ids(payload))
        self._change(_REPLACE_PAYLOAD, row_key, self._dump(payload))
        if self._links:
            self._links.replace(row_key, payload)

    def replace_vector(self, old: Stored, vector: Vector) -> None:
        """Stores another vector of a point."""
        self._change(_REPLACE_VECTOR, old[0], self._vectors.unit(vector))

    # --- Removing ---

    def remove(self, *points: Stored) -> None:
        """Removes points."""
        for point in points:
            self._remove(point)

    def _remove(self, old: Stored) -> None:
        scope, seq = place_of(old[0])
        self._scopes.remove_from([scope])
        if self._keywords:
            self._keywords.change(old[2], None, counted=True)
        if self._links:
            self._links.remove(old[0])
        self._rows.execute(f"DELETE FROM points{_AT}", (scope, seq))
        sql = "DELETE FROM ids WHERE collection = ? AND id = ?"
        self._rows.execute(sql, (self._number, old[1]))
        self._scopes.drop_empty([scope])

    def sweep(self, limit: int) -> Sequence[Swept]:
        """Removes up to `limit` detached points, ordered by id. Returns what they were."""
        self._rows.execute(WRITING)
        some = self._detached.next(limit)
        if self._links:
            for row_key, *_ in some:
                self._links.remove(row_key)
        if some:
            self._detached.remove(some)
        return some

    def clear(self) -> None:
        """Removes every point of the collection, including detached ones. Others who write wait."""
        self._rows.execute(ALONE)
        if self._links:
            self._links.clear(self._number)
        for table in ("points", "ids", "scopes"):
            sql = f"DELETE FROM {table} WHERE abs(collection) = ?"
            self._rows.execute(sql, (self._number,))
        if self._keywords:
            self._keywords.clear()


def _columns(rows: Sequence[Encoded]) -> list[list[Any]]:
    """Ids, payloads, vectors and terms."""
    return [*map(list, zip(*((row[0], row[3], row[1], row[4]) for row in rows), strict=True))]


def _check_id(point_id: str) -> None:
    """Raises ValidationError if PostgreSQL cannot store an id."""
    if not is_storable_id(point_id):
        raise ValidationError(
            f"{point_id!r:.60} cannot be stored as an id in PostgreSQL",
            error_code="VALIDATION_005",
            suggestion="Leave NUL characters and lone surrogates out of it.",
        )
    check_length(point_id, "an id")
