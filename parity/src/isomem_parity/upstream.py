"""The oracle: the installed mem0ai on its default store, without a network and telemetry.

Nothing of upstream's logic is touched. Its modules get a clock and an id source of ours, its
registries of providers get a placeholder while a memory is being built, and the stores are read
and set through the public interfaces of qdrant-client and sqlite3. Equal scores in its store have
an order (`ties`).
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import sys
import tempfile
import uuid as real_uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime as real_datetime
from datetime import tzinfo
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from types import SimpleNamespace
from typing import Any

from isomem.types import PROFILES
from isomem_parity import tiers
from isomem_parity.doubles import StepClock
from isomem_parity.script import Step
from isomem_parity.side import COLLECTION, InlineExecutor, Side
from isomem_parity.trace import (
    HISTORY_COLUMNS,
    MESSAGE_COLUMNS,
    Point,
    Row,
    State,
    Trace,
    direction,
    payload_text,
)

ENTITIES = f"{COLLECTION}_entities"


class ParityError(RuntimeError):
    """The comparison cannot be run here."""


@cache
def release() -> str:
    """The release of mem0 that is installed. isomem is compared with it in the same profile.

    Raises:
        ParityError: none is installed, or one that isomem has no profile of.
    """
    known = " or ".join(f"mem0ai=={name}" for name in PROFILES)
    found = installed()
    if found is None:
        raise ParityError(f"mem0ai is not installed; pip install {known}")
    if found not in PROFILES:
        raise ParityError(f"mem0ai is {found}; isomem can be compared with {known}")
    return found


def installed() -> str | None:
    """The version of mem0 that is installed, if there is one."""
    try:
        return version("mem0ai")
    except PackageNotFoundError:
        return None


class _Active:
    """The clock of the side that is running; None outside of a run."""

    clock: StepClock | None = None


class SteppedDatetime(real_datetime):
    """`datetime` with a `now` that asks the running side's clock."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> real_datetime:  # type: ignore[override]
        if _Active.clock is None:
            return real_datetime.now(tz)
        time = _Active.clock.time()
        return time.astimezone(tz) if tz else time.replace(tzinfo=None)


def _memory_uuid() -> real_uuid.UUID:
    return real_uuid.UUID(_Active.clock.new_id()) if _Active.clock else real_uuid.uuid4()


def _row_uuid() -> real_uuid.UUID:
    return real_uuid.UUID(_Active.clock.new_row_id()) if _Active.clock else real_uuid.uuid4()


def load() -> Any:
    """Import upstream with telemetry off and a home of its own; give it the clock."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if "mem0" not in sys.modules:
            _first_import()
        import mem0.configs.prompts as prompts
        import mem0.memory.main as main
        import mem0.memory.storage as storage
        import mem0.memory.telemetry as telemetry

    if telemetry.MEM0_TELEMETRY:
        raise ParityError("mem0 was imported with telemetry on; set MEM0_TELEMETRY=False first")
    from isomem_parity.ties import settle

    settle()
    share_inspector()
    main.uuid = SimpleNamespace(uuid4=_memory_uuid)
    storage.uuid = SimpleNamespace(uuid4=_row_uuid)
    for module in (main, storage, prompts):
        module.datetime = SteppedDatetime
    return main


def share_inspector() -> None:
    """One inspector for all clients of Qdrant: each made its own, for longer than a script takes.

    It finds texts that the client is to embed, and neither side hands it any.
    """
    from qdrant_client import qdrant_client

    if isinstance(qdrant_client.Inspector, type):
        qdrant_client.Inspector = cache(qdrant_client.Inspector)


def _first_import() -> None:
    release()
    home = tempfile.mkdtemp(prefix="parity-home-")
    kept = os.environ.get("HOME")
    os.environ.update({"MEM0_TELEMETRY": "False", "MEM0_DIR": home, "HOME": home})
    try:
        import mem0  # noqa: F401
    finally:
        if kept is None:
            del os.environ["HOME"]
        else:
            os.environ["HOME"] = kept


@contextmanager
def quiet_and_offline() -> Iterator[None]:
    """No log lines of expected failures, and a socket that refuses to leave the machine."""
    loggers = [logging.getLogger(name) for name in ("mem0", "isomem", "qdrant_client", "asyncio")]
    levels = [logger.level for logger in loggers]
    connect = socket.socket.connect

    def refuse(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            raise ParityError(f"something tried to connect to {address!r}")
        connect(self, address)

    socket.socket.connect = refuse  # type: ignore[method-assign, assignment]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        socket.socket.connect = connect  # type: ignore[method-assign]
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


class Placeholder:
    """Stands where a provider would be, until the script's double takes the place."""

    def __init__(self, *config: Any) -> None:
        self.config = SimpleNamespace(embedding_dims=None)


@contextmanager
def _placeholder_providers() -> Iterator[None]:
    """Build without a network client: upstream's registries name the placeholder meanwhile."""
    from mem0.utils.factory import EmbedderFactory, LlmFactory

    path = f"{__name__}.Placeholder"
    embedders, llms = EmbedderFactory.provider_to_class, LlmFactory.provider_to_class
    kept = embedders["openai"], llms["openai"]
    embedders["openai"], llms["openai"] = path, (path, dict)
    try:
        yield
    finally:
        embedders["openai"], llms["openai"] = kept


class Upstream(Side):
    """`mem0.Memory` or `mem0.AsyncMemory`."""

    label = "upstream"

    def make_loop(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop()
        loop.set_default_executor(InlineExecutor())
        return loop

    def build(self) -> Any:
        main = load()
        tiers.enter(self.tier)
        _Active.clock = self.clock
        chosen = main.AsyncMemory if self.kind == "async" else main.Memory
        with _placeholder_providers():
            return chosen.from_config(self._config())

    def _config(self) -> dict[str, Any]:
        config = self.script.config
        store: dict[str, Any] = {"collection_name": COLLECTION, "embedding_model_dims": self.dims}
        if self.script.on_disk:
            store["path"] = str(self.folder / "qdrant")
        else:
            from qdrant_client import QdrantClient

            store["client"] = QdrantClient(":memory:")
        files = self.script.on_disk
        full: dict[str, Any] = {
            "vector_store": {"provider": "qdrant", "config": store},
            "llm": {"provider": "openai", "config": dict(config.get("llm", {}))},
            "embedder": {"provider": "openai", "config": {}},
            "history_db_path": str(self.folder / "history.db") if files else ":memory:",
        }
        if "custom_instructions" in config:
            full["custom_instructions"] = config["custom_instructions"]
        return full

    def run(self, step: Step, number: int) -> Trace:
        trace = super().run(step, number)
        entities = self.memory._entity_store
        if entities is not None and entities.client is not self._client:
            # `AsyncMemory.reset` has closed the client that its entity store goes on using, so
            # that nothing is linked any more (part of D-04). What follows is compared with a
            # fresh one, which `Memory.reset` makes itself.
            self.memory._entity_store = None
        return trace

    def attempt(self, act: Callable[[], Any], step: Step) -> Trace:
        _Active.clock = self.clock
        return super().attempt(act, step)

    def dispose(self) -> None:
        super().dispose()
        _Active.clock = None

    def close_stores(self) -> None:
        self._client.close()

    def swap_entity_store(self, store: Any) -> None:
        self.memory._entity_store = store

    @property
    def _client(self) -> Any:
        return self.memory.vector_store.client

    # -- reading ---------------------------------------------------------------------------------

    def state(self) -> State:
        return State(
            memories=self._points(COLLECTION),
            entities=self._points(ENTITIES),
            history=self._rows("history", HISTORY_COLUMNS),
            messages=self._rows("messages", MESSAGE_COLUMNS),
        )

    def _points(self, collection: str) -> dict[str, Point]:
        if not self._client.collection_exists(collection):
            return {}
        records, _ = self._client.scroll(collection, limit=100_000, with_vectors=True)
        return {
            record.id: Point(payload_text(record.payload), direction(_dense(record.vector)))
            for record in records
        }

    def _rows(self, table: str, columns: tuple[str, ...]) -> tuple[Row, ...]:
        sql = f"SELECT {', '.join(columns)} FROM {table} ORDER BY rowid"
        return tuple(self.memory.db.connection.execute(sql).fetchall())

    # -- setting ---------------------------------------------------------------------------------

    def restore(self, wanted: State) -> None:
        """Make the stores hold `wanted`, whatever they hold now."""
        now = self.state()
        self._set_points(self.memory.vector_store, COLLECTION, now.memories, wanted.memories)
        if now.entities != wanted.entities:
            store = self.memory._entity_store or self._entity_store_for_repair()
            self._set_points(store, ENTITIES, now.entities, wanted.entities)
        if now.history != wanted.history:
            self._set_rows("history", HISTORY_COLUMNS, wanted.history)
        if now.messages != wanted.messages:
            self._set_rows("messages", MESSAGE_COLUMNS, wanted.messages)

    def _entity_store_for_repair(self) -> Any:
        """A store over the entity collection that leaves the memory's own one unopened."""
        from mem0.vector_stores.qdrant import Qdrant

        return Qdrant(ENTITIES, self.dims, client=self._client)

    def _set_points(
        self, store: Any, collection: str, now: dict[str, Point], wanted: dict[str, Point]
    ) -> None:
        gone = [given for given in now if given not in wanted]
        if gone:
            self._client.delete(collection, points_selector=gone)
        changed = [given for given, point in wanted.items() if now.get(given) != point]
        if changed:
            store.insert(
                vectors=[list(wanted[given].vector) for given in changed],
                payloads=[json.loads(wanted[given].payload) for given in changed],
                ids=changed,
            )

    def _set_rows(self, table: str, columns: tuple[str, ...], rows: tuple[Row, ...]) -> None:
        connection = self.memory.db.connection
        marks = ", ".join("?" * len(columns))
        connection.execute("BEGIN")
        connection.execute(f"DELETE FROM {table}")
        connection.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows)
        connection.execute("COMMIT")


def _dense(vector: Any) -> list[float]:
    return list(vector[""] if isinstance(vector, dict) else vector)
