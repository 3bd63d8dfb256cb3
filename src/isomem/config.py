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
from isomem.options import read_options, unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

_KEYS: dict[str, Any] = {
    "vector_store": None,
    "llm": None,
    "embedder": None,
    "history_db_path": None,
    "reranker": None,
    "version": "v1.1",
    "custom_instructions": None,
    "nlp": None,
    "raise_on_llm_error": False,
}
_OF_MEM0_1 = ("graph_store", "custom_fact_extraction_prompt", "custom_update_memory_prompt")
"""Keys that mem0 2 passes over in silence: what a program hands to it must work here, too."""

EMBEDDED: dict[str, Any] = {
    "path": None,
    "collection_name": "mem0",
    "embedding_model_dims": None,
    "keyword_search": True,
    "synchronous": "full",
    "busy_timeout_s": 10.0,
    "cache_mb": 64,
}
"""Keys of `vector_store.config` for the provider "embedded", with their defaults."""

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
        given = read_options(options, _KEYS, "the configuration")
        has_key = bool(os.environ.get("OPENAI_API_KEY"))
        self.vector_store = _store_config(given["vector_store"])
        self.llm = _provider("llm", given["llm"], "openai" if has_key else "unset")
        self.embedder = _provider("embedder", given["embedder"], "openai" if has_key else "local")
        self.nlp = _provider("nlp", given["nlp"], "builtin")
        self.reranker = _provider("reranker", given["reranker"], "") if given["reranker"] else None
        self.history_db_path: str | None = given["history_db_path"]
        self.version: str = given["version"]
        self.custom_instructions: str | None = _text("custom_instructions", given)
        self.raise_on_llm_error: bool = given["raise_on_llm_error"]
        if self.nlp.provider not in NLP_PROVIDERS:
            raise unknown("nlp provider", self.nlp.provider, NLP_PROVIDERS)


def _text(key: str, given: Mapping[str, Any]) -> str | None:
    value = given[key]
    if not (value is None or isinstance(value, str)):
        raise InvalidConfigError(
            f"{key} must be text, got {type(value).__name__}", error_code="CONFIG_002"
        )
    return value


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
    if store.provider == "embedded":
        options = read_options(store.config.model_dump(), EMBEDDED, "vector_store.config")
        options["path"] = os.fspath(options["path"] or default_path())
        store.config = Options(options)
    elif "collection_name" not in store.config:
        store.config = Options({**store.config.model_dump(), "collection_name": "mem0"})
    return store


def default_path() -> str:
    """`memory.db` in the directory that `ISOMEM_DIR` names, or else in `~/.isomem`."""
    home = os.environ.get("ISOMEM_DIR") or os.path.join(os.path.expanduser("~"), ".isomem")
    return os.path.join(home, "memory.db")
