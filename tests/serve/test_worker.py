"""The worker of a process: how it finds jobs, how many it works on, and what does not stop it."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
from isomem.errors import (
    AuthenticationError,
    ConfigurationError,
    DatabaseError,
    EmbeddingError,
    LLMError,
    NetworkError,
    UnusableReplyError,
    ValidationError,
    VectorStoreError,
    VectorValueError,
)
from isomem.serve import worker
from isomem.serve.problems import Problem
from tests.serve.service import Served

RAW = {"messages": "I like tea", "infer": False}
Open = Callable[..., Served]


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Opens services on one file, whose workers look for jobs often."""
    monkeypatch.setattr(worker, "LOOKED_EVERY_S", 0.02)
    made: list[Served] = []

    def one(**serve: Any) -> Served:
        store = {"provider": "embedded", "config": {"path": str(tmp_path / "memory.db")}}
        options = {"job_backoff_s": 0.001, "job_lease_s": 1, **serve}
        made.append(Served({"vector_store": store, "serve": options}))
        return made[-1]

    yield one
    for served in made:
        served.close()


def submit(served: Served, user: str = "ana", **body: Any) -> str:
    async def add() -> str:
        access = served.service.access(key)
        given = {**RAW, "user_id": user, **body}
        return str((await served.service.jobs.submit(access, "add", given))["id"])

    key = key_of(served)
    return str(served.run(add()))


def key_of(served: Served) -> str:
    return served.service.keys.create("test", ["read", "write", "admin"], [{}])[0]


def statuses(served: Served, seconds: float = 20) -> list[str]:
    """Those of all jobs once none is open, oldest first; of a worker that has been started."""

    async def watch() -> list[str]:
        access = served.service.access(key)
        for _ in range(int(seconds / 0.02)):
            jobs = (await served.service.jobs.page(access, page_size=1000))["results"]
            if not any(job["status"] in ("waiting", "running") for job in jobs):
                return [job["status"] for job in reversed(jobs)]
            await asyncio.sleep(0.02)
        raise AssertionError(jobs)

    key = key_of(served)
    found: list[str] = served.run(watch())
    return found


def start(served: Served) -> None:
    async def begin() -> None:
        served.service.start()

    served.run(begin())


class Model:
    """Counts who asks at the same time."""

    def __init__(self, seconds: float = 0.05) -> None:
        self.seconds = seconds
        self.asking = self.most = self.asked = 0

    async def agenerate_response(self, messages: Any, **options: Any) -> str:
        self.asking += 1
        self.asked += 1
        self.most = max(self.most, self.asking)
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self.asking -= 1
        return json.dumps({"memory": [{"text": f"fact {self.asked}"}]})


def test_it_works_on_so_many_jobs_at_once_and_no_more(opened: Open) -> None:
    served = opened(job_workers=3)
    served.service.memory.llm = model = Model()  # type: ignore[assignment]
    for number in range(9):
        submit(served, f"u{number}", infer=True)
    start(served)
    assert statuses(served) == ["done"] * 9
    assert (model.asked, model.most) == (9, 3)


def test_of_one_scope_it_works_on_one_job_at_once(opened: Open) -> None:
    served = opened(job_workers=8)
    served.service.memory.llm = model = Model(0.01)  # type: ignore[assignment]
    for _ in range(5):
        submit(served, infer=True)
    start(served)
    assert statuses(served) == ["done"] * 5
    assert model.most == 1


def test_a_job_of_its_own_process_is_begun_at_once(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = opened()
    monkeypatch.setattr(worker, "LOOKED_EVERY_S", 3600)
    start(served)
    submit(served)
    assert statuses(served) == ["done"]


def test_a_job_of_another_process_is_found_by_looking(opened: Open) -> None:
    one, other = opened(), opened()
    start(one)
    submit(other)
    assert statuses(one) == ["done"]


def test_a_call_that_takes_too_long_is_tried_again(opened: Open) -> None:
    served = opened(timeout_s=0.1, job_attempts=2)
    served.service.memory.llm = model = Model(60)  # type: ignore[assignment]
    submit(served, infer=True)
    start(served)
    assert statuses(served) == ["failed"]
    assert model.asked == 2
    [job] = served.run(all_jobs(served))
    assert job["error"]["code"] == "TIMEOUT_001"


async def all_jobs(served: Served) -> Any:
    access = served.service.access(key_of(served))
    return (await served.service.jobs.page(access))["results"]


def test_a_queue_that_fails_for_a_while_does_not_stop_it(
    opened: Open, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    served = opened()
    jobs: Any = served.service.jobs
    take, failures = jobs._queue.take, [DatabaseError("locked")] * 3

    def failing(hold_s: float) -> Any:
        if failures:
            raise failures.pop()
        return take(hold_s)

    monkeypatch.setattr(jobs._queue, "take", failing)
    submit(served)
    with caplog.at_level(logging.WARNING):
        start(served)
        assert statuses(served) == ["done"]
    assert "The queue of jobs is not available: locked" in caplog.text


def test_old_receipts_that_cannot_be_removed_stop_nothing(
    opened: Open, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    served = opened()

    def failing(*_: object) -> int:
        raise DatabaseError("locked")

    receipts: Any = served.service.memory.stores.receipts
    monkeypatch.setattr(receipts, "forget", failing)
    submit(served)
    with caplog.at_level(logging.WARNING):
        start(served)
        assert statuses(served) == ["done"]
    assert "Old jobs were not removed: DatabaseError" in caplog.text


def test_jobs_under_way_may_finish_at_the_end(opened: Open) -> None:
    served = opened()
    served.service.memory.llm = model = Model(0.3)  # type: ignore[assignment]
    submit(served, infer=True)
    submit(served, infer=True)  # Waits for the first.

    async def run_for_a_moment() -> None:
        served.service.start()
        while not model.asked:  # noqa: ASYNC110 - a test may look
            await asyncio.sleep(0.01)
        await served.service.jobs.stop(grace_s=20)

    served.run(run_for_a_moment())
    assert [job["status"] for job in served.run(all_jobs(served))] == ["waiting", "done"]
    assert model.asked == 1


def test_what_the_model_was_asked_for_a_job_is_recorded_if_that_is_on(opened: Open) -> None:
    served = opened(record=True)
    served.service.memory.llm = Model(0)  # type: ignore[assignment]
    submit(served, infer=True)
    start(served)
    assert statuses(served) == ["done"]
    [exchange] = served.service.kept.shown_to(served.service.access(key_of(served)).key.grants)
    assert exchange["ids"] == {"user_id": "ana"}
    assert exchange["outcome"] == "stored"


def test_a_model_that_fails_is_an_error_even_where_the_library_goes_on(opened: Open) -> None:
    served = opened(job_attempts=1)
    served.service.memory.raise_on_llm_error = False
    served.service.memory.llm = object()  # type: ignore[assignment]
    submit(served, infer=True)
    start(served)
    assert statuses(served) == ["failed"]


@pytest.mark.parametrize(
    ("error", "may"),
    [
        (LLMError("x"), True), (NetworkError("x"), True), (EmbeddingError("x"), True),
        (UnusableReplyError("x"), True), (AuthenticationError("x"), True),
        (DatabaseError("x"), True), (VectorStoreError("x"), True),
        (VectorValueError("x"), False), (ConfigurationError("x", error_code="CONFIG_004"), False),
        (ValidationError("x", error_code="VALIDATION_003"), False), (ValueError("x"), False),
        (TypeError("x"), False), (KeyError("x"), False),
        (Problem(409, "X", "x"), False), (Problem(504, "X", "x"), True),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_only_what_may_go_well_next_time_is_tried_again(error: Exception, may: bool) -> None:
    assert worker.may_go_well(error) is may


@pytest.mark.parametrize("first_s", [0.001, 2, 300])
def test_no_wait_is_shorter_than_the_first_or_longer_than_the_longest(first_s: float) -> None:
    for failures in (1, 2, 10, 100, 900):
        delay_s = worker.delay_after(failures, first_s, LLMError("x"))
        assert first_s <= delay_s <= 1.25 * worker.LONGEST_DELAY_S
