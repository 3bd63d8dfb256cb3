"""Chroma: a folder, the memory of this process, a server, or Chroma Cloud.

The collections are those of mem0 2.0.4: the payload is the metadata of a record, entities are in a
collection of their own. So both can use the same collections at the same time. What Chroma's
metadata cannot hold is in keys that mem0 does not know; see `chroma_payloads`.
"""

from __future__ import annotations

from functools import cached_property, partial

from isomem.config import store_table
from isomem.options import home, read_table
from isomem.pattern import Pattern
from isomem.stores.chroma_calls import (
    check_location,
    found_collection,
    is_gone,
    opened,
    remove_collection,
)
from isomem.stores.chroma_filters import asked_for
from isomem.stores.chroma_payloads import packed, unpacked
from isomem.stores.engine import (
    WIDER,
    EngineHit,
    EngineStore,
    IdOrder,
    first_asked,
    in_parts,
    passing,
)
from isomem.stores.engine_calls import wrong_name
from isomem.stores.together import Together

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from isomem.contract.filters import Group
    from isomem.ports.shapes import Payload, Vector
    from isomem.stores.chroma_calls import Connection
    from isomem.stores.chroma_filters import Asked, Where
    from isomem.stores.chroma_payloads import Metadata
    from isomem.stores.engine_calls import Client, Options

    Hits = list[EngineHit]
    Answers = list[Hits]
    Points = list[tuple[str, Payload, Vector]]
    Names = list[str]
    Vectors = list[list[float]]
    Row = tuple[str, list[float], Metadata]
    """Of a point: its id, its vector, and what is stored for its payload."""

CHROMA_OPTIONS = store_table("chroma")

_PAGE = 1000
_MOST_AT_ONCE = 10_000
"""How many records one query may find. Chroma reads them by as many variables of SQLite."""
_MOST_IN_CLOUD = 300
"""How many records one call to Chroma Cloud may be about."""

_SYNC_THRESHOLD = 100
"""After how many changes Chroma saves its index, instead of 1000. Until then, each write costs it
more than the one before."""

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
        allowed = (
            "Take 3 to 500 of a-z, A-Z, 0-9, '.', '_' and '-', the first and the last of them a "
            "letter or a digit."
        )
        raise wrong_name("chroma", name, "a collection", allowed)


class ChromaStore(EngineStore):
    """One collection; see `CHROMA_OPTIONS`. If nobody says how long vectors are, the first does."""

    table = CHROMA_OPTIONS
    check = staticmethod(read)
    dims = None
    _connection: Connection

    def _opened(self) -> Connection:
        return opened(self._options)

    @property
    def client(self) -> Client:
        """The client of chromadb."""
        return self._connection.client

    # --- The collection ---

    def create_col(self) -> None:
        """Makes the collection if it does not exist."""
        self._prepare()

    def _prepare(self) -> None:
        self._ranks_by_distance = self._options["scores"] == "distance"
        self._order = IdOrder()
        self._together = Together(self._put_all, self._written_at_once(1))
        self._take(self._connection.call(self._found_or_made))

    def _take(self, collection: Any) -> None:
        """From now on, this is the collection: whoever made it has chosen its distance."""
        self._collection = collection
        self.embedding_model_dims = collection.get_model()["dimension"] or self._named_dims
        self._space = _space_of(collection)

    def _found_or_made(self) -> Any:
        """The collection. mem0's have the distance `l2`; similarities are simpler with `cosine`.

        Chroma Cloud has another index, and takes no more than the distance.
        """
        name = self.collection_name
        found = found_collection(self.client, name)
        if found is not None:
            return found
        hnsw: dict[str, Any] = {} if self._ranks_by_distance else {"space": "cosine"}
        if not self._connection.is_cloud:
            hnsw["sync_threshold"] = _SYNC_THRESHOLD
        return self.client.get_or_create_collection(
            name, embedding_function=None, configuration={"hnsw": hnsw} if hnsw else None
        )

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

    def _call(self, method: str, /, **arguments: Any) -> Any:
        """Calls a method of the collection. If another program has made it anew, of the new one."""

        def work() -> Any:
            try:
                return getattr(self._collection, method)(**arguments)
            except Exception as error:
                if not is_gone(error):
                    raise
            self._take(self._found_or_made())
            return getattr(self._collection, method)(**arguments)

        return self._connection.call(work)

    # --- Writing ---

    def _point(self, point_id: str, vector: Vector, payload: Payload) -> Row:
        return point_id, self._checked(vector), packed(payload)

    def _written_at_once(self, count: int) -> int:
        return self._at_once(super()._written_at_once(count))

    def _put(self, points: Sequence[Row]) -> None:
        self._together.put(points)

    def _put_all(self, points: Sequence[Row]) -> None:
        """Writes points, whose ids are new as a rule, and removes lists that are not theirs.

        Chroma (1.5) keeps the lists of a collection that another program has removed, and gives
        them to new points. Whatever else a point has then, another caller has added since it was
        written, such as `superseded_by`: it stays. So does what an older point with the same id
        had, which looks alike. A list that another caller has added in that moment is removed,
        since nothing tells it from one of somebody else's memory.
        """
        rows = {name: (vector, metadata) for name, vector, metadata in points}
        names = [*rows]
        self._call(
            "upsert",
            ids=names,
            embeddings=[vector for vector, _ in rows.values()],
            metadatas=[metadata or None for _, metadata in rows.values()],
        )
        found = self._call("get", ids=names, include=["metadatas"])
        foreign = {
            name: dict.fromkeys(
                key
                for key, value in (stored or {}).items()
                if isinstance(value, list) and rows[name][1].get(key) is None
            )
            for name, stored in zip(found["ids"], found["metadatas"], strict=True)
        }
        wrong = {name: keys for name, keys in foreign.items() if keys}
        if wrong:
            self._call("update", ids=[*wrong], metadatas=[*wrong.values()])

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
            self._replace(self._point(vector_id, vector, payload))
        elif vector is not None:
            self._call("update", ids=[vector_id], embeddings=[self._checked(vector)])
        elif payload:
            self._call("update", ids=[vector_id], metadatas=[packed(payload)])

    def _replace(self, point: Row) -> None:
        """Writes a whole point, which is there as a rule.

        What is removed is decided before it is written: afterwards, it may have keys that another
        caller has added meanwhile, such as `superseded_by`.
        """
        name, vector, metadata = point
        found = self._call("get", ids=[name], include=["metadatas"])
        if found["ids"]:
            whole = {**dict.fromkeys(found["metadatas"][0] or ()), **metadata}
            self._call("upsert", ids=[name], embeddings=[vector], metadatas=[whole or None])
        else:
            self._put([point])

    def batch(self, payloads: Sequence[tuple[str, Payload]], removed: Sequence[str] = ()) -> None:
        """Overlays payloads, as `update` does, in this order, and removes points: two calls.

        Raises:
            VectorValueError, ValidationError, VectorStoreError: as `insert`; some may be done.
        """
        changes: dict[str, Metadata] = {}
        for name, payload in payloads:
            changes[name] = {**changes.get(name, {}), **packed(payload)}
        size = self._at_once(self._options["batch_size"])
        for names in in_parts([name for name in changes if changes[name]], size):
            self._call("update", ids=names, metadatas=[changes[name] for name in names])
        for names in in_parts([*dict.fromkeys(removed)], size):
            self._call("delete", ids=names)

    def delete(self, vector_id: str) -> None:
        """Removes a point; nothing happens if it is not there."""
        self._call("delete", ids=[vector_id])

    # --- Reading ---

    def _read(self, ids: Sequence[str]) -> Hits:
        parts = in_parts([*dict.fromkeys(ids)], self._at_once(_PAGE))
        return [hit for names in parts for hit in self._points(ids=names)]

    def _asked(self, group: Group | None) -> Asked:
        return asked_for(group)

    def _listed(self, group: Group | None, asked: Asked, top_k: int | None) -> Hits:
        found: Hits = []
        for page in self._pages(asked.where, top_k if asked.is_exact else None):
            found += passing(page, group)
            if top_k is not None and len(found) >= top_k:
                break
        return found[:top_k]

    def _points(self, **asked: Any) -> Hits:
        found = self._call("get", include=["metadatas"], **asked)
        return [*map(EngineHit, found["ids"], map(unpacked, found["metadatas"]))]

    def _pages(self, where: Where | None, most: int | None) -> Iterator[Hits]:
        """The points of a filter, part by part; those that were there when the second was read."""
        size = self._at_once(_PAGE)
        first = self._points(where=where, limit=size if most is None else min(most, size))
        yield first
        if len(first) < size or most == size:
            return
        seen = {hit.id for hit in first}
        rest = [name for name in self.ids_of(where) if name not in seen]
        for names in in_parts(rest, size):
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

    def points(self, after: str, limit: int) -> Points:
        """The next points behind an id, ordered by id, with their vectors."""
        at_once, every_id = self._at_once(limit), partial(self.ids_of, None)
        return self._order.after(after, at_once, every_id, self._whole)

    def _whole(self, names: Sequence[str]) -> Points:
        found = self._call("get", ids=names, include=["metadatas", "embeddings"])
        points = zip(
            found["ids"], map(unpacked, found["metadatas"]), found["embeddings"], strict=True
        )
        return sorted(points, key=lambda point: point[0])

    # --- Searching ---

    def _nearest(self, vectors: Vectors, top_k: int, group: Group | None, asked: Asked) -> Answers:
        most = self._at_once(_MOST_AT_ONCE)
        limit = min(first_asked(top_k, is_exact=asked.is_exact), most)
        rest = _Rest(self, asked.where)
        found: Answers = []
        for part in in_parts(vectors, max(most // limit, 1)):
            answers = self._asked_once(part, limit, asked.where)
            found += (
                self._completed(vector, hits, limit, top_k, group, rest)
                for vector, hits in zip(part, answers, strict=True)
            )
        return found

    @property
    def finds_words(self) -> bool:
        """Whether there is a keyword search: as for mem0, not here."""
        return False

    def _asked_once(self, vectors: Vectors, limit: int, where: Where | None) -> Answers:
        found = self._call(
            "query", query_embeddings=vectors, n_results=limit, where=where,
            include=["metadatas", "distances"],
        )  # fmt: skip
        rows = zip(found["ids"], found["metadatas"], found["distances"], strict=True)
        return [
            [*map(EngineHit, names, map(unpacked, metadatas), map(self._score, distances))]
            for names, metadatas, distances in rows
        ]

    def _completed(
        self,
        vector: list[float],
        hits: Hits,
        limit: int,
        top_k: int,
        group: Group | None,
        rest: _Rest,
    ) -> Hits:
        """The first `top_k` hits that pass.

        More and more are asked for until they are found. If the index has no more, the rest is read
        and compared here: an index may have points that it does not find.
        """
        most = self._at_once(_MOST_AT_ONCE)
        found = passing(hits, group)
        while len(found) < top_k and len(hits) == limit < most:
            limit = min(limit * WIDER, most)
            [hits] = self._asked_once([vector], limit, rest.where)
            found = passing(hits, group)
        if len(found) < top_k:
            found += self._unseen(vector, {hit.id for hit in hits}, group, rest)
            found.sort(key=self._rank)
        return found[:top_k]

    def _unseen(self, vector: Vector, seen: set[str], group: Group | None, rest: _Rest) -> Hits:
        """The points that pass and that a query has not found, with their scores."""
        found: Hits = []
        names = [name for name in rest.ids if name not in seen]
        for part in in_parts(names, self._at_once(_PAGE)):
            hits = {hit.id: hit for hit in passing(self._points(ids=part), group)}
            for name, _, other in self._whole([*hits]) if hits else ():
                hits[name].score = self._score(_distance(self._space, vector, other))
            found += (hit for hit in hits.values() if hit.score is not None)
        return found

    def _score(self, distance: float) -> float:
        if self._ranks_by_distance:
            return distance
        return 1 - (distance / 2 if self._space == "l2" else distance)

    def _rank(self, hit: EngineHit) -> float:
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
