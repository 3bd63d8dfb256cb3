"""What a part of mem0's raises, as an error of isomem's that shows no secret."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping

from isomem.causes import retry_after
from isomem.errors import (
    AuthenticationError,
    EmbeddingError,
    LLMError,
    MemoryError,
    NetworkError,
    RateLimitError,
    RerankError,
    VectorStoreError,
    VectorValueError,
)
from isomem.providers.settings import passwords, redact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from isomem.errors import ProviderError

MODELS: dict[str, type[ProviderError]] = {
    "llm": LLMError,
    "embedder": EmbeddingError,
    "reranker": RerankError,
}
"""The error of each section whose providers are models."""

_BY_STATUS: dict[int, type[ProviderError]] = {
    401: AuthenticationError,
    403: AuthenticationError,
    429: RateLimitError,
}
_SECRET = re.compile(
    r"(api|access|account|private|secret|service)_?key|secret|token|password|credential|http_auth"
    r"|service_account_json",
    re.IGNORECASE,
)

_IN_TEXT = re.compile(
    r"""\bpassword\s*=\s*(?:'((?:[^'\\]|\\.)*)'|([^\s'&;]+))|^(?:bearer|basic|apikey)\s+(\S{8,})$""",
    re.IGNORECASE,
)
"""A password in a connection string such as PostgreSQL's, and the secret in a header."""

_CONTAINERS = (Mapping, list, tuple, set, frozenset)
_SHORTEST_OF_ENVIRONMENT = 8


class Failures:
    """The failures of one part.

    Args:
        section: of the configuration.
        provider: the name of the part there.
        options: what it was configured with; secrets in them are never shown.
    """

    def __init__(self, section: str, provider: str, options: Mapping[str, object]) -> None:
        self.section = section
        self.provider = provider
        found = _secrets_in(os.environ)
        # Many variables only sound secret: masking a "false" would spoil the text.
        long = [secret for secret in found if len(secret) >= _SHORTEST_OF_ENVIRONMENT]
        self._secrets = [*_secrets_in(options), *long]

    def guarding(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """A method that raises isomem's errors in place of its own."""

        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                return method(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 - a vendor's library can raise anything
                failure = self.of(error)
            raise failure  # Out here, so that its only cause is the one that it names.

        return call

    def of(self, error: Exception) -> MemoryError:
        """The error for what a part has raised, which is its cause unless it shows a secret."""
        text = self.shown(error)
        message = f"{self.section} {self.provider} (mem0's class) failed: {text}"
        kind = MODELS.get(self.section)
        failure = (
            _of_store(message, error) if kind is None else self._of_model(kind, message, error)
        )
        failure.__cause__ = error if text == _described(error) else None
        return failure

    def shown(self, error: Exception) -> str:
        """The name and the text of an error, without secrets."""
        return redact(_described(error), self._secrets)

    def _of_model(self, kind: type[ProviderError], message: str, error: Exception) -> ProviderError:
        response = getattr(error, "response", None)
        status = getattr(error, "status_code", getattr(response, "status_code", None))
        headers: Mapping[str, str] | None = getattr(response, "headers", None)
        seconds = retry_after(headers) if headers is not None and hasattr(headers, "get") else None
        details: dict[str, Any] = {"provider": self.provider}
        if isinstance(status, int):
            kind, details["status"] = _BY_STATUS.get(status, kind), status
        elif any(isinstance(each, (ConnectionError, TimeoutError)) for each in _chain(error)):
            kind = NetworkError
        wait = None if seconds is None else {"retry_after": seconds}
        return kind(message, details=details, debug_info=wait)


def _of_store(message: str, error: Exception) -> MemoryError:
    """mem0 shows a caller what a store raises; who catches a ValueError goes on catching it."""
    if isinstance(error, ValueError):
        return VectorValueError(message, suggestion="Check the filters, and the embedder")
    return VectorStoreError(message)


def _described(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error, and what it was raised for."""
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        yield each
        each = each.__cause__ or each.__context__


def _secrets_in(options: Mapping[str, object]) -> list[str]:
    """The values that must not be shown, in what is inside of it, too."""
    found: list[str] = []
    seen: set[tuple[int, bool]] = set()  # Options can contain themselves.
    waiting: list[tuple[object, bool]] = [(options, False)]
    while waiting:
        value, is_secret = waiting.pop()
        if isinstance(value, str):
            found += [value] if is_secret else [*passwords(value), *_in_text(value)]
        elif isinstance(value, _CONTAINERS) and (id(value), is_secret) not in seen:
            seen.add((id(value), is_secret))
            waiting += _inside(value, is_secret=is_secret)
    return found


def _inside(value: object, *, is_secret: bool) -> list[tuple[object, bool]]:
    """What a container holds, each with whether it is a secret."""
    if isinstance(value, Mapping):
        return [
            (each, is_secret or bool(_SECRET.search(str(name)))) for name, each in value.items()
        ]
    return [(each, is_secret) for each in value] if isinstance(value, Iterable) else []


def _in_text(text: str) -> list[str]:
    return [part for found in _IN_TEXT.findall(text) for part in found if part]
