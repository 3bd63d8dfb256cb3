"""How long the calls of the asynchronous class keep everything else from the event loop."""

from __future__ import annotations

import asyncio
from time import perf_counter, thread_time

import kit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    Call = Callable[[int], Awaitable[object]]

USER = "user"
WHERE = {"user_id": USER}
BEAT_S = 0.001


class Watch:
    """A task that wants to run every millisecond, and notes how late it is.

    Attributes:
        late_s: the longest time that it had to wait beyond its millisecond, without the time in
            which the loop's thread was ready and other threads of the machine had the processors.
        cpu_s: the most processor time of the loop's thread between two beats: work on the loop
            itself. The rest of `late_s` is waiting for the interpreter lock.
    """

    def __init__(self) -> None:
        self.late_s = self.cpu_s = 0.0
        self._is_watching = True

    async def run(self) -> None:
        while self._is_watching:
            begun, cpu, queued = perf_counter(), thread_time(), queued_s()
            await asyncio.sleep(BEAT_S)
            late = perf_counter() - begun - BEAT_S - (queued_s() - queued)
            self.late_s = max(self.late_s, late)
            self.cpu_s = max(self.cpu_s, thread_time() - cpu)

    def restart(self) -> None:
        self.late_s = self.cpu_s = 0.0

    def stop(self) -> None:
        self._is_watching = False


def queued_s() -> float:
    """How long the main thread has waited for a processor so far, as Linux counts it."""
    with open("/proc/self/schedstat", encoding="ascii") as file:  # noqa: PTH123
        return int(file.read().split()[1]) / 1e9


async def watched(call: Call, at: int) -> Watch:
    """One call, watched."""
    watch = Watch()
    beating = asyncio.create_task(watch.run())
    await asyncio.sleep(5 * BEAT_S)
    watch.restart()
    await call(at)
    await asyncio.sleep(0)
    watch.stop()
    await beating
    return watch


async def least(call: Call, repeats: int) -> tuple[float, float]:
    """The milliseconds of both kinds, each the least that a repetition of the call had.

    The least, since another process that takes the processor makes any repetition worse.
    """
    watches = [await watched(call, at) for at in range(repeats)]
    return (
        min(watch.late_s for watch in watches) * 1000,
        min(watch.cpu_s for watch in watches) * 1000,
    )


async def main(given: dict[str, Any]) -> dict[str, float]:
    """Options: `kit.build`'s, `memories` of one user, and `repeats`."""
    repeats, most = given["repeats"], given["memories"]

    def opened() -> Any:
        return kit.build({**given, "asynchronous": 1}, kit.Constant(), kit.Facts(10))

    memory = opened()
    await fill(memory, USER, most)
    some = (await memory.get_all(filters=WHERE, top_k=2 * repeats))["results"]
    ids = [one["id"] for one in some]
    calls: dict[str, Call] = {
        "idle": lambda _: asyncio.sleep(0.05),
        "add": lambda at: memory.add(kit.item(at), user_id=USER, infer=False),
        "inferred": lambda at: memory.add(f"What happened on day {at}", user_id=USER),
        "search": lambda _: memory.search(kit.QUERY, filters=WHERE),
        "get_all": lambda _: memory.get_all(filters=WHERE, top_k=most // 2),
        "update": lambda at: memory.update(ids[at], f"an updated item {kit.WORDS}"),
        "history": lambda at: memory.history(ids[at]),
        "delete": lambda at: memory.delete(ids[at]),
    }
    found = {name: await least(call, repeats) for name, call in calls.items()}
    found["first_search"] = await first_search(opened, repeats)
    found["delete_all"] = await least(lambda _: memory.delete_all(user_id=USER), 1)
    found["reset"] = await least(lambda _: memory.reset(), repeats)
    return figures(found)


async def fill(memory: Any, user: str, count: int) -> None:
    """So many of the article's texts, in 20 calls."""
    model, memory.llm = memory.llm, kit.Facts(count // 20, plain=True)
    for at in range(20):
        await memory.add(f"What happened on day {at}", user_id=user)
    memory.llm = model


async def first_search(opened: Callable[[], Any], repeats: int) -> tuple[float, float]:
    """As `least`, of a search by a memory that has loaded nothing yet."""
    found = []
    for _ in range(repeats):
        memory = opened()
        found.append(await least(lambda _: memory.search(kit.QUERY, filters=WHERE), 1))  # noqa: B023
        await memory.aclose()
    return min(late for late, _ in found), min(cpu for _, cpu in found)


def figures(found: dict[str, tuple[float, float]]) -> dict[str, float]:
    """The waiting of each call, and the longest of all calls."""
    held = {f"{name}_held_ms": late for name, (late, _) in found.items()}
    calls = [each for name, each in found.items() if name != "idle"]
    return {
        **held,
        "held_ms": max(late for late, _ in calls),
        "on_loop_ms": max(cpu for _, cpu in calls),
    }


if __name__ == "__main__":
    kit.finish(asyncio.run(main(kit.options())))
