"""Calls of qdrant-client: opening it, turns of threads in local mode, errors."""

from __future__ import annotations

import ctypes  # noqa: F401 - for `leak`: in a forked child, an import may wait for a dead thread.
from functools import partial
from itertools import count
from threading import RLock, current_thread, local, main_thread
from weakref import WeakKeyDictionary

from isomem.errors import VectorStoreError, VectorValueError
from isomem.providers.settings import passwords
from isomem.store.connection import leak
from isomem.store.forks import watch
from isomem.stores.engine_calls import (
    LONGEST_WAIT_S,
    EngineConnection,
    cannot_open,
    wrong_option,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeVar

    from isomem.errors import InvalidConfigError
    from isomem.stores.engine_calls import Client, Options

    T = TypeVar("T")

_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
_TRANSIENT_GRPC = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED"})
_REFUSED = frozenset({400, 422})
_UNKNOWN_LOCATION = "Either 'host' and 'port' or 'url' and 'api_key' or 'path' must be provided."

_READING = frozenset(
    {
        "collection_exists", "get_collection", "get_collections",
        "query_batch_points", "query_points", "retrieve", "scroll",
    }
)  # fmt: skip
"""The methods that change nothing. Local mode may run them at the same time."""

_LANES = 8


class Turns:
    """Lets calls that only read run at the same time, and every other call alone.

    A thread that reads takes one of a few locks, always the same; who changes something takes all
    of them, in their order. They are locks of C, so that no interrupt leaves one taken.

    The first lock is the main thread's alone. A signal handler there may write in the middle of a
    read, and would wait forever for another writer that had an earlier lock.
    """

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Begins anew, with nobody inside."""
        self._locks = [RLock() for _ in range(_LANES)]
        self._threads = count()
        self._own = local()

    def read(self, work: Callable[[], T]) -> T:
        """Runs work beside that of other readers."""
        with self._locks[self._lane()]:
            return work()

    def _lane(self) -> int:
        lane: int | None = getattr(self._own, "lane", None)
        if lane is None:
            is_main = current_thread() is main_thread()
            lane = 0 if is_main else 1 + next(self._threads) % (_LANES - 1)
            self._own.lane = lane
        return lane

    def write(self, work: Callable[[], T], lane: int = 0) -> T:
        """Runs work alone.

        Args:
            work: what to run.
            lane: from which lock on they have to be taken.
        """
        if lane == _LANES:
            return work()
        with self._locks[lane]:
            return self.write(work, lane + 1)


_turns: WeakKeyDictionary[Client, Turns] = WeakKeyDictionary()
"""Of each client in local mode: several stores may share one."""


class Connection(EngineConnection):
    """A `qdrant_client.QdrantClient`, and how it is called.

    After a fork, the child makes a client of its own: it would read answers that are for its parent
    otherwise. A folder belongs to the parent alone.

    Args:
        client, max_retries, secrets: as of `EngineConnection`.
        is_ours: whether closing the connection closes the client.

    Attributes:
        is_local: whether it is local mode: a folder, or the memory of this process. It has nothing
            to wait for, so that nothing is tried again.
    """

    engine = "qdrant"
    kept = (KeyError,)
    """Local mode: a point does not exist."""

    def __init__(
        self,
        client: Client,
        max_retries: int,
        secrets: Sequence[str],
        *,
        is_ours: bool,
    ) -> None:
        from qdrant_client.local.qdrant_local import QdrantLocal

        self.is_local = isinstance(getattr(client, "_client", None), QdrantLocal)
        super().__init__(client, 0 if self.is_local else max_retries, secrets, self._close)
        self._turns = _turns.setdefault(client, Turns()) if self.is_local else None
        self._is_ours = is_ours
        self._is_inherited = False
        self._renewing = RLock()
        watch(self)

    def call(self, method: str, /, **arguments: Any) -> Any:
        """What a method of the client returns.

        Raises:
            KeyError: local mode: a point does not exist.
            VectorValueError: Qdrant refuses a value.
            VectorStoreError: it fails, or cannot be reached.
        """
        self._check_not_forked()
        return self.tried(lambda: self._once(method, arguments))

    def _once(self, method: str, arguments: Options) -> Any:
        called = partial(getattr(self.current(), method), **arguments)
        if self._turns is None:
            return called()
        return self._turns.read(called) if method in _READING else self._turns.write(called)

    def alone(self, work: Callable[[], T]) -> T:
        """Runs calls with no other between them, as far as that is possible: in local mode."""
        return work() if self._turns is None else self._turns.write(work)

    def _close(self) -> None:
        if self._is_ours and not self._is_inherited:
            self._once("close", {})

    # --- Forks ---

    def hold(self, timeout_s: float, longest_s: float) -> None:
        """Nothing: a child needs nothing that another thread may be at; see `store.forks`."""

    def after_fork(self, *, quiet: bool) -> None:
        """In the child: what it has in common with its parent is never used or closed here."""
        del quiet
        if self._turns is not None:
            self._turns.begin()
        if not self.is_local or self._is_folder():
            leak(self.client)
            self._is_inherited = True
            self._renewing = RLock()

    def _is_folder(self) -> bool:
        return self.is_local and bool(getattr(self.client._client, "persistent", True))

    def current(self) -> Client:
        """The client of this process.

        Raises:
            VectorStoreError: it is the parent's, which has a folder open.
        """
        self._check_not_forked()
        if self._is_inherited:
            with self._renewing:
                if self._is_inherited:  # Another thread may have been faster.
                    self.client = type(self.client)(**self.client.init_options)
                    self._is_ours, self._is_inherited = True, False
        return self.client

    def _check_not_forked(self) -> None:
        """Raises VectorStoreError if it is a folder that the parent has open."""
        if self._is_inherited and self._is_folder():
            raise VectorStoreError(
                "vector_store qdrant: it was opened before this process was forked",
                suggestion="A folder is for one process. Use a server, or open the memory in the "
                "process that uses it.",
            )

    def is_transient(self, error: Exception) -> bool:
        if type(error).__name__ in {"ResponseHandlingException", "ResourceExhaustedResponse"}:
            return True
        code = getattr(error, "code", None)
        if callable(code):
            return getattr(code(), "name", "") in _TRANSIENT_GRPC
        return getattr(error, "status_code", None) in _TRANSIENT

    def wait_s(self, error: Exception, retries: int) -> float:
        asked_s: float = getattr(error, "retry_after_s", super().wait_s(error, retries))
        return min(asked_s, LONGEST_WAIT_S)

    def kind_of(self, error: Exception) -> type[VectorStoreError]:
        is_refused = isinstance(error, ValueError) or getattr(error, "status_code", 0) in _REFUSED
        return VectorValueError if is_refused else VectorStoreError


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
        return Connection(options["client"], options["max_retries"], secrets, is_ours=False)
    from qdrant_client import QdrantClient

    try:
        client = QdrantClient(**(_server_of(options) or {"path": options["path"]}))
    except Exception as error:  # noqa: BLE001 - a file system and a transport can raise anything
        failure = cannot_open("qdrant", error, secrets)
    else:
        return Connection(client, options["max_retries"], secrets, is_ours=True)
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
    return wrong_option("qdrant", fault)


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
