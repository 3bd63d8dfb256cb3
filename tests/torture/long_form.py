"""How long a torture test runs: short in `make test`, long where ISOMEM_TORTURE is a number."""

from __future__ import annotations

import os

SCALE = int(os.environ.get("ISOMEM_TORTURE", "0"))


def rounds(*, short: int, long: int) -> int:
    """`short`; with ISOMEM_TORTURE=N, N times `long`."""
    return long * SCALE if SCALE else short
