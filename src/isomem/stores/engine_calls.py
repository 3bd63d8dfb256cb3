"""Calls of an engine's client: retries, errors, secrets, closing."""

from __future__ import annotations

import time

from isomem.errors import InvalidConfigError, VectorStoreError, VectorValueError
from isomem.providers.settings import redact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, TypeAlias, TypeVar

    T = TypeVar("T")
    Client: TypeAlias = Any
    """A client of an engine, whose package is not installed everywhere."""
    Options: TypeAlias = Mapping[str, Any]
    """What is configured, by name; checked before."""

LONGEST_WAIT_S = 30.0


def wait_s(first_s: float, retries: int) -> float:
    """Seconds before the next try: twice as many each time, up to `LONGEST_WAIT_S`.

    Args:
        first_s: before the second try.
        retries: how many tries have failed after the first one.
    """
    return min(first_s * 2.0 ** min(retries, 30), LONGEST_WAIT_S)


class EngineConnection:
    """A client, and how it is called.

    Everything that a store calls may be done twice with the same result, since points have their
    ids before: so a call that was not answered is made again.

    Args:
        client: of the engine's package.
        max_retries: how often a call is made again.
        secrets: texts that no error shows.
        release: lets go of the client; None if it is the caller's.

    Attributes:
        engine: its name, as a provider.
        first_wait_s: seconds before the first retry; each later one waits twice as long.
        kept: errors that are raised as they are.
    """

    engine: str
    first_wait_s = 0.2
    kept: tuple[type[Exception], ...] = ()

    def __init__(
        self,
        client: Client,
        max_retries: int,
        secrets: Sequence[str],
        release: Callable[[], object] | None = None,
    ) -> None:
        self.client = client
        self._max_retries = max_retries
        self._secrets = secrets
        self._release = release

    def tried(self, work: Callable[[], T], *, again: bool = True) -> T:
        """What calls of the client return.

        Args:
            work: makes them.
            again: whether they may be made again if they fail.

        Raises:
            VectorValueError: the engine refuses a value.
            VectorStoreError: it fails, or cannot be reached.
        """
        left = self._max_retries if again else 0
        for retries in range(left + 1):
            try:
                return work()
            except self.kept:
                raise
            except Exception as error:  # noqa: BLE001 - its transport can raise anything
                failure = self.failure(error)
                if retries == left or not self.is_transient(error):
                    break
                seconds = self.wait_s(error, retries)
            time.sleep(seconds)
        raise failure

    def is_transient(self, error: Exception) -> bool:
        """Whether a call that failed with an error may succeed a moment later."""
        raise NotImplementedError

    def wait_s(self, error: Exception, retries: int) -> float:
        """Seconds before the next try."""
        del error
        return wait_s(self.first_wait_s, retries)

    def kind_of(self, error: Exception) -> type[VectorStoreError]:
        """The class of the error for what the client has raised."""
        raise NotImplementedError

    def suggestion(self, error: Exception) -> str | None:
        """What helps, if that is known."""
        is_refused = issubclass(self.kind_of(error), VectorValueError)
        return "Check the filters, and the embedder" if is_refused else None

    def failure(self, error: Exception) -> VectorStoreError:
        """The error for what the client has raised, which is its cause unless it shows a secret."""
        described = f"{type(error).__name__}: {error}"
        text = redact(described, self._secrets)
        failure = self.kind_of(error)(
            f"vector_store {self.engine} failed: {text}", suggestion=self.suggestion(error)
        )
        failure.__cause__ = error if text == described else None
        return failure

    def close(self) -> None:
        """Closes the client, if it is ours. May be called twice."""
        if self._release is not None:
            self.tried(self._release, again=False)


# --- Options ---------------------------------------------------------------------------------


def wrong_option(engine: str, fault: str, key: str | None = None) -> InvalidConfigError:
    """The error for options that do not say where an engine is.

    Args:
        engine: its name.
        fault: what is wrong.
        key: of the option.
    """
    return InvalidConfigError(
        f"vector_store.config ({engine}): {fault}",
        error_code="CONFIG_002",
        details={"key": key} if key else None,
    )


def wrong_name(engine: str, name: str, named: str, suggestion: str) -> InvalidConfigError:
    """The error for a `collection_name` that an engine does not take.

    Args:
        engine: its name.
        name: the collection's.
        named: what the name is for.
        suggestion: which names it takes.
    """
    return InvalidConfigError(
        f"vector_store {engine}: collection_name {name!r:.80} cannot name {named}",
        error_code="CONFIG_003",
        details={"key": "collection_name"},
        suggestion=suggestion,
    )


def cannot_open(engine: str, error: Exception, secrets: Sequence[str]) -> VectorStoreError:
    """The error for a client that cannot be made. It shows no secret."""
    text = redact(f"{type(error).__name__}: {error}", secrets)
    return VectorStoreError(f"vector_store {engine} cannot be opened: {text}")
