"""Redis: a hash for each point, and an index over them by its search engine.

The hashes and the index of the memories are those of mem0 2.0.4, so that both can use the same
collection at the same time. Entities are in hashes of the same kind, under names of isomem's own:
mem0 cannot store any, and its index of the memories would take these for memories, too.
"""

from __future__ import annotations

import sys
import time
from array import array
from contextlib import suppress
from functools import partial

from isomem import log
from isomem.config import ENTITIES_SUFFIX, store_table
from isomem.errors import VectorStoreError
from isomem.options import read_table
from isomem.store.codec import canonical_id, unit_vector
from isomem.stores import redis_queries as asking
from isomem.stores.engine import (
    WIDER,
    EngineHit,
    EngineStore,
    IdOrder,
    decider,
    first_asked,
    in_parts,
)
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
    from isomem.ports.shapes import Payload, Vector
    from isomem.stores.engine import Passes
    from isomem.stores.engine_calls import Options
    from isomem.stores.redis_calls import Command, Connection
    from isomem.stores.redis_fields import Fields
    from isomem.stores.redis_queries import Narrowed, Row

    Answers = list[Any]
    Names = list[str]
    Points = list[tuple[str, Payload, Vector]]
    Hits = list[EngineHit]
    Vectors = list[list[float]]
    HitsOfEach = list[Hits]
    Commands = list[Command]
    Read = dict[bytes, tuple[str, Payload] | None]
    Ask = Callable[[int], Command]
    Asks = list[Ask]

REDIS_OPTIONS = store_table("redis")

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


def read(config: Mapping[str, object] | None) -> Options:
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


class RedisStore(EngineStore):
    """One collection; see `REDIS_OPTIONS`. The server makes the words of a search."""

    table = REDIS_OPTIONS
    check = staticmethod(read)
    embedding_model_dims: int
    _connection: Connection

    def _opened(self) -> Connection:
        return opened(self._options)

    def _prepare(self) -> None:
        name = self.collection_name
        is_ours = name.endswith(ENTITIES_SUFFIX)
        self._index = f"isomem:{name}" if is_ours else name
        self._prefix = f"isomem:{name}" if is_ours else f"mem0:{name}"
        self._order = IdOrder()
        self.embedding_model_dims = asking.dims_of(self._await()) or self.embedding_model_dims
        self._most_found = self._limit()

    # --- The index ---

    def _limit(self) -> int:
        """How many points the server finds at most with one query."""
        for command in asking.LIMITS:
            with suppress(VectorStoreError):  # Not every user may ask this.
                limit = asking.limit_of(self._connection.ask(command)[0])
                if limit is not None:
                    return limit
        return asking.SURELY_FOUND

    def _await(self, grace_s: float = 0.0) -> Any:
        """Waits until the index has seen every hash.

        Args:
            grace_s: how long another program gets to make it if there is none, before it is made
                here.

        Returns:
            What the server says about it.

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
                    return about
            if time.monotonic() > begun + FILLED_WITHIN_S:
                raise VectorStoreError(
                    f"vector_store redis: the index {self._index!r} is still being filled",
                    suggestion="Look at FT.INFO, and try again when it has seen every key.",
                )
            time.sleep(_PAUSE_S)

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

        Raises:
            VectorStoreError: it was made anew for vectors of another length, and so finds none of
                the memories that it found before.
        """
        while True:
            try:
                about, *answers = self._connection.write(asking.about(self._index), *commands)
            except NoIndexError:
                pass
            else:
                self._check_dims(about)
                if not asking.is_filling(about):
                    return answers
            self._await(_GRACE_S)

    def _check_dims(self, about: Any) -> None:
        dims = asking.dims_of(about)
        if dims not in (None, self.embedding_model_dims):
            raise VectorStoreError(
                f"vector_store redis: another program has made the index {self._index!r} anew, for "
                f"vectors with {dims} dimensions instead of {self.embedding_model_dims}",
                suggestion="Give both programs the same embedder, and open both again.",
            )

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
        for ids in in_parts([*self._every_id()], _PAGE):
            self._connection.write(["UNLINK", *map(self._key, ids)])
        with suppress(NoIndexError):  # The answer to the first try was lost.
            self._connection.ask(["FT.DROPINDEX", self._index])

    # --- Writing ---

    def _put(self, points: Sequence[Commands]) -> None:
        self._connection.write(*(command for point in points for command in point))

    def _point(self, point_id: str, vector: Vector, payload: Payload) -> Commands:
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
        """Replaces payloads and removes points, in one MULTI.

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
        return {VECTOR: stored} if _has_direction(stored) else {}

    def _vector(self, vector: Vector) -> bytes:
        return _floats(array("f", self._checked(vector)).tobytes()).tobytes()

    # --- Reading ---

    def _read(self, ids: Sequence[str]) -> Hits:
        names = [*map(canonical_id, ids)]
        found = zip(names, self._fields(names, READ), strict=True) if names else ()
        return [EngineHit(name, payload_of(fields)) for name, fields in found if ID in fields]

    def _fields(self, ids: Sequence[str], names: Sequence[str]) -> Iterator[Fields]:
        reads: Commands = [["HMGET", self._key(each), *names] for each in ids]
        return (asking.named(names, row) for row in self._connection.ask(*reads))

    def _asked(self, group: Group | None) -> Narrowed:
        return asking.narrowed(group)

    def _listed(self, group: Group | None, asked: Narrowed, top_k: int | None) -> Hits:
        """As mem0 lists them: newest first."""
        newest = partial(asking.newest, self._index, asked)
        wanted = sys.maxsize if top_k is None else top_k
        return self._first_passing([newest], group, asked, wanted)[0]

    def _nearest(
        self, vectors: Vectors, top_k: int, group: Group | None, asked: Narrowed
    ) -> Sequence[Hits]:
        asks = [self._near(asked, self._vector(vector)) for vector in vectors]
        return [*map(self._measured, self._first_passing(asks, group, asked, top_k))]

    @property
    def finds_words(self) -> bool:
        """Whether there is a keyword search; the option `keyword_search` turns it off."""
        return bool(self._options["keyword_search"])

    def _matching(self, query: str, top_k: int, group: Group | None, asked: Narrowed) -> Hits:
        """The points with words of a query, by mem0's rank."""
        return _worded(self._first_passing(self._ranked(asked, query), group, asked, top_k))

    def _both(
        self, vector: list[float], lemmas: str, top_k: int, group: Group | None, asked: Narrowed
    ) -> tuple[Hits, Hits | None]:
        """In one round trip."""
        words = self._ranked(asked, lemmas) if self.finds_words else []
        asks = [self._near(asked, self._vector(vector)), *words]
        nearest, *ranked = self._first_passing(asks, group, asked, top_k)
        return self._measured(nearest), _worded(ranked) if self.finds_words else None

    def _near(self, asked: Narrowed, vector: bytes) -> Ask:
        """What finds the points nearest to a vector; all are as far from a vector of zeros."""
        if _has_direction(vector):
            return partial(asking.nearest, self._index, asked, vector)
        return partial(asking.newest, self._index, asked)

    def _ranked(self, asked: Narrowed, query: str) -> Asks:
        """What finds the points with words of a query; empty if there is nothing to look for."""
        words = asking.words_of(query)
        return [partial(asking.ranked, self._index, asked, words)] if words else []

    def _measured(self, hits: Hits) -> Hits:
        """Hits with the score that their distance is; 1.0 if there was none to a vector."""
        for hit in hits:
            distance = 1.0 if hit.score is None else hit.score
            hit.score = distance if self._options["scores"] == "distance" else 1.0 - distance
        return hits

    def _first_passing(
        self, asks: Sequence[Ask], group: Group | None, asked: Narrowed, top_k: int
    ) -> HitsOfEach:
        """The first `top_k` hits of each that pass: more and more are asked for until they are
        found, or all have been looked at, those included that one query cannot find.
        """
        found: dict[int, Hits] = {}
        read: Read = {}
        passes = decider(group)
        limit = first_asked(top_k, is_exact=asked.is_scope)
        while len(found) < len(asks):
            limit = min(limit, self._most_found)
            left = [number for number in range(len(asks)) if number not in found]
            answers = self._found(*(asks[number](limit) for number in left))
            for number, answer in zip(left, answers, strict=True):
                hits = self._hits(asking.rows_of(answer), passes, read)
                if len(hits) < top_k and asking.count_of(answer) == limit:
                    if limit < self._most_found:
                        continue
                    hits += self._beyond(asks[number], hits, passes, read)
                found[number] = hits[:top_k]
            limit *= WIDER
        return [found[number] for number in range(len(asks))]

    def _beyond(self, ask: Ask, hits: Hits, passes: Passes, read: Read) -> Hits:
        """What passes and one query has not found, since the server finds only so many with one.

        Every point is read to know which pass, and these are asked for part by part.

        Args:
            hits: what has been found.
            read: as for `_hits`.
        """
        for ids in in_parts([*self._every_id()], _PAGE):
            for name, fields in zip(ids, self._fields(ids, READ), strict=True):
                key = self._key(name)
                if ID in fields and key not in read:
                    read[key] = self._passing(key, fields, passes)
        seen = {hit.id for hit in hits}
        keys = [key for key, known in read.items() if known is not None and known[0] not in seen]
        rows: list[Row] = []
        for some in in_parts(keys, min(_PAGE, self._most_found)):
            [answer] = self._found(asking.among(ask(len(some)), some))
            rows += asking.rows_of(answer)
        return self._hits(sorted(rows, key=asking.order_of), passes, read)

    def _hits(self, rows: Iterable[Row], passes: Passes, read: Read) -> Hits:
        """The points that pass.

        Args:
            read: what the same call has read before, by key: None does not pass.
        """
        hits = []
        for key, fields in rows:
            if key not in read:
                read[key] = self._passing(key, fields, passes)
            known = read[key]
            if known is not None:
                distance = fields.get(asking.DISTANCE)
                hits.append(EngineHit(*known, float(distance) if distance else None))
        return hits

    def _passing(self, key: bytes, fields: Fields, passes: Passes) -> tuple[str, Payload] | None:
        """Id and payload, if they pass. What is another collection's is not looked at."""
        name = text_of(fields.get(ID))
        if key != self._key(name):
            return None
        payload = payload_of(fields)
        return (name, payload) if passes(payload) else None

    # --- Every point ---

    def points(self, after: str, limit: int) -> Points:
        """The next points behind an id, ordered by id, with their vectors of length 1."""
        return self._order.after(after, limit, self._every_id, self._points_of)

    def _points_of(self, ids: Sequence[str]) -> Points:
        found = zip(ids, self._fields(ids, (*READ, VECTOR)), strict=True)
        zeros = bytes(4 * self.embedding_model_dims)
        return [
            (name, payload_of(fields), _unit(fields.get(VECTOR, zeros)))
            for name, fields in found
            if ID in fields
        ]

    def _every_id(self) -> set[str]:
        """The ids of all points that are there from beginning to end, whatever others change.

        An index is not asked: it counts a hash anew whenever it changes, so that a cursor passes
        over some. If a part of the answer is lost, the listing begins again: another server, or one
        that has restarted, reads the cursor in its own way.
        """
        tries = _TRIES
        keys: set[bytes] = set()
        following = partial(asking.next_keys, self._prefix, at_once=_PAGE)
        while True:
            cursor, part = self._connection.ask(following(0))[0]
            keys.update(part)
            try:
                while cursor:
                    cursor, part = self._connection.ask_once(following(cursor))
                    keys.update(part)
            except VectorStoreError as error:
                tries -= 1
                if not tries:
                    raise
                log.warning("The ids of all points are asked for again: %s", error)
            else:
                return {name for some in in_parts([*keys], _PAGE) for name in self._own_ids(some)}

    def _own_ids(self, keys: Sequence[bytes]) -> Iterator[str]:
        """The ids of the points with these keys, without those of other collections."""
        prefix = self._key("")
        reads: Commands = [["HGET", key, ID] for key in keys]
        found = zip(keys, self._connection.ask(*reads), strict=True)
        own = (name for key, name in found if name is not None and key == prefix + name)
        return (name.decode("utf-8", "surrogatepass") for name in own)


def _worded(found: HitsOfEach) -> Hits:
    """The hits of a keyword search, with the score that all of them get."""
    return [EngineHit(hit.id, hit.payload, _RANK) for hits in found for hit in hits]


def _encoded(name: str) -> bytes:
    return name.encode("utf-8", "surrogatepass")


def _pairs(fields: Mapping[str, bytes]) -> list[bytes | str]:
    return [word for pair in fields.items() for word in pair]


def _has_direction(stored: bytes) -> bool:
    return any(_floats(stored))  # Some bytes of -0.0 are not 0.


def _unit(stored: bytes) -> Vector:
    return array("f", unit_vector(_floats(stored), None))


def _floats(stored: bytes) -> array[float]:
    numbers = array("f", stored)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
