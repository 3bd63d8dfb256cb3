"""What is resident per memory stored: the slope between two sizes of one process."""

from __future__ import annotations

import kit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def main(given: dict[str, Any]) -> dict[str, float]:
    """Options: `kit.build`'s, `small` and `large` numbers of memories, and `dims`."""
    embedder = kit.Hashed(given["dims"]) if "dims" in given else kit.Constant()
    memory = kit.build(given, embedder)
    sizes = [given["small"], given["large"]]
    resident = []
    for begin, end in zip([0, *sizes], sizes, strict=False):
        for at in range(begin, end):
            memory.add(kit.item(at), user_id="user", infer=False)
        for _ in range(3):
            memory.search(kit.QUERY, filters={"user_id": "user"})
        resident.append(kit.memory_mb("VmRSS"))
    grown = (resident[1] - resident[0]) * kit.MB
    return {
        "small_mb": resident[0],
        "large_mb": resident[1],
        "per_memory_bytes": grown / (sizes[1] - sizes[0]),
    }


if __name__ == "__main__":
    kit.finish(main(kit.options()))
