"""How the work on a text grows with its length, in processor time: other work does not count."""

from __future__ import annotations

import time
from collections.abc import Callable

LONG, SHORT = 1_000_000, 250_000
"""Characters."""

ATTEMPTS = 4
"""A processor that others use, too, is slower at moments, and never faster than it is."""


def check_linear(work: Callable[[str], object], text_of: Callable[[int], str]) -> None:
    """Four times the text takes about four times as long; sixteen times would be quadratic.

    Of several attempts, the fastest of each length count.
    """
    short = long = float("inf")
    for _ in range(ATTEMPTS):
        short, long = (
            min(fastest, _seconds(work, text_of(length)))
            for fastest, length in ((short, SHORT), (long, LONG))
        )
        if long < 9 * short + 0.3:
            return
    raise AssertionError((short, long))


def _seconds(work: Callable[[str], object], text: str) -> float:
    start = time.process_time()
    work(text)
    return time.process_time() - start
