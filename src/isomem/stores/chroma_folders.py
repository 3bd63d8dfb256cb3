"""Folders of Chroma: which process has one open, and what chromadb knows it by."""

from __future__ import annotations

import os
from threading import RLock

import apsw

from isomem.errors import VectorStoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from isomem.stores.engine_calls import Client

_LOCK_FILE = "isomem.lock"


class Folder:
    """A folder that this process has open. Another one would not see what is added to its index.

    The lock is one of SQLite's, on an empty file beside Chroma's: it ends with the process.

    chromadb shares one index between all clients of a folder, and finds it by the path as it was
    written. So every client here is made with the path of the first one, however it is written
    itself, and that path is never given to another folder.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._process = os.getpid()
        self._users = 0
        self._name: str | None = None
        self._database = apsw.Connection(os.path.join(path, _LOCK_FILE))
        self._database.execute("BEGIN EXCLUSIVE")

    @classmethod
    def held(cls, path: str) -> Folder:
        """The folder, locked for this process.

        Raises:
            VectorStoreError: another process has it open, or this one has been forked from it.
        """
        real = os.path.realpath(path)
        with _lock:
            folder = _folders.get(real)
            if folder is not None and folder._process != os.getpid():
                _refuse(path)  # The library would go on with what the parent has open.
            try:
                folder = folder or cls(real)
            except apsw.BusyError:
                _refuse(path)
            _folders[real] = folder
            folder._users += 1
            return folder

    def release(self) -> None:
        """Unlocks the folder, if nobody else in this process uses it."""
        with _lock:
            self._users -= 1
            if self._users == 0:
                del _folders[self._path]
                self._database.close()

    def client(self, path: str, settings: Callable[..., Any]) -> Client:
        """A client of chromadb for it.

        Args:
            path: the folder as the caller has written it.
            settings: makes settings of chromadb.
        """
        from chromadb import PersistentClient

        with _lock:
            self._name = self._name or self._free_name(path)
            if self._name not in _systems():
                self._start(self._name, settings)
            return PersistentClient(self._name, settings=settings())

    def close(self, client: Client) -> None:
        """Closes a client and lets go of the folder."""
        try:
            with _lock:  # Nobody takes what it is about to stop.
                client.close()
        finally:
            self.release()

    def _free_name(self, path: str) -> str:
        """The path by which mem0 has it open, or else one by which nothing is open."""
        ours = {each._name for each in _folders.values()}
        systems = _systems()
        for name, system in [*systems.items()]:
            is_of_mem0 = name not in ours and system.settings.is_persistent
            if is_of_mem0 and os.path.realpath(name) == self._path:
                return name
        while path in systems:  # For another folder, which had that path in another directory.
            path += "/"
        return path

    def _start(self, name: str, settings: Callable[..., Any]) -> None:
        """Opens the folder for all clients to come, which find it by a name.

        Chroma opens files later, too, when the working directory may be another one. So it gets the
        real path.
        """
        from chromadb.api import ServerAPI
        from chromadb.config import System

        system = System(settings(is_persistent=True, persist_directory=self._path))
        system.instance(ServerAPI)
        system.start()
        system.settings.persist_directory = name  # chromadb compares it with that of each client.
        _systems()[name] = system


_folders: dict[str, Folder] = {}
# A signal handler or a finalizer may close one folder while its thread opens another.
_lock = RLock()


def _unlock() -> None:
    """In a child, where no thread is left that could do it."""
    global _lock
    _lock = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock)


def _systems() -> dict[str, Any]:
    """What chromadb has open, by the path as it was written."""
    from chromadb.api.shared_system_client import SharedSystemClient

    systems: dict[str, Any] = SharedSystemClient._identifier_to_system
    return systems


def _refuse(path: str) -> NoReturn:
    raise VectorStoreError(
        f"vector_store chroma: another process has {path} open already",
        suggestion="Run `chroma run --path FOLDER`, and name it by host and port.",
    ) from None
