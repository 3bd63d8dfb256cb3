"""How long a call of a store waits before it is made again."""

from __future__ import annotations

LONGEST_WAIT_S = 30.0


def wait_s(first_s: float, retries: int) -> float:
    """Seconds before the next try: twice as many each time, up to `LONGEST_WAIT_S`.

    Args:
        first_s: before the second try.
        retries: how many tries have failed after the first one.
    """
    return min(first_s * 2.0 ** min(retries, 30), LONGEST_WAIT_S)
