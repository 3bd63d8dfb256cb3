"""pgvector: a table for each collection, in PostgreSQL with the extension of that name.

The tables are those of mem0 2.0.4 (id, vector, payload), and keywords are searched as it does, so
that both can use the same tables at the same time. Every write can be done twice without harm, so
it is done again after a lost connection.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from isomem import log
from isomem.config import store_table
from isomem.contract.filters import Condition
from isomem.errors import InvalidConfigError, VectorValueError
from isomem.options import read_table
from isomem.store.row_keys import split_scope
from isomem.stores.engine import (
    MOST_ASKED,
    EngineHit,
    EngineStore,
    first_asked,
    first_passing,
    passing,
    uuid_of,
)
from isomem.stores.engine_calls import wrong_name
from isomem.stores.pgvector_payloads import is_kept_apart, packed, unpacked
from isomem.stores.postgres.filters import compile_jsonb
from isomem.types import SCOPE_KEYS, is_unicode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from isomem.contract.filters import Group
    from isomem.ports.shapes import Hit, Payload, Vector
    from isomem.stores.engine import Whole
    from isomem.stores.engine_calls import Options
    from isomem.stores.postgres.connections import Row
    from isomem.stores.postgres.database import Database

    Rows = list[Row]
    Hits = list[EngineHit]
    Vectors = list[list[float]]
    Answers = list[Hits]
    Point = tuple[str, str, str]
    """Of a point: its id, its vector and its payload, as text."""

PGVECTOR_OPTIONS = store_table("pgvector")

_LOCK = 0x70677665
_LONGEST = 52
"""Of 63 bytes, "_entities" takes nine. Of the names of indexes of that table, which are cut at 63
bytes, two have to be left to tell them apart."""
_MOST_DIMENSIONS = 16_000
_LONGEST_QUERY = 20_000
"""Characters, which are 15,000 words at the most. From some 16,000 words on, the server fails."""
_NO_TEXTS = "('number', 'boolean', 'object', 'array')"
_TEXT = "to_tsvector('simple', payload->>'text_lemmatized')"
_PLAIN = ("host", "port", "user", "password", "dbname", "sslmode")


def read(config: Mapping[str, object] | None) -> Options:
    """The options, checked.

    Raises:
        InvalidConfigError: one is unknown or wrong.
        DependencyError: psycopg is not installed.
    """
    from isomem.providers.extras import require

    options = read_table(config, PGVECTOR_OPTIONS, "vector_store.config")
    require("psycopg", "postgres", "vector_store pgvector")
    require("psycopg_pool", "postgres", "vector_store pgvector")
    from isomem.stores.postgres.target import check_pool

    _check_name(options["collection_name"])
    check_pool(options, "minconn", "maxconn")
    return options


class Asked(NamedTuple):
    """What the server is asked.

    Attributes:
        where: a condition that every point fulfils that passes, and perhaps others.
        bindings: its bindings.
        is_exact: whether no others fulfil it.
    """

    where: str
    bindings: Sequence[Any]
    is_exact: bool


class PgvectorStore(EngineStore):
    """One collection; see `PGVECTOR_OPTIONS`. The server makes the words of a search.

    Raises:
        DatabaseError: the server cannot be reached, or has no extension `vector`.
    """

    table = PGVECTOR_OPTIONS
    check = staticmethod(read)
    embedding_model_dims: int
    _connection: Database

    def _opened(self) -> Database:
        return _opened(self._options)

    # --- The collection ---

    @property
    def _name(self) -> str:
        """The table, as SQL spells it."""
        return _quoted(self.collection_name)

    def create_col(self) -> None:
        """Makes the table and its indexes if they do not exist."""
        self._prepare()

    def _prepare(self) -> None:
        if self.collection_name not in self.list_cols():
            self._connection.repeat(partial(self._make, self.embedding_model_dims))
        self._learn_dims()

    def reset(self) -> None:
        """Removes every point, by making the table anew; others see the old one or the new one."""
        dims = self._named_dims or self.embedding_model_dims
        self._connection.repeat(partial(self._make, dims, anew=True))
        self._learn_dims()

    def _learn_dims(self) -> None:
        sql = "SELECT atttypmod FROM pg_attribute WHERE attrelid = ?::regclass AND attname = ?"
        found = self._rows(sql, (self._name, "vector"))
        if found and found[0][0] > 0:
            self.embedding_model_dims = found[0][0]

    def _make(self, dims: int, *, anew: bool = False) -> None:
        _check_dims(dims, is_indexed=self._options["hnsw"])
        name, database = self.collection_name, self._connection
        database.execute("SELECT pg_advisory_xact_lock(?)", (_LOCK,))  # One makes it, others wait.
        database.execute("CREATE EXTENSION IF NOT EXISTS vector")
        if anew:
            database.execute(f"DROP TABLE IF EXISTS {self._name}")
        database.execute(
            f"CREATE TABLE IF NOT EXISTS {self._name}"
            f" (id uuid PRIMARY KEY, vector vector({dims}), payload jsonb)"
        )
        if self._options["hnsw"]:
            database.execute(
                f"CREATE INDEX IF NOT EXISTS {_quoted(f'{name}_hnsw_idx')} ON {self._name}"
                " USING hnsw (vector vector_cosine_ops)"
            )
        database.execute(
            f"CREATE INDEX IF NOT EXISTS {_quoted(f'{name}_text_lemmatized_idx')}"
            f" ON {self._name} USING gin ({_TEXT})"
        )
        for key in SCOPE_KEYS:
            database.execute(
                f"CREATE INDEX IF NOT EXISTS {_quoted(f'{name}_{key}_idx')} ON {self._name}"
                f" ((payload->>'{key}'))"
            )

    def list_cols(self) -> list[str]:
        """The names of the tables where collections are."""
        sql = (
            "SELECT table_name FROM information_schema.tables"
            " WHERE table_schema = ANY(current_schemas(false))"
        )
        return [row[0] for row in self._rows(sql)]

    def col_info(self) -> dict[str, Any]:
        """Name, number of points and size of the collection."""
        size = "pg_size_pretty(pg_total_relation_size(?::regclass))"
        sql = f"SELECT count(*), {size} FROM {self._name}"
        count, size = self._rows(sql, (self._name,))[0]
        return {"name": self.collection_name, "count": count, "size": size}

    def delete_col(self) -> None:
        """Removes the table."""
        self._write(f"DROP TABLE IF EXISTS {self._name}")

    def _write(self, sql: str, bindings: Sequence[Any] = ()) -> None:
        """Carries a statement out, again if the connection was lost: it can be done twice."""
        self._connection.repeat(lambda: self._connection.execute(sql, bindings))

    # --- Writing ---

    def _point(self, point_id: object, vector: Vector, payload: Payload) -> Point:
        return _uuid(point_id), self._vector(vector), packed(payload)

    def _written_at_once(self, count: int) -> int:
        return count  # In one statement: all or none.

    def _put(self, points: Sequence[Point]) -> None:
        sql = (
            f"INSERT INTO {self._name} (id, vector, payload)"
            " SELECT i::uuid, v::vector, p::jsonb"
            " FROM unnest(?::text[], ?::text[], ?::text[]) AS n (i, v, p)"
            " ON CONFLICT (id) DO UPDATE SET vector = excluded.vector, payload = excluded.payload"
        )
        rows = {point[0]: point for point in points}.values()  # Of equal ids, the last one.
        self._write(sql, [*map(list, zip(*rows, strict=True))])

    def update(
        self, vector_id: str, vector: Vector | None = None, payload: Payload | None = None
    ) -> None:
        """Replaces the vector of a point, or its payload, or both.

        Raises:
            VectorValueError: the id is not a UUID; or as `insert`.
            ValidationError: as `batch`.
        """
        given = {
            "vector = ?::vector": None if vector is None else self._vector(vector),
            "payload = ?::jsonb": None if payload is None else packed(payload),
        }
        changes = {change: value for change, value in given.items() if value is not None}
        if changes:
            sql = f"UPDATE {self._name} SET {', '.join(changes)} WHERE id = ?::uuid"
            bindings = (*changes.values(), _uuid(vector_id))
            self._write(sql, bindings)

    def batch(self, payloads: Sequence[tuple[str, Payload]], removed: Sequence[str] = ()) -> None:
        """Replaces payloads and removes points, all or none.

        Raises:
            VectorValueError: an id is not a UUID.
            ValidationError: a payload cannot be written as JSON, or not be stored as JSONB.
        """
        sql = (
            f"WITH gone AS (DELETE FROM {self._name} WHERE id = ANY(?::uuid[]))"
            f" UPDATE {self._name} AS t SET payload = n.payload::jsonb"
            " FROM unnest(?::uuid[], ?::text[]) AS n (id, payload) WHERE t.id = n.id"
        )
        last = {_uuid(point_id): packed(payload) for point_id, payload in payloads}
        bindings = ([*map(_uuid, removed)], [*last], [*last.values()])
        self._write(sql, bindings)

    def delete(self, vector_id: str) -> None:
        """Removes a point; nothing happens if it is not there.

        Raises:
            VectorValueError: the id is not a UUID.
        """
        self._write(f"DELETE FROM {self._name} WHERE id = ?::uuid", (_uuid(vector_id),))

    def _vector(self, vector: Vector) -> str:
        return str(self._checked(vector))

    # --- Reading ---

    def points(self, after: str, limit: int) -> Sequence[Whole]:
        """The next points behind an id, ordered by id, with their vectors; "" begins.

        Raises:
            VectorValueError: the id is not a UUID.
        """
        behind, last = ("WHERE id > ?::uuid", [_uuid(after)]) if after else ("", [])
        sql = f"SELECT id, payload, vector::real[] FROM {self._name} {behind} ORDER BY id LIMIT ?"
        rows = self._rows(sql, (*last, limit))
        return [(str(point_id), unpacked(payload), vector) for point_id, payload, vector in rows]

    def _read(self, ids: Sequence[str]) -> Hits:
        usable = [name for name in map(uuid_of, ids) if name is not None]
        sql = f"SELECT id, payload FROM {self._name} WHERE id = ANY(?::uuid[])"
        return [_hit(*row) for row in self._rows(sql, (usable,))] if usable else []

    def _listed(self, group: Group | None, asked: Asked, top_k: int | None) -> Hits:
        sql = f"SELECT id, payload FROM {self._name} WHERE {asked.where} LIMIT ?"
        return self._first(sql, asked.bindings, group, asked, top_k or MOST_ASKED)

    def _nearest(
        self, vectors: Vectors, top_k: int, group: Group | None, asked: Asked
    ) -> Sequence[Hits]:
        given = [*map(str, vectors)]
        if len(given) > 1 and asked.is_exact:
            return self._nearest_at_once(given, top_k, group, asked)
        sql = self._near("?::vector", asked.where)
        return [
            self._first(sql, (vector, *asked.bindings), group, asked, top_k) for vector in given
        ]

    def _nearest_at_once(
        self, given: Sequence[str], top_k: int, group: Group | None, asked: Asked
    ) -> Sequence[Hits]:
        sql = (
            "SELECT n.at, near.* FROM unnest(?::text[]) WITH ORDINALITY AS n (vector, at)"
            f" CROSS JOIN LATERAL ({self._near('n.vector::vector', asked.where)}) AS near"
        )
        hits: Answers = [[] for _ in given]
        for at, *row in self._rows(sql, (given, *asked.bindings, top_k)):
            hits[at - 1].append(_hit(*row))
        return [passing(each, group) for each in hits]

    def _near(self, vector: str, where: str) -> str:
        """The statement for the points nearest to an expression; it binds a limit at its end.

        An index orders by the bare distance alone, and what passes a filter may not be in it. An
        exact search is fenced off by `OFFSET`, so that every distance is computed, and once. That
        of a vector of zeros is NaN, which would be below every threshold.
        """
        measured = "coalesce(nullif(distance, 'NaN'), 1)"
        is_distance = self._options["scores"] == "distance"
        score = measured if is_distance else f"greatest(0, 1 - {measured})"
        fence, order = ("OFFSET 0", measured) if self._options["exact"] else ("", "distance")
        return (
            f"SELECT id, payload, {score} FROM (SELECT id, payload, vector <=> {vector} AS distance"
            f" FROM {self._name} WHERE {where} {fence}) AS points ORDER BY {order} LIMIT ?"
        )

    @property
    def finds_words(self) -> bool:
        """Whether there is a keyword search."""
        return True

    def _matching(self, query: str, top_k: int, group: Group | None, asked: Asked) -> Hits:
        """The points with all words of a query, by mem0's rank."""
        if not _can_be_asked(query):
            log.warning("A query is searched without keywords: it is too long, or not Unicode")
            return []
        sql, bindings = self._ranked(query, asked)
        return self._first(sql, bindings, group, asked, top_k)

    def _both(
        self, vector: list[float], lemmas: str, top_k: int, group: Group | None, asked: Asked
    ) -> tuple[Sequence[Hit], Sequence[Hit] | None]:
        """In one round trip."""
        with self._connection.asking() as database:
            if _can_be_asked(lemmas):
                sql, bindings = self._ranked(lemmas, asked)
                limit = first_asked(top_k, is_exact=asked.is_exact)
                database.expect(sql, (*bindings, limit))
            return super()._both(vector, lemmas, top_k, group, asked)

    def _ranked(self, query: str, asked: Asked) -> tuple[str, Sequence[Any]]:
        """The statement for the points with all words of a query; it binds a limit at its end."""
        words = "plainto_tsquery('simple', ?)"
        rank = f"ts_rank_cd({_TEXT}, {words})"  # Of float4; as text it is the number that mem0 has.
        sql = (
            f"SELECT id, payload, {rank}::text::float8 FROM {self._name}"
            f" WHERE {_TEXT} @@ {words} AND {asked.where} ORDER BY {rank} DESC LIMIT ?"
        )
        query = query.replace("\0", " ")
        return sql, [query, query, *asked.bindings, query]

    def _first(
        self, sql: str, bindings: Sequence[Any], group: Group | None, asked: Asked, top_k: int
    ) -> Hits:
        """The first `top_k` points of a statement that pass; it binds a limit at its end."""

        def ask(limit: int) -> Hits:
            return [_hit(*row) for row in self._rows(sql, (*bindings, limit))]

        return first_passing(ask, group, top_k, is_exact=asked.is_exact)

    def _rows(self, sql: str, bindings: Sequence[Any] = ()) -> Rows:
        """What one statement returns; it needs no transaction."""
        with self._connection.asking() as database:
            return database.rows(sql, bindings)

    def _asked(self, group: Group | None) -> Asked:
        ids, rest = split_scope(group)
        parts: list[str] = []
        bindings: list[Any] = []
        for key, value in ids.items():
            if "\0" in value or not is_unicode(value):
                return Asked("false", (), is_exact=True)  # No stored id is like this.
            # The first is what the index is on. The second tells texts from numbers, and is written
            # so that PostgreSQL expects as many rows, and so chooses the plan, as for mem0.
            parts.append(
                f"payload->>'{key}' = ? AND jsonb_typeof(payload->'{key}') NOT IN {_NO_TEXTS}"
            )
            bindings.append(value)
        is_exact = rest is None
        if rest is not None and not _asks_for_kept_apart(rest):
            decided = compile_jsonb(rest, "payload")
            parts.append(decided.where)
            bindings += decided.bindings
            is_exact = decided.is_exact
        return Asked(" AND ".join(parts) or "true", bindings, is_exact)


def _can_be_asked(query: str) -> bool:
    """Whether the server can look for the words of a query."""
    return len(query) <= _LONGEST_QUERY and is_unicode(query)


def _asks_for_kept_apart(group: Group) -> bool:
    """Whether a condition is on a key whose value the server has under another one."""
    members = (*group.conditions, *group.alternatives, *group.exclusions)
    return any(
        is_kept_apart(str(each.path[0]))
        if isinstance(each, Condition)
        else _asks_for_kept_apart(each)
        for each in members
    )


def _hit(point_id: object, payload: object, score: float | None = None) -> EngineHit:
    return EngineHit(str(point_id), unpacked(payload), score)


def _check_name(name: str) -> None:
    """Raises InvalidConfigError unless a table and its indexes can have names made of this one."""
    if "?" in name or len(name.encode()) > _LONGEST:
        allowed = f"Take at most {_LONGEST} bytes, and no question mark."
        raise wrong_name("pgvector", name, "a table", allowed)


def _check_dims(dims: int, *, is_indexed: bool) -> None:
    """Raises InvalidConfigError if pgvector cannot store vectors of that length, or index them."""
    from isomem.stores.postgres.near import MOST_DIMENSIONS

    most = MOST_DIMENSIONS if is_indexed else _MOST_DIMENSIONS
    if dims <= most:
        return
    advice = "Choose an embedder with fewer dimensions."
    if dims <= _MOST_DIMENSIONS:
        advice = f"Set hnsw: False in vector_store.config: every vector is compared then. {advice}"
    raise InvalidConfigError(
        f"vector_store pgvector: {'an HNSW index' if is_indexed else 'a table'} has vectors of at "
        f"most {most} dimensions, these have {dims}",
        error_code="CONFIG_003",
        details={"key": "embedding_model_dims"},
        suggestion=advice,
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _uuid(point_id: object) -> str:
    name = uuid_of(point_id)
    if name is None:
        raise VectorValueError(f"vector_store pgvector: {point_id!r:.60} is not a UUID")
    return name


def _opened(options: Mapping[str, Any]) -> Database:
    from isomem.stores.postgres.connections import Connections, connected
    from isomem.stores.postgres.database import Database
    from isomem.stores.postgres.target import Target

    given = {key: options[key] for key in _PLAIN}
    if options["connection_string"] is not None:  # It takes precedence, as in mem0.
        given = {**dict.fromkeys(_PLAIN), "sslmode": options["sslmode"]}
    target = Target({
        **given, "dsn": options["connection_string"], "schema": "",
        "connect_timeout_s": options["connect_timeout_s"],
        "statement_timeout_s": options["statement_timeout_s"],
    }, "connection_string")  # fmt: skip
    connected(target).close()  # So that an error comes at once, and not after the pool's patience.
    connections = Connections(
        target,
        pool_min=options["minconn"],
        pool_max=options["maxconn"],
        connect_timeout_s=options["connect_timeout_s"],
        retry_s=options["retry_s"],
    )
    return Database(connections)
