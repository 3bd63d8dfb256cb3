"""What each module of mem0 has: its public names, and where isomem has what they stand for.

A value is "module:attribute", or "logger" for the logger of that module. Nothing is imported here.
"""

from __future__ import annotations

_OURS = "isomem.compat"


def _of(module: str, names: str, **renamed: str) -> dict[str, str]:
    """Names of one module of ours; `renamed` are those that have another name there."""
    where = f"{_OURS}.{module}"
    same = {name: f"{where}:{name}" for name in names.split()}
    return same | {name: f"{where}:{own}" for name, own in renamed.items()}


_LOGGER = {"logger": "logger"}
_MEMORIES = _of("memories", "Memory AsyncMemory")
_CLIENTS = _of("client", "MemoryClient AsyncMemoryClient")
_ENTITIES = _of("scores", "extract_entities extract_entities_batch")
_SCORING = _of("scores", "get_bm25_params normalize_bm25 ENTITY_BOOST_WEIGHT score_and_rank")
_LEMMAS = _of("scores", "lemmatize_for_bm25")
_FACTORIES = _of("factories", "LlmFactory EmbedderFactory VectorStoreFactory RerankerFactory")
_PROMPTS = _of(
    "templates",
    "MEMORY_ANSWER_PROMPT FACT_RETRIEVAL_PROMPT USER_MEMORY_EXTRACTION_PROMPT "
    "AGENT_MEMORY_EXTRACTION_PROMPT DEFAULT_UPDATE_MEMORY_PROMPT PROCEDURAL_MEMORY_SYSTEM_PROMPT "
    "ADDITIVE_EXTRACTION_PROMPT AGENT_CONTEXT_SUFFIX PAST_MESSAGE_TRUNCATION_LIMIT "
    "get_update_memory_messages generate_additive_extraction_prompt",
)
_ERRORS = _of(
    "failures",
    "MemoryError AuthenticationError RateLimitError ValidationError MemoryNotFoundError "
    "NetworkError ConfigurationError MemoryQuotaExceededError MemoryCorruptionError "
    "VectorSearchError CacheError VectorStoreError EmbeddingError LLMError DatabaseError "
    "DependencyError HTTP_STATUS_TO_EXCEPTION create_exception_from_response",
)
_SECTION_CLASSES = _of(
    "sections", "LlmConfig EmbedderConfig VectorStoreConfig RerankerConfig MemoryConfig MemoryItem "
    "AzureConfig",
)  # fmt: skip
_FOLDERS = _of("sections", "home_dir mem0_dir")
_PROJECTS = _of("projects", "ProjectConfig BaseProject Project AsyncProject")
_OPTIONS = _of(
    "client_options",
    "AddMemoryOptions SearchMemoryOptions GetAllMemoryOptions DeleteAllMemoryOptions "
    "UpdateMemoryOptions ProjectUpdateOptions",
)
_SETUP = _of(
    "telemetry",
    "setup_config get_user_id read_anon_ids is_aliased mark_aliased get_or_create_user_id "
    "VECTOR_ID",
)
_TELEMETRY = _of(
    "telemetry",
    "MEM0_TELEMETRY MEM0_TELEMETRY_SAMPLE_RATE PROJECT_API_KEY HOST AnonymousTelemetry "
    "client_telemetry capture_event capture_client_event get_or_create_user_id",
)
_TEXTS = _of(
    "texts",
    "get_fact_retrieval_messages get_fact_retrieval_messages_legacy ensure_json_instruction "
    "parse_messages format_entities normalize_facts remove_code_blocks extract_json "
    "get_image_description parse_vision_messages process_telemetry_filters "
    "sanitize_relationship_for_cypher remove_spaces_from_entities",
)
_RERANKER_OPTIONS = _of(
    "options",
    "BaseRerankerConfig CohereRerankerConfig HuggingFaceRerankerConfig LLMRerankerConfig "
    "SentenceTransformerRerankerConfig ZeroEntropyRerankerConfig",
)
_LLM_OPTIONS = _of(
    "options",
    "BaseLlmConfig AnthropicConfig AWSBedrockConfig AzureOpenAIConfig DeepSeekConfig "
    "LMStudioConfig MinimaxConfig OllamaConfig OpenAIConfig VllmConfig",
)
_EMBEDDER_OPTIONS = _of("options", "BaseEmbedderConfig")
_BASES = _of("bases", "LLMBase EmbeddingBase VectorStoreBase BaseReranker MemoryBase")
_EXTRACT_JSON = _of("texts", "extract_json")


def _some(table: dict[str, str], names: str) -> dict[str, str]:
    return {name: table[name] for name in names.split()}


def _without(table: dict[str, str], names: str) -> dict[str, str]:
    return {name: target for name, target in table.items() if name not in names.split()}


SURFACE: dict[str, dict[str, str]] = {
    "mem0": {**_MEMORIES, **_CLIENTS, "__version__": f"{_OURS}.distribution:VERSION"},
    # --- The memory ---
    "mem0.memory": {},
    "mem0.memory.base": _some(_BASES, "MemoryBase"),
    "mem0.memory.main": {
        **_MEMORIES,
        **_some(_SECTION_CLASSES, "MemoryConfig MemoryItem"),
        **_of("sections", "MemoryType mem0_dir"),
        **_some(
            _PROMPTS,
            "ADDITIVE_EXTRACTION_PROMPT AGENT_CONTEXT_SUFFIX PROCEDURAL_MEMORY_SYSTEM_PROMPT "
            "generate_additive_extraction_prompt",
        ),
        **_of("failures", "", Mem0ValidationError="ValidationError"),
        **_some(_BASES, "MemoryBase"),
        **_some(_SETUP, "setup_config"),
        **_of("pieces", "SQLiteManager ENTITY_PARAMS"),
        **_some(_TELEMETRY, "MEM0_TELEMETRY capture_event"),
        **_some(
            _TEXTS,
            "extract_json parse_messages parse_vision_messages process_telemetry_filters "
            "remove_code_blocks",
        ),
        **_ENTITIES,
        **_FACTORIES,
        **_LEMMAS,
        **_SCORING,
        **_of(
            "arguments",
            "_build_filters_and_metadata _build_session_scope _normalize_iso_timestamp_to_utc "
            "_reject_top_level_entity_params _safe_deepcopy_config _validate_and_trim_entity_id "
            "_validate_search_params",
        ),
        **_LOGGER,
    },
    "mem0.memory.setup": {**_SETUP, **_FOLDERS},
    "mem0.memory.storage": {**_of("pieces", "SQLiteManager"), **_LOGGER},
    "mem0.memory.telemetry": _TELEMETRY,
    "mem0.memory.utils": {
        **_TEXTS,
        **_some(
            _PROMPTS,
            "AGENT_MEMORY_EXTRACTION_PROMPT FACT_RETRIEVAL_PROMPT USER_MEMORY_EXTRACTION_PROMPT",
        ),
        **_LOGGER,
    },
    "mem0.exceptions": _ERRORS,
    # --- The service ---
    "mem0.client": {},
    "mem0.client.main": {
        **_CLIENTS,
        **_some(_PROJECTS, "Project AsyncProject"),
        **_OPTIONS,
        **_of("client", "ENTITY_PARAMS"),
        **_of("failures", "api_error_handler"),
        **_some(_SETUP, "get_user_id is_aliased mark_aliased read_anon_ids setup_config"),
        **_some(_TELEMETRY, "capture_client_event client_telemetry"),
        **_LOGGER,
    },
    "mem0.client.project": {
        **_PROJECTS,
        **_of("failures", "api_error_handler"),
        **_some(_TELEMETRY, "capture_client_event"),
        **_LOGGER,
    },
    "mem0.client.types": _OPTIONS,
    "mem0.client.utils": {
        **_of("failures", "APIError api_error_handler NetworkError create_exception_from_response"),
        **_LOGGER,
    },
    "mem0.proxy": {},
    "mem0.proxy.main": {
        **_of("chat", "Mem0 Chat Completions"),
        **_some(_CLIENTS, "MemoryClient"),
        **_of("memories", "Memory"),
        **_some(_PROMPTS, "MEMORY_ANSWER_PROMPT"),
        **_some(_TELEMETRY, "capture_event capture_client_event"),
        **_LOGGER,
    },
    # --- The configuration ---
    "mem0.configs": {},
    "mem0.configs.base": {**_SECTION_CLASSES, **_FOLDERS},
    "mem0.configs.enums": _of("sections", "MemoryType"),
    "mem0.configs.prompts": _PROMPTS,
    "mem0.configs.llms": {},
    "mem0.configs.embeddings": {},
    "mem0.configs.embeddings.base": {**_EMBEDDER_OPTIONS, **_some(_SECTION_CLASSES, "AzureConfig")},
    "mem0.configs.rerankers": {},
    "mem0.configs.rerankers.config": _some(_SECTION_CLASSES, "RerankerConfig"),
    "mem0.configs.vector_stores": {},
    # --- The parts ---
    "mem0.llms": {},
    "mem0.llms.base": {**_some(_BASES, "LLMBase"), **_some(_LLM_OPTIONS, "BaseLlmConfig")},
    "mem0.llms.configs": _some(_SECTION_CLASSES, "LlmConfig"),
    "mem0.embeddings": {},
    "mem0.embeddings.base": {**_some(_BASES, "EmbeddingBase"), **_EMBEDDER_OPTIONS},
    "mem0.embeddings.configs": _some(_SECTION_CLASSES, "EmbedderConfig"),
    "mem0.embeddings.mock": {**_of("pieces", "MockEmbeddings"), **_some(_BASES, "EmbeddingBase")},
    "mem0.vector_stores": {},
    "mem0.vector_stores.base": _some(_BASES, "VectorStoreBase"),
    "mem0.vector_stores.configs": _some(_SECTION_CLASSES, "VectorStoreConfig"),
    "mem0.reranker": {
        **_some(_BASES, "BaseReranker"),
        **_of("concrete", "CohereReranker SentenceTransformerReranker"),
    },
    "mem0.reranker.base": _some(_BASES, "BaseReranker"),
    # --- Tools ---
    "mem0.utils": {},
    "mem0.utils.entity_extraction": {**_ENTITIES, **_LOGGER},
    "mem0.utils.factory": {
        **_FACTORIES,
        **_of("factories", "load_class"),
        **_LLM_OPTIONS,
        **_RERANKER_OPTIONS,
        **_EMBEDDER_OPTIONS,
        **_of("pieces", "MockEmbeddings"),
    },
    "mem0.utils.gcp_auth": _of("pieces", "GCPAuthenticator"),
    "mem0.utils.lemmatization": {**_LEMMAS, **_LOGGER},
    "mem0.utils.scoring": _SCORING,
    "mem0.utils.spacy_models": {**_of("pieces", "get_nlp_full get_nlp_lemma"), **_LOGGER},
}

# --- One module for each provider ------------------------------------------------------------

LLM_MODULES = {
    "anthropic": "AnthropicLLM AnthropicConfig",
    "aws_bedrock": "AWSBedrockLLM AWSBedrockConfig",
    "azure_openai": "AzureOpenAILLM AzureOpenAIConfig",
    "azure_openai_structured": "AzureOpenAIStructuredLLM",
    "deepseek": "DeepSeekLLM DeepSeekConfig",
    "gemini": "GeminiLLM",
    "groq": "GroqLLM",
    "langchain": "LangchainLLM",
    "litellm": "LiteLLM",
    "lmstudio": "LMStudioLLM LMStudioConfig",
    "minimax": "MiniMaxLLM MinimaxConfig",
    "ollama": "OllamaLLM OllamaConfig",
    "openai": "OpenAILLM OpenAIConfig",
    "openai_structured": "OpenAIStructuredLLM",
    "sarvam": "SarvamLLM",
    "together": "TogetherLLM",
    "vllm": "VllmLLM VllmConfig",
    "xai": "XAILLM",
}
_LLM_CONFIG_MODULES = {
    "anthropic": "AnthropicConfig",
    "aws_bedrock": "AWSBedrockConfig",
    "azure": "AzureOpenAIConfig",
    "base": "",
    "deepseek": "DeepSeekConfig",
    "lmstudio": "LMStudioConfig",
    "minimax": "MinimaxConfig",
    "ollama": "OllamaConfig",
    "openai": "OpenAIConfig",
    "vllm": "VllmConfig",
}
EMBEDDER_MODULES = {
    "aws_bedrock": "AWSBedrockEmbedding",
    "azure_openai": "AzureOpenAIEmbedding",
    "fastembed": "FastEmbedEmbedding",
    "gemini": "GoogleGenAIEmbedding",
    "huggingface": "HuggingFaceEmbedding",
    "langchain": "LangchainEmbedding",
    "lmstudio": "LMStudioEmbedding",
    "ollama": "OllamaEmbedding",
    "openai": "OpenAIEmbedding",
    "together": "TogetherEmbedding",
    "vertexai": "VertexAIEmbedding",
}
_RERANKER_CONFIG_MODULES = {
    "base": "",
    "cohere": "CohereRerankerConfig",
    "huggingface": "HuggingFaceRerankerConfig",
    "llm": "LLMRerankerConfig",
    "sentence_transformer": "SentenceTransformerRerankerConfig",
    "zero_entropy": "ZeroEntropyRerankerConfig",
}
RERANKER_MODULES = {
    "cohere_reranker": ("CohereReranker", ""),
    "huggingface_reranker": (
        "HuggingFaceReranker",
        "BaseRerankerConfig HuggingFaceRerankerConfig",
    ),
    "llm_reranker": ("LLMReranker", "BaseRerankerConfig LLMRerankerConfig"),
    "sentence_transformer_reranker": (
        "SentenceTransformerReranker",
        "BaseRerankerConfig SentenceTransformerRerankerConfig",
    ),
    "zero_entropy_reranker": ("ZeroEntropyReranker", ""),
}
STORE_MODULES = {
    "azure_ai_search": ("AzureAISearch", "AzureAISearchConfig"),
    "azure_mysql": ("AzureMySQL", "AzureMySQLConfig"),
    "baidu": ("BaiduDB", "BaiduDBConfig"),
    "cassandra": ("CassandraDB", "CassandraConfig"),
    "chroma": ("ChromaDB", "ChromaDbConfig"),
    "databricks": ("Databricks", "DatabricksConfig"),
    "elasticsearch": ("ElasticsearchDB", "ElasticsearchConfig"),
    "faiss": ("FAISS", "FAISSConfig"),
    "langchain": ("Langchain", "LangchainConfig"),
    "milvus": ("MilvusDB", "MilvusDBConfig MetricType"),
    "mongodb": ("MongoDB", "MongoDBConfig"),
    "neptune": ("NeptuneAnalyticsVector", "NeptuneAnalyticsConfig"),
    "opensearch": ("OpenSearchDB", "OpenSearchConfig"),
    "pgvector": ("PGVector", "PGVectorConfig"),
    "pinecone": ("PineconeDB", "PineconeConfig"),
    "qdrant": ("Qdrant", "QdrantConfig"),
    "redis": ("RedisDB", "RedisDBConfig"),
    "s3_vectors": ("S3Vectors", "S3VectorsConfig"),
    "supabase": ("Supabase", "SupabaseConfig IndexMethod IndexMeasure"),
    "turbopuffer": ("TurbopufferDB", "TurbopufferConfig"),
    "upstash_vector": ("UpstashVector", "UpstashVectorConfig"),
    "valkey": ("ValkeyDB", "ValkeyConfig"),
    "vertex_ai_vector_search": ("GoogleMatchingEngine", "GoogleMatchingEngineConfig"),
    "weaviate": ("Weaviate", "WeaviateConfig"),
}
_REEXPORTED = {
    "elasticsearch": "ElasticsearchConfig",
    "milvus": "MetricType",
    "opensearch": "OpenSearchConfig",
    "supabase": "IndexMeasure IndexMethod",
    "vertex_ai_vector_search": "GoogleMatchingEngineConfig",
}
"""The configuration classes that are in the module of the store, too."""

_WITHOUT_JSON = "anthropic gemini langchain openai_structured sarvam xai"
"""The modules of models that do not have `extract_json`."""

for _provider, _names in LLM_MODULES.items():
    _class, *_config = _names.split()
    SURFACE[f"mem0.llms.{_provider}"] = {
        **_of("concrete", _class),
        **_some(_LLM_OPTIONS, " ".join(["BaseLlmConfig", *_config])),
        **_some(_BASES, "LLMBase"),
        **({} if _provider in _WITHOUT_JSON.split() else _EXTRACT_JSON),
    }
for _provider in ("azure_openai", "azure_openai_structured"):
    SURFACE[f"mem0.llms.{_provider}"] |= _of("pieces", "SCOPE")
SURFACE["mem0.llms.aws_bedrock"] |= {**_of("pieces", "PROVIDERS extract_provider"), **_LOGGER}
for _provider, _names in _LLM_CONFIG_MODULES.items():
    SURFACE[f"mem0.configs.llms.{_provider}"] = _some(_LLM_OPTIONS, f"BaseLlmConfig {_names}")
SURFACE["mem0.configs.llms.azure"] |= _some(_SECTION_CLASSES, "AzureConfig")
for _provider, _class in EMBEDDER_MODULES.items():
    SURFACE[f"mem0.embeddings.{_provider}"] = {
        **_of("concrete", _class),
        **_EMBEDDER_OPTIONS,
        **_some(_BASES, "EmbeddingBase"),
    }
SURFACE["mem0.embeddings.azure_openai"] |= _of("pieces", "SCOPE")
SURFACE["mem0.embeddings.vertexai"] |= _of("pieces", "GCPAuthenticator")
for _provider, _names in _RERANKER_CONFIG_MODULES.items():
    SURFACE[f"mem0.configs.rerankers.{_provider}"] = _some(
        _RERANKER_OPTIONS, f"BaseRerankerConfig {_names}"
    )
for _module, (_class, _names) in RERANKER_MODULES.items():
    SURFACE[f"mem0.reranker.{_module}"] = {
        **_of("concrete", _class),
        **_some(_BASES, "BaseReranker"),
        **_some(_RERANKER_OPTIONS, _names),
    }
SURFACE["mem0.reranker.llm_reranker"] |= _some(_FACTORIES, "LlmFactory")
for _provider, (_class, _names) in STORE_MODULES.items():
    SURFACE[f"mem0.configs.vector_stores.{_provider}"] = _of("stores", _names)
    _module = "neptune_analytics" if _provider == "neptune" else _provider
    SURFACE[f"mem0.vector_stores.{_module}"] = {
        **_of("concrete", _class),
        **_some(_BASES, "VectorStoreBase"),
        **_of("stores", _REEXPORTED.get(_provider, "")),
        **({} if _provider in ("qdrant", "redis", "databricks") else _of("pieces", "OutputData")),
        **_LOGGER,
    }
for _provider in ("azure_ai_search", "databricks", "redis", "valkey"):
    SURFACE[f"mem0.vector_stores.{_provider}"] |= _EXTRACT_JSON
for _provider in ("databricks", "redis", "valkey"):
    _own = _of("pieces", "", excluded_keys="EXCLUDED_KEYS")
    SURFACE[f"mem0.vector_stores.{_provider}"] |= _own
SURFACE["mem0.vector_stores.redis"] |= _of("pieces", "MemoryResult")
SURFACE["mem0.vector_stores.databricks"] |= _of("pieces", "", MemoryResult="ScoredResult")
