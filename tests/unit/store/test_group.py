"""Writes of several threads share a transaction, and each gets its own result or error."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import apsw
import pytest

from isomem.errors import DatabaseError, VectorValueError
from isomem.store import database as database_module
from isomem.store.database import Database
from isomem.store.group import Work

LONG_S = 60.0
"""For what must happen; a test that passes does not wait for it."""
WRITERS = 5

_TABLE = "CREATE TABLE IF NOT EXISTS rows (number INTEGER PRIMARY KEY)"
_INSERT = "INSERT INTO rows VALUES (?)"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(
        str(tmp_path / "file.db"), lambda connection: connection.execute(_TABLE), synchronous="off"
    )
    yield database
    database.close()


def rows(database: Database) -> set[int]:
    with database.reading():
        return {number for (number,) in database.rows("SELECT number FROM rows")}


class Commits:
    """Counts the commits of a database; the first `failing` of them fail."""

    def __init__(self, database: Database, failing: int = 0) -> None:
        self.count = 0
        self._failing = failing
        database.connection.exec_trace = self._trace

    def _trace(self, _: object, sql: str, __: object) -> bool:
        if sql == "COMMIT":
            self.count += 1
            if self.count <= self._failing:
                raise apsw.IOError("disk I/O error")
        return True


class Call(threading.Thread):
    """A write in a thread of its own; what came of it."""

    def __init__(
        self, database: Database, work: Callable[[], Any], before: Callable[[], Any] = int
    ) -> None:
        super().__init__(daemon=True)
        self.result: Any = None
        self.error: BaseException | None = None
        self._database = database
        self._work = work
        self._before = before
        self.start()

    def run(self) -> None:
        self._before()
        try:
            self.result = self._database.write(self._work)
        except BaseException as error:
            self.error = error

    def end(self) -> Call:
        self.join(LONG_S)
        assert not self.is_alive(), "a thread hangs"
        return self


def wait_until(happened: Callable[[], object]) -> None:
    last = time.monotonic() + LONG_S
    while not happened():
        assert time.monotonic() < last
        time.sleep(0.001)


def together(
    database: Database,
    works: list[Callable[[], Any]],
    before: Callable[[int], Any] = int,
) -> list[Call]:
    """Calls that are in one transaction: the first one begins when all others wait.

    `before` is called in each thread, with its number.
    """
    entered, all_wait = threading.Event(), threading.Event()

    def first() -> Any:
        entered.set()
        assert all_wait.wait(LONG_S)
        return works[0]()

    calls = [Call(database, first, partial(before, 0))]
    assert entered.wait(LONG_S)
    for number, work in enumerate(works[1:], 1):
        calls.append(Call(database, work, partial(before, number)))
        wait_until(lambda least=number: len(database._turn.waiting) >= least)
    all_wait.set()
    return [call.end() for call in calls]


def insert(database: Database, number: int) -> Callable[[], int]:
    def work() -> int:
        database.execute(_INSERT, (number,))
        return number

    return work


def inserts(database: Database) -> list[Callable[[], Any]]:
    return [insert(database, number) for number in range(WRITERS)]


def results(calls: list[Call]) -> list[Any]:
    assert [call.error for call in calls] == [None] * len(calls)
    return [call.result for call in calls]


def test_writes_that_wait_are_committed_together(database: Database) -> None:
    commits = Commits(database)
    assert results(together(database, inserts(database))) == [*range(WRITERS)]
    assert commits.count == 1
    assert rows(database) == {*range(WRITERS)}


def test_no_more_than_some_are_committed_together(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "MOST_AT_ONCE", 2)
    commits = Commits(database)
    assert results(together(database, inserts(database))) == [*range(WRITERS)]
    assert commits.count == 2  # Three, and the two that were left.


def test_an_error_of_one_is_its_own(database: Database) -> None:
    works = inserts(database)

    def failing() -> None:
        database.execute(_INSERT, (100,))
        raise VectorValueError("not a vector")

    works[2] = failing
    commits = Commits(database)
    calls = together(database, works)
    assert isinstance(calls.pop(2).error, VectorValueError)
    assert results(calls) == [0, 1, 3, 4]
    assert commits.count == 1
    assert rows(database) == {0, 1, 3, 4}


def test_the_same_row_of_two_is_an_error_of_the_later(database: Database) -> None:
    calls = together(database, [insert(database, 1), insert(database, 1), insert(database, 2)])
    assert isinstance(calls.pop(1).error, DatabaseError)
    assert results(calls) == [1, 2]
    assert rows(database) == {1, 2}


def test_an_error_of_the_first_is_its_own(database: Database) -> None:
    works = inserts(database)
    works[0] = lambda: 1 / 0
    calls = together(database, works)
    assert isinstance(calls.pop(0).error, ZeroDivisionError)
    assert results(calls) == [1, 2, 3, 4]
    assert rows(database) == {1, 2, 3, 4}


def test_after_a_failed_commit_each_is_done_alone(database: Database) -> None:
    commits = Commits(database, failing=1)
    assert results(together(database, inserts(database))) == [*range(WRITERS)]
    assert commits.count == 1 + WRITERS
    assert rows(database) == {*range(WRITERS)}


def test_what_is_done_again_is_not_shared_again(database: Database) -> None:
    commits, tries, late = Commits(database, failing=1), [], []

    def again() -> None:
        tries.append(threading.get_ident())
        if len(tries) == 2:
            late.append(Call(database, insert(database, 7)))
            wait_until(lambda: database._turn.waiting)

    results(together(database, [insert(database, 1), again]))
    results([call.end() for call in late])
    assert commits.count == 1 + 3
    assert rows(database) == {1, 7}


def test_when_no_commit_succeeds_each_is_told_so(database: Database) -> None:
    Commits(database, failing=1 + WRITERS)
    calls = together(database, inserts(database))
    assert {type(call.error) for call in calls} == {DatabaseError}
    assert rows(database) == set()
    assert database.write(insert(database, 7)) == 7


def test_when_sqlite_undoes_the_transaction_each_is_done_alone(database: Database) -> None:
    works, tries = inserts(database), []

    def undone() -> str:
        tries.append(threading.get_ident())
        if len(tries) == 1:
            database.execute("ROLLBACK")  # As SQLite does when the disk is full.
        return "alone"

    works[2] = undone
    assert results(together(database, works)) == [0, 1, "alone", 3, 4]
    assert len(set(tries)) == 2
    assert rows(database) == {0, 1, 3, 4}


def test_an_error_of_python_is_that_of_the_write(database: Database) -> None:
    works = inserts(database)

    def failing() -> None:
        database.execute(_INSERT, (100,))
        raise TypeError("a bug")

    works[2] = failing
    calls = together(database, works)
    assert isinstance(calls.pop(2).error, TypeError)
    assert results(calls) == [0, 1, 3, 4]
    assert rows(database) == {0, 1, 3, 4}


class Interrupted(BaseException):
    """As KeyboardInterrupt."""


class TimedOut(Exception):  # noqa: N818 - so are they called
    """As the time limit of a job."""


@pytest.mark.parametrize("kind", [Interrupted, TimedOut])
def test_what_interrupts_a_thread_ends_its_own_call_and_no_other(
    database: Database, kind: type[BaseException]
) -> None:
    works, threads = inserts(database), []

    def interrupted() -> int:
        threads.append(threading.get_ident())
        database.execute(_INSERT, (2,))
        if len(threads) == 1:
            raise kind  # In the thread that does this for another one.
        return 2

    works[2] = interrupted
    calls = together(database, works)
    first = calls.pop(0)
    assert isinstance(first.error, kind)
    assert threads[0] == first.ident != threads[1]
    assert results(calls) == [1, 2, 3, 4]
    assert rows(database) == {1, 2, 3, 4}


class Leading:
    """A thread that has the turn until it is told to go on."""

    def __init__(self, database: Database) -> None:
        self.go_on = threading.Event()
        self._entered = threading.Event()
        self.call = Call(database, self._work)
        assert self._entered.wait(LONG_S)

    def _work(self) -> None:
        self._entered.set()
        assert self.go_on.wait(LONG_S)

    def end(self) -> None:
        self.go_on.set()
        results([self.call.end()])


def interrupt_waiting(monkeypatch: pytest.MonkeyPatch, moment: threading.Event) -> None:
    """Whoever waits for another thread to do its work is interrupted at that moment."""

    def wait(_: Work, timeout_s: float) -> bool:
        del timeout_s
        moment.wait(LONG_S)
        raise Interrupted

    monkeypatch.setattr(Work, "wait", wait)


def test_a_write_is_not_done_after_its_call_was_interrupted(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = threading.Event()
    now.set()
    interrupt_waiting(monkeypatch, now)
    leading = Leading(database)
    call = Call(database, insert(database, 1)).end()  # While the other one still has the turn.
    assert isinstance(call.error, Interrupted)
    assert not database._turn.waiting
    leading.end()
    assert rows(database) == set()


def test_a_write_is_not_done_if_its_thread_was_cut_off(database: Database) -> None:
    leading = Leading(database)
    work = Work(insert(database, 1), (), {})
    work.leave(lambda: None)
    database._turn.waiting.append(work)
    call = Call(database, insert(database, 2))
    wait_until(lambda: len(database._turn.waiting) == 2)
    leading.end()
    results([call.end()])
    assert rows(database) == {2}


def test_an_interrupted_call_ends_when_it_is_certain_what_is_stored(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = threading.Event()
    interrupt_waiting(monkeypatch, inside)
    leading = Leading(database)

    def work() -> None:
        database.execute(_INSERT, (1,))
        inside.set()
        time.sleep(0.05)  # The call would have ended by now.

    call = Call(database, work)
    wait_until(lambda: database._turn.waiting)
    leading.go_on.set()
    other = apsw.Connection(database.path)
    assert isinstance(call.end().error, Interrupted)
    assert other.execute("SELECT number FROM rows").fetchall() == [(1,)]
    other.close()
    leading.end()


def test_a_write_is_done_once_even_if_its_thread_wakes_too_early(database: Database) -> None:
    leading, tries = Leading(database), []
    call = Call(database, lambda: tries.append(1))
    wait_until(lambda: database._turn.waiting)
    database._turn.waiting[0].wake()
    time.sleep(0.05)  # It waits for the turn now.
    leading.end()
    results([call.end()])
    assert tries == [1]


def test_the_thread_of_signal_handlers_does_its_own_alone(database: Database) -> None:
    threads: list[int] = []
    others: list[Call] = []

    def own() -> None:
        others.extend(Call(database, lambda: threads.append(threading.get_ident())) for _ in "ab")
        wait_until(lambda: len(database._turn.waiting) == 2)
        threads.append(threading.get_ident())

    database.write(own)
    results([call.end() for call in others])
    assert threads[0] == threading.get_ident()
    assert threading.get_ident() not in threads[1:]


def test_a_write_is_done_in_the_context_of_its_caller(database: Database) -> None:
    name = contextvars.ContextVar("name", default=-1)
    assert results(together(database, [name.get] * WRITERS, name.set)) == [*range(WRITERS)]


def test_a_block_inside_another_is_a_part_of_it(database: Database) -> None:
    def outer() -> int:
        database.execute(_INSERT, (1,))
        return database.write(insert(database, 2))

    commits = Commits(database)
    assert database.write(outer) == 2
    assert commits.count == 1
    assert rows(database) == {1, 2}


def test_writes_go_on_when_the_one_that_they_wait_for_is_cut_off(database: Database) -> None:
    entered, leave = threading.Event(), threading.Event()

    def enter_and_never_leave() -> None:
        block = database.writing()
        block.__enter__()
        database.execute(_INSERT, (100,))
        entered.set()
        leave.wait(LONG_S)

    thread = threading.Thread(target=enter_and_never_leave)
    thread.start()
    assert entered.wait(LONG_S)
    calls = [Call(database, work) for work in inserts(database)]
    wait_until(lambda: len(database._turn.waiting) == WRITERS)
    leave.set()
    thread.join(LONG_S)
    assert sorted(results([call.end() for call in calls])) == [*range(WRITERS)]
    assert rows(database) == {*range(WRITERS)}


def test_in_memory_there_is_nothing_to_share() -> None:
    database = Database(":memory:", lambda connection: connection.execute(_TABLE))
    threads: list[int] = []

    def note() -> None:
        threads.append(threading.get_ident())

    calls = [Call(database, note).end() for _ in range(3)]
    assert results(calls) == [None] * 3
    assert threads == [call.ident for call in calls]
    database.close()
