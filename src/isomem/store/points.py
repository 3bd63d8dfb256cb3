"""Points: one collection of the file, with the method names of upstream's vector stores.

A point is an id, a vector and a payload. The ids of the payload's scope are columns with an
index each, so what a search touches grows with its scope and not with the store.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import cast

import apsw

from isomem.errors import InvalidConfigError, VectorStoreError
from isomem.filters import Condition, compile_filters, matches
from isomem.scope import SCOPE_KEYS
from isomem.store.codec import (
    dump_payload,
    dump_terms,
    load_payload,
    load_terms,
    load_vector,
    unit_vector,
)
from isomem.store.keywords import Keywords, indexed_text
from isomem.store.scopes import Scope, ScopeCache
from isomem.store.sql import compile_sql

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence
    from typing import Any

    from isomem.filters import Group
    from isomem.ports import Filters, Payload, Vector
    from isomem.store.database import Database, Transaction
    from isomem.store.keywords import TermEncoder
    from isomem.store.scopes import Key, Scored

_INSERT = (
    "INSERT INTO points (collection, id, user_id, agent_id, run_id, payload, vector, terms)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_REPLACE = (
    "UPDATE points SET user_id = ?, agent_id = ?, run_id = ?, payload = ?, vector = ?, terms = ?"
    " WHERE seq = ?"
)
_UUID = re.compile(
    r"(?:urn:uuid:|\{)?([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})\}?",
    re.IGNORECASE,
)


class Point:
    """A point that was found or listed. `score` is 0 where nothing was compared."""

    __slots__ = ("_points", "_payload", "id", "score", "seq")

    def __init__(
        self,
        points: Points,
        seq: int,
        point_id: str,
        score: float = 0.0,
        payload: Payload | None = None,
    ) -> None:
        self.id = point_id
        self.score = score
        self.seq = seq
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
        with database.writing():
            self._number = self._open(name)
            self.embedding_model_dims = self._claim(dims, embedder)
            self._keywords = Keywords(database, self._number, encoder) if encoder else None
            self._reconcile_keywords()

    def _open(self, name: str) -> int:
        self.database.execute(
            "INSERT OR IGNORE INTO collections (name, distance) VALUES (?, 'cosine')", (name,)
        )
        sql = "SELECT number FROM collections WHERE name = ?"
        return cast("int", self.database.rows(sql, (name,))[0][0])

    def _claim(self, dims: int | None, embedder: str | None) -> int | None:
        """Holds the embedder against the one the vectors were made with."""
        sql = "SELECT dims, embedder FROM collections WHERE number = ?"
        old_dims, old_embedder = self.database.rows(sql, (self._number,))[0]
        if self._is_empty():
            old_dims, old_embedder = dims, embedder
        if (embedder or old_embedder) != (old_embedder or embedder):
            raise self._other_embedder(old_embedder, embedder, old_dims, dims)
        if (dims or old_dims) != (old_dims or dims):
            raise self._other_embedder(old_embedder, embedder, old_dims, dims)
        self.database.execute(
            "UPDATE collections SET dims = ?, embedder = ? WHERE number = ?",
            (old_dims or dims, old_embedder or embedder, self._number),
        )
        return dims or old_dims

    def _is_empty(self) -> bool:
        sql = "SELECT 1 FROM points WHERE collection = ? LIMIT 1"
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
            self._index_all(self._keywords)

    def _index_all(self, keywords: Keywords) -> None:
        seqs = self.database.rows("SELECT seq FROM points WHERE collection = ?", (self._number,))
        for (seq,) in seqs:
            sql = "SELECT payload FROM points WHERE seq = ?"
            text = self.database.rows(sql, (seq,))[0][0]
            weights = keywords.index([indexed_text(self._load(seq, text))])[0]
            terms = None if weights is None else dump_terms(weights)
            self.database.execute("UPDATE points SET terms = ? WHERE seq = ?", (terms, seq))

    # --- Writing ---

    def atomic(self) -> Transaction:
        """A block whose writes are all there afterwards, or none if it raises."""
        return self.database.writing()

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
            units = self._units(vectors)
            terms = self._index(payloads)
            for point_id, unit, payload, blob in zip(ids, units, payloads, terms, strict=True):
                self._add(canonical_id(point_id), unit, payload, blob)
            self._cache.trim()

    def _units(self, vectors: Sequence[Vector]) -> Sequence[bytes]:
        units = []
        for vector in vectors:
            dims = self._dims()
            units.append(unit_vector(vector, dims))
            if dims is None:
                sql = "UPDATE collections SET dims = ? WHERE number = ?"
                self.database.execute(sql, (len(units[0]) // 4, self._number))
        return units

    def _dims(self) -> int | None:
        """The length of the vectors; asked of the file until it is configured."""
        if self.embedding_model_dims is not None:
            return self.embedding_model_dims
        sql = "SELECT dims FROM collections WHERE number = ?"
        return cast("int | None", self.database.rows(sql, (self._number,))[0][0])

    def _index(self, payloads: list[Payload]) -> list[bytes | None]:
        if self._keywords is None:
            return [None] * len(payloads)
        weights = self._keywords.index([indexed_text(payload) for payload in payloads])
        return [None if found is None else dump_terms(found) for found in weights]

    def _add(self, point_id: str, unit: bytes, payload: Payload, terms: bytes | None) -> None:
        scope = _scope_columns(payload)
        ids = dict(zip(SCOPE_KEYS, scope, strict=True))
        fields = (*scope, self._dump(payload), unit, terms)
        try:
            self.database.execute(_INSERT, (self._number, point_id, *fields))
        except apsw.ConstraintError:
            seq = cast("int", self._forget(point_id))
            self._cache.drop(self._number, ids)
            self.database.execute(_REPLACE, (*fields, seq))
        else:
            seq = self.database.connection.last_insert_rowid()
            for cached in self._cache.holding(self._number, ids):
                cached.append(seq, point_id, unit, terms)
        self._stored(seq, payload)

    def _forget(self, point_id: str) -> int | None:
        """Takes a point out of the counts and the cache; its row number, None if not there."""
        found = self.database.rows(
            "SELECT seq, user_id, agent_id, run_id, terms FROM points"
            " WHERE id = ? AND collection = ?",
            (point_id, self._number),
        )
        if not found:
            return None
        seq, *scope, terms = found[0]
        self._cache.drop(self._number, dict(zip(SCOPE_KEYS, scope, strict=True)))
        if terms is not None and self._keywords:
            self._keywords.forget(load_terms(terms)[0])
        return cast("int", seq)

    def update(
        self, vector_id: str, vector: Vector | None = None, payload: Payload | None = None
    ) -> None:
        """Replaces a point, its payload's keys alone, or its vector alone.

        With both a vector and a payload the point is replaced, or made if it is not there. A
        payload alone overlays the old one key by key.

        Raises:
            KeyError: the point is not there and only one of the two was given.
        """
        if vector is not None and payload is not None:
            self.insert([vector], [payload], [vector_id])
            return
        with self.database.writing():
            old = self.get(vector_id)
            if old is None:
                raise KeyError(vector_id)
            if payload is not None:
                self._overlay(old, {**old.payload, **payload})
            if vector is not None:
                self._cache.drop(self._number, old.payload)
                sql = "UPDATE points SET vector = ? WHERE seq = ?"
                self.database.execute(sql, (self._units([vector])[0], old.seq))

    def _overlay(self, old: Point, payload: Payload) -> None:
        # The terms stay those of the text at the last full write, as in upstream's store.
        scope = _scope_columns(payload)
        if scope != _scope_columns(old.payload):
            self._cache.clear()
        self.database.execute(
            "UPDATE points SET user_id = ?, agent_id = ?, run_id = ?, payload = ? WHERE seq = ?",
            (*scope, self._dump(payload), old.seq),
        )
        self._stored(old.seq, payload)

    def delete(self, vector_id: str) -> None:
        """Removes a point; nothing happens if it is not there."""
        with self.database.writing():
            seq = self._forget(canonical_id(vector_id))
            if seq is not None:
                self._removed(seq)
                self.database.execute("DELETE FROM points WHERE seq = ?", (seq,))

    def reset(self) -> None:
        """Removes every point of the collection; the embedder may then be another one."""
        with self.database.writing():
            self._emptied()
            self.database.execute("DELETE FROM points WHERE collection = ?", (self._number,))
            if self._keywords:
                self._keywords.clear()
            self._cache.clear()

    # --- What a kind of point stores beside its row; `Entities` has something there ---

    def _dump(self, payload: Payload) -> str:
        return dump_payload(payload)

    def _stored(self, seq: int, payload: Payload) -> None:
        pass

    def _removed(self, seq: int) -> None:
        pass

    def _emptied(self) -> None:
        pass

    def _load(self, seq: int, text: str) -> Payload:
        del seq
        return load_payload(text)

    # --- Reading ---

    def load_payload(self, point: Point) -> Payload:
        """The payload of a point; empty if the point is gone."""
        with self.database.reading():
            text = self._value_of(point, "payload")
            return {} if text is None else self._load(point.seq, text)

    def vector_of(self, point: Point) -> Sequence[float]:
        """The stored vector of a point, scaled to length 1; empty if the point is gone."""
        with self.database.reading():
            vector = self._value_of(point, "vector")
        return () if vector is None else load_vector(vector)

    def _value_of(self, point: Point, column: str) -> Any:
        # By the id too: the row of a point that is gone may have become another's.
        sql = f"SELECT {column} FROM points WHERE seq = ? AND id = ? AND collection = ?"
        rows = self.database.rows(sql, (point.seq, point.id, self._number))
        return rows[0][0] if rows else None

    def get(self, vector_id: str) -> Point | None:
        """The point with that id, or None."""
        point_id = canonical_id(vector_id)
        with self.database.reading():
            rows = self.database.rows(
                "SELECT seq, payload FROM points WHERE id = ? AND collection = ?",
                (point_id, self._number),
            )
            points = [Point(self, seq, point_id, 0.0, self._load(seq, text)) for seq, text in rows]
        return points[0] if points else None

    def list(
        self, filters: Filters | None = None, top_k: int | None = 100
    ) -> tuple[Sequence[Point], None]:
        """The first `top_k` points that pass, in the order of their ids; None lists all.

        Raises:
            ValueError: `top_k` is below 1, which upstream's store refuses too.
        """
        if top_k is not None and top_k < 1:
            raise ValueError(f"limit value {top_k} is invalid. Must be 1 or larger.")
        ids, rest = _split_scope(compile_filters(filters))
        where, bindings, check = self._where(ids, rest)
        limit = -1 if top_k is None or check is not None else top_k
        sql = f"SELECT seq, id, payload FROM points WHERE {where} ORDER BY id LIMIT ?"
        with self.database.reading():
            rows = self.database.connection.execute(sql, (*bindings, limit))
            points = (
                Point(self, seq, name, 0.0, self._load(seq, text)) for seq, name, text in rows
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
            dims = self._dims()
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
            scope, allowed = self._select(filters)
            scored = scope.keyword_scores(self._keywords.query(query), top_k, allowed)
            return self._points(scope, scored)

    def _points(self, scope: Scope, scored: Scored) -> Sequence[Point]:
        return [Point(self, scope.seqs[at], scope.ids[at], score) for score, at in scored]

    def _select(self, filters: Filters | None) -> tuple[Scope, Container[int] | None]:
        """The scope that filters name, and the rows in it that pass their other conditions."""
        ids, rest = _split_scope(compile_filters(filters))
        key = (self._number, *(ids.get(name) for name in SCOPE_KEYS))
        scope = self._cache.get(cast("Key", key)) or self._load_scope(ids, cast("Key", key))
        return scope, None if rest is None else set(self._passing(ids, rest))

    def _load_scope(self, ids: dict[str, str], key: Key) -> Scope:
        scope = Scope()
        where, bindings, _ = self._where(ids, None)
        sql = f"SELECT seq, id, vector, terms FROM points WHERE {where} ORDER BY seq"
        for row in self.database.connection.execute(sql, bindings):
            scope.append(*row)
        self._cache.put(key, scope)
        return scope

    def _passing(self, ids: dict[str, str], rest: Group) -> Iterable[int]:
        where, bindings, check = self._where(ids, rest)
        sql = f"SELECT seq{', payload' if check else ''} FROM points WHERE {where}"
        for seq, *text in self.database.connection.execute(sql, bindings):
            if check is None or matches(check, self._load(seq, text[0])):
                yield seq

    def _where(
        self, ids: dict[str, str], rest: Group | None
    ) -> tuple[str, tuple[Any, ...], Group | None]:
        """The SQL condition for a scope and more, and what is left of it for Python."""
        sql = "".join(f"{name} = ? AND " for name in ids) + "collection = ?"
        bindings = (*ids.values(), self._number)
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
            sql = "SELECT count(*) FROM points WHERE collection = ?"
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
    found = _UUID.fullmatch(text)
    return "-".join(found.groups()).lower() if found else text


def _scope_columns(payload: Payload) -> tuple[str | None, ...]:
    values = tuple(payload.get(key) for key in SCOPE_KEYS)
    for key, value in zip(SCOPE_KEYS, values, strict=True):
        if not (value is None or isinstance(value, str)):
            raise VectorStoreError(f"{key} must be a string, got {type(value).__name__}")
    return values


def _split_scope(group: Group | None) -> tuple[dict[str, str], Group | None]:
    """The ids that a filter asks for by equality, and what else it asks for."""
    if group is None:
        return {}, None
    ids = dict(_scope_ids(group))
    rest = type(group)(
        [part for part in group.conditions if getattr(part, "key", None) not in ids],
        group.alternatives,
        group.exclusions,
    )
    return ids, rest if rest.conditions or rest.alternatives or rest.exclusions else None


def _scope_ids(group: Group) -> Iterator[tuple[str, str]]:
    for part in group.conditions:
        if not (isinstance(part, Condition) and part.key in SCOPE_KEYS and part.kind == "any"):
            continue
        if len(part.operand) == 1 and isinstance(part.operand[0], str):
            yield part.key, part.operand[0]
