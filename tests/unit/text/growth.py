"""How work grows with its amount, in processor time: other work does not count."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.unit.store.fuzz import FACTOR

LONG = 1_000_000 if FACTOR >= 1 else 400_000
"""Characters: a megabyte, but where properties are tried on fewer examples, too."""

SHORT = LONG // 8

ATTEMPTS = 4
"""A processor that others use, too, is slower at moments, and never faster than it is."""


now = time.thread_time
"""Of this thread: those that earlier tests left may be at work."""


def check_linear(work: Callable[[str], object], text_of: Callable[[int], str]) -> None:
    """The work on a text is in proportion to its length."""

    def seconds(length: int) -> float:
        text = text_of(length)
        start = now()
        work(text)
        return now() - start

    check_growth(seconds, SHORT, LONG)


def check_growth(seconds: Callable[[int], float], few: int, many: int) -> None:
    """Eight times as many take about eight times as long; 64 times would be quadratic.

    Of several attempts, the fastest of each count. What does not fit into the processor's cache
    takes longer, so that the limit lies between the two.
    """
    limit = (many / few) ** 1.5
    short = long = float("inf")
    with undisturbed():
        for _ in range(ATTEMPTS):
            short, long = min(short, seconds(few)), min(long, seconds(many))
            if long < limit * short + 0.3:
                return
    raise AssertionError((short, long))


@contextmanager
def undisturbed() -> Iterator[None]:
    """What looks for garbage goes through all that earlier tests left; a tracer sees each line."""
    tracer = sys.gettrace()
    gc.disable()
    sys.settrace(None)
    try:
        yield
    finally:
        sys.settrace(tracer)
        gc.enable()
