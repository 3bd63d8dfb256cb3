"""Qdrant: a folder, the memory of this process, or a server.

The collections are those of mem0: the vector has no name, keywords are in the sparse vector "bm25",
entities in a collection of their own, and the payloads have the same keys. So both can use the same
collections at the same time.
"""

from __future__ import annotations

from isomem import log
from isomem.config import ENTITIES_SUFFIX, store_table
from isomem.contract.payload import LINKS
from isomem.errors import VectorStoreError
from isomem.options import home, read_table
from isomem.store.codec import canonical_id
from isomem.stores.engine import EngineStore, first_passing, passing, uuid_of
from isomem.stores.engine_calls import wrong_name
from isomem.stores.qdrant_filters import asked_for, decides_locally, decides_on_server
from isomem.types import SCOPE_KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from isomem.contract.filters import Group
    from isomem.ports.shapes import Hit, Payload, Vector
    from isomem.stores.engine_calls import Client, Options
    from isomem.stores.qdrant_calls import Connection
    from isomem.stores.qdrant_filters import Asked, Decides, Model

    Hits = list[Hit]
    Vectors = list[list[float]]

QDRANT_OPTIONS = store_table("qdrant")


KEYWORDS = "bm25"
"""The sparse vector with the keywords."""

INDEXED = (*SCOPE_KEYS, "actor_id", LINKS)
"""The keys that get an index on a server: mem0's, and that by which the entities of a memory are
found. A server in strict mode, as Qdrant Cloud's are, refuses filters on keys without one."""

_NO_NAMES = frozenset(("<", ">", ":", '"', "/", "\\", "|", "?", "*", "\0", "\x1f", ".", ".."))
_LONGEST = 255

_PAGE = 1000
_MOST_FETCHED = 2**20

_OF_NEW_COLLECTIONS = ("shard_number", "replication_factor", "write_consistency_factor")


def read(config: Mapping[str, object] | None) -> Options:
    """The options, checked.

    Raises:
        InvalidConfigError: one is unknown or wrong, or they do not say where Qdrant is.
        DependencyError: qdrant-client is not installed.
    """
    from isomem.providers.extras import require
    from isomem.stores.qdrant_calls import check_location

    options = read_table(config, QDRANT_OPTIONS, "vector_store.config")
    if options["path"]:
        options["path"] = home(options["path"])
    _check_name(options["collection_name"])
    check_location(options)
    require("qdrant_client", "qdrant", "vector_store qdrant")
    return options


def _check_name(name: str) -> None:
    """Raises InvalidConfigError unless Qdrant takes this name and that of the entities."""
    longest = _LONGEST - len(ENTITIES_SUFFIX)
    if not _NO_NAMES.isdisjoint((*name, name)) or len(name.encode()) > longest:
        allowed = f'Take at most {longest} bytes, none of < > : " / \\ | ? *, and not "." or "..".'
        raise wrong_name("qdrant", name, "a collection", allowed)


class QdrantStore(EngineStore):
    """One collection; see `QDRANT_OPTIONS`."""

    table = QDRANT_OPTIONS
    check = staticmethod(read)
    embedding_model_dims: int
    _connection: Connection
    _decides: Decides = staticmethod(decides_locally)
    _has_keywords = False

    def _opened(self) -> Connection:
        from isomem.stores.qdrant_calls import opened

        return opened(self._options)

    @property
    def client(self) -> Client:
        """The `qdrant_client.QdrantClient`."""
        return self._connection.current()

    @property
    def is_local(self) -> bool:
        """Whether it is local mode."""
        return self._connection.is_local

    @property
    def batches(self) -> bool:
        """Whether one request may save several: in local mode there are none to save."""
        return not self.is_local

    def _call(self, method: str, /, **arguments: Any) -> Any:
        return self._connection.call(method, collection_name=self.collection_name, **arguments)

    # --- The collection ---

    def _prepare(self) -> None:
        if not self._call("collection_exists"):
            self._make()
        info = self._call("get_collection")
        self._has_keywords = KEYWORDS in (info.config.params.sparse_vectors or {})
        self._check_dims(info.config.params.vectors)
        if not self._has_keywords and self._encoder is not None:
            log.warning(
                "The collection %r has no place for keywords: it is searched without them",
                self.collection_name,
            )
        if not self.is_local:
            self._index(info.payload_schema or {})

    def _make(self) -> None:
        from qdrant_client import models

        more = {name: self._options[name] for name in _OF_NEW_COLLECTIONS if self._options[name]}
        try:
            self._call(
                "create_collection",
                vectors_config=models.VectorParams(
                    size=self.embedding_model_dims,
                    distance=models.Distance.COSINE,
                    on_disk=bool(self._options["on_disk"]),
                ),
                sparse_vectors_config={
                    KEYWORDS: models.SparseVectorParams(modifier=models.Modifier.IDF)
                },
                **more,
            )
        except VectorStoreError:
            if not self._call("collection_exists"):  # Another process may have made it meanwhile.
                raise

    def _check_dims(self, vectors: object) -> None:
        """Takes the length of the vectors of a collection that was there before.

        Raises:
            VectorStoreError: its vectors have names, as no collection of mem0's has.
        """
        size = getattr(vectors, "size", None)
        if size is None:
            raise VectorStoreError(
                f"the collection {self.collection_name!r} of Qdrant has vectors with names",
                suggestion="Use another collection_name.",
            )
        self.embedding_model_dims = size

    def _index(self, indexed: Mapping[str, object]) -> None:
        for key in INDEXED:
            if key not in indexed:
                self._call("create_payload_index", field_name=key, field_schema="keyword")
        self._decides = decides_on_server({*INDEXED, *indexed})

    def create_col(self, vector_size: int, on_disk: bool) -> None:
        """Makes the collection if it does not exist."""
        self.embedding_model_dims = vector_size
        self._options = {**self._options, "on_disk": on_disk}
        self._prepare()

    def list_cols(self) -> Model:
        """The collections, as the client returns them."""
        return self._connection.call("get_collections")

    def col_info(self) -> Model:
        """What Qdrant says about the collection."""
        return self._call("get_collection")

    def delete_col(self) -> None:
        """Removes the collection."""
        self._call("delete_collection")

    # --- Writing ---

    def _unnamed(self, count: int) -> Sequence[int]:
        return range(count)

    def _written_at_once(self, count: int) -> int:
        return count if self.is_local else super()._written_at_once(count)

    def _put(self, points: Sequence[Model]) -> None:
        self._call("upsert", points=points)

    def _point(self, point_id: int | str, vector: Vector, payload: Payload) -> Model:
        from qdrant_client import models

        named: dict[str, Model] = {"": self._checked(vector)}
        terms = self._terms(payload)
        if terms is not None:
            named[KEYWORDS] = terms
        return models.PointStruct(id=point_id, vector=named, payload=payload)

    def _terms(self, payload: Payload) -> Model:
        text = payload.get("text_lemmatized") or payload.get("data")
        return self._encoded(text) if text and isinstance(text, str) else None

    def _encoded(self, text: str) -> Model:
        """The sparse vector of a text; None if there is no keyword search."""
        if not self.finds_words:
            return None
        from qdrant_client import models

        terms = self._encoder.encode(text)
        return models.SparseVector(indices=[*terms], values=[*terms.values()])

    def update(
        self, vector_id: str, vector: Vector | None = None, payload: Payload | None = None
    ) -> None:
        """Replaces a point, only keys of its payload, or only its vector.

        With both a vector and a payload the point is replaced, or added if it does not exist. A
        payload alone overlays the old one key by key.

        Raises:
            KeyError: local mode: the point does not exist, and only one of the two was given.
            VectorValueError, VectorStoreError: as `insert`.
        """
        if vector is not None and payload is not None:
            self._put([self._point(vector_id, vector, payload)])
        elif payload is not None:
            self._overlay([(vector_id, payload)])
        elif vector is not None:
            from qdrant_client import models

            named = models.PointVectors(id=vector_id, vector=self._checked(vector))
            self._call("update_vectors", points=[named])

    def batch(self, payloads: Sequence[tuple[str, Payload]], removed: Sequence[str] = ()) -> None:
        """Overlays payloads, as `update` does, in this order, and removes points: in one request.

        Payloads with None need a look before.

        Raises:
            VectorStoreError: as `insert`; some of it may be done.
        """
        self._overlay(payloads, removed)

    def _overlay(
        self, payloads: Sequence[tuple[str, Payload]], removed: Sequence[str] = ()
    ) -> None:
        from qdrant_client import models

        def work() -> None:
            unsure = [name for name, payload in payloads if _has_none(payload)]
            found = self.payloads_of(unsure)
            known = {canonical_id(name): dict(payload) for name, payload in found.items()}
            changes = [
                _overlaid(name, payload, known.setdefault(canonical_id(name), {}))
                for name, payload in payloads
            ]
            if removed:
                gone = models.PointIdsList(points=[*removed])
                changes.append(models.DeleteOperation(delete=gone))
            if changes:
                self._call("batch_update_points", update_operations=changes)

        self._connection.alone(work)

    def delete(self, vector_id: str) -> None:
        """Removes a point; nothing happens if it is not there."""
        from qdrant_client import models

        self._call("delete", points_selector=models.PointIdsList(points=[vector_id]))

    # --- Reading ---

    def _read(self, ids: Sequence[str]) -> Hits:
        usable = [*ids] if self.is_local else [*_known(ids)]  # A server refuses others.
        found: Hits = self._call("retrieve", ids=usable, with_payload=True) if usable else []
        return found

    def _asked(self, group: Group | None) -> Asked:
        return asked_for(group, self._decides)

    def _listed(self, group: Group | None, asked: Asked, top_k: int | None) -> Hits:
        found: Hits = []
        for points in self._pages(asked, top_k):
            found += passing(points, group)
            if top_k is not None and len(found) >= top_k:
                break
        return found[:top_k]

    def _pages(self, asked: Asked, top_k: int | None) -> Iterator[Hits]:
        most = _MOST_FETCHED if self.is_local else _PAGE
        limit = most if top_k is None or not asked.is_exact else min(top_k, most)
        offset = None
        while True:
            points, offset = self._call(
                "scroll", scroll_filter=asked.filter, limit=limit, offset=offset, with_payload=True
            )
            yield points
            if offset is None:
                return

    def points(self, after: str, limit: int) -> Sequence[tuple[str, Payload, Vector]]:
        """The next points behind an id, ordered by id, with their vectors of length 1.

        Ids that are whole numbers come before those that are UUIDs.
        """
        offset = int(after) if after.isdecimal() else after or None
        points, _ = self._call(
            "scroll", limit=limit + 1, offset=offset, with_payload=True, with_vectors=[""]
        )
        found = [(str(each.id), dict(each.payload or {}), _dense(each.vector)) for each in points]
        return [each for each in found if each[0] != after][:limit]

    def _nearest(
        self, vectors: Vectors, top_k: int, group: Group | None, asked: Asked
    ) -> Sequence[Hits]:
        if len(vectors) > 1 and asked.is_exact:
            return self._ask_at_once([(vector, {}) for vector in vectors], top_k, group, asked)
        return [self._found(vector, top_k, group, asked) for vector in vectors]

    def _ask_at_once(
        self,
        queries: Sequence[tuple[Model, dict[str, str]]],
        top_k: int,
        group: Group | None,
        asked: Asked,
    ) -> Sequence[Hits]:
        """What several queries find, each with the vector that it uses: one request."""
        from qdrant_client import models

        requests = [
            models.QueryRequest(
                query=query,
                filter=asked.filter,
                params=self._params(exact=False),
                limit=top_k,
                with_payload=True,
                **using,
            )
            for query, using in queries
        ]
        answers = self._call("query_batch_points", requests=requests)
        return [passing(answer.points, group) for answer in answers]

    @property
    def finds_words(self) -> bool:
        """Whether there is a keyword search."""
        return self._encoder is not None and self._has_keywords

    def _matching(self, query: str, top_k: int, group: Group | None, asked: Asked) -> Hits:
        """The points with the highest BM25 score."""
        terms = self._encoded(query)
        return self._found(terms, top_k, group, asked, using=KEYWORDS) if terms.indices else []

    def _both(
        self, vector: list[float], lemmas: str, top_k: int, group: Group | None, asked: Asked
    ) -> tuple[Sequence[Hit], Sequence[Hit] | None]:
        """In one request if Qdrant decides the filters."""
        terms = self._encoded(lemmas)
        if not (self.batches and asked.is_exact and terms is not None and terms.indices):
            return super()._both(vector, lemmas, top_k, group, asked)
        queries = [(vector, {}), (terms, {"using": KEYWORDS})]
        nearest, matching = self._ask_at_once(queries, top_k, group, asked)
        return nearest, matching

    def _found(
        self, query: Model, top_k: int, group: Group | None, asked: Asked, **using: str
    ) -> Hits:
        """The first `top_k` points of one query that pass, best first."""

        def ask(limit: int) -> Hits:
            points: Hits = self._call(
                "query_points",
                query=query,
                query_filter=asked.filter,
                limit=limit,
                search_params=self._params(exact=not asked.is_exact),
                **using,
            ).points
            return points

        return first_passing(ask, group, top_k, is_exact=asked.is_exact)

    def _params(self, *, exact: bool) -> Model:
        """How a server searches; None as it does by itself."""
        if self.is_local or not (exact or self._options["exact"]):
            return None
        from qdrant_client import models

        return models.SearchParams(exact=True)


def _has_none(payload: Payload) -> bool:
    return any(value is None for value in payload.values())


def _overlaid(point_id: str, payload: Payload, known: Payload) -> Model:
    """What overlays the payload of a point.

    For Qdrant, None in an overlay removes its key. So None is left out where the point has it, and
    otherwise the whole payload is written, with what the point has beside.

    Args:
        known: the payload of the point, if the overlay has None; from now on the new one.
    """
    from qdrant_client import models

    is_new = any(value is None and known.get(key, "") is not None for key, value in payload.items())
    known.update(payload)
    if is_new:
        whole = models.SetPayload(payload=dict(known), points=[point_id])
        return models.OverwritePayloadOperation(overwrite_payload=whole)
    values = {key: value for key, value in payload.items() if value is not None}
    overlay = models.SetPayload(payload=values, points=[point_id])
    return models.SetPayloadOperation(set_payload=overlay)


def _known(ids: Iterable[int | str]) -> Iterator[int | str]:
    """Those of some ids that a point can have: whole numbers and UUIDs."""
    for each in ids:
        name = each if isinstance(each, int) else uuid_of(each)
        if name is not None:
            yield name


def _dense(vector: Model) -> Sequence[float]:
    dense: Sequence[float] = vector[""] if isinstance(vector, dict) else vector
    return dense
