"""How much a service answers, beside mem0's self-hosted server: requests per second, p99, memory.

`python -m bench.serve FOLDER` takes the folder `server` of mem0's repository at v2.0.4; see
`scripts.server_parity`, which runs it. Both get the same embedder inside of their processes, so
that no network and no other process counts. mem0's memories are in PostgreSQL with pgvector, as its
server has them, with its own tables made; isomem's are in a file. Keys are off on both sides.

The client is in this process and shares the processors with the server.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from scripts.server_parity import ROOT, Server, process, upstream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CONNECTIONS = (1, 16, 64, 256)
DIMS = 1536
USERS = 10
WORDS = (
    "tea coffee bread river garden piano bicycle winter summer market letter window mountain"
    " teacher sister doctor kitchen library station engine paper silver orange violet north south"
).split()

# What runs mem0's server: its own application, with another embedder and the tables it expects.
LAUNCHER = f"""
from isomem.testing import HashEmbedder
from mem0.embeddings.openai import OpenAIEmbedding

embedder = HashEmbedder({DIMS})
OpenAIEmbedding.embed = lambda self, text, action=None: embedder.embed(text)
OpenAIEmbedding.embed_batch = lambda self, texts, action=None: embedder.embed_batch(texts)

import models
from db import Base, engine
from main import app

Base.metadata.create_all(engine)
"""


class Figures(NamedTuple):
    """What one measurement came to; times are in milliseconds, memory in megabytes."""

    per_second: float
    median_ms: float
    p99_ms: float
    errors: int
    memory_mb: float


def main(arguments: list[str] | None = None) -> int:
    """Prints a table; 0 if nothing failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="`server` of mem0's repository at v2.0.4")
    parser.add_argument("--seconds", type=float, default=10, help="of each measurement")
    parser.add_argument("--memories", type=int, default=2000, help="how many there are")
    given = parser.parse_args(arguments)
    failed = 0
    print("| server | what | connections | per second | median ms | p99 ms | errors | MB |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, started in (("isomem", ours), ("mem0", theirs)):
        with (
            tempfile.TemporaryDirectory() as scratch,
            started(given.folder, Path(scratch)) as server,
        ):
            failed += measure(name, server, given.memories, given.seconds)
    return 1 if failed else 0


def measure(name: str, server: Server, memories: int, seconds: float) -> int:
    """Prints the figures of one server; how many requests failed."""
    fill(server, memories)
    failed = 0
    for what, request in (("search", search_of), ("raw add", add_of)):
        for connections in CONNECTIONS:
            found = asyncio.run(load(server, request, connections, seconds))
            failed += found.errors
            shown = [f"{value:,.0f}" for value in (found.per_second,)]
            shown += [f"{value:,.1f}" for value in (found.median_ms, found.p99_ms)]
            shown += [str(found.errors), f"{found.memory_mb:,.0f}"]
            print(f"| {name} | {what} | {connections} | {' | '.join(shown)} |", flush=True)
    return failed


# --- The servers -----------------------------------------------------------------------------


@contextmanager
def ours(_: Path, place: Path) -> Iterator[Server]:
    """Our server."""
    config = {
        "vector_store": {"provider": "embedded", "config": {"path": str(place / "memory.db")}},
        "embedder": {"provider": "mock", "config": {"embedding_dims": DIMS}},
        "serve": {"auth": False, "rate_per_minute": 100_000_000},
    }
    environment = {"SERVER_PARITY": json.dumps(config), "PYTHONPATH": f"{ROOT}/src:{ROOT}"}
    with process("scripts.server_parity:our_app", ROOT, environment, "--factory") as server:
        yield server


@contextmanager
def theirs(folder: Path, place: Path) -> Iterator[Server]:
    """mem0's server."""
    launcher = place / "launcher"
    launcher.mkdir()
    (launcher / "launched.py").write_text(LAUNCHER, "utf-8")
    app = ("launched:app", f"{launcher}:{folder.resolve()}:{ROOT}/src")
    with upstream(folder, place, "http://127.0.0.1:9/v1", *app) as server:
        yield server


# --- What is sent ----------------------------------------------------------------------------


def sentence(number: int) -> str:
    """A sentence of words, different for each number below some millions."""
    return " ".join(WORDS[(number // len(WORDS) ** k + 7 * k) % len(WORDS)] for k in range(6))


def search_of(number: int) -> bytes:
    """A request for a search."""
    body = {"query": sentence(number), "filters": {"user_id": f"user{number % USERS}"}}
    return post("/search", body)


def add_of(number: int) -> bytes:
    """A request for a raw add."""
    message = {"role": "user", "content": f"{sentence(number)} {number}"}
    return post("/memories", {"messages": [message], "user_id": "added", "infer": False})


def post(path: str, body: object) -> bytes:
    """A request in the words of HTTP."""
    data = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data


def fill(server: Server, memories: int) -> None:
    """Stores memories of some users."""
    requests = []
    for number in range(memories):
        message = {"role": "user", "content": sentence(number)}
        body = {"messages": [message], "user_id": f"user{number % USERS}", "infer": False}
        requests.append(post("/memories", body))
    asyncio.run(load(server, lambda number: requests[number], 16, None, len(requests)))


# --- The client ------------------------------------------------------------------------------


class Connection(asyncio.Protocol):
    """One connection: a request, its answer, the next request.

    Args:
        next_request: the next one, or None at the end.
        answered: told the status and how many seconds it took.
    """

    def __init__(
        self, next_request: Callable[[], bytes | None], answered: Callable[[int, float], None]
    ) -> None:
        self._next = next_request
        self._answered = answered
        self._data = b""
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Sends the first request."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def _send(self) -> None:
        request = self._next()
        if request is None:
            self._transport.close()
            return
        self._sent = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Reads an answer."""
        self._data += data
        head, found, body = self._data.partition(b"\r\n\r\n")
        if not found or len(body) < length_of(head):
            return
        self._data = b""
        self._answered(int(head[9:12]), time.perf_counter() - self._sent)
        self._send()

    def connection_lost(self, error: Exception | None) -> None:
        """Ends, with an error if an answer is missing."""
        if error is not None:
            self._answered(0, 0)
        if not self.done.done():
            self.done.set_result(None)


def length_of(head: bytes) -> int:
    """The length of the body that follows."""
    _, _, rest = head.lower().partition(b"content-length: ")
    return int(rest.partition(b"\r\n")[0])


async def load(
    server: Server,
    request: Callable[[int], bytes],
    connections: int,
    seconds: float | None,
    most: int | None = None,
) -> Figures:
    """Sends requests over some connections, for some seconds or until there are so many."""
    started, sent = time.perf_counter(), 0
    times: list[float] = []
    statuses: list[int] = []

    def next_request() -> bytes | None:
        nonlocal sent
        over = seconds is not None and time.perf_counter() - started > seconds
        if over or sent == most:
            return None
        sent += 1
        return request(sent - 1)

    def answered(status: int, took_s: float) -> None:
        statuses.append(status)
        times.append(took_s)

    host, _, port = server.url.removeprefix("http://").partition(":")
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(lambda: Connection(next_request, answered), host, int(port))
        for _ in range(connections)
    ]
    await asyncio.gather(*(protocol.done for _, protocol in made))
    took_s = time.perf_counter() - started
    times.sort()
    return Figures(
        len(times) / took_s,
        times[len(times) // 2] * 1000,
        times[min(len(times) - 1, int(len(times) * 0.99))] * 1000,
        sum(status != 200 for status in statuses),
        memory_mb(server.pid),
    )


def memory_mb(pid: int) -> float:
    """The resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 / 1e6


if __name__ == "__main__":
    sys.exit(main())
