"""Points: one collection of the file, with the method names of upstream's vector stores.

A point is an id, a vector and a payload. The points of one scope stand together in the file
(`places`), so what a search touches grows with its scope and not with the store.
"""

from __future__ import annotations

from itertools import islice

import apsw

from isomem.contract.filters import compile_filters, matches
from isomem.errors import InvalidConfigError, VectorStoreError
from isomem.kernel import SEQ_BITS
from isomem.pattern import Pattern
from isomem.store.codec import (
    dump_payload,
    load_payload,
    load_vector,
    unit_vector,
)
from isomem.store.detached import Detached, salvaged
from isomem.store.keywords import Keywords, count_when_due, indexed_text
from isomem.store.places import IS_VISIBLE, OF_SCOPES, in_scopes, scope_ids, split_scope
from isomem.store.scopes import Scope, ScopeCache
from isomem.store.sql import compile_sql

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from isomem.contract.filters import Group
    from isomem.ports.shapes import Filters, Payload, Vector
    from isomem.store.database import Block, Database
    from isomem.store.keywords import TermEncoder
    from isomem.store.places import Ids
    from isomem.store.scopes import Key, Row, Scored

    _Stored = tuple[int, bytes | None, str, Ids]
    """Of a point: its place, its terms, its payload as JSON, and the ids of its scope."""

_INSERT = (
    "INSERT INTO points (place, collection, id, payload, vector, terms) VALUES (?, ?, ?, ?, ?, ?)"
)
_REPLACE = "UPDATE points SET payload = ?, vector = ?, terms = ? WHERE place = ?"
_ROWS = f"SELECT p.place, p.id, p.vector, coalesce(p.terms, x'') FROM {OF_SCOPES} WHERE "
_ROWS_AT_ONCE = 100
"""Few enough for all of them to stay in the processor's cache."""

_VISIBLE = f"FROM points WHERE place = ?1 AND {IS_VISIBLE}"
_PAYLOAD = f"SELECT payload {_VISIBLE}"
_VECTOR = f"SELECT vector {_VISIBLE}"
_FIND = (
    "SELECT p.place, p.terms, p.payload, s.user_id, s.agent_id, s.run_id FROM points AS p"
    f" JOIN scopes AS s ON s.number = p.place >> {SEQ_BITS} WHERE p.id = ? AND p.collection = ?"
    " AND s.collection > 0"
)
_GET = (
    "SELECT p.place, p.payload FROM points AS p"
    f" JOIN scopes AS s ON s.number = p.place >> {SEQ_BITS}"
    " WHERE p.id = ? AND p.collection = ? AND s.collection > 0"
)
_DELETE_ALL = (
    "DELETE FROM points WHERE collection = ?1 OR (collection < 0 AND place IN"
    f" (SELECT p.place FROM {OF_SCOPES} WHERE s.collection = ?2))"
)
_UUID = Pattern(
    r"(?:urn:uuid:|\{)?([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})"
    r"-?([0-9a-f]{12})\}?",
    ignore_case=True,
)


class Point:
    """A point that was found or listed. `score` is 0 where nothing was compared."""

    __slots__ = ("_payload", "_points", "id", "place", "score")

    def __init__(
        self,
        points: Points,
        place: int,
        point_id: str,
        score: float = 0.0,
        payload: Payload | None = None,
    ) -> None:
        self.id = point_id
        self.score = score
        self.place = place
        self._points = points
        self._payload = payload

    @property
    def payload(self) -> Payload:
        """Read from the file when first asked for; empty if the point is gone by then."""
        if self._payload is None:
            self._payload = self._points.load_payload(self)
        return self._payload

    def __repr__(self) -> str:
        return f"Point(id={self.id!r}, score={self.score!r})"


class Points:
    """One collection.

    Args:
        database: opened with `schema.prepare_store`.
        name: of the collection; made if it is not there.
        cache: shared by the collections of a file.
        dims: length of its vectors; None takes the length of the first one.
        embedder: identity of what makes the vectors; None when it is not known.
        encoder: makes the terms for keyword search; None turns it off.

    Raises:
        InvalidConfigError: the collection holds vectors of another length or embedder.
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
        self._places = cache.places
        # A reader must not wait for a writer: where the file says all of this already, it is read.
        database.prepared(lambda: self._prepare(dims, embedder, encoder))

    def _prepare(self, dims: int | None, embedder: str | None, encoder: TermEncoder | None) -> None:
        self._number = self._find_or_make(self.collection_name)
        self._detached = Detached(self.database, self._places, self._number)
        self.embedding_model_dims = self._claim(dims, embedder)
        self._keywords = self._open_keywords(encoder) if encoder else None
        self._reconcile_keywords()

    def _find_or_make(self, name: str) -> int:
        sql = "SELECT number FROM collections WHERE name = ?"
        found = self.database.rows(sql, (name,))
        if not found:
            make = "INSERT INTO collections (name, distance) VALUES (?, 'cosine')"
            self.database.execute(make, (name,))
            found = self.database.rows(sql, (name,))
        number: int = found[0][0]
        return number

    def _open_keywords(self, encoder: TermEncoder) -> Keywords:
        return Keywords(self.database, self._places, self._number, encoder)

    def _claim(self, dims: int | None, embedder: str | None) -> int | None:
        """Holds the embedder against the one the vectors were made with."""
        sql = "SELECT dims, embedder FROM collections WHERE number = ?"
        stored = self.database.rows(sql, (self._number,))[0]
        old_dims, old_embedder = (dims, embedder) if self._is_empty() else stored
        if (embedder or old_embedder) != (old_embedder or embedder):
            raise self._other_embedder(old_embedder, embedder, old_dims, dims)
        if (dims or old_dims) != (old_dims or dims):
            raise self._other_embedder(old_embedder, embedder, old_dims, dims)
        wanted = (old_dims or dims, old_embedder or embedder)
        if wanted != stored:
            sql = "UPDATE collections SET dims = ?, embedder = ? WHERE number = ?"
            self.database.execute(sql, (*wanted, self._number))
        return dims or old_dims

    def _is_empty(self) -> bool:
        # A scope without points is not kept, so this needs no look at the points.
        sql = "SELECT 1 FROM scopes WHERE collection = ? LIMIT 1"
        return not self.database.rows(sql, (self._number,))

    def _other_embedder(self, *found: Any) -> InvalidConfigError:
        old_embedder, embedder, old_dims, dims = found
        return InvalidConfigError(
            f"{self.database.path}: the vectors of {self.collection_name!r} were made by "
            f"{old_embedder or 'an unnamed embedder'} with {old_dims} dimensions, the configured "
            f"one is {embedder or 'an unnamed embedder'} with {dims}",
            error_code="CONFIG_003",
            suggestion="Configure the same embedder, or choose another path or collection_name.",
        )

    # --- Keywords that were written under other rules ---

    def _reconcile_keywords(self) -> None:
        """Indexes the texts anew if they were written without keywords, or by other rules."""
        sql = "SELECT keywords FROM collections WHERE number = ?"
        wanted = self._keywords.identity if self._keywords else ""
        if self.database.rows(sql, (self._number,))[0][0] == wanted:
            return
        self.database.execute(
            "UPDATE collections SET keywords = ? WHERE number = ?", (wanted, self._number)
        )
        self._cache.clear()
        if self._keywords:
            self._keywords.clear()
            self._keywords.recount(self._index_all(self._keywords))

    def _index_all(self, keywords: Keywords) -> Iterator[bytes]:
        """Indexes every text by the rules of today; the terms of each."""
        sql = "SELECT place FROM points WHERE collection = ?"
        for (place,) in self.database.rows(sql, (self._number,)):
            sql = "SELECT payload FROM points WHERE place = ?"
            text = self.database.rows(sql, (place,))[0][0]
            terms = keywords.terms(indexed_text(load_payload(text)))
            self.database.execute("UPDATE points SET terms = ? WHERE place = ?", (terms, place))
            if terms is not None:
                yield terms

    # --- Writing ---

    def atomic(self) -> Block:
        """A block whose writes are all there afterwards, or none if it raises."""
        return self.database.atomic()

    def insert(
        self,
        vectors: list[Vector],
        payloads: list[Payload] | None = None,
        ids: list[str] | None = None,
    ) -> None:
        """Adds points, all or none. One whose id is there already replaces it.

        Raises:
            VectorValueError: a vector has the wrong length, or holds NaN or infinity.
            ValidationError: a payload has no form in JSON.
            VectorStoreError: the lists differ in length.
        """
        payloads = payloads if payloads is not None else [{} for _ in vectors]
        ids = ids if ids is not None else [str(number) for number in range(len(vectors))]
        if not len(vectors) == len(payloads) == len(ids):
            raise VectorStoreError("vectors, payloads and ids must be lists of one length")
        with self.database.writing():
            self.put(zip(map(canonical_id, ids), vectors, payloads, strict=True))

    def put(self, points: Iterable[tuple[str, Vector, Payload]]) -> None:
        """Adds points, each an id as `canonical_id` spells it, a vector and a payload.

        Runs in the caller's transaction, which cannot be kept if it raises; raises as `insert`.
        """
        added = [
            self._add(point_id, self._unit(vector), payload) for point_id, vector, payload in points
        ]
        self._cache.append(self._number, filter(None, added))

    def _unit(self, vector: Vector) -> bytes:
        """A vector as it is stored; the first one says how long all of them are."""
        dims = self.embedding_model_dims or self._stored_dims()
        unit = unit_vector(vector, dims)
        if dims is None:
            sql = "UPDATE collections SET dims = ? WHERE number = ?"
            self.database.execute(sql, (len(unit) // 4, self._number))
        return unit

    def _stored_dims(self) -> int | None:
        """The length of the vectors in the file; None when there was none yet."""
        sql = "SELECT dims FROM collections WHERE number = ?"
        dims: int | None = self.database.rows(sql, (self._number,))[0][0]
        return dims

    def _add(self, point_id: str, unit: bytes, payload: Payload) -> tuple[Ids, Row] | None:
        """The scope and row of a new point; None if it replaced one."""
        ids, text, terms = self._written(payload)
        place = self._places.arrive(self._number, ids)
        try:
            self.database.execute(_INSERT, (place, self._number, point_id, text, unit, terms))
        except apsw.ConstraintError:
            self._places.leave(place)
            old = self._find(point_id)
            if not old:
                self._detached.give_up_id(point_id, self._keywords)
                return self._add(point_id, unit, payload)
            self._replace(old[0], unit, payload)
            added = None
        else:
            if self._keywords:
                self._keywords.arrive(terms)
            self._stored(place, payload, is_new=True)
            added = ids, (place, point_id, unit, terms or b"")
        count_when_due(self.database, self._places, place)
        return added

    def _written(self, payload: Payload) -> tuple[Ids, str, bytes | None]:
        """What is stored of a payload: the ids of its scope, its JSON, its terms."""
        ids, text = scope_ids(payload), dump_payload(payload)
        terms = self._keywords.terms(indexed_text(payload)) if self._keywords else None
        return ids, text, terms

    def _replace(self, old: _Stored, unit: bytes, payload: Payload) -> None:
        place, old_terms, _, old_ids = old
        ids, text, terms = self._written(payload)
        self._cache.drop(self._number, old_ids)
        self._cache.drop(self._number, ids)
        place = self._move(place, old_ids, ids)
        self.database.execute(_REPLACE, (text, unit, terms, place))
        if self._keywords:
            counted = self._places.is_counted(place)
            self._keywords.change(old_terms, terms, counted=counted)
        self._stored(place, payload, is_new=False)

    def _find(self, point_id: str) -> Sequence[_Stored]:
        """What is stored of a point; empty if it is not there."""
        found = self.database.rows(_FIND, (point_id, self._number))
        return [(place, terms, text, tuple(ids)) for place, terms, text, *ids in found]

    def _move(self, place: int, old_ids: Ids, ids: Ids) -> int:
        """The place of a point whose scope may have become another one."""
        if ids == old_ids:
            return place
        new = self._places.move(place, self._number, ids)
        self.database.execute("UPDATE points SET place = ? WHERE place = ?", (new, place))
        self._moved(place, new)
        self._places.tidy(place)
        return new

    def update(
        self, vector_id: str, vector: Vector | None = None, payload: Payload | None = None
    ) -> None:
        """Replaces a point, its payload's keys alone, or its vector alone.

        With both a vector and a payload the point is replaced, or made if it is not there. A
        payload alone overlays the old one key by key.

        Raises:
            KeyError: the point is not there and only one of the two was given.
        """
        with self.database.writing():
            if payload is not None and vector is not None:
                self._put(canonical_id(vector_id), vector, payload)
                return
            old = self.get(vector_id)
            if old is None:
                raise KeyError(vector_id)
            if payload is not None:
                self._overlay(old, {**old.payload, **payload})
            if vector is not None:
                self._cache.drop(self._number, scope_ids(old.payload))
                sql = "UPDATE points SET vector = ? WHERE place = ?"
                self.database.execute(sql, (self._unit(vector), old.place))

    def _put(self, point_id: str, vector: Vector, payload: Payload) -> None:
        found = self._find(point_id)
        if found:
            self._replace(found[0], self._unit(vector), payload)
        else:
            self.insert([vector], [payload], [point_id])

    def _overlay(self, old: Point, payload: Payload) -> None:
        # The terms stay those of the text at the last full write, as in upstream's store.
        ids, old_ids = scope_ids(payload), scope_ids(old.payload)
        place = self._move(old.place, old_ids, ids)
        if place != old.place:
            self._cache.drop(self._number, old_ids)
            self._cache.drop(self._number, ids)
        sql = "UPDATE points SET payload = ? WHERE place = ?"
        self.database.execute(sql, (dump_payload(payload), place))
        self._stored(place, payload, is_new=False)

    def delete(self, vector_id: str) -> None:
        """Removes a point; nothing happens if it is not there."""
        self.take(vector_id)

    def take(self, vector_id: str) -> Point | None:
        """Removes a point and returns it; a damaged payload does not keep it, and is empty."""
        point_id = canonical_id(vector_id)
        with self.database.writing():
            for found in self._find(point_id):
                self._remove(found)
                return Point(self, found[0], point_id, 0.0, salvaged(found[2]))
        return None

    def _remove(self, old: _Stored) -> None:
        place, terms, _, ids = old
        self._cache.drop(self._number, ids)
        counted = not self._places.leave(place)
        if self._keywords:
            self._keywords.leave(terms, counted=counted)
        self._removed(place)
        self.database.execute("DELETE FROM points WHERE place = ?", (place,))
        self._places.tidy(place)

    # --- Removing many ---

    def detach(self, ids: Mapping[str, str]) -> int:
        """Hides every point of the scopes that have all these ids, in one short write.

        Its points are gone for every reader from then on; `sweep` removes them.

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

        One look into an index where there are none. Otherwise they are listed here, where no
        write lock is held.
        """
        with self.database.reading():
            return self._detached.find()

    def detached_among(self, entity: int) -> set[str]:
        """The ids of detached points that an entity, named by its row key, is linked to."""
        return self._detached.linked_to(entity)

    def sweep(self, limit: int) -> Sequence[Point]:
        """Removes up to `limit` detached points, in the order of their ids.

        Returns:
            What was removed, with payloads; a damaged payload is empty. Nothing when none is left.
        """
        with self.database.writing():
            some = self._detached.next(limit)
            for place, *_ in some:
                self._removed(place)
            if some:
                self._detached.remove(some, self._keywords)
        return [Point(self, place, name, 0.0, salvaged(text)) for place, name, text, _ in some]

    def reset(self) -> None:
        """Removes every point of the collection; the embedder may then be another one."""
        with self.database.writing():
            self._emptied()
            self.database.execute(_DELETE_ALL, (self._number, -self._number))
            self._places.clear(self._number)
            if self._keywords:
                self._keywords.clear()
            self._cache.clear()

    # --- What a kind of point stores beside its row; `Entities` has something there ---

    def _stored(self, place: int, payload: Payload, *, is_new: bool) -> None:
        """A payload was written, over another one unless the point is new."""

    def _moved(self, place: int, new: int) -> None:
        """A point has another place."""

    def _removed(self, place: int) -> None:
        """A point is about to be removed."""

    def _emptied(self) -> None:
        """All points are about to be removed."""

    # --- Reading ---

    def load_payload(self, point: Point) -> Payload:
        """The payload of a point; empty if the point is gone."""
        with self.database.reading():
            found = self.database.rows(_PAYLOAD, (point.place,))
            return load_payload(found[0][0]) if found else {}

    def vector_of(self, point: Point) -> Sequence[float]:
        """The stored vector of a point, scaled to length 1; empty if the point is gone."""
        with self.database.reading():
            found = self.database.rows(_VECTOR, (point.place,))
        return load_vector(found[0][0]) if found else ()

    def get(self, vector_id: str) -> Point | None:
        """The point with that id, or None."""
        point_id = canonical_id(vector_id)
        with self.database.reading():
            for place, text in self.database.rows(_GET, (point_id, self._number)):
                return Point(self, place, point_id, 0.0, load_payload(text))
        return None

    def list(
        self, filters: Filters | None = None, top_k: int | None = 100
    ) -> tuple[Sequence[Point], None]:
        """The first `top_k` points that pass, in the order of their ids; None lists all.

        Raises:
            ValueError: `top_k` is below 1, which upstream's store refuses too.
        """
        if top_k is not None and top_k < 1:
            raise ValueError(f"limit value {top_k} is invalid. Must be 1 or larger.")
        ids, rest = split_scope(compile_filters(filters))
        where, bindings, check = self._where(ids, rest)
        limit = -1 if top_k is None or check is not None else top_k
        sql = (
            f"SELECT p.place, p.id, p.payload FROM {OF_SCOPES} WHERE {where} ORDER BY p.id LIMIT ?"
        )
        with self.database.reading():
            rows = self.database.connection.execute(sql, (*bindings, limit))
            points = (
                Point(self, place, name, 0.0, load_payload(text)) for place, name, text in rows
            )
            passing = (point for point in points if check is None or matches(check, point.payload))
            return [*islice(passing, top_k)], None

    def search(
        self, query: str, vectors: Vector, top_k: int = 5, filters: Filters | None = None
    ) -> Sequence[Point]:
        """The `top_k` points nearest to a vector among those that pass, best first.

        `query`, the text, is not looked at: it is there because other vector stores use it.
        """
        return self.search_batch([query], [vectors], top_k, filters)[0]

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
            dims = self.embedding_model_dims or self._stored_dims()
            units = [unit_vector(vector, dims) for vector in vectors_list]
            scope, allowed = self._select(filters)
            return [self._points(scope, scope.nearest(unit, top_k, allowed)) for unit in units]

    def keyword_search(
        self, query: str, top_k: int = 5, filters: Filters | None = None
    ) -> Sequence[Point] | None:
        """The `top_k` points with the highest BM25 score among those that pass, best first.

        None when keyword search is off.
        """
        if self._keywords is None:
            return None
        with self.database.reading():
            wanted, factors = self._keywords.query(query)
            if not wanted:
                return []
            scope, allowed = self._select(filters)
            return self._points(scope, scope.keyword_scores(wanted, factors, top_k, allowed))

    def _points(self, scope: Scope, scored: Scored) -> Sequence[Point]:
        places, ids = scope.places, scope.ids
        return [Point(self, places[row], ids[row], score) for score, row in scored]

    def _select(self, filters: Filters | None) -> tuple[Scope, Container[int] | None]:
        """The scope that filters name, and the places in it that pass their other conditions."""
        ids, rest = split_scope(compile_filters(filters))
        key = (self._number, ids.get("user_id"), ids.get("agent_id"), ids.get("run_id"))
        scope = self._cache.get(key) or self._load_scope(ids, key)
        return scope, None if rest is None else set(self._passing(ids, rest))

    def _load_scope(self, ids: dict[str, str], key: Key) -> Scope:
        scope = Scope()
        where, bindings = in_scopes(self._number, ids)
        rows = self.database.connection.execute(_ROWS + where, bindings)
        while some := list(islice(rows, _ROWS_AT_ONCE)):
            scope.extend(some)
        self._cache.put(key, scope)
        return scope

    def _passing(self, ids: dict[str, str], rest: Group) -> Iterable[int]:
        where, bindings, check = self._where(ids, rest)
        columns = f"p.place{', p.payload' if check else ''}"
        sql = f"SELECT {columns} FROM {OF_SCOPES} WHERE {where}"
        for place, *text in self.database.connection.execute(sql, bindings):
            if check is None or matches(check, load_payload(text[0])):
                yield place

    def _where(
        self, ids: dict[str, str], rest: Group | None
    ) -> tuple[str, tuple[Any, ...], Group | None]:
        """The SQL condition for scopes and more, and what is left of it for Python."""
        sql, bindings = in_scopes(self._number, ids)
        compiled = compile_sql(rest) if rest is not None else None
        if compiled is None:
            return sql, bindings, rest
        return f"{sql} AND {compiled[0]}", (*bindings, *compiled[1]), None

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


def canonical_id(point_id: Any) -> str:
    """An id as it is stored: UUIDs in lower case with hyphens, whatever their spelling."""
    text = str(point_id)
    if len(text) == 36 and text[8] == text[13] == text[18] == text[23] == "-" and text.islower():
        return text  # If it is a UUID, then spelled so already.
    found = _UUID.fullmatch(text)
    return "-".join(found.groups()).lower() if found else text
