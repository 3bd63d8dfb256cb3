"""One block over several files, and the ports of both classes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from isomem.asynchronous import AsyncPorts
from isomem.blocking import BlockingPorts, StoreView
from isomem.errors import DatabaseError
from isomem.store.database import Database
from isomem.store.ledger import Ledger
from isomem.store.schema import prepare_ledger


class Parts:
    """What a memory is to its ports: three stores, each on a file of its own."""

    def __init__(self, folder: Path, timeout_s: float = 0.1) -> None:
        def made(name: str) -> Ledger:
            file = str(folder / f"{name}.db")
            database = Database(file, prepare_ledger, busy_timeout_s=timeout_s)
            return Ledger(database, SimpleNamespace(new_row_id=lambda: name))  # type: ignore[arg-type]

        self.vector_store: Any = made("vectors")
        self.entity_store: Any = made("entities")
        self.db: Any = made("ledger")

    def write(self) -> None:
        for part in (self.vector_store, self.entity_store, self.db):
            part.add_history("m", None, "x", "ADD")

    def written(self) -> list[int]:
        return [
            len(part.get_history("m")) for part in (self.vector_store, self.entity_store, self.db)
        ]

    def close(self) -> None:
        for part in (self.vector_store, self.entity_store, self.db):
            part.close()


def test_a_block_over_several_files_keeps_all_or_undoes_all(tmp_path: Path) -> None:
    parts = Parts(tmp_path)
    view = StoreView(parts)  # type: ignore[arg-type]
    with pytest.raises(ZeroDivisionError), view.atomic():
        parts.write()
        raise ZeroDivisionError
    assert parts.written() == [0, 0, 0]
    with view.atomic():
        parts.write()
    assert parts.written() == [1, 1, 1]
    parts.close()


def test_a_file_that_cannot_be_entered_lets_the_others_go(tmp_path: Path) -> None:
    parts, others = Parts(tmp_path), Parts(tmp_path)
    view = StoreView(parts)  # type: ignore[arg-type]
    with others.db.atomic():
        with pytest.raises(DatabaseError, match=r"ledger\.db is locked"), view.atomic():
            parts.write()
        others.vector_store.add_history("m", None, "x", "ADD")  # Nobody holds the first file.
    assert parts.written() == [1, 0, 0]
    parts.close()
    others.close()


def test_a_file_that_cannot_commit_is_reported_and_the_others_are_let_go(tmp_path: Path) -> None:
    parts = Parts(tmp_path)
    view = StoreView(parts)  # type: ignore[arg-type]

    def lose() -> None:
        with view.atomic():
            parts.write()
            parts.db.database.execute("ROLLBACK")  # As SQLite does on some errors of the disk.

    with pytest.raises(DatabaseError, match=r"ledger\.db"):
        lose()
    assert parts.written() == [0, 0, 0]
    with view.atomic():
        parts.write()
    assert parts.written() == [1, 1, 1]
    parts.close()


def test_stores_that_are_not_ours_have_an_empty_block() -> None:
    parts = SimpleNamespace(vector_store=object(), entity_store=object(), db=object())
    view = StoreView(parts)  # type: ignore[arg-type]
    assert view.databases() == []
    with view.atomic():
        pass
    assert (view.vectors, view.entities, view.ledger) == (
        parts.vector_store, parts.entity_store, parts.db,
    )  # fmt: skip


class Providers:
    """Both kinds of every call; notes which kind was made."""

    def __init__(self, *, native: bool) -> None:
        self.made: list[str] = []
        if native:
            self.aembed = self._native("aembed")
            self.aembed_batch = self._native("aembed_batch")
            self.agenerate_response = self._native("agenerate_response")

    def _native(self, name: str) -> Any:
        async def call(*args: Any, **kwargs: Any) -> str:
            self.made.append(name)
            return name

        return call

    def embed(self, text: str, action: str) -> str:
        self.made.append("embed")
        return "embed"

    def embed_batch(self, texts: list[str], action: str) -> str:
        self.made.append("embed_batch")
        return "embed_batch"

    def generate_response(self, messages: Any, **options: Any) -> str:
        self.made.append("generate_response")
        return "generate_response"


@pytest.mark.parametrize("native", [True, False])
def test_a_provider_that_can_be_awaited_is_awaited(native: bool) -> None:
    providers = Providers(native=native)
    memory: Any = SimpleNamespace(
        embedding_model=providers, llm=providers, vector_store=None, entity_store=None, db=None
    )
    ports = AsyncPorts(memory)

    async def main() -> None:
        await ports.embed("x", "add")
        await ports.embed_batch(["x"], "add")
        await ports.generate([], response_format={})
        assert await ports.store(lambda stores: stores.ledger) is None

    asyncio.run(main())
    ports.close()
    prefix = "a" if native else ""
    assert providers.made == [
        f"{prefix}{name}" for name in ("embed", "embed_batch", "generate_response")
    ]


def test_blocking_ports_show_the_parts_that_the_memory_has_now() -> None:
    memory: Any = SimpleNamespace(clock=1, nlp=2, reranker=3)
    ports = BlockingPorts(memory)
    assert (ports.clock, ports.nlp, ports.reranker) == (1, 2, 3)
    memory.reranker = None
    assert ports.reranker is None
