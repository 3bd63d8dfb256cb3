"""Chroma: a folder, the memory of this process, a server, or Chroma Cloud.

The collections are those of mem0 2.0.4: the payload is the metadata of a record, entities are in a
collection of their own. So both can use the same collections at the same time. What Chroma's
metadata cannot hold is in keys that mem0 does not know; see `chroma_payloads`.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import cached_property

from isomem.config import store_table
from isomem.contract.filters import compile_filters, matches
from isomem.errors import InvalidConfigError, VectorStoreError
from isomem.options import home, read_table
from isomem.pattern import Pattern
from isomem.store.codec import unit_vector
from isomem.store.row_keys import split_scope
from isomem.stores.chroma_calls import (
    check_location,
    found_collection,
    is_gone,
    opened,
    remove_collection,
)
from isomem.stores.chroma_filters import asked_for
from isomem.stores.chroma_payloads import packed, unpacked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from isomem.contract.filters import Group
    from isomem.ports.shapes import Filters, Payload, Vector
    from isomem.stores.chroma_calls import Client, Options
    from isomem.stores.chroma_filters import Asked, Where
    from isomem.stores.chroma_payloads import Metadata

    Hits = list["ChromaHit"]
    Answers = list[Hits]
    Point = tuple[str, Payload, Vector]
    Points = list[Point]
    Names = list[str]
    Vectors = list[Vector]

CHROMA_OPTIONS = store_table("chroma")

_FIRST_FETCHED = 64
_PAGE = 1000
_MOST_AT_ONCE = 10_000
"""How many records one query may find. Chroma reads them by as many variables of SQLite."""
_MOST_IN_CLOUD = 300
"""How many records one call to Chroma Cloud may be about."""

_NAME = Pattern(r"[a-zA-Z0-9][a-zA-Z0-9._-]*[a-zA-Z0-9]\Z")


def read(config: Mapping[str, object] | None) -> Options:
    """The options, checked.

    Raises:
        InvalidConfigError: one is unknown or wrong, or they do not say where Chroma is.
        DependencyError: chromadb is not installed.
    """
    from isomem.providers.extras import require

    options = read_table(config, CHROMA_OPTIONS, "vector_store.config")
    if options["path"]:
        options["path"] = home(options["path"])
    _check_name(options["collection_name"])
    check_location(options)
    if options["client"] is None:
        require("chromadb", "chroma", "vector_store chroma")
    return options


def _check_name(name: str) -> None:
    """Raises InvalidConfigError unless Chroma takes the name of a collection."""
    if len(name) < 3 or len(name) > 500 or _NAME.match(name) is None:
        raise InvalidConfigError(
            f"vector_store chroma: collection_name {name!r:.80} cannot name a collection",
            error_code="CONFIG_003",
            details={"key": "collection_name"},
            suggestion="Take 3 to 500 of a-z, A-Z, 0-9, '.', '_' and '-', the first and the last "
            "of them a letter or a digit.",
        )


class ChromaHit:
    """A point that was found or listed. `score` is None if nothing was compared."""

    __slots__ = ("id", "payload", "score")

    def __init__(self, point_id: str, metadata: Any, score: float | None = None) -> None:
        self.id = point_id
        self.payload: Payload = unpacked(metadata)
        self.score: Any = score


class ChromaStore:
    """One collection.

    Args:
        config: see `CHROMA_OPTIONS`.
        dims: the length of the vectors of a new collection; None takes that of the first one.
        encoder: not used: mem0's class for Chroma does not search by keywords.

    Attributes:
        takes_any_id: the id "*" is an ordinary id, and does not mean every id.
        batches: several changes, or several searches, are one call.

    Raises:
        DependencyError: chromadb is not installed.
        InvalidConfigError: an option is unknown or wrong.
        VectorStoreError: Chroma cannot be opened or reached.
    """

    table = CHROMA_OPTIONS
    check = staticmethod(read)
    takes_any_id = True
    batches = True

    def __init__(
        self,
        config: Mapping[str, object] | None = None,
        *,
        dims: int | None = None,
        encoder: object = None,
    ) -> None:
        del encoder
        self._options: Options = read(config)
        self.collection_name: str = self._options["collection_name"]
        self.embedding_model_dims: int | None = dims
        self._ranks_by_distance = self._options["scores"] == "distance"
        self._connection = opened(self._options)
        self._owns_connection = True
        try:
            self.create_col()
        except BaseException:
            self.close()
            raise

    @property
    def client(self) -> Client:
        """The client of chromadb."""
        return self._connection.client

    def beside(self, name: str) -> ChromaStore:
        """Another collection of the same client."""
        made = type(self).__new__(type(self))
        made.__dict__.update(self.__dict__, collection_name=name, _owns_connection=False)
        made.create_col()
        return made

    def close(self) -> None:
        """Closes the client, unless it belongs to the caller or to another collection."""
        if self._owns_connection:
            self._connection.close()

    # --- The collection ---

    def create_col(self) -> None:
        """Makes the collection if it does not exist."""
        self._take(self._connection.call(self._opened))

    def _take(self, collection: Any) -> None:
        """From now on, this is the collection: whoever made it has chosen its distance."""
        self._collection = collection
        self._sorted: Names = []
        self.embedding_model_dims = collection.get_model()["dimension"] or self.embedding_model_dims
        self._space = _space_of(collection)

    def _opened(self) -> Any:
        """The collection. mem0's have the distance `l2`; similarities are simpler with `cosine`."""
        name = self.collection_name
        found = found_collection(self.client, name)
        if found is not None:
            return found
        cosine = {"configuration": {"hnsw": {"space": "cosine"}}}
        more = {} if self._ranks_by_distance else cosine
        return self.client.get_or_create_collection(name, embedding_function=None, **more)

    def list_cols(self) -> Any:
        """The collections, as the client returns them."""
        return self._connection.call(self.client.list_collections)

    def col_info(self) -> Any:
        """The collection, as the client returns it."""
        return self._collection

    def delete_col(self) -> None:
        """Removes the collection; nothing happens if it is not there."""
        self._connection.call(
            lambda: remove_collection(self.client, self.collection_name, self._at_once(_PAGE))
        )

    def reset(self) -> None:
        """Removes every point, by making the collection anew."""
        self.delete_col()
        self.create_col()

    def _call(self, method: str, /, **arguments: Any) -> Any:
        """Calls a method of the collection. If another program has made it anew, of the new one."""

        def work() -> Any:
            try:
                return getattr(self._collection, method)(**arguments)
            except Exception as error:
                if not is_gone(error):
                    raise
            self._take(self._opened())
            return getattr(self._collection, method)(**arguments)

        return self._connection.call(work)

    # --- Writing ---

    def insert(
        self,
        vectors: list[Vector],
        payloads: list[Payload] | None = None,
        ids: list[str] | None = None,
    ) -> None:
        """Adds points. A point with a known id replaces the old one.

        They are checked before any is sent. More than `batch_size` are sent in parts.

        Raises:
            VectorValueError: a vector has the wrong length, or contains NaN or infinity; or Chroma
                refuses something.
            ValidationError: a payload cannot be written as JSON.
            VectorStoreError: the lists differ in length, or Chroma fails.
        """
        payloads = payloads if payloads is not None else [{} for _ in vectors]
        if ids is None or not len(vectors) == len(payloads) == len(ids):
            raise VectorStoreError("vectors, payloads and ids must be lists of one length")
        rows = {
            name: (self._checked(vector), packed(payload))
            for name, vector, payload in zip(ids, vectors, payloads, strict=True)
        }
        for names in _parts([*rows], self._at_once(self._options["batch_size"])):
            self._put({name: rows[name] for name in names})

    def _put(self, rows: Mapping[str, tuple[Vector, Metadata]]) -> None:
        """Writes whole points.

        What they have beside that is removed. It may be of an older point with the same id; or of
        a point of a collection that another program has removed: Chroma (1.5) keeps the lists of
        such points, and gives them to new ones.
        """
        names = [*rows]
        self._call(
            "upsert",
            ids=names,
            embeddings=[vector for vector, _ in rows.values()],
            metadatas=[metadata or None for _, metadata in rows.values()],
        )
        found = self._call("get", ids=names, include=["metadatas"])
        foreign = {
            name: dict.fromkeys(key for key in stored or () if rows[name][1].get(key) is None)
            for name, stored in zip(found["ids"], found["metadatas"], strict=True)
        }
        wrong = {name: keys for name, keys in foreign.items() if keys}
        if wrong:
            self._call("update", ids=[*wrong], metadatas=[*wrong.values()])

    def _checked(self, vector: Vector) -> Vector:
        unit_vector(vector, self.embedding_model_dims)  # It raises for what cannot be stored.
        return vector if isinstance(vector, list) else [float(number) for number in vector]

    def _at_once(self, most: int) -> int:
        """How many records one call may be about."""
        return min(most, _MOST_IN_CLOUD) if self._connection.is_cloud else most

    def update(
        self, vector_id: str, vector: Vector | None = None, payload: Payload | None = None
    ) -> None:
        """Replaces a point, only keys of its payload, or only its vector.

        With both a vector and a payload the point is replaced, or added if it does not exist. A
        payload alone overlays the old one key by key. Otherwise nothing happens to a point that
        does not exist.

        Raises:
            VectorValueError, ValidationError, VectorStoreError: as `insert`.
        """
        if vector is not None and payload is not None:
            self._put({vector_id: (self._checked(vector), packed(payload))})
        elif vector is not None:
            self._call("update", ids=[vector_id], embeddings=[self._checked(vector)])
        elif payload:
            self._call("update", ids=[vector_id], metadatas=[packed(payload)])

    def batch(self, payloads: Sequence[tuple[str, Payload]], removed: Sequence[str] = ()) -> None:
        """Overlays payloads, as `update` does, in this order, and removes points: two calls.

        Raises:
            VectorValueError, ValidationError, VectorStoreError: as `insert`; some may be done.
        """
        changes: dict[str, Metadata] = {}
        for name, payload in payloads:
            changes[name] = {**changes.get(name, {}), **packed(payload)}
        size = self._at_once(self._options["batch_size"])
        for names in _parts([name for name in changes if changes[name]], size):
            self._call("update", ids=names, metadatas=[changes[name] for name in names])
        for names in _parts([*dict.fromkeys(removed)], size):
            self._call("delete", ids=names)

    def delete(self, vector_id: str) -> None:
        """Removes a point; nothing happens if it is not there."""
        self._call("delete", ids=[vector_id])

    # --- Reading ---

    def get(self, vector_id: str) -> ChromaHit | None:
        """The point with that id, or None."""
        found = self._points(ids=[vector_id])
        return found[0] if found else None

    def list(self, filters: Filters | None = None, top_k: int | None = 100) -> tuple[Hits, None]:
        """The first `top_k` points that pass, in the order they were added in; None lists all.

        Raises:
            ValueError: `top_k` is below 1, or the filters are refused.
        """
        group, asked = _compiled(filters)
        if top_k is not None and top_k < 1:
            raise ValueError(f"limit value {top_k} is invalid. Must be 1 or larger.")
        most = top_k if asked.is_exact else None
        passing: Hits = []
        for page in self._pages(asked.where, most):
            passing += _passing(page, group)
            if top_k is not None and len(passing) >= top_k:
                break
        return passing[:top_k], None

    def _points(self, **asked: Any) -> Hits:
        found = self._call("get", include=["metadatas"], **asked)
        return [*map(ChromaHit, found["ids"], found["metadatas"])]

    def _pages(self, where: Where | None, most: int | None) -> Iterator[Hits]:
        """The points of a filter, part by part; those that were there when the second was read."""
        size = self._at_once(_PAGE)
        first = self._points(where=where, limit=size if most is None else min(most, size))
        yield first
        if len(first) < size or most == size:
            return
        seen = {hit.id for hit in first}
        rest = [name for name in self.ids_of(where) if name not in seen]
        for names in _parts(rest, size):
            yield self._points(ids=names)

    def ids_of(self, where: Where | None) -> Sequence[str]:
        """The ids of a filter, in the order in which they were added."""
        if not self._connection.is_cloud:
            found: Names = self._call("get", where=where, include=[])["ids"]
            return found
        names: Names = []
        while True:
            page = self._call(
                "get", where=where, limit=_MOST_IN_CLOUD, offset=len(names), include=[]
            )["ids"]
            names += page
            if len(page) < _MOST_IN_CLOUD:
                return names

    def payloads_of(self, ids: Sequence[str]) -> dict[str, Payload]:
        """The payloads of the points that are there, by id."""
        parts = _parts([*dict.fromkeys(ids)], self._at_once(_PAGE))
        return {hit.id: hit.payload for names in parts for hit in self._points(ids=names)}

    def points(self, after: str, limit: int) -> Sequence[Point]:
        """The next points behind an id, ordered by id, with their vectors.

        The ids are read at the beginning, or where another listing goes on: Chroma has no order.
        """
        if not self._sorted or not after:
            self._sorted = sorted(self.ids_of(None))
        start = bisect_right(self._sorted, after)
        for names in _parts(self._sorted[start:], self._at_once(limit)):
            found = self._whole(names)
            if found:  # All of a part may have been removed meanwhile.
                return found
        self._sorted = []
        return []

    def _whole(self, names: Names) -> Points:
        found = self._call("get", ids=names, include=["metadatas", "embeddings"])
        points = zip(
            found["ids"], map(unpacked, found["metadatas"]), found["embeddings"], strict=True
        )
        return sorted(points, key=lambda point: point[0])

    # --- Searching ---

    def search(
        self, query: str, vectors: Vector, top_k: int = 5, filters: Filters | None = None
    ) -> Hits:
        """The `top_k` points nearest to a vector among those that pass, nearest first.

        `query`, the text, is not used here; other vector stores use it.
        """
        return self.search_batch([query], [vectors], top_k, filters)[0]

    def search_batch(
        self,
        queries: Sequence[str],
        vectors_list: Sequence[Vector],
        top_k: int = 1,
        filters: Filters | None = None,
    ) -> Sequence[Hits]:
        """One `search` for each vector, in one request if the first points that it finds pass."""
        del queries
        vectors = [*map(self._checked, vectors_list)]
        group, asked = _compiled(filters)
        most = self._at_once(_MOST_AT_ONCE)
        limit = min(top_k if asked.is_exact else max(top_k, _FIRST_FETCHED), most)
        rest = _Rest(self, asked.where)
        found: Answers = []
        for part in _parts(vectors, max(most // limit, 1)):
            answers = self._nearest(part, limit, asked.where)
            found += (
                self._completed(vector, hits, limit, top_k, group, rest)
                for vector, hits in zip(part, answers, strict=True)
            )
        return found

    def keyword_search(self, query: str, top_k: int = 5, filters: Filters | None = None) -> None:
        """None: as mem0, it does not search by keywords here."""
        del query, top_k, filters

    def _nearest(self, vectors: Vectors, limit: int, where: Where | None) -> Answers:
        found = self._call(
            "query", query_embeddings=vectors, n_results=limit, where=where,
            include=["metadatas", "distances"],
        )  # fmt: skip
        rows = zip(found["ids"], found["metadatas"], found["distances"], strict=True)
        return [
            [*map(ChromaHit, names, metadatas, map(self._score, distances))]
            for names, metadatas, distances in rows
        ]

    def _completed(
        self, vector: Vector, hits: Hits, limit: int, top_k: int, group: Group | None, rest: _Rest
    ) -> Hits:
        """The first `top_k` hits that pass.

        More and more are asked for until they are found. If the index has no more, the rest is read
        and compared here: an index may have points that it does not find.
        """
        most = self._at_once(_MOST_AT_ONCE)
        passing = _passing(hits, group)
        while len(passing) < top_k and len(hits) == limit < most:
            limit = min(limit * 4, most)
            [hits] = self._nearest([vector], limit, rest.where)
            passing = _passing(hits, group)
        if len(passing) < top_k:
            passing += self._unseen(vector, {hit.id for hit in hits}, group, rest)
            passing.sort(key=self._rank)
        return passing[:top_k]

    def _unseen(self, vector: Vector, seen: set[str], group: Group | None, rest: _Rest) -> Hits:
        """The points that pass and that a query has not found, with their scores."""
        found: Hits = []
        names = [name for name in rest.ids if name not in seen]
        for part in _parts(names, self._at_once(_PAGE)):
            passing = {hit.id: hit for hit in _passing(self._points(ids=part), group)}
            for name, _, other in self._whole([*passing]) if passing else ():
                passing[name].score = self._score(_distance(self._space, vector, other))
            found += (hit for hit in passing.values() if hit.score is not None)
        return found

    def _score(self, distance: float) -> float:
        if self._ranks_by_distance:
            return distance
        return 1 - (distance / 2 if self._space == "l2" else distance)

    def _rank(self, hit: ChromaHit) -> float:
        score: float = hit.score
        return score if self._ranks_by_distance else -score


class _Rest:
    """What a filter of Chroma's finds without a query; read once for all vectors of a search."""

    def __init__(self, store: ChromaStore, where: Where | None) -> None:
        self.where = where
        self._store = store

    @cached_property
    def ids(self) -> Sequence[str]:
        return self._store.ids_of(self.where)


def _compiled(filters: Filters | None) -> tuple[Group | None, Asked]:
    group = compile_filters(filters)
    return group, asked_for(group)


def _passing(hits: Hits, group: Group | None) -> Hits:
    """The hits that pass. Whatever an engine finds, nothing of another scope comes through."""
    ids, rest = split_scope(group)
    if ids:  # They are stored as texts alone, so that this is what `matches` would say.
        wanted = ids.items()
        hits = [hit for hit in hits if all(hit.payload.get(key) == name for key, name in wanted)]
    return hits if rest is None else [hit for hit in hits if matches(rest, hit.payload)]


def _parts(items: list[Any], size: int) -> Iterator[list[Any]]:
    """A list, in parts of at most `size`."""
    return (items[start : start + size] for start in range(0, len(items), size))


def _space_of(collection: Any) -> str:
    """How a collection compares vectors: "l2", "cosine" or "ip"."""
    configuration = collection.configuration_json or {}
    indexes = (configuration.get("hnsw"), configuration.get("spann"))
    return next((each["space"] for each in indexes if each and each.get("space")), "l2")


def _distance(space: str, vector: Vector, other: Vector) -> float:
    """The distance of two vectors as Chroma has it."""
    import numpy as np

    one, two = np.asarray(vector, dtype=np.float32), np.asarray(other, dtype=np.float32)
    if space == "l2":
        return float(((one - two) ** 2).sum())
    if space == "cosine":
        lengths = float(np.linalg.norm(one) * np.linalg.norm(two))
        return 1 - float(one @ two) / lengths if lengths else 1.0
    return 1 - float(one @ two)
