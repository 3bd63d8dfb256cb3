"""Writes of several threads in one call: all are written, and each learns of its own."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from isomem.errors import VectorStoreError, VectorValueError
from isomem.stores.together import Together
from tests.torture.test_interrupts import Interrupted, Interruption, bytecodes_of

WAIT_S = 10.0
MOST = 10


class Panic(BaseException):
    """As extensions of other languages raise them."""


class Engine:
    """Writes when it may. The first call waits until `open` is called.

    Attributes:
        calls: what was written, call by call.
        refused: points that make a call fail.
        refusal: what it raises then.
        is_away: every call fails.
    """

    def __init__(self) -> None:
        self.calls: list[list[Any]] = []
        self.refused: set[Any] = set()
        self.refusal: BaseException = VectorValueError("refused")
        self.is_away = False
        self.reached, self._opened = threading.Event(), threading.Event()

    def open(self) -> None:
        self._opened.set()

    def write(self, points: Sequence[Any]) -> None:
        self.reached.set()
        assert self._opened.wait(WAIT_S)
        if self.is_away:
            raise VectorStoreError(str([*points]))
        if not self.refused.isdisjoint(points):
            raise self.refusal
        self.calls.append([*points])

    def written(self) -> list[Any]:
        return sorted(point for call in self.calls for point in call)


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def together(engine: Engine) -> Together:
    return Together(engine.write, MOST)


@pytest.fixture
def pool(engine: Engine) -> Any:
    with ThreadPoolExecutor(8) as pool:
        yield pool
        engine.open()


def begin(
    together: Together, pool: ThreadPoolExecutor, engine: Engine, *parts: list[Any]
) -> list[Future[None]]:
    """Calls of several threads: the first has reached the engine, and the others wait in order."""
    calls = []
    for number, part in enumerate(parts, 1):
        calls.append(pool.submit(together.put, part))
        while len(together._turns.places) < number:
            pass
        assert engine.reached.wait(WAIT_S)
    return calls


def test_what_waits_is_written_in_one_call(
    together: Together, pool: ThreadPoolExecutor, engine: Engine
) -> None:
    calls = begin(together, pool, engine, [1], [2, 3], [4], [5])
    assert engine.calls == []
    engine.open()
    assert [call.result(WAIT_S) for call in calls] == [None] * 4
    assert engine.calls == [[1], [2, 3, 4, 5]]


def test_one_call_has_no_more_than_it_may_have(
    together: Together, pool: ThreadPoolExecutor, engine: Engine
) -> None:
    many, more = [*range(2, 8)], [*range(8, 13)]
    calls = begin(together, pool, engine, [1], many, more, [*range(13, 30)])
    engine.open()
    for call in calls:
        call.result(WAIT_S)
    assert engine.calls == [[1], many, more, [*range(13, 30)]]


def test_a_thread_that_nobody_waits_with_writes_at_once(together: Together, engine: Engine) -> None:
    engine.open()
    for point in range(5):
        together.put([point])
    assert engine.calls == [[point] for point in range(5)]


def test_who_writes_what_is_refused_fails_alone(
    together: Together, pool: ThreadPoolExecutor, engine: Engine
) -> None:
    engine.refused = {3}
    calls = begin(together, pool, engine, [1], [2], [3, 4], [5])
    engine.open()
    assert [type(call.exception(WAIT_S)) for call in calls] == [
        type(None), type(None), VectorValueError, type(None),
    ]  # fmt: skip
    assert engine.written() == [1, 2, 5]


def test_when_the_engine_fails_each_learns_of_its_own_points(
    together: Together, pool: ThreadPoolExecutor, engine: Engine
) -> None:
    """An error has the frames of its thread in its traceback, which nobody else may see."""
    calls = begin(together, pool, engine, [1], [2], [3])
    engine.is_away = True
    engine.open()
    errors = [call.exception(WAIT_S) for call in calls]
    assert [getattr(error, "message", None) for error in errors] == ["[1]", "[2]", "[3]"]
    engine.is_away = False
    together.put([4])
    assert engine.calls == [[4]]


@pytest.mark.parametrize("error", [TypeError("unhashable"), Panic("of the engine's own")])
def test_whatever_the_points_of_one_raise_others_are_written(
    together: Together, pool: ThreadPoolExecutor, engine: Engine, error: BaseException
) -> None:
    engine.refused, engine.refusal = {3}, error
    calls = begin(together, pool, engine, [1], [2], [3], [4])
    engine.open()
    raised = [call.exception(WAIT_S) for call in calls]
    assert raised[2] is error
    assert raised[0] is raised[3] is None
    assert engine.written() == [1, 2, 4] if isinstance(error, Exception) else [1, 4]


@pytest.mark.parametrize("count", [1, 3])
def test_nothing_is_lost_or_written_twice(count: int) -> None:
    engine = Engine()
    engine.open()
    together = Together(engine.write, MOST)

    def work(thread: int) -> None:
        for number in range(100):
            together.put([(thread, number, part) for part in range(count)])

    with ThreadPoolExecutor(8) as pool:
        [*pool.map(work, range(8))]
    assert engine.written() == [
        (thread, number, part)
        for thread in range(8) for number in range(100) for part in range(count)
    ]  # fmt: skip
    assert together._turns.places == {}


# What is raised while a generator is closed can only be told.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_who_is_cut_off_at_any_bytecode_leaves_the_others_their_points() -> None:
    def opened() -> tuple[Engine, Together]:
        engine = Engine()
        engine.open()
        return engine, Together(engine.write, MOST)

    count = bytecodes_of(lambda: opened()[1].put(["mine"]))
    for number in range(1, count + 1):
        engine, together = opened()
        with suppress(Interrupted), Interruption(Interrupted, number) as interruption:
            together.put(["mine"])
        stored = engine.written()
        with ThreadPoolExecutor(2) as pool:
            for call in [pool.submit(together.put, [other]) for other in ("one", "two")]:
                call.result(WAIT_S)
        assert engine.written() == sorted([*stored, "one", "two"]), interruption.where
    assert count > 300


def test_who_is_cut_off_while_it_waits_fails_when_its_points_are_written(
    together: Together, pool: ThreadPoolExecutor, engine: Engine
) -> None:
    begin(together, pool, engine, [1])
    threading.Timer(0.2, engine.open).start()
    with Interruption(Interrupted, 100), pytest.raises(Interrupted):
        together.put([2])
    assert engine.calls == [[1], [2]]


def test_when_the_one_that_writes_is_cut_off_the_next_begins_anew(
    together: Together, pool: ThreadPoolExecutor, engine: Engine
) -> None:
    calls = begin(together, pool, engine, [1], [2], [3])
    write, tries = engine.write, []

    def cut_off(points: Sequence[Any]) -> None:
        tries.append([*points])
        if len(tries) == 1:
            raise Interrupted
        write(points)

    together._write = cut_off
    engine.open()
    assert calls[0].result(WAIT_S) is None
    assert isinstance(calls[1].exception(WAIT_S), Interrupted)
    assert calls[2].result(WAIT_S) is None
    assert tries == [[2, 3], [3]]
    assert engine.calls == [[1], [3]]


def test_a_handler_that_writes_while_its_thread_waits_writes_its_own_alone(
    together: Together, pool: ThreadPoolExecutor, engine: Engine
) -> None:
    """Others may be gone already, and what they have written be removed."""
    begin(together, pool, engine, [1], [2])
    threading.Timer(0.2, engine.open).start()
    done = []

    def handle(*_: object) -> None:
        together.put([3])
        done.append([*engine.calls])

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        together.put([4])
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert len(done) == 1
    assert [3] in engine.calls
    assert engine.written() == [1, 2, 3, 4]
