"""Lets programs written for mem0 run on isomem, with one line added before the others::

    import isomem.compat  # from here on, `mem0` is isomem

    from mem0 import AsyncMemory, Memory

The import registers isomem under the name `mem0`, with the submodules that programs import from.
An installed mem0 is not touched. After `uninstall()`, `mem0` means that one again.
"""

from __future__ import annotations

import sys
from enum import Enum
from types import ModuleType

from isomem import __version__, errors, prompts
from isomem.clock import Clock
from isomem.config import MemoryConfig, Options, ProviderConfig
from isomem.memory import Memory
from isomem.memory_async import AsyncMemory
from isomem.options import unknown
from isomem.store.database import Database
from isomem.store.ledger import Ledger
from isomem.store.schema import prepare_ledger
from isomem.text.messages import transcript
from isomem.text.reply import find_json, strip_wrapping
from isomem.types import PROCEDURAL, SCOPE_KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from isomem.ports.shapes import Filters, Hit, Message, Vector

__all__ = ["install", "uninstall"]

_MARK = "__isomem__"


class MemoryType(Enum):
    """The kinds of memory; `add` takes the value of `PROCEDURAL`."""

    SEMANTIC = "semantic_memory"
    EPISODIC = "episodic_memory"
    PROCEDURAL = PROCEDURAL


class EmbeddingBase:
    """Base for embedders: a subclass defines `embed`."""

    def __init__(self, config: object = None) -> None:
        self.config = config

    def embed(self, text: str, memory_action: str | None = None) -> list[float]:
        """The vector of one text."""
        raise NotImplementedError

    def embed_batch(self, texts: list[str], memory_action: str | None = "add") -> list[list[float]]:
        """The vectors of several texts, one `embed` each."""
        return [self.embed(each, memory_action) for each in texts]


class LLMBase:
    """Base for models: a subclass defines `generate_response`."""

    def __init__(self, config: object = None) -> None:
        self.config = config

    def generate_response(self, messages: list[Message], **options: object) -> object:
        """The answer to a list of messages."""
        raise NotImplementedError


class VectorStoreBase:
    """Base for vector stores: a subclass defines the methods of `ports.shapes.VectorStore`."""

    def keyword_search(
        self, query: str, top_k: int = 5, filters: Filters | None = None
    ) -> Sequence[Hit] | None:
        """None: the store has no keyword search."""
        del query, top_k, filters
        return None

    def search_batch(
        self,
        queries: Sequence[str],
        vectors_list: Sequence[Vector],
        top_k: int = 1,
        filters: Filters | None = None,
    ) -> Sequence[Sequence[Hit]]:
        """One `search` for each vector."""
        search = getattr(self, "search")  # noqa: B009 - defined by the subclass
        return [
            search(query, vector, top_k=top_k, filters=filters)
            for query, vector in zip(queries, vectors_list, strict=True)
        ]


class SQLiteManager(Ledger):
    """History and messages in a separate file."""

    def __init__(self, db_path: str = ":memory:") -> None:
        super().__init__(Database(db_path, prepare_ledger), Clock())


class MemoryItem:
    """One memory, with its fields as attributes."""

    _FIELDS = ("id", "memory", "hash", "metadata", "score", "created_at", "updated_at")

    def __init__(self, **fields: object) -> None:
        for name in fields:
            if name not in (*self._FIELDS, *SCOPE_KEYS):
                raise unknown("field of MemoryItem", name, self._FIELDS)
        self.__dict__.update({**dict.fromkeys(self._FIELDS), **fields})

    def model_dump(self) -> dict[str, object]:
        """The fields as a dict."""
        return dict(self.__dict__)


class LlmConfig(ProviderConfig):
    """Which model, and its options."""

    default = "openai"

    def __init__(
        self, provider: str | None = None, config: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(provider or self.default, Options(config or {}))


class EmbedderConfig(LlmConfig):
    """Which embedder, and its options."""


class RerankerConfig(LlmConfig):
    """Which reranker, and its options."""

    default = "llm_reranker"


class VectorStoreConfig(LlmConfig):
    """Which vector store, and its options."""

    default = "embedded"


class MemoryQuotaExceededError(errors.MemoryError):
    """A quota is used up. Like the two below, for code that catches or raises it itself."""


class VectorSearchError(errors.MemoryError):
    """A search in a vector store failed."""


class CacheError(errors.MemoryError):
    """A cache failed."""


_NEVER_RAISED = (MemoryQuotaExceededError, VectorSearchError, CacheError)
"""mem0's errors that isomem never raises."""

_ERRORS: dict[str, object] = {
    **{name: getattr(errors, name) for name in errors.__all__},
    **{kind.__name__: kind for kind in _NEVER_RAISED},
}

_BOTH = {"Memory": Memory, "AsyncMemory": AsyncMemory}

_MODULES: dict[str, dict[str, object]] = {
    "mem0": {**_BOTH, "__version__": __version__},
    "mem0.memory": {},
    "mem0.memory.main": {**_BOTH, "MemoryConfig": MemoryConfig},
    "mem0.memory.storage": {"SQLiteManager": SQLiteManager},
    "mem0.memory.utils": {
        "extract_json": find_json,
        "parse_messages": transcript,
        "remove_code_blocks": strip_wrapping,
    },
    "mem0.exceptions": _ERRORS,
    "mem0.configs": {},
    "mem0.configs.base": {"MemoryConfig": MemoryConfig, "MemoryItem": MemoryItem},
    "mem0.configs.enums": {"MemoryType": MemoryType},
    "mem0.configs.prompts": {"generate_additive_extraction_prompt": prompts.build_user_prompt},
    "mem0.configs.rerankers": {},
    "mem0.configs.rerankers.config": {"RerankerConfig": RerankerConfig},
    "mem0.embeddings": {},
    "mem0.embeddings.base": {"EmbeddingBase": EmbeddingBase},
    "mem0.embeddings.configs": {"EmbedderConfig": EmbedderConfig},
    "mem0.llms": {},
    "mem0.llms.base": {"LLMBase": LLMBase},
    "mem0.llms.configs": {"LlmConfig": LlmConfig},
    "mem0.vector_stores": {},
    "mem0.vector_stores.base": {"VectorStoreBase": VectorStoreBase},
    "mem0.vector_stores.configs": {"VectorStoreConfig": VectorStoreConfig},
}


def install() -> ModuleType:
    """Makes `mem0` mean isomem in this process. Importing this module calls it.

    Returns:
        The module that stands in for `mem0`.

    Raises:
        ImportError: the real mem0 has already been imported.
    """
    present = sys.modules.get("mem0")
    if present is not None and hasattr(present, _MARK):
        return present
    if present is not None:
        raise ImportError(
            "mem0 is already imported: put `import isomem.compat` before everything that "
            "imports mem0"
        )
    for name, members in _MODULES.items():
        sys.modules[name] = _module(name, members)
    for name in _MODULES:
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, sys.modules[name])
    return sys.modules["mem0"]


def _module(name: str, members: dict[str, object]) -> ModuleType:
    module = ModuleType(name, f"Stands in for {name}; made by isomem.compat.")
    vars(module).update(members, **{_MARK: True, "__path__": []})
    lazy = prompts if name == "mem0.configs.prompts" else None

    def find(attribute: str) -> object:
        if lazy is not None and attribute in lazy.__all__:
            return getattr(lazy, attribute)
        raise AttributeError(f"{name}.{attribute} is not part of isomem")

    vars(module)["__getattr__"] = find
    return module


def uninstall() -> None:
    """Makes `mem0` mean what it meant before."""
    for name in _MODULES:
        if hasattr(sys.modules.get(name), _MARK):
            del sys.modules[name]


install()
