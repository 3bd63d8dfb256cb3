"""A process that starts, opens a store that is there, and answers one search."""

from __future__ import annotations

from time import perf_counter

import kit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def main(given: dict[str, Any]) -> dict[str, float]:
    """Options: `kit.build`'s, of a store that `fill.py` made."""
    from scopes import import_the_system

    times = [perf_counter()]
    import_the_system(given)
    times.append(perf_counter())
    memory = kit.build(given, kit.Constant())
    times.append(perf_counter())
    found = memory.search(kit.QUERY, filters={"user_id": "user0"})["results"]
    times.append(perf_counter())
    imported, opened, searched = ((times[at + 1] - times[at]) * 1000 for at in range(3))
    return {
        "import_ms": imported,
        "open_ms": opened,
        "first_search_ms": searched,
        "total_ms": imported + opened + searched,
        "found": len(found),
    }


if __name__ == "__main__":
    kit.finish(main(kit.options()))
