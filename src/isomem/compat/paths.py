"""Where mem0's classes of single providers are, by the name of the provider."""

from __future__ import annotations

from isomem.providers import registry
from isomem.stores.registry import SETS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LLM_NAMES = {
    "anthropic": "AnthropicLLM",
    "aws_bedrock": "AWSBedrockLLM",
    "azure_openai": "AzureOpenAILLM",
    "azure_openai_structured": "AzureOpenAIStructuredLLM",
    "deepseek": "DeepSeekLLM",
    "gemini": "GeminiLLM",
    "groq": "GroqLLM",
    "langchain": "LangchainLLM",
    "litellm": "LiteLLM",
    "lmstudio": "LMStudioLLM",
    "minimax": "MiniMaxLLM",
    "ollama": "OllamaLLM",
    "openai": "OpenAILLM",
    "openai_structured": "OpenAIStructuredLLM",
    "sarvam": "SarvamLLM",
    "together": "TogetherLLM",
    "vllm": "VllmLLM",
    "xai": "XAILLM",
}
_EMBEDDER_NAMES = {
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
_STORE_NAMES = {
    "azure_ai_search": "AzureAISearch",
    "azure_mysql": "AzureMySQL",
    "baidu": "BaiduDB",
    "cassandra": "CassandraDB",
    "chroma": "ChromaDB",
    "databricks": "Databricks",
    "elasticsearch": "ElasticsearchDB",
    "faiss": "FAISS",
    "langchain": "Langchain",
    "milvus": "MilvusDB",
    "mongodb": "MongoDB",
    "neptune": "NeptuneAnalyticsVector",
    "opensearch": "OpenSearchDB",
    "pgvector": "PGVector",
    "pinecone": "PineconeDB",
    "qdrant": "Qdrant",
    "redis": "RedisDB",
    "s3_vectors": "S3Vectors",
    "supabase": "Supabase",
    "turbopuffer": "TurbopufferDB",
    "upstash_vector": "UpstashVector",
    "valkey": "ValkeyDB",
    "vertex_ai_vector_search": "GoogleMatchingEngine",
    "weaviate": "Weaviate",
}
_RERANKER_NAMES = {
    "cohere": "CohereReranker",
    "huggingface": "HuggingFaceReranker",
    "llm_reranker": "LLMReranker",
    "sentence_transformer": "SentenceTransformerReranker",
    "zero_entropy": "ZeroEntropyReranker",
}
_RERANKER_MODULES = {"llm_reranker": "llm_reranker"}
_STORE_MODULES = {"neptune": "neptune_analytics"}

LLM_CLASSES = {name: f"mem0.llms.{name}.{kind}" for name, kind in _LLM_NAMES.items()}
"""The dotted path of each provider's class in mem0; the same for the three below."""
EMBEDDER_CLASSES = {
    name: f"mem0.embeddings.{name}.{kind}" for name, kind in _EMBEDDER_NAMES.items()
}
STORE_CLASSES = {
    name: f"mem0.vector_stores.{_STORE_MODULES.get(name, name)}.{kind}"
    for name, kind in _STORE_NAMES.items()
}
RERANKER_CLASSES = {
    name: f"mem0.reranker.{_RERANKER_MODULES.get(name, f'{name}_reranker')}.{kind}"
    for name, kind in _RERANKER_NAMES.items()
}

LIVE: dict[registry.Kind, dict[str, Any]] = {
    registry.LLMS: LLM_CLASSES,
    registry.EMBEDDERS: EMBEDDER_CLASSES,
    registry.VECTOR_STORES: STORE_CLASSES,
    registry.RERANKERS: RERANKER_CLASSES,
}
"""The tables that programs change, as soon as there are factories; see `factories`."""


def names_of(kind: registry.Kind) -> set[str]:
    """Every name that a section of a configuration may have for a provider."""
    own = set(SETS) if kind is registry.VECTOR_STORES else {"unset"}
    return {*registry.names_of(kind), *kind.elsewhere, *LIVE[kind], *own}
