"""The classes that a program's own parts are made from, with the helpers that mem0's have."""

from __future__ import annotations

from abc import ABC, abstractmethod

from isomem.compat.options import BaseEmbedderConfig, BaseLlmConfig
from isomem.providers.llm.openai import is_reasoning_model

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from isomem.ports.shapes import Filters, Hit, Message, Vector

__all__ = ["BaseReranker", "EmbeddingBase", "LLMBase", "MemoryBase", "VectorStoreBase"]

_REASONING_PARAMS = ("messages", "response_format", "tools", "tool_choice")
"""What a reasoning model is sent of the arguments of a request."""


class LLMBase(ABC):
    """Base for models: a subclass defines `generate_response`.

    Args:
        config: an object with the options as attributes, a dict of them, or None for the defaults.
    """

    config: Any

    def __init__(self, config: Any = None) -> None:
        self.config = BaseLlmConfig(**(config or {})) if _is_plain(config) else config
        self._validate_config()

    def _validate_config(self) -> None:
        if not hasattr(self.config, "model"):
            raise ValueError("Configuration must have a 'model' attribute")

    @abstractmethod
    def generate_response(
        self,
        messages: list[Message],
        tools: list[dict[str, Any]] | None = None,
        tool_choice: str = "auto",
        **kwargs: object,
    ) -> Any:
        """The answer to a list of messages."""

    def _is_reasoning_model(self, model: str) -> bool:
        """Whether a model refuses `temperature`, `max_tokens` and `top_p`."""
        return is_reasoning_model(model)

    def _get_common_params(self, **kwargs: object) -> dict[str, Any]:
        """The parameters of a request that most models take, and those of the caller."""
        config = self.config
        return {
            "temperature": config.temperature,
            "max_tokens": config.max_tokens,
            "top_p": config.top_p,
            **kwargs,
        }

    def _get_supported_params(self, **kwargs: object) -> dict[str, Any]:
        """As `_get_common_params`, without what a reasoning model refuses."""
        if not self._is_reasoning_model(getattr(self.config, "model", "")):
            return self._get_common_params(**kwargs)
        sent = {name: kwargs[name] for name in _REASONING_PARAMS if name in kwargs}
        effort = getattr(self.config, "reasoning_effort", None)
        return {**sent, "reasoning_effort": effort} if effort else sent


class EmbeddingBase(ABC):
    """Base for embedders: a subclass defines `embed`. Takes the same argument as `LLMBase`."""

    config: Any

    def __init__(self, config: Any = None) -> None:
        self.config = BaseEmbedderConfig() if config is None else config

    @abstractmethod
    def embed(self, text: str, memory_action: str | None = None) -> list[float]:
        """The vector of one text."""

    def embed_batch(self, texts: list[str], memory_action: str | None = "add") -> list[list[float]]:
        """The vectors of several texts, one `embed` each."""
        return [self.embed(each, memory_action) for each in texts]


class VectorStoreBase(ABC):
    """Base for vector stores: a subclass defines the abstract methods.

    Their arguments are those of `isomem.ports.shapes.VectorStore`, where it has the method.
    """

    @abstractmethod
    def create_col(self, name: object, vector_size: object, distance: object) -> object:
        """Makes a collection."""

    @abstractmethod
    def insert(self, vectors: object, payloads: object = None, ids: object = None) -> object:
        """Stores vectors with their payloads."""

    @abstractmethod
    def search(
        self, query: object, vectors: object, top_k: object = 5, filters: object = None
    ) -> Sequence[Hit]:
        """The nearest points, best first."""

    @abstractmethod
    def delete(self, vector_id: object) -> object:
        """Removes a point."""

    @abstractmethod
    def update(self, vector_id: object, vector: object = None, payload: object = None) -> object:
        """Replaces the vector or the payload of a point."""

    @abstractmethod
    def get(self, vector_id: object) -> object:
        """A point, or None."""

    @abstractmethod
    def list_cols(self) -> object:
        """The collections."""

    @abstractmethod
    def delete_col(self) -> object:
        """Removes the collection."""

    @abstractmethod
    def col_info(self) -> object:
        """What is known about the collection."""

    @abstractmethod
    def list(self, filters: object = None, top_k: object = None) -> object:
        """The points that pass."""

    @abstractmethod
    def reset(self) -> object:
        """Removes everything."""

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
        return [
            self.search(query, vector, top_k=top_k, filters=filters)
            for query, vector in zip(queries, vectors_list, strict=False)
        ]


class BaseReranker(ABC):
    """Base for rerankers: a subclass defines `rerank`."""

    @abstractmethod
    def rerank(
        self, query: str, documents: list[dict[str, Any]], top_k: int | None = None
    ) -> list[dict[str, Any]]:
        """The documents, best first, each with a `rerank_score`."""


class MemoryBase(ABC):
    """Base of `Memory` and `AsyncMemory`, and of a program's own memories."""

    @abstractmethod
    def get(self, memory_id: Any) -> Any:
        """One memory."""

    @abstractmethod
    def get_all(self) -> Any:
        """Memories."""

    @abstractmethod
    def update(self, memory_id: Any, data: Any) -> Any:
        """Replaces the text of a memory."""

    @abstractmethod
    def delete(self, memory_id: Any) -> Any:
        """Removes a memory."""

    @abstractmethod
    def history(self, memory_id: Any) -> Any:
        """What happened to a memory."""


def _is_plain(config: Any) -> bool:
    return config is None or isinstance(config, dict)
