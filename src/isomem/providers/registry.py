"""Makes a provider from its name and its options.

A built-in provider is one line in a table here; its module is imported when it is first needed.
Any other name is looked up in the entry points of the installed packages, one group per kind:
"isomem.llms", "isomem.embedders", "isomem.rerankers", "isomem.vector_stores". An entry point is a
callable that takes the dict of options and returns the provider. What is left of mem0's names is
made by an installed mem0 (`isomem.providers.bridge`).
"""

from __future__ import annotations

import sys

from isomem import log
from isomem.errors import InvalidConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from isomem.options import Table
    from isomem.ports.shapes import LLM, Embedder, Reranker, VectorStore

    # What a package provides is not checked until it is used.
    Factory = Callable[..., Any]


class Kind:
    """One kind of provider.

    Attributes:
        section: its key in the configuration.
        title: names it in errors.
        group: its entry-point group.
        builtin: name to "module:callable".
        elsewhere: names that upstream has and we do not: an installed mem0 makes these.
    """

    __slots__ = ("builtin", "elsewhere", "group", "section", "title")

    def __init__(self, section: str, group: str, builtin: dict[str, str], elsewhere: str) -> None:
        self.section = section
        self.title = f"{section} provider"
        self.group = group
        self.builtin = builtin
        self.elsewhere = frozenset(elsewhere.split())


LLMS = Kind(
    "llm",
    "isomem.llms",
    {
        "anthropic": "isomem.providers.llm.anthropic:AnthropicLLM",
        "aws_bedrock": "isomem.providers.llm.aws_bedrock:BedrockLLM",
        "azure_openai": "isomem.providers.llm.azure:AzureOpenAILLM",
        "azure_openai_structured": "isomem.providers.llm.azure:AzureOpenAIStructuredLLM",
        "deepseek": "isomem.providers.llm.services:DeepSeekLLM",
        "gemini": "isomem.providers.llm.gemini:GeminiLLM",
        "groq": "isomem.providers.llm.services:GroqLLM",
        "langchain": "isomem.providers.llm.library:LangchainLLM",
        "litellm": "isomem.providers.llm.library:LiteLLM",
        "lmstudio": "isomem.providers.llm.services:LMStudioLLM",
        "minimax": "isomem.providers.llm.services:MiniMaxLLM",
        "mock": "isomem.providers.llm.mock:mock_llm",
        "ollama": "isomem.providers.llm.ollama:OllamaLLM",
        "openai": "isomem.providers.llm.openai:OpenAILLM",
        "openai_structured": "isomem.providers.llm.openai:OpenAIStructuredLLM",
        "openrouter": "isomem.providers.llm.openai:OpenRouterLLM",
        "sarvam": "isomem.providers.llm.services:SarvamLLM",
        "together": "isomem.providers.llm.services:TogetherLLM",
        "vllm": "isomem.providers.llm.services:VllmLLM",
        "xai": "isomem.providers.llm.services:XaiLLM",
    },
    "",
)

EMBEDDERS = Kind(
    "embedder",
    "isomem.embedders",
    {
        "aws_bedrock": "isomem.providers.embedder.aws_bedrock:BedrockEmbedder",
        "azure_openai": "isomem.providers.embedder.azure_openai:AzureOpenAIEmbedder",
        "e5": "isomem.providers.embedder.e5:E5Embedder",
        "fastembed": "isomem.providers.embedder.fastembed:FastEmbedEmbedder",
        "gemini": "isomem.providers.embedder.gemini:GeminiEmbedder",
        "huggingface": "isomem.providers.embedder.huggingface:huggingface_embedder",
        "langchain": "isomem.providers.embedder.langchain:LangchainEmbedder",
        "lmstudio": "isomem.providers.embedder.openai:LMStudioEmbedder",
        "local": "isomem.providers.embedder.local:LocalEmbedder",
        "mock": "isomem.providers.embedder.mock:mock_embedder",
        "ollama": "isomem.providers.embedder.ollama:OllamaEmbedder",
        "openai": "isomem.providers.embedder.openai:OpenAIEmbedder",
        "together": "isomem.providers.embedder.together:TogetherEmbedder",
        "vertexai": "isomem.providers.embedder.vertexai:VertexAIEmbedder",
        "wordllama": "isomem.providers.embedder.wordllama:WordLlamaEmbedder",
    },
    "",
)

RERANKERS = Kind(
    "reranker",
    "isomem.rerankers",
    {
        "cohere": "isomem.providers.reranker.remote:CohereReranker",
        "huggingface": "isomem.providers.reranker.library:HuggingFaceReranker",
        "llm_reranker": "isomem.providers.reranker.llm:LLMReranker",
        "sentence_transformer": "isomem.providers.reranker.library:SentenceTransformerReranker",
        "zero_entropy": "isomem.providers.reranker.remote:ZeroEntropyReranker",
    },
    "",
)

# Store sets of our own are in `isomem.stores.registry`; only others come from here. mem0 has
# `oracledb` since a later release than 2.0.4.
VECTOR_STORES = Kind(
    "vector_store",
    "isomem.vector_stores",
    {
        "chroma": "isomem.stores.chroma:ChromaStore",
        "pgvector": "isomem.stores.pgvector:PgvectorStore",
        "qdrant": "isomem.stores.qdrant:QdrantStore",
        "redis": "isomem.stores.redis:RedisStore",
    },
    "azure_ai_search azure_mysql baidu cassandra databricks elasticsearch faiss langchain "
    "milvus mongodb neptune opensearch oracledb pinecone s3_vectors supabase "
    "turbopuffer upstash_vector valkey vertex_ai_vector_search weaviate",
)


RESOLVERS: list[Callable[[Kind, str], Factory | None]] = []
"""Asked for a provider before the tables are; None means that the tables decide."""


def create_llm(provider: str, config: Mapping[str, object] | None = None) -> LLM:
    """The language model of that name.

    Raises:
        InvalidConfigError: the provider or one of its options is unknown, or a value is wrong.
        DependencyError: it needs a package that is not installed.
    """
    llm: LLM = _create(LLMS, provider, config)
    return llm


def create_embedder(provider: str, config: Mapping[str, object] | None = None) -> Embedder:
    """The embedder of that name. Raises as `create_llm`."""
    embedder: Embedder = _create(EMBEDDERS, provider, config)
    return embedder


def create_reranker(provider: str, config: Mapping[str, object] | None = None) -> Reranker:
    """The reranker of that name. Raises as `create_llm`, but for unknown options: they warn only,
    since mem0 passes over them, too.
    """
    reranker: Reranker = _create(RERANKERS, provider, _known(RERANKERS, provider, config or {}))
    return reranker


def create_vector_store(
    provider: str,
    config: Mapping[str, object] | None = None,
    dims: int | None = None,
    encoder: object = None,
) -> VectorStore:
    """The vector store of that name. Raises as `create_llm`.

    Args:
        provider: its name.
        config: its options.
        dims: the length of the vectors, which a store of isomem's or mem0's is told if its options
            do not say.
        encoder: makes the terms for the keyword search of a store of isomem's.
    """
    known: dict[str, object] = {}
    if provider in tuple(VECTOR_STORES.builtin):  # It may be anything, and have no hash.
        known = {"dims": dims, "encoder": encoder}
    elif is_bridged(VECTOR_STORES, provider):
        known = {"dims": dims}
    store: VectorStore = _create(VECTOR_STORES, provider, config, **known)
    return store


def check_vector_store(provider: str, config: Mapping[str, object]) -> None:
    """Checks the options of a vector store of isomem's, and that its package is installed.

    Raises:
        InvalidConfigError: an option is unknown or wrong, or they do not belong together.
        DependencyError: the package is not installed.
    """
    store: Any = builtin(VECTOR_STORES, provider)
    store.check(config)


def is_bridged(kind: Kind, provider: object) -> bool:
    """Whether only an installed mem0 has a provider of that name."""
    if not isinstance(provider, str) or provider not in kind.elsewhere:
        return False
    is_resolved = any(resolve(kind, provider) is not None for resolve in RESOLVERS)
    return not is_resolved and provider not in _plugged_in(kind)


def table_of(kind: Kind, provider: str) -> Table | None:
    """The options that a provider takes; None if its package does not say.

    Raises:
        InvalidConfigError: the provider is unknown.
    """
    table: Table | None = getattr(_factory(kind, provider), "table", None)
    return table


def names_of(kind: Kind) -> list[str]:
    """The providers that can be used: built-in ones, those of installed packages, and mem0's."""
    from isomem.providers.bridge.copy import folder

    bridged = kind.elsewhere if folder() else ()
    return sorted({*kind.builtin, *_plugged_in(kind), *bridged})


def _create(
    kind: Kind, provider: object, config: Mapping[str, object] | None, **known: object
) -> Any:
    name = provider if isinstance(provider, str) else repr(provider)
    return _factory(kind, name)({} if config is None else config, **known)


def _known(kind: Kind, provider: object, config: Mapping[str, object]) -> Mapping[str, object]:
    """The options that a provider has; a warning names the others."""
    table = table_of(kind, provider) if isinstance(provider, str) else None
    if table is None:
        return config
    from isomem.options import split_known

    kept, others = split_known(config, [option.name for option in table], f"{kind.section}.config")
    if others:
        log.warning("Options that do nothing: %s", ", ".join(others))
    return kept


def _factory(kind: Kind, provider: str) -> Factory:
    for resolve in RESOLVERS:
        found = resolve(kind, provider)
        if found is not None:
            return found
    return builtin(kind, provider)


def builtin(kind: Kind, provider: str) -> Factory:
    """What the tables and the installed packages have under a name.

    Raises:
        InvalidConfigError: the provider is unknown.
    """
    path = kind.builtin.get(provider)
    if path is None:
        return _found_elsewhere(kind, provider)
    module, _, name = path.partition(":")
    __import__(module)
    factory: Factory = getattr(sys.modules[module], name)
    return factory


def _found_elsewhere(kind: Kind, provider: str) -> Factory:
    found = _plugged_in(kind)
    if provider in found:
        return _loaded(kind, provider, found[provider])
    if provider in kind.elsewhere:
        return _from_mem0(kind, provider)
    from isomem.options import unknown

    own = ["embedded", "postgres"] if kind is VECTOR_STORES else []
    raise unknown(kind.title, provider, {*kind.builtin, *kind.elsewhere, *found, *own})


def _plugged_in(kind: Kind) -> dict[str, Any]:
    """The entry points of installed packages, by name."""
    # Costs megabytes and milliseconds: only for names that are not built in.
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points(group=kind.group)}


def _loaded(kind: Kind, provider: str, point: Any) -> Factory:
    try:
        factory: Factory = point.load()
    except (ImportError, AttributeError) as error:
        raise InvalidConfigError(
            f"The {kind.title} {provider!r} is offered by the entry point "
            f"{point.value!r}, which cannot be loaded: {error}",
            error_code="CONFIG_003",
            details={"given": provider, "entry_point": point.value},
            suggestion="Repair or reinstall the package that offers it",
        ) from error
    return factory


def _from_mem0(kind: Kind, provider: str) -> Factory:
    def make(config: Mapping[str, object], **known: Any) -> Any:
        from isomem.providers.bridge import making

        return getattr(making, f"make_{kind.section}")(provider, config, **known)

    return make
