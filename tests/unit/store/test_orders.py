"""Orders of time in memory: a page is the one that reading everything anew would give."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import nsmallest
from pathlib import Path
from random import Random
from typing import Any

import pytest

from isomem import Memory
from isomem.contract.filters import CompiledFilters
from isomem.contract.visibility import SUPERSEDED_BY
from isomem.pipeline.asked import visibility_of
from isomem.store import orders as module
from isomem.store.orders import Order, Orders
from tests.torture.storage import open_memory, scaled

USERS, AGENTS = ("ana", "bob"), (None, "a1")
TIMES = (
    None, "2026-05-07T10:00:00+00:00", "2026-05-07T10:00:00.000001+00:00", "2026-05-07T12:00:00Z",
    "2026-05-07T10:00:00+02:00", "soon", 7, "2020-01-01", "",
)  # fmt: skip


def every(memory: Memory, filters: Any, order: str, after: Any, limit: int) -> Any:
    """What the listing finds, and what it would find if it read every point: entries and totals."""
    visibility = visibility_of(memory._ports, show_expired=False, show_superseded=False)
    listing: Any = memory.stores.listing(visibility)
    compiled = CompiledFilters(filters)
    found = listing.find(compiled, order, after, limit)
    total = listing.count(compiled)
    with listing._database.reading():
        condition = listing._reader.condition(compiled)
        all_ = [*listing._by_time(condition, order)]
    expected = nsmallest(limit, (each for each in all_ if not after or each[:2] > after))
    return (found, total), (expected, len(all_))


class Turns:
    """Changes and looks in any order, through two memories on one file."""

    def __init__(self, seed: int, path: Path) -> None:
        self.chance = Random(seed)
        self.memories = [open_memory(path), open_memory(path)]
        self.ids: list[str] = []

    @property
    def memory(self) -> Memory:
        return self.memories[self.chance.random() < 0.2]

    def ids_of(self) -> dict[str, Any]:
        drawn = {"user_id": self.chance.choice(USERS), "agent_id": self.chance.choice(AGENTS)}
        return {key: value for key, value in drawn.items() if value}

    def metadata(self) -> dict[str, Any]:
        marks: dict[str, Any] = {"event_time": self.chance.choice(TIMES)}
        if self.chance.random() < 0.2:
            marks[SUPERSEDED_BY] = "x"
        return {key: value for key, value in marks.items() if value is not None}

    def change(self) -> None:
        what = self.chance.choices(
            ("add", "update", "delete", "delete_all", "payload"), (12, 2, 3, 0.5, 3)
        )[0]
        memory = self.memory
        if what == "add":
            self.insert(memory)
        elif what == "delete_all":
            memory.delete_all(**self.ids_of())
        elif self.ids:
            memory_id = self.chance.choice(self.ids)
            point = memory.vector_store.get(vector_id=memory_id)
            if point is None:
                return
            if what == "update":
                memory.update(memory_id, f"text {self.chance.random()}")
            elif what == "delete":
                memory.delete(memory_id)
            else:
                payload = {**(point.payload or {}), **self.metadata(), **self.ids_of()}
                memory.vector_store.update(vector_id=memory_id, payload=payload)

    def insert(self, memory: Memory) -> None:
        """Some points at once, with ids that may be taken."""
        payloads = [
            {
                "data": "x",
                "created_at": self.chance.choice(TIMES),
                **self.metadata(),
                **self.ids_of(),
            }
            for _ in range(self.chance.choice((1, 1, 3)))
        ]
        ids = [str(self.chance.randrange(60)) for _ in payloads]
        vectors = [[1.0] * 8 for _ in payloads]
        memory.vector_store.insert(vectors=vectors, payloads=payloads, ids=ids)
        self.ids += ids

    def look(self) -> None:
        order = self.chance.choice(("newest", "oldest"))
        ids = self.ids_of()
        if self.chance.random() < 0.3:
            ids.pop("user_id", None)
        after: Any = None
        for _ in range(3):
            seen, expected = every(self.memory, ids, order, after, 4)
            assert seen == expected
            if not seen[0]:
                break
            after = seen[0][-1][:2]


@pytest.fixture
def turns(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Turns]:
    made = Turns(request.param, tmp_path / "memory.db")
    yield made
    for memory in made.memories:
        memory.close()


@pytest.mark.parametrize("turns", range(scaled(4, 200)), indirect=True)
def test_a_page_is_what_reading_everything_would_give(turns: Turns) -> None:
    for _ in range(80):
        turns.change()
        if turns.chance.random() < 0.5:
            turns.look()


def test_a_second_page_reads_only_what_is_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = open_memory(":memory:")
    for number in range(50):
        memory.add(f"text {number}", user_id="ana", infer=False)
    asked: Any = {"filters": {"user_id": "ana"}, "order": "newest", "page_size": 5}
    page: Any = memory.get_all(**asked)
    made: list[Any] = []
    monkeypatch.setattr("isomem.store.listing.Order", lambda *given: made.append(given))
    for _ in range(3):
        page = memory.get_all(**asked, cursor=page["next_cursor"])
        assert (len(page["results"]), page["total"]) == (5, 50)
    memory.add("the newest of all", user_id="ana", infer=False)  # It has its place at once.
    memory.add("somebody else's", user_id="bob", infer=False)
    page = memory.get_all(**asked)
    assert page["results"][0]["memory"] == "the newest of all"
    assert page["total"] == 51
    assert made == []
    memory.close()


def test_a_block_that_is_undone_leaves_no_order(tmp_path: Path) -> None:
    memory = open_memory(tmp_path / "memory.db")
    memory.add("first", user_id="ana", infer=False)
    asked: Any = {"filters": {"user_id": "ana"}, "order": "newest"}
    assert len(memory.get_all(**asked)["results"]) == 1
    store: Any = memory.vector_store
    with pytest.raises(ZeroDivisionError), store.database.writing():
        payload = {"user_id": "ana", "data": "never", "created_at": TIMES[1]}
        store.insert(vectors=[[1.0] * 8], payloads=[payload], ids=["never"])
        raise ZeroDivisionError
    assert [each["memory"] for each in memory.get_all(**asked)["results"]] == ["first"]
    memory.close()


def test_few_orders_are_kept_and_none_that_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    kept, kind = Orders(), ("newest", ("f",))
    for number in range(10):
        kept.put((number, None, None, None), kind, Order(kind, []))
    assert [kept.get((number, None, None, None), kind) is None for number in range(10)] == (
        [True] * 6 + [False] * 4
    )
    monkeypatch.setattr(module, "MOST_POINTS", 1)
    kept.put((1, "u", None, None), kind, Order(kind, [(1, "a", 1, False), (2, "b", 2, False)]))
    assert kept.get((1, "u", None, None), kind) is None
