"""Calls of chromadb: opening it, retries, errors, and who may have a folder open."""

from __future__ import annotations

import os
import time
from threading import Lock

import apsw

from isomem.errors import InvalidConfigError, VectorStoreError, VectorValueError
from isomem.providers.settings import passwords, redact
from isomem.stores.waiting import wait_s

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, NoReturn, TypeAlias

    Client: TypeAlias = Any
    """A client of chromadb, which is not installed everywhere."""
    Options: TypeAlias = Mapping[str, Any]
    """What is configured, by name; checked before."""

DEFAULT_PATH = "/tmp/chroma"
"""mem0's folder if none is named."""

IN_MEMORY = ":memory:"

FIRST_WAIT_S = 0.2
"""Seconds before the first retry; each later one waits twice as long as the one before."""

_CLOUD_DATABASE = "mem0"
_LOCK_FILE = "isomem.lock"
_TRANSIENT = frozenset({"RateLimitError", "InternalError", "Exception"})
"""chromadb has no class for an answer without a body that it knows, as a proxy gives it."""
_REFUSED = frozenset(
    {"InvalidArgumentError", "InvalidDimensionException", "DuplicateIDError", "InvalidUUIDError"}
)
_UNKNOWN_LOCATION = (
    "Either ChromaDB Cloud configuration (api_key, tenant) or local configuration (path or "
    "host/port) must be provided."
)
_TWO_LOCATIONS = "Cannot specify both cloud configuration and local configuration. Choose one."


class Connection:
    """A client, and how it is called.

    Everything that a store calls may be done twice with the same result, since points have their
    ids before: so a call that a server did not answer is made again.

    Args:
        client: a client of chromadb.
        options: has the number of retries, and the key, which no error shows.
        release: lets go of the client; None if it is the caller's.

    Attributes:
        is_cloud: whether it is Chroma Cloud, which limits how much one call may be about.
    """

    def __init__(
        self, client: Client, options: Options, release: Callable[[], None] | None = None
    ) -> None:
        self.client = client
        self.is_cloud = is_cloud(options)
        self._max_retries = options["max_retries"] if _session_of(client) is not None else 0
        self._secrets = _secrets_of(options)
        self._release = release
        self._process = os.getpid()
        self._is_closed = False

    def call(self, work: Callable[[], Any]) -> Any:
        """What calls of the client return.

        Raises:
            VectorValueError: Chroma refuses a value.
            VectorStoreError: it fails, cannot be reached, or is closed.
        """
        self._check_open()
        retries = 0
        while True:
            try:
                return work()
            except Exception as error:  # noqa: BLE001 - its transport can raise anything
                if retries == self._max_retries or not is_transient(error):
                    failure = self.failure(error)
                    break
            time.sleep(wait_s(FIRST_WAIT_S, retries))
            retries += 1
        raise failure

    def _check_open(self) -> None:
        if self._is_closed:
            raise VectorStoreError("vector_store chroma: it is closed")
        if os.getpid() != self._process:  # Its threads are in the parent alone: it would hang.
            raise VectorStoreError(
                "vector_store chroma: it was opened before this process was forked",
                suggestion="Open the memory in the process that uses it.",
            )

    def failure(self, error: Exception) -> VectorStoreError:
        """The error for what the client has raised, which is its cause unless it shows a secret."""
        described = f"{type(error).__name__}: {error}"
        text = redact(described, self._secrets)
        is_refused = isinstance(error, (TypeError, ValueError)) or _name_of(error) in _REFUSED
        kind = VectorValueError if is_refused else VectorStoreError
        suggestion = "Check the filters, and the embedder" if is_refused else None
        failure = kind(f"vector_store chroma failed: {text}", suggestion=suggestion)
        failure.__cause__ = error if text == described else None
        return failure

    def close(self) -> None:
        """Lets go of the client, if it is ours. May be called twice, and in the child of a fork."""
        is_over = self._is_closed or os.getpid() != self._process
        self._is_closed = True
        if is_over:
            return
        try:
            if self._release is not None:
                self._release()
        except Exception as error:  # noqa: BLE001 - its transport can raise anything
            failure = self.failure(error)
        else:
            return
        raise failure


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
    while names := found.get(limit=at_once, include=[])["ids"]:
        found.delete(ids=names)
    client.delete_collection(name)


def is_transient(error: Exception) -> bool:
    """Whether a call that failed with an error may succeed a moment later."""
    if _name_of(error) in _TRANSIENT:
        return True
    import httpx

    return isinstance(error, httpx.TransportError)


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
    return InvalidConfigError(f"vector_store.config (chroma): {fault}", error_code="CONFIG_002")


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
    try:
        return _made(options)
    except VectorStoreError:
        raise
    except Exception as error:  # noqa: BLE001 - a file system and a transport can raise anything
        text = redact(f"{_name_of(error)}: {error}", _secrets_of(options))
    raise VectorStoreError(f"vector_store chroma cannot be opened: {text}")


def _made(options: Options) -> Connection:
    if is_cloud(options) or options["host"]:
        client = _cloud(options) if is_cloud(options) else _server(options)
        # The one that checks whether the tenant exists stays open, too.
        sessions = [*map(_session_of, (client, getattr(client, "_admin_client", None)))]
        sessions[0].timeout = options["timeout_s"]

        def release() -> None:
            client.close()
            for session in filter(None, sessions):  # Which chromadb leaves open.
                session.close()

        return Connection(client, options, release)
    if options["path"] == IN_MEMORY:
        return _in_memory(options)
    return _folder(options)


def _settings(**more: object) -> Any:
    """Nothing is sent to the makers of Chroma."""
    from chromadb.config import Settings

    return Settings(anonymized_telemetry=False, **more)


def _cloud(options: Options) -> Client:
    from chromadb import CloudClient

    return CloudClient(
        api_key=options["api_key"],
        tenant=options["tenant"],
        database=_CLOUD_DATABASE,
        settings=_settings(),
    )


def _server(options: Options) -> Client:
    from chromadb import HttpClient

    key = options["api_key"]
    return HttpClient(
        host=options["host"],
        port=options["port"],
        ssl=options["ssl"],
        headers={"X-Chroma-Token": key} if key else None,
        settings=_settings(),
        **({"tenant": options["tenant"]} if options["tenant"] else {}),
    )


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
    from chromadb import PersistentClient

    path = options["path"]
    os.makedirs(path, exist_ok=True)
    held = _Held.of(path)
    try:
        client = PersistentClient(path, settings=_settings())
    except BaseException:
        held.release()
        raise

    def release() -> None:
        try:
            client.close()
        finally:
            held.release()

    return Connection(client, options, release)


class _Held:
    """A folder that this process has open. Another one would not see what is added to its index.

    The lock is one of SQLite's, on an empty file beside Chroma's: it ends with the process.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._process = os.getpid()
        self._users = 0
        self._database = apsw.Connection(os.path.join(path, _LOCK_FILE))
        self._database.execute("BEGIN EXCLUSIVE")

    @classmethod
    def of(cls, path: str) -> _Held:
        """The folder, locked for this process.

        Raises:
            VectorStoreError: another process has it open, or this one has been forked from it.
        """
        real = os.path.realpath(path)
        with _lock:
            held = _held.get(real)
            if held is not None and held._process != os.getpid():
                _refuse(path)  # The library would go on with what the parent has open.
            try:
                held = held or cls(real)
            except apsw.BusyError:
                _refuse(path)
            _held[real] = held
            held._users += 1
            return held

    def release(self) -> None:
        """Unlocks the folder, if nobody else in this process uses it."""
        with _lock:
            self._users -= 1
            if self._users == 0:
                del _held[self._path]
                self._database.close()


_held: dict[str, _Held] = {}
_lock = Lock()


def _refuse(path: str) -> NoReturn:
    raise VectorStoreError(
        f"vector_store chroma: another process has {path} open already",
        suggestion="Run `chroma run --path FOLDER`, and name it by host and port.",
    ) from None
