"""Builds the parts of a memory from its configuration."""

from __future__ import annotations

import os

from isomem.errors import ConfigurationError
from isomem.providers import registry
from isomem.store.cache import ScopeCache
from isomem.store.collection import Collection
from isomem.store.database import Database
from isomem.store.entities import Entities
from isomem.store.ledger import Ledger
from isomem.store.schema import prepare_ledger, prepare_store
from isomem.stores.embedded import EmbeddedSet
from isomem.text.tiers import load_encoder, load_tier

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    import apsw

    from isomem.clock import Clock
    from isomem.config import MemoryConfig
    from isomem.ports import shapes
    from isomem.text.terms import TermEncoder


class UnsetLLM:
    """The model if none is configured: it raises an error that says so."""

    def generate_response(self, messages: list[dict[str, Any]], **options: Any) -> str:
        """Raises ConfigurationError."""
        del messages, options
        raise ConfigurationError(
            "no model is configured, and this call needs one",
            error_code="CONFIG_004",
            suggestion=(
                "Set OPENAI_API_KEY, or name a model in the configuration, such as "
                '{"llm": {"provider": "ollama", "config": {"model": "llama3.1"}}}. '
                "add(..., infer=False) and search() need none."
            ),
        )


def build_llm(config: MemoryConfig) -> shapes.LLM:
    """The configured model."""
    if config.llm.provider == "unset":
        return UnsetLLM()
    return registry.create_llm(config.llm.provider, config.llm.config.model_dump())


def build_embedder(config: MemoryConfig) -> shapes.Embedder:
    """The configured embedder."""
    return registry.create_embedder(config.embedder.provider, config.embedder.config.model_dump())


def build_reranker(config: MemoryConfig) -> shapes.Reranker | None:
    """The configured reranker, or None."""
    if config.reranker is None:
        return None
    return registry.create_reranker(config.reranker.provider, config.reranker.config.model_dump())


def build_nlp(config: MemoryConfig) -> shapes.Nlp:
    """The configured language tier."""
    return load_tier(config.nlp.provider, config.nlp.config.model_dump())


class StoreParts:
    """The vector store, the entity store and the ledger of one memory.

    Args:
        config: its `vector_store` and `history_db_path` say where the stores are.
        embedder: the store must have been made with its identity and vector length.
        clock: for the ledger.

    Attributes:
        own: the store set of the three if all of them are ours; None otherwise.
    """

    def __init__(self, config: MemoryConfig, embedder: shapes.Embedder, clock: Clock) -> None:
        self.vectors: shapes.VectorStore
        self.entities: shapes.VectorStore
        self.ledger: shapes.Ledger
        self.own: EmbeddedSet | None = None
        if config.vector_store.provider == "embedded":
            self._embedded(config, embedder, clock)
        else:
            self._foreign(config, clock)

    def _embedded(self, config: MemoryConfig, embedder: shapes.Embedder, clock: Clock) -> None:
        options = config.vector_store.config
        own_ledger = not _in_one_file(config.history_db_path, options["path"])
        database = _open(options, prepare_store if own_ledger else _prepare_both)
        try:
            cache = ScopeCache(database, int(options["cache_mb"] * 1_000_000))
            facts = {
                "dims": options["embedding_model_dims"] or getattr(embedder, "dims", None),
                "embedder": getattr(embedder, "identity", None),
            }
            encoder = _encoder(config) if options["keyword_search"] else None
            name = options["collection_name"]
            vectors = Collection(database, name, cache, encoder=encoder, **facts)
            entities = Entities(database, f"{name}_entities", cache, **facts)
            history = (
                _open(options, prepare_ledger, config.history_db_path) if own_ledger else database
            )
            ledger = Ledger(history, clock)
        except BaseException:
            database.close()
            raise
        self.own = EmbeddedSet(vectors, entities, ledger)
        self.vectors, self.entities, self.ledger = vectors, entities, ledger

    def _foreign(self, config: MemoryConfig, clock: Clock) -> None:
        provider, options = config.vector_store.provider, config.vector_store.config.model_dump()
        entities = {**options, "collection_name": f"{options['collection_name']}_entities"}
        self.vectors = registry.create_vector_store(provider, options)
        self.entities = registry.create_vector_store(provider, entities)
        self.ledger = Ledger(_open_ledger(config), clock)


def _in_one_file(history: str | None, path: str) -> bool:
    """Whether the history is in the memory file, even if the two paths are spelled differently."""
    if history is None or history == path:
        return True
    if os.path.exists(history) and os.path.exists(path):
        return os.path.samefile(history, path)
    return os.path.realpath(history) == os.path.realpath(path)


def _open(options: Any, prepare: Any, path: str | None = None) -> Database:
    return Database(
        path or options["path"],
        prepare,
        synchronous=options["synchronous"],
        busy_timeout_s=options["busy_timeout_s"],
    )


def _prepare_both(connection: apsw.Connection) -> None:
    prepare_store(connection)
    prepare_ledger(connection)


def _open_ledger(config: MemoryConfig) -> Database:
    from isomem.config import default_path

    path = config.history_db_path or f"{default_path()}-history"
    return Database(path, prepare_ledger)


def _encoder(config: MemoryConfig) -> TermEncoder:
    return load_encoder(config.nlp.provider, config.nlp.config.model_dump())
