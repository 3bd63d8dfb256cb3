"""How many examples a property is tried on: `FUZZ=50` in the environment multiplies them."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

FACTOR = int(os.environ.get("FUZZ", "1"))


def examples(number: int, *, steps: int = 50) -> settings:
    """Settings for one property. Slow machines are no failures."""
    return settings(
        max_examples=number * FACTOR,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
