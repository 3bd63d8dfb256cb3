"""A proxy in front of a PostgreSQL server: it counts round trips, cuts connections, and is slow."""

from __future__ import annotations

import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any

_SOCKET = ".s.PGSQL.5432"
_BEGIN, _END = b"READ COMMITTED\0", b"COMMIT\0"
_SYNC, _FLUSH = b"SH"
_ASKS = frozenset((*b"Q", _SYNC, _FLUSH))
"""The messages that have to be answered."""

Cut = Callable[[bool, bytes], int | None]
"""Is told whether bytes come from the client, and the bytes. Returns after how many of them the
connection is cut; None lets them pass."""


class Proxy:
    """A socket that passes everything on to a server.

    Args:
        server: the folder of its socket.
        cut: decides about everything that passes.
        delay_s: how long everything takes that passes, in either direction.

    Attributes:
        folder: of the socket; the `host` of a dsn.
        turns: how often it was told to answer. The end of a transaction that only read does not
            count: nobody waits for it.
        holds: the next transaction that writes does not reach the server: when its client has sent
            `COMMIT`, the connection is lost to it, and `deliver` passes on what it has sent.
    """

    def __init__(self, server: Path, cut: Cut | None = None, delay_s: float = 0) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="isomem-wire-", dir="/tmp"))
        self.turns = 0
        self.cut = cut
        self.delay_s = delay_s
        self.holds = False
        self.held: list[tuple[socket.socket, bytes]] = []
        self._server = str(server / _SOCKET)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.folder / _SOCKET))
        self._listener.listen(64)
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def dsn(self, database: str) -> str:
        """Where a database is, by way of the proxy."""
        return f"host={self.folder} user=isomem dbname={database}"

    def deliver(self) -> None:
        """Passes on what was held, after all."""
        for target, data in self.held:
            target.sendall(data)

    def close(self) -> None:
        """Takes no more connections."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join()
        self._listener.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(self._server)
            except OSError:
                client.close()
                continue
            link = _Link(self, client, server)
            for is_client in (True, False):
                threading.Thread(target=link.pump, args=(is_client,), daemon=True).start()


class _Late:
    """Sends to a socket what it is given, in a thread of its own, each after the same time."""

    def __init__(self, target: socket.socket, delay_s: float) -> None:
        self._target = target
        self._delay_s = delay_s
        self._given: SimpleQueue[tuple[float, bytes]] = SimpleQueue()
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()

    def sendall(self, data: bytes) -> None:
        """Has it sent."""
        self._given.put((time.monotonic() + self._delay_s, data))

    def close(self) -> None:
        """Waits until everything is sent."""
        self.sendall(b"")
        self._thread.join()

    def _send(self) -> None:
        with suppress(OSError):
            while True:
                due, data = self._given.get()
                if not data:
                    return
                time.sleep(max(due - time.monotonic(), 0))
                self._target.sendall(data)


class _Link:
    """One connection."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client, self._server = client, server
        self._seen = self._held = b""
        self._is_started = False
        self._latest = 0
        self._is_over = False

    def pump(self, is_client: bool) -> None:
        source, target = self._client, self._server
        if not is_client:
            source, target = target, source
        late = _Late(target, self._proxy.delay_s) if self._proxy.delay_s else None
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if is_client:
                    self._count(data)
                    if self._holds(data):
                        continue
                after = self._proxy.cut(is_client, data) if self._proxy.cut else None
                (late or target).sendall(data[:after])
                if after is not None:
                    break
        if late is not None:
            late.close()
        if not (is_client and self._held):  # The server's end stays open then.
            self._hang_up()

    def _hang_up(self) -> None:
        ends = (self._client, self._server)
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        if self._is_over:  # The other direction is, too.
            for end in ends:
                end.close()
        self._is_over = True

    def _holds(self, data: bytes) -> bool:
        """Whether what the client sends is held. Behind `COMMIT`, it loses the connection."""
        proxy = self._proxy
        if not proxy.holds or not (self._held or _BEGIN in data):
            return False
        self._held += data
        if _END in self._held:
            proxy.holds = False
            proxy.held.append((self._server, self._held))
            self._is_over = True
            self._client.shutdown(socket.SHUT_RDWR)
        return True

    def _count(self, data: bytes) -> None:
        """Counts the messages of a client that the server has to answer."""
        self._seen += data
        while len(self._seen) > 4:
            head = 1 if self._is_started else 0  # The first message has no kind.
            size = head + int.from_bytes(self._seen[head : head + 4], "big")
            if len(self._seen) < size:
                return
            kind, body = self._seen[0], self._seen[5:size]
            self._seen = self._seen[size:]
            is_more = kind == _FLUSH and self._latest == _SYNC  # The two are sent together.
            if self._is_started and kind in _ASKS and body != _END and not is_more:
                self._proxy.turns += 1
            self._latest = kind
            self._is_started = True


def turns_of(proxy: Proxy, call: Callable[[], Any]) -> int:
    """How many round trips a call makes."""
    before = proxy.turns
    call()
    return proxy.turns - before
