"""Runs the service until a signal ends it: in this process, or in several on one socket.

A worker is a new process, which opens the memory itself, and ends when its parent is gone. One that
dies is replaced. After SIGTERM or SIGINT, nothing new is accepted; calls under way have `grace_s`
to finish, and one that is cut off is not acknowledged.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from contextlib import contextmanager
from functools import partial

from isomem.errors import InvalidConfigError
from isomem.serve.logs import log_config
from isomem.serve.service import Service
from isomem.serve.shared import hold, shared_folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, NoReturn

    import uvicorn
    from fastapi import FastAPI

    from isomem.serve.settings import Settings

    Config = dict[str, Any]
    App = FastAPI | Callable[[], FastAPI]

IN_MEMORY = ":memory:"
_WAITING = 2048
"""How many connections may wait to be accepted."""

_HUNG_S = 60
"""A worker that does not answer its parent for so long is replaced."""


class Started:
    """What a service is reached by.

    Attributes:
        url: where it listens.
        key: its first key, which cannot be shown again; None if there were keys before, or none is
            needed.
        keys: the file of keys.
        memories: the memory file, or the name of the store.
        workers: how many processes answer.
    """

    __slots__ = ("key", "keys", "memories", "url", "workers")

    def __init__(self, url: str, key: str | None, service: Service) -> None:
        store = service.memory.config.vector_store
        self.url = url
        self.key = key
        self.keys = service.keys.path
        self.memories = str(store.config.get("path") or store.provider)
        self.workers = service.settings.workers

    def shown(self) -> dict[str, object]:
        """The same as a dict."""
        return {name: getattr(self, name) for name in ("url", "key", "memories", "keys", "workers")}


def run(config: Config, started: Callable[[Started], None]) -> bool:
    """Serves until a signal ends it.

    Args:
        config: of the memory, with a section `serve`.
        started: called once the service can be reached.

    Returns:
        Whether it could start; also if a signal ended it before.

    Raises:
        InvalidConfigError: the configuration cannot work or would be open to everyone, or the
            address is taken.
        DependencyError: a package of the extra `serve` is missing.
        DatabaseError: a file cannot be opened.
    """
    _need_packages()
    with _ended_by_signals():
        return _run(config, started)
    return True


def _run(config: Config, started: Callable[[Started], None]) -> bool:
    service = Service(config)
    settings = service.settings
    if settings.workers > 1 and IN_MEMORY in (_path(service), service.keys.path):
        raise _in_one_process()
    listener = _listen(settings.host, settings.port)
    started(Started(_url(listener), service.first_key(), service))
    if settings.workers == 1:
        from isomem.serve.app import make_app

        return _serve(_server_config(make_app(service), settings), listener)
    asyncio.run(service.close())
    with shared_folder(service.keys.path) as folder:
        factory = partial(worker_app, config, folder)
        return _supervise(_server_config(factory, settings, factory=True), listener)


def worker_app(config: Config, folder: str) -> FastAPI:
    """The application of one worker; `folder` is what it shares with the others."""
    from isomem.serve.app import make_app

    _end_with_parent()
    hold(folder)
    return make_app(Service(config, folder=folder), folder)


# --- One process -----------------------------------------------------------------------------


def _server_config(app: App, settings: Settings, *, factory: bool = False) -> uvicorn.Config:
    import uvicorn

    return uvicorn.Config(
        app,
        factory=factory,
        workers=settings.workers,
        lifespan="on",
        ws="none",
        log_config=log_config(settings),
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_WAITING,
        timeout_graceful_shutdown=settings.grace_s,
        timeout_worker_healthcheck=_HUNG_S,
    )


def _serve(config: uvicorn.Config, listener: socket.socket) -> bool:
    import uvicorn
    from uvicorn.config import STARTUP_FAILURE

    server = uvicorn.Server(config)
    with _ended_by_signals():  # uvicorn raises the signal once more after it has shut down.
        try:
            server.run([listener])
        except SystemExit as stopped:
            if stopped.code == STARTUP_FAILURE:
                return False
            raise
    return server.started


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """A block that SIGTERM and SIGINT end, as if it were done."""
    before = {each: signal.signal(each, _stop) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    except SystemExit as stopped:
        if stopped.code:
            raise
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _stop(*_: object) -> NoReturn:
    raise SystemExit(0)


def _listen(host: str, port: int) -> socket.socket:
    """A socket at an address; connections wait there until they are accepted.

    Raises:
        InvalidConfigError: SERVE_001, the address is taken, or is not one of this machine.
    """
    bare = host.strip("[]")
    family = socket.AF_INET6 if ":" in bare else socket.AF_INET
    try:
        return socket.create_server((bare, port), family=family, backlog=_WAITING)
    except OSError as error:
        raise InvalidConfigError(
            f"The service cannot listen at {host}:{port}: {error.strerror or error}",
            error_code="SERVE_001",
            suggestion="Choose another --port; 0 takes a free one.",
        ) from error


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    shown = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(host, host)
    return f"http://{f'[{shown}]' if ':' in shown else shown}:{port}"


# --- Several ---------------------------------------------------------------------------------


def _supervise(config: uvicorn.Config, listener: socket.socket) -> bool:
    from uvicorn.config import STARTUP_FAILURE
    from uvicorn.supervisors import Multiprocess

    class Supervisor(Multiprocess):
        def keep_subprocess_alive(self) -> None:
            # While the parent has this end of the pipe open too, it is not told when a worker dies
            # that it is waiting for, and waits as long as for one that hangs.
            for process in self.processes:
                process.child_conn.close()
            super().keep_subprocess_alive()

    listener.set_inheritable(True)
    supervisor = Supervisor(config, [listener])
    supervisor.run()
    listener.close()
    return all(process.exitcode != STARTUP_FAILURE for process in supervisor.processes)


def _end_with_parent() -> None:
    """Lets this worker end as after a signal when its parent is gone, however it went."""
    from multiprocessing import connection, parent_process

    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        connection.wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="isomem-parent", daemon=True).start()


# --- What cannot be --------------------------------------------------------------------------


def _need_packages() -> None:
    from isomem.providers.extras import require

    for package in ("fastapi", "uvicorn"):
        require(package, "serve", "`isomem serve`")


def _path(service: Service) -> object:
    return service.memory.config.vector_store.config.get("path")


def _in_one_process() -> InvalidConfigError:
    return InvalidConfigError(
        "A memory or keys in one process alone cannot be served by several workers",
        error_code="CONFIG_005",
        suggestion="Name a file, or leave out --workers.",
    )
