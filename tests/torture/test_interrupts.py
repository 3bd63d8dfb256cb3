"""An exception from anywhere, at any bytecode: whole or nothing is stored, and the object works.

A signal handler may raise between any two steps of the interpreter. Here a trace function does
the same at every bytecode of the store, one after the other; and a soak lets real signals do it.
"""

from __future__ import annotations

import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import apsw
import pytest

from isomem import Memory
from isomem.errors import MemoryError
from isomem.testing import ScriptedLLM
from tests.torture.storage import SOURCE, open_memory, scaled

# Whose bytecodes are interrupted: everything that begins, ends or owns a transaction.
UNDER_TEST = tuple(
    str(SOURCE / "isomem" / part)
    for part in ("store", "stores", "pipeline", "ports", "blocking.py", "drive.py", "memory.py")
)
SCOPE = {"user_id": "u"}


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
        sys.settrace(self._on_call)
        return self

    def __exit__(self, *failed: object) -> None:
        sys.settrace(None)

    def _on_call(self, frame: FrameType, event: str, _: Any) -> Any:
        if not frame.f_code.co_filename.startswith(UNDER_TEST):
            return None
        frame.f_trace_lines = False
        frame.f_trace_opcodes = True
        return self._on_opcode

    def _on_opcode(self, frame: FrameType, event: str, _: Any) -> Any:
        if event == "opcode":
            self.count += 1
            if self.count == self.at:
                self.where = f"{frame.f_code.co_name}:{frame.f_lineno}"
                raise self.kind
        return self._on_opcode


# --- Operations: what they do, and all that may be seen of them ------------------------------


class Operation:
    """One call. `state` is what another connection sees; it has two values, before and after."""

    def __init__(self, memory: Memory, number: int) -> None:
        self.memory = memory
        self.number = number
        self.texts = [f"Ana met Bruno {number} {part} times in Lisbon" for part in range(2)]

    def prepare(self) -> None:
        """What must be there before."""

    def call(self) -> None:
        raise NotImplementedError

    def stored(self) -> list[str]:
        """Stores the two texts; their ids."""
        said = [{"role": "user", "content": text} for text in self.texts]
        results = self.memory.add(said, infer=False, **SCOPE)["results"]
        return [each["id"] for each in results]


class AddRaw(Operation):
    def call(self) -> None:
        self.stored()


class AddInferred(Operation):
    def prepare(self) -> None:
        self.memory.llm = ScriptedLLM([{"memory": [{"text": text} for text in self.texts]}])

    def call(self) -> None:
        self.memory.add(f"what happened {self.number}", **SCOPE)


class Update(Operation):
    def prepare(self) -> None:
        self.id = self.stored()[0]

    def call(self) -> None:
        self.memory.update(self.id, f"Carla has been to Porto {self.number} times")


class Delete(Operation):
    def prepare(self) -> None:
        self.id = self.stored()[0]

    def call(self) -> None:
        self.memory.delete(self.id)


class DeleteAll(Operation):
    def prepare(self) -> None:
        self.stored()

    def call(self) -> None:
        self.memory.delete_all(**SCOPE)


class Search(Operation):
    def prepare(self) -> None:
        self.memory.vector_store._cache.clear()  # type: ignore[attr-defined]

    def call(self) -> None:
        self.memory.search("Bruno in Lisbon", filters=SCOPE, threshold=0)


OPERATIONS = (AddRaw, AddInferred, Update, Delete, DeleteAll, Search)


class State(NamedTuple):
    """All that may be seen of a call."""

    texts: list[str]
    history: list[Any]
    messages: list[Any]
    links: list[Any]
    loose: int
    """Links whose memory is gone."""


class Outside:
    """Another connection to the file."""

    def __init__(self, path: Path) -> None:
        self.memory = open_memory(path)
        self.connection = apsw.Connection(str(path), apsw.SQLITE_OPEN_READONLY)

    def query(self, sql: str, *values: Any) -> list[Any]:
        return self.connection.execute(sql, values).fetchall()

    def texts(self) -> list[str]:
        found = self.memory.get_all(filters=SCOPE, top_k=10_000)["results"]
        return sorted(each["memory"] for each in found)

    def state(self) -> State:
        history = self.query("SELECT event, new_memory, is_deleted FROM history ORDER BY 1, 2, 3")
        messages = self.query("SELECT content FROM messages ORDER BY 1")
        links = self.query(
            "SELECT json_extract(m.payload, '$.data'), json_extract(e.payload, '$.data')"
            " FROM links JOIN points AS m ON m.id = memory_id JOIN points AS e ON e.place = entity"
            " ORDER BY 1, 2"
        )
        loose = self.query(
            "SELECT count(*) FROM links WHERE memory_id NOT IN (SELECT id FROM points)"
        )
        return State(self.texts(), history, messages, links, loose[0][0])

    def close(self) -> None:
        self.connection.close()
        self.memory.close()


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


def in_thread(work: Callable[[], Any]) -> Any:
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(work()), daemon=True)
    thread.start()
    thread.join(60)
    assert results, "another thread hangs or fails"
    return results[0]


def check_that_it_works(memory: Memory, outside: Outside, number: int) -> None:
    """Reads and writes of this thread and of another one, each seen from outside at once."""
    ways: list[Callable[[Callable[[], Any]], Any]] = [in_thread, lambda work: work()]
    for way in ways if number % 2 else reversed(ways):
        result: Any = way(lambda: memory.add("probe", infer=False, **SCOPE))
        assert "probe" in outside.texts(), "acknowledged and not there"
        found: Any = way(lambda: memory.get_all(filters=SCOPE, top_k=10_000))
        assert sorted(each["memory"] for each in found["results"]) == outside.texts()
        way(lambda: memory.search("Bruno in Lisbon", filters=SCOPE, threshold=0))
        way(partial(memory.delete, result["results"][0]["id"]))
        assert "probe" not in outside.texts()


def points_of_interruption(total: int) -> list[int]:
    """All in the long form; about a hundred, other ones for each length, in the short one."""
    wanted = scaled(60, total)
    if wanted >= total:
        return list(range(1, total + 1))
    return sorted(random.Random(total).sample(range(1, total + 1), wanted))


def count_of(operation: Operation) -> int:
    operation.prepare()
    with Interruption(Interrupted) as counter:
        operation.call()
    return counter.count


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
            except MemoryError as error:  # What was left of it by an `except Exception`.
                kept = [error]
        try:
            if kind is Interrupted:
                check_whole(operation, before, outside.state())
            check_that_it_works(memory, outside, number)
        except BaseException as error:
            raise AssertionError(f"interrupted at {interruption.where} ({number})") from error
    assert kept


WHOLE = {
    AddRaw: (2, 2), AddInferred: (2, 2), Update: (0, 1), Delete: (-1, 1), DeleteAll: (-2, 2),
}  # fmt: skip
"""By how many a whole call changes the memories and the rows of the history."""


def check_whole(operation: type[Operation], before: State, after: State) -> None:
    """What is stored is nothing of the call, or all that it brings about."""
    if after == before:
        return
    changes = len(after.texts) - len(before.texts), len(after.history) - len(before.history)
    assert changes == WHOLE[operation]
    if operation is AddInferred:
        assert after.messages != before.messages
        assert {memory for memory, _ in after.links} == set(after.texts)
    assert after.loose == 0


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
            signal.setitimer(signal.ITIMER_REAL, self._random.uniform(1e-6, usual_s))
            work()
            returned = True
            self._armed = False
        except (self.kind, Exception):
            self._armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        return returned

    def close(self) -> None:
        signal.signal(signal.SIGALRM, self._before)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="timers that signal")
# Cut off before its coroutine began: nothing was awaited, and nothing was done.
@pytest.mark.filterwarnings("ignore:coroutine:RuntimeWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
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
