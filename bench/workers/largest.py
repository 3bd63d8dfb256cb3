"""Very many memories in one file: fills it, or opens it and calls it here and there.

Half of the memories are in small scopes, the other half in large ones.
"""

from __future__ import annotations

import os
from pathlib import Path
from time import perf_counter

import kit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TOLD_EVERY = 100_000
"""Memories between two lines of the file `progress`, for those who wait."""


def main(given: dict[str, Any]) -> dict[str, float]:
    """Options: `kit.build`'s, `memories`, `dims`, `large`, the memories of a large scope, `calls`
    of each kind, and `fill`: 1 makes the file.
    """
    embedder = kit.Paired(given["dims"])
    if given.get("fill"):
        return filled(kit.build({**given, "synchronous": "off"}, embedder), given)
    import isomem  # noqa: F401 - opening is measured without the import

    begun = perf_counter()
    memory = kit.build(given, embedder)
    figures = {"open_ms": (perf_counter() - begun) * 1000}
    for kind, size in (("small", kit.SMALL), ("large", given["large"])):
        figures |= searched(memory, kind, given["memories"] // 2 // size, given["calls"])
    figures |= added(memory, given["memories"] // 2 // kit.SMALL, given["calls"])
    return figures | {"resident_mb": kit.memory_mb("VmRSS")}


# --- Filling ---------------------------------------------------------------------------------


def filled(memory: Any, given: dict[str, Any]) -> dict[str, float]:
    """One raw add for each scope, then what was told to the system is on the disk."""
    begun, done, times = perf_counter(), 0, []
    for user, numbers in kit.layout(given["memories"], given["large"]):
        memory.add(kit.said(numbers), user_id=user, infer=False)
        done += (count := len(numbers))
        if done % TOLD_EVERY < count:
            times.append(perf_counter() - begun)
            tell(given, f"{done:,} memories after {times[-1]:,.0f} s")
    memory.close()
    os.sync()
    took = perf_counter() - begun
    return {
        "fill_s": took,
        "fill_us": took / done * 1e6,
        "last_us": (times[-1] - times[-2]) / TOLD_EVERY * 1e6 if len(times) > 1 else 0.0,
        "filled": done,
        "file_mb": sum(path.stat().st_size for path in Path(given["folder"]).glob("memory.db*"))
        / kit.MB,
    }


def tell(given: dict[str, Any], line: str) -> None:
    with (Path(given["folder"]) / "progress").open("a", encoding="ascii") as file:
        file.write(f"{line}\n")


# --- Calling ---------------------------------------------------------------------------------


def searched(memory: Any, kind: str, scopes: int, calls: int) -> dict[str, float]:
    """Searches in random scopes of one kind, most of them for the first time; then once more."""
    figures: dict[str, float] = {}
    for name in (kind, f"{kind}_again"):
        times = []
        for at in kit.scattered(calls, scopes):
            begun = perf_counter()
            memory.search(kit.question(at), filters={"user_id": f"{kind}{at}"})
            times.append(perf_counter() - begun)
        figures[f"{name}_median_ms"] = kit.percentile(times, 0.5)
        figures[f"{name}_p95_ms"] = kit.percentile(times, 0.95)
    return figures


def added(memory: Any, scopes: int, calls: int) -> dict[str, float]:
    """Durable raw adds, each to a random small scope."""
    times = []
    for number, at in enumerate(kit.scattered(calls, scopes)):
        begun = perf_counter()
        memory.add(kit.note(-number), user_id=f"small{at}", infer=False)
        times.append(perf_counter() - begun)
    return {
        "durable_median_ms": kit.percentile(times, 0.5),
        "durable_p95_ms": kit.percentile(times, 0.95),
    }


if __name__ == "__main__":
    kit.finish(main(kit.options()))
