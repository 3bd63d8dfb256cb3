"""Parts of mem0's as isomem uses them: their own methods and attributes, and isomem's errors."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from isomem.providers.bridge.failures import Failures

METHODS = {
    "llm": {"generate_response"},
    "embedder": {"embed", "embed_batch"},
    "reranker": {"rerank"},
    "vector_store": {
        "create_col", "col_info", "delete", "delete_col", "get", "insert", "keyword_search", "list",
        "list_cols", "reset", "search", "search_batch", "update",
    },
}  # fmt: skip
"""What a part of each section is called by: an error in one of these becomes isomem's."""


class Bridged:
    """A part of mem0's. Whatever is not defined here is the part's own.

    Args:
        part: an object of one of mem0's classes.
        failures: turns its errors into isomem's.
    """

    def __init__(self, part: Any, failures: Failures) -> None:
        self.part = part
        self.failures = failures

    def __getattr__(self, name: str) -> Any:
        if name in {"part", "failures"}:  # Not there yet, as in a copy that is being made.
            raise AttributeError(name)
        found = getattr(self.part, name)
        is_guarded = name in METHODS[self.failures.section]
        return self.failures.guarding(found) if is_guarded else found

    def close(self) -> None:
        """Closes the connections that the part has opened."""
        self._close("client")

    def _close(self, *names: str) -> None:
        for name in names:
            close = getattr(getattr(self.part, name, None), "close", None)
            if close is not None:
                self.failures.guarding(close)()

    def __repr__(self) -> str:
        kind = type(self.part)
        return f"<{self.failures.provider}: {kind.__module__}.{kind.__qualname__}>"


class BridgedEmbedder(Bridged):
    """An embedder of mem0's.

    Attributes:
        identity: provider and model; a store records it with its vectors.
        dims: the length of the vectors; None if only the model knows.
    """

    @property
    def identity(self) -> str:
        """As that of an embedder that isomem carries itself."""
        return f"{self.failures.provider}/{getattr(self._config, 'model', None)}"

    @property
    def dims(self) -> int | None:
        """What is configured, or what the class has set."""
        dims = getattr(self._config, "embedding_dims", None)
        return dims if isinstance(dims, int) else None

    @property
    def _config(self) -> object:
        return getattr(self.part, "config", None)


class BridgedStore(Bridged):
    """A vector store of mem0's.

    Args:
        part: an object of one of mem0's classes.
        failures: turns its errors into isomem's.
        beside: opens another collection of the same store, by its name.
        collection_name: its own.
        owns_client: whether closing it closes its connection.
    """

    def __init__(
        self,
        part: Any,
        failures: Failures,
        beside: Callable[[str], BridgedStore],
        collection_name: str,
        *,
        owns_client: bool,
    ) -> None:
        super().__init__(part, failures)
        self.beside = beside
        self.collection_name = collection_name
        self._owns_client = owns_client

    def close(self) -> None:
        """Closes the connection, unless it belongs to the caller or to another collection."""
        if self._owns_client:
            self._close("client", "connection_pool")
