"""Failures: what an error means for someone at a terminal, and the exit code it has."""

from __future__ import annotations

from isomem.causes import message_of
from isomem.errors import (
    ConfigurationError,
    DependencyError,
    InvalidConfigError,
    MemoryError,
    MemoryNotFoundError,
    PromptIntegrityError,
    ProviderError,
    ValidationError,
)

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_NOT_FOUND = 3
EXIT_CONFIG = 4
EXIT_PROVIDER = 5
EXIT_INTERRUPTED = 130
EXIT_PIPE = 141

# The first match counts.
_CODES: tuple[tuple[type[Exception] | tuple[type[Exception], ...], int], ...] = (
    (MemoryNotFoundError, EXIT_NOT_FOUND),
    ((ConfigurationError, DependencyError, PromptIntegrityError), EXIT_CONFIG),
    (ProviderError, EXIT_PROVIDER),
    (ValidationError, EXIT_USAGE),
    (MemoryError, EXIT_FAILED),
    (ValueError, EXIT_USAGE),
)


# Advice for someone at a terminal; the library's own is for programmers.
_NO_MODEL = (
    "Name a model with --model and --base-url or with ISOMEM_MODEL and ISOMEM_BASE_URL, or set "
    "OPENAI_API_KEY. --raw stores the text as it is, without a model."
)


class UsageError(Exception):
    """The words after `isomem` are not a valid command. `usage` shows how it is called."""

    def __init__(self, message: str, suggestion: str | None = None, usage: str = "") -> None:
        super().__init__(message)
        self.suggestion = suggestion
        self.usage = usage


class Failure:
    """An error as it is shown to the user.

    Attributes:
        exit_code: of the process.
        code: stable identifier, for a program.
        message: what was wrong.
        suggestion: what to do about it, or None.
        usage: how the command is called, or "".
    """

    __slots__ = ("code", "exit_code", "message", "suggestion", "usage")

    def __init__(
        self,
        exit_code: int,
        code: str,
        message: str,
        suggestion: str | None = None,
        usage: str = "",
    ) -> None:
        self.exit_code = exit_code
        self.code = code
        self.message = message
        self.suggestion = suggestion
        self.usage = usage


def explain(error: Exception) -> Failure:
    """What to show for an error of any kind."""
    if isinstance(error, UsageError):
        return Failure(EXIT_USAGE, "USAGE", str(error), error.suggestion, error.usage)
    if isinstance(error, ProviderError) and isinstance(error.__cause__, MemoryError):
        error = error.__cause__  # The provider's own error says more about what to do.
    for kind, exit_code in _CODES:
        if isinstance(error, kind):
            code = getattr(error, "error_code", "INVALID_VALUE")
            advice = _NO_MODEL if _lacks_model(error) else getattr(error, "suggestion", None)
            return Failure(exit_code, code, message_of(error), advice)
    return Failure(
        EXIT_FAILED,
        "INTERNAL",
        f"{type(error).__name__}: {error}",
        "This is a bug, or something that isomem does not handle. ISOMEM_DEBUG=1 shows where it "
        "happened.",
    )


def _lacks_model(error: Exception) -> bool:
    """Whether no model is configured; a missing key has the same code."""
    is_missing = getattr(error, "error_code", None) == "CONFIG_004"
    return is_missing and not isinstance(error, InvalidConfigError)


def no_memory(memory_id: str) -> MemoryNotFoundError:
    """The error for an id that no memory has."""
    return MemoryNotFoundError(
        f"No memory has the id {memory_id}.",
        details={"memory_id": memory_id},
        suggestion="`isomem list` and `isomem search` show ids.",
    )
