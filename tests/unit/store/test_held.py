"""What is added in memory waits to be written with others, and nobody can tell."""

from __future__ import annotations

import threading
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomem import DatabaseError, Memory
from isomem.clock import Clock
from isomem.contract.payload import said_event
from isomem.contract.plan import Plan, Record
from isomem.errors import ValidationError, VectorValueError
from isomem.store.cache import ScopeCache
from isomem.store.collection import Collection
from isomem.store.database import Database
from isomem.store.entities import Entities
from isomem.store.held import HELD_AT_ONCE
from isomem.store.ledger import Ledger
from isomem.stores.embedded import EmbeddedSet, _prepare_both
from isomem.testing import HashEmbedder
from tests.unit.store.fuzz import examples

USERS = ("ana", "ben")


class Numbered(Clock):
    """Ids and times that do not depend on when a row is written."""

    def __init__(self) -> None:
        self._ids = count(1)
        self._rows = count(1)

    def new_id(self) -> str:
        return f"00000000-0000-4000-8000-{next(self._ids):012x}"

    def new_row_id(self) -> str:
        return f"00000000-0000-7000-8000-{next(self._rows):012x}"

    def now(self) -> str:
        return "2026-01-01T00:00:00+00:00"


def make(path: str = ":memory:", clock: Clock | None = None) -> Memory:
    memory = Memory.from_config(
        {
            "vector_store": {
                "provider": "embedded",
                "config": {"path": path, "embedding_model_dims": 8, "synchronous": "off"},
            },
            "llm": {"provider": "mock"},
            "embedder": {"provider": "mock"},
        },
        clock=clock or Numbered(),
    )
    memory.embedding_model = HashEmbedder(8)
    return memory


def say(memory: Memory, text: str, user: str = "ana") -> str:
    added: str = memory.add(text, user_id=user, infer=False)["results"][0]["id"]
    return added


def waiting(memory: Memory) -> int:
    return len(memory.vector_store.database._held)  # type: ignore[attr-defined]


def texts(memory: Memory, user: str = "ana") -> list[str]:
    found = memory.get_all(filters={"user_id": user}, top_k=1000)["results"]
    return [each["memory"] for each in found]


def test_additions_wait_and_every_way_to_look_writes_them_first() -> None:
    looks: list[Any] = [
        lambda memory, one: texts(memory) == ["tea"],
        lambda memory, one: memory.get(one)["memory"] == "tea",
        lambda memory, one: len(memory.history(one)) == 1,
        lambda memory, one: len(memory.search("tea", filters={"user_id": "ana"})["results"]) == 1,
        lambda memory, one: memory.vector_store.get(one) is not None,
        lambda memory, one: memory.vector_store.col_info()["points"] == 1,
        lambda memory, one: len(memory.db.get_history(one)) == 1,
        lambda memory, one: memory.delete(one) and texts(memory) == [],
        lambda memory, one: memory.update(one, "coffee") and texts(memory) == ["coffee"],
        lambda memory, one: memory.delete_all(user_id="ana") and texts(memory) == [],
    ]
    for look in looks:
        memory = make()
        one = say(memory, "tea")
        assert waiting(memory) == 1
        assert look(memory, one)
        assert waiting(memory) == 0


def test_a_file_is_written_before_the_call_returns(tmp_path: Path) -> None:
    memory = make(str(tmp_path / "memory.db"))
    say(memory, "tea")
    assert waiting(memory) == 0
    with apsw.Connection(str(tmp_path / "memory.db")) as other:
        assert other.execute("SELECT count(*) FROM points").fetchall() == [(1,)]
    memory.close()


def test_no_more_than_a_limit_waits() -> None:
    memory = make()
    for number in range(3 * HELD_AT_ONCE):
        say(memory, f"tea {number}")
        assert waiting(memory) <= HELD_AT_ONCE
    assert len(texts(memory)) == 3 * HELD_AT_ONCE


def test_what_cannot_be_stored_is_refused_at_once_and_alone() -> None:
    memory = make()
    say(memory, "tea")
    memory.embedding_model = HashEmbedder(9)
    with pytest.raises(VectorValueError, match="expected dim: 8, got 9"):
        say(memory, "coffee")
    memory.embedding_model = HashEmbedder(8)
    say(memory, "milk")
    assert sorted(texts(memory)) == ["milk", "tea"]


@pytest.mark.parametrize(
    "metadata",
    [
        {"created_at": datetime(2026, 1, 1)},
        {"actor_id": {"name": "ana"}},
        {"actor_id": 2**70},
        {"created_at": "\ud800"},
        {"actor_id": "half a pair: \ud83d"},
    ],
    ids=ascii,
)
def test_what_the_history_cannot_take_is_refused_at_once_and_alone(
    metadata: dict[str, Any],
) -> None:
    memory = make()
    say(memory, "tea")
    [field] = metadata
    with pytest.raises(ValidationError, match=f"{field} cannot be stored in the history"):
        memory.add("coffee", user_id="ana", infer=False, metadata=metadata)
    say(memory, "milk")
    assert sorted(texts(memory)) == ["milk", "tea"]


def test_in_a_block_nothing_waits_because_it_may_be_undone() -> None:
    memory = make()
    say(memory, "tea")
    with pytest.raises(ZeroDivisionError), memory.vector_store.atomic():  # type: ignore[attr-defined]
        say(memory, "coffee")
        raise ZeroDivisionError
    assert texts(memory) == ["tea"]


def test_the_first_vector_of_an_unknown_length_does_not_wait() -> None:
    clock = Numbered()
    database = Database(":memory:", _prepare_both)
    cache = ScopeCache(database, 1_000_000)
    stores = EmbeddedSet(
        Collection(database, "memories", cache),
        Entities(database, "entities", cache),
        Ledger(database, clock),
    )

    def add(memory_id: str, vector: list[float]) -> None:
        payload = {"user_id": "ana", "data": "tea", "created_at": "2026-01-01", "updated_at": ""}
        event = said_event(memory_id, "tea", payload)
        stores.apply(Plan(clock, records=[Record(memory_id, "tea", vector, payload, event)]))

    add("a", [1.0, 0.0])
    with pytest.raises(VectorValueError):
        add("b", [1.0, 0.0, 0.0])
    add("c", [0.0, 1.0])
    assert [point.id for point in stores.vectors.list()[0]] == ["a", "c"]
    stores.close()


def test_nothing_is_accepted_once_it_is_closed() -> None:
    memory = make()
    say(memory, "tea")
    memory.close()
    with pytest.raises(DatabaseError, match="is closed"):
        say(memory, "coffee")


def test_an_id_that_comes_twice_replaces_the_first_as_in_a_file(tmp_path: Path) -> None:
    class Same(Numbered):
        def new_id(self) -> str:
            return "6f9619ff-8b86-d011-b42d-00c04fc964ff"

    found = []
    for path in (":memory:", str(tmp_path / "memory.db")):
        memory = make(path, Same())
        say(memory, "tea")
        say(memory, "coffee", "ben")
        found.append((texts(memory), texts(memory, "ben")))
        memory.close()
    assert found[0] == found[1] == ([], ["coffee"])


def test_what_waits_is_kept_when_it_cannot_be_written() -> None:
    memory = make()
    database = memory.vector_store.database  # type: ignore[attr-defined]
    say(memory, "tea")
    assert texts(memory) == ["tea"]
    pages = database.connection.execute("PRAGMA page_count").fetchall()[0][0]
    database.connection.execute(f"PRAGMA max_page_count = {pages}")
    stored = 1
    with pytest.raises(DatabaseError):
        for number in range(5000):
            say(memory, f"coffee {number} " + "with much sugar " * 20)
            stored += 1
    with pytest.raises(DatabaseError):
        texts(memory)
    database.connection.execute("PRAGMA max_page_count = 1000000")
    assert len(memory.get_all(filters={"user_id": "ana"}, top_k=10_000)["results"]) == stored


def test_threads_that_add_and_look_lose_nothing() -> None:
    memory = make(clock=Clock())
    failed: list[BaseException] = []

    def work(user: str) -> None:
        try:
            for number in range(150):
                say(memory, f"tea {number}", user)
                if number % 7 == 0:
                    assert len(texts(memory, user)) == number + 1
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(f"user{at}",)) for at in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert [len(texts(memory, f"user{at}")) for at in range(6)] == [150] * 6


steps = st.one_of(
    st.tuples(st.just("add"), st.sampled_from(USERS), st.integers(1, 5)),
    st.tuples(st.just("add"), st.sampled_from(USERS), st.integers(1, 100)),
    st.tuples(st.just("update"), st.integers(0, 9)),
    st.tuples(st.just("delete"), st.integers(0, 9)),
    st.tuples(st.just("delete_all"), st.sampled_from(USERS)),
    st.tuples(st.just("search"), st.sampled_from(USERS)),
    st.tuples(st.just("history"), st.integers(0, 9)),
    st.tuples(st.just("reset")),
)


def carry_out(memory: Memory, script: list[tuple[Any, ...]]) -> list[Any]:
    """What a script shows on the way and at the end."""
    added: list[str] = []
    seen: list[Any] = []
    for number, (kind, *arguments) in enumerate(script):
        target = added[arguments[0] % len(added)] if added and kind not in _BY_USER else ""
        try:
            if kind == "add":
                user, times = arguments
                added += [say(memory, f"tea {number} {at}", user) for at in range(times)]
            elif kind == "search":
                where = {"user_id": arguments[0]}
                seen.append(memory.search("tea 3", filters=where, top_k=9))
            elif kind == "delete_all":
                memory.delete_all(user_id=arguments[0])
            elif kind == "reset":
                memory.reset()
                memory.embedding_model = HashEmbedder(8)
            elif kind == "update":
                memory.update(target, f"coffee {number}")
            elif kind == "delete":
                memory.delete(target)
            else:
                seen.append(memory.history(target))
        except ValueError as error:
            seen.append(str(error))
    seen += [memory.get_all(filters={"user_id": user}, top_k=1000) for user in USERS]
    return [*seen, *(memory.history(each) for each in added)]


_BY_USER = ("add", "search", "delete_all", "reset")


@examples(30)
@given(script=st.lists(steps, max_size=12))
def test_whatever_is_called_memory_and_file_show_the_same(
    tmp_path_factory: pytest.TempPathFactory, script: list[tuple[Any, ...]]
) -> None:
    path = tmp_path_factory.mktemp("held") / "memory.db"
    on_disk, in_memory = make(str(path)), make()
    assert carry_out(in_memory, script) == carry_out(on_disk, script)
    on_disk.close()
    in_memory.close()
