"""How many examples a property is tried on.

`FUZZ=50` in the environment multiplies them; `make test-fast` takes a tenth.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

FACTOR = float(os.environ.get("FUZZ", "1"))


def examples(number: int, *, steps: int = 50) -> settings:
    """Settings for one property. A slow machine is not a failure."""
    return settings(
        max_examples=max(1, round(number * FACTOR)),
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
