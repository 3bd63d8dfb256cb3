"""Everything isomem raises on purpose.

The tree (names, codes and attributes are the contract of mem0 2.0.4; code that catches its
errors keeps working)::

    Exception
    └── MemoryError                 message, error_code, details, suggestion, debug_info
        ├── AuthenticationError     a provider refused the key
        ├── RateLimitError          a provider said "slow down" and went on saying it
        ├── ValidationError         an argument of a call is wrong        (VALIDATION_…)
        ├── MemoryNotFoundError
        ├── NetworkError            a provider could not be reached
        ├── ConfigurationError      the configuration is wrong
        │   └── InvalidConfigError  … also a ValueError, as upstream's own check was
        ├── MemoryQuotaExceededError
        ├── MemoryCorruptionError   the file is not, or no longer, a memory file
        ├── VectorSearchError
        ├── CacheError
        ├── VectorStoreError        the vector store failed               (VECTOR_001)
        │   └── VectorValueError    … also a ValueError: wrong length, NaN, infinite
        ├── EmbeddingError          the embedder failed                   (EMBED_001)
        ├── LLMError                the model failed                      (LLM_001)
        │   └── UnusableReplyError  … its reply does not say what to remember (LLM_002)
        ├── DatabaseError           SQLite failed: locked, full, read-only (DB_001)
        ├── DependencyError         an optional package is missing        (DEPS_001)
        └── PromptIntegrityError    a prompt is not the pinned one        (PROMPT_001)

Wrong ids, filters, ``threshold`` and ``top_k`` raise the built-in ``ValueError``, as upstream.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class MemoryError(Exception):
    """Base of the tree.

    Attributes:
        message: what was wrong, for a person.
        error_code: stable identifier, for a program.
        details: facts of this occurrence; never a secret.
        suggestion: what to do about it, or None.
        debug_info: technical context, such as ``retry_after`` in seconds.
    """

    def __init__(
        self,
        message: str,
        error_code: str,
        details: dict[str, Any] | None = None,
        suggestion: str | None = None,
        debug_info: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.error_code = error_code
        self.details: dict[str, Any] = details or {}
        self.suggestion = suggestion
        self.debug_info: dict[str, Any] = debug_info or {}

    def __repr__(self) -> str:
        names = ("message", "error_code", "details", "suggestion", "debug_info")
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__name__}({fields})"

    def __reduce__(self) -> tuple[Any, ...]:
        fields = (self.message, self.error_code, self.details, self.suggestion, self.debug_info)
        return type(self), fields


class AuthenticationError(MemoryError):
    """A provider refused the credentials."""


class RateLimitError(MemoryError):
    """A provider still refused after the retries; ``debug_info["retry_after"]`` in seconds."""


class ValidationError(MemoryError):
    """An argument of a call is wrong; nothing was stored."""


class MemoryNotFoundError(MemoryError):
    """No memory has that id."""


class NetworkError(MemoryError):
    """A provider could not be reached in time."""


class ConfigurationError(MemoryError):
    """The configuration cannot work."""


class InvalidConfigError(ConfigurationError, ValueError):
    """A key, a provider or a value in the configuration is not known or not allowed."""


class MemoryQuotaExceededError(MemoryError):
    """A provider's quota is used up, or a request was too large for it."""


class MemoryCorruptionError(MemoryError):
    """The file is not a memory file, or is damaged."""


class VectorSearchError(MemoryError):
    """A search in the vector store failed."""


class CacheError(MemoryError):
    """A cache failed. Kept for code that catches it; isomem does not raise it."""


class _CodedError(MemoryError):
    """An error whose code and suggestion have defaults."""

    code = ""
    advice = ""

    def __init__(
        self,
        message: str,
        error_code: str | None = None,
        details: dict[str, Any] | None = None,
        suggestion: str | None = None,
        debug_info: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(
            message, error_code or self.code, details, suggestion or self.advice, debug_info
        )


class VectorStoreError(_CodedError):
    """The vector store failed; what was being written is not there."""

    code = "VECTOR_001"
    advice = "Please check your vector store configuration and connection"


class VectorValueError(VectorStoreError, ValueError):
    """A vector has the wrong length, or holds NaN or infinity."""

    advice = "Please check that the embedder is the one the store was made with"


class EmbeddingError(_CodedError):
    """The embedder failed."""

    code = "EMBED_001"
    advice = "Please check your embedding model configuration"


class LLMError(_CodedError):
    """The model failed."""

    code = "LLM_001"
    advice = "Please check your LLM configuration and API key"


class UnusableReplyError(LLMError):
    """The model answered, and its reply does not say what to remember.

    ``details`` has the ``fault``, the ``finish_reason`` where the provider gave one, and an
    ``excerpt`` of the reply.
    """

    code = "LLM_002"
    advice = "Check the model, its max_tokens, and that it answers in JSON"


class DatabaseError(_CodedError):
    """SQLite failed: the file is locked, full, read-only, closed, or from a newer schema."""

    code = "DB_001"
    advice = "Please check your database configuration and connection"


class DependencyError(_CodedError):
    """An optional package is missing; the message names the extra to install."""

    code = "DEPS_001"
    advice = "Please install the required dependencies"


class PromptIntegrityError(_CodedError):
    """A prompt is missing or is not the pinned text; nothing was sent to a model."""

    code = "PROMPT_001"
    advice = "Reinstall isomem, then run `isomem prompts verify`"
