"""A client that loads a server with requests, and the requests of `bench.serve`.

It speaks HTTP on its sockets itself, on uvloop where that is installed, so that it takes as little
of the processors as it can: it shares them with the server.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from typing import TypeVar

    from scripts.server_parity import Server

    T = TypeVar("T")
    Requests = Callable[[int], bytes]
    """The request with a number."""

OK = 200
USERS = 10
WORDS = (
    "tea coffee bread river garden piano bicycle winter summer market letter window mountain"
    " teacher sister doctor kitchen library station engine paper silver orange violet north south"
).split()

ROUND = 100
"""How many requests of a mixed load make a round: ten adds to a user of its own, the removal of
those that an earlier round has added, and searches. So the memories stay as many."""

_ADDS = 10
_CHURNED = 50


class Figures(NamedTuple):
    """What one measurement came to; times are in milliseconds, memory in megabytes.

    Attributes:
        client: the share of one processor that the client took.
    """

    per_second: float
    median_ms: float
    p99_ms: float
    errors: int
    memory_mb: float
    client: float


# --- What is sent ----------------------------------------------------------------------------


def sentence(number: int) -> str:
    """A sentence of words, different for each number below some millions."""
    return " ".join(WORDS[(number // len(WORDS) ** k + 7 * k) % len(WORDS)] for k in range(6))


def search_of(number: int) -> bytes:
    """A request for a search."""
    body = {"query": sentence(number), "filters": {"user_id": f"user{number % USERS}"}}
    return asked("POST", "/search", body)


def add_of(number: int, user: str = "added") -> bytes:
    """A request for a raw add."""
    message = {"role": "user", "content": f"{sentence(number)} {number}"}
    return asked("POST", "/memories", {"messages": [message], "user_id": user, "infer": False})


def mixed_of(number: int) -> bytes:
    """A request of a load that goes on: mostly searches; see `ROUND`."""
    turn, at = divmod(number, ROUND)
    if at < _ADDS:
        return add_of(number, f"churned{turn % _CHURNED}")
    if at == _ADDS:
        return asked("DELETE", f"/memories?user_id=churned{(turn + _CHURNED // 2) % _CHURNED}")
    return search_of(number)


def memory_of(number: int) -> bytes:
    """A request that stores one of the memories that are searched."""
    message = {"role": "user", "content": sentence(number)}
    body = {"messages": [message], "user_id": f"user{number % USERS}", "infer": False}
    return asked("POST", "/memories", body)


def asked(method: str, path: str, body: object = None) -> bytes:
    """A request in the words of HTTP."""
    data = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    if data:
        head += f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n"
    return f"{head}\r\n".encode() + data


# --- The client ------------------------------------------------------------------------------


class Connection(asyncio.Protocol):
    """One connection: a request, its answer, the next request.

    Args:
        next_request: the next one, or None at the end.
        answered: told the status and how many seconds it took; 0 if the connection broke.
    """

    def __init__(
        self, next_request: Callable[[], bytes | None], answered: Callable[[int, float], None]
    ) -> None:
        self._next = next_request
        self._answered = answered
        self._data = b""
        self._is_waiting = False
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Sends the first request."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's has another base class.
        self._send()

    def _send(self) -> None:
        request = self._next()
        self._is_waiting = request is not None
        if request is None:
            self._transport.close()
            return
        self._sent = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Reads an answer."""
        self._data = data = self._data + data if self._data else data
        end = data.find(b"\r\n\r\n")
        if end < 0 or len(data) - end - 4 < length_of(data[:end]):
            return
        self._data = b""
        self._answered(int(data[9:12]), time.perf_counter() - self._sent)
        self._send()

    def connection_lost(self, error: Exception | None) -> None:
        """Ends, with an error if an answer is missing."""
        del error
        if self._is_waiting:
            self._answered(0, time.perf_counter() - self._sent)
        if not self.done.done():
            self.done.set_result(None)


def length_of(head: bytes) -> int:
    """The length of the body that follows."""
    _, _, rest = head.lower().partition(b"content-length: ")
    return int(rest.partition(b"\r\n")[0])


class Load:
    """Sends requests over some connections.

    Args:
        server: where to.
        request: makes a request by its number.
        connections: how many are open at once.
        seconds: how long; None means until there are so many.
        most: how many; None means as many as there is time for.

    Attributes:
        times: how many seconds each took.
        statuses: how often there was which; 0 is a connection that broke.
    """

    def __init__(
        self,
        server: Server,
        request: Requests,
        connections: int,
        seconds: float | None = None,
        most: int | None = None,
    ) -> None:
        self._server = server
        self._request = request
        self._connections = connections
        self._seconds = seconds
        self._most = most
        self._sent = 0
        self._ends_at = 0.0
        self.times: list[float] = []
        self.statuses: Counter[int] = Counter()

    async def run(self) -> Figures:
        """Sends them, and waits for the answers."""
        started, cpu_s = time.perf_counter(), time.process_time()
        self._ends_at = started + (self._seconds or float("inf"))
        host, _, port = self._server.url.removeprefix("http://").partition(":")
        loop = asyncio.get_running_loop()
        made = [
            await loop.create_connection(
                lambda: Connection(self._next_request, self._answered), host, int(port)
            )
            for _ in range(self._connections)
        ]
        await asyncio.gather(*(protocol.done for _, protocol in made))
        took_s = time.perf_counter() - started
        return self._figures(took_s, (time.process_time() - cpu_s) / took_s)

    def _next_request(self) -> bytes | None:
        if self._sent == self._most or time.perf_counter() > self._ends_at:
            return None
        self._sent += 1
        return self._request(self._sent - 1)

    def _answered(self, status: int, took_s: float) -> None:
        self.statuses[status] += 1
        self.times.append(took_s)

    def _figures(self, took_s: float, client: float) -> Figures:
        self.times.sort()
        return Figures(
            len(self.times) / took_s,
            percentile(self.times, 0.5) * 1000,
            percentile(self.times, 0.99) * 1000,
            self.statuses.total() - self.statuses[OK],
            memory_mb(self._server.pid),
            client,
        )


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value that so large a share of them does not exceed."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def run(work: Coroutine[object, object, T]) -> T:
    """What a coroutine returns, on the fastest event loop there is."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    return uvloop.run(work)


# --- Memory ----------------------------------------------------------------------------------


def memory_mb(pid: int) -> float:
    """The resident memory of a process and of those that it has started."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 / 1e6 + sum(map(memory_mb, children_of(pid)))


def children_of(pid: int) -> list[int]:
    """The processes that a process has started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            after_name = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # It has ended.
        if int(after_name[1]) == pid:
            found.append(int(stat.parent.name))
    return found
