"""Durable adds of many threads of one process: together, or one by one behind a lock."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, nullcontext
from time import perf_counter, sleep

import kit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


DISKS: list[Any] = []
"""What SQLite opens files with has to live as long as they do."""


def main(given: dict[str, Any]) -> dict[str, float]:
    """Options: `kit.build`'s, `writers`, `memories` in all, `one_by_one` for the lock around calls,
    and `flush_ms`, how much longer a flush takes than this disk needs (0 by default).
    """
    count = given["writers"]
    share = given["memories"] // count
    if given.get("flush_ms"):
        slow_down_flushes(given["flush_ms"] / 1000)
    memory = kit.build(given, kit.Constant())
    turn: AbstractContextManager[object] = nullcontext()
    if given.get("one_by_one"):
        turn = threading.Lock()
    start = threading.Barrier(count + 1)
    threads = [
        threading.Thread(target=write, args=(memory, number, share, turn, start))
        for number in range(count)
    ]
    for thread in threads:
        thread.start()
    start.wait()
    begun = perf_counter()
    for thread in threads:
        thread.join()
    took = perf_counter() - begun
    return {"adds_per_s": share * count / took, "lost": share * count - stored(memory, count)}


def write(memory: Any, number: int, share: int, turn: Any, start: threading.Barrier) -> None:
    """The adds of one thread, each for a user of its own, after all have begun."""
    start.wait()
    for at in range(share):
        with turn:
            memory.add(kit.item(at), user_id=f"user{number}", infer=False)


def stored(memory: Any, count: int) -> int:
    """How many memories there are."""
    found = (memory.get_all(filters={"user_id": f"user{at}"}, top_k=10_000) for at in range(count))
    return sum(len(reply["results"]) for reply in found)


def slow_down_flushes(seconds: float) -> None:
    """Every flush of a file that SQLite opens from now on takes that much longer."""
    import apsw

    system = apsw.vfs_names()[0]

    class SlowFile(apsw.VFSFile):
        def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name
            sleep(seconds)
            super().xSync(flags)

    class SlowDisk(apsw.VFS):
        def xOpen(self, name: Any, flags: Any) -> apsw.VFSFile:  # noqa: N802 - SQLite's name
            return SlowFile(system, name, flags)

    DISKS.append(SlowDisk("slow", system, makedefault=True))


if __name__ == "__main__":
    kit.finish(main(kit.options()))
