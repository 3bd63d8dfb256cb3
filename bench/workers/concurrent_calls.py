"""The asynchronous class: many adds at once, then many searches, over a slow model."""

from __future__ import annotations

import asyncio
from time import perf_counter

import kit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

USERS = 20


async def main(given: dict[str, Any]) -> dict[str, float]:
    """Options: `kit.build`'s, `calls`, `latency_ms` of every call of a model or embedder.

    `providers` is "awaited", with methods that leave the loop free (isomem takes them), or
    "blocking", with none.
    """
    latency, calls = given["latency_ms"] / 1000, given["calls"]
    awaited = given["providers"] == "awaited"
    embedder = (kit.SlowAwaitable if awaited else kit.Slow)(latency)
    model = (kit.FactsAwaitable if awaited else kit.Facts)(1, latency)
    memory = kit.build({**given, "asynchronous": 1}, embedder, model)

    async def add(at: int) -> Any:
        return await memory.add(f"What happened on day {at}", user_id=f"user{at % USERS}")

    async def search(at: int) -> Any:
        return await memory.search(kit.QUERY, filters={"user_id": f"user{at % USERS}"})

    figures: dict[str, float] = {}
    for name, call in (("add", add), ("search", search)):
        begun = perf_counter()
        results = await asyncio.gather(*map(call, range(calls)), return_exceptions=True)
        took = perf_counter() - begun
        failed = sum(isinstance(result, BaseException) for result in results)
        figures |= {f"{name}_s": took, f"{name}_per_s": calls / took, f"{name}_failed": failed}
    return figures | {"stored": await stored(memory, calls), "wanted": calls}


async def stored(memory: Any, at_most: int) -> int:
    """How many memories there are."""
    found = 0
    for user in range(USERS):
        reply = await memory.get_all(filters={"user_id": f"user{user}"}, top_k=at_most)
        found += len(reply["results"])
    return found


if __name__ == "__main__":
    kit.finish(asyncio.run(main(kit.options())))
