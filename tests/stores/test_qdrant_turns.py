"""Threads in Qdrant's local mode: those that read run at the same time, one that writes alone."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("qdrant_client")

from isomem.stores.qdrant_calls import Turns

THREADS = 6


def test_threads_that_read_meet() -> None:
    turns, met = Turns(), threading.Barrier(THREADS)
    with ThreadPoolExecutor(THREADS) as pool:
        found = [*pool.map(lambda _: turns.read(lambda: met.wait(30)), range(THREADS))]
    assert sorted(found) == [*range(THREADS)]


def test_a_thread_that_writes_is_alone() -> None:
    turns, inside, broken = Turns(), set[object](), []

    def write() -> None:
        mine = object()
        inside.add(mine)
        time.sleep(0.0002)
        if inside != {mine}:
            broken.append("something else runs during a change")
        inside.discard(mine)

    def read() -> None:
        mine = object()
        inside.add(mine)
        time.sleep(0.0002)
        inside.discard(mine)

    def work(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(50):
            if chance.random() < 0.3:
                turns.write(write)
            else:
                turns.read(read)

    with ThreadPoolExecutor(THREADS) as pool:
        [*pool.map(work, range(THREADS))]
    assert not broken


def test_a_thread_that_writes_waits_for_one_that_reads() -> None:
    turns, reading, go_on, order = Turns(), threading.Event(), threading.Event(), list[str]()

    def read() -> None:
        reading.set()
        go_on.wait(30)
        order.append("read")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(turns.read, read)
        assert reading.wait(30)
        second = pool.submit(turns.write, lambda: order.append("written"))
        assert not second.done()
        go_on.set()
        first.result(30)
        second.result(30)
    assert order == ["read", "written"]


def test_a_call_inside_a_call_of_the_same_thread_goes_on() -> None:
    """As that of a signal handler."""
    turns = Turns()
    assert turns.read(lambda: turns.write(lambda: turns.read(lambda: "inside"))) == "inside"


def test_an_error_leaves_no_lock() -> None:
    turns = Turns()
    for way in (turns.read, turns.write):
        with pytest.raises(ZeroDivisionError):
            way(lambda: 1 / 0)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(turns.write, lambda: "free").result(30) == "free"
