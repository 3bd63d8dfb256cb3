"""Calls of chromadb: opening it, and errors."""

from __future__ import annotations

import os

from isomem.errors import VectorStoreError, VectorValueError
from isomem.providers.settings import passwords
from isomem.stores import chroma_servers
from isomem.stores.chroma_folders import Folder
from isomem.stores.engine_calls import EngineConnection, cannot_open, wrong_option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from isomem.errors import InvalidConfigError
    from isomem.stores.engine_calls import Client, Options

DEFAULT_PATH = "/tmp/chroma"
"""mem0's folder if none is named."""

IN_MEMORY = ":memory:"

_TRANSIENT = frozenset({"RateLimitError", "InternalError", "Exception"})
"""chromadb has no class for an answer without a body that it knows, as a proxy gives it."""
_REFUSED = frozenset(
    {
        "InvalidArgumentError",
        "InvalidDimensionException",
        "DuplicateIDError",
        "InvalidUUIDError",
        "QuotaError",
        "BatchSizeExceededError",
    }
)
_UNKNOWN_LOCATION = (
    "Either ChromaDB Cloud configuration (api_key, tenant) or local configuration (path or "
    "host/port) must be provided."
)
_TWO_LOCATIONS = "Cannot specify both cloud configuration and local configuration. Choose one."


class _Calls(EngineConnection):
    """What may be called again."""

    engine = "chroma"

    def is_transient(self, error: Exception) -> bool:
        if _name_of(error) in _TRANSIENT:
            return True
        import httpx

        return isinstance(error, httpx.TransportError)


class Connection(_Calls):
    """A client of chromadb, and how it is called.

    Args:
        client: a client of chromadb.
        options: has the number of retries, which is for a server alone, and the key, which no error
            shows.
        release: lets go of the client; None if it is the caller's.

    Attributes:
        is_cloud: whether it is Chroma Cloud, which limits how much one call may be about.
    """

    def __init__(
        self, client: Client, options: Options, release: Callable[[], None] | None = None
    ) -> None:
        retries = options["max_retries"] if _session_of(client) is not None else 0
        super().__init__(client, retries, _secrets_of(options), release)
        self.is_cloud = is_cloud(options)
        self._process = os.getpid()
        self._is_closed = False

    def call(self, work: Callable[[], Any]) -> Any:
        """As `tried`. Raises VectorStoreError, too, if the connection is closed."""
        self._check_open()
        return self.tried(work)

    def _check_open(self) -> None:
        if self._is_closed:
            raise VectorStoreError("vector_store chroma: it is closed")
        if os.getpid() != self._process:  # Its threads are in the parent alone: it would hang.
            raise VectorStoreError(
                "vector_store chroma: it was opened before this process was forked",
                suggestion="Open the memory in the process that uses it.",
            )

    def kind_of(self, error: Exception) -> type[VectorStoreError]:
        is_refused = isinstance(error, (TypeError, ValueError)) or _name_of(error) in _REFUSED
        return VectorValueError if is_refused else VectorStoreError

    def close(self) -> None:
        """Lets go of the client, if it is ours. May be called twice, and in the child of a fork."""
        is_over = self._is_closed or os.getpid() != self._process
        self._is_closed = True
        if not is_over:
            super().close()


def is_gone(error: Exception) -> bool:
    """Whether a call has failed since the collection is not there."""
    return _name_of(error) == "NotFoundError"


def found_collection(client: Client, name: str) -> Any:
    """The collection of that name; None if there is none.

    Chroma's own embedder, which downloads a model when it is used, is not set up for it.
    """
    try:
        return client.get_collection(name, embedding_function=None)
    except Exception as error:
        if is_gone(error):
            return None
        raise


def remove_collection(client: Client, name: str, at_once: int = 1000) -> None:
    """Removes a collection; nothing happens if it is not there.

    Its records go first: Chroma (1.5) would keep their lists otherwise, and the next records, in
    any collection, would have them.

    Args:
        client: where it is.
        name: of the collection.
        at_once: how many records one call may be about.
    """
    found = found_collection(client, name)
    if found is None:
        return
    try:
        while names := found.get(limit=at_once, include=[])["ids"]:
            found.delete(ids=names)
        client.delete_collection(name)
    except Exception as error:
        if not is_gone(error):  # Another program has removed it meanwhile.
            raise


def _name_of(error: Exception) -> str:
    return type(error).__name__


def _session_of(client: Client) -> Any:
    """What carries the calls to a server; None if there is no server."""
    return getattr(getattr(client, "_server", None), "_session", None)


def _secrets_of(options: Options) -> list[str]:
    return [each for each in (options["api_key"],) if each] + passwords(options["host"] or "")


# --- Where it is -----------------------------------------------------------------------------


def is_cloud(options: Options) -> bool:
    """Whether options name Chroma Cloud."""
    return bool(options["api_key"] and options["tenant"] and not options["host"])


def check_location(options: Options) -> None:
    """Raises InvalidConfigError unless the options say where Chroma is, and only once."""
    if options["client"] is not None:
        return
    if bool(options["host"]) != bool(options["port"]):
        raise _wrong("a server needs both host and port")
    has_cloud = options["api_key"] and options["tenant"]
    if has_cloud and (options["host"] or options["path"] not in {"", DEFAULT_PATH}):
        raise _wrong(_TWO_LOCATIONS)
    if not (has_cloud or options["host"] or options["path"]):
        raise _wrong(_UNKNOWN_LOCATION)


def _wrong(fault: str) -> InvalidConfigError:
    return wrong_option("chroma", fault)


# --- Opening ---------------------------------------------------------------------------------


def opened(options: Options) -> Connection:
    """The client that options describe: the caller's own, the cloud's, a server's, or a local one.

    Raises:
        InvalidConfigError: as `check_location`.
        VectorStoreError: it cannot be reached, or another process has the folder open.
    """
    check_location(options)
    if options["client"] is not None:
        return Connection(options["client"], options)
    return _Opening(options).tried(lambda: _made(options))


class _Opening(_Calls):
    """What makes a client, as often as a call of it is made."""

    kept = (VectorStoreError,)

    def __init__(self, options: Options) -> None:
        has_server = is_cloud(options) or options["host"]
        super().__init__(None, options["max_retries"] if has_server else 0, _secrets_of(options))

    def failure(self, error: Exception) -> VectorStoreError:
        return cannot_open(self.engine, error, self._secrets)


def _made(options: Options) -> Connection:
    if is_cloud(options) or options["host"]:
        make = chroma_servers.cloud_client if is_cloud(options) else chroma_servers.server_client
        client = make(options, _settings)
        return Connection(client, options, lambda: chroma_servers.close(client))
    if options["path"] == IN_MEMORY:
        return _in_memory(options)
    return _folder(options)


def _settings(**more: object) -> Any:
    """Nothing is sent to the makers of Chroma."""
    from chromadb.config import Settings

    return Settings(anonymized_telemetry=False, **more)


def _in_memory(options: Options) -> Connection:
    """A database of its own in the memory of this process, which all such clients share."""
    from uuid import uuid4

    from chromadb import AdminClient, EphemeralClient

    admin, name = AdminClient(_settings(is_persistent=False)), f"isomem-{uuid4().hex}"
    admin.create_database(name)
    client = EphemeralClient(settings=_settings(is_persistent=False), database=name)

    def release() -> None:
        for collection in client.list_collections():
            remove_collection(client, collection.name)
        admin.delete_database(name)
        client.close()

    return Connection(client, options, release)


def _folder(options: Options) -> Connection:
    path = options["path"]
    os.makedirs(path, exist_ok=True)
    folder = Folder.held(path)
    try:
        client = folder.client(path, _settings)
    except BaseException:
        folder.release()
        raise
    return Connection(client, options, lambda: folder.close(client))
