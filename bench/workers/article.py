"""The article's workload: raw adds of one user, searches with that user's filter, one listing."""

from __future__ import annotations

from time import perf_counter

import kit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

USER = "user"
WHERE = {"user_id": USER}


def main(given: dict[str, Any]) -> dict[str, float]:
    """Options: `kit.build`'s, `memories`, `searches`, and `dims` for hash embeddings."""
    embedder = kit.Hashed(given["dims"]) if "dims" in given else kit.Constant()
    memory = kit.build(given, embedder)
    figures = {"add_us": add(memory, given["memories"], embedder)}
    if given["searches"]:
        figures |= search(memory, given["searches"], embedder)
    listing = kit.seconds(lambda: memory.get_all(filters=WHERE, top_k=20), embedder)
    return figures | {"get_all_ms": listing * 1000}


def add(memory: Any, count: int, embedder: Any) -> float:
    """Microseconds per raw add."""
    begun = perf_counter()
    for at in range(count):
        memory.add(f"memory item {at} {kit.WORDS}", user_id=USER, infer=False)
    took: float = perf_counter() - begun - embedder.spent
    return took / count * 1e6


def search(memory: Any, count: int, embedder: Any) -> dict[str, float]:
    """Milliseconds per search, over all of them and one by one."""

    def ask(_: int) -> None:
        memory.search(kit.QUERY, filters=WHERE)

    times = kit.each(ask, range(count), embedder)
    return {**kit.spread("search", times), "first_search_ms": times[0] * 1000}


if __name__ == "__main__":
    kit.finish(main(kit.options()))
