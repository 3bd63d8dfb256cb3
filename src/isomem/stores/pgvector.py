"""pgvector: a table for each collection, in PostgreSQL with the extension of that name.

The tables are those of mem0 2.0.4 (id, vector, payload), and keywords are searched as it does, so
that both can use the same tables at the same time. Every write can be done twice without harm, so
it is done again after a lost connection.
"""

from __future__ import annotations

from isomem.config import store_table
from isomem.contract.filters import compile_filters, matches
from isomem.errors import (
    InvalidConfigError,
    ValidationError,
    VectorStoreError,
    VectorValueError,
)
from isomem.options import read_table
from isomem.store.codec import canonical_id, dump_payload, unit_vector
from isomem.store.row_keys import split_scope
from isomem.stores.postgres.filters import compile_jsonb
from isomem.types import SCOPE_KEYS, is_unicode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from isomem.contract.filters import Group
    from isomem.ports.shapes import Filters, Payload, Vector
    from isomem.stores.postgres.connections import Row
    from isomem.stores.postgres.database import Database

    Rows = list[Row]
    Ask = Callable[[int], Rows]
    Hits = list["PgvectorHit"]

PGVECTOR_OPTIONS = store_table("pgvector")

_DIMS = 1536
_LOCK = 0x70677665
_FIRST_FETCHED = 64
_LONGEST = 54
"""Of 63 bytes, the name of the table with entities takes nine."""
_SUSPECTS = ("\\u0000", "\\ud", "NaN", "Infinity")
"""Parts of JSON that the server may refuse."""
_EVERYTHING = 1_000_000_000
_TEXT = "to_tsvector('simple', payload->>'text_lemmatized')"
_PLAIN = ("host", "port", "user", "password", "dbname", "sslmode")


def read(config: Mapping[str, object] | None) -> dict[str, Any]:
    """The options, checked.

    Raises:
        InvalidConfigError: one is unknown or wrong.
        DependencyError: psycopg is not installed.
    """
    from isomem.providers.extras import require

    options = read_table(config, PGVECTOR_OPTIONS, "vector_store.config")
    require("psycopg", "postgres", "vector_store pgvector")
    require("psycopg_pool", "postgres", "vector_store pgvector")
    return options


class PgvectorHit:
    """A point that was found or listed. `score` is None if nothing was compared."""

    __slots__ = ("id", "payload", "score")

    def __init__(self, point_id: object, payload: Payload | None, score: float | None) -> None:
        self.id = str(point_id)
        self.payload: Payload = payload or {}
        self.score: Any = score


class PgvectorStore:
    """One collection.

    Args:
        config: see `PGVECTOR_OPTIONS`.
        dims: the length of the vectors, if the options do not say.
        encoder: not used: the server makes the words.

    Attributes:
        takes_any_id: the id "*" is an ordinary id, and does not mean every id.
        batches: several changes, or several searches, are one statement.

    Raises:
        DependencyError: psycopg is not installed.
        InvalidConfigError: an option is unknown or wrong.
        DatabaseError: the server cannot be reached, or has no extension `vector`.
    """

    table = PGVECTOR_OPTIONS
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
        self._options = read(config)
        _check_name(self._options["collection_name"])
        self.collection_name: str = self._options["collection_name"]
        self.embedding_model_dims: int = self._options["embedding_model_dims"] or dims or _DIMS
        self._database = _opened(self._options)
        self._owns_database = True
        try:
            self.create_col()
        except BaseException:
            self.close()
            raise

    def beside(self, name: str) -> PgvectorStore:
        """Another collection of the same database."""
        made = type(self).__new__(type(self))
        made.__dict__.update(self.__dict__, collection_name=name, _owns_database=False)
        made.create_col()
        return made

    def close(self) -> None:
        """Closes the connections, unless they belong to another collection."""
        if self._owns_database:
            self._database.close()

    # --- The collection ---

    @property
    def _name(self) -> str:
        """The table, as SQL spells it."""
        return _quoted(self.collection_name)

    def create_col(self) -> None:
        """Makes the table and its indexes if they do not exist."""
        if self.collection_name not in self.list_cols():
            self._database.repeat(self._make)
        sql = "SELECT atttypmod FROM pg_attribute WHERE attrelid = ?::regclass AND attname = ?"
        found = self._rows(sql, (self._name, "vector"))
        if found and found[0][0] > 0:
            self.embedding_model_dims = found[0][0]

    def _make(self) -> None:
        name, database = self.collection_name, self._database
        database.execute("SELECT pg_advisory_xact_lock(?)", (_LOCK,))  # One makes it, others wait.
        database.execute("CREATE EXTENSION IF NOT EXISTS vector")
        database.execute(
            f"CREATE TABLE IF NOT EXISTS {self._name}"
            f" (id uuid PRIMARY KEY, vector vector({self.embedding_model_dims}), payload jsonb)"
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
        self._database.repeat(lambda: self._database.execute(f"DROP TABLE IF EXISTS {self._name}"))

    def reset(self) -> None:
        """Removes every point, by making the table anew."""
        self.delete_col()
        self.create_col()

    # --- Writing ---

    def insert(
        self,
        vectors: list[Vector],
        payloads: list[Payload] | None = None,
        ids: list[str] | None = None,
    ) -> None:
        """Adds points, all or none. A point with a known id replaces the old one.

        Raises:
            VectorValueError: a vector has the wrong length, or contains NaN or infinity; or an id
                is not a UUID.
            ValidationError: a payload cannot be written as JSON, or not be stored as JSONB.
            VectorStoreError: the lists differ in length.
        """
        payloads = payloads if payloads is not None else [{} for _ in vectors]
        if ids is None or not len(vectors) == len(payloads) == len(ids):
            raise VectorStoreError("vectors, payloads and ids must be lists of one length")
        rows = {
            _uuid(point_id): (self._vector(vector), _dumped(payload))
            for point_id, vector, payload in zip(ids, vectors, payloads, strict=True)
        }
        if not rows:
            return
        sql = (
            f"INSERT INTO {self._name} (id, vector, payload)"
            " SELECT i::uuid, v::vector, p::jsonb"
            " FROM unnest(?::text[], ?::text[], ?::text[]) AS n (i, v, p)"
            " ON CONFLICT (id) DO UPDATE SET vector = excluded.vector, payload = excluded.payload"
        )
        columns = ([*rows], [row[0] for row in rows.values()], [row[1] for row in rows.values()])
        self._database.repeat(lambda: self._database.execute(sql, columns))

    def update(
        self, vector_id: str, vector: Vector | None = None, payload: Payload | None = None
    ) -> None:
        """Replaces the vector of a point, or its payload, or both."""
        given = {
            "vector = ?::vector": None if vector is None else self._vector(vector),
            "payload = ?::jsonb": None if payload is None else _dumped(payload),
        }
        changes = {change: value for change, value in given.items() if value is not None}
        if changes:
            sql = f"UPDATE {self._name} SET {', '.join(changes)} WHERE id = ?::uuid"
            bindings = (*changes.values(), _uuid(vector_id))
            self._database.repeat(lambda: self._database.execute(sql, bindings))

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
        last = {_uuid(point_id): _dumped(payload) for point_id, payload in payloads}
        bindings = ([*map(_uuid, removed)], [*last], [*last.values()])
        self._database.repeat(lambda: self._database.execute(sql, bindings))

    def delete(self, vector_id: str) -> None:
        """Removes a point; nothing happens if it is not there."""
        sql, bindings = f"DELETE FROM {self._name} WHERE id = ?::uuid", (_uuid(vector_id),)
        self._database.repeat(lambda: self._database.execute(sql, bindings))

    def _vector(self, vector: Vector) -> str:
        unit_vector(vector, self.embedding_model_dims)  # It raises for what cannot be stored.
        return str([float(number) for number in vector])

    # --- Reading ---

    def get(self, vector_id: str) -> PgvectorHit | None:
        """The point with that id, or None."""
        if not _is_uuid(vector_id):
            return None
        found = self._rows(
            f"SELECT id, payload FROM {self._name} WHERE id = ?::uuid", (_uuid(vector_id),)
        )
        return PgvectorHit(found[0][0], found[0][1], None) if found else None

    def list(self, filters: Filters | None = None, top_k: int | None = 100) -> tuple[Hits, None]:
        """The first `top_k` points that pass, in the order in which the table has them.

        Raises:
            ValueError: `top_k` is below 1.
        """
        where, bindings, group = self._where(filters)
        if top_k is not None and top_k < 1:
            raise ValueError(f"limit value {top_k} is invalid. Must be 1 or larger.")

        def ask(limit: int) -> Rows:
            sql = f"SELECT id, payload, NULL FROM {self._name} WHERE {where} LIMIT ?"
            return self._rows(sql, (*bindings, limit))

        return _first_passing(ask, group, _EVERYTHING if top_k is None else top_k), None

    def search(
        self, query: str, vectors: Vector, top_k: int = 5, filters: Filters | None = None
    ) -> Hits:
        """The `top_k` points nearest to a vector among those that pass, nearest first."""
        del query
        vector = self._vector(vectors)
        where, bindings, group = self._where(filters)
        sql = self._nearest("?::vector", where)
        return _first_passing(
            lambda limit: self._rows(sql, (vector, *bindings, limit)), group, top_k
        )

    def search_batch(
        self,
        queries: Sequence[str],
        vectors_list: Sequence[Vector],
        top_k: int = 1,
        filters: Filters | None = None,
    ) -> Sequence[Hits]:
        """One `search` for each vector; all in one statement if the server decides the filters."""
        where, bindings, group = self._where(filters)
        if group is not None or len(vectors_list) < 2:
            return [
                self.search(query, vector, top_k, filters)
                for query, vector in zip(queries, vectors_list, strict=True)
            ]
        given = [*map(self._vector, vectors_list)]
        sql = (
            "SELECT n.at, near.* FROM unnest(?::text[]) WITH ORDINALITY AS n (vector, at)"
            f" CROSS JOIN LATERAL ({self._nearest('n.vector::vector', where)}) AS near"
        )
        hits: list[Hits] = [[] for _ in given]
        for at, *row in self._rows(sql, (given, *bindings, top_k)):
            hits[at - 1].append(PgvectorHit(*row))
        return hits

    def _nearest(self, vector: str, where: str) -> str:
        """The statement for the points nearest to an expression; it binds a limit at its end.

        An index orders by the bare distance alone, and what passes a filter may not be in it. An
        exact search is fenced off by `OFFSET`, so that every distance is computed, and once.
        """
        is_distance = self._options["scores"] == "distance"
        score = "distance" if is_distance else "greatest(0, 1 - distance)"
        fence = "OFFSET 0" if self._options["exact"] else ""
        return (
            f"SELECT id, payload, {score} FROM (SELECT id, payload, vector <=> {vector} AS distance"
            f" FROM {self._name} WHERE {where} {fence}) AS points ORDER BY distance LIMIT ?"
        )

    def keyword_search(self, query: str, top_k: int = 5, filters: Filters | None = None) -> Hits:
        """The `top_k` points with all words of a query that pass, by mem0's rank, best first."""
        sql, bindings, group = self._ranked(query, filters)
        return _first_passing(lambda limit: self._rows(sql, (*bindings, limit)), group, top_k)

    def both(
        self, vector: Vector, lemmas: str, top_k: int, filters: Filters | None
    ) -> tuple[Hits, Hits]:
        """What `search` and `keyword_search` find, in one round trip."""
        with self._database.asking() as database:
            sql, bindings, group = self._ranked(lemmas, filters)
            database.expect(sql, (*bindings, _first_asked(group, top_k)))
            nearest = self.search("", vector, top_k, filters)
            return nearest, self.keyword_search(lemmas, top_k, filters)

    def _ranked(
        self, query: str, filters: Filters | None
    ) -> tuple[str, Sequence[Any], Group | None]:
        """The statement for the points with all words of a query; it binds a limit at its end."""
        where, bindings, group = self._where(filters)
        words = "plainto_tsquery('simple', ?)"
        rank = f"ts_rank_cd({_TEXT}, {words})"  # Of float4; as text it is the number that mem0 has.
        sql = (
            f"SELECT id, payload, {rank}::text::float8 FROM {self._name}"
            f" WHERE {_TEXT} @@ {words} AND {where} ORDER BY {rank} DESC LIMIT ?"
        )
        query = query.replace("\0", " ")
        return sql, [query, query, *bindings, query], group

    def _rows(self, sql: str, bindings: Sequence[Any] = ()) -> Rows:
        """What one statement returns; it needs no transaction."""
        with self._database.asking() as database:
            return database.rows(sql, bindings)

    def _where(self, filters: Filters | None) -> tuple[str, Sequence[Any], Group | None]:
        """A condition that all points that pass fulfil, its bindings, and what decides on them."""
        group = compile_filters(filters)
        ids, rest = split_scope(group)
        parts, bindings = [], []
        for key, value in ids.items():
            if "\0" in value or not is_unicode(value):
                return "false", (), None  # No stored id is like this.
            # The first is what the index is on, the second tells texts from numbers.
            parts.append(
                f"payload->>'{key}' = ? AND payload @> jsonb_build_object('{key}', ?::text)"
            )
            bindings += [value, value]
        if rest is not None:
            passing = compile_jsonb(rest, "payload")
            parts.append(passing.where)
            bindings += passing.bindings
            rest = None if passing.is_exact else group
        return " AND ".join(parts) or "true", bindings, rest


def _first_asked(group: Group | None, top_k: int) -> int:
    return top_k if group is None else max(top_k, _FIRST_FETCHED)


def _first_passing(ask: Ask, group: Group | None, top_k: int) -> Hits:
    """The first `top_k` hits that pass: more and more are asked for until they are found, or all
    have been looked at.
    """
    limit = _first_asked(group, top_k)
    while True:
        rows = ask(limit)
        hits = [PgvectorHit(*row) for row in rows]
        passing = [hit for hit in hits if group is None or matches(group, hit.payload)]
        if len(passing) >= top_k or len(rows) < limit:
            return passing[:top_k]
        limit *= 4


def _check_name(name: str) -> None:
    """Raises InvalidConfigError unless a table and its indexes can have names made of this one."""
    if "?" in name or len(name.encode()) > _LONGEST:
        raise InvalidConfigError(
            f"vector_store pgvector: collection_name {name!r:.80} cannot name a table",
            error_code="CONFIG_003",
            details={"key": "collection_name"},
            suggestion=f"Take at most {_LONGEST} bytes, and no question mark.",
        )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _dumped(payload: Payload) -> str:
    """A payload as JSON that the server takes.

    Raises:
        ValidationError: VALIDATION_005, it cannot be written like that.
    """
    text = dump_payload(payload)
    if any(part in text for part in _SUSPECTS):
        from json import loads

        whole = loads(text, parse_constant=lambda _: "\0")  # JSONB has neither NaN nor infinity.
        if not all("\0" not in each and is_unicode(each) for each in _texts(whole)):
            raise ValidationError(
                "PostgreSQL cannot store NUL characters, lone surrogates, NaN or infinity in JSONB",
                error_code="VALIDATION_005",
                suggestion="Leave them out of the text and the metadata.",
            )
    return text


def _texts(value: object) -> Iterator[str]:
    """All texts in a value as JSON has it, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, dict):
        for entry in value.items():
            yield from _texts([*entry])


def _is_uuid(point_id: object) -> bool:
    from uuid import UUID

    try:
        return bool(UUID(str(point_id)))
    except ValueError:
        return False


def _uuid(point_id: object) -> str:
    if _is_uuid(point_id):
        return canonical_id(point_id)
    raise VectorValueError(f"vector_store pgvector: {point_id!r:.60} is not a UUID")


def _opened(options: Mapping[str, Any]) -> Database:
    from isomem.stores.postgres.connections import Connections
    from isomem.stores.postgres.database import Database
    from isomem.stores.postgres.target import Target

    given = {key: options[key] for key in _PLAIN}
    if options["connection_string"] is not None:  # It takes precedence, as in mem0.
        given = {**dict.fromkeys(_PLAIN), "sslmode": options["sslmode"]}
    target = Target({
        **given, "dsn": options["connection_string"], "schema": "",
        "connect_timeout_s": options["connect_timeout_s"],
        "statement_timeout_s": options["statement_timeout_s"],
    })  # fmt: skip
    connections = Connections(
        target,
        pool_min=options["minconn"],
        pool_max=options["maxconn"],
        connect_timeout_s=options["connect_timeout_s"],
        retry_s=options["retry_s"],
    )
    return Database(connections)
