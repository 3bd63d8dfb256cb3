"""Everything isomem raises on purpose; `from isomem import LLMError` and so on.

The tree, with the codes that each class is raised with::

    Exception
    └── MemoryError                     base of all of them
        ├── ProviderError               a model, embedder or reranker failed   PROVIDER_001
        │   ├── AuthenticationError     it refused the key                     AUTH_001
        │   ├── RateLimitError          too many requests, after the retries   RATE_001
        │   ├── NetworkError            it could not be reached in time        NET_001
        │   ├── EmbeddingError          an embedder failed otherwise           EMBED_001
        │   ├── RerankError             a reranker failed otherwise            RERANK_001
        │   └── LLMError                a model failed otherwise               LLM_001
        │       └── UnusableReplyError  its reply cannot be used               LLM_002
        ├── ValidationError             an argument or a file is wrong         VALIDATION_001-008
        │                                                                      BACKUP_001
        │                                                                      INGEST_001, 003
        │                                                                      MOVE_001-004
        ├── MemoryNotFoundError         no memory has that id; a ValueError    MEM_404
        ├── PermissionDeniedError       a service's key is not for that        AUTH_002
        ├── ConfigurationError          the configuration cannot work          CONFIG_004-009
        │   │                                                                  RECEIPT_002
        │   └── InvalidConfigError      a key or value in it; a ValueError     CONFIG_001-005
        │                                                                      SERVE_001
        ├── DependencyError             an optional package is missing         DEPS_001
        ├── PromptIntegrityError        a prompt is not the pinned one         PROMPT_001
        ├── VectorStoreError            the vector store failed                VECTOR_001
        │   └── VectorValueError        wrong length, or NaN; a ValueError     VECTOR_001
        ├── DatabaseError               SQLite failed: locked, full, closed    DB_001
        │                                                                      INGEST_002, 004
        │                                                                      RECEIPT_001, 003
        └── MemoryCorruptionError       the file is not a memory file          CORRUPT_001

"A ValueError" means that the class is also a ``ValueError``, since mem0 raises the built-in there.
Wrong filters, scope ids, ``threshold`` or ``top_k`` raise the built-in itself, as in mem0.

Names, codes and attributes are those of mem0 2.0.4, so that code that catches its errors keeps
working. Classes that isomem never raises are in ``mem0.exceptions`` once ``isomem.compat`` is
imported.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar

    Facts = dict[str, Any]

__all__ = [
    "AuthenticationError",
    "ConfigurationError",
    "DatabaseError",
    "DependencyError",
    "EmbeddingError",
    "InvalidConfigError",
    "LLMError",
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
]


class MemoryError(Exception):
    """Base of the tree. Its text is the message, followed by the suggestion.

    Attributes:
        message: what was wrong, for a person.
        error_code: stable identifier, for a program.
        details: facts about this occurrence; never a secret.
        suggestion: what to do about it, or None.
        debug_info: technical context.
    """

    def __init__(
        self,
        message: str,
        error_code: str,
        details: Facts | None = None,
        suggestion: str | None = None,
        debug_info: Facts | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.error_code = error_code
        self.details: Facts = details or {}
        self.suggestion = suggestion
        self.debug_info: Facts = debug_info or {}

    @property
    def code(self) -> str:
        """The `error_code`."""
        return self.error_code

    def __str__(self) -> str:
        message, advice = str(self.message), str(self.suggestion or "")
        if advice in message:
            return message
        stop = "" if message.endswith((".", "!", "?", "…")) else "."
        return f"{message}{stop} {advice}"

    def __repr__(self) -> str:
        names = ("message", "error_code", "details", "suggestion", "debug_info")
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__name__}({fields})"

    def __reduce__(self) -> tuple[Any, ...]:
        # Not through `__init__`: a subclass may have changed its arguments.
        return _bare, (type(self), self.args), self.__dict__


def _bare(kind: type[MemoryError], args: tuple[object, ...]) -> MemoryError:
    """An error without its attributes, which pickle and copy add."""
    return kind.__new__(kind, *args)


class _CodedError(MemoryError):
    """An error with a default code, and perhaps a default suggestion."""

    default_code: ClassVar[str]
    default_suggestion: ClassVar[str | None] = None

    def __init__(
        self,
        message: str,
        error_code: str | None = None,
        details: Facts | None = None,
        suggestion: str | None = None,
        debug_info: Facts | None = None,
    ) -> None:
        code, advice = error_code or self.default_code, suggestion or self.default_suggestion
        super().__init__(message, code, details, advice, debug_info)


# --- Providers -------------------------------------------------------------------------------


class ProviderError(_CodedError):
    """A model, an embedder or a reranker failed. isomem raises one of its subclasses.

    `__cause__` is what the transport (an `httpx.RequestError`) or the vendor's library raised.
    It is None if the server answered and its answer is the failure. An `LLMError` or an
    `EmbeddingError` that sums up a call has the provider's error as its `__cause__`, and the
    same details.

    Attributes:
        provider: its name in the configuration, or None.
        status: the HTTP status of the last answer, or None if none came.
        retry_after: how long the last answer asked to wait, in seconds, or None.
    """

    default_code = "PROVIDER_001"

    @property
    def provider(self) -> str | None:
        """From `details`."""
        name: str | None = self.details.get("provider")
        return name

    @property
    def status(self) -> int | None:
        """From `details`."""
        status: int | None = self.details.get("status")
        return status

    @property
    def retry_after(self) -> float | None:
        """From `debug_info`."""
        seconds: float | None = self.debug_info.get("retry_after")
        return seconds


class AuthenticationError(ProviderError):
    """A provider refused the credentials."""

    default_code = "AUTH_001"


class RateLimitError(ProviderError):
    """A provider still refused after all retries. `retry_after` is how long it asks to wait."""

    default_code = "RATE_001"


class NetworkError(ProviderError):
    """A provider could not be reached in time."""

    default_code = "NET_001"


class EmbeddingError(ProviderError):
    """The embedder failed."""

    default_code = "EMBED_001"
    default_suggestion = "Please check your embedding model configuration"


class RerankError(ProviderError):
    """The reranker failed."""

    default_code = "RERANK_001"
    default_suggestion = "Please check your reranker configuration and API key"


class LLMError(ProviderError):
    """The model failed."""

    default_code = "LLM_001"
    default_suggestion = "Please check your LLM configuration and API key"


class UnusableReplyError(LLMError):
    """The model answered, but its reply does not say what to remember.

    ``details`` has the ``fault``, the ``finish_reason`` if the provider gave one, and an
    ``excerpt`` of the reply.
    """

    default_code = "LLM_002"
    default_suggestion = "Check the model, its max_tokens, and that it answers in JSON"


# --- What a caller or an operator can correct ------------------------------------------------


class ValidationError(MemoryError):
    """An argument of a call, or a file that it reads, is wrong; nothing was stored."""


class MemoryNotFoundError(_CodedError, ValueError):
    """No memory has that id."""

    default_code = "MEM_404"


class PermissionDeniedError(_CodedError):
    """A key of a service does not allow the call, or not for that scope."""

    default_code = "AUTH_002"


class ConfigurationError(MemoryError):
    """The configuration cannot work."""


class InvalidConfigError(ConfigurationError, ValueError):
    """A key, a provider or a value in the configuration is unknown or not allowed."""


class DependencyError(_CodedError):
    """An optional package is missing; the message names the extra to install."""

    default_code = "DEPS_001"
    default_suggestion = "Please install the required dependencies"


class PromptIntegrityError(_CodedError):
    """A prompt is missing, or is not the pinned text. Nothing was sent to a model."""

    default_code = "PROMPT_001"
    default_suggestion = "Reinstall isomem, then run `isomem prompts verify`"


# --- Stores ----------------------------------------------------------------------------------


class VectorStoreError(_CodedError):
    """The vector store failed; what was being written is not stored."""

    default_code = "VECTOR_001"
    default_suggestion = "Please check your vector store configuration and connection"


class VectorValueError(VectorStoreError, ValueError):
    """A vector has the wrong length, or contains NaN or infinity."""

    default_suggestion = "Please check that the embedder is the one the store was made with"


class DatabaseError(_CodedError):
    """SQLite failed: the file is locked, full, read-only, closed, or from a newer schema."""

    default_code = "DB_001"
    default_suggestion = "Please check your database configuration and connection"


class MemoryCorruptionError(_CodedError):
    """The file is not a memory file, or is damaged."""

    default_code = "CORRUPT_001"
