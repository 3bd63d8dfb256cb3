"""Many threads on one memory, and many processes on the same data where the engine takes them."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from isomem.errors import MemoryNotFoundError
from isomem.stores.turns import WRITING
from tests.stores.adapters import Adapter
from tests.stores.conftest import Open, say, texts

pytestmark = pytest.mark.filterwarnings("ignore")

THREADS = 4
CALLS = 12

CHILD = """
import sys
from pathlib import Path
from tests.stores.adapters import ADAPTERS
name, folder, user = sys.argv[1:]
adapter = next(each for each in ADAPTERS if each.name == name)
memory = adapter.open(Path(folder))
for n in range(5):
    memory.add(f"{user} note {n}", user_id=user, infer=False)
found = memory.get_all(filters={"user_id": user})["results"]
assert sorted(each["memory"] for each in found) == [f"{user} note {n}" for n in range(5)]
memory.close()
"""


def test_threads_lose_nothing_and_see_their_own_scope(memory: Any, adapter: Adapter) -> None:
    if not adapter.can.threads:
        pytest.skip("its class is not made for threads")

    def work(number: int) -> list[str]:
        user = f"user{number}"
        for n in range(CALLS):
            one = say(memory, f"{user} note {n}", user_id=user)
            found = texts(memory.search(f"note {n}", filters={"user_id": user}, threshold=0.0))
            assert all(each.startswith(user) for each in found)
            if n % 3 == 0:
                memory.update(one, f"{user} changed {n}")
            elif n % 3 == 1:
                memory.delete(one)
        return texts(memory.get_all(filters={"user_id": user}))

    with ThreadPoolExecutor(THREADS) as pool:
        left = [*pool.map(work, range(THREADS))]
    for number, found in enumerate(left):
        changed = {f"user{number} changed {n}" for n in range(0, CALLS, 3)}
        kept = {f"user{number} note {n}" for n in range(2, CALLS, 3)}
        assert {*found} == changed | kept


def links_of(memory: Any) -> dict[str, list[list[str]]]:
    """The memories that each entity links to, by its text; each list is one entity's."""
    links: dict[str, list[list[str]]] = {}
    for entity in memory.entity_store.list(top_k=1000)[0]:
        payload = entity.payload
        links.setdefault(payload["data"], []).append(sorted(payload["linked_memory_ids"]))
    return {text: sorted(linked) for text, linked in links.items()}


def in_threads(work: Callable[[Any], object], items: Sequence[Any]) -> None:
    """Does something with each item, in `THREADS` threads."""
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(work, items):
            pass


@pytest.fixture
def about_carol(memory: Any, adapter: Adapter) -> list[str]:
    """The ids of memories that are to be about one person."""
    if not adapter.can.threads:
        pytest.skip("its class is not made for threads")
    return [say(memory, f"note {n}") for n in range(2 * CALLS)]


def test_threads_that_name_one_entity_lose_no_link(memory: Any, about_carol: list[str]) -> None:
    in_threads(lambda one: memory.update(one, "Carol Jones moved to New York"), about_carol)
    everything = [sorted(about_carol)]
    assert links_of(memory) == {"Carol Jones": everything, "New York": everything}


def test_threads_that_remove_memories_leave_none_of_their_entities(
    memory: Any, about_carol: list[str]
) -> None:
    for one in about_carol:
        memory.update(one, f"Carol Jones was here {one[:4]}")
    in_threads(memory.delete, about_carol)
    assert links_of(memory) == {}


def test_threads_that_change_and_remove_the_same_memories_leave_what_agrees(
    memory: Any, about_carol: list[str]
) -> None:
    def work(one: str) -> None:
        with suppress(MemoryNotFoundError, ValueError):  # Another one has removed it.
            if random.random() < 0.3:
                memory.delete(one)
            else:
                memory.update(one, random.choice(["Carol Jones was here", "Ana Silva was here"]))

    in_threads(work, [*about_carol, *about_carol, *about_carol])
    expected: dict[str, list[list[str]]] = {}
    for each in memory.get_all(filters={"user_id": "ana"}, top_k=100)["results"]:
        if each["memory"].endswith("was here"):
            expected.setdefault(each["memory"][: -len(" was here")], [[]])[0].append(each["id"])
    assert links_of(memory) == {name: [sorted(linked)] for name, [linked] in expected.items()}
    for one in about_carol:
        last, found = memory.history(one)[-1], memory.get(one)
        assert (last["event"] == "DELETE") == (found is None)
        assert found is None or found["memory"] == last["new_memory"]


def test_clearing_a_scope_removes_memories_as_they_are_then(memory: Any) -> None:
    """And not as they were when they were listed."""
    removed, changed, other = [say(memory, text) for text in ("one", "two", "three")]
    store = memory.vector_store
    listing, told = store.list, threading.Event()

    def first_listing(*args: Any, **kwargs: Any) -> Any:
        found = listing(*args, **kwargs)
        if not told.is_set():
            told.set()
            in_threads(lambda call: call(), [
                lambda: memory.delete(removed), lambda: memory.update(changed, "changed")
            ])  # fmt: skip
        return found

    store.list = first_listing
    memory.delete_all(user_id="ana")
    del store.list
    events = {
        one: [(row["event"], row["old_memory"]) for row in memory.history(one)]
        for one in (removed, changed, other)
    }
    assert events[other] == [("ADD", None), ("DELETE", "three")]
    if told.is_set():  # Others find what to remove in the transaction that removes it.
        assert events[removed] == [("ADD", None), ("DELETE", "one")]
        assert events[changed] == [("ADD", None), ("UPDATE", "two"), ("DELETE", "changed")]
    assert texts(memory.get_all(filters={"user_id": "ana"})) == []


def test_clearing_a_scope_lets_others_write_in_between(memory: Any) -> None:
    """Whoever waits for one of its memories, or closes it, does not wait for all of them."""
    for number in range(5):
        say(memory, f"note {number}")
    store, seen = memory.vector_store, list[int]()
    delete = store.delete

    def noted(*args: Any, **kwargs: Any) -> None:
        [held] = [each.about[1] for each in [*WRITING.places] if each.is_mine()]
        seen.append(len(held))
        delete(*args, **kwargs)

    store.delete = noted
    memory.delete_all(user_id="ana")
    del store.delete
    assert seen in ([], [1] * 5)  # Others remove all of them in one transaction.
    assert memory.count(filters={"user_id": "ana"}) == 0


def test_calls_of_an_event_loop_that_remove_memories_leave_none_of_their_entities(
    adapter: Adapter, tmp_path: Path
) -> None:
    if not adapter.can.threads or adapter.missing():
        pytest.skip(adapter.missing() or "its class is not made for threads")

    async def main() -> dict[str, list[list[str]]]:
        async with adapter.made(tmp_path, "AsyncMemory") as memory:
            notes = [{"role": "user", "content": f"note {n}"} for n in range(2 * CALLS)]
            added = await memory.add(notes, user_id="ana", infer=False)
            ids = [one["id"] for one in added["results"]]
            await asyncio.gather(*(memory.update(one, "Carol Jones was here") for one in ids))
            assert links_of(memory) == {"Carol Jones": [sorted(ids)]}
            await asyncio.gather(*map(memory.delete, ids))
            return links_of(memory)

    assert asyncio.run(main()) == {}


def test_two_memories_over_the_same_data_lose_no_link(open_memory: Open, adapter: Adapter) -> None:
    if not adapter.can.processes:
        pytest.skip("the data is in one object alone")
    memories = [open_memory(), open_memory()]
    ids = [say(memories[0], f"note {n}") for n in range(2 * CALLS)]

    def work(one: str) -> None:
        memories[ids.index(one) % 2].update(one, "Carol Jones was here")

    in_threads(work, ids)
    assert links_of(memories[0]) == {"Carol Jones": [sorted(ids)]}


def test_clearing_a_scope_removes_what_a_process_has_left_that_died(
    memory: Any, adapter: Adapter
) -> None:
    if adapter.can.atomic:
        pytest.skip("a removal is one transaction")
    one, other = (say(memory, "note", user_id=user) for user in ("ana", "bob"))
    for memory_id in (one, other):
        memory.update(memory_id, "Carol Jones was here")
    memory.stores.vectors.delete(vector_id=one)
    assert links_of(memory) == {"Carol Jones": sorted([[one], [other]])}
    memory.delete_all(user_id="ana")
    assert links_of(memory) == {"Carol Jones": [[other]]}


def test_processes_share_the_data_or_the_second_is_refused(
    open_memory: Open, adapter: Adapter, tmp_path: Path
) -> None:
    if adapter.equip is not None or adapter.name.endswith("-memory"):
        pytest.skip("the data is in one process alone")
    memory = open_memory()
    command = [sys.executable, "-W", "ignore", "-c", CHILD, adapter.name, str(tmp_path)]
    children = [
        subprocess.Popen([*command, f"user{n}"], stderr=subprocess.PIPE, text=True)
        for n in range(2)
    ]
    said = [child.communicate(timeout=120)[1] for child in children]
    if not adapter.can.processes:
        assert all("already" in each and "VectorStoreError" in each for each in said), said
        assert memory.scopes() == []
        return
    assert [child.returncode for child in children] == [0, 0], json.dumps(said)
    scopes = {each["user_id"]: each["memories"] for each in memory.scopes()}
    assert scopes == {"user0": 5, "user1": 5}
