"""Configuration: upstream's dict with isomem's additions.

Unknown keys of the options of a provider are refused; others are passed over with a warning.

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
        "ranking": "contract",          # or "fused", which finds more
        "profile": "2.0.4",             # or "2.2.1": the mem0 that it behaves like
        "dedup_concurrent": False,      # True: equal facts of calls at once are stored once
        "supersede": "off",             # "similar" or "model": new facts hide stale ones
        "serve": {...},                 # options of `isomem serve`
        "mcp": {...},                   # options of `isomem mcp`
        "version": "v1.1",
    }
"""

from __future__ import annotations

import os

from isomem import log
from isomem.errors import ConfigurationError, InvalidConfigError
from isomem.options import (
    FILE,
    SWITCH,
    TEXT,
    Kind,
    Option,
    as_dict,
    check_option,
    defaults_of,
    home,
    is_dict,
    is_text,
    number,
    one_of,
    optional,
    or_empty,
    read_table,
    split_known,
    unknown,
    whole,
)
from isomem.types import PROFILES, RANKINGS, SUPERSEDING, is_unicode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, KeysView, Mapping, Sequence
    from typing import Any

    from isomem.options import Table

SERVICE, MCP = "serve", "mcp"
"""The sections with the options of the service, and of its tools for models."""

ENTITIES_SUFFIX = "_entities"
"""The entities of a collection are in another one, with this appended to its name."""


def _is_collection_name(value: object) -> bool:
    return (
        is_text(value)
        and bool(value.strip())
        and "\0" not in value
        and is_unicode(value)
        and not value.endswith(ENTITIES_SUFFIX)
    )


def _is_section(value: object) -> bool:
    return is_dict(value) or _names_a_provider(value)


def _names_a_provider(value: object) -> bool:
    """Whether it is a `ProviderConfig`, or an object of mem0's that means the same."""
    return hasattr(value, "provider") and hasattr(value, "config")


def _section(name: str, doc: str, unset: str, wrap: Callable[[Kind], Kind] = optional) -> Option:
    words = "a dict of `provider` and `config`"
    kind = wrap(Kind(words, _is_section, {"$ref": f"#/$defs/{name}"}))
    # Hidden in errors, since a key may be somewhere in it.
    return Option(name, None, kind, doc, unset=unset, secret=True)


TOP = (
    _section("vector_store", "where memories live", "the embedded store"),
    _section("llm", "the model that extracts facts", "see below"),
    _section("embedder", "what turns text into vectors", "see below"),
    _section("reranker", "reorders search results when `rerank=True`", "none", or_empty),
    _section("nlp", "lemmas and entities: `builtin`, `spacy` or `none`", "`builtin`"),
    Option(
        "history_db_path",
        None,
        optional(FILE),
        "a SQLite file for history and messages; one of mem0's opens as it is",
        unset="in the memory file",
    ),
    Option("custom_instructions", None, optional(TEXT), "added to every extraction prompt"),
    Option(
        "raise_on_llm_error",
        False,
        SWITCH,
        "`True`: `add` raises `LLMError` if the model fails, `UnusableReplyError` if its reply "
        "cannot be used, and `EmbeddingError` if no fact can be embedded. `False`: it logs the "
        "error and returns no results, as mem0 does. The command line always sets it",
    ),
    Option(
        "replies",
        "strict",
        one_of("strict", "tolerant"),
        "`tolerant`: facts are also taken from a reply that has another form than asked for, and "
        "the model is asked once more if it has none. `strict`: as mem0",
    ),
    Option(
        "ranking",
        RANKINGS[0],
        one_of(*RANKINGS),
        "how `search` finds and orders memories: as mem0 does, or `fused`, which finds more; see "
        "docs/ranking.md",
    ),
    Option(
        "profile",
        PROFILES[0],
        one_of(*PROFILES),
        "the release of mem0 that the memory behaves like; see docs/profiles.md",
    ),
    Option(
        "dedup_concurrent",
        False,
        SWITCH,
        "`True`: a fact that another call or process has stored while this `add` was asking the "
        "model is not stored a second time; needs the embedded store or postgres. `False`: both "
        "are stored, as in mem0",
    ),
    Option(
        "supersede",
        SUPERSEDING[0],
        one_of(*SUPERSEDING),
        "whether a new fact hides stored facts that it contradicts or repeats: `similar` compares "
        "their texts, `model` asks the model once more per `add`; see "
        "docs/superseding.md",
    ),
    Option(
        SERVICE,
        None,
        optional(Kind("a dict", is_dict, {"type": "object"})),
        "the options of `isomem serve`, which nothing else looks at; see docs/serve.md",
        unset="each has its default",
    ),
    Option(
        MCP,
        None,
        optional(Kind("a dict", is_dict, {"type": "object"})),
        "the options of `isomem mcp`, which nothing else but the service looks at; see docs/mcp.md",
        unset="each has its default",
    ),
    Option("version", "v1.1", TEXT, "kept for compatibility with mem0", idle=True),
)
"""The keys of the configuration. `_provider` reads those that are sections."""

_TOP_KEYS = tuple(option.name for option in TOP)

COLLECTION = Option(
    "collection_name",
    "mem0",
    Kind(
        f"text that does not end in {ENTITIES_SUFFIX!r}, which names the entities of a collection",
        _is_collection_name,
        {
            "type": "string",
            "pattern": r"\S",
            "not": {"pattern": rf"\u0000|{ENTITIES_SUFFIX}(?![\s\S])"},
        },
    ),
    "several collections can share a file; history is shared too. It cannot end in "
    f"`{ENTITIES_SUFFIX}`, which names the entities of a collection",
)

PATH = Option(
    "path",
    None,
    optional(FILE),
    'the file, or `":memory:"`; `~` is the user\'s home',
    unset="`memory.db` under `$ISOMEM_DIR`, or else `~/.isomem`",
)

EMBEDDED_OPTIONS = (
    PATH,
    COLLECTION,
    Option(
        "embedding_model_dims",
        None,
        optional(whole(1, 1_000_000)),
        "the length of the vectors",
        unset="the embedder's",
    ),
    Option("keyword_search", True, SWITCH, "BM25 in addition to the semantic search"),
    Option(
        "synchronous",
        "full",
        one_of("full", "normal", "off"),
        "what an acknowledged write survives, see docs/store.md",
    ),
    Option("busy_timeout_s", 10.0, number(0, 1_000_000), "seconds to wait for another process"),
    Option(
        "cache_mb",
        64,
        number(0, 1_000_000),
        "megabytes of memory for the vectors and terms of the scopes in use; `0` turns the cache "
        "off. A scope of `n` memories of `d` dimensions takes about `1000 + n * (4 * d + 150)` "
        "bytes, or `1000 + n * (5 * d + 150)` if its vectors take 16 MB or more",
    ),
)
"""The keys of `vector_store.config` for the provider "embedded"."""

STORE_SETS = ("embedded", "postgres")
"""The providers of a `vector_store` that keep everything of a memory; see `stores.registry`."""

ENGINES = ("postgres", "pgvector", "qdrant", "chroma", "redis")
"""The providers of a `vector_store` that isomem carries beside the embedded store."""


EMBEDDED = defaults_of(EMBEDDED_OPTIONS)

OF_MEM0_1 = ("graph_store", "custom_fact_extraction_prompt", "custom_update_memory_prompt")
"""Keys that mem0 1 had, and that mem0 2 silently ignores, as it ignores every unknown key."""

SECTION_KEYS = ("provider", "config")

OF_MEM0 = {"vector_store": "qdrant", "llm": "openai", "embedder": "openai", "reranker": "cohere"}
"""The provider of a section that is configured but names none: mem0's."""

NLP_PROVIDERS = ("builtin", "spacy", "none")


class Options:
    """Options of one provider, by attribute and by key."""

    def __init__(self, values: object) -> None:
        self.__dict__.update(as_dict(values, "the options of a provider"))

    def __getitem__(self, key: str) -> Any:
        return self.__dict__[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.__dict__)

    def get(self, key: str, default: object = None) -> Any:
        """The option, or `default`."""
        return self.__dict__.get(key, default)

    def keys(self) -> KeysView[str]:
        """The names of the options."""
        return self.__dict__.keys()

    def model_dump(self) -> dict[str, Any]:
        """The options as a dict."""
        return dict(self.__dict__)

    def __repr__(self) -> str:
        return f"Options({', '.join(map(str, self.__dict__))})"  # Values can be keys.


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
            `{"provider": NAME, "config": {...}}`, a `ProviderConfig`, or an object of mem0's with
            these two attributes. Unknown keys outside a provider's `config` are passed over, as
            in mem0; one warning lists them, each with the nearest known key.

    Without `llm` and `embedder`, upstream's OpenAI defaults apply if `OPENAI_API_KEY` is in the
    environment. Without that key, the embedder is "local" and the model "unset", which raises at
    the first call that needs a model. A section that is there but names no provider means
    mem0's default, such as "qdrant".

    Raises:
        InvalidConfigError: a provider is unknown (the error names the nearest known one), or a
            value is wrong.
        ConfigurationError: CONFIG_009, the store cannot do what `dedup_concurrent` asks for.
    """

    def __init__(self, **options: object) -> None:
        old = [key for key in OF_MEM0_1 if options.pop(key, None) is not None]
        passed_over = [f"{key} (nothing since mem0 2)" for key in old]
        given = read_table(_known(options, _TOP_KEYS, "", passed_over), TOP, "the configuration")
        self.vector_store = _store_config(_provider("vector_store", given, passed_over))
        self.llm = _provider("llm", given, passed_over)
        self.embedder = _provider("embedder", given, passed_over)
        self.nlp = _provider("nlp", given, passed_over)
        self.reranker = _provider("reranker", given, passed_over) if given["reranker"] else None
        history = given["history_db_path"]
        self.history_db_path: str | None = None if history is None else home(history)
        self.version: str = given["version"]
        self.custom_instructions: str | None = given["custom_instructions"]
        self.raise_on_llm_error: bool = given["raise_on_llm_error"]
        self.replies: str = given["replies"]
        self.ranking: str = given["ranking"]
        self.profile: str = given["profile"]
        self.dedup_concurrent: bool = given["dedup_concurrent"]
        if self.dedup_concurrent and self.vector_store.provider not in STORE_SETS:
            raise cannot_dedup()
        self.supersede: str = given["supersede"]
        if self.nlp.provider not in NLP_PROVIDERS:
            raise unknown("nlp provider", self.nlp.provider, NLP_PROVIDERS)
        if passed_over:
            log.warning("The configuration has keys that do nothing: %s", ", ".join(passed_over))


def cannot_dedup() -> ConfigurationError:
    """What is raised where `dedup_concurrent` meets a store that cannot do it."""
    return ConfigurationError(
        "dedup_concurrent needs the embedded store or postgres: other stores cannot look for a "
        "fact and store it in one step",
        error_code="CONFIG_009",
        suggestion='Leave out "dedup_concurrent", or use the embedded store or postgres.',
    )


def as_config(given: object) -> MemoryConfig:
    """`given`, or the default configuration for None. mem0's own `MemoryConfig` is read.

    Raises:
        InvalidConfigError: it is something else, or a value in it is wrong.
    """
    if given is None:
        return MemoryConfig()
    if isinstance(given, MemoryConfig):
        return given
    if all(_names_a_provider(getattr(given, name, None)) for name in ("llm", "embedder")):
        return MemoryConfig(
            **{key: getattr(given, key) for key in _TOP_KEYS if hasattr(given, key)}
        )
    raise InvalidConfigError(
        f"config must be a MemoryConfig, got {type(given).__name__}",
        error_code="CONFIG_002",
        suggestion="Memory.from_config takes a dict of options.",
    )


def at_path(path: object, config: object) -> MemoryConfig:
    """The default configuration, with another file.

    Raises:
        InvalidConfigError: there is a configuration already, or `path` is not a path.
    """
    if config is not None:
        raise InvalidConfigError(
            "a memory takes a configuration or a path, not both",
            error_code="CONFIG_002",
            suggestion="Put the path into the configuration: vector_store.config.path.",
        )
    return MemoryConfig(vector_store={"provider": "embedded", "config": {"path": path}})


def from_dict(given: object) -> MemoryConfig:
    """The configuration in a dict of options.

    Raises:
        InvalidConfigError: not a dict, an unknown provider, or a wrong value.
    """
    if not is_dict(given):
        raise InvalidConfigError(
            f"the configuration must be a dict, got {type(given).__name__}",
            error_code="CONFIG_002",
            suggestion="Read a file first, such as with json.load, and pass what is in it.",
        )
    options = dict(given)
    wrong = [key for key in options if not isinstance(key, str)]
    if wrong:
        raise unknown("key in the configuration", wrong[0], defaults_of(TOP))
    return MemoryConfig(**options)


def _known(
    given: Mapping[str, object], known: Sequence[str], where: str, passed_over: list[str]
) -> dict[str, object]:
    """The items of `given` that have a known key; describes the others in `passed_over`."""
    kept, others = split_known(given, known, where)
    passed_over += others
    return kept


def _provider(name: str, options: Mapping[str, Any], passed_over: list[str]) -> ProviderConfig:
    given = options[name]
    if given is None:
        return ProviderConfig(default_provider(name), Options({}))
    if isinstance(given, ProviderConfig):
        return given
    parts = section_of(name, given, passed_over)
    provider = parts.get("provider", OF_MEM0.get(name, default_provider(name)))
    if not is_text(provider) or not provider:
        raise InvalidConfigError(
            f"{name} names no provider",
            error_code="CONFIG_002",
            details={"key": "provider", "expected": "the name of a provider"},
        )
    return ProviderConfig(provider, Options(_as_dict(parts.get("config"), f"{name}.config")))


def section_of(name: str, given: object, passed_over: list[str]) -> dict[str, object]:
    """The keys of a section that mean something: `provider` and `config`, if they are there.

    Args:
        name: of the section.
        given: what the caller wrote: a dict, or an object of mem0's.
        passed_over: receives a description of every other key.

    Raises:
        InvalidConfigError: it is not a dict, or has another key where mem0 refuses one, too.
    """
    if not is_dict(given) and _names_a_provider(given):
        return {key: getattr(given, key) for key in SECTION_KEYS}
    parts = as_dict(given, name)
    wrong = [key for key in parts if key not in SECTION_KEYS]
    if wrong and name == "reranker":
        raise unknown("key in reranker", wrong[0], SECTION_KEYS)
    return _known(parts, SECTION_KEYS, name, passed_over)


def _as_dict(config: object, where: str) -> dict[str, object]:
    """The options of a provider, which may be one of mem0's objects for them."""
    if config is None:
        return {}
    if isinstance(config, type) or is_dict(config):
        return as_dict(config, where)
    if hasattr(config, "model_dump"):
        return as_dict(config.model_dump(exclude_unset=True), where)
    if hasattr(config, "__dict__"):
        # mem0's objects for models turn their proxies into a client, or None.
        unset = {"http_client"} if getattr(config, "http_client", None) is None else set()
        return {key: _plain(value) for key, value in vars(config).items() if key not in unset}
    return as_dict(config, where)


def _plain(value: object) -> object:
    return value.model_dump(exclude_none=True) if hasattr(value, "model_dump") else value


def _store_config(store: ProviderConfig) -> ProviderConfig:
    where, options = "vector_store.config", store.config.model_dump()
    table = store_table(store.provider)
    if store.provider in STORE_SETS:
        options = read_table(options, table, where)
        if PATH in table:
            options["path"] = home(default_path() if options["path"] is None else options["path"])
    elif table:
        # Only checked: the defaults are the store's, and a program may have put its own there.
        read_table(options, table, where)
    elif COLLECTION.name in options:
        check_option(COLLECTION, options[COLLECTION.name], where)
    return ProviderConfig(store.provider, Options(options))


def store_table(provider: str) -> Table:
    """The keys of `vector_store.config` for a store that isomem carries; () for another one."""
    if provider == STORE_SETS[0]:
        return EMBEDDED_OPTIONS
    if provider not in ENGINES:
        return ()
    # Here: most memories use none of them, and importing isomem would take longer.
    from isomem.engine_options import engine_tables

    return engine_tables({option.name: option for option in EMBEDDED_OPTIONS})[provider]


def default_provider(section: str) -> str:
    """The provider of a section that is not configured; "" if there is none."""
    has_key = bool(os.environ.get("OPENAI_API_KEY"))
    return {
        "vector_store": "embedded",
        "llm": "openai" if has_key else "unset",
        "embedder": "openai" if has_key else "local",
        "nlp": "builtin",
    }.get(section, "")


def default_path() -> str:
    """`memory.db` in the directory that `ISOMEM_DIR` names, or else in `~/.isomem`."""
    return os.path.join(home(os.environ.get("ISOMEM_DIR") or "~/.isomem"), "memory.db")
