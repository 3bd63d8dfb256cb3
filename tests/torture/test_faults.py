"""The N-th read, write, sync, statement or byte of memory fails, for every N.

A call that raises has stored nothing, one that returns has stored everything, and afterwards the
same object works. A fault comes once, or stays until it is cleared.
"""

from __future__ import annotations

import builtins
import contextlib
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from isomem import Memory
from isomem.errors import MemoryError
from tests.torture.operations import (
    OPERATIONS,
    SCOPE,
    Operation,
    Outside,
    check_that_it_works,
    check_whole,
)
from tests.torture.storage import SCALE, open_memory, scaled


class Fault:
    """Counts what could fail, and lets the one with the number `at` fail, or all from it on."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.set(lambda: None, at=0, stays=False)

    def set(self, fail: Callable[[], object], *, at: int, stays: bool) -> None:
        self._fail = fail
        self._at = at
        self._stays = stays
        self.count = 0
        self.happened = False

    def pass_by(self) -> None:
        """To be called where something can fail."""
        self.count += 1
        if self.count == self._at or (self._stays and 0 < self._at < self.count):
            self.happened = True
            self._fail()


def io_error() -> None:
    raise apsw.IOError("disk I/O error")


def full() -> None:
    raise apsw.FullError("database or disk is full")


class FaultyFile(apsw.VFSFile):
    """A file whose every access may fail."""

    def __init__(self, fault: Fault, name: Any, flags: list[int]) -> None:
        self._fault = fault
        super().__init__("unix", name, flags)

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        self._fault.pass_by()
        return super().xRead(amount, offset)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        self._fault.pass_by()
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._fault.pass_by()
        super().xSync(flags)

    def xTruncate(self, size: int) -> None:  # noqa: N802
        self._fault.pass_by()
        super().xTruncate(size)

    def xFileSize(self) -> int:  # noqa: N802
        self._fault.pass_by()
        return super().xFileSize()


class FaultyDisk(apsw.VFS):
    """A file system of such files; the default one while it is there."""

    def __init__(self, fault: Fault) -> None:
        self._fault = fault
        super().__init__("faulty", "unix", makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> FaultyFile:  # noqa: N802
        self._fault.pass_by()
        return FaultyFile(self._fault, name, flags)

    def xDelete(self, name: str, sync: bool) -> None:  # noqa: N802
        self._fault.pass_by()
        super().xDelete(name, sync)


@pytest.fixture
def fault() -> Fault:
    return Fault()


@pytest.fixture
def faulty_disk(fault: Fault) -> Iterator[Fault]:
    disk = FaultyDisk(fault)
    yield fault
    disk.unregister()


@pytest.fixture
def faulty_statements(fault: Fault) -> Iterator[Fault]:
    def hook(connection: apsw.Connection) -> None:
        def trace(*_: object) -> bool:
            fault.pass_by()
            return True

        connection.exec_trace = trace

    apsw.connection_hooks.append(hook)
    yield fault
    apsw.connection_hooks.remove(hook)


def numbers(fault: Fault, count: Callable[[], object], short: int) -> list[int]:
    """Every number in the long form, and one beyond; some of them in the short one."""
    fault.set(lambda: None, at=0, stays=False)
    count()
    total = fault.count
    everything = range(1, total + 2)
    if SCALE or total < short:
        return list(everything)
    return sorted(random.Random(total).sample(everything, short))


def fails_or_works(call: Callable[[], object]) -> bool:
    """Whether it worked. A failure is an error of ours, or Python's own lack of memory."""
    try:
        call()
    except (MemoryError, builtins.MemoryError):
        return False
    return True


def try_operation(
    operation: type[Operation],
    memory: Memory,
    outside: Outside,
    number: int,
    set_fault: Callable[[], object],
    clear_fault: Callable[[], object],
) -> None:
    memory.delete_all(**SCOPE)
    memory.db.reset()  # type: ignore[attr-defined]
    one = operation(memory, number)
    one.prepare()
    before = outside.state()
    set_fault()
    try:
        worked = fails_or_works(one.call)
    finally:
        clear_fault()
    after = outside.state()
    if worked:
        check_whole(operation, before, after)
        assert (after != before) == one.changes
    else:
        assert after == before
    check_that_it_works(memory, outside, number)


def check_every_number(
    operation: type[Operation], path: Path, fault: Fault, fail: Callable[[], object], *, stays: bool
) -> None:
    memory = open_memory(path)
    connection = memory.vector_store.database.connection  # type: ignore[attr-defined]
    # SQLite ignores a checkpoint that fails after a commit, but apsw raises what the VFS raised.
    # So it has a test of its own.
    connection.wal_autocheckpoint(0)
    outside = Outside(path)
    first = operation(memory, 0)
    first.prepare()
    for number in numbers(fault, first.call, 5):

        def set_fault(at: int = number) -> None:
            fault.set(fail, at=at, stays=stays)

        try:
            try_operation(operation, memory, outside, number, set_fault, fault.clear)
        except BaseException as error:
            raise AssertionError(f"fault number {number}") from error
    outside.close()
    memory.close()


@pytest.mark.parametrize("fail", [io_error, full])
@pytest.mark.parametrize("stays", [False, True], ids=["once", "stays"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_whatever_access_to_the_disk_fails_a_call_is_whole_or_nothing(
    path: Path, faulty_disk: Fault, operation: type[Operation], *, stays: bool, fail: Any
) -> None:
    check_every_number(operation, path, faulty_disk, fail, stays=stays)


@pytest.mark.parametrize("stays", [False, True], ids=["once", "stays"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_whatever_statement_fails_a_call_is_whole_or_nothing(
    path: Path, faulty_statements: Fault, operation: type[Operation], *, stays: bool
) -> None:
    check_every_number(operation, path, faulty_statements, io_error, stays=stays)


@pytest.mark.parametrize("stays", [False, True], ids=["once", "stays"])
def test_whatever_fails_in_a_checkpoint_nothing_is_lost(
    path: Path, faulty_disk: Fault, *, stays: bool
) -> None:
    memory, outside = open_memory(path), Outside(path)
    connection = memory.vector_store.database.connection  # type: ignore[attr-defined]

    def checkpoint() -> None:
        for number in range(3):
            memory.add(f"text {number}", infer=False, **SCOPE)
        with contextlib.suppress(apsw.Error):
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)

    for number in numbers(faulty_disk, checkpoint, 15):
        before = outside.texts()
        for text in range(3):
            memory.add(f"{number} {text}", infer=False, **SCOPE)
        faulty_disk.set(io_error, at=number, stays=stays)
        with contextlib.suppress(apsw.Error):
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        faulty_disk.clear()
        assert outside.texts() == sorted(before + [f"{number} {text}" for text in range(3)])
        check_that_it_works(memory, outside, number)
    outside.close()
    memory.close()


@pytest.mark.parametrize("stays", [False, True], ids=["once", "stays"])
def test_whatever_fails_at_opening_the_file_opens_afterwards_and_has_everything(
    path: Path, faulty_disk: Fault, *, stays: bool
) -> None:
    with open_memory(path) as memory:
        memory.add("kept", infer=False, **SCOPE)

    def reopen() -> None:
        with open_memory(path) as memory:
            memory.add("more", infer=False, **SCOPE)
            memory.delete_all(run_id="nobody")

    for number in numbers(faulty_disk, reopen, 25):
        faulty_disk.set(io_error, at=number, stays=stays)
        fails_or_works(reopen)
        faulty_disk.clear()
        with open_memory(path) as memory:
            found = memory.get_all(filters=SCOPE, top_k=10_000)["results"]
            assert "kept" in [each["memory"] for each in found]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_whatever_sqlite_lacks_of_memory_a_call_is_whole_or_nothing(
    path: Path, operation: type[Operation]
) -> None:
    memory = open_memory(path)
    outside = Outside(path)
    for number in range(scaled(10, 300)):

        def set_fault(kilobytes: int = number * (1 if SCALE else 30)) -> None:
            memory.vector_store.database.connection.execute("PRAGMA shrink_memory")  # type: ignore[attr-defined]
            apsw.hard_heap_limit(apsw.memory_used() + 1024 * kilobytes)

        try_operation(
            operation, memory, outside, number, set_fault, lambda: apsw.hard_heap_limit(0)
        )
    outside.close()
    memory.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "memory.db"
