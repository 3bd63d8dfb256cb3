"""isomem: long-term memory for AI agents, the same memory as mem0 at a fraction of the cost.

::

    from isomem import Memory

    memory = Memory()
    memory.add("I moved to Lisbon in May.", user_id="ana")
    memory.search("Where does she live?", filters={"user_id": "ana"})

The errors are drawn as a tree in `isomem.errors`.
"""

from __future__ import annotations

from isomem.config import MemoryConfig
from isomem.errors import (
    AuthenticationError,
    ConfigurationError,
    DatabaseError,
    DependencyError,
    EmbeddingError,
    InvalidConfigError,
    LLMError,
    MemoryCorruptionError,
    MemoryError,
    MemoryNotFoundError,
    NetworkError,
    PermissionDeniedError,
    PromptIntegrityError,
    ProviderError,
    RateLimitError,
    RerankError,
    UnusableReplyError,
    ValidationError,
    VectorStoreError,
    VectorValueError,
)
from isomem.memory import Memory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from isomem.client.asynchronous import AsyncClient
    from isomem.client.blocking import Client
    from isomem.memory_async import AsyncMemory

__version__ = "0.1.0"

__all__ = [
    "AsyncClient",
    "AsyncMemory",
    "AuthenticationError",
    "Client",
    "ConfigurationError",
    "DatabaseError",
    "DependencyError",
    "EmbeddingError",
    "InvalidConfigError",
    "LLMError",
    "Memory",
    "MemoryConfig",
    "MemoryCorruptionError",
    "MemoryError",
    "MemoryNotFoundError",
    "NetworkError",
    "PermissionDeniedError",
    "PromptIntegrityError",
    "ProviderError",
    "RateLimitError",
    "RerankError",
    "UnusableReplyError",
    "ValidationError",
    "VectorStoreError",
    "VectorValueError",
    "__version__",
]


def __getattr__(name: str) -> object:
    """`AsyncMemory` and the clients are imported on their first use."""
    if name == "AsyncMemory":
        from isomem.memory_async import AsyncMemory

        return AsyncMemory
    if name == "Client":
        from isomem.client.blocking import Client

        return Client
    if name == "AsyncClient":
        from isomem.client.asynchronous import AsyncClient

        return AsyncClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
