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
    took_ms = (perf_counter() - begun) * 1000
    resident = {"resident_mb": kit.memory_mb("VmRSS")}
    return resident if given["module"] == "nothing" else {"import_ms": took_ms, **resident}


if __name__ == "__main__":
    kit.finish(main(kit.options()))
