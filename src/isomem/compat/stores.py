"""The options of mem0's vector stores as its classes: `mem0.configs.vector_stores`.

Each is a row: provider, class, fields with their types and defaults, and what must be given. The
classes need no client library. A wrong value in a client's own options is found by the store.
"""

from __future__ import annotations

from isomem.compat.demands import (
    among,
    chroma,
    compression,
    headers,
    key_of,
    not_both,
    one_of,
    postgres,
    together,
    unless,
    upstash,
)
from isomem.compat.records import REQUIRED, Field, Record, wrong

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar

    from isomem.compat.demands import Fault

    Fields = dict[str, tuple[str, object]]

_TEXT, _COUNT, _SWITCH = "str", "int", "bool"
_TEXT_OR_NONE, _COUNT_OR_NONE, _SWITCH_OR_NONE = "str | None", "int | None", "bool | None"
_DICT_OR_NONE, _ANY = "dict | None", "Any"
_NAME = (_TEXT, "mem0")
_DIMS = (_COUNT, 1536)
_NO_TEXT = (_TEXT_OR_NONE, None)
_NO_COUNT = (_COUNT_OR_NONE, None)
_NOTHING = (_ANY, None)
_NO_DICT = (_DICT_OR_NONE, None)


class StoreRecord(Record):
    """Base of these classes.

    Attributes:
        faults: each says what is wrong with what was given, or None.
    """

    extra = "forbid"
    faults: ClassVar[tuple[Fault, ...]] = ()

    @classmethod
    def _before(cls, values: dict[str, object]) -> dict[str, object]:
        cls.check_known(values)
        for fault in cls.faults:
            found = fault(values)
            if found:
                raise wrong(cls, found)
        return values

    def _after(self) -> None:
        index = self.__dict__.get("index_id")
        if index and not self.__dict__["collection_name"]:
            self.__dict__["collection_name"] = index  # Vertex AI has no other name for it.


# --- The rows --------------------------------------------------------------------------------

_ROWS: dict[str, tuple[str, Fields, tuple[Fault, ...]]] = {
    "azure_ai_search": (
        "AzureAISearchConfig",
        {
            "collection_name": _NAME,
            "service_name": (_TEXT, None),
            "api_key": (_TEXT, None),
            "embedding_model_dims": _DIMS,
            "compression_type": _NO_TEXT,
            "use_float16": (_SWITCH, False),
            "hybrid_search": (_SWITCH, False),
            "vector_filter_mode": (_TEXT_OR_NONE, "preFilter"),
        },
        (
            compression,
            among(
                "Invalid compression_type. Must be one of: scalar, binary, or None",
                "compression_type",
                "scalar binary",
            ),
        ),
    ),
    "azure_mysql": (
        "AzureMySQLConfig",
        {
            "host": (_TEXT, REQUIRED),
            "port": (_COUNT, 3306),
            "user": (_TEXT, REQUIRED),
            "password": _NO_TEXT,
            "database": (_TEXT, REQUIRED),
            "collection_name": _NAME,
            "embedding_model_dims": _DIMS,
            "use_azure_credential": (_SWITCH, False),
            "ssl_ca": _NO_TEXT,
            "ssl_disabled": (_SWITCH, False),
            "minconn": (_COUNT, 1),
            "maxconn": (_COUNT, 5),
            "connection_pool": _NOTHING,
        },
        (
            unless(
                "connection_pool",
                one_of("Missing required fields: host, user, database", "host user database"),
            ),
            unless(
                "connection_pool",
                one_of(
                    "Either 'password' must be provided or 'use_azure_credential' must be set to "
                    "True",
                    "password",
                    "use_azure_credential",
                ),
            ),
        ),
    ),
    "baidu": (
        "BaiduDBConfig",
        {
            "endpoint": (_TEXT, "http://localhost:8287"),
            "account": (_TEXT, "root"),
            "api_key": (_TEXT, None),
            "database_name": (_TEXT, "mem0"),
            "table_name": (_TEXT, "mem0"),
            "embedding_model_dims": _DIMS,
            "metric_type": (_TEXT, "L2"),
        },
        (),
    ),
    "cassandra": (
        "CassandraConfig",
        {
            "contact_points": ("list", REQUIRED),
            "port": (_COUNT, 9042),
            "username": _NO_TEXT,
            "password": _NO_TEXT,
            "keyspace": (_TEXT, "mem0"),
            "collection_name": (_TEXT, "memories"),
            "embedding_model_dims": _DIMS,
            "secure_connect_bundle": _NO_TEXT,
            "protocol_version": (_COUNT, 4),
            "load_balancing_policy": _NOTHING,
        },
        (
            together(
                "Both 'username' and 'password' must be provided together for authentication",
                "username",
                "password",
            ),
            one_of(
                "Either 'contact_points' or 'secure_connect_bundle' must be provided",
                "contact_points",
                "secure_connect_bundle",
            ),
        ),
    ),
    "chroma": (
        "ChromaDbConfig",
        {
            "collection_name": _NAME,
            "client": _NOTHING,
            "path": _NO_TEXT,
            "host": _NO_TEXT,
            "port": _NO_COUNT,
            "api_key": _NO_TEXT,
            "tenant": _NO_TEXT,
        },
        (chroma,),
    ),
    "databricks": (
        "DatabricksConfig",
        {
            "workspace_url": (_TEXT, REQUIRED),
            "access_token": _NO_TEXT,
            "client_id": _NO_TEXT,
            "client_secret": _NO_TEXT,
            "azure_client_id": _NO_TEXT,
            "azure_client_secret": _NO_TEXT,
            "endpoint_name": (_TEXT, REQUIRED),
            "catalog": (_TEXT, REQUIRED),
            "schema": (_TEXT, REQUIRED),
            "table_name": (_TEXT, REQUIRED),
            "collection_name": _NAME,
            "index_type": (_ANY, "DELTA_SYNC"),
            "embedding_model_endpoint_name": _NO_TEXT,
            "embedding_dimension": _DIMS,
            "endpoint_type": (_ANY, "STANDARD"),
            "pipeline_type": (_ANY, "TRIGGERED"),
            "warehouse_name": _NO_TEXT,
            "query_type": (_TEXT, "ANN"),
        },
        (
            one_of(
                "Either access_token or both client_id/client_secret or "
                "azure_client_id/azure_client_secret must be provided",
                "access_token",
                "client_id client_secret",
                "azure_client_id azure_client_secret",
            ),
        ),
    ),
    "elasticsearch": (
        "ElasticsearchConfig",
        {
            "collection_name": _NAME,
            "host": (_TEXT, "localhost"),
            "port": (_COUNT, 9200),
            "user": _NO_TEXT,
            "password": _NO_TEXT,
            "cloud_id": _NO_TEXT,
            "api_key": _NO_TEXT,
            "embedding_model_dims": _DIMS,
            "verify_certs": (_SWITCH, True),
            "ca_certs": _NO_TEXT,
            "use_ssl": (_SWITCH, True),
            "auto_create_index": (_SWITCH, True),
            "custom_search_query": _NOTHING,
            "headers": _NO_DICT,
        },
        (
            one_of("Either cloud_id or host must be provided", "cloud_id", "host"),
            one_of("Either api_key or user/password must be provided", "api_key", "user password"),
            headers,
        ),
    ),
    "faiss": (
        "FAISSConfig",
        {
            "collection_name": _NAME,
            "path": _NO_TEXT,
            "distance_strategy": (_TEXT, "euclidean"),
            "normalize_L2": (_SWITCH, False),
            "embedding_model_dims": _DIMS,
        },
        (
            among(
                "Invalid distance_strategy. Must be one of: 'euclidean', 'inner_product', 'cosine'",
                "distance_strategy",
                "euclidean inner_product cosine",
            ),
        ),
    ),
    "langchain": (
        "LangchainConfig",
        {"client": (_ANY, REQUIRED), "collection_name": _NAME},
        (),
    ),
    "milvus": (
        "MilvusDBConfig",
        {
            "url": (_TEXT, "http://localhost:19530"),
            "token": (_TEXT, None),
            "collection_name": _NAME,
            "embedding_model_dims": _DIMS,
            "metric_type": (_TEXT, "L2"),
            "db_name": (_TEXT, ""),
        },
        (),
    ),
    "mongodb": (
        "MongoDBConfig",
        {
            "db_name": (_TEXT, "mem0_db"),
            "collection_name": _NAME,
            "embedding_model_dims": (_COUNT_OR_NONE, 1536),
            "mongo_uri": (_TEXT, "mongodb://localhost:27017"),
        },
        (),
    ),
    "neptune": (
        "NeptuneAnalyticsConfig",
        {"collection_name": _NAME, "endpoint": (_TEXT, "endpoint")},
        (),
    ),
    "opensearch": (
        "OpenSearchConfig",
        {
            "collection_name": _NAME,
            "host": (_TEXT, "localhost"),
            "port": (_COUNT, 9200),
            "user": _NO_TEXT,
            "password": _NO_TEXT,
            "api_key": _NO_TEXT,
            "embedding_model_dims": _DIMS,
            "verify_certs": (_SWITCH, False),
            "use_ssl": (_SWITCH, False),
            "http_auth": _NOTHING,
            "connection_class": (_ANY, "RequestsHttpConnection"),
            "pool_maxsize": (_COUNT, 20),
        },
        (one_of("Host must be provided for OpenSearch", "host"),),
    ),
    "pgvector": (
        "PGVectorConfig",
        {
            "dbname": (_TEXT, "postgres"),
            "collection_name": _NAME,
            "embedding_model_dims": (_COUNT_OR_NONE, 1536),
            "user": _NO_TEXT,
            "password": _NO_TEXT,
            "host": _NO_TEXT,
            "port": _NO_COUNT,
            "diskann": (_SWITCH_OR_NONE, False),
            "hnsw": (_SWITCH_OR_NONE, True),
            "minconn": (_COUNT_OR_NONE, 1),
            "maxconn": (_COUNT_OR_NONE, 5),
            "sslmode": _NO_TEXT,
            "connection_string": _NO_TEXT,
            "connection_pool": _NOTHING,
        },
        (
            unless(
                "connection_pool connection_string",
                one_of(
                    "Both 'user' and 'password' must be provided when not using connection_string.",
                    "user",
                    "password",
                ),
            ),
            unless(
                "connection_pool connection_string",
                one_of(
                    "Both 'host' and 'port' must be provided when not using connection_string.",
                    "host",
                    "port",
                ),
            ),
        ),
    ),
    "pinecone": (
        "PineconeConfig",
        {
            "collection_name": _NAME,
            "embedding_model_dims": _DIMS,
            "client": _NOTHING,
            "api_key": _NO_TEXT,
            "environment": _NO_TEXT,
            "serverless_config": _NO_DICT,
            "pod_config": _NO_DICT,
            "hybrid_search": (_SWITCH, False),
            "metric": (_TEXT, "cosine"),
            "batch_size": (_COUNT, 100),
            "extra_params": _NO_DICT,
            "namespace": _NO_TEXT,
        },
        (
            key_of(
                "PINECONE_API_KEY",
                "Either 'api_key' or 'client' must be provided, or PINECONE_API_KEY environment "
                "variable must be set.",
                "api_key",
                "client",
            ),
            not_both(
                "Both 'pod_config' and 'serverless_config' cannot be specified. Choose one "
                "deployment option.",
                "pod_config",
                "serverless_config",
            ),
        ),
    ),
    "qdrant": (
        "QdrantConfig",
        {
            "collection_name": _NAME,
            "embedding_model_dims": (_COUNT_OR_NONE, 1536),
            "client": _NOTHING,
            "host": _NO_TEXT,
            "port": _NO_COUNT,
            "path": (_TEXT_OR_NONE, "/tmp/qdrant"),
            "url": _NO_TEXT,
            "api_key": _NO_TEXT,
            "on_disk": (_SWITCH_OR_NONE, False),
        },
        (
            one_of(
                "Either 'host' and 'port' or 'url' and 'api_key' or 'path' must be provided.",
                "path",
                "host port",
                "url api_key",
            ),
        ),
    ),
    "redis": (
        "RedisDBConfig",
        {"redis_url": (_TEXT, REQUIRED), "collection_name": _NAME, "embedding_model_dims": _DIMS},
        (),
    ),
    "s3_vectors": (
        "S3VectorsConfig",
        {
            "vector_bucket_name": (_TEXT, REQUIRED),
            "collection_name": _NAME,
            "embedding_model_dims": _DIMS,
            "distance_metric": (_TEXT, "cosine"),
            "region_name": _NO_TEXT,
        },
        (),
    ),
    "supabase": (
        "SupabaseConfig",
        {
            "connection_string": (_TEXT, REQUIRED),
            "collection_name": _NAME,
            "embedding_model_dims": (_COUNT_OR_NONE, 1536),
            "index_method": (_ANY, "auto"),
            "index_measure": (_ANY, "cosine_distance"),
        },
        (postgres,),
    ),
    "turbopuffer": (
        "TurbopufferConfig",
        {
            "collection_name": _NAME,
            "embedding_model_dims": _DIMS,
            "api_key": _NO_TEXT,
            "region": (_TEXT, "gcp-us-central1"),
            "distance_metric": (_TEXT, "cosine_distance"),
            "batch_size": (_COUNT, 100),
            "extra_params": _NO_DICT,
        },
        (
            key_of(
                "TURBOPUFFER_API_KEY",
                "Either 'api_key' must be provided or TURBOPUFFER_API_KEY environment variable "
                "must be set.",
                "api_key",
            ),
        ),
    ),
    "upstash_vector": (
        "UpstashVectorConfig",
        {
            "url": _NO_TEXT,
            "token": _NO_TEXT,
            "client": _NOTHING,
            "collection_name": _NAME,
            "enable_embeddings": (_SWITCH, False),
        },
        (upstash,),
    ),
    "valkey": (
        "ValkeyConfig",
        {
            "valkey_url": (_TEXT, REQUIRED),
            "collection_name": (_TEXT, REQUIRED),
            "embedding_model_dims": (_COUNT, REQUIRED),
            "timezone": (_TEXT, "UTC"),
            "index_type": (_TEXT, "hnsw"),
            "hnsw_m": (_COUNT, 16),
            "hnsw_ef_construction": (_COUNT, 200),
            "hnsw_ef_runtime": (_COUNT, 10),
            "cluster_mode": (_SWITCH, False),
        },
        (),
    ),
    "vertex_ai_vector_search": (
        "GoogleMatchingEngineConfig",
        {
            "project_id": (_TEXT, REQUIRED),
            "project_number": (_TEXT, REQUIRED),
            "region": (_TEXT, REQUIRED),
            "endpoint_id": (_TEXT, REQUIRED),
            "index_id": (_TEXT, REQUIRED),
            "deployment_index_id": (_TEXT, REQUIRED),
            "collection_name": _NO_TEXT,
            "credentials_path": _NO_TEXT,
            "service_account_json": _NO_DICT,
            "vector_search_api_endpoint": _NO_TEXT,
        },
        (),
    ),
    "weaviate": (
        "WeaviateConfig",
        {
            "collection_name": _NAME,
            "embedding_model_dims": _DIMS,
            "cluster_url": _NO_TEXT,
            "auth_client_secret": _NO_TEXT,
            "additional_headers": _NO_DICT,
        },
        (one_of("'cluster_url' must be provided.", "cluster_url"),),
    ),
}

_TOLERANT = ("NeptuneAnalyticsConfig", "UpstashVectorConfig")
"""The classes that pass unknown options over, as in mem0."""

CLASSES = {provider: name for provider, (name, _, _) in _ROWS.items()}
"""The class of each provider."""


def _made(name: str, fields: Fields, faults: tuple[Fault, ...]) -> type[StoreRecord]:
    """The class of one row."""
    kind: type[StoreRecord] = type(
        name, (StoreRecord,), {"__module__": __name__, "faults": faults, "__doc__": _DOC}
    )
    kind.model_fields = {field: Field(words, default) for field, (words, default) in fields.items()}
    kind.__annotations__ = {field: words for field, (words, _) in fields.items()}
    if name in _TOLERANT:
        kind.extra = "ignore"
    return kind


_DOC = "The options of one kind of vector store."

for _name, _fields, _faults in _ROWS.values():
    globals()[_name] = _made(_name, _fields, _faults)

_ENUMS = {
    "MetricType": ("L2", "IP", "COSINE", "HAMMING", "JACCARD"),
    "IndexMethod": {"AUTO": "auto", "HNSW": "hnsw", "IVFFLAT": "ivfflat"},
    "IndexMeasure": {
        "COSINE": "cosine_distance",
        "L2": "l2_distance",
        "L1": "l1_distance",
        "MAX_INNER_PRODUCT": "max_inner_product",
    },
}


def __getattr__(name: str) -> object:
    """The enumerations; enum is imported only for programs that ask for one."""
    if name not in _ENUMS:
        raise AttributeError(name)
    from enum import Enum

    words = _ENUMS[name]
    values = words if isinstance(words, dict) else {word: word for word in words}
    return globals().setdefault(name, Enum(name, values, type=str, module=__name__))
