"""The queue of jobs, as the processes that share it see it: whatever they do in whatever order."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from isomem.serve import queue as module
from isomem.serve.queue import STATES, Job, Queue

ARGUMENTS = {"messages": "I feed the cat of Ana", "user_id": "ana"}
HOLD_S = 10.0


class Clock:
    """The time that all queues of a test have."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def queues(tmp_path: Path, clock: Clock) -> Iterator[tuple[Queue, Queue]]:
    """Those of two processes."""
    path = str(tmp_path / "service.db")
    pair = Queue(path), Queue(path)
    yield pair
    for each in pair:
        each.close()


def added(queue: Queue, scope: str = "s", receipt: str | None = None, key: str = "k") -> Job:
    return queue.add(key, receipt, "digest", "add", ARGUMENTS, scope)


def state(queue: Queue, job: Job) -> Any:
    found = queue.find(job.id)
    return found and found.state


def test_a_job_is_there_for_every_process_as_soon_as_it_is_added(queues: Any) -> None:
    one, other = queues
    job = added(one)
    found = other.find(job.id)
    assert found is not None
    assert (found.call, found.arguments, found.state) == ("add", ARGUMENTS, "waiting")
    assert (found.failures, found.starts, found.error) == (0, 0, None)
    assert found.receipt == f"job:{job.id}"
    assert other.with_receipt(job.receipt).id == job.id
    assert one.find("nobody") is one.with_receipt("nothing") is None


def test_a_receipt_has_one_job_whoever_adds_it(queues: Any) -> None:
    one, other = queues
    first = added(one, receipt="key:1")
    again = other.add("k", "key:1", "another digest", "add", {}, "t")
    assert again.id == first.id
    assert again.digest == "digest"
    assert one.page(None, None, None, 10)[1] == 1


def test_a_job_is_taken_once(queues: Any) -> None:
    one, other = queues
    job = added(one)
    taken = other.take(HOLD_S)
    assert (taken.id, taken.arguments, taken.starts) == (job.id, ARGUMENTS, 1)
    assert one.take(HOLD_S) is other.take(HOLD_S) is None
    assert state(one, job) == "running"


def test_jobs_of_one_scope_are_taken_in_their_order_and_others_beside_them(queues: Any) -> None:
    one, other = queues
    first, second, third = added(one, "a"), added(one, "a"), added(one, "b")
    assert one.take(HOLD_S).id == first.id
    assert other.take(HOLD_S).id == third.id
    assert other.take(HOLD_S) is None
    one.finish(one.find(first.id), "done")
    assert other.take(HOLD_S).id == second.id


def test_a_job_that_waits_for_its_next_try_keeps_those_behind_it_waiting(
    queues: Any, clock: Clock
) -> None:
    one, other = queues
    first, second = added(one), added(one)
    one.postpone(one.take(HOLD_S), 60, {"code": "X"})
    assert other.take(HOLD_S) is None
    clock.now += 61
    again = other.take(HOLD_S)
    assert (again.id, again.failures, again.error) == (first.id, 1, {"code": "X"})
    other.finish(again, "done")
    assert one.take(HOLD_S).id == second.id


def test_who_still_works_on_a_job_keeps_it(queues: Any, clock: Clock) -> None:
    one, other = queues
    job = added(one)
    number = one.take(HOLD_S).number
    for _ in range(5):
        clock.now += HOLD_S - 1
        one.hold([number], HOLD_S)
        assert other.take(HOLD_S) is None
    clock.now += HOLD_S + 1
    taken = other.take(HOLD_S)
    assert (taken.id, taken.starts) == (job.id, 2)
    one.hold([number], HOLD_S)
    clock.now += HOLD_S + 1
    assert one.take(HOLD_S).id == job.id  # What one said held nothing of the other's.


def test_a_job_that_nobody_works_on_any_more_is_taken_again(queues: Any, clock: Clock) -> None:
    """Whoever took it still works on another one."""
    one, other = queues
    lost, kept = added(one, scope="ana"), added(one, scope="bob")
    assert one.take(HOLD_S).id == lost.id
    number = one.take(HOLD_S).number
    clock.now += HOLD_S - 1
    one.hold([number], HOLD_S)
    clock.now += 2
    assert other.take(HOLD_S).id == lost.id
    assert other.take(HOLD_S) is None
    assert kept.number == number


@pytest.mark.parametrize("end", ["finish", "postpone", "give_back"])
@pytest.mark.parametrize("over", ["cancelled", "done"])
def test_a_job_that_somebody_has_ended_stays_as_it_is(queues: Any, end: str, over: str) -> None:
    one, other = queues
    job = added(one)
    taken = one.take(HOLD_S)
    assert (other.cancel if over == "cancelled" else other.settle)(job.id)
    {
        "finish": lambda: one.finish(taken, "failed", {"code": "X"}),
        "postpone": lambda: one.postpone(taken, 0, {"code": "X"}),
        "give_back": lambda: one.give_back([taken.number]),
    }[end]()
    found = other.find(job.id)
    assert (found.state, found.arguments, found.error) == (over, {}, None)
    assert not one.retry(job.id)
    assert not one.cancel(job.id)
    assert not one.settle(job.id)
    assert one.take(HOLD_S) is None


@pytest.mark.parametrize("end", ["finish", "postpone", "give_back"])
def test_who_has_lost_a_job_changes_nothing(queues: Any, clock: Clock, end: str) -> None:
    one, other = queues
    job = added(one)
    lost = one.take(HOLD_S)
    clock.now += HOLD_S + 1
    other.take(HOLD_S)
    {
        "finish": lambda: one.finish(lost, "failed", {"code": "X"}),
        "postpone": lambda: one.postpone(lost, 0, {"code": "X"}),
        "give_back": lambda: one.give_back([lost.number]),
    }[end]()
    found = other.find(job.id)
    assert (found.state, found.failures, found.error, found.starts) == ("running", 0, None, 2)


def test_what_is_given_back_is_taken_again_as_if_it_had_not_been_begun(queues: Any) -> None:
    one, other = queues
    added(one)
    one.give_back([one.take(HOLD_S).number])
    assert other.take(HOLD_S).starts == 1


def test_what_is_over_is_not_looked_at_by_who_looks_for_work(queues: Any) -> None:
    """Several times a second: of the jobs that are kept, nearly all are over."""
    queue, other = queues
    asked: list[tuple[str, Any]] = []

    def note(_: Any, sql: str, values: Any) -> bool:
        asked.append((sql, values))
        return True

    queue._connection.set_exec_trace(note)
    for scope in ("s", "s", "t", "u", "v"):
        added(queue, scope)
    taken = [queue.take(HOLD_S) for _ in range(5)]
    assert [job is None for job in taken] == [False, False, False, False, True]
    queue.hold([job.number for job in taken[:4]], HOLD_S)
    queue.finish(taken[0], "done")
    queue.finish(taken[1], "failed", {"code": "X"})
    queue.postpone(taken[2], 5, {"code": "X"})
    queue.give_back([taken[3].number])
    queue.open_receipts()
    queue.page("k", None, None, 10)
    scanned = {
        (step, sql)
        for sql, values in asked
        for *_, step in other._connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)
        if step.startswith("SCAN jobs") and " USING INDEX open_" not in step
    }
    assert not scanned


@pytest.mark.parametrize(("ended", "kept"), [("done", {}), ("failed", ARGUMENTS)])
def test_only_a_failed_job_keeps_what_it_was_to_add(queues: Any, ended: str, kept: Any) -> None:
    one, _ = queues
    job = added(one)
    one.finish(one.take(HOLD_S), ended, {"code": "X"} if ended == "failed" else None)
    found = one.find(job.id)
    assert (found.state, found.arguments) == (ended, kept)
    assert found.finished_at is not None


def test_what_was_to_be_added_is_nowhere_in_the_file_once_it_is_done(
    queues: Any, tmp_path: Path
) -> None:
    one, _ = queues
    added(one)
    one.finish(one.take(HOLD_S), "done")
    cancelled = added(one)
    assert one.cancel(cancelled.id)
    one._connection.pragma("wal_checkpoint(TRUNCATE)")
    assert b"the cat of Ana" not in (tmp_path / "service.db").read_bytes()


def test_a_job_is_cancelled_until_it_is_done_and_retried_once_it_failed(queues: Any) -> None:
    one, other = queues
    waiting = added(one, "a")
    assert not one.retry(waiting.id)
    assert other.cancel(waiting.id)
    assert not one.cancel(waiting.id)
    assert not one.retry(waiting.id)
    assert one.take(HOLD_S) is None
    done = added(one, "a")
    one.finish(one.take(HOLD_S), "done")
    assert not other.cancel(done.id)
    failing = added(one, "b")
    one.finish(one.take(HOLD_S), "failed", {"code": "X"})
    assert other.retry(failing.id)
    found = one.find(failing.id)
    assert (found.state, found.failures, found.starts) == ("waiting", 0, 0)
    assert found.finished_at is None
    assert one.take(HOLD_S).arguments == ARGUMENTS


def test_nothing_of_a_scope_is_left_in_the_file_once_it_is_erased(
    queues: Any, tmp_path: Path
) -> None:
    one, other = queues
    kept = {"messages": "I feed the dog of Bob"}

    def job(user: str | None, run: str | None = None, given: Any = ARGUMENTS) -> Job:
        return one.add("k", None, "d", "add", given, json.dumps([user, None, run]))

    failed = job("ana-secret-id")
    one.finish(one.take(HOLD_S), "failed", {"detail": "the cat of Ana is not text"})
    done = job("ana-secret-id", "r")
    one.finish(one.take(HOLD_S), "done")
    waiting, running = job("ana-secret-id"), job("ana-secret-id", "r2")
    assert one.take(HOLD_S) is not None
    bob, nobody = job("bob", given=kept), job(None, "r2", given=kept)
    found = other.of_scope({"user_id": "ana-secret-id"})
    assert {each.id for each in found} == {failed.id, waiting.id, running.id}
    assert {each.id for each in other.of_scope({"run_id": "r2"})} == {running.id, nobody.id}
    assert len(other.of_scope({})) == 5
    other.erase(found)
    content = b"".join(path.read_bytes() for path in tmp_path.glob("service.db*"))
    assert b"the cat of Ana" not in content
    assert b"ana-secret-id" not in content
    assert b"the dog of Bob" in content
    states = [state(one, each) for each in (failed, done, waiting, running, bob, nobody)]
    assert states == ["cancelled", "done", "cancelled", "cancelled", "waiting", "waiting"]
    assert one.find(failed.id).error is None


def test_pages_have_every_job_once_and_count_all(queues: Any) -> None:
    one, other = queues
    mine = [added(one, str(number), key="mine").id for number in range(7)]
    added(other, "x", key="other")
    found, before = [], None
    while True:
        jobs, total = other.page("mine", None, before, 3)
        assert total == 7
        if not jobs:
            break
        found += [job.id for job in jobs]
        before = jobs[-1].number
    assert found == mine[::-1]
    assert other.page(None, None, None, 100)[1] == 8
    assert one.page("mine", "running", None, 100) == ([], 0)


def test_what_is_old_and_finished_is_forgotten_and_nothing_else(queues: Any, clock: Clock) -> None:
    one, _ = queues
    done, open_, later = added(one, "a"), added(one, "b"), added(one, "c")
    one.finish(one.take(HOLD_S), "done")
    clock.now += 100
    one.cancel(later.id)
    assert one.forget(clock.now - 50) == 1
    assert [state(one, job) for job in (done, open_, later)] == [None, "waiting", "cancelled"]
    assert one.open_receipts() == [open_.receipt]


# --- In any order ----------------------------------------------------------------------------


class Processes(RuleBasedStateMachine):
    """Three processes with one queue, beside a simple model of it."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self._time, module.time = module.time, self.clock  # type: ignore[assignment,attr-defined]
        self.folder = tempfile.TemporaryDirectory()
        path = str(Path(self.folder.name) / "service.db")
        self.queues = [Queue(path) for _ in range(3)]
        self.held: dict[int, dict[str, tuple[Job, float]]] = {0: {}, 1: {}, 2: {}}
        self.states: dict[str, str] = {}
        self.scopes: dict[str, str] = {}
        self.order: list[str] = []

    def teardown(self) -> None:
        for queue in self.queues:
            queue.close()
        self.folder.cleanup()
        module.time = self._time  # type: ignore[attr-defined]

    def holder(self, job_id: str) -> int | None:
        """Who may say what becomes of a job: the last one who took it."""
        for process, jobs in self.held.items():
            if job_id in jobs:
                return process
        return None

    @rule(process=st.integers(0, 2), scope=st.sampled_from("abc"))
    def add(self, process: int, scope: str) -> None:
        job = added(self.queues[process], scope)
        self.states[job.id], self.scopes[job.id] = "waiting", scope
        self.order.append(job.id)

    @rule(process=st.integers(0, 2))
    def take(self, process: int) -> None:
        job = self.queues[process].take(HOLD_S)
        if job is None:
            return
        before = self.holder(job.id)
        if before is not None:
            assert self.held[before][job.id][1] < self.clock.now, "taken while it was held"
            del self.held[before][job.id]
        else:
            assert self.states[job.id] == "waiting"
        for earlier in self.order[: self.order.index(job.id)]:
            if self.scopes[earlier] == self.scopes[job.id]:
                assert self.states[earlier] not in ("waiting", "running"), "out of order"
        self.states[job.id] = "running"
        self.held[process][job.id] = (job, self.clock.now + HOLD_S)

    @rule(seconds=st.floats(0, 25))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule(process=st.integers(0, 2))
    def hold(self, process: int) -> None:
        held = [job.number for job, _ in self.held[process].values()]
        self.queues[process].hold(held, HOLD_S)
        until = self.clock.now + HOLD_S
        self.held[process] = {name: (job, until) for name, (job, _) in self.held[process].items()}

    @precondition(lambda self: any(self.held.values()))
    @rule(data=st.data(), how=st.sampled_from(["done", "failed", "postpone", "give back"]))
    def end(self, data: Any, how: str) -> None:
        process = data.draw(st.sampled_from([each for each, jobs in self.held.items() if jobs]))
        name = data.draw(st.sampled_from(sorted(self.held[process])))
        job, _ = self.held[process].pop(name)
        queue = self.queues[process]
        was_over = self.states[name] in ("done", "cancelled")
        if how == "postpone":
            queue.postpone(job, 5, {"code": "X"})
        elif how == "give back":
            queue.give_back([job.number])
        else:
            queue.finish(job, how)
        if not was_over:
            self.states[name] = how if how in STATES else "waiting"

    @precondition(lambda self: self.order)
    @rule(data=st.data(), process=st.integers(0, 2))
    def cancel_or_retry(self, data: Any, process: int) -> None:
        name = data.draw(st.sampled_from(self.order))
        if data.draw(st.booleans()):
            retries = self.queues[process].retry(name)
            assert retries == (self.states[name] == "failed")
            if retries:
                self.states[name] = "waiting"
            return
        ends = data.draw(st.sampled_from(["cancelled", "done"]))
        queue = self.queues[process]
        did = (queue.cancel if ends == "cancelled" else queue.settle)(name)
        assert did == (self.states[name] not in ("done", "cancelled"))
        if did:
            self.states[name] = ends

    @invariant()
    def nothing_is_lost(self) -> None:
        jobs, total = self.queues[0].page(None, None, None, 10_000)
        assert {job.id: job.state for job in jobs} == self.states
        assert total == len(self.states)

    @invariant()
    def what_can_be_worked_on_is_worked_on(self) -> None:
        """If no job is free now, each open one is held, waits for its time, or for another one."""
        open_ = [name for name in self.order if self.states[name] in ("waiting", "running")]
        rows = self.queues[1]._rows(f"SELECT count(*) FROM jobs WHERE {module._OPEN}")
        assert rows == [(len(open_),)]


TestProcesses = Processes.TestCase
TestProcesses.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)


def test_what_a_job_was_asked_for_comes_back_as_it_was(queues: Any) -> None:
    one, other = queues
    given = {
        "messages": [{"role": "user", "content": "é\u2028\0 😀"}],
        "metadata": {"n": [1, 2.5, None]},
    }
    job = one.add("k", None, "d", "add", given, "s")
    assert other.find(job.id).arguments == given == json.loads(json.dumps(given))
