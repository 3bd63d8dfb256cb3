"""`Facade`: what `Memory` and `AsyncMemory` share: parts, opening, closing."""

from __future__ import annotations

import os

from isomem.clock import Clock
from isomem.config import COLLECTION, MemoryConfig, as_config, at_path, from_dict
from isomem.contract.arguments import check_text
from isomem.contract.profile import profile_of
from isomem.stores.registry import open_set
from isomem.wiring import build_embedder, build_llm, build_nlp, build_reranker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import date, datetime
    from typing import Any, TypeVar

    from isomem.contract.plan import Progress, Receipt
    from isomem.ports import shapes

    Self = TypeVar("Self", bound="Facade")
    Json = dict[str, Any]
    Moment = datetime | date | float | str
    Day = date | str

NO_CHAT = "Chat function not implemented yet."


class Facade:
    """What both classes share.

    Every part can be replaced after construction by an object with the methods that
    `isomem.ports.shapes` shows for it.

    Args:
        config: defaults to `MemoryConfig()`; may be mem0's own.
        path: the file, or ":memory:"; in place of a configuration that names nothing else.
        clock: time and ids; the real ones by default.

    Raises:
        InvalidConfigError: both `config` and `path`, or a wrong value in one of them.

    Attributes:
        config: the configuration.
        profile: what the release of mem0 decides that the memory behaves like.
        embedding_model: turns text into vectors.
        llm: extracts facts.
        vector_store: the memories.
        entity_store: the entities in them.
        db: history and message buffers.
        reranker: reorders results, or None.
        nlp: the language tier.
        custom_instructions: added to every extraction prompt, or None.
        ranking: how `search` finds and orders memories: "contract" or "fused".
        dedup_concurrent: whether equal facts of calls at the same time are stored once.
        supersede: how stale facts are found when new ones are added: "off", "similar" or "model".
        enable_vision: whether the model is shown images.
        vision_details: how closely it looks at them: "low", "high", "auto", or None.
        counts_in_scope: whether `search` takes a word for rare by the memories of its scope alone,
            and not, as mem0 does, by all. Then scores tell nothing of other scopes.
    """

    def __init__(
        self,
        config: MemoryConfig | None = None,
        *,
        path: str | os.PathLike[str] | None = None,
        clock: Clock | None = None,
    ) -> None:
        read = as_config(config) if path is None else at_path(path, config)
        self.profile = profile_of(read.profile)
        self.clock = clock or Clock()
        self._read(read)
        self._opened = open_set(read, self.embedding_model, self.clock)
        self.vector_store: shapes.VectorStore
        self.entity_store: shapes.VectorStore
        self.db: shapes.Ledger
        self.vector_store, self.entity_store, self.db = self._opened.parts
        self.collection_name = self._collection_name()
        self._progress: Progress | None = None
        self._receipt: Receipt | None = None
        self._connect()

    def _read(self, config: MemoryConfig) -> None:
        """Takes from a configuration all but the stores."""
        self.config = config
        self.nlp: shapes.Nlp = build_nlp(config)
        self.llm: shapes.LLM = build_llm(config)
        self.embedding_model: shapes.Embedder = build_embedder(config)
        self.reranker: shapes.Reranker | None = build_reranker(config)
        self.api_version: str = config.version
        self.custom_instructions: str | None = config.custom_instructions
        self.raise_on_llm_error = config.raise_on_llm_error
        self.replies = config.replies
        self.ranking = config.ranking
        self.dedup_concurrent = config.dedup_concurrent
        self.supersede = config.supersede
        self.enable_vision = bool(config.llm.config.get("enable_vision"))
        self.vision_details: str | None = config.llm.config.get("vision_details")
        self.counts_in_scope = False

    def _collection_name(self) -> str:
        """The collection's, as the store says, since the default differs from store to store."""
        named = self.config.vector_store.config.get(COLLECTION.name, COLLECTION.default)
        return str(getattr(self.vector_store, COLLECTION.name, None) or named)

    @classmethod
    def from_config(
        cls: type[Self], config_dict: dict[str, Any], *, clock: Clock | None = None
    ) -> Self:
        """A memory from a dict of options; see `isomem.config`.

        Raises:
            InvalidConfigError: a provider or one of its options is unknown (the error names the
                nearest known one), or a value is wrong.
            DependencyError: a provider needs a package that is not installed.
        """
        return cls(from_dict(config_dict), clock=clock)

    @classmethod
    def from_file(
        cls: type[Self], path: str | os.PathLike[str], *, clock: Clock | None = None
    ) -> Self:
        """A memory from a file with the dict of `from_config`: TOML (`.toml`), or else JSON.

        Raises:
            ConfigurationError: CONFIG_005, the file cannot be read, or is something else.
            InvalidConfigError: as `from_config`.
        """
        from isomem.config_file import read_file

        return cls.from_config(read_file(os.fspath(path)), clock=clock)

    @property
    def stores(self) -> shapes.Stores:
        """The store set over the three stores that the memory has now."""
        opened = self._opened
        vectors, entities, ledger = opened.parts
        if vectors is self.vector_store and entities is self.entity_store and ledger is self.db:
            return opened
        from isomem.stores.composed import ComposedSet

        return ComposedSet(self.vector_store, self.entity_store, self.db, self.profile)

    def replacing(
        self: Self,
        *,
        progress: Progress | None = None,
        receipt: Receipt | None = None,
        **parts: Any,
    ) -> Self:
        """This memory with other parts, for some calls; the two share everything else.

        Args:
            progress: the row of an ingest that is written with what the calls add.
            receipt: written with what one call of `add` stores, even if that is nothing. A call
                whose receipt is there already fails with RECEIPT_001, and stores nothing.
            parts: attributes by name, such as `llm` and `clock`. This memory keeps its own.
        """
        other = type(self).__new__(type(self))
        other.__dict__.update(self.__dict__, **parts)
        other._progress = self._progress if progress is None else progress
        other._receipt = self._receipt if receipt is None else receipt
        other._connect()
        return other

    def with_config(self: Self, config: MemoryConfig) -> Self:
        """This memory with the models and the rules of another configuration, over the same stores.

        Closing one of the two closes the stores of both.

        Args:
            config: its stores and its profile are those that this memory has.
        """
        other = type(self).__new__(type(self))
        other.__dict__.update(self.__dict__)
        other._read(config)
        other._connect()
        return other

    def _connect(self) -> None:
        """Makes the ports."""
        raise NotImplementedError

    def _parts(self) -> list[Any]:
        """Everything that may have to be closed, each once; the file last."""
        parts = (
            self.llm, self.embedding_model, self.reranker, self.nlp,
            self.vector_store, self.entity_store, self.db, self._opened,
        )  # fmt: skip
        return list({id(part): part for part in parts if part is not None}.values())

    def close(self) -> None:
        """Closes the files and the connections of every part. May be called twice.

        What other threads are writing is finished before, even if an exception comes meanwhile,
        such as KeyboardInterrupt, which is raised when everything is closed. What this thread is
        writing, too, if a signal handler closes the memory.
        """
        self._close(self._parts())

    def _close(self, parts: list[Any]) -> None:
        """Closes parts when nobody writes to them."""
        self.stores.when_written(parts, lambda: _close_each(parts))


def _close_each(parts: list[Any]) -> None:
    """Closes what can be closed, whatever is raised meanwhile."""
    failed: BaseException | None = None
    for part in parts:
        try:
            if hasattr(part, "close"):
                part.close()
        except BaseException as error:  # noqa: BLE001 - any part may stand here
            failed = failed or error
    if failed is not None:
        raise failed


def turn(said: object, reply: object) -> list[Json]:
    """The messages of one turn of a conversation.

    Raises:
        ValidationError: VALIDATION_004, one of the two is not text.
    """
    messages = [{"role": "user", "content": check_text(said, "said")}]
    if reply is not None:
        messages.append({"role": "assistant", "content": check_text(reply, "reply")})
    return messages if messages[-1]["content"].strip() else messages[:1]
