"""`mem0.utils.factory`: what makes a model, an embedder, a store or a reranker from its name.

The tables are live: a class that a program puts there, or registers, is what a memory uses for
that name from then on, whether it replaces one of mem0's or adds a name.
"""

from __future__ import annotations

import sys

from isomem.compat import options
from isomem.compat.concrete import Delegated, is_own
from isomem.compat.paths import (
    EMBEDDER_CLASSES,
    LIVE,
    LLM_CLASSES,
    RERANKER_CLASSES,
    STORE_CLASSES,
)
from isomem.compat.pieces import SQLiteManager
from isomem.compat.records import Record
from isomem.compat.sections import VectorStoreConfig, options_of
from isomem.providers import registry
from isomem.providers.settings import takes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, ClassVar

__all__ = ["EmbedderFactory", "LlmFactory", "RerankerFactory", "VectorStoreFactory", "load_class"]

_LLM_CONFIGS: dict[str, Any] = {
    "anthropic": "AnthropicConfig",
    "aws_bedrock": "AWSBedrockConfig",
    "azure_openai": "AzureOpenAIConfig",
    "azure_openai_structured": "AzureOpenAIConfig",
    "deepseek": "DeepSeekConfig",
    "lmstudio": "LMStudioConfig",
    "minimax": "MinimaxConfig",
    "ollama": "OllamaConfig",
    "openai": "OpenAIConfig",
    "openai_structured": "OpenAIConfig",
    "vllm": "VllmConfig",
}
_RERANKER_CONFIGS = {
    "cohere": options.CohereRerankerConfig,
    "huggingface": options.HuggingFaceRerankerConfig,
    "llm_reranker": options.LLMRerankerConfig,
    "sentence_transformer": options.SentenceTransformerRerankerConfig,
    "zero_entropy": options.ZeroEntropyRerankerConfig,
}


def load_class(class_type: str) -> Any:
    """The class at a dotted path.

    Raises:
        ImportError, AttributeError: there is none.
    """
    module, _, name = class_type.rpartition(".")
    __import__(module)
    return getattr(sys.modules[module], name)


class LlmFactory:
    """Makes models."""

    provider_to_class: ClassVar[dict[str, Any]] = {
        provider: (path, getattr(options, _LLM_CONFIGS.get(provider, "BaseLlmConfig")))
        for provider, path in LLM_CLASSES.items()
    }

    @classmethod
    def create(cls, provider_name: str, config: object = None, **kwargs: object) -> Any:
        """The model of that name.

        Args:
            provider_name: a key of `provider_to_class`.
            config: an object with the options as attributes, a dict of them, or None.
            **kwargs: further options.

        Raises:
            ValueError: the provider is unknown.
        """
        if provider_name not in cls.provider_to_class:
            raise ValueError(f"Unsupported Llm provider: {provider_name}")
        path, kind = _path_and_config(cls.provider_to_class[provider_name], options.BaseLlmConfig)
        made = load_class(path)
        if is_own(made):
            return made({**options_of(config), **kwargs} if kwargs else config)
        if config is None or isinstance(config, dict):
            return made(kind(**{**(config or {}), **kwargs}))
        if type(config) is options.BaseLlmConfig and kind is not options.BaseLlmConfig:
            shared = {name: vars(config)[name] for name in kind.defaults if name in vars(config)}
            return made(kind(**{**shared, **kwargs}))
        return made(config)

    @classmethod
    def register_provider(cls, name: str, class_path: str, config_class: object = None) -> None:
        """From now on, a name means another class.

        Args:
            name: of the provider.
            class_path: the dotted path of the class.
            config_class: what its options are made into, `BaseLlmConfig` by default.
        """
        cls.provider_to_class[name] = (class_path, config_class or options.BaseLlmConfig)

    @classmethod
    def get_supported_providers(cls) -> list[str]:
        """The names."""
        return [*cls.provider_to_class]


class EmbedderFactory:
    """Makes embedders."""

    provider_to_class: ClassVar[dict[str, Any]] = dict(EMBEDDER_CLASSES)

    @classmethod
    def create(cls, provider_name: str, config: Any, vector_config: object = None) -> Any:
        """The embedder of that name.

        Args:
            provider_name: a key of `provider_to_class`, or "upstash_vector" for a store that
                makes the vectors itself.
            config: a dict of options.
            vector_config: the options of the vector store, or None.

        Raises:
            ValueError: the provider is unknown.
        """
        if provider_name == "upstash_vector" and getattr(vector_config, "enable_embeddings", False):
            return load_class("mem0.embeddings.mock.MockEmbeddings")()
        if provider_name not in cls.provider_to_class:
            raise ValueError(f"Unsupported Embedder provider: {provider_name}")
        path, kind = _path_and_config(
            cls.provider_to_class[provider_name], options.BaseEmbedderConfig
        )
        made = load_class(path)
        return made(config if is_own(made) or not _is_plain(config) else kind(**(config or {})))

    @classmethod
    def register_provider(cls, name: str, class_path: str, config_class: object = None) -> None:
        """As `LlmFactory.register_provider`; mem0 2.0.4 has it for models only."""
        path = class_path if config_class is None else (class_path, config_class)
        cls.provider_to_class[name] = path


class VectorStoreFactory:
    """Makes vector stores."""

    provider_to_class: ClassVar[dict[str, Any]] = dict(STORE_CLASSES)

    @classmethod
    def create(cls, provider_name: str, config: Any) -> Any:
        """The vector store of that name.

        Args:
            provider_name: a key of `provider_to_class`.
            config: an object with the options, or a dict of them.

        Raises:
            ValueError: the provider is unknown.
        """
        path = cls.provider_to_class.get(provider_name)
        if not path:
            raise ValueError(f"Unsupported VectorStore provider: {provider_name}")
        given = config if isinstance(config, dict) else config.model_dump()
        return load_class(_path_and_config(path, None)[0])(**given)

    @classmethod
    def reset(cls, instance: Any) -> Any:
        """The store, emptied."""
        instance.reset()
        return instance

    @classmethod
    def register_provider(
        cls, name: str, class_path: str, config_class: type | None = None
    ) -> None:
        """As `LlmFactory.register_provider`; mem0 2.0.4 has it for models only."""
        cls.provider_to_class[name] = class_path
        if config_class is not None:
            VectorStoreConfig._own_classes[name] = config_class


class RerankerFactory:
    """Makes rerankers."""

    provider_to_class: ClassVar[dict[str, Any]] = {
        provider: (path, _RERANKER_CONFIGS[provider]) for provider, path in RERANKER_CLASSES.items()
    }

    @classmethod
    def create(cls, provider_name: str, config: Any = None, **kwargs: object) -> Any:
        """The reranker of that name.

        Args:
            provider_name: a key of `provider_to_class`.
            config: an object of the provider's class, a dict of options, or None.
            **kwargs: further options.

        Raises:
            ValueError: the provider is unknown, or `config` is something else.
            ImportError: the class cannot be imported.
        """
        if provider_name not in cls.provider_to_class:
            raise ValueError(f"Unsupported reranker provider: {provider_name}")
        path, kind = _path_and_config(
            cls.provider_to_class[provider_name], options.BaseRerankerConfig
        )
        try:
            made = load_class(path)
        except (ImportError, AttributeError) as error:
            raise ImportError(
                f"Could not import reranker for provider {provider_name!r}: {error}"
            ) from error
        if is_own(made):
            return made({**options_of(config), **kwargs})
        if _is_plain(config):
            config = kind(**{**(config or {}), **kwargs})
        elif not isinstance(config, Record):
            raise ValueError(f"Config must be a {kind.__name__} instance or dict")
        return made(config)

    @classmethod
    def register_provider(cls, name: str, class_path: str, config_class: object = None) -> None:
        """As `LlmFactory.register_provider`; mem0 2.0.4 has it for models only."""
        cls.provider_to_class[name] = (class_path, config_class or options.BaseRerankerConfig)


def _path_and_config(row: Any, config_class: object) -> tuple[str, Any]:
    """A row of a table: a path, as for embedders and for models before mem0 1, or with a class."""
    return (row, config_class) if isinstance(row, str) else (row[0], row[1] or config_class)


def _is_plain(config: object) -> bool:
    return config is None or isinstance(config, dict)


# --- The tables as the memory sees them ------------------------------------------------------

_FACTORIES: dict[registry.Kind, Any] = {
    registry.LLMS: LlmFactory,
    registry.EMBEDDERS: EmbedderFactory,
    registry.VECTOR_STORES: VectorStoreFactory,
    registry.RERANKERS: RerankerFactory,
}
LIVE.update({kind: made.provider_to_class for kind, made in _FACTORIES.items()})
_CREATE = {made: made.create.__func__ for made in _FACTORIES.values()}


def resolve(kind: registry.Kind, provider: str) -> Callable[[Mapping[str, object]], Any] | None:
    """What makes a provider if a factory has a word in it; None if isomem's own tables decide.

    A factory has if a class of the program's stands in its table, if isomem carries the class
    that stands there, or if a program has replaced `create`.
    """
    factory = _factory_of(kind)
    row = getattr(factory, "provider_to_class", {}).get(provider)
    if row is None and _is_ours(factory):
        return None
    if _is_ours(factory) and _is_delegated(row):
        return None

    # What is known of a store beside its options is for those that isomem makes.
    def make(config: Mapping[str, object], **_known: object) -> Any:
        more = (None,) if kind is registry.EMBEDDERS else ()
        return factory.create(provider, dict(config), *more)

    table = getattr(_class_in(row), "table", None) if _is_ours(factory) else None
    return make if table is None else takes(table)(make)


def _factory_of(kind: registry.Kind) -> Any:
    """The factory under its name in `mem0.memory.main`, where programs replace it."""
    __import__("mem0.memory.main")
    return getattr(sys.modules["mem0.memory.main"], _FACTORIES[kind].__name__)


def default_store() -> dict[str, Any] | None:
    """The section of a vector store if a configuration has none; None: isomem's own store.

    It is mem0's default if a program, or its tests, have replaced what makes stores: they mean it.
    """
    factory = _factory_of(registry.VECTOR_STORES)
    return None if _is_ours(factory) else {"provider": "qdrant", "config": {}}


def replaced_manager() -> Any:
    """What a program has put in the place of `mem0.memory.main.SQLiteManager`, or None."""
    found = sys.modules["mem0.memory.main"].SQLiteManager
    return None if found is SQLiteManager else found


def _is_ours(factory: Any) -> bool:
    return factory in _CREATE and getattr(factory.create, "__func__", None) is _CREATE[factory]


def _is_delegated(row: object) -> bool:
    """Whether a row has a class that asks isomem's tables itself."""
    made = _class_in(row)
    return isinstance(made, type) and issubclass(made, Delegated)


def _class_in(row: object) -> Any:
    return load_class(_path_and_config(row, None)[0])


def __getattr__(name: str) -> Any:
    """The configuration classes, which are in this module in mem0, too."""
    return getattr(options, name)
