"""What an import costs: milliseconds, and what is resident after it."""

from __future__ import annotations

from time import perf_counter

import kit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def main(given: dict[str, Any]) -> dict[str, float]:
    """Option: `module`, "isomem", "mem0", or "nothing" for the bare interpreter."""
    begun = perf_counter()
    if given["module"] == "isomem":
        import isomem  # noqa: F401
    elif given["module"] == "mem0":
        import mem0  # noqa: F401
    took = perf_counter() - begun
    return {"import_ms": took * 1000, "resident_mb": kit.memory_mb("VmRSS")}


if __name__ == "__main__":
    kit.finish(main(kit.options()))
