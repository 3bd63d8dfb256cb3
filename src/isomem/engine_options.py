"""The options of the engines beside the embedded store: `vector_store.config` of each.

Loaded when one of them is configured, or when all options are asked for.
"""

from __future__ import annotations

import os

from isomem.options import (
    SWITCH,
    TEXT,
    Kind,
    Option,
    is_text,
    number,
    one_of,
    optional,
    whole,
)
from isomem.types import is_unicode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from isomem.options import Table


def _is_schema_name(value: object) -> bool:
    return is_text(value) and value.isascii() and "\0" not in value and 0 < len(value) <= 63


def _is_folder(value: object) -> bool:
    """Whether it is a path, or empty, which mem0 takes beside the address of a server."""
    if not isinstance(value, (str, os.PathLike)):
        return False
    path: object = os.fspath(value)
    return is_text(path) and "\0" not in path and is_unicode(path)


def _is_client(value: object) -> bool:
    return hasattr(value, "query_points") and not isinstance(value, type)


def _is_chroma_client(value: object) -> bool:
    return hasattr(value, "get_or_create_collection") and not isinstance(value, type)


_DIRECTORY = Kind(
    'the path of a folder, or ":memory:"',
    _is_folder,
    {"type": "string", "not": {"pattern": r"\u0000"}},
)
_CLIENT = Kind("a QdrantClient", _is_client, {"not": {}})
_CHROMA_CLIENT = Kind("a client of chromadb", _is_chroma_client, {"not": {}})
_NONE = Kind("None", lambda value: value is None, {"type": "null"})
_PORT = optional(whole(1, 65535))
_SHARES = optional(whole(1, 1_000_000))

_POSTGRES = (
    Option(
        "dsn",
        None,
        optional(TEXT),
        "the database, as `postgresql://USER:PASSWORD@HOST:PORT/DBNAME` or as libpq's `key=value` "
        "pairs. The options below take precedence over what it says",
        unset="the options below, and libpq's own defaults",
        variables=("PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE", "PGSSLMODE"),
        secret=True,
    ),
    Option("host", None, optional(TEXT), "the server, or the folder of its socket"),
    Option("port", None, optional(whole(1, 65535)), "its port", unset="`5432`"),
    Option("user", None, optional(TEXT), "the user"),
    Option("password", None, optional(TEXT), "the user's password", secret=True),
    Option("dbname", None, optional(TEXT), "the database", unset="the user's name"),
    Option(
        "sslmode", None,
        optional(one_of("disable", "allow", "prefer", "require", "verify-ca", "verify-full")),
        "whether the connection is encrypted and the server is verified", unset="`prefer`",
    ),
    Option(
        "schema", "isomem",
        Kind(
            "text of at most 63 ASCII characters", _is_schema_name,
            {"type": "string", "pattern": r"^[\u0001-\u007f]{1,63}(?![\s\S])"},
        ),
        "the schema with isomem's tables; it is made if it does not exist",
    ),
    Option("pool_min", 1, whole(0, 1000), "how many connections a process keeps open"),
    Option("pool_max", 10, whole(1, 1000), "how many it opens at most"),
    Option("connect_timeout_s", 10.0, number(0.1, 1_000_000), "seconds to wait for a connection"),
    Option(
        "statement_timeout_s", 60.0, number(0, 1_000_000),
        "seconds that one statement may take; `0` means any time",
    ),
    Option(
        "retry_s", 10.0, number(0, 1_000_000),
        "seconds for which a call goes on trying after its connection was lost",
    ),
    Option(
        "hnsw", False, SWITCH,
        "`True`: large scopes get an HNSW index and are searched by it, approximately. It needs "
        "the extension `vector`",
    ),
    Option(
        "hnsw_from", 10_000, whole(1, 1_000_000_000),
        "how many memories make a scope large: smaller ones are compared exactly",
    ),
)  # fmt: skip

_PGVECTOR = (
    Option("dbname", "postgres", optional(TEXT), "the database"),
    Option(
        "connection_string", None, optional(TEXT),
        "all of it as libpq's dsn; takes precedence", secret=True,
    ),
    Option("hnsw", True, SWITCH, "`True`: a new table gets an HNSW index"),
    Option(
        "diskann", False, SWITCH,
        "accepted, but does nothing here: mem0's index for another extension", idle=True,
    ),
    Option(
        "connection_pool", None, _NONE,
        "accepted as None, as a dump of mem0's configuration has it; isomem makes its own pool",
        idle=True,
    ),
    Option("exact", True, SWITCH, "`True`: every vector of a scope is compared, without the index"),
    Option(
        "scores", "distance", one_of("distance", "similarity"),
        "what ranks a memory: mem0 2.0.4 takes the distance; its later releases the similarity",
    ),
    Option("minconn", 1, whole(0, 1000), "how many connections a process keeps open"),
    Option("maxconn", 5, whole(1, 1000), "how many it opens at most"),
)  # fmt: skip

_QDRANT = (
    Option(
        "embedding_model_dims",
        None,
        optional(whole(1, 1_000_000)),
        "the length of the vectors of a new collection",
        unset="the embedder's, or else 1536",
    ),
    Option("client", None, optional(_CLIENT), "an open client of your own; it is not closed"),
    Option("host", None, optional(TEXT), "the name of a server; needs `port`"),
    Option("port", None, _PORT, "its port for HTTP; needs `host`"),
    Option(
        "path",
        "/tmp/qdrant",
        optional(_DIRECTORY),
        'the folder of local mode, or `":memory:"`, if no server is named; `~` is the user\'s home',
    ),
    Option("url", None, optional(TEXT), "the address of a server, in place of `host` and `port`"),
    Option("api_key", None, optional(TEXT), "the key of a server", secret=True),
    Option(
        "on_disk", False, optional(SWITCH), "`True`: a server keeps vectors on disk, not in memory"
    ),
    Option("keyword_search", True, SWITCH, "BM25 in addition to the semantic search"),
    Option("prefer_grpc", False, SWITCH, "`True`: calls go to a server by gRPC, not by HTTP"),
    Option("grpc_port", None, _PORT, "the port of a server for gRPC", unset="6334"),
    Option("https", None, optional(SWITCH), "whether HTTP is encrypted", unset="with an `api_key`"),
    Option("prefix", None, optional(TEXT), "what the paths of a server begin with"),
    Option(
        "timeout_s", None, optional(number(1, 86_400)), "seconds to wait for an answer", unset="5"
    ),
    Option("max_retries", 2, whole(0, 100), "how often a call that was not answered is made again"),
    Option("batch_size", 256, whole(1, 100_000), "points in one request to a server"),
    Option(
        "exact",
        False,
        SWITCH,
        "`True`: a server compares every vector of a scope, and does not go by its index",
    ),
    Option("shard_number", None, _SHARES, "shards of a new collection", unset="the server's"),
    Option(
        "replication_factor", None, _SHARES, "copies of each shard of a new collection",
        unset="the server's",
    ),
    Option(
        "write_consistency_factor",
        None,
        _SHARES,
        "copies that a write to a new collection waits for",
        unset="the server's",
    ),
)  # fmt: skip

_CHROMA = (
    Option(
        "client", None, optional(_CHROMA_CLIENT), "an open client of your own; it is not closed"
    ),
    Option(
        "path",
        "/tmp/chroma",
        optional(_DIRECTORY),
        'a folder, or `":memory:"`, if neither a server nor the cloud is named; `~` is the user\'s '
        "home",
    ),
    Option("host", None, optional(TEXT), "the name of a server; needs `port`"),
    Option("port", None, _PORT, "its port; needs `host`"),
    Option(
        "api_key", None, optional(TEXT),
        "the key of Chroma Cloud, or what a server gets as `X-Chroma-Token`", secret=True,
    ),
    Option("tenant", None, optional(TEXT), "whose data in Chroma Cloud, or of a server"),
    Option("ssl", False, SWITCH, "`True`: calls to a server are encrypted"),
    Option(
        "scores", "distance", one_of("distance", "similarity"),
        "what ranks a memory: mem0 2.0.4 takes the distance. `similarity` is what other engines "
        "have; a new collection then has the distance `cosine`, in place of mem0's `l2`",
    ),
    Option("timeout_s", 60.0, number(0.1, 86_400), "seconds to wait for an answer of a server"),
    Option("max_retries", 2, whole(0, 100), "how often a call that was not answered is made again"),
    Option("batch_size", 256, whole(1, 5_000), "records that are written at once"),
)  # fmt: skip

_REDIS = (
    Option(
        "redis_url", None, optional(TEXT),
        "the server, as `redis://USER:PASSWORD@HOST:PORT/DB`, or `rediss://` for an encrypted "
        "connection; it is needed", secret=True,
    ),
    Option(
        "scores", "distance", one_of("distance", "similarity"),
        "what ranks a memory: mem0 2.0.4 takes the distance; its later releases the similarity",
    ),
    Option("keyword_search", True, SWITCH, "BM25 in addition to the semantic search"),
    Option("timeout_s", 60.0, number(0.1, 86_400), "seconds to wait for an answer"),
    Option("max_retries", 3, whole(0, 100), "how often a call that was not answered is made again"),
    Option("batch_size", 1000, whole(1, 100_000), "memories that are sent at once"),
)  # fmt: skip

_CACHE_MB = 256
"""Some ten scopes of 10,000 memories of 384 dimensions, with their payloads."""

_ALIKE = frozenset(
    "host port user password sslmode connect_timeout_s statement_timeout_s retry_s".split()
)
"""The options of `pgvector` that are those of `postgres`."""


def engine_tables(shared: Mapping[str, Option]) -> dict[str, Table]:
    """The table of each engine.

    Args:
        shared: options of the embedded store by name, of which every engine has some.
    """
    collection, dims = shared["collection_name"], shared["embedding_model_dims"]
    cache = shared["cache_mb"]
    alike = [option for option in _POSTGRES if option.name in _ALIKE]
    return {
        "postgres": (
            *_POSTGRES, collection, dims, shared["keyword_search"],
            # More than for a file: what is not in memory has to come from the server.
            Option("cache_mb", _CACHE_MB, cache.kind, cache.doc),
        ),
        "pgvector": (*alike, *_PGVECTOR, collection, dims),
        "qdrant": (collection, *_QDRANT),
        "chroma": (collection, *_CHROMA),
        "redis": (collection, dims, *_REDIS),
    }  # fmt: skip
