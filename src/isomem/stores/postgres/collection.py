"""Collections: points in the database, with the method names of upstream's vector stores."""

from __future__ import annotations

from isomem.store.collection import Collection
from isomem.store.entities import Entities
from isomem.store.keywords import are_stale, reconcile
from isomem.stores.postgres.detached import PostgresDetached
from isomem.stores.postgres.keywords import PostgresKeywords
from isomem.stores.postgres.links import PostgresLinkTable
from isomem.stores.postgres.listing import PostgresListing
from isomem.stores.postgres.near import Near
from isomem.stores.postgres.reading import PostgresReader
from isomem.stores.postgres.scopes import ALONE, ScopeTable
from isomem.stores.postgres.vectors import PostgresVectors
from isomem.stores.postgres.writing import PostgresWriter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from isomem.contract.visibility import Visibility
    from isomem.ports.shapes import Vector
    from isomem.store.keywords import TermEncoder
    from isomem.store.listing import Listing
    from isomem.stores.postgres.database import Database
    from isomem.stores.postgres.reading import Whole
    from isomem.stores.postgres.scopes import ScopeCache

_MAKE = (
    "INSERT INTO collections (name, distance) VALUES (?, 'cosine')"
    " ON CONFLICT (name) DO UPDATE SET distance = excluded.distance RETURNING number"
)


class PostgresCollection(Collection):
    """One collection. Its methods are those of `isomem.store.collection.Collection`.

    Args:
        database: with the tables of `isomem.stores.postgres.schema`.
        name, cache, dims, embedder, encoder: as there.
        hnsw_from: scopes with so many points get an HNSW index; None means no scope.

    Attributes:
        near: the indexes; None without any.
    """

    keywords: PostgresKeywords | None
    reader: PostgresReader
    links: PostgresLinkTable | None = None

    def __init__(
        self,
        database: Any,
        name: str,
        cache: Any,
        *,
        dims: int | None = None,
        embedder: str | None = None,
        encoder: TermEncoder | None = None,
        hnsw_from: int | None = None,
    ) -> None:
        self.near: Near | None = None
        self._hnsw_from = hnsw_from
        self._rows: Database = database
        self._scope_cache: ScopeCache = cache
        super().__init__(database, name, cache, dims=dims, embedder=embedder, encoder=encoder)

    def _prepare(self, dims: int | None, embedder: str | None, encoder: TermEncoder | None) -> None:
        database: Any = self._rows
        number = self._number = self._find_or_make(self.collection_name)
        self.keywords = PostgresKeywords(database, number, encoder) if encoder else None
        self._keywords = self.keywords
        if are_stale(database, number, self.keywords):
            # Before the row of the collection is changed: adds take the two locks in this order.
            database.execute(ALONE)
        vectors = PostgresVectors(database, self.collection_name, number, dims, embedder)
        self._vectors = vectors
        scopes = self._scopes = ScopeTable(database)
        detached = PostgresDetached(database, number, scopes, self.keywords)
        self._detached = detached
        self.writer = PostgresWriter(
            database, number, scopes, vectors, self.keywords, self.links, detached
        )
        if self._hnsw_from is not None:
            self.near = Near(database, number, self._hnsw_from)
        self._points = PostgresReader(
            database, number, self._scope_cache, vectors, self.links, self.near
        )
        self.reader = self._points
        reconcile(database, number, self.keywords)

    def _find_or_make(self, name: str) -> int:
        found = self._rows.rows("SELECT number FROM collections WHERE name = ?", (name,))
        number: int = (found or self._rows.rows(_MAKE, (name,)))[0][0]
        return number

    def listing(self, visibility: Visibility) -> Listing:
        """Those of its points that a call shows, in an order, part by part."""
        return PostgresListing(self._rows, self._points, visibility)

    def points(self, after: str, limit: int) -> Sequence[Whole]:
        """The next points behind an id, ordered by id, with their vectors of length 1."""
        with self._rows.reading():
            return self._points.whole(after, limit)

    def build_indexes(self) -> None:
        """Builds the indexes that are due, with the option `hnsw`; returns when they are there.

        Nobody has to call it: a thread builds them anyway, as soon as a search finds one due.

        Raises:
            DatabaseError: the server refuses, or was lost.
        """
        if self.near is not None:
            self.near.builder.build()

    def close(self) -> None:
        """Closes the connections, that of a builder of indexes included."""
        if self.near is not None:
            self.near.builder.close()
        super().close()

    def hold(self, ids: Mapping[str, str]) -> None:
        """As `ScopeTable.hold`, in the caller's transaction."""
        self._scopes.hold(self._number, ids)

    def last_insertion(self) -> str:
        """Which transactions are finished, as PostgreSQL writes it."""
        with self._rows.reading():
            return str(self._rows.rows("SELECT pg_current_snapshot()::text")[0][0])

    def col_info(self) -> dict[str, Any]:
        """Name, vector length, distance, embedder and number of points of the collection."""
        columns = ("name", "dims", "distance", "embedder", "points")
        sql = (
            f"SELECT {', '.join(columns[:-1])}, (SELECT count(*) FROM scopes AS s"
            " JOIN points AS p ON p.scope = s.number WHERE s.collection = c.number)"
            " FROM collections AS c WHERE number = ?"
        )
        with self._rows.reading():
            return dict(zip(columns, self._rows.rows(sql, (self._number,))[0], strict=True))


class PostgresEntities(PostgresCollection, Entities):
    """One collection of entities.

    Attributes:
        links: the memories that each entity is in.
    """

    links: PostgresLinkTable

    def _prepare(self, dims: int | None, embedder: str | None, encoder: TermEncoder | None) -> None:
        self.links = PostgresLinkTable(self._rows)
        super()._prepare(dims, embedder, encoder)

    def unlink_all(self, memory_ids: Iterable[str], vectors: Mapping[str, Vector]) -> None:
        """As `Entities.unlink_all`, for all of them at once."""
        ids = [*memory_ids]
        linked = self.links.entities_of_all(ids, self._number)
        kept = [entity for entity, is_shared in linked if is_shared]
        self.writer.remove(*(entity for entity, is_shared in linked if not is_shared))
        if kept:
            self.links.unlink_all(ids, [entity[0] for entity in kept])
        self._embed_again(kept, vectors)
