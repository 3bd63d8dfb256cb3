"""The engines: how each is configured for isomem and for mem0, and how far it can be measured.

An engine is one row of `ENGINES`. What takes turns with it is chosen by its `beside`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.stores import chroma_server, redis_server, server
from tests.stores.wire import Proxy

DIMS = 384

Config = dict[str, Any]


class Place:
    """Where the data of one size is.

    Args:
        folder: for files.
        memories: how many there will be.
        rtt_ms: milliseconds that the way to PostgreSQL and back takes, beside what it takes anyway.
    """

    def __init__(self, folder: Path, memories: int, rtt_ms: float = 0) -> None:
        self.folder = folder
        self.memories = memories
        self.rtt_ms = rtt_ms

    @cached_property
    def server(self) -> server.Server:
        """A PostgreSQL server of its own, which flushes its disk; it starts when it is asked."""
        started = server.Server(
            fsync="on", shared_buffers="1GB", max_wal_size="4GB", maintenance_work_mem="4GB"
        )
        started.make("bench")
        return started

    @cached_property
    def way(self) -> Proxy:
        """What takes its time to pass on what is said to the server, and what it answers."""
        return Proxy(self.server.folder, delay_s=self.rtt_ms / 2_000)

    @property
    def dsn(self) -> str:
        """The database of the server, for the systems."""
        return (self.way if self.rtt_ms else self.server).dsn("bench")

    @cached_property
    def chroma(self) -> chroma_server.ChromaServer:
        """A server of Chroma of its own; it starts when it is asked."""
        return chroma_server.ChromaServer()

    @cached_property
    def redis(self) -> redis_server.Server:
        """A Redis server of its own, which flushes its disk once a second."""
        return redis_server.Server("--appendonly", "yes")

    def close(self) -> None:
        """Stops the servers that there are."""
        if "way" in self.__dict__:
            self.way.close()
        for started in ("server", "chroma", "redis"):
            if started in self.__dict__:
                getattr(self, started).stop()


def _nothing(_: Place, __: Config) -> AbstractContextManager[object]:
    return nullcontext()


@dataclass(frozen=True)
class Engine:
    """One engine.

    Attributes:
        name: what `--engines` takes.
        title: in the tables.
        ours: `vector_store` of isomem's configuration, for a place and the folder of the system.
        theirs: the same for mem0; None if mem0 does not have it.
        beside: the engine on which mem0 is measured beside it, if it is not the same.
        shares: several systems can use the same data at once: isomem set as mem0 uses mem0's, and
            what one has filled is not filled again.
        copied: the folder of the data in that of a system, if isomem set as mem0 begins with a copy
            of what mem0 has stored. Its collection then has mem0's settings.
        copied_from: with how many memories: it would take an hour to store them once more.
        as_mem0: the options with which it does what mem0 does there.
        breaks: adds of several threads damage it if it is used by mem0, so that mem0's are made one
            at a time.
        most: memories, above which it is not measured.
        why: why not.
        needs: modules without which it cannot run.
        lacks: what else is missing; "" if nothing is.
        filling: a block around the filling, for an engine that is filled faster in another state.
    """

    name: str
    title: str
    ours: Callable[[Place, Path], Config]
    theirs: Callable[[Place, Path], Config] | None = None
    beside: str = ""
    shares: bool = False
    copied: str = ""
    copied_from: int = 1_000_000
    as_mem0: Mapping[str, object] = field(
        default_factory=lambda: {"keyword_search": False}, hash=False
    )
    breaks: bool = False
    most: int = 10_000_000
    why: str = ""
    needs: tuple[str, ...] = ()
    lacks: Callable[[], str] = lambda: ""
    filling: Callable[[Place, Config], AbstractContextManager[object]] = _nothing

    @property
    def peer(self) -> str:
        """The engine on which mem0 is measured beside it."""
        return self.beside or self.name

    def missing(self, memories: int) -> str:
        """Why it is not measured with that many memories; "" if it is."""
        absent = [name for name in self.needs if find_spec(name) is None]
        if absent:
            return f"not installed: {', '.join(absent)}"
        return self.why if memories > self.most else self.lacks()


# --- Configurations --------------------------------------------------------------------------


def _embedded(_: Place, folder: Path) -> Config:
    return {"provider": "embedded", "config": {"path": str(folder / "memory.db")}}


def _postgres(place: Place, folder: Path) -> Config:
    # A schema for each system: with keywords and without are other tables.
    return {"provider": "postgres", "config": {"dsn": place.dsn, "schema": folder.name}}


def _pgvector(collection: str) -> Callable[[Place, Path], Config]:
    """A table for each side, as it makes it."""

    def config(place: Place, _: Path) -> Config:
        config = {"connection_string": place.dsn, "embedding_model_dims": DIMS}
        return {"provider": "pgvector", "config": {**config, "collection_name": collection}}

    return config


@contextmanager
def _without_hnsw(place: Place, section: Config) -> Iterator[None]:
    """Of many rows, the index is made at the end; what is in it is the same."""
    table = section["config"]["collection_name"]
    if place.memories > 10_000:
        place.server.do(f"DROP INDEX IF EXISTS {table}_hnsw_idx", "bench")
    yield
    place.server.do(
        f"CREATE INDEX IF NOT EXISTS {table}_hnsw_idx ON {table}"
        " USING hnsw (vector vector_cosine_ops)",
        "bench",
    )
    place.server.do(f"VACUUM ANALYZE {table}", "bench")


def _qdrant_folder(_: Place, folder: Path) -> Config:
    config = {"path": str(folder / "qdrant"), "embedding_model_dims": DIMS}
    return {"provider": "qdrant", "config": config}


def _qdrant_memory(_: Place, __: Path) -> Config:
    config = {"path": ":memory:", "embedding_model_dims": DIMS}
    return {"provider": "qdrant", "config": config}


def _qdrant_server(place: Place, folder: Path) -> Config:
    config = {
        "url": os.environ["QDRANT_URL"],
        "api_key": os.environ.get("QDRANT_API_KEY"),
        "collection_name": f"bench-{place.memories}-{folder.name}",
        "embedding_model_dims": DIMS,
    }
    return {"provider": "qdrant", "config": {k: v for k, v in config.items() if v is not None}}


def _chroma_folder(_: Place, folder: Path) -> Config:
    return {"provider": "chroma", "config": {"path": str(folder / "chroma")}}


def _chroma_server(place: Place, folder: Path) -> Config:
    name = f"bench-{place.memories}-{folder.name}"
    return {"provider": "chroma", "config": {**place.chroma.address, "collection_name": name}}


def _redis(collection: str) -> Callable[[Place, Path], Config]:
    """A collection for each side, as it makes it."""

    def config(place: Place, _: Path) -> Config:
        config = {"redis_url": place.redis.url, "embedding_model_dims": DIMS}
        return {"provider": "redis", "config": {**config, "collection_name": collection}}

    return config


def _without_a_server() -> str:
    return "" if os.environ.get("QDRANT_URL") else "QDRANT_URL names no server"


LOCAL_MODE: dict[str, Any] = {
    "most": 100_000,
    "why": (
        "Qdrant's local mode keeps everything in the memory of the process and looks at every "
        "point for each query, in Python; Qdrant advises against more than 20,000"
    ),
    "needs": ("qdrant_client",),
    "breaks": True,
}

ENGINES = (
    Engine("embedded", "embedded", _embedded, beside="qdrant-folder"),
    Engine("qdrant-folder", "Qdrant, a folder", _qdrant_folder, _qdrant_folder, **LOCAL_MODE),
    Engine("qdrant-memory", "Qdrant in memory", _qdrant_memory, _qdrant_memory, **LOCAL_MODE),
    Engine(
        "qdrant-server", "Qdrant, a server", _qdrant_server, _qdrant_server,
        needs=("qdrant_client",), lacks=_without_a_server,
    ),
    Engine(
        "chroma-folder", "Chroma, a folder", _chroma_folder, _chroma_folder,
        as_mem0={}, needs=("chromadb",), copied="chroma",
    ),
    Engine(
        "chroma-server", "Chroma, a server", _chroma_server, _chroma_server,
        as_mem0={}, needs=("chromadb",),
    ),
    Engine(
        "postgres", "postgres", _postgres,
        beside="pgvector", as_mem0={"keyword_search": False, "hnsw": True},
        lacks=server.without_pgvector,
    ),
    Engine(
        "pgvector", "pgvector", _pgvector("ours"), _pgvector("theirs"),
        shares=True, as_mem0={"exact": False}, lacks=server.without_pgvector, filling=_without_hnsw,
    ),
    Engine(
        "redis", "Redis", _redis("ours"), _redis("theirs"),
        shares=True, as_mem0={}, needs=("redisvl",), lacks=redis_server.missing,
    ),
)  # fmt: skip

BY_NAME = {engine.name: engine for engine in ENGINES}
