"""A file for each test, and collections in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from isomem.store.cache import ScopeCache
from isomem.store.collection import Collection
from isomem.store.database import Database
from isomem.store.entities import Entities
from isomem.store.schema import prepare_ledger, prepare_store
from isomem.text.terms import TermEncoder


def prepare_both(connection: apsw.Connection) -> None:
    prepare_store(connection)
    prepare_ledger(connection)


class Opened:
    """One connection to a file, as a memory opens it."""

    def __init__(self, path: str | Path, *, cache_bytes: int = 10**6, **facts: Any) -> None:
        settings = {name: facts.pop(name) for name in ("synchronous", "busy_timeout_s")
                    if name in facts}  # fmt: skip
        self.database = Database(str(path), prepare_both, **settings)
        self.cache = ScopeCache(self.database, cache_bytes)
        keywords = facts.pop("keywords", True)
        encoder = TermEncoder() if keywords is True else keywords or None
        self.points = Collection(self.database, "mem0", self.cache, encoder=encoder, **facts)
        self.entities = Entities(self.database, "mem0_entities", self.cache, **facts)

    def close(self) -> None:
        self.database.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "memory.db"


@pytest.fixture
def opened(path: Path) -> Iterator[Callable[..., Opened]]:
    """Opens the file of this test; everything is closed afterwards."""
    every: list[Opened] = []

    def open_one(file: str | Path = path, **options: Any) -> Opened:
        every.append(Opened(file, **options))
        return every[-1]

    yield open_one
    for one in every:
        one.close()
