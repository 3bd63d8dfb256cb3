"""How the work on a text grows with its length, in processor time: other work does not count."""

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


def check_linear(work: Callable[[str], object], text_of: Callable[[int], str]) -> None:
    """Eight times the text takes about eight times as long; 64 times would be quadratic.

    Of several attempts, the fastest of each length count. What does not fit into the processor's
    cache takes longer, so that the limit lies between the two.
    """
    short = long = float("inf")
    with undisturbed():
        for _ in range(ATTEMPTS):
            short, long = (
                min(fastest, _seconds(work, text_of(length)))
                for fastest, length in ((short, SHORT), (long, LONG))
            )
            if long < 22 * short + 0.3:
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


def _seconds(work: Callable[[str], object], text: str) -> float:
    """Of this thread: those that earlier tests left may be at work."""
    start = time.thread_time()
    work(text)
    return time.thread_time() - start
