"""How much a service answers, beside mem0's self-hosted server: requests per second, p99, memory.

`python -m bench.serve FOLDER` takes the folder `server` of mem0's repository at v2.0.4; see
`scripts.server_parity`, which runs it. docs/serve.md says how both run. `--minutes 10` loads isomem
alone for so long instead, and tells whether its memory stays as it is. `--postgres` measures it
with four workers over a PostgreSQL. These two need no folder.

The client is in this process and shares the processors with the server; the column `client` is its
share of one processor.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bench.http_load import (
    Load,
    add_of,
    memory_mb,
    memory_of,
    mixed_of,
    run,
    search_of,
)
from bench.serve_stub import DIMS, LAUNCHER, NAME, install
from scripts.server_parity import ROOT, Server, free_port, postgres, program, upstream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from bench.http_load import Figures, Requests

    Started = Callable[[Path], AbstractContextManager[Server]]

CONNECTIONS = (1, 16, 64, 256)
KINDS: dict[str, Requests] = {"search": search_of, "add": add_of}
ON_POSTGRES = 4
"""How many processes answer over PostgreSQL."""

OURS, THEIRS = "isomem", "mem0"
COLUMNS = "server what connections per_second median_ms p99_ms errors MB client".split()

SAMPLED_EVERY_S = 5
MIXED_CONNECTIONS = 16
MOST_GROWTH_MB = 5
"""How much more memory the service may take on average in the last tenth of a long load than in the
second tenth. In the first one it warms up: connections, caches and statements are made."""


class Row(NamedTuple):
    """One measurement."""

    server: str
    what: str
    connections: int
    found: Figures

    def shown(self) -> str:
        """As a row of a table."""
        found = self.found
        cells = [self.server, self.what, self.connections, f"{found.per_second:,.0f}"]
        cells += [f"{value:,.1f}" for value in (found.median_ms, found.p99_ms)]
        cells += [found.errors, f"{found.memory_mb:,.0f}", f"{found.client:.0%}"]
        return _row(cells)


def main(arguments: list[str] | None = None) -> int:
    """Prints tables; 0 if no request failed and the memory stayed as it was."""
    given = _parser().parse_args(arguments)
    if given.minutes is not None:
        return 0 if stays_flat(given.minutes, given.memories) else 1
    if given.folder is None and not given.postgres:
        raise SystemExit("FOLDER is missing: `server` of mem0's repository at v2.0.4")
    _head(COLUMNS)
    kinds = [given.only] if given.only else [*KINDS]
    rows = [
        row
        for name, started in _servers(given).items()
        for row in measured(name, started, kinds, given.memories, given.seconds)
    ]
    print("\n".join(compared(rows)))
    return 1 if any(row.found.errors for row in rows) else 0


def _servers(given: argparse.Namespace) -> dict[str, Started]:
    """What is measured, by its name in the table."""
    if given.postgres:
        return {f"{OURS}, postgres, {ON_POSTGRES} workers": ours_on_postgres}
    count: int = given.workers
    name = OURS if count == 1 else f"{OURS}, {count} workers"
    return {
        name: lambda place: ours(place, workers=count),
        THEIRS: lambda place: theirs(given.folder, place),
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "folder", type=Path, nargs="?", help="`server` of mem0's repository at v2.0.4"
    )
    parser.add_argument("--only", choices=[*KINDS], help="measure nothing else")
    parser.add_argument("--seconds", type=float, default=10, help="of each measurement")
    parser.add_argument("--memories", type=int, default=2000, help="how many there are")
    parser.add_argument("--workers", type=int, default=1, help="processes of isomem")
    parser.add_argument("--minutes", type=float, help="how long isomem is loaded, alone")
    parser.add_argument(
        "--postgres", action="store_true", help=f"isomem with {ON_POSTGRES} workers over PostgreSQL"
    )
    return parser


# --- Requests per second ---------------------------------------------------------------------


def measured(
    name: str, started: Started, kinds: Sequence[str], memories: int, seconds: float
) -> Iterator[Row]:
    """Measures one server, and prints each row."""
    with tempfile.TemporaryDirectory() as scratch, started(Path(scratch)) as server:
        fill(server, memories)
        for what in kinds:
            for connections in CONNECTIONS:
                found = run(Load(server, KINDS[what], connections, seconds).run())
                row = Row(name, what, connections, found)
                print(row.shown(), flush=True)
                yield row


def fill(server: Server, memories: int) -> None:
    """Stores the memories that are searched.

    Raises:
        SystemExit: it does not store them.
    """
    found = run(Load(server, memory_of, 16, most=memories).run())
    if found.errors:
        raise SystemExit(f"{found.errors} of {memories} memories could not be stored")


def compared(rows: Sequence[Row]) -> list[str]:
    """How many times as much isomem answers, as lines; none if only one server was measured."""
    by_kind = {row[:3]: row.found.per_second for row in rows}
    lines = []
    for (server, what, connections), per_second in by_kind.items():
        theirs = by_kind.get((THEIRS, what, connections))
        if server != THEIRS and theirs:
            times = per_second / theirs
            lines.append(f"{server}, {what}, {connections} connections: {times:.1f} times mem0's")
    return lines


# --- Memory ----------------------------------------------------------------------------------


def stays_flat(minutes: float, memories: int) -> bool:
    """Loads isomem for so long, and prints its memory. Returns whether it stayed as it was."""
    with tempfile.TemporaryDirectory() as scratch, ours(Path(scratch)) as server:
        fill(server, memories)
        found, samples = run(_sampled(server, minutes * 60))
    _head(("minute", "least MB", "most MB"))
    per_minute = max(1, round(60 / SAMPLED_EVERY_S))
    for at in range(0, len(samples), per_minute):
        some = samples[at : at + per_minute]
        print(_row((at // per_minute + 1, f"{min(some):.1f}", f"{max(some):.1f}")))
    grown = growth_mb(samples)
    is_flat = grown <= MOST_GROWTH_MB
    print(f"{found.per_second:,.0f} requests per second, {found.errors} errors")
    print(
        f"grown by {grown:.1f} MB; {'flat' if is_flat else 'not flat'}: {MOST_GROWTH_MB} MB may be"
    )
    return is_flat and not found.errors


async def _sampled(server: Server, seconds: float) -> tuple[Figures, list[float]]:
    """The figures of a mixed load, and the memory meanwhile."""
    loading = asyncio.ensure_future(Load(server, mixed_of, MIXED_CONNECTIONS, seconds).run())
    samples = []
    while not (await asyncio.wait([loading], timeout=min(SAMPLED_EVERY_S, seconds / 20)))[0]:
        samples.append(memory_mb(server.pid))
    return loading.result(), samples


def growth_mb(samples: Sequence[float]) -> float:
    """How much more memory it is in the last tenth than in the second one, on average."""
    tenth = max(1, len(samples) // 10)
    first, last = samples[tenth : 2 * tenth] or samples, samples[-tenth:]
    return sum(last) / len(last) - sum(first) / len(first)


# --- The servers -----------------------------------------------------------------------------


@contextmanager
def ours(place: Path, store: dict[str, object] | None = None, workers: int = 1) -> Iterator[Server]:
    """Our server, as `isomem serve` runs it.

    Args:
        place: where it may write.
        store: the section `vector_store`; by default a file.
        workers: processes.
    """
    file = {"provider": "embedded", "config": {"path": str(place / "memory.db")}}
    port = free_port()
    service = {"auth": False, "port": port, "rate_per_minute": 100_000_000, "workers": workers}
    config = {
        "vector_store": store or file,
        "embedder": {"provider": NAME},
        "serve": {**service, "state_path": str(place / "service.db")},
    }
    (place / "isomem.json").write_text(json.dumps(config), "utf-8")
    path = f"{ROOT}/src:{ROOT}:{install(place / 'stub')}"
    command = ["isomem", "serve", "--config", str(place / "isomem.json")]
    with program(command, port, place, {"PYTHONPATH": path}) as server:
        yield server


@contextmanager
def ours_on_postgres(place: Path) -> Iterator[Server]:
    """Our server with several workers over a PostgreSQL of its own."""
    with ExitStack() as stack:
        names = {"host": "HOST", "port": "PORT", "user": "USER", "dbname": "DB"}
        address = stack.enter_context(postgres(place))
        config: dict[str, object] = {
            key: address[f"POSTGRES_{name}"] for key, name in names.items()
        }
        config |= {"port": int(address["POSTGRES_PORT"]), "embedding_model_dims": DIMS}
        store = {"provider": "postgres", "config": config}
        yield stack.enter_context(ours(place, store, ON_POSTGRES))


@contextmanager
def theirs(folder: Path, place: Path) -> Iterator[Server]:
    """mem0's server."""
    launcher = place / "launcher"
    launcher.mkdir()
    (launcher / "launched.py").write_text(LAUNCHER, "utf-8")
    app = ("launched:app", f"{launcher}:{folder.resolve()}:{ROOT}/src:{ROOT}")
    with upstream(folder, place, "http://127.0.0.1:9/v1", *app) as server:
        yield server


# --- Tables ----------------------------------------------------------------------------------


def _head(columns: Sequence[str]) -> None:
    print(_row([each.replace("_", " ") for each in columns]))
    print(_row(["---"] * len(columns)))


def _row(cells: Sequence[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


if __name__ == "__main__":
    sys.exit(main())
