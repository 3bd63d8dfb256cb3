"""Scopes: their rows in the database, and the vectors and terms of those in use in memory.

Whoever changes a scope raises its version in the same transaction, and so waits for others that
change it. A scope in memory knows its version. One statement compares the two, and brings what was
added or changed since, or the whole scope if a point was removed.
"""

from __future__ import annotations

import json
import threading
from itertools import combinations

from isomem.errors import ValidationError
from isomem.store.cache import Scope
from isomem.store.row_keys import SEQ_BITS, SEQ_MASK
from isomem.stores.postgres.escaped import check_length, escaped, fits
from isomem.types import SCOPE_KEYS, is_unicode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from isomem.store.context import Context
    from isomem.store.row_keys import Ids
    from isomem.stores.postgres.connections import Row
    from isomem.stores.postgres.database import Database
    from isomem.stores.postgres.transactions import Transaction

    Key = tuple[int, str | None, str | None, str | None, str]

_RAISE = (
    "UPDATE scopes SET version = version + 1 WHERE collection = ? AND name = ?"
    " RETURNING number, version"
)
_MAKE = (
    f"INSERT INTO scopes (collection, name, {', '.join(SCOPE_KEYS)}) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (collection, name) DO UPDATE SET version = scopes.version + 1"
    " RETURNING number, version"
)
_REMOVE_FROM = (
    "UPDATE scopes SET version = version + 1, removed = version + 1 WHERE number = ANY(?)"
)
_DROP = (
    "DELETE FROM scopes AS s WHERE s.number = ANY(?)"
    " AND NOT EXISTS (SELECT 1 FROM points AS p WHERE p.scope = s.number)"
)
_CHANGED = (
    "WITH k AS (SELECT * FROM unnest(?::bigint[], ?::bigint[]) AS k (number, version)),"
    " other AS (SELECT EXISTS (SELECT 1 FROM k LEFT JOIN scopes AS s ON s.number = k.number"
    " AND s.collection = ? WHERE s.number IS NULL OR s.removed > k.version) AS is_other),"
    " s AS (SELECT s.number, s.version, is_other,"
    " CASE WHEN is_other THEN -1 ELSE coalesce(k.version, -1) END AS known"
    " FROM scopes AS s LEFT JOIN k ON k.number = s.number, other WHERE {where})"
    " SELECT s.is_other, s.number, s.version, p.seq, p.id, {vector}, coalesce(p.terms, ''),"
    " {payload}"
    " FROM s LEFT JOIN points AS p ON p.scope = s.number AND p.version > s.known"
    " AND s.version > s.known"
)
"""What is new since some versions of scopes; everything, if a point was removed since."""
WRITING = "LOCK TABLE scopes IN ROW EXCLUSIVE MODE"
ALONE = "LOCK TABLE scopes IN SHARE ROW EXCLUSIVE MODE"
"""Whoever writes points or their counts has taken the first lock before looking at them, as every
change of a scope does by itself, and holds it until the end. Whoever holds the second one sees all
that they write, or comes before it."""
_WIDTH_1 = "decode('00000000', 'hex')"
_HOLD = "SELECT pg_advisory_xact_lock(hashtextextended(?, 0))"
_HOLD_SHARED = "SELECT pg_advisory_xact_lock_shared(hashtextextended(?, 0))"
WHOLE, VECTORS, TERMS = "whole", "vectors", "terms"
"""What of points is in memory: everything, no payloads, or terms alone."""
_COLUMNS = {
    WHOLE: ("p.vector", "p.payload"),
    VECTORS: ("p.vector", "NULL"),
    TERMS: (_WIDTH_1, "NULL"),
}
_TEXT_BYTES = 60
"""What a text takes beside its characters."""
_NOT_CACHED = -1
"""What counts for a scope that is not in the cache."""
_ROWS_AT_ONCE = 100
"""Few enough for all of them to stay in the processor's cache."""


def in_scopes(collection: int, ids: Mapping[str, Any]) -> tuple[str, tuple[Any, ...]]:
    """The condition on `s` for the scopes that have all these ids, and its bindings."""
    values = [str(value) for value in ids.values()]
    if not all(map(is_unicode, values)):
        return "false", ()  # No stored id is like this.
    named = "".join(f"s.{key} = ? AND " for key in ids)
    return f"{named}s.collection = ?", (*map(escaped, values), collection)


def row_key_of(scope: int, seq: int) -> int:
    """A point as one number."""
    return scope << SEQ_BITS | seq


def place_of(row_key: int) -> tuple[int, int]:
    """The number of the scope of a row key, and its insertion order."""
    return row_key >> SEQ_BITS, row_key & SEQ_MASK


def columns_of(row_keys: Iterable[int]) -> tuple[list[int], list[int]]:
    """Row keys as the numbers of scopes and the insertion orders."""
    places = [place_of(row_key) for row_key in row_keys]
    return [scope for scope, _ in places], [seq for _, seq in places]


_WHAT = "the ids of a scope"


def _checked(value: str) -> str:
    if is_unicode(value):
        return value
    raise ValidationError(
        f"{value!r:.60} cannot be stored as an id of a scope",
        error_code="VALIDATION_005",
        suggestion="Leave lone surrogates out of it.",
    )


class ScopeTable:
    """The rows of scopes. Runs in the caller's transaction, which others then wait for."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def change(self, collection: int, ids: Ids) -> tuple[int, int]:
        """The number and the new version of a scope, which is made if it is not there.

        Raises:
            ValidationError: VALIDATION_005, an id cannot be stored, or they are too long.
        """
        name = json.dumps(ids)
        found = self._database.rows(_RAISE, (collection, name))
        if not found:
            check_length(name, _WHAT)
            found = self._database.rows(_MAKE, (collection, *self.row_of(ids)))
        number, version = found[0]
        self._database.current.dirty.add(number)
        return number, version

    def row_of(self, ids: Ids) -> Sequence[str | None]:
        """The name of a scope, and its ids as they are stored.

        Raises:
            ValidationError: VALIDATION_005, an id cannot be stored.
        """
        stored = (None if value is None else escaped(_checked(value)) for value in ids)
        return [json.dumps(ids), *stored]

    def may_be_new(self, ids: Ids) -> bool:
        """Whether a scope with these ids can be made. Others were perhaps made by earlier versions.

        Each id has an index of its own, but is shorter than all of them together.
        """
        return fits(json.dumps(ids))

    def remove_from(self, numbers: Sequence[int]) -> None:
        """Marks scopes from which points are about to be removed."""
        self._database.current.dirty.update(numbers)
        self._database.execute(_REMOVE_FROM, (sorted(numbers),))

    def hold(self, collection: int, ids: Mapping[str, str]) -> None:
        """Keeps others from holding a scope that has all these ids, or one whose ids these have.

        It waits for those that do. What they have stored is seen from then on; other scopes with
        some of these ids are not waited for.
        """
        pairs = sorted(ids.items())
        parts = (some for size in range(1, len(pairs) + 1) for some in combinations(pairs, size))
        for part in sorted(parts):  # All in one order: nobody waits for who waits for them.
            sql = _HOLD if len(part) == len(pairs) else _HOLD_SHARED
            self._database.execute(sql, (json.dumps([collection, part]),))

    def drop_empty(self, numbers: Sequence[int]) -> None:
        """Removes those of these scopes that have no points left."""
        self._database.execute(_DROP, (sorted(numbers),))


class LoadedScope(Scope):
    """A scope with the payloads of its points.

    Attributes:
        payloads: as JSON, by row key.
    """

    __slots__ = ("_payload_bytes", "payloads")

    def __init__(self) -> None:
        super().__init__()
        self.payloads: dict[int, str] = {}
        self._payload_bytes = 0
        self.counted_bytes = _NOT_CACHED

    @property
    def size_bytes(self) -> int:
        """What it takes, at most."""
        return super().size_bytes + self._payload_bytes

    def keep(self, row_key: int, text: str) -> None:
        """Stores the payload of a point, in place of an older one."""
        self._payload_bytes += len(text) + _TEXT_BYTES
        if row_key in self.payloads:
            self._payload_bytes -= len(self.payloads[row_key]) + _TEXT_BYTES
        self.payloads[row_key] = text


class CachedScope:
    """A scope in memory, and the versions of the scopes of the database that it is made of.

    Attributes:
        latest: the insertion order of its latest point.
        pins: how many transactions look at it.
        server: from which it was read. One that took over, or whose data was restored, may have
            other points under the same versions.
    """

    __slots__ = ("latest", "pins", "scope", "server", "versions")

    def __init__(self, versions: dict[int, int], server: str) -> None:
        self.scope = LoadedScope()
        self.versions = versions
        self.latest = 0
        self.pins = 0
        self.server = server


class ScopeCache:
    """The most recently used scopes, up to a number of bytes. Threads share it.

    Args:
        max_bytes: 0 turns the cache off.
    """

    def __init__(self, database: Database, max_bytes: int) -> None:
        self._database = database
        self._max_bytes = max_bytes
        self.restart()

    def restart(self) -> None:
        """Begins empty. In a forked child, a thread that is not there may have the lock."""
        self._lock = threading.Lock()
        self._cached: dict[Key, CachedScope] = {}
        self._size_bytes = 0

    def load(self, collection: int, ids: Mapping[str, str], what: str) -> Scope:
        """The points that have all these ids, as the caller's transaction sees them.

        Args:
            what: of them; see `WHOLE`.
        """
        transaction = self._database.current
        key = _key(collection, ids, what)
        scope = transaction.loaded.get(key)
        if scope is None:
            scope = self._load(transaction, key, ids)
            if not transaction.writes:
                transaction.loaded[key] = scope
        return scope

    def expect(self, collection: int, ids: Mapping[str, str], what: str) -> None:
        """Has what is new of a scope brought together with what the caller's block asks first."""
        key = _key(collection, ids, what)
        cached = self._cached.get(key)
        if cached is None or not cached.scope.ids or cached.versions:
            self._database.expect(*_question(key, ids, cached.versions if cached else {}))
        # Otherwise another thread is bringing it up to date, and nothing is known of it.

    def has(self, collection: int, ids: Mapping[str, str], what: str) -> bool:
        """Whether a scope is in memory, and had points when it was last looked at."""
        cached = self._cached.get(_key(collection, ids, what))
        return cached is not None and bool(cached.scope.ids)

    def _load(self, transaction: Transaction, key: Key, ids: Mapping[str, str]) -> Scope:
        cached = self._pin(transaction, key)
        known = cached.versions if cached else {}
        changes = self._changes(key, ids, known)
        if cached is not None and known:
            if cached.server == transaction.server:
                if not changes.rows and changes.versions == known:
                    return cached.scope
                is_shared = transaction.has_left(key[0], changes.versions)
                if is_shared and changes.follow(known) and self._extend(cached, changes):
                    return cached.scope
            if not changes.is_whole:
                changes = self._changes(key, ids, {})
        new = CachedScope(changes.versions, transaction.server)
        changes.add_to(new)
        if transaction.has_left(key[0], changes.versions):
            self._put(key, new, transaction)
        return new.scope

    def _changes(self, key: Key, ids: Mapping[str, str], known: dict[int, int]) -> Changes:
        return Changes(self._database.rows(*_question(key, ids, known)))

    def _pin(self, transaction: Transaction, key: Key) -> CachedScope | None:
        with self._lock:
            cached = self._cached.pop(key, None)
            if cached is not None:
                self._cached[key] = cached
                self._hold(cached, transaction)
            return cached

    def _hold(self, cached: CachedScope, transaction: Transaction) -> None:
        cached.pins += 1
        transaction.pinned.append(cached)

    def release(self, pinned: Sequence[CachedScope]) -> None:
        """Lets go of the scopes of a transaction that has ended."""
        if pinned:
            with self._lock:
                for cached in pinned:
                    cached.pins -= 1

    def _extend(self, cached: CachedScope, changes: Changes) -> bool:
        """Brings a scope up to date, unless another transaction looks at it."""
        with self._lock:
            if cached.pins > 1:
                return False
            # Without versions meanwhile: one that is changed by half is never used again.
            cached.versions = {}
            changes.add_to(cached)
            cached.versions = changes.versions
            self._count(cached.scope)
            return True

    def _put(self, key: Key, new: CachedScope, transaction: Transaction) -> None:
        with self._lock:
            old = self._cached.get(key)
            if new.scope.size_bytes > self._max_bytes or (old and _is_newer(old, new)):
                return
            self._evict(key)
            self._cached[key] = new
            self._hold(new, transaction)
            new.scope.counted_bytes = 0
            self._count(new.scope)

    def take_context(self, scope: Scope) -> Context | None:
        """The context of a scope, for the one thread that brings it up to date."""
        with self._lock:
            context, scope.context = scope.context, None
            return context

    def keep_context(self, scope: Scope, context: Context) -> None:
        """Keeps the context of a scope, and counts what it takes."""
        with self._lock:
            scope.context, scope.has_context = context, True
            self._count(scope)

    def _count(self, scope: Scope) -> None:
        """Counts what a scope takes now, if it is cached; those used longest ago make room."""
        if scope.counted_bytes == _NOT_CACHED:
            return
        before, scope.counted_bytes = scope.counted_bytes, scope.size_bytes
        self._size_bytes += scope.counted_bytes - before
        while self._cached and self._size_bytes > self._max_bytes:
            self._evict(next(iter(self._cached)))

    def _evict(self, key: Key) -> None:
        evicted = self._cached.pop(key, None)
        if evicted is not None:
            self._size_bytes -= evicted.scope.counted_bytes
            evicted.scope.counted_bytes = _NOT_CACHED

    def clear(self) -> None:
        """Evicts everything."""
        with self._lock:
            for key in [*self._cached]:
                self._evict(key)


def _key(collection: int, ids: Mapping[str, str], what: str) -> Key:
    user, agent, run = map(ids.get, SCOPE_KEYS)
    return collection, user, agent, run, what


def _question(
    key: Key, ids: Mapping[str, str], known: Mapping[int, int]
) -> tuple[str, tuple[Any, ...]]:
    where, bindings = in_scopes(key[0], ids)
    vector, payload = _COLUMNS[key[-1]]
    versions = ([*known], [*known.values()], key[0])
    sql = _CHANGED.format(where=where, vector=vector, payload=payload)
    return sql, (*versions, *bindings)


def _is_newer(one: CachedScope, other: CachedScope) -> bool:
    """Whether one copy of a scope may know of later changes than another, of the same server."""
    return one.server == other.server and any(
        version > other.versions.get(number, version) for number, version in one.versions.items()
    )


class Changes:
    """What a statement says about the points of some scopes.

    Attributes:
        versions: of these scopes.
        rows: the points that are new or changed: scope, insertion order, id, vector, terms,
            payload.
        is_whole: whether these are all points, since some were removed.
    """

    def __init__(self, found: Sequence[Row]) -> None:
        self.versions: dict[int, int] = {}
        self.rows: list[Row] = []
        self.is_whole = not found
        for is_whole, number, version, *point in found:
            self.is_whole = is_whole
            self.versions[number] = version
            if point[0] is not None:
                self.rows.append((number, *point))

    def follow(self, known: Mapping[int, int]) -> bool:
        """Whether a scope of the known versions only has to be given the rows.

        Another thread may have brought it to a state that this transaction does not see yet.
        """
        return not self.is_whole and all(
            version <= self.versions.get(number, -1) for number, version in known.items()
        )

    def add_to(self, cached: CachedScope) -> None:
        """Brings a scope up to date."""
        new = []
        for *found, text in self.rows:
            row, seq = _loaded(found), found[1]
            if text is not None:
                cached.scope.keep(row[0], text)
            if seq > cached.latest or not _replaced(cached.scope, row):
                new.append(row)
        _extend(cached.scope, new)
        cached.latest = max([cached.latest, *(row[1] for row in self.rows)])


def scope_of_rows(rows: Sequence[Row]) -> Scope:
    """Points as a scope: number of the scope, insertion order, id, vector and terms of each."""
    scope = Scope()
    _extend(scope, [*map(_loaded, rows)])
    return scope


def _loaded(row: Sequence[Any]) -> tuple[int, str, bytes, bytes]:
    number, seq, point_id, vector, terms = row
    return row_key_of(number, seq), point_id, bytes(vector), bytes(terms)


def _extend(scope: Scope, rows: list[tuple[int, str, bytes, bytes]]) -> None:
    rows.sort()
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        scope.extend(rows[start : start + _ROWS_AT_ONCE])


def _replaced(scope: Scope, row: tuple[int, str, bytes, bytes]) -> bool:
    """Replaces a point of a scope; False if it is not there."""
    try:
        scope.replace(row)
    except ValueError:
        return False
    return True
