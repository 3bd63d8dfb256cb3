"""Updates, histories, deletes, and the removal of whole users of 100 memories each."""

from __future__ import annotations

import kit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

EACH = 100
"""Memories of a user: mem0's `delete_all` stops at 100."""


def main(given: dict[str, Any]) -> dict[str, float]:
    """Options: `kit.build`'s, `users`, and `calls` of each single operation."""
    embedder = kit.Constant()
    memory = kit.build(given, embedder)
    ids = {f"user{user}": fill(memory, f"user{user}") for user in range(given["users"])}
    some = list(kit.scattered(given["calls"], EACH * (given["users"] - 1)))
    known = [memory_id for user in list(ids)[1:] for memory_id in ids[user]]
    chosen = [known[at] for at in dict.fromkeys(some)]

    def per_call(call: Callable[[str], Any], whose: list[str]) -> float:
        times = kit.each(call, whose, embedder)
        return sum(times) / len(times) * 1e6

    def update(one: str) -> Any:
        return memory.update(one, f"an updated item {kit.WORDS}")

    return {
        "update_us": per_call(update, chosen),
        "history_us": per_call(memory.history, chosen),
        "get_us": per_call(memory.get, chosen),
        # The first user's memories are all still there.
        "delete_all_ms": per_call(lambda one: memory.delete_all(user_id=one), ["user0"]) / 1000,
        "delete_us": per_call(memory.delete, chosen),
        "left": left(memory, list(ids)),
        "wanted": len(known) - len(chosen),
    }


def fill(memory: Any, user: str) -> list[str]:
    """The ids of a user's new memories."""
    added = (memory.add(kit.item(at), user_id=user, infer=False) for at in range(EACH))
    return [result["results"][0]["id"] for result in added]


def left(memory: Any, users: list[str]) -> int:
    """How many memories there are."""
    found = (memory.get_all(filters={"user_id": user}, top_k=2 * EACH) for user in users)
    return sum(len(reply["results"]) for reply in found)


if __name__ == "__main__":
    kit.finish(main(kit.options()))
