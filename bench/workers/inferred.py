"""Inferred adds: one call of a scripted model gives several facts, all of them new."""

from __future__ import annotations

from time import perf_counter

import kit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

USERS = 10


def main(given: dict[str, Any]) -> dict[str, float]:
    """Options: `kit.build`'s, `calls`, and `facts` per call."""
    calls, facts = given["calls"], given["facts"]
    memory = kit.build(given, kit.Constant(), kit.Facts(facts))
    begun = perf_counter()
    for at in range(calls):
        memory.add(f"What happened on day {at}", user_id=f"user{at % USERS}")
    took = perf_counter() - begun
    return {"fact_us": took / (calls * facts) * 1e6, "stored": stored(memory, calls * facts)}


def stored(memory: Any, at_most: int) -> int:
    """How many memories there are."""
    return sum(
        len(memory.get_all(filters={"user_id": f"user{user}"}, top_k=at_most)["results"])
        for user in range(USERS)
    )


if __name__ == "__main__":
    kit.finish(main(kit.options()))
