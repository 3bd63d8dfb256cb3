"""A server of Chroma of our own, in a temporary folder: the one that `chromadb` brings."""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any

_VARIABLE = "CHROMA_OF_TESTS"
_RUN = "import sys; from chromadb.cli.cli import app; app()"


class ChromaServer:
    """One server on loopback, on a free port.

    Args:
        port: of a server that another process has started; None starts one.

    Attributes:
        address: `host` and `port`, as options.
        folder: of its data, if it was started here.
    """

    def __init__(self, port: int | None = None) -> None:
        self.address: dict[str, Any] = {"host": "127.0.0.1", "port": port or _free_port()}
        self._process: subprocess.Popen[bytes] | None = None
        if port is None:
            self.folder = Path(tempfile.mkdtemp(prefix="isomem-chroma-"))
            self.start()

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        place = ["--host", "127.0.0.1", "--port", str(self.address["port"])]
        command = [sys.executable, "-c", _RUN, "run", "--path", str(self.folder / "data"), *place]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder)
        try:
            self._wait(self._process)
        except BaseException:
            self.kill()
            raise

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + 120
        while not self._answers():
            if time.monotonic() > deadline or process.poll() is not None:
                raise RuntimeError((self.folder / "log").read_text()[-2000:])
            time.sleep(0.05)

    def _answers(self) -> bool:
        import httpx

        try:
            url = f"http://127.0.0.1:{self.address['port']}/api/v2/heartbeat"
            return httpx.get(url, trust_env=False, timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        """Kills it: nothing of it is left but its files."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Kills it, and removes its files."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


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
    owner = os.getpid()
    atexit.register(lambda: server.stop() if os.getpid() == owner else None)
    os.environ[_VARIABLE] = str(server.address["port"])
    return server
