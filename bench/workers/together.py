"""Durable adds of many threads, tasks and processes on one file, against one by one.

`python bench/workers/together.py` prints the ratios. Each pair is measured in turn, several times,
and its median counts, so that a busy machine disturbs both sides.

Options: `folder`; `adds` of each measurement; `rounds`; `flush_ms` that every commit takes longer
than the disk needs, with `synchronous` off or not.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
from statistics import median
from time import perf_counter, sleep

import kit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

THREADS = (16, 64)


def opened(given: dict[str, Any], **more: Any) -> Any:
    """A memory on a new file that has been written to, with the flush that was asked for."""
    folder = tempfile.mkdtemp(dir=given["folder"])
    options = {**given, "system": "isomem-disk", "folder": folder, **more}
    memory = kit.build(options, kit.Constant())
    if not more.get("asynchronous"):
        memory.add("first", user_id="user", infer=False)
        slow_down(memory, given["flush_ms"] / 1000)
    return memory


def slow_down(memory: Any, wait_s: float) -> None:
    """From now on every commit of a write takes longer, as long as the file stays open."""
    database = memory.vector_store.database
    execute = database.execute

    def slow(sql: str, *values: Any) -> Any:
        if sql == "COMMIT" and wait_s and database.connection.txn_state("main") == 2:
            sleep(wait_s)
        return execute(sql, *values)

    database.execute = slow


def one_by_one(memory: Any) -> None:
    """From now on every write has a transaction of its own."""
    stores = memory.stores

    def write(work: Any, *values: Any) -> Any:
        with stores._database.writing():
            return work(*values)

    stores._write = write


def threads_per_s(given: dict[str, Any], count: int, *, alone: bool) -> float:
    """Adds per second of some threads."""
    memory = opened(given)
    if alone:
        one_by_one(memory)
    share = given["adds"] // count

    def add(user: int) -> None:
        for at in range(share):
            memory.add(kit.item(at), user_id=f"user{user}", infer=False)

    threads = [threading.Thread(target=add, args=(user,)) for user in range(count)]
    begun = perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = perf_counter() - begun
    memory.close()
    return share * count / took


def tasks_per_s(given: dict[str, Any], *, alone: bool) -> float:
    """Adds per second of many tasks."""

    async def main() -> float:
        memory = opened(given, asynchronous=1)
        await memory.add("first", user_id="user", infer=False)
        slow_down(memory, given["flush_ms"] / 1000)
        if alone:
            memory.stores.shares = lambda _: False
        adds = (
            memory.add(kit.item(at), user_id=f"user{at % 20}", infer=False)
            for at in range(given["adds"])
        )
        begun = perf_counter()
        await asyncio.gather(*adds)
        took = perf_counter() - begun
        await memory.aclose()
        return given["adds"] / took

    return asyncio.run(main())


def processes_per_s(given: dict[str, Any], count: int) -> float:
    """Adds per second of some processes, each with one thread."""
    memory = opened(given)
    share = given["adds"] // count
    ready, go = os.pipe(), os.pipe()
    children = []
    for user in range(count):
        child = os.fork()
        if not child:
            memory.add("first", user_id=f"user{user}", infer=False)
            slow_down(memory, given["flush_ms"] / 1000)
            os.close(go[1])
            os.write(ready[1], b".")
            os.read(go[0], 1)  # Until the parent lets all of them go.
            for at in range(share):
                memory.add(kit.item(at), user_id=f"user{user}", infer=False)
            os._exit(0)
        children.append(child)
    for _ in children:
        os.read(ready[0], 1)
    begun = perf_counter()
    os.close(go[1])
    for child in children:
        os.waitpid(child, 0)
    took = perf_counter() - begun
    for end in (*ready, go[0]):
        os.close(end)
    memory.close()
    return share * count / took


def main(given: dict[str, Any]) -> dict[str, float]:
    """The median ratios, and the medians that they are of."""
    given = {"adds": 1600, "rounds": 5, "flush_ms": 0, "folder": tempfile.mkdtemp(), **given}
    pairs: dict[str, tuple[Callable[[], float], Callable[[], float]]] = {
        f"threads_{count}": (
            lambda count=count: threads_per_s(given, count, alone=True),
            lambda count=count: threads_per_s(given, count, alone=False),
        )
        for count in THREADS
    }
    pairs["tasks"] = (
        lambda: tasks_per_s(given, alone=True),
        lambda: tasks_per_s(given, alone=False),
    )
    pairs["processes_4"] = (
        lambda: processes_per_s(given, 1),
        lambda: processes_per_s(given, 4),
    )
    figures: dict[str, float] = {}
    for name, (before, after) in pairs.items():
        rounds = [(before(), after()) for _ in range(given["rounds"])]
        figures[f"{name}_ratio"] = median(now / then for then, now in rounds)
        figures[f"{name}_from_per_s"] = median(then for then, _ in rounds)
        figures[f"{name}_to_per_s"] = median(now for _, now in rounds)
    return figures


if __name__ == "__main__":
    kit.finish(main(kit.options()))
