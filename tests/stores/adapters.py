"""The store sets that the suite here runs on, and what each can do.

An engine is one row of `ADAPTERS`. `scripts/engines.py` makes the table of docs/engines.md from the
same rows, and `test_abilities.py` holds every row to its word.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import md5
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.stores import chroma_server, redis_server, server

DIMS = 32

RUNS_ALL = os.environ.get("ENGINES") == "all"
"""Whether the engines run, too, that are not part of `make test`."""


@dataclass(frozen=True)
class Abilities:
    """What an engine can do. What it cannot do raises an error that says so.

    Attributes:
        atomic: a call is stored as a whole or not at all, whatever happens. Without it, a call
            that fails is undone step by step.
        threads: several threads may use one memory at the same time.
        processes: several processes may use the same data at the same time.
        keywords: memories are found by their words, too.
        listing: a page is read without reading everything.
        fused: the ranking "fused".
        dedup: `dedup_concurrent`.
        ingest: the progress of ingests is kept.
        stars: "*" is an ordinary id; otherwise it is refused where it could mean every id.
        shared: mem0 can use the same data at the same time.
    """

    atomic: bool = False
    threads: bool = True
    processes: bool = True
    keywords: bool = True
    listing: bool = False
    fused: bool = False
    dedup: bool = False
    ingest: bool = True
    stars: bool = True
    shared: bool = False


COLUMNS = {
    "atomic": "a call is one transaction",
    "threads": "many threads",
    "processes": "many processes",
    "keywords": "keywords",
    "listing": "reads pages alone",
    "fused": '`ranking: "fused"`',
    "dedup": "`dedup_concurrent`",
    "ingest": "`ingest`",
    "stars": "the id `*`",
    "shared": "shared with mem0",
}
"""The abilities as the columns of the table."""


@dataclass(frozen=True)
class Adapter:
    """One engine.

    Attributes:
        name: of the tests.
        title: of the row in the documentation.
        config: the sections of a configuration that choose it, for a folder.
        can: what it can do.
        filters: how it decides filters, for the documentation.
        needs: modules without which it cannot run.
        quick: whether `make test` runs it.
        equip: replaces parts of an open memory, for an engine that is given as objects.
        lacks: why it cannot run here; "" if it can.
    """

    name: str
    title: str
    config: Callable[[Path], dict[str, Any]]
    can: Abilities
    filters: str
    needs: tuple[str, ...] = ()
    quick: bool = True
    equip: Callable[[Any, Path], None] | None = None
    lacks: Callable[[], str] = lambda: ""

    def missing(self) -> str:
        """Why it cannot run here; "" if it can."""
        absent = [name for name in self.needs if find_spec(name) is None]
        return f"not installed: {', '.join(absent)}" if absent else self.lacks()

    def open(self, folder: Path, **more: Any) -> Any:
        """A memory over the engine, with models of our own. The same folder is the same data."""
        return self.made(folder, "Memory", **more)

    def made(self, folder: Path, kind: str, **more: Any) -> Any:
        """As `open`, of the class with that name."""
        import isomem

        config = {
            "embedder": {"provider": "mock", "config": {"embedding_dims": DIMS}},
            "llm": {"provider": "mock"},
            **self.config(folder),
            **more,
        }
        memory = getattr(isomem, kind).from_config(config)
        if self.equip is not None:
            self.equip(memory, folder)
        return memory


# --- The engines -----------------------------------------------------------------------------


def _embedded(folder: Path) -> dict[str, Any]:
    store = {"path": str(folder / "memory.db")}
    return {"vector_store": {"provider": "embedded", "config": store}}


def _postgres(folder: Path) -> dict[str, Any]:
    schema = f"s{md5(str(folder).encode()).hexdigest()}"
    return {"vector_store": server.section(schema)}


def _pgvector(folder: Path) -> dict[str, Any]:
    name = md5(str(folder).encode()).hexdigest()
    store = {
        "connection_string": server.shared().dsn("tests"),
        "collection_name": f"c{name}",
        "scores": "similarity",
    }
    return {
        "vector_store": {"provider": "pgvector", "config": store},
        "history_db_path": str(folder / "history.db"),
    }


def _qdrant(path: str) -> Callable[[Path], dict[str, Any]]:
    def config(folder: Path) -> dict[str, Any]:
        store = {"path": path or str(folder / "qdrant")}
        return {
            "vector_store": {"provider": "qdrant", "config": store},
            "history_db_path": str(folder / "history.db"),
        }

    return config


def _chroma(where: Callable[[Path], dict[str, Any]]) -> Callable[[Path], dict[str, Any]]:
    def config(folder: Path) -> dict[str, Any]:
        store = {**where(folder), "scores": "similarity"}
        return {
            "vector_store": {"provider": "chroma", "config": store},
            "history_db_path": str(folder / "history.db"),
        }

    return config


def _chroma_server(folder: Path) -> dict[str, Any]:
    return {
        **chroma_server.shared().address,
        "collection_name": f"c{md5(str(folder).encode()).hexdigest()}",
    }


def _with_mem0s_qdrant(memory: Any, folder: Path) -> None:
    """Objects of mem0's own class in place of isomem's stores."""
    from mem0.vector_stores.qdrant import Qdrant
    from qdrant_client import QdrantClient

    client = QdrantClient(":memory:")
    for part, name in (("vector_store", "mem0"), ("entity_store", "mem0_entities")):
        store = Qdrant(name, DIMS, client=client)
        store._bm25_encoder = False
        setattr(memory, part, store)


def _without_a_server() -> str:
    return "" if os.environ.get("QDRANT_URL") else "set QDRANT_URL to the address of a real server"


def _qdrant_server(folder: Path) -> dict[str, Any]:
    store = {
        "url": os.environ["QDRANT_URL"],
        "api_key": os.environ.get("QDRANT_API_KEY"),
        "collection_name": f"isomem-test-{folder.name}",
    }
    return {
        "vector_store": {"provider": "qdrant", "config": store},
        "history_db_path": str(folder / "history.db"),
    }


def _redis(folder: Path) -> dict[str, Any]:
    store = {
        "redis_url": redis_server.shared(folder),
        "collection_name": f"c{md5(str(folder).encode()).hexdigest()}",
        "scores": "similarity",
    }
    return {
        "vector_store": {"provider": "redis", "config": store},
        "history_db_path": str(folder / "history.db"),
    }


_QDRANT = Abilities(shared=True)
_BY_CHROMA = (
    "ids and equal values by Chroma; words, dates, ranges and excluded values by isomem, after "
    "enough has been fetched"
)

ADAPTERS = (
    Adapter(
        "embedded",
        "`embedded`: one SQLite file, the default",
        _embedded,
        Abilities(atomic=True, listing=True, fused=True, dedup=True),
        "in the file, where SQL gives the same answer",
    ),
    Adapter(
        "postgres",
        "`postgres`: a PostgreSQL database",
        _postgres,
        Abilities(atomic=True, listing=True, fused=True, dedup=True),
        "by the server where it has the same meaning; words, dates and elements of nested lists by "
        "isomem",
        lacks=server.missing,
    ),
    Adapter(
        "pgvector",
        "`pgvector`: mem0's tables in PostgreSQL",
        _pgvector,
        Abilities(shared=True),
        "by the server where it has the same meaning; words, dates and elements of nested lists by "
        "isomem",
        lacks=server.without_pgvector,
    ),
    Adapter(
        "qdrant-memory",
        '`qdrant`, `path: ":memory:"`',
        _qdrant(":memory:"),
        Abilities(processes=False),
        "by Qdrant's local mode",
        needs=("qdrant_client",),
    ),
    Adapter(
        "qdrant-folder",
        "`qdrant`, a folder",
        _qdrant(""),
        Abilities(processes=False, shared=True),
        "by Qdrant's local mode",
        needs=("qdrant_client",),
        quick=False,
    ),
    Adapter(
        "qdrant-server",
        "`qdrant`, a server or a cluster",
        _qdrant_server,
        _QDRANT,
        "by the server where it has the same meaning; words, dates and excluded values are "
        "compared here, after enough has been fetched",
        needs=("qdrant_client",),
        quick=False,
        lacks=_without_a_server,
    ),
    Adapter(
        "chroma-memory",
        '`chroma`, `path: ":memory:"`',
        _chroma(lambda _: {"path": ":memory:"}),
        Abilities(processes=False, keywords=False),
        _BY_CHROMA,
        needs=("chromadb",),
        quick=False,
    ),
    Adapter(
        "chroma-folder",
        "`chroma`, a folder",
        _chroma(lambda folder: {"path": str(folder / "chroma")}),
        Abilities(processes=False, keywords=False, shared=True),
        _BY_CHROMA,
        needs=("chromadb",),
        quick=False,
    ),
    Adapter(
        "chroma-server",
        "`chroma`, a server",
        _chroma(_chroma_server),
        Abilities(keywords=False, shared=True),
        _BY_CHROMA,
        needs=("chromadb",),
        quick=False,
    ),
    Adapter(
        "redis",
        "`redis`: Redis with its search engine",
        _redis,
        Abilities(shared=True),
        "by isomem, for the memories of a scope",
        lacks=redis_server.missing,
    ),
    Adapter(
        "mem0-qdrant",
        "mem0's own class for Qdrant, given as objects",
        _embedded,
        Abilities(threads=False, processes=False, keywords=False, stars=False, shared=True),
        "by mem0's class",
        needs=("mem0", "qdrant_client"),
        equip=_with_mem0s_qdrant,
    ),
)
"""Every engine. Those that are not quick run in `make engines`."""
