"""Makes a store for others to open: one inferred add for each user, with all memories of it."""

from __future__ import annotations

import kit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def main(given: dict[str, Any]) -> dict[str, float]:
    """Options: `kit.build`'s, `users`, and `each`, the memories of one."""
    embedder = kit.Constant()
    memory = kit.build(given, embedder, kit.Facts(given["each"], plain=True))

    def add_all() -> None:
        for user in range(given["users"]):
            memory.add("What happened", user_id=f"user{user}")
        if given["system"] == "mem0-disk":
            memory.vector_store.client.close()
        memory.close()

    took = kit.seconds(add_all, embedder)
    return {"fill_s": took, "fact_us": took / (given["users"] * given["each"]) * 1e6}


if __name__ == "__main__":
    kit.finish(main(kit.options()))
