"""Configuration: upstream's dict, with isomem's additions, checked key by key.

::

    {
        "vector_store": {"provider": "embedded", "config": {...}},
        "llm": {"provider": "openai", "config": {...}},
        "embedder": {"provider": "openai", "config": {...}},
        "reranker": {"provider": ..., "config": {...}},     # default: none
        "nlp": {"provider": "builtin", "config": {...}},    # or "spacy", "none"
        "history_db_path": None,        # None: in the memory file
        "custom_instructions": None,
        "raise_on_llm_error": False,    # True: a failed model call raises
        "version": "v1.1",
    }
"""

from __future__ import annotations

import os

from isomem import log
from isomem.errors import InvalidConfigError
from isomem.options import (
    ANYTHING,
    FILE,
    SWITCH,
    TEXT,
    Kind,
    Option,
    check_option,
    defaults_of,
    home,
    number,
    one_of,
    optional,
    read_options,
    read_table,
    unknown,
    whole,
)
from isomem.types import is_unicode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

ENTITIES_SUFFIX = "_entities"
"""The entities of a collection stand in a collection of its name with this at the end."""


def _is_collection_name(value: Any) -> bool:
    return (
        isinstance(value, str)
        and bool(value.strip())
        and "\0" not in value
        and is_unicode(value)
        and not value.endswith(ENTITIES_SUFFIX)
    )


TOP = (
    Option("vector_store", None, ANYTHING, "where memories live"),
    Option("llm", None, ANYTHING, "the model that extracts facts"),
    Option("embedder", None, ANYTHING, "what turns text into vectors"),
    Option("reranker", None, ANYTHING, "reorders search results when `rerank=True`"),
    Option("nlp", None, ANYTHING, "lemmas and entities: `builtin`, `spacy` or `none`"),
    Option("history_db_path", None, optional(FILE), "a SQLite file for history and messages"),
    Option("custom_instructions", None, optional(TEXT), "added to every extraction prompt"),
    Option("raise_on_llm_error", False, SWITCH, "whether a failed model call raises an error"),
    Option("version", "v1.1", TEXT, "kept for compatibility with mem0"),
)
"""The keys of the configuration. Those of providers are read by `_provider`."""

COLLECTION = Option(
    "collection_name",
    "mem0",
    Kind(
        f"text that does not end in {ENTITIES_SUFFIX!r}, which names the entities of a collection",
        _is_collection_name,
    ),
    "several collections can share a file",
)

EMBEDDED_OPTIONS = (
    Option("path", None, optional(FILE), 'the file, or ":memory:"'),
    COLLECTION,
    Option(
        "embedding_model_dims", None, optional(whole(1, 1_000_000)), "the length of the vectors"
    ),
    Option("keyword_search", True, SWITCH, "BM25 beside the semantic search"),
    Option("synchronous", "full", one_of("full", "normal", "off"), "what survives a power cut"),
    Option("busy_timeout_s", 10.0, number(0, 1_000_000), "seconds to wait for another process"),
    Option("cache_mb", 64, number(0, 1_000_000), "memory for the scopes in use; 0 turns it off"),
)
"""The keys of `vector_store.config` for the provider "embedded"."""

EMBEDDED = defaults_of(EMBEDDED_OPTIONS)

_OF_MEM0_1 = ("graph_store", "custom_fact_extraction_prompt", "custom_update_memory_prompt")
"""Keys that mem0 2 passes over in silence: what a program hands to it must work here, too."""

NLP_PROVIDERS = ("builtin", "spacy", "none")


class Options:
    """Options of one provider, by attribute and by key."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.__dict__.update(values)

    def __getitem__(self, key: str) -> Any:
        return self.__dict__[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.__dict__)

    def get(self, key: str, default: Any = None) -> Any:
        """The option, or `default`."""
        return self.__dict__.get(key, default)

    def keys(self) -> Any:
        """The names of the options."""
        return self.__dict__.keys()

    def model_dump(self) -> dict[str, Any]:
        """The options as a dict."""
        return dict(self.__dict__)

    def __repr__(self) -> str:
        return f"Options({', '.join(self.__dict__)})"  # Names alone: values can be keys.


class ProviderConfig:
    """Which provider, and its options."""

    def __init__(self, provider: str, config: Options) -> None:
        self.provider = provider
        self.config = config

    def __repr__(self) -> str:
        return f"ProviderConfig({self.provider!r}, {self.config!r})"


class MemoryConfig:
    """The configuration of one memory.

    Args:
        options: the keys of the module's docstring; each may be left out. A provider is a dict
            `{"provider": NAME, "config": {...}}` or a `ProviderConfig`.

    With no `llm` and no `embedder` upstream's OpenAI defaults hold if `OPENAI_API_KEY` is in the
    environment; without it the embedder is "local" and the model "unset", which raises at the
    first call that needs one.

    Raises:
        InvalidConfigError: an unknown key or provider; names the nearest known one.
    """

    def __init__(self, **options: Any) -> None:
        for key in _OF_MEM0_1:
            if options.pop(key, None) is not None:
                log.warning("The key %r of the configuration does nothing since mem0 2", key)
        given = read_table(options, TOP, "the configuration")
        has_key = bool(os.environ.get("OPENAI_API_KEY"))
        self.vector_store = _store_config(given["vector_store"])
        self.llm = _provider("llm", given["llm"], "openai" if has_key else "unset")
        self.embedder = _provider("embedder", given["embedder"], "openai" if has_key else "local")
        self.nlp = _provider("nlp", given["nlp"], "builtin")
        self.reranker = _provider("reranker", given["reranker"], "") if given["reranker"] else None
        history = given["history_db_path"]
        self.history_db_path: str | None = None if history is None else home(history)
        self.version: str = given["version"]
        self.custom_instructions: str | None = given["custom_instructions"]
        self.raise_on_llm_error: bool = given["raise_on_llm_error"]
        if self.nlp.provider not in NLP_PROVIDERS:
            raise unknown("nlp provider", self.nlp.provider, NLP_PROVIDERS)


def as_config(given: Any) -> MemoryConfig:
    """`given`, a configuration; the default one for None.

    Raises:
        InvalidConfigError: something else.
    """
    if given is None:
        return MemoryConfig()
    if not isinstance(given, MemoryConfig):
        raise InvalidConfigError(
            f"config must be a MemoryConfig, got {type(given).__name__}",
            error_code="CONFIG_002",
            suggestion="Memory.from_config takes a dict of options.",
        )
    return given


def from_dict(given: Any) -> MemoryConfig:
    """The configuration in a dict of options.

    Raises:
        InvalidConfigError: not a dict, an unknown key or provider, or a wrong value.
    """
    if not hasattr(given, "items"):
        raise InvalidConfigError(
            f"the configuration must be a dict, got {type(given).__name__}",
            error_code="CONFIG_002",
            suggestion="Read a file first, such as with json.load, and pass what is in it.",
        )
    wrong = [key for key in given if not isinstance(key, str)]
    if wrong:
        raise unknown("key in the configuration", wrong[0], defaults_of(TOP))
    return MemoryConfig(**given)


def _provider(name: str, given: Any, default: str) -> ProviderConfig:
    if isinstance(given, ProviderConfig):
        return given
    parts = read_options(given, {"provider": default, "config": None}, name)
    if not isinstance(parts["provider"], str) or not parts["provider"]:
        raise InvalidConfigError(f"{name} names no provider", error_code="CONFIG_002")
    return ProviderConfig(parts["provider"], Options(_as_dict(parts["config"], f"{name}.config")))


def _as_dict(config: Any, where: str) -> dict[str, Any]:
    if config is None:
        return {}
    if hasattr(config, "items"):
        return dict(config)
    if hasattr(config, "__dict__"):
        return dict(vars(config))
    raise InvalidConfigError(
        f"{where} must be a dict, got {type(config).__name__}", error_code="CONFIG_002"
    )


def _store_config(given: Any) -> ProviderConfig:
    store = _provider("vector_store", given, "embedded")
    where, options = "vector_store.config", store.config.model_dump()
    if store.provider == "embedded":
        options = read_table(options, EMBEDDED_OPTIONS, where)
        options["path"] = home(default_path() if options["path"] is None else options["path"])
    else:
        options.setdefault(COLLECTION.name, COLLECTION.default)
        check_option(COLLECTION, options[COLLECTION.name], where)
    store.config = Options(options)
    return store


def default_path() -> str:
    """`memory.db` in the directory that `ISOMEM_DIR` names, or else in `~/.isomem`."""
    return os.path.join(home(os.environ.get("ISOMEM_DIR") or "~/.isomem"), "memory.db")
