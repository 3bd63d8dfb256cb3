"""Calls of qdrant-client: opening it, one call after another in local mode, retries, errors."""

from __future__ import annotations

import time
from threading import RLock
from weakref import WeakKeyDictionary

from isomem.errors import InvalidConfigError, VectorStoreError, VectorValueError
from isomem.providers.settings import passwords, redact
from isomem.stores.waiting import LONGEST_WAIT_S, wait_s

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, TypeAlias

    Client: TypeAlias = Any
    """A `qdrant_client.QdrantClient`, which is not installed everywhere."""
    Options: TypeAlias = Mapping[str, Any]
    """What is configured, by name; checked before."""

FIRST_WAIT_S = 0.2
"""Seconds before the first retry; each later one waits twice as long as the one before."""

_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
_TRANSIENT_GRPC = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED"})
_REFUSED = frozenset({400, 422})
_UNKNOWN_LOCATION = "Either 'host' and 'port' or 'url' and 'api_key' or 'path' must be provided."

_locks: WeakKeyDictionary[Client, RLock] = WeakKeyDictionary()
"""The lock of each client in local mode: several stores may share one."""


class Connection:
    """A client, and how its calls are made.

    Everything that a store calls may be done twice with the same result, since points have their
    ids before: so on a server, a call that was not answered is made again.

    Args:
        client: a `qdrant_client.QdrantClient`.
        max_retries: how often a call is made again; on a server.
        secrets: texts that no error shows.

    Attributes:
        is_local: whether it is local mode: a folder, or the memory of this process.
    """

    def __init__(self, client: Client, max_retries: int, secrets: list[str]) -> None:
        from qdrant_client.local.qdrant_local import QdrantLocal

        self.client = client
        self.is_local = isinstance(getattr(client, "_client", None), QdrantLocal)
        self._max_retries = 0 if self.is_local else max_retries
        self._secrets = secrets
        self._lock = _locks.setdefault(client, RLock()) if self.is_local else None

    def call(self, method: str, /, **arguments: Any) -> Any:
        """Calls a method of the client.

        Raises:
            KeyError: local mode: a point does not exist.
            VectorValueError: Qdrant refuses a value.
            VectorStoreError: it fails, or cannot be reached.
        """
        retries = 0
        while True:
            try:
                return self._once(method, arguments)
            except KeyError:
                raise
            except Exception as error:  # noqa: BLE001 - its transport can raise anything
                if retries == self._max_retries or not is_transient(error):
                    failure = self.failure(error)
                    break
                asked_s = getattr(error, "retry_after_s", wait_s(FIRST_WAIT_S, retries))
            time.sleep(min(asked_s, LONGEST_WAIT_S))
            retries += 1
        raise failure

    def _once(self, method: str, arguments: Options) -> Any:
        called = getattr(self.client, method)
        if self._lock is None:
            return called(**arguments)
        with self._lock:
            return called(**arguments)

    def failure(self, error: Exception) -> VectorStoreError:
        """The error for what the client has raised, which is its cause unless it shows a secret."""
        described = f"{type(error).__name__}: {error}"
        text = redact(described, self._secrets)
        status = getattr(error, "status_code", None)
        is_refused = isinstance(error, ValueError) or status in _REFUSED
        kind = VectorValueError if is_refused else VectorStoreError
        suggestion = "Check the filters, and the embedder" if is_refused else None
        failure = kind(f"vector_store qdrant failed: {text}", suggestion=suggestion)
        failure.__cause__ = error if text == described else None
        return failure

    def close(self) -> None:
        """Closes the client. May be called twice."""
        try:
            self._once("close", {})
        except Exception as error:  # noqa: BLE001 - its transport can raise anything
            failure = self.failure(error)
        else:
            return
        raise failure


def is_transient(error: Exception) -> bool:
    """Whether a call that failed with an error may succeed a moment later."""
    if type(error).__name__ in {"ResponseHandlingException", "ResourceExhaustedResponse"}:
        return True
    code = getattr(error, "code", None)
    if callable(code):
        return getattr(code(), "name", "") in _TRANSIENT_GRPC
    return getattr(error, "status_code", None) in _TRANSIENT


# --- Opening ---------------------------------------------------------------------------------


def opened(options: Options) -> Connection:
    """The client that options describe: the caller's own, a server's, or local mode.

    Raises:
        InvalidConfigError: as `check_location`.
        VectorStoreError: the folder cannot be opened, as when another process has it open.
    """
    secrets = [each for each in (options["api_key"],) if each] + passwords(options["url"] or "")
    check_location(options)
    if options["client"] is not None:
        return Connection(options["client"], options["max_retries"], secrets)
    from qdrant_client import QdrantClient

    arguments = _server_of(options) or {"path": options["path"]}
    try:
        client = QdrantClient(**arguments)
    except Exception as error:  # noqa: BLE001 - a file system and a transport can raise anything
        text = redact(f"{type(error).__name__}: {error}", secrets)
        failure = VectorStoreError(f"vector_store qdrant cannot be opened: {text}")
    else:
        return Connection(client, options["max_retries"], secrets)
    raise failure


def check_location(options: Options) -> None:
    """Raises InvalidConfigError unless the options say where Qdrant is, and only once."""
    host, port, url = options["host"], options["port"], options["url"]
    if options["client"] is not None:
        return
    if url and host:
        raise _wrong("name a server by url, or by host and port, not by both")
    if bool(host) != bool(port):
        raise _wrong("a server needs both host and port")
    if not (url or host or options["api_key"] or options["path"]):
        raise _wrong(_UNKNOWN_LOCATION)


def _wrong(fault: str) -> InvalidConfigError:
    return InvalidConfigError(f"vector_store.config (qdrant): {fault}", error_code="CONFIG_002")


def _server_of(options: Options) -> Options:
    """What names a server, as arguments of the client; empty for local mode."""
    named = {name: options[name] for name in ("url", "host", "port", "api_key") if options[name]}
    if not named:
        return {}
    more: dict[str, object] = {
        name: options[name]
        for name in ("grpc_port", "https", "prefix")
        if options[name] is not None
    }
    if options["timeout_s"] is not None:
        more["timeout"] = options["timeout_s"]
    # Otherwise the client asks a server for its version at once, in a thread of its own.
    return {**named, **more, "prefer_grpc": options["prefer_grpc"], "check_compatibility": False}
