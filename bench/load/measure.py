"""The constants of the model, measured on this machine, and what eight threads really do."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any, NamedTuple

from bench.load.model import Costs, Outcome, Setup
from bench.workers import kit
from isomem import Memory
from tests.stores.server import Server

DIMS = 384
MEMORIES = 20_000
TICK_S = 1 / os.sysconf("SC_CLK_TCK")

Call = Callable[[int], object]


class Constants(NamedTuple):
    """What belongs to the machine, in milliseconds."""

    rtt_ms: float
    flush_ms: float


def calls_of(memory: Memory) -> dict[str, Call]:
    """The calls that are measured, in random scopes of 100."""
    places = [f"small{at}" for at in kit.scattered(4000, MEMORIES // kit.SMALL)]
    return {
        "search": lambda at: memory.search(
            kit.question(at), filters={"user_id": places[at % len(places)]}
        ),
        "raw add": lambda at: memory.add(
            kit.note(-1 - at), user_id=places[at % len(places)], infer=False
        ),
    }


@contextmanager
def filled_server() -> Iterator[Server]:
    """A PostgreSQL server that flushes its disk, with memories in it."""
    server = Server(fsync="on", shared_buffers="512MB", max_wal_size="2GB")
    try:
        server.make("bench")
        with opened(server) as memory:
            for user, numbers in kit.layout(MEMORIES):
                memory.add(kit.said(numbers), user_id=user, infer=False)
        server.do("VACUUM ANALYZE", "bench")
        yield server
    finally:
        server.stop()


@contextmanager
def opened(server: Server) -> Iterator[Memory]:
    """A memory over the server, with an embedder that costs next to nothing."""
    with Memory.from_config({
        "vector_store": {"provider": "postgres", "config": {"dsn": server.dsn("bench")}},
        "embedder": {"provider": "mock", "config": {"embedding_dims": DIMS}},
        "llm": {"provider": "mock"},
    }) as memory:  # fmt: skip
        memory.embedding_model = kit.Paired(DIMS)
        yield memory


# --- Constants -------------------------------------------------------------------------------


def constants(server: Server) -> Constants:
    """The wait of a round trip without any work, and of a flush."""
    import psycopg

    with psycopg.connect(server.dsn("bench"), autocommit=True) as connection:
        spent, cpu = _server_s(server), time.process_time()
        begun, count = time.perf_counter(), 2000
        for _ in range(count):
            connection.execute("SELECT 1")
        waited = time.perf_counter() - begun
        worked = time.process_time() - cpu + _server_s(server) - spent
    return Constants(max(waited - worked, 0.0) / count * 1000, _flush_ms(server.folder))


def _flush_ms(folder: Path) -> float:
    """The median time to flush a write of 8 KB, a page of PostgreSQL's log."""
    times = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(100):
            file.write(b"x" * 8192)
            file.flush()
            begun = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - begun)
    return median(times) * 1000


def _server_s(server: Server) -> float:
    """Processor seconds of the server and all its processes, those that have ended included."""
    process = server._process
    assert process is not None
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    own = _ticks(process.pid)
    return (sum(own) + sum(sum(_ticks(int(pid))[:2]) for pid in children)) * TICK_S


def _ticks(pid: int) -> list[int]:
    """utime, stime, cutime, cstime; nothing of a process that has ended meanwhile."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return [0, 0]
    return [int(word) for word in stat.rpartition(")")[2].split()[11:15]]


def costs(server: Server, memory: Memory, name: str, constants: Constants, count: int) -> Costs:
    """What one call takes, alone: means of `count` calls."""
    call = calls_of(memory)[name]
    for at in range(20):
        call(at)
    trips = round_trips(lambda: call(20))
    spent, cpu = _server_s(server), time.process_time()
    times = []
    for at in range(21, 21 + count):
        begun = time.perf_counter()
        call(at)
        times.append(time.perf_counter() - begun)
    client = time.process_time() - cpu
    return Costs(
        client_ms=client / count * 1000,
        server_ms=(_server_s(server) - spent) / count * 1000,
        trips=trips,
        flush_ms=constants.flush_ms if name != "search" else 0.0,
        spread=stdev(times) / mean(times),
    )


def round_trips(call: Callable[[], object]) -> int:
    """How often the server says that it is ready: once after each question that it was sent."""
    from isomem.stores.postgres.connections import Connections

    take = Connections.take
    with tempfile.TemporaryFile("w+") as trace:
        traced: list[Any] = []

        def traced_take(connections: Connections) -> Any:
            connection = take(connections)
            connection.pgconn.trace(trace.fileno())
            traced.append(connection)
            return connection

        Connections.take = traced_take  # type: ignore[method-assign]
        try:
            call()
        finally:
            Connections.take = take  # type: ignore[method-assign]
            for connection in traced:
                connection.pgconn.untrace()
        trace.seek(0)
        return trace.read().count("ReadyForQuery")


# --- The run that the model is held against -----------------------------------------------------


def speed() -> float:
    """The share of the machine's cores that this program gets now; 1 is all of them."""
    cores = len(os.sched_getaffinity(0))
    with multiprocessing.Pool(cores) as pool:
        shares = pool.map(_share, [0.4] * cores, chunksize=1)
    return sum(shares) / cores


def _share(seconds: float) -> float:
    """The share of a core that a loop gets."""
    begun, cpu = time.perf_counter(), time.process_time()
    while time.perf_counter() - begun < seconds:
        sum(range(1000))
    return (time.process_time() - cpu) / (time.perf_counter() - begun)


def threads(memory: Memory, name: str, setup: Setup, seconds: float) -> Outcome:
    """What the threads of one process do."""
    call, numbers = calls_of(memory)[name], iter(range(10**9))
    lock, times = threading.Lock(), []
    begun = time.perf_counter()

    def work() -> None:
        while time.perf_counter() - begun < seconds:
            with lock:
                at = next(numbers)
            start = time.perf_counter()
            call(at)
            times.append(time.perf_counter() - start)

    running = [threading.Thread(target=work) for _ in range(setup.threads)]
    for each in running:
        each.start()
    for each in running:
        each.join()
    took = time.perf_counter() - begun
    return Outcome(
        per_s=len(times) / took,
        median_ms=kit.percentile(times, 0.5),
        p99_ms=kit.percentile(times, 0.99),
        database_busy=0.0,
    )
