"""Redis: a hash for each point, and an index over them by its search engine.

The hashes and the index of the memories are those of mem0 2.0.4, so that both can use the same
collection at the same time. Entities are in hashes of the same kind, under names of isomem's own:
mem0 cannot store any, and its index of the memories would take these for memories, too.
"""

from __future__ import annotations

import sys
import time
from array import array
from bisect import bisect_right
from contextlib import suppress
from functools import partial

from isomem import log
from isomem.config import ENTITIES_SUFFIX, store_table
from isomem.contract.filters import compile_filters, matches
from isomem.errors import VectorStoreError
from isomem.options import read_table
from isomem.store.codec import canonical_id, unit_vector
from isomem.stores import redis_queries as asking
from isomem.stores.redis_calls import NoIndexError, check_address, opened
from isomem.stores.redis_fields import (
    CHANGED,
    ID,
    READ,
    VECTOR,
    fields_of,
    payload_of,
    text_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from isomem.contract.filters import Group
    from isomem.ports.shapes import Filters, Payload, Vector
    from isomem.stores.redis_calls import Command, Connection, Options
    from isomem.stores.redis_fields import Fields
    from isomem.stores.redis_queries import Narrowed, Row

    Answers = list[Any]
    Names = list[str]
    Point = tuple[str, Payload, Vector]
    Points = list[Point]
    Hits = list["RedisHit"]
    HitsOfEach = list[Hits]
    Commands = list[Command]
    Read = dict[bytes, tuple[str, Payload] | None]
    Ask = Callable[[int], Command]
    Asks = list[Ask]

REDIS_OPTIONS = store_table("redis")

_DIMS = 1536
_FIRST_FETCHED = 64
_MOST_FETCHED = 1_000_000
"""A server finds no more with one query."""

_PAGE = 1000
_TRIES = 3
FILLED_WITHIN_S = 600.0
"""How long a call waits for an index that is being filled, in seconds."""
_GRACE_S = 1.0
"""How long mem0 may take between removing an index and making it anew, as it does when it opens."""

_PAUSE_S = 0.02

_RANK = 1.0
"""mem0 orders what a keyword search finds by rank, and then gives all of it the same score."""

_CHANGE = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local removed = tonumber(ARGV[1])
if removed > 0 then redis.call('HDEL', KEYS[1], unpack(ARGV, 2, removed + 1)) end
if #ARGV > removed + 1 then redis.call('HSET', KEYS[1], unpack(ARGV, removed + 2)) end
return 1
"""
"""Changes fields of a hash, if it is there."""


def read(config: Mapping[str, object] | None) -> dict[str, Any]:
    """The options, checked.

    Raises:
        InvalidConfigError: one is unknown or wrong, or they do not say where Redis is.
        DependencyError: redis is not installed.
    """
    from isomem.providers.extras import require

    options = read_table(config, REDIS_OPTIONS, "vector_store.config")
    require("redis", "redis", "vector_store redis")
    check_address(options)
    return options


class RedisHit:
    """A point that was found or listed. `score` is None if nothing was compared."""

    __slots__ = ("id", "payload", "score")

    def __init__(self, name: str, payload: Payload, score: float | None = None) -> None:
        self.id = name
        self.payload = payload
        self.score: Any = score


class RedisStore:
    """One collection.

    Args:
        config: see `REDIS_OPTIONS`.
        dims: the length of the vectors, if the options do not say.
        encoder: not used: the server makes the words.

    Attributes:
        takes_any_id: the id "*" is an ordinary id, and does not mean every id.
        batches: several changes, or several searches, are one round trip.

    Raises:
        DependencyError: redis is not installed.
        InvalidConfigError: an option is unknown or wrong.
        VectorStoreError: the server cannot be reached, or has no search engine.
    """

    table = REDIS_OPTIONS
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
        self.embedding_model_dims: int = self._options["embedding_model_dims"] or dims or _DIMS
        self._connection: Connection = opened(self._options)
        self._owns_connection = True
        self._names_after(self.collection_name)
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def _names_after(self, name: str) -> None:
        is_ours = name.endswith(ENTITIES_SUFFIX)
        self._index = f"isomem:{name}" if is_ours else name
        self._prefix = f"isomem:{name}" if is_ours else f"mem0:{name}"
        self._ids: Names = []
        self._last = ""

    def beside(self, name: str) -> RedisStore:
        """Another collection of the same server."""
        made = type(self).__new__(type(self))
        made.__dict__.update(self.__dict__, collection_name=name, _owns_connection=False)
        made._names_after(name)
        made._prepare()
        return made

    def close(self) -> None:
        """Closes the connections, unless they belong to another collection."""
        if self._owns_connection:
            self._connection.close()

    # --- The index ---

    def _prepare(self, grace_s: float = 0.0) -> None:
        """Waits until the index has seen every hash.

        Args:
            grace_s: how long another program gets to make it if there is none, before it is made
                here.

        Raises:
            VectorStoreError: it has not seen all of them after `FILLED_WITHIN_S`.
        """
        begun = time.monotonic()
        deadline = begun + grace_s
        while True:
            try:
                about = self._about()
            except NoIndexError:
                if time.monotonic() >= deadline:
                    self._make()
                    continue
            else:
                if not asking.is_filling(about):
                    break
            if time.monotonic() > begun + FILLED_WITHIN_S:
                raise VectorStoreError(
                    f"vector_store redis: the index {self._index!r} is still being filled",
                    suggestion="Look at FT.INFO, and try again when it has seen every key.",
                )
            time.sleep(_PAUSE_S)
        self.embedding_model_dims = asking.dims_of(about) or self.embedding_model_dims

    def _about(self) -> Any:
        return self._connection.ask(asking.about(self._index))[0]

    def _make(self) -> None:
        made = asking.creation(self._index, self._prefix, self.embedding_model_dims)
        try:
            self._connection.ask(made)
        except VectorStoreError as error:
            if "already exists" not in str(error):  # Made by another process meanwhile.
                raise

    def _found(self, *commands: Command) -> Answers:
        """What an index answers that knows every hash, in one round trip if it does.

        mem0 makes its index anew whenever it opens, and for a while it then finds only some.
        """
        while True:
            try:
                about, *answers = self._connection.write(asking.about(self._index), *commands)
            except NoIndexError:
                pass
            else:
                if not asking.is_filling(about):
                    return answers
            self._prepare(_GRACE_S)

    def create_col(self) -> None:
        """Makes the index if it does not exist."""
        self._prepare()

    def list_cols(self) -> Names:
        """The names of the indexes of the server."""
        return [name.decode() for name in self._connection.ask(["FT._LIST"])[0]]

    def col_info(self) -> dict[str, Any]:
        """What the server says about the index."""
        return asking.described(self._about())

    def delete_col(self) -> None:
        """Removes the index and the points of the collection.

        Keys of other collections stay, which an index of mem0's may have, too.
        """
        ids = self._every_id()
        for start in range(0, len(ids), _PAGE):
            self._connection.write(["UNLINK", *map(self._key, ids[start : start + _PAGE])])
        with suppress(NoIndexError):  # The answer to the first try was lost.
            self._connection.ask(["FT.DROPINDEX", self._index])

    def reset(self) -> None:
        """Removes every point, and makes the index anew."""
        self.delete_col()
        self._prepare()

    # --- Writing ---

    def insert(
        self,
        vectors: list[Vector],
        payloads: list[Payload] | None = None,
        ids: list[str] | None = None,
    ) -> None:
        """Adds points. A point with a known id replaces the old one.

        They are checked before any is sent. They are stored as a whole or not at all, up to
        `batch_size` of them; more are sent in parts.

        Raises:
            VectorValueError: a vector has the wrong length, or contains NaN or infinity.
            ValidationError: a payload cannot be written as JSON.
            VectorStoreError: the lists differ in length, or Redis fails.
        """
        payloads = payloads if payloads is not None else [{} for _ in vectors]
        if ids is None or not len(vectors) == len(payloads) == len(ids):
            raise VectorStoreError("vectors, payloads and ids must be lists of one length")
        points = [*map(self._put, ids, vectors, payloads)]
        size = self._options["batch_size"]
        for start in range(0, len(points), size):
            commands = [each for point in points[start : start + size] for each in point]
            self._connection.write(*commands)

    def _put(self, point_id: str, vector: Vector, payload: Payload) -> Commands:
        """The commands that store a point, in place of what there may be under its name."""
        name = canonical_id(point_id)
        fields = {ID: _encoded(name), **self._vector_field(vector), **fields_of(payload)}
        lacking = [each for each in (VECTOR, *CHANGED) if each not in fields]
        removal: Commands = [["HDEL", self._key(name), *lacking]] if lacking else []
        return [*removal, ["HSET", self._key(name), *_pairs(fields)]]

    def update(
        self, vector_id: str, vector: Vector | None = None, payload: Payload | None = None
    ) -> None:
        """Replaces the vector of a point, or its payload, or both; nothing if it is not there."""
        fields: dict[str, bytes] = {}
        changed: Names = []
        if payload is not None:
            fields |= fields_of(payload)
            changed += CHANGED
        if vector is not None:
            fields |= self._vector_field(vector)
            changed.append(VECTOR)
        if changed:
            self._connection.write(self._change(vector_id, fields, changed))

    def _change(
        self, point_id: str, fields: Mapping[str, bytes], changed: Sequence[str]
    ) -> Command:
        """Gives a point fields, and removes those of `changed` that are not among them."""
        lacking = [each for each in changed if each not in fields]
        key = self._key(canonical_id(point_id))
        return ["EVAL", _CHANGE, 1, key, len(lacking), *lacking, *_pairs(fields)]

    def batch(self, payloads: Sequence[tuple[str, Payload]], removed: Sequence[str] = ()) -> None:
        """Replaces payloads and removes points, all or none.

        Raises:
            ValidationError: a payload cannot be written as JSON.
        """
        changes = [self._change(name, fields_of(payload), CHANGED) for name, payload in payloads]
        keys = [self._key(canonical_id(name)) for name in removed]
        removal: Commands = [["UNLINK", *keys]] if keys else []
        if removal or changes:
            self._connection.write(*removal, *changes)

    def delete(self, vector_id: str) -> None:
        """Removes a point; nothing happens if it is not there."""
        self._connection.write(["UNLINK", self._key(canonical_id(vector_id))])

    def _key(self, name: str) -> bytes:
        return _encoded(f"{self._prefix}:{name}")

    def _vector_field(self, vector: Vector) -> dict[str, bytes]:
        """Empty for a vector of zeros: with one, an index finds too little, and at random."""
        stored = self._vector(vector)
        return {VECTOR: stored} if any(stored) else {}

    def _vector(self, vector: Vector) -> bytes:
        unit_vector(vector, self.embedding_model_dims)  # It raises for what cannot be stored.
        return _floats(array("f", vector).tobytes()).tobytes()

    # --- Reading ---

    def get(self, vector_id: str) -> RedisHit | None:
        """The point with that id, or None."""
        name = canonical_id(vector_id)
        payload = self.payloads_of([name]).get(name)
        return None if payload is None else RedisHit(name, payload)

    def payloads_of(self, ids: Sequence[str]) -> dict[str, Payload]:
        """The payloads of the points that are there, by id."""
        if not ids:
            return {}
        found = zip(ids, self._fields(ids, READ), strict=True)
        return {name: payload_of(fields) for name, fields in found if ID in fields}

    def _fields(self, ids: Sequence[str], names: Sequence[str]) -> Iterator[Fields]:
        reads: Commands = [["HMGET", self._key(each), *names] for each in ids]
        return (asking.named(names, row) for row in self._connection.ask(*reads))

    def list(self, filters: Filters | None = None, top_k: int | None = 100) -> tuple[Hits, None]:
        """The first `top_k` points that pass, newest first, as mem0 lists them; None lists all.

        Raises:
            ValueError: `top_k` is below 1, or the filters are refused.
        """
        group = compile_filters(filters)
        asked = asking.narrowed(group)
        if top_k is not None and top_k < 1:
            raise ValueError(f"limit value {top_k} is invalid. Must be 1 or larger.")
        newest = partial(asking.newest, self._index, asked)
        wanted = _MOST_FETCHED if top_k is None else top_k
        return self._first_passing([newest], group, asked, wanted)[0], None

    def search(
        self, query: str, vectors: Vector, top_k: int = 5, filters: Filters | None = None
    ) -> Hits:
        """The `top_k` points nearest to a vector among those that pass, nearest first."""
        return self.search_batch([query], [vectors], top_k, filters)[0]

    def search_batch(
        self,
        queries: Sequence[str],
        vectors_list: Sequence[Vector],
        top_k: int = 1,
        filters: Filters | None = None,
    ) -> Sequence[Hits]:
        """One `search` for each vector, all in one round trip."""
        del queries
        group = compile_filters(filters)
        asked = asking.narrowed(group)
        nearest = [self._nearest(asked, self._vector(vector)) for vector in vectors_list]
        found = self._first_passing(nearest, group, asked, top_k)
        return [*map(self._measured, found)]

    def keyword_search(
        self, query: str, top_k: int = 5, filters: Filters | None = None
    ) -> Hits | None:
        """The `top_k` points with words of a query that pass, by mem0's rank, best first.

        None if the option `keyword_search` turns it off.
        """
        group = compile_filters(filters)
        asked = asking.narrowed(group)
        found = self._first_passing(self._ranked(asked, query), group, asked, top_k)
        return self._worded(found)

    def both(
        self, vector: Vector, lemmas: str, top_k: int, filters: Filters | None
    ) -> tuple[Hits, Hits | None]:
        """What `search` and `keyword_search` find, in one round trip."""
        group = compile_filters(filters)
        asked = asking.narrowed(group)
        asks = [self._nearest(asked, self._vector(vector)), *self._ranked(asked, lemmas)]
        nearest, *ranked = self._first_passing(asks, group, asked, top_k)
        return self._measured(nearest), self._worded(ranked)

    def _nearest(self, asked: Narrowed, vector: bytes) -> Ask:
        """What finds the points nearest to a vector; all are as far from a vector of zeros."""
        if any(vector):
            return partial(asking.nearest, self._index, asked, vector)
        return partial(asking.newest, self._index, asked)

    def _ranked(self, asked: Narrowed, query: str) -> Asks:
        """What finds the points with words of a query; empty if there is nothing to look for."""
        words = asking.words_of(query) if self._options["keyword_search"] else ()
        return [partial(asking.ranked, self._index, asked, words)] if words else []

    def _measured(self, hits: Hits) -> Hits:
        """Hits with the score that their distance is; 1.0 if there was none to a vector."""
        for hit in hits:
            distance = 1.0 if hit.score is None else hit.score
            hit.score = distance if self._options["scores"] == "distance" else 1.0 - distance
        return hits

    def _worded(self, found: HitsOfEach) -> Hits | None:
        if not self._options["keyword_search"]:
            return None
        return [RedisHit(hit.id, hit.payload, _RANK) for hits in found for hit in hits]

    def _first_passing(
        self, asks: Sequence[Ask], group: Group | None, asked: Narrowed, top_k: int
    ) -> HitsOfEach:
        """The first `top_k` hits of each that pass: more and more are asked for until they are
        found, or all have been looked at.
        """
        found: dict[int, Hits] = {}
        read: Read = {}
        limit = top_k if asked.is_scope else max(top_k, _FIRST_FETCHED)
        while len(found) < len(asks):
            limit = min(limit, _MOST_FETCHED)
            left = [number for number in range(len(asks)) if number not in found]
            answers = self._found(*(asks[number](limit) for number in left))
            for number, answer in zip(left, answers, strict=True):
                rows = asking.rows_of(answer)
                hits = self._hits(rows, group, read)
                if len(hits) >= top_k or len(rows) < limit or limit == _MOST_FETCHED:
                    found[number] = hits[:top_k]
            limit *= 4
        return [found[number] for number in range(len(asks))]

    def _hits(self, rows: Iterable[Row], group: Group | None, read: Read) -> Hits:
        """The points that pass.

        Args:
            read: what the same call has read before, by key: None does not pass.
        """
        hits = []
        for key, fields in rows:
            if key not in read:
                read[key] = self._passing(key, fields, group)
            known = read[key]
            if known is not None:
                distance = fields.get(asking.DISTANCE)
                hits.append(RedisHit(*known, float(distance) if distance else None))
        return hits

    def _passing(
        self, key: bytes, fields: Fields, group: Group | None
    ) -> tuple[str, Payload] | None:
        """Id and payload, if they pass. What is another collection's is not looked at."""
        name = text_of(fields.get(ID))
        if key != self._key(name):
            return None
        payload = payload_of(fields)
        return (name, payload) if group is None or matches(group, payload) else None

    # --- Every point ---

    def points(self, after: str, limit: int) -> Points:
        """The next points behind an id, ordered by id, with their vectors of length 1.

        Which points there are is looked up when the first ones are asked for.
        """
        if not after or after != self._last:
            self._ids = sorted(self._every_id())
        found: Points = []
        start = bisect_right(self._ids, after)
        while not found and start < len(self._ids):  # Some may have been removed meanwhile.
            found = self._points_of(self._ids[start : start + limit])
            start += limit
        self._last = found[-1][0] if found else ""
        return found

    def _points_of(self, ids: Sequence[str]) -> Points:
        found = zip(ids, self._fields(ids, (*READ, VECTOR)), strict=True)
        zeros = bytes(4 * self.embedding_model_dims)
        return [
            (name, payload_of(fields), _unit(fields.get(VECTOR, zeros)))
            for name, fields in found
            if ID in fields
        ]

    def _every_id(self) -> Names:
        """The ids of all points.

        If a part of the answer is lost, all of it is asked for again: the server has gone on to the
        next part.
        """
        tries = _TRIES
        while True:
            rows, cursor = self._found(asking.every_id(self._index, _PAGE))[0]
            names = asking.own_ids(rows, self._prefix)
            try:
                while cursor:
                    part = ["FT.CURSOR", "READ", self._index, cursor]
                    rows, cursor = self._connection.ask_once(part)
                    names += asking.own_ids(rows, self._prefix)
            except VectorStoreError as error:
                tries -= 1
                if not tries:
                    raise
                log.warning("The ids of all points are asked for again: %s", error)
            else:
                return names


def _encoded(name: str) -> bytes:
    return name.encode("utf-8", "surrogatepass")


def _pairs(fields: Mapping[str, bytes]) -> list[bytes | str]:
    return [word for pair in fields.items() for word in pair]


def _unit(stored: bytes) -> Vector:
    return array("f", unit_vector(_floats(stored), None))


def _floats(stored: bytes) -> array[float]:
    numbers = array("f", stored)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
