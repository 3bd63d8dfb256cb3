"""An exception from anywhere, at any bytecode: whole or nothing is stored, and the object works.

A signal handler may raise between any two steps of the interpreter. Here a trace function does
the same at every bytecode of the store, one after the other; and a soak lets real signals do it.
"""

from __future__ import annotations

import dis
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from isomem import Memory
from tests.torture.operations import (
    OPERATIONS,
    SCOPE,
    Operation,
    Outside,
    check_that_it_works,
    check_whole,
)
from tests.torture.storage import SOURCE, open_memory, scaled

# Whose bytecodes are interrupted: everything that begins, ends or owns a transaction.
UNDER_TEST = tuple(
    str(SOURCE / "isomem" / part)
    for part in ("store", "stores", "pipeline", "ports", "facade.py", "memory.py")
)


pytestmark = [
    # A call that was cut off before its coroutine began: nothing was awaited, nothing was done.
    pytest.mark.filterwarnings("ignore:coroutine:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Interrupted(BaseException):
    """As KeyboardInterrupt: nobody may swallow it."""


class TimedOut(Exception):  # noqa: N818 - so are they called
    """As the time limits of job queues: `except Exception` may swallow it."""


class Interruption:
    """Raises `kind` at the bytecode number `at`, counted over the code under test."""

    def __init__(self, kind: type[BaseException], at: int = 0) -> None:
        self.kind = kind
        self.at = at
        self.count = 0
        self.where = ""

    def __enter__(self) -> Interruption:
        self._before = sys.gettrace()  # A measurement of coverage goes on afterwards.
        sys.settrace(self._on_call)
        return self

    def __exit__(self, *failed: object) -> None:
        sys.settrace(self._before)

    def _on_call(self, frame: FrameType, event: str, _: Any) -> Any:
        if not frame.f_code.co_filename.startswith(UNDER_TEST):
            return None
        frame.f_trace_lines = False
        frame.f_trace_opcodes = True
        return self._on_opcode

    def _on_opcode(self, frame: FrameType, event: str, _: Any) -> Any:
        if event == "opcode":
            self.count += 1
            if self.count == self.at and _is_between(frame):
                self.at += 1
            if self.count == self.at:
                self.where = f"{frame.f_code.co_name}:{frame.f_lineno}"
                raise self.kind
        return self._on_opcode


def _is_between(frame: FrameType) -> bool:
    """Whether Python 3.10 is between two bytecodes that no signal comes between.

    It has moved what a handler returns below the exception that it still has to take away. If a
    trace function raises there, the interpreter takes the one for the other.
    """
    opcode = frame.f_code.co_code[frame.f_lasti]
    return sys.version_info < (3, 11) and dis.opname[opcode] == "POP_EXCEPT"


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    memory = open_memory(tmp_path / "memory.db", synchronous="off")
    yield memory
    memory.close()


@pytest.fixture
def outside(tmp_path: Path, memory: Memory) -> Iterator[Outside]:
    outside = Outside(tmp_path / "memory.db")
    yield outside
    outside.close()


def points_of_interruption(total: int) -> list[int]:
    """All in the long form; some, other ones for each total, in the short one."""
    wanted = scaled(40, total)
    if wanted >= total:
        return list(range(1, total + 1))
    return sorted(random.Random(total).sample(range(1, total + 1), wanted))


def bytecodes_of(call: Callable[[], object], prepare: Callable[[], object] | None = None) -> int:
    """How many bytecodes of the code under test a call runs."""
    for _ in range(2):  # Python 3.12 does not show every bytecode of what it runs first.
        if prepare is not None:
            prepare()
        with Interruption(Interrupted) as counter:
            call()
    return counter.count


def count_of(operation: Operation) -> int:
    return bytecodes_of(operation.call, operation.prepare)


@pytest.mark.parametrize("kind", [Interrupted, TimedOut])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_interrupted_call_is_whole_or_nothing_and_the_object_works(
    memory: Memory, outside: Outside, operation: type[Operation], kind: type[BaseException]
) -> None:
    kept: list[BaseException] = []  # As a log keeps a traceback, with all its frames.
    for number in points_of_interruption(count_of(operation(memory, 0))):
        memory.delete_all(**SCOPE)
        memory.db.reset()  # type: ignore[attr-defined]
        one = operation(memory, number)
        one.prepare()
        before = outside.state()
        with Interruption(kind, number) as interruption:
            try:
                one.call()
            except kind as error:
                kept = [error]
            except Exception as error:  # What an `except Exception` made of it.
                if kind is Interrupted:
                    raise
                kept = [error]
        try:
            if kind is Interrupted:
                check_whole(operation, before, outside.state())
            check_that_it_works(memory, outside, number)
        except BaseException as error:
            raise AssertionError(f"interrupted at {interruption.where} ({number})") from error
    assert kept


# --- In memory, where additions wait ----------------------------------------------------------


def kept_in(memory: Memory) -> list[str]:
    """The texts of the memories; each has one event."""
    found = memory.get_all(filters=dict(SCOPE), top_k=1000)["results"]
    assert all(len(memory.history(each["id"])) == 1 for each in found)
    return sorted(each["memory"] for each in found)


def test_what_waits_in_memory_is_stored_once_wherever_its_writing_is_cut_off() -> None:
    memory = open_memory(":memory:")
    memory.add("first", infer=False, **SCOPE)

    def add_three() -> list[str]:
        memory.delete_all(**SCOPE)
        texts = ["one", "three", "two"]
        for text in texts:
            memory.add(text, infer=False, **SCOPE)
        return texts

    for _ in range(2):
        add_three()
        with Interruption(Interrupted) as counter:
            memory.get_all(filters=dict(SCOPE))
    for number in points_of_interruption(counter.count):
        texts = add_three()
        with Interruption(Interrupted, number) as interruption, suppress(Interrupted):
            memory.get_all(filters=dict(SCOPE))
        assert kept_in(memory) == texts, f"interrupted at {interruption.where} ({number})"
    memory.close()


# --- Real signals ----------------------------------------------------------------------------

SIGNALS = scaled(400, 30_000)
STORED = (
    "SELECT count(*) FROM history JOIN points ON memory_id = points.id"
    " WHERE new_memory = ? AND json_extract(payload, '$.data') = new_memory"
)


class Alarm:
    """A signal that comes at some moment of a call, and whose handler raises."""

    def __init__(self, kind: type[BaseException], seed: int) -> None:
        self.kind = kind
        self.raised = 0
        self._in_a_row = 0
        self._armed = False
        self._random = random.Random(seed)
        self._before = signal.signal(signal.SIGALRM, self._handle)

    def _handle(self, *_: object) -> None:
        if self._armed:
            self._armed = False
            self.raised += 1
            raise self.kind

    def during(self, work: Callable[[], object], usual_s: float) -> bool:
        """Whether the call returned: then it is acknowledged, whatever came after."""
        returned = False
        try:
            self._armed = True
            later_s = usual_s * (1 + self._in_a_row)
            signal.setitimer(signal.ITIMER_REAL, self._random.uniform(1e-6, later_s))
            work()
            returned = True
            self._armed = False
        except (self.kind, Exception):
            self._armed = False
        self._in_a_row = 0 if returned else self._in_a_row + 1
        signal.setitimer(signal.ITIMER_REAL, 0)
        return returned

    def close(self) -> None:
        signal.signal(signal.SIGALRM, self._before)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="timers that signal")
@pytest.mark.parametrize("others", [0, 2])
def test_what_is_acknowledged_between_signals_is_stored_and_seen_from_outside(
    memory: Memory, outside: Outside, others: int
) -> None:
    started = time.perf_counter()
    for number in range(50):
        memory.add(f"before {number}", infer=False, **SCOPE)
    usual_s = (time.perf_counter() - started) / 50 * (1 + 2 * others)
    finished = threading.Event()
    added = [0] * others

    def add_meanwhile(me: int) -> None:
        while not finished.is_set():
            memory.add(f"other {me} {added[me]}", infer=False, user_id=f"other-{me}")
            added[me] += 1

    threads = [threading.Thread(target=add_meanwhile, args=(me,)) for me in range(others)]
    for thread in threads:
        thread.start()
    alarm = Alarm(Interrupted, 20240115)
    acknowledged = 0
    try:
        while alarm.raised < SIGNALS // 2:
            text = f"number {acknowledged} {alarm.raised}"
            add = partial(memory.add, text, infer=False, **SCOPE)
            if alarm.during(add, usual_s):
                acknowledged += 1
                assert outside.query(STORED, text) == [(1,)], f"{text} is acknowledged and lost"
            if acknowledged % 50 == 49:
                memory.delete_all(**SCOPE)
                memory.db.reset()  # type: ignore[attr-defined]
    finally:
        alarm.close()
        finished.set()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "another thread hangs"
    check_that_it_works(memory, outside, 0)
    assert acknowledged
    for me in range(others):
        found: Any = memory.get_all(filters={"user_id": f"other-{me}"}, top_k=10**6)
        assert len(found["results"]) == added[me]
    sys.stdout.write(
        f"{alarm.raised} signals, {acknowledged} acknowledged, {sum(added)} by other threads\n"
    )
