"""How long calls take on each engine, and with mem0 on the same engine, in one run.

`python -m bench.engines [MEMORIES]` fills each with that many raw memories in scopes of 100, and
prints the median of each call in milliseconds. It starts a PostgreSQL server of its own, which
flushes its disk, from the package `pgserver`. It needs mem0ai for the last column.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from isomem import Memory
from isomem.testing import HashEmbedder, ScriptedLLM
from tests.stores.server import Server

DIMS = 384
A_SCOPE = 100
ROUNDS = 15
FACTS = 10
CALLS = ("raw add", "add of 10 facts", "search")


def sections(server: Server, folder: Path) -> dict[str, dict[str, Any]]:
    """The part of a configuration that chooses each engine."""
    dsn = server.dsn("bench")
    pgvector = {"connection_string": dsn, "embedding_model_dims": DIMS}
    return {
        "embedded": {"provider": "embedded", "config": {"path": str(folder / "memory.db")}},
        "postgres": {"provider": "postgres", "config": {"dsn": dsn}},
        "pgvector": {"provider": "pgvector", "config": {**pgvector, "collection_name": "ours"}},
        "mem0 on pgvector": {
            "provider": "pgvector", "config": {**pgvector, "collection_name": "theirs"},
        },
    }  # fmt: skip


def opened(name: str, section: dict[str, Any], folder: Path) -> Any:
    """A memory of isomem's, or of mem0's, with models that answer at once."""
    config: dict[str, Any] = {"vector_store": section}
    if name in {"pgvector", "mem0 on pgvector"}:
        config["history_db_path"] = str(folder / f"{name}.db")
    if name.startswith("mem0"):
        from isomem_parity import tiers
        from isomem_parity.upstream import load

        load()
        tiers.enter("A")  # Otherwise it would try to download a model for spaCy.
        from mem0 import Memory as Theirs

        os.environ.setdefault("OPENAI_API_KEY", "unused")
        memory: Any = Theirs.from_config(config)
        memory.embedding_model = HashEmbedder(DIMS)
        return memory
    models = {"provider": "mock", "config": {"embedding_dims": DIMS}}
    return Memory.from_config({**config, "embedder": models, "llm": {"provider": "mock"}})


def fill(memory: Any, count: int) -> None:
    """Adds raw memories, a scope's in one call."""
    for scope in range(count // A_SCOPE):
        said = [
            {"role": "user", "content": f"note {scope} {n} of tea and towns"}
            for n in range(A_SCOPE)
        ]
        memory.add(said, user_id=f"user{scope}", infer=False)


def measured(memory: Any, scopes: int) -> dict[str, float]:
    """The median time of each call, in milliseconds."""

    def infer(number: int) -> None:
        facts = [f"Ana Silva met Tom Berg in town {number} {fact}" for fact in range(FACTS)]
        memory.llm = ScriptedLLM([{"memory": [{"text": fact} for fact in facts]}])
        memory.add(f"said {number}", user_id=f"user{number % scopes}")

    calls: dict[str, Callable[[int], object]] = {
        "raw add": lambda n: memory.add(f"raw {n}", user_id=f"user{n % scopes}", infer=False),
        "add of 10 facts": infer,
        "search": lambda n: memory.search(
            f"tea in town {n}", filters={"user_id": f"user{n % scopes}"}
        ),
    }
    return {name: statistics.median(timed(call)) for name, call in calls.items()}


def timed(call: Callable[[int], object]) -> list[float]:
    """Milliseconds of each round; the first one warms up."""
    times = []
    for number in range(ROUNDS + 1):
        start = time.perf_counter()
        call(number)
        times.append((time.perf_counter() - start) * 1000)
    return times[1:]


def main(memories: int) -> None:
    """Measures every engine and prints a table."""
    server = Server(fsync="on", shared_buffers="256MB", max_wal_size="1GB")
    try:
        server.make("bench")
        with tempfile.TemporaryDirectory() as folder:
            print(f"| engine, {memories:,} memories | {' | '.join(CALLS)} |", flush=True)
            for name, section in sections(server, Path(folder)).items():
                memory = opened(name, section, Path(folder))
                fill(memory, memories)
                times = measured(memory, memories // A_SCOPE)
                print(f"| {name} | {' | '.join(f'{times[c]:.1f} ms' for c in CALLS)} |", flush=True)
    finally:
        server.stop()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
