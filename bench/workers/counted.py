"""One operation, again and again, in a process whose instructions are counted; see `bench.check`.

Nothing in it is left to chance: ids and times are numbers that count up, and the memories are those
of a file that this script makes beforehand (`operation=fill`). The counted cost of an operation is
the difference between many calls and none, so everything before the first call cancels out.
"""

from __future__ import annotations

import gc
import os

import kit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Call = Callable[[int], object]

USER = "user"
WHERE = {"user_id": USER}
MEMORIES = 2_000
FACTS = 10
NAMES = "Where did Ana and Bruno cook near Lisbon?"
SPREAD = 0x9E3779B97F4A7C15F39CC0605CEDC835
LATER = 500_000
"""The clock's number when an operation begins; what filled the file used fewer."""


def fixed_clock(start: int = LATER) -> Any:
    """A clock of isomem's own kind whose every time and id is a counter's next number.

    Ids are scattered as random ones are, so that an index is filled in the same way.
    """
    from isomem.clock import Clock

    class FixedClock(Clock):
        number = start

        def next(self) -> int:
            self.number += 1
            return self.number

        def now(self) -> str:
            return f"2026-01-01T00:00:00.{self.next() % 10**6:06d}+00:00"

        def today(self) -> str:
            return "2026-01-01"

        def new_id(self) -> str:
            digits = f"{self.next() * SPREAD % 2**128:032x}"
            return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:]}"

        def new_row_id(self) -> str:
            ordered = f"{self.next():012x}"
            return f"{ordered[:8]}-{ordered[8:]}-7{self.new_id()[15:]}"

    return FixedClock()


def opened(given: dict[str, Any], place: str, facts: int = FACTS, start: int = LATER) -> Any:
    """A memory in memory ("memory"), or over the file in the folder ("disk")."""
    of_place = {**given, "system": f"isomem-{place}", "clock": fixed_clock(start)}
    return kit.build(of_place, kit.Constant(), kit.Facts(facts))


def fill(given: dict[str, Any]) -> None:
    """Makes the file that most operations begin with, and the list of its ids."""
    memory = opened(given, "disk", MEMORIES // 20, start=0)
    ids = [
        result["id"]
        for at in range(20)
        for result in memory.add(f"What happened on day {at}", user_id=USER)["results"]
    ]
    memory.close()
    with open(f"{given['folder']}/ids", "w", encoding="ascii") as file:  # noqa: PTH123
        file.write("\n".join(ids))


# --- Operations: each prepares what is not counted, and returns one call ----------------------


def importing(given: dict[str, Any]) -> Call:
    del given
    return lambda _: __import__("isomem")


def add_memory(given: dict[str, Any]) -> Call:
    return _adding(opened(given, "memory"))


def add_disk(given: dict[str, Any]) -> Call:
    return _adding(opened(given, "disk"))


def _adding(memory: Any) -> Call:
    def add(at: int) -> None:
        memory.add(kit.item(at), user_id=USER, infer=False)

    for at in range(20):
        add(-at)
    return add


def add_inferred(given: dict[str, Any]) -> Call:
    memory = opened(given, "memory")

    def add(at: int) -> None:
        memory.add(f"What happened on day {at}", user_id=USER)

    add(-1)
    return add


def update(given: dict[str, Any]) -> Call:
    memory, ids = _filled(given)

    def change(at: int) -> None:
        memory.update(ids[at * 7], f"Elena found item {at} {kit.WORDS} in Porto")

    return change


def delete(given: dict[str, Any]) -> Call:
    memory, ids = _filled(given)
    return lambda at: memory.delete(ids[at * 7])


def search(given: dict[str, Any]) -> Call:
    memory, _ = _filled(given)
    return lambda _: memory.search(kit.QUERY, filters=WHERE)


def search_names(given: dict[str, Any]) -> Call:
    memory, _ = _filled(given)
    return lambda _: memory.search(NAMES, filters=WHERE)


def search_changed(given: dict[str, Any]) -> Call:
    memory, ids = _filled(given)

    def change(at: int) -> None:
        memory.update(ids[at * 7], f"an updated item {at} {kit.WORDS}")
        memory.search(kit.QUERY, filters=WHERE)

    return change


def search_first(given: dict[str, Any]) -> Call:
    memory = opened(given, "disk")
    return lambda _: memory.search(kit.QUERY, filters=WHERE)


def get_all(given: dict[str, Any]) -> Call:
    memory, _ = _filled(given)
    return lambda _: memory.get_all(filters=WHERE)


def _filled(given: dict[str, Any]) -> tuple[Any, list[str]]:
    """A memory over the file, its scope in the cache, and the ids in it."""
    memory = opened(given, "disk")
    for query in (kit.QUERY, NAMES):
        memory.search(query, filters=WHERE)
    with open(f"{given['folder']}/ids", encoding="ascii") as file:  # noqa: PTH123
        return memory, file.read().split()


OPERATIONS: dict[str, Callable[[dict[str, Any]], Call]] = {
    "import": importing,
    "add_memory": add_memory,
    "add_disk": add_disk,
    "add_inferred": add_inferred,
    "update": update,
    "delete": delete,
    "search": search,
    "search_names": search_names,
    "search_changed": search_changed,
    "search_first": search_first,
    "get_all": get_all,
}


def main(given: dict[str, Any]) -> None:
    """Options: `operation`, `calls`, and `folder`, which `operation=fill` has filled."""
    if given["operation"] == "fill":
        fill(given)
        return
    call = OPERATIONS[given["operation"]](given)
    gc.collect()
    for at in range(given["calls"]):
        call(at)
    os._exit(0)  # closing and freeing are not counted


if __name__ == "__main__":
    main(kit.options())
