"""Writing points: encoded first, then one statement for those of a scope."""

from __future__ import annotations

from isomem.errors import ValidationError
from isomem.store.codec import dump_payload
from isomem.store.row_keys import scope_ids
from isomem.store.writing import Writer
from isomem.stores.postgres.escaped import is_storable_id, restored_all
from isomem.stores.postgres.scopes import place_of, row_key_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

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
_LOCK = "SELECT 1 FROM ids WHERE collection = ? AND id = ? FOR UPDATE"
_FIND = (
    "SELECT p.scope, p.seq, p.id, p.terms, p.payload, s.user_id, s.agent_id, s.run_id"
    " FROM ids AS i JOIN points AS p USING (scope, seq) JOIN scopes AS s ON s.number = p.scope"
    " WHERE i.collection = ? AND i.id = ? AND s.collection > 0"
)
_AT = " WHERE scope = ? AND seq = ?"
_REPLACE = f"UPDATE points SET payload = ?, vector = ?, terms = ?, version = ?{_AT}"
_REPLACE_PAYLOAD = f"UPDATE points SET payload = ?, version = ?{_AT}"
_REPLACE_VECTOR = f"UPDATE points SET vector = ?, version = ?{_AT}"
_COPY = (
    "INSERT INTO points SELECT ?, seq, collection, id, payload, vector, terms, ?, made"
    f" FROM points{_AT}"
)


class PostgresWriter(Writer):
    """Writes the points of one collection. Runs in the caller's transaction."""

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
        columns = [*zip(*((row[0], row[3], row[1], row[4]) for row in rows), strict=True)]
        bindings = (*map(list, columns), number, scope, scope, number, version)
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
            self._rows.rows(_LOCK, (self._number, point_id))
        for scope, seq, name, terms, payload, *ids in self._rows.rows(
            _FIND, (self._number, point_id)
        ):
            return row_key_of(scope, seq), name, terms, payload, restored_all(tuple(ids)), False
        return None

    def _replace(self, old: Stored, row: Encoded) -> None:
        row_key, _, old_terms, _, old_ids, _ = old
        _, unit, ids, text, terms, payload = row
        row_key, version = self._move(row_key, old_ids, ids)
        self._rows.execute(_REPLACE, (text, unit, terms, version, *place_of(row_key)))
        if self._keywords:
            self._keywords.change(old_terms, terms, counted=True)
        if self._links:
            self._links.replace(row_key, payload)

    def _move(self, row_key: int, old_ids: Ids, ids: Ids) -> tuple[int, int]:  # type: ignore[override]
        """The row key and the new version of a point whose scope may have changed."""
        scope, seq = place_of(row_key)
        if ids == old_ids:
            return row_key, self._scopes.touch(scope)
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
        return new, version

    def replace_payload(self, old: Stored, payload: Payload) -> None:
        """Stores another payload of a point."""
        row_key, version = self._move(old[0], old[4], scope_ids(payload))
        bindings = (self._dump(payload), version, *place_of(row_key))
        self._rows.execute(_REPLACE_PAYLOAD, bindings)
        if self._links:
            self._links.replace(row_key, payload)

    def replace_vector(self, old: Stored, vector: Vector) -> None:
        """Stores another vector of a point."""
        unit = self._vectors.unit(vector)
        scope, seq = place_of(old[0])
        self._rows.execute(_REPLACE_VECTOR, (unit, self._scopes.touch(scope), scope, seq))

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
        some = self._detached.next(limit)
        if self._links:
            for row_key, *_ in some:
                self._links.remove(row_key)
        if some:
            self._detached.remove(some)
        return some

    def clear(self) -> None:
        """Removes every point of the collection, including detached ones."""
        if self._links:
            self._links.clear(self._number)
        for table in ("points", "ids", "scopes"):
            sql = f"DELETE FROM {table} WHERE abs(collection) = ?"
            self._rows.execute(sql, (self._number,))
        if self._keywords:
            self._keywords.clear()


def _check_id(point_id: str) -> None:
    """Raises ValidationError if PostgreSQL cannot store an id."""
    if not is_storable_id(point_id):
        raise ValidationError(
            f"{point_id!r:.60} cannot be stored as an id in PostgreSQL",
            error_code="VALIDATION_005",
            suggestion="Leave NUL characters and lone surrogates out of it.",
        )
