"""Many threads write at once and share their commits, while writes fail, disks fail, signals come,
the process forks or is killed: what was acknowledged is there whole, what failed is not there."""

from __future__ import annotations

import random
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import apsw
import pytest

from isomem import Memory
from isomem.contract.plan import Plan, Record
from isomem.errors import MemoryError
from isomem.store import group
from tests.torture.operations import SCOPE, Outside, check_that_it_works
from tests.torture.storage import look, open_memory, python, scaled
from tests.torture.test_faults import Fault, FaultyDisk, full, io_error
from tests.torture.test_interrupts import Interrupted, Interruption

THREADS = 8


def said(text: str) -> list[dict[str, str]]:
    """Two messages, and so two memories, of one add."""
    return [{"role": "user", "content": f"{text} {part}"} for part in "ab"]


def halves(texts: list[str]) -> list[str]:
    """The adds that are there, each without the letter of its part; both parts have to be."""
    adds = sorted(text[:-2] for text in texts)
    assert adds[::2] == adds[1::2], "half of an add is there"
    return adds[::2]


def searched(memory: Memory) -> list[str]:
    """The texts of all memories, as a search for vectors finds them."""
    hits = memory.vector_store.search("", [1.0] * 8, 100_000, SCOPE)
    return [(hit.payload or {})["data"] for hit in hits]


class Writer(threading.Thread):
    """Adds, updates and deletes its own memories, and remembers what should be there."""

    def __init__(self, memory: Memory, number: int, calls: int) -> None:
        super().__init__(daemon=True)
        self.texts: set[str] = set()
        self.failed = 0
        self.errors: list[BaseException] = []
        self._memory = memory
        self._ids: dict[str, str] = {}
        self._name = f"writer {number}"
        self._calls = calls
        self._random = random.Random(number)
        self.start()

    def run(self) -> None:
        try:
            for number in range(self._calls):
                step = self._random.choice((self._add, self._add, self._bad, self._twice,
                                            self._update, self._remove))  # fmt: skip
                try:
                    step(f"{self._name} call {number}")
                except MemoryError:
                    self.failed += 1
        except BaseException as error:
            self.errors.append(error)

    def _keep(self, text: str, memory_id: str) -> None:
        self.texts.add(text)
        self._ids[text] = memory_id

    def _add(self, text: str) -> None:
        for each in self._memory.add(said(text), infer=False, **SCOPE)["results"]:
            self._keep(each["memory"], each["id"])

    def _bad(self, text: str) -> None:
        """A plan whose last record cannot be stored."""
        stores = self._memory.stores
        records = [
            Record(f"{text} {part}", text, vector, {"data": text, "user_id": "u"}, {})
            for part, vector in enumerate(([1.0] * 8, [float("nan")] * 8))
        ]
        with pytest.raises(MemoryError):
            stores.apply(Plan(self._memory.clock, records=records))

    def _twice(self, text: str) -> None:
        """The id of a memory that is there, or that another thread may just be adding."""
        payload = {"data": "shared", "user_id": "shared"}
        event = {"memory_id": "shared", "event": "ADD", "new_memory": "shared"}
        record = Record("shared", text, [1.0] * 8, payload, event)
        self._memory.stores.apply(Plan(self._memory.clock, records=[record]))

    def _update(self, text: str) -> None:
        if self._ids:
            old = self._random.choice([*self._ids])
            self._memory.update(self._ids[old], text)
            self.texts.remove(old)
            self._keep(text, self._ids.pop(old))

    def _remove(self, text: str) -> None:
        del text
        if self._ids:
            old = self._random.choice([*self._ids])
            self._memory.delete(self._ids[old])
            self.texts.remove(old)
            del self._ids[old]


def in_threads(memory: Memory, calls: int) -> list[Writer]:
    writers = [Writer(memory, number, calls) for number in range(THREADS)]
    for writer in writers:
        writer.join(300)
        assert not writer.is_alive(), "a thread hangs"
        assert not writer.errors, writer.errors
    return writers


class Reader(threading.Thread):
    """Reads all the time: never half of an add, and nothing that is not stored afterwards."""

    def __init__(self, memory: Memory) -> None:
        super().__init__(daemon=True)
        self.error: BaseException | None = None
        self.stopped = threading.Event()
        self._memory = memory
        self.start()

    def run(self) -> None:
        try:
            while not self.stopped.is_set():
                listed: Any = self._memory.get_all(filters=SCOPE, top_k=100_000)
                halves([each["memory"] for each in listed["results"]])
                halves(searched(self._memory))
        except BaseException as error:
            self.error = error

    def end(self) -> None:
        self.stopped.set()
        self.join(60)
        assert not self.is_alive()
        if self.error is not None:
            raise self.error


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "memory.db"


def check_against(path: Path, memory: Memory, wanted: set[str]) -> None:
    """The same is seen by this memory, by one that has cached nothing, and in another process."""
    outside = Outside(path)
    for each in (memory, outside.memory):
        listed: Any = each.get_all(filters=SCOPE, top_k=100_000)["results"]
        texts = sorted(wanted)
        assert sorted(one["memory"] for one in listed) == sorted(searched(each)) == texts
    outside.close()
    there = {text for text, point_id in look(path)["points"] if point_id != "shared"}
    assert there == wanted


@pytest.mark.parametrize("cached", [64, 0])
def test_threads_that_write_at_once_are_as_if_each_were_alone(path: Path, cached: int) -> None:
    memory = open_memory(path, synchronous="off", cache_mb=cached)
    memory.add("warm", infer=False, user_id="other")
    memory.delete_all(user_id="other")
    writers = in_threads(memory, scaled(60, 1500))
    check_against(path, memory, set().union(*(writer.texts for writer in writers)))
    assert sum(writer.failed for writer in writers) == 0
    memory.close()


@pytest.mark.parametrize("fail", [io_error, full])
def test_whatever_fails_on_the_disk_each_call_has_its_own_outcome(
    path: Path, fail: Callable[[], None]
) -> None:
    fault = Fault()
    disk = FaultyDisk(fault)
    try:
        memory = open_memory(path)
        memory.vector_store.database.connection.wal_autocheckpoint(0)  # type: ignore[attr-defined]
        chance, stopped = random.Random(1), threading.Event()

        def break_the_disk() -> None:
            while not stopped.wait(0.01):
                fault.set(fail, at=chance.randrange(1, 60), stays=chance.random() < 0.2)
                stopped.wait(0.02)
                fault.clear()

        breaker = threading.Thread(target=break_the_disk)
        breaker.start()
        try:
            writers = in_threads(memory, scaled(40, 600))
        finally:
            stopped.set()
            breaker.join()
            fault.clear()
        check_against(path, memory, set().union(*(writer.texts for writer in writers)))
        memory.close()
    finally:
        disk.unregister()
    sys.stdout.write(f"\n{sum(writer.failed for writer in writers)} calls failed\n")


def test_readers_see_whole_adds_and_none_that_fails(path: Path) -> None:
    memory = open_memory(path, synchronous="off")
    real, chance = group.Batch.commit, random.Random(2)

    def commit(batch: group.Batch, execute: Callable[[str], object]) -> None:
        if chance.random() < 0.3:
            raise apsw.IOError("disk I/O error")
        real(batch, execute)

    def add(number: int) -> None:
        for call in range(scaled(40, 1000)):
            memory.add(said(f"writer {number} call {call}"), infer=False, **SCOPE)

    readers = [Reader(memory) for _ in range(2)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(group.Batch, "commit", commit)
        threads = [threading.Thread(target=add, args=(number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(300)
    for reader in readers:
        reader.end()
    check_against(path, memory, {text["content"] for number in range(THREADS)
                                 for call in range(scaled(40, 1000))
                                 for text in said(f"writer {number} call {call}")})  # fmt: skip
    memory.close()


# --- Interrupted at any bytecode -------------------------------------------------------------


class Round:
    """One thread has the turn, and two others leave their writes to it.

    Args:
        cut: which of them is interrupted.
    """

    def __init__(self, memory: Memory, number: int, cut: str, interruption: Interruption) -> None:
        self.database: Any = memory.vector_store.database  # type: ignore[attr-defined]
        self.acknowledged: set[str] = set()
        self.cut_off_early = False
        self._memory = memory
        self._number = number
        self._cut = cut
        self._interruption = interruption
        self._entered, self._all_wait = threading.Event(), threading.Event()

    def text(self, name: str) -> str:
        return f"round {self._number} {name}"

    def go(self) -> None:
        threads = [threading.Thread(target=self._run, args=("first", self._lead))]
        threads[0].start()
        assert self._entered.wait(60)
        for name in ("one", "two"):
            add = partial(self._add, name)
            threads.append(threading.Thread(target=self._run, args=(name, add)))
            threads[-1].start()
        waiting = self.database._turn.waiting
        while len(waiting) < 2 and all(thread.is_alive() for thread in threads):
            pass
        self._all_wait.set()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive(), "a thread hangs"

    def _run(self, name: str, work: Callable[[], None]) -> None:
        with self._interruption if name == self._cut else nullcontext():
            try:
                work()
            except Interrupted:
                self.cut_off_early = not self._all_wait.is_set()
                self._entered.set()

    def _lead(self) -> None:
        def first() -> None:
            self._entered.set()
            self._all_wait.wait(60)

        self.database.write(first)

    def _add(self, name: str) -> None:
        self._memory.add(said(self.text(name)), infer=False, **SCOPE)
        self.acknowledged.add(self.text(name))

    def check(self, stored: list[str]) -> None:
        others = {self.text(name) for name in ("one", "two") if name != self._cut}
        assert others <= self.acknowledged, "the call of another thread failed"
        assert self.acknowledged <= set(stored), "acknowledged and lost"
        unsure = {self.text(self._cut)} & set(stored) - self.acknowledged
        assert set(stored) == self.acknowledged | unsure
        assert len(set(stored)) == len(stored)
        # While another thread had the turn, it could not be stored before the call had failed.
        assert not (unsure and self.cut_off_early), "stored after the call had failed"


# A call that was cut off before its coroutine began: nothing was awaited, nothing was done.
@pytest.mark.filterwarnings("ignore:coroutine:RuntimeWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("cut", ["first", "one", "two"])
def test_when_one_of_several_is_interrupted_anywhere_the_others_lose_nothing(
    path: Path, cut: str
) -> None:
    memory = open_memory(path, synchronous="off")
    memory.add("warm", infer=False, user_id="other")
    for number in range(2):  # Python 3.12 does not show every bytecode of what it runs first.
        counter = Interruption(Interrupted)
        Round(memory, -number, cut, counter).go()
    total = counter.count
    wanted = min(scaled(40, total), total)
    outside = Outside(path)
    for at in sorted(random.Random(total).sample(range(1, total + 1), wanted)):
        memory.delete_all(**SCOPE)
        interruption = Interruption(Interrupted, at)
        one = Round(memory, at, cut, interruption)
        try:
            one.go()
            one.check(halves(outside.texts()))
            check_that_it_works(memory, outside, at)
        except BaseException as error:
            raise AssertionError(f"interrupted at {interruption.where} ({at})") from error
    outside.close()
    memory.close()


# --- Forks and kills -------------------------------------------------------------------------

PROGRAM = """
import json, os, sys, threading, time, warnings
warnings.simplefilter("ignore")
from isomem import Memory
path, kind, calls = sys.argv[1], sys.argv[2], int(sys.argv[3])
memory = Memory.from_config({
    "vector_store": {"provider": "embedded", "config": {"path": path, "busy_timeout_s": 60}},
    "embedder": {"provider": "mock", "config": {"embedding_dims": 8}},
    "llm": {"provider": "mock"},
})
log = os.open(path + ".acknowledged", os.O_CREAT | os.O_WRONLY | os.O_APPEND)

def add(text):
    memory.add([{"role": "user", "content": f"{text} {part}"} for part in "ab"],
               user_id="u", infer=False)
    os.write(log, text.encode() + b"\\n")

def work(number):
    for call in range(calls):
        add(f"writer {number} call {call}")

threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
for thread in threads:
    thread.start()
print("ready", flush=True)
forks = 0
while kind == "forks" and any(thread.is_alive() for thread in threads):
    child = os.fork()
    if not child:
        add(f"child {forks}")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    forks += 1
for thread in threads:
    thread.join()
print("done", flush=True)
"""


def acknowledged(path: Path) -> list[str]:
    log = path.with_name(f"{path.name}.acknowledged")
    return log.read_text().splitlines() if log.exists() else []


def check_history(found: dict[str, Any]) -> None:
    added = sorted((text, memory_id) for text, memory_id, _ in found["history"])
    assert added == sorted((text, memory_id) for text, memory_id in found["points"])


def test_a_process_forks_while_its_threads_share_their_commits(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    calls = scaled(40, 800)
    process = python(PROGRAM, str(path), "forks", str(calls), start_new_session=True)
    output, errors = process.communicate(timeout=600)
    assert output.splitlines() == ["ready", "done"], errors
    found = look(path)
    assert halves([text for text, _ in found["points"]]) == sorted(acknowledged(path))
    check_history(found)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_what_was_acknowledged_by_threads_survives_a_kill(tmp_path: Path) -> None:
    chance = random.Random(3)
    for number in range(scaled(4, 300)):
        path = tmp_path / f"{number}.db"
        process = python(PROGRAM, str(path), "killed", "100000")
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        least = chance.randrange(0, 60)
        while len(acknowledged(path)) < least:
            pass
        threading.Event().wait(chance.random() / 50)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        found = look(path)
        there = set(halves([text for text, _ in found["points"]]))
        told = acknowledged(path)
        assert there >= set(told), "acknowledged and lost"
        assert len(there) <= len(told) + 8
        check_history(found)
