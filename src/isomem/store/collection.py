"""Collections: points in the file, with the method names of upstream's vector stores.

A point is an id, a vector and a payload.
"""

from __future__ import annotations

from isomem.contract.filters import compile_filters
from isomem.errors import VectorStoreError
from isomem.store.codec import canonical_id
from isomem.store.detached import Detached
from isomem.store.keywords import Keywords, reconcile
from isomem.store.reading import Point, Reader
from isomem.store.row_keys import OF_SCOPES
from isomem.store.vectors import Vectors
from isomem.store.writing import NewPoint, Writer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from isomem.contract.plan import Since
    from isomem.contract.ranking import Found, Question
    from isomem.contract.visibility import Visibility
    from isomem.ports.shapes import Filters, Payload, Vector
    from isomem.store.cache import ScopeCache
    from isomem.store.database import Block, Database
    from isomem.store.keywords import TermEncoder
    from isomem.store.links import LinkTable
    from isomem.store.listing import Listing
    from isomem.store.vectors import Made


class Collection:
    """One collection.

    Attributes:
        reader, writer: read and write points in a block of the caller.

    Args:
        database: opened with `schema.prepare_store`.
        name: of the collection; it is created if it does not exist.
        cache: shared by the collections of a file.
        dims: length of its vectors; None takes the length of the first one.
        embedder: identity of the embedder that makes the vectors; None if it is not known.
        encoder: makes the terms for keyword search; None turns it off.

    Raises:
        InvalidConfigError: the collection has vectors of another length or embedder.
    """

    def __init__(
        self,
        database: Database,
        name: str,
        cache: ScopeCache,
        *,
        dims: int | None = None,
        embedder: str | None = None,
        encoder: TermEncoder | None = None,
    ) -> None:
        self.database = database
        self.collection_name = name
        self._cache = cache
        # A reader must not wait for a writer: if the file already has all of this, it is only read.
        database.prepared(lambda: self._prepare(dims, embedder, encoder))

    def _prepare(self, dims: int | None, embedder: str | None, encoder: TermEncoder | None) -> None:
        database, cache = self.database, self._cache
        number = self._number = self._find_or_make(self.collection_name)
        self._vectors = Vectors(database, self.collection_name, number, dims, embedder)
        self._keywords = Keywords(database, cache.row_keys, number, encoder) if encoder else None
        links = self._link_table()
        self._detached = Detached(database, cache.row_keys, number, self._keywords)
        self.writer = Writer(
            database, number, cache, self._vectors, self._keywords, links, self._detached
        )
        self.reader = Reader(database, number, cache, self._vectors, links)
        if reconcile(database, number, self._keywords):
            cache.clear()

    def _find_or_make(self, name: str) -> int:
        sql = "SELECT number FROM collections WHERE name = ?"
        found = self.database.rows(sql, (name,))
        if not found:
            make = "INSERT INTO collections (name, distance) VALUES (?, 'cosine')"
            self.database.execute(make, (name,))
            found = self.database.rows(sql, (name,))
        number: int = found[0][0]
        return number

    def _link_table(self) -> LinkTable | None:
        """Keeps the links in payloads as rows; None if the payloads have no links."""
        return None

    @property
    def embedding_model_dims(self) -> int | None:
        """The length of the vectors; None as long as it is not known."""
        return self._vectors.dims

    @property
    def made_by(self) -> Made:
        """The length of its vectors and the identity of their embedder, as far as it was told."""
        return self._vectors.made_by

    def expect_embedder(self, made: Made) -> None:
        """Expects vectors of another length or another embedder; nothing is compared or written."""
        self._vectors.expect(made)

    def claim_embedder(self) -> None:
        """Compares what it expects with what is stored, and stores it if it is new.

        Raises:
            InvalidConfigError: there are vectors of another embedder.
        """
        self._vectors.claim()

    # --- Writing ---

    def atomic(self) -> Block:
        """A block whose writes are all stored, or none if it raises."""
        return self.database.atomic()

    def insert(
        self,
        vectors: list[Vector],
        payloads: list[Payload] | None = None,
        ids: list[str] | None = None,
    ) -> None:
        """Adds points, all or none. A point with a known id replaces the old one.

        Raises:
            VectorValueError: a vector has the wrong length, or contains NaN or infinity.
            ValidationError: a payload cannot be written as JSON.
            VectorStoreError: the lists differ in length.
        """
        payloads = payloads if payloads is not None else [{} for _ in vectors]
        ids = ids if ids is not None else [str(number) for number in range(len(vectors))]
        if not len(vectors) == len(payloads) == len(ids):
            raise VectorStoreError("vectors, payloads and ids must be lists of one length")
        with self.database.writing():
            self.writer.insert([*map(NewPoint, map(canonical_id, ids), vectors, payloads)])

    def update(
        self, vector_id: str, vector: Vector | None = None, payload: Payload | None = None
    ) -> None:
        """Replaces a point, only keys of its payload, or only its vector.

        With both a vector and a payload the point is replaced, or added if it does not exist. A
        payload alone overlays the old one key by key.

        Raises:
            KeyError: the point does not exist and only one of the two was given.
        """
        point_id, writer = canonical_id(vector_id), self.writer
        with self.database.writing():
            old = writer.find(point_id)
            if old is None:
                if payload is None or vector is None:
                    raise KeyError(vector_id)
                writer.insert([NewPoint(point_id, vector, payload)])
            elif payload is None:
                if vector is not None:
                    writer.replace_vector(old, vector)
            elif vector is None:
                writer.replace_payload(old, {**self.reader.load(old[0], old[3]), **payload})
            else:
                writer.replace(old, vector, payload)

    def delete(self, vector_id: str) -> None:
        """Removes a point, even one with a damaged payload; nothing happens if it is not there."""
        with self.database.writing():
            old = self.writer.find(canonical_id(vector_id))
            if old is not None:
                self.writer.remove(old)

    def detach(self, ids: Mapping[str, str]) -> int:
        """Hides every point of the scopes that have all these ids, in one short write.

        From then on, no reader finds its points; `sweep` removes them.

        Args:
            ids: some of `user_id`, `agent_id`, `run_id`.

        Returns:
            How many scopes were hidden: their points are not counted.

        Raises:
            VectorStoreError: no ids, or one that is not text.
        """
        with self.database.writing():
            hidden = self._detached.hide(ids)
            self._cache.clear()
            return hidden

    def has_detached(self) -> bool:
        """Whether detached points wait to be swept.

        If there are none, this is one look-up in an index. Otherwise they are listed here, while no
        write lock is held.
        """
        with self.database.reading():
            return self._detached.find()

    def sweep(self, limit: int) -> Sequence[Point]:
        """Removes up to `limit` detached points, in the order of their ids.

        Returns:
            What was removed, with payloads; a damaged payload is empty. Empty if nothing is left.
        """
        with self.database.writing():
            return [
                self.reader.removed(row_key, point_id, text)
                for row_key, point_id, text, _ in self.writer.sweep(limit)
            ]

    def reset(self) -> None:
        """Removes every point of the collection; the embedder may then be another one."""
        with self.database.writing():
            self.writer.clear()

    # --- Reading ---

    def vector_of(self, point: Point) -> Sequence[float]:
        """The stored vector of a point, scaled to length 1; empty if the point is gone."""
        with self.database.reading():
            return self.reader.vector_of(point)

    def get(self, vector_id: str) -> Point | None:
        """The point with that id, or None."""
        with self.database.reading():
            return self.reader.get(canonical_id(vector_id))

    def list(
        self, filters: Filters | None = None, top_k: int | None = 100
    ) -> tuple[Sequence[Point], None]:
        """The first `top_k` points that pass, ordered by id; None lists all.

        Raises:
            ValueError: `top_k` is below 1, which upstream's store refuses, too.
        """
        if top_k is not None and top_k < 1:
            compile_filters(filters)  # Read first, as in upstream: their error comes first.
            raise ValueError(f"limit value {top_k} is invalid. Must be 1 or larger.")
        with self.database.reading():
            return self.reader.list(filters, top_k), None

    def listing(self, visibility: Visibility) -> Listing:
        """Those of its points that a call shows, in an order, part by part."""
        # Here: most memories are never listed like this, and importing isomem would take longer.
        from isomem.store.listing import Listing

        return Listing(self.database, self.reader, visibility)

    def search(
        self, query: str, vectors: Vector, top_k: int = 5, filters: Filters | None = None
    ) -> Sequence[Point]:
        """The `top_k` points nearest to a vector among those that pass, best first.

        `query`, the text, is not used here; other vector stores use it.
        """
        del query
        with self.database.reading():
            return self.reader.nearest([vectors], top_k, filters)[0]

    def search_batch(
        self,
        queries: Sequence[str],
        vectors_list: Sequence[Vector],
        top_k: int = 1,
        filters: Filters | None = None,
    ) -> Sequence[Sequence[Point]]:
        """One `search` for each vector."""
        del queries
        with self.database.reading():
            return self.reader.nearest(vectors_list, top_k, filters)

    def keyword_search(
        self, query: str, top_k: int = 5, filters: Filters | None = None
    ) -> Sequence[Point] | None:
        """The `top_k` points with the highest BM25 score among those that pass, best first.

        None if keyword search is off.
        """
        if self._keywords is None:
            return None
        with self.database.reading():
            return self.reader.matching(self._keywords, query, top_k, filters)

    def matching_in_scope(
        self, query: str, top_k: int = 5, filters: Filters | None = None
    ) -> Sequence[Point] | None:
        """As `keyword_search`, but a word is rare if it is in few texts of the scope.

        How many texts of other scopes have it does not count, so the scores tell nothing of them.
        """
        if self._keywords is None:
            return None
        with self.database.reading():
            return self.reader.matching_in_scope(self._keywords, query, top_k, filters)

    def last_insertion(self) -> Since:
        """The insertion order of the latest point in the file; 0 if there never was one."""
        with self.database.reading():
            return self._cache.row_keys.last()

    def has_points(self, filters: Filters) -> bool:
        """Whether the scopes that filters name have any points, if these pass or not."""
        with self.database.reading():
            return self.reader.has_points(filters)

    def ranked(self, question: Question, top_k: int, filters: Filters | None = None) -> Found:
        """The `top_k` points that the fused ranking puts first among those that pass."""
        with self.database.reading():
            return self.reader.ranked(self._keywords, question, top_k, filters)

    # --- The rest of upstream's vector store methods ---

    def col_info(self) -> dict[str, Any]:
        """Name, vector length, distance, embedder and number of points of the collection."""
        with self.database.reading():
            row = self.database.rows(
                "SELECT name, dims, distance, embedder FROM collections WHERE number = ?",
                (self._number,),
            )[0]
            sql = f"SELECT count(*) FROM {OF_SCOPES} WHERE s.collection = ?"
            count = self.database.rows(sql, (self._number,))[0][0]
        return {
            **dict(zip(("name", "dims", "distance", "embedder"), row, strict=True)),
            "points": count,
        }

    def list_cols(self) -> Sequence[str]:
        """The names of the collections in the file."""
        with self.database.reading():
            return [row[0] for row in self.database.rows("SELECT name FROM collections")]

    def delete_col(self) -> None:
        """Removes every point of the collection."""
        self.reset()

    def close(self) -> None:
        """Closes the file, and evicts what was cached of it."""
        self.database.close()
        self._cache.clear()
