"""Writing points: encoded first, then one statement for each table."""

from __future__ import annotations

from isomem.store.codec import dump_payload, unit_vector
from isomem.store.keywords import count_when_due
from isomem.store.row_keys import OF_SCOPES, SEQ_BITS, SEQ_MASK, STORED, scope_ids, stored

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from isomem.contract.plan import Record
    from isomem.ports.shapes import Payload, Vector
    from isomem.store.cache import ScopeCache
    from isomem.store.codec import Encoded
    from isomem.store.database import Database
    from isomem.store.detached import Detached, Swept
    from isomem.store.keywords import Keywords
    from isomem.store.links import LinkTable
    from isomem.store.row_keys import Ids, Stored
    from isomem.store.vectors import Vectors

_INSERT = (
    "INSERT INTO points (row_key, collection, id, payload, vector, terms)"
    " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id, collection) DO NOTHING"
)
_REPLACE = "UPDATE points SET payload = ?, vector = ?, terms = ? WHERE row_key = ?"
_REPLACE_VECTOR = "UPDATE points SET vector = ?1 WHERE row_key = ?2 AND vector <> ?1"
_BY_ID = (
    f"SELECT {STORED} FROM points AS p JOIN scopes AS s ON s.number = p.row_key >> {SEQ_BITS}"
    " WHERE p.id = ? AND p.collection = ? AND s.collection > 0"
)
_CLEAR = (
    "DELETE FROM points WHERE collection = ?1 OR (collection < 0 AND row_key IN"
    f" (SELECT p.row_key FROM {OF_SCOPES} WHERE s.collection = ?2))"
)


class NewPoint:
    """A point to store. Its id is in the form of `canonical_id`."""

    __slots__ = ("id", "payload", "vector")

    def __init__(self, point_id: str, vector: Vector, payload: Payload) -> None:
        self.id = point_id
        self.vector = vector
        self.payload = payload


class Writer:
    """Writes the points of one collection. Runs in the caller's transaction.

    Args:
        number: of the collection.
        cache: shared by the collections of a file.
        vectors: of the collection.
        keywords: its terms; None if keyword search is off.
        links: keeps the links in payloads as rows; None if payloads have none.
        detached: its points that are hidden but not removed yet.

    Attributes:
        unit: makes a vector as it is stored; see `Vectors.unit`.
    """

    def __init__(
        self,
        database: Database,
        number: int,
        cache: ScopeCache,
        vectors: Vectors,
        keywords: Keywords | None,
        links: LinkTable | None,
        detached: Detached,
    ) -> None:
        self._database = database
        self._number = number
        self._cache = cache
        self._row_keys = cache.row_keys
        self._vectors = vectors
        self.unit = vectors.unit
        self._keywords = keywords
        self._links = links
        self._dump = links.dump if links else dump_payload
        self._detached = detached

    @property
    def dims(self) -> int | None:
        """The length of the vectors; None as long as this process does not know it."""
        return self._vectors.dims

    # --- New points ---

    def encode(self, points: Sequence[NewPoint | Record]) -> list[Encoded]:
        """Points as they are stored.

        Raises:
            VectorValueError: a vector has the wrong length, or contains NaN or infinity.
            ValidationError: a payload cannot be written as JSON.
            InvalidConfigError: the collection has vectors of another embedder by now.
        """
        vectors, keywords = self._vectors, self._keywords
        dims, rows = vectors.current(), []
        for point in points:
            vector, payload = point.vector, point.payload
            row = (
                point.id,
                unit_vector(vector, dims) if dims else vectors.unit(vector),
                scope_ids(payload),
                self._dump(payload),
                keywords.terms(payload) if keywords else None,
                payload,
            )
            rows.append(row)
        return rows

    def insert(self, points: Sequence[NewPoint | Record]) -> None:
        """Adds points. One with a known id, or with the id of an earlier one, replaces that point.

        It raises what `encode` raises; the transaction can then not be committed.
        """
        if points:
            self.insert_encoded(self.encode(points))

    def insert_encoded(self, rows: Sequence[Encoded]) -> None:
        """Adds what `encode` made; at least one point."""
        number, connection = self._number, self._database.connection
        row_keys = self._row_keys.assign(number, [row[2] for row in rows])
        before = connection.total_changes()
        self._database.execute_many(
            _INSERT,
            [
                (row_key, number, point_id, text, unit, terms)
                for row_key, (point_id, unit, _, text, terms, _) in zip(row_keys, rows, strict=True)
            ],
        )
        if connection.total_changes() - before == len(rows):
            self._inserted(row_keys, rows)
        else:
            self._insert_over(row_keys, rows)
        count_when_due(self._database, self._row_keys, row_keys)

    def _inserted(self, row_keys: Sequence[int], rows: Sequence[Encoded]) -> None:
        """Updates what depends on new rows: counts, links, and cached scopes."""
        if self._keywords:
            self._keywords.inserted(rows)
        if self._links:
            self._links.insert(zip(row_keys, (row[5] for row in rows), strict=True))
        self._cache.append(self._number, row_keys, rows)

    def _insert_over(self, row_keys: Sequence[int], rows: Sequence[Encoded]) -> None:
        """`_inserted` if some ids were taken: those rows are not in the file yet."""
        sql = "SELECT 1 FROM points WHERE row_key = ?"
        inserted: list[tuple[int, Encoded]] = []
        taken: list[tuple[int, Encoded]] = []
        for row_key, row in zip(row_keys, rows, strict=True):
            # The ids of detached points come first: a point that is replaced may be the last of a
            # scope that one of these rows has the number of.
            is_in = self._database.rows(sql, (row_key,)) or self._take_id(row_key, row)
            (inserted if is_in else taken).append((row_key, row))
        self._inserted([row_key for row_key, _ in inserted], [row for _, row in inserted])
        for row_key, row in taken:
            self._row_keys.remove(row_key)
            old = self.find(row[0])
            if old is not None:
                self._replace(old, row)

    def _take_id(self, row_key: int, row: Encoded) -> bool:
        """Inserts a row whose id only a detached point has; whether it is such a one."""
        point_id, unit, _, text, terms, _ = row
        if self.find(point_id):
            return False
        self._detached.give_up_id(point_id)
        bindings = (row_key, self._number, point_id, text, unit, terms)
        self._database.execute(_INSERT, bindings)
        return True

    # --- Points that are there ---

    def find(self, point_id: str) -> Stored | None:
        """What is stored of a point, by its id as `canonical_id` spells it."""
        for row in self._database.rows(_BY_ID, (point_id, self._number)):
            return stored(row)
        return None

    def replace(self, old: Stored, vector: Vector, payload: Payload) -> None:
        """Stores another vector and another payload of a point."""
        self._replace(old, *self.encode([NewPoint(old[1], vector, payload)]))

    def _replace(self, old: Stored, row: Encoded) -> None:
        row_key, _, old_terms, _, old_ids, is_recent = old
        _, unit, ids, text, terms, payload = row
        if ids != old_ids:
            row_key = self._move(row_key, old_ids, ids)
        self._database.execute(_REPLACE, (text, unit, terms, row_key))
        if ids == old_ids:
            self._cache.replace(self._number, ids, (row_key, old[1], unit, terms or b""))
        if self._keywords:
            self._keywords.change(old_terms, terms, counted=not is_recent)
        if self._links:
            self._links.replace(row_key, payload)

    def _move(self, row_key: int, old_ids: Ids, ids: Ids) -> int:
        """The row key of a point whose scope has changed."""
        self._cache.evict(self._number, old_ids)
        self._cache.evict(self._number, ids)
        new = self._row_keys.move(row_key, self._number, ids)
        self._database.execute("UPDATE points SET row_key = ? WHERE row_key = ?", (new, row_key))
        if self._links:
            self._links.move(row_key, new)
        self._row_keys.drop_if_empty(row_key)
        return new

    def replace_payload(self, old: Stored, payload: Payload) -> None:
        """Stores another payload of a point."""
        # The terms stay those of the text of the last full write, as in upstream's store.
        row_key, ids = old[0], scope_ids(payload)
        if ids != old[4]:
            row_key = self._move(row_key, old[4], ids)
        sql = "UPDATE points SET payload = ? WHERE row_key = ?"
        self._database.execute(sql, (self._dump(payload), row_key))
        self._cache.forget_context(self._number, old[4])
        if self._links:
            self._links.replace(row_key, payload)

    def replace_vector(self, old: Stored, vector: Vector) -> None:
        """Stores another vector of a point; nothing is written if it is the same."""
        row_key, point_id, terms, _, ids, _ = old
        unit = self._vectors.unit(vector)
        self._database.execute(_REPLACE_VECTOR, (unit, row_key))
        if self._database.connection.changes():
            self._cache.replace(self._number, ids, (row_key, point_id, unit, terms or b""))

    # --- Removing ---

    def remove(self, *points: Stored) -> None:
        """Removes points."""
        for row_key, _, terms, _, ids, is_recent in points:
            self._cache.remove(self._number, ids, row_key)
            if self._keywords:
                self._keywords.change(terms, None, counted=not is_recent)
        self._row_keys.remove_each([point[0] for point in points if point[5]])
        row_keys = [(point[0],) for point in points]
        if self._links:
            self._links.remove_each(row_keys)
        self._database.execute_many("DELETE FROM points WHERE row_key = ?", row_keys)
        for last in {row_key | SEQ_MASK for (row_key,) in row_keys}:
            self._row_keys.drop_if_empty(last)

    def sweep(self, limit: int) -> Sequence[Swept]:
        """Removes up to `limit` detached points, ordered by id. Returns what they were."""
        some = self._detached.next(limit)
        if self._links:
            self._links.remove_each([(row_key,) for row_key, *_ in some])
        if some:
            self._detached.remove(some)
        return some

    def clear(self) -> None:
        """Removes every point of the collection, including detached ones."""
        if self._links:
            self._links.clear(self._number)
        self._database.execute(_CLEAR, (self._number, -self._number))
        self._row_keys.clear(self._number)
        if self._keywords:
            self._keywords.clear()
        self._cache.clear()
