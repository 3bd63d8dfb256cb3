"""Settings: the configuration of a memory, from flags, the environment and a file."""

from __future__ import annotations

import os

from isomem.config import OF_MEM0, section_of
from isomem.config_file import read_file
from isomem.errors import InvalidConfigError
from isomem.options import as_dict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from isomem.memory import Memory

    Config = dict[str, Any]


def open_memory(options: Namespace, config: Config | None = None) -> Memory:
    """The memory that the options, the environment and the configuration file describe."""
    from isomem.memory import Memory

    return Memory.from_config(read_config(options) if config is None else config)


def open_existing(options: Namespace) -> Memory:
    """`open_memory` for commands that only read or remove: a mistyped path must fail.

    Raises:
        MemoryNotFoundError: the configured file does not exist.
    """
    return open_memory(options, read_existing(options))


def read_existing(options: Namespace) -> Config:
    """`read_config`, for a memory that must be there.

    Raises:
        MemoryNotFoundError: the configured file does not exist.
    """
    from isomem.config import from_dict
    from isomem.location import path_of

    config = read_config(options)
    read = from_dict(config)
    if read.vector_store.provider == "embedded" and read.vector_store.config["path"] != ":memory:":
        path_of(read)
    return config


def read_config(options: Namespace) -> Config:
    """The configuration. Flags take precedence over the environment, and that over the file.

    Raises:
        ConfigurationError: the file does not exist or cannot be read, or two settings
            contradict each other.
    """
    from isomem.cli.variables import overlay_variables
    from isomem.reference import ON_FRONT_ENDS

    path = options.config or os.environ.get("ISOMEM_CONFIG")
    config = read_file(path) if path else {}
    flags = {name: getattr(options, name, None) for name in ("model", "openai_base_url")}
    chosen = {name: value for name, value in flags.items() if value}
    short = {name: os.environ[variable] for name, variable in SHORT if os.environ.get(variable)}
    if chosen or short:
        config["llm"] = {"provider": "openai", "config": short}
    if embedder := os.environ.get("ISOMEM_EMBEDDER"):
        config["embedder"] = {"provider": embedder}
    overlay_variables(config)
    if chosen or short:
        config["llm"] = _with_flags(config["llm"], chosen)
    if options.path:
        config["vector_store"] = _store_at(options.path, config.get("vector_store"))
    return {**config, **ON_FRONT_ENDS}


SHORT = (
    ("model", "ISOMEM_MODEL"),
    ("openai_base_url", "ISOMEM_BASE_URL"),
    ("api_key", "ISOMEM_API_KEY"),
)
"""Options of a model on an OpenAI-compatible server, and the short names of their variables."""


def _with_flags(llm: Config, chosen: Config) -> Config:
    """The model section, with what the flags say.

    Raises:
        InvalidConfigError: another variable names a provider that is not OpenAI-compatible.
    """
    if llm["provider"] != "openai":
        raise InvalidConfigError(
            f"ISOMEM_LLM_PROVIDER is {llm['provider']!r}, but --model, --base-url, ISOMEM_MODEL, "
            "ISOMEM_BASE_URL and ISOMEM_API_KEY name a model on an OpenAI-compatible server",
            error_code="CONFIG_005",
            suggestion="ISOMEM_LLM_MODEL names a model of any provider.",
        )
    return {**llm, "config": {**llm["config"], **chosen}}


def _store_at(path: str, store: object) -> Config:
    """The store section, with the file that `--path` names.

    Raises:
        InvalidConfigError: another store is configured.
    """
    parts = {"provider": "embedded"} if store is None else section_of("vector_store", store, [])
    provider = parts.get("provider", OF_MEM0["vector_store"])
    if provider != "embedded":
        raise InvalidConfigError(
            f"--path names a file, but the configured vector_store is {provider!r}",
            error_code="CONFIG_005",
            suggestion="Leave out --path, or the vector_store in the configuration.",
        )
    options = as_dict(parts.get("config") or {}, "vector_store.config")
    return {"provider": provider, "config": {**options, "path": path}}
