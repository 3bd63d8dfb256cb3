"""Makes a provider from its name and its options.

A built-in provider is one line in a table here; its module is imported when it is first needed.
Any other name is looked up in the entry points of the installed packages, one group per kind:
"isomem.llms", "isomem.embedders", "isomem.rerankers", "isomem.vector_stores". An entry point is a
callable that takes the dict of options and returns the provider.
"""

from __future__ import annotations

import sys

from isomem.errors import InvalidConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from isomem.options import Table
    from isomem.ports.shapes import LLM, Embedder, Reranker, VectorStore

    # What a package provides is not checked until it is used.
    Factory = Callable[[Mapping[str, object]], Any]


class Kind:
    """One kind of provider.

    Attributes:
        title: names it in errors.
        group: its entry-point group.
        builtin: name to "module:callable".
        elsewhere: names that upstream has and we do not.
    """

    __slots__ = ("builtin", "elsewhere", "group", "title")

    def __init__(self, title: str, group: str, builtin: dict[str, str], elsewhere: str) -> None:
        self.title = title
        self.group = group
        self.builtin = builtin
        self.elsewhere = frozenset(elsewhere.split())


LLMS = Kind(
    "llm provider",
    "isomem.llms",
    {
        "deepseek": "isomem.providers.llm.services:DeepSeekLLM",
        "groq": "isomem.providers.llm.services:GroqLLM",
        "lmstudio": "isomem.providers.llm.services:LMStudioLLM",
        "minimax": "isomem.providers.llm.services:MiniMaxLLM",
        "mock": "isomem.providers.llm.mock:mock_llm",
        "ollama": "isomem.providers.llm.ollama:OllamaLLM",
        "openai": "isomem.providers.llm.openai:OpenAILLM",
        "together": "isomem.providers.llm.services:TogetherLLM",
        "vllm": "isomem.providers.llm.services:VllmLLM",
        "xai": "isomem.providers.llm.services:XaiLLM",
    },
    "anthropic aws_bedrock azure_openai azure_openai_structured gemini langchain litellm "
    "openai_structured sarvam",
)

EMBEDDERS = Kind(
    "embedder provider",
    "isomem.embedders",
    {
        "lmstudio": "isomem.providers.embedder.openai:LMStudioEmbedder",
        "local": "isomem.providers.embedder.local:LocalEmbedder",
        "mock": "isomem.providers.embedder.mock:mock_embedder",
        "ollama": "isomem.providers.embedder.ollama:OllamaEmbedder",
        "openai": "isomem.providers.embedder.openai:OpenAIEmbedder",
        "wordllama": "isomem.providers.embedder.wordllama:WordLlamaEmbedder",
    },
    "aws_bedrock azure_openai fastembed gemini huggingface langchain together vertexai",
)

RERANKERS = Kind(
    "reranker provider",
    "isomem.rerankers",
    {"llm_reranker": "isomem.providers.reranker.llm:LLMReranker"},
    "cohere huggingface sentence_transformer zero_entropy",
)

# Store sets of our own are in `isomem.stores.registry`; only others come from here.
VECTOR_STORES = Kind(
    "vector_store provider",
    "isomem.vector_stores",
    {},
    "azure_ai_search azure_mysql baidu cassandra chroma databricks elasticsearch faiss langchain "
    "milvus mongodb neptune opensearch pgvector pinecone qdrant redis s3_vectors supabase "
    "turbopuffer upstash_vector valkey vertex_ai_vector_search weaviate",
)


RESOLVERS: list[Callable[[Kind, str], Factory | None]] = []
"""Asked for a provider before the tables are; None means that the tables decide."""


def create_llm(provider: str, config: Mapping[str, object] | None = None) -> LLM:
    """The language model of that name.

    Raises:
        InvalidConfigError: the provider or one of its options is unknown, or a value is wrong.
    """
    llm: LLM = _create(LLMS, provider, config)
    return llm


def create_embedder(provider: str, config: Mapping[str, object] | None = None) -> Embedder:
    """The embedder of that name.

    Raises:
        InvalidConfigError: as `create_llm`.
        DependencyError: it needs an extra that is not installed.
    """
    embedder: Embedder = _create(EMBEDDERS, provider, config)
    return embedder


def create_reranker(provider: str, config: Mapping[str, object] | None = None) -> Reranker:
    """The reranker of that name. Raises as `create_llm`."""
    reranker: Reranker = _create(RERANKERS, provider, config)
    return reranker


def create_vector_store(provider: str, config: Mapping[str, object] | None = None) -> VectorStore:
    """The vector store that an installed package offers by that name. Raises as `create_llm`."""
    store: VectorStore = _create(VECTOR_STORES, provider, config)
    return store


def table_of(kind: Kind, provider: str) -> Table | None:
    """The options that a provider takes; None if its package does not say.

    Raises:
        InvalidConfigError: the provider is unknown.
    """
    table: Table | None = getattr(_factory(kind, provider), "table", None)
    return table


def names_of(kind: Kind) -> list[str]:
    """The built-in providers, and those of installed packages."""
    from importlib.metadata import entry_points

    return sorted({*kind.builtin, *(point.name for point in entry_points(group=kind.group))})


def _create(kind: Kind, provider: object, config: Mapping[str, object] | None) -> Any:
    name = provider if isinstance(provider, str) else repr(provider)
    return _factory(kind, name)({} if config is None else config)


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
        return _plugged_in(kind, provider)
    module, _, name = path.partition(":")
    __import__(module)
    factory: Factory = getattr(sys.modules[module], name)
    return factory


def _plugged_in(kind: Kind, provider: str) -> Factory:
    # Costs megabytes and milliseconds: only for names that are not built in.
    from importlib.metadata import entry_points

    found = {point.name: point for point in entry_points(group=kind.group)}
    if provider not in found:
        raise _not_found(kind, provider, list(found))
    try:
        factory: Factory = found[provider].load()
    except (ImportError, AttributeError) as error:
        raise InvalidConfigError(
            f"The {kind.title} {provider!r} is offered by the entry point "
            f"{found[provider].value!r}, which cannot be loaded: {error}",
            error_code="CONFIG_003",
            details={"given": provider, "entry_point": found[provider].value},
            suggestion="Repair or reinstall the package that offers it",
        ) from error
    return factory


def _not_found(kind: Kind, provider: str, plugged_in: list[str]) -> InvalidConfigError:
    from isomem.options import unknown

    known = sorted([*kind.builtin, *plugged_in, *(["embedded"] if kind is VECTOR_STORES else [])])
    if provider not in kind.elsewhere:
        return unknown(kind.title, provider, known)
    return InvalidConfigError(
        f"The {kind.title} {provider!r} is one of mem0's that isomem does not carry yet. "
        f"Ready to use: {', '.join(known)}. Plug in your own by an entry point in the group "
        f"{kind.group!r}, or by assigning an object with the same methods to the memory.",
        error_code="CONFIG_001",
        details={"given": provider, "known": known},
        suggestion=f"Choose one of {known}, or see docs/providers.md on how to plug one in",
    )
