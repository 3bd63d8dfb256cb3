"""A server of Chroma of our own, in a temporary folder: the one that `chromadb` brings."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from tests.stores.processes import ServerProcess, started

_VARIABLE = "CHROMA_OF_TESTS"
_RUN = "import sys; from chromadb.cli.cli import app; app()"


class ChromaServer(ServerProcess):
    """One server on loopback, on a free port.

    Args:
        port: of a server that another process has started; None starts one.

    Attributes:
        address: `host` and `port`, as options.
        folder: of its data, if it was started here.
    """

    def __init__(self, port: int | None = None) -> None:
        self.address: dict[str, Any] = {"host": "127.0.0.1", "port": port or _free_port()}
        if port is None:
            super().__init__(Path(tempfile.mkdtemp(prefix="isomem-chroma-")))
            self.start()

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        place = ["--host", "127.0.0.1", "--port", str(self.address["port"])]
        command = [sys.executable, "-c", _RUN, "run", "--path", str(self.folder / "data"), *place]
        self._process = started(command, self.folder, self._answers)

    def _answers(self) -> bool:
        import httpx

        try:
            url = f"http://127.0.0.1:{self.address['port']}/api/v2/heartbeat"
            return httpx.get(url, trust_env=False, timeout=5).status_code == 200
        except httpx.TransportError:
            return False


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@cache
def shared() -> ChromaServer:
    """The server of this test run; its child processes find the same one."""
    if _VARIABLE in os.environ:
        return ChromaServer(int(os.environ[_VARIABLE]))
    server = ChromaServer()
    server.stop_at_exit()
    os.environ[_VARIABLE] = str(server.address["port"])
    return server
