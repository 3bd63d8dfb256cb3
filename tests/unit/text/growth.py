"""How the work on a text grows with its length, in processor time: other work does not count."""

from __future__ import annotations

import time
from collections.abc import Callable

LONG, SHORT = 1_000_000, 250_000
"""Characters."""


def check_linear(work: Callable[[str], object], text_of: Callable[[int], str]) -> None:
    """Four times the text takes about four times as long; sixteen times would be quadratic."""
    short, long = (_seconds(work, text_of(length)) for length in (SHORT, LONG))
    assert long < 9 * short + 0.3, (short, long)


def _seconds(work: Callable[[str], object], text: str) -> float:
    start = time.process_time()
    work(text)
    return time.process_time() - start
