"""The sections of a configuration as mem0's classes: `mem0.configs.base` and what it re-exports."""

from __future__ import annotations

import os
import sys

from isomem.compat.paths import LIVE, STORE_CLASSES, names_of
from isomem.compat.records import Record, wrong
from isomem.compat.stores import CLASSES
from isomem.config import STORE_SETS, Options, default_provider, from_dict
from isomem.providers import registry
from isomem.types import PROCEDURAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar

    from isomem.config import MemoryConfig as OwnConfig

home_dir = os.path.expanduser("~")
mem0_dir = os.environ.get("MEM0_DIR") or os.path.join(home_dir, ".mem0")
"""Where mem0 keeps its files. isomem reads and writes nothing there."""


class MemoryItem(Record):
    """One memory, with its fields as attributes."""

    id: str
    memory: str
    hash: str | None = None
    metadata: dict[str, Any] | None = None
    score: float | None = None
    created_at: str | None = None
    updated_at: str | None = None


class AzureConfig(Record):
    """How a deployment on Azure is reached."""

    api_key: str = None  # type: ignore[assignment]  # as in mem0
    azure_deployment: str = None  # type: ignore[assignment]
    azure_endpoint: str = None  # type: ignore[assignment]
    api_version: str = None  # type: ignore[assignment]
    default_headers: dict[str, str] | None = None


class LlmConfig(Record):
    """Which model, and its options."""

    provider: str = "openai"
    config: dict[str, Any] | None = {}  # noqa: RUF012 - copied for each record

    def _after(self) -> None:
        _check_provider(self, registry.LLMS, "LLM")


class EmbedderConfig(Record):
    """Which embedder, and its options."""

    provider: str = "openai"
    config: dict[str, Any] | None = {}  # noqa: RUF012 - copied for each record

    def _after(self) -> None:
        _check_provider(self, registry.EMBEDDERS, "embedding")


class RerankerConfig(Record):
    """Which reranker, and its options."""

    extra = "forbid"
    provider: str = "cohere"
    config: dict[str, Any] | None = None


class StoreOptions(Options):
    """The options of a store that has no class of its own, by attribute and by key."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Options) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]


class _Named(dict[str, str]):
    """A dict, and pydantic's way to it: programs add the class of their own store there."""

    @property
    def default(self) -> _Named:
        return self


class VectorStoreConfig(Record):
    """Which vector store, and its options.

    `config` becomes an object of the class that `mem0.configs.vector_stores` has for the provider.
    The options of a store of isomem's own become an object with them as attributes.
    """

    provider: str = "qdrant"
    config: Any = None

    _provider_configs: ClassVar[_Named] = _Named(CLASSES)
    _own_classes: ClassVar[dict[str, type]] = {}
    __private_attributes__: ClassVar[dict[str, _Named]] = {"_provider_configs": _provider_configs}

    def _after(self) -> None:
        provider, config = self.provider, self.config
        kind = self._own_classes.get(provider)
        if kind is None and provider in self._provider_configs and provider not in STORE_SETS:
            kind = _store_class(provider, self._provider_configs[provider])
        if kind is not None:
            made = config if isinstance(config, kind) else _store_record(kind, provider, config)
        else:
            _known(self, registry.VECTOR_STORES, "vector store")
            made = (
                StoreOptions(config or {}) if config is None or isinstance(config, dict) else config
            )
        self.__dict__["config"] = made


def _store_class(provider: str, name: str) -> type:
    module = f"mem0.configs.vector_stores.{provider}"
    __import__(module)
    kind: type = getattr(sys.modules[module], name)
    return kind


def _store_record(kind: type, provider: str, config: object) -> object:
    if config is not None and not isinstance(config, dict):
        raise wrong(VectorStoreConfig, f"Invalid config type for provider {provider}")
    options = dict(config or {})
    if "path" in getattr(kind, "model_fields", ()):
        options.setdefault("path", f"/tmp/{provider}")
    return kind(**options)


def _check_provider(section: Record, kind: registry.Kind, title: str) -> None:
    """As mem0's `validate_config`: with options only, and a program's own takes its place."""
    given = "config" in section.model_fields_set
    if given and "validate_config" not in section._validators:
        _known(section, kind, title)


def _known(section: Any, kind: registry.Kind, title: str) -> None:
    provider = section.provider
    if provider not in names_of(kind):
        raise wrong(type(section), f"Unsupported {title} provider: {provider}")


def _llm() -> LlmConfig:
    return LlmConfig.model_construct(provider=default_provider("llm"))


def _embedder() -> EmbedderConfig:
    return EmbedderConfig.model_construct(provider=default_provider("embedder"))


def _store() -> VectorStoreConfig:
    return VectorStoreConfig(provider="embedded")


class MemoryConfig(Record):
    """The configuration of a memory, as mem0's class.

    A section that is not given is isomem's default: the embedded store, and the model and the
    embedder that `isomem.MemoryConfig` chooses. isomem's own keys, such as `ranking`, are accepted.
    """

    extra = "allow"
    vector_store: VectorStoreConfig = None  # type: ignore[assignment]  # made below
    llm: LlmConfig = None  # type: ignore[assignment]
    embedder: EmbedderConfig = None  # type: ignore[assignment]
    history_db_path: str | None = None
    reranker: RerankerConfig | None = None
    version: str = "v1.1"
    custom_instructions: str | None = None

    @classmethod
    def _before(cls, values: dict[str, object]) -> dict[str, object]:
        kinds = {
            "vector_store": VectorStoreConfig,
            "llm": LlmConfig,
            "embedder": EmbedderConfig,
            "reranker": RerankerConfig,
        }
        return {
            name: _section(kinds[name], name, value)
            if name in kinds and value is not None
            else value
            for name, value in values.items()
        }


for _name, _factory in (("vector_store", _store), ("llm", _llm), ("embedder", _embedder)):
    MemoryConfig.model_fields[_name].default_factory = _factory


def _section(kind: type[Record], name: str, value: object) -> object:
    if isinstance(value, dict):
        return kind.model_validate(value)
    # An object of mem0's own is as good as one of these.
    other = isinstance(value, Record) and not isinstance(value, kind)
    if other or not hasattr(value, "provider"):
        fault = f"{name} must be a dict or a {kind.__name__}, not {type(value).__name__}"
        raise wrong(MemoryConfig, fault, name)
    return value


SECTIONS = ("vector_store", "llm", "embedder", "reranker")


def own_config(given: Any, store: dict[str, Any] | None = None) -> OwnConfig:
    """A configuration of mem0's as one of isomem's.

    Args:
        given: a `MemoryConfig` of this module or a class made from it.
        store: the section of the vector store if it has none; None means isomem's own store.

    Raises:
        InvalidConfigError: a key is unknown, or a value is wrong.
    """
    chosen = {name: value for name, value in given if name in given.model_fields_set}
    if store is not None:
        chosen.setdefault("vector_store", store)
    # Fields that a program's own subclass has are its own business.
    own = {name for name in type(given).model_fields if name not in MemoryConfig.model_fields}
    return from_dict(
        {
            name: _as_dict(value) if name in SECTIONS and value is not None else value
            for name, value in chosen.items()
            if name not in own
        }
    )


def completed(given: Any) -> Any:
    """A dict of options, in which a store of the program's own has all options of its class.

    Its constructor may want every one of them, as it gets them from mem0.
    """
    section = given.get("vector_store") if isinstance(given, dict) else None
    provider = str(section.get("provider")) if isinstance(section, dict) else ""
    row = LIVE[registry.VECTOR_STORES].get(provider)
    if row is None or row == STORE_CLASSES.get(provider):
        return given
    return {**given, "vector_store": _as_dict(VectorStoreConfig.model_validate(section))}


def _as_dict(section: Any) -> object:
    if isinstance(section, dict) or not hasattr(section, "provider"):
        return section
    return {"provider": section.provider, "config": all_options_of(section.config)}


def options_of(config: Any) -> dict[str, Any]:
    """The options that are given in a configuration object, a dict or None."""
    if config is None or isinstance(config, dict):
        return dict(config or {})
    return {name: value for name, value in all_options_of(config).items() if value is not None}


def all_options_of(config: Any) -> dict[str, Any]:
    """As `options_of`, with those of an object that are None: a store's class may want them all."""
    if config is None or isinstance(config, dict):
        return dict(config or {})
    if isinstance(config, Record):
        return dict(config)
    values: dict[str, Any] = config.model_dump() if hasattr(config, "model_dump") else vars(config)
    return dict(values)


def kind_of_memory() -> object:
    """`MemoryType`, made here so that enum is imported only for programs that ask for it."""
    from enum import Enum

    return Enum(
        "MemoryType",
        {"SEMANTIC": "semantic_memory", "EPISODIC": "episodic_memory", "PROCEDURAL": PROCEDURAL},
        module="mem0.configs.enums",
    )


def __getattr__(name: str) -> object:
    if name == "MemoryType":
        return globals().setdefault(name, kind_of_memory())
    raise AttributeError(name)
