"""What this machine does by itself: what a flushed write costs, and how fast Python is here."""

from __future__ import annotations

import os
from time import perf_counter

import kit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PAGE = bytes(4096)


def main(given: dict[str, Any]) -> dict[str, float]:
    """Options: `folder`, `writes`, and `turns` of a loop."""
    file = os.open(f"{given['folder']}/pages", os.O_CREAT | os.O_WRONLY)
    times = []
    for _ in range(given["writes"]):
        begun = perf_counter()
        os.write(file, PAGE)
        os.fdatasync(file)
        times.append(perf_counter() - begun)
    begun = perf_counter()
    total = 0
    for turn in range(given["turns"]):
        total += turn
    return {
        "flush_us": sorted(times)[len(times) // 2] * 1e6,
        "loop_ns": (perf_counter() - begun) / given["turns"] * 1e9,
    }


if __name__ == "__main__":
    kit.finish(main(kit.options()))
