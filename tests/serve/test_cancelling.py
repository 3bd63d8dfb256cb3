"""A job is cancelled at any moment, however often and in whatever way its call is sent: it is never
made twice, never made after it was said to be cancelled, and never lost otherwise."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from isomem.errors import LLMError

pytest.importorskip("fastapi")
from isomem.serve import worker
from isomem.serve.queue import Queue
from tests.serve.service import Client, Served
from tests.torture.storage import scaled

TEXT = "I feed the cat of Ana"
RAW = {"messages": TEXT, "user_id": "ana", "infer": False}
KEY = {"Idempotency-Key": "k1"}
FACT = json.dumps({"memory": [{"text": TEXT}]})
Open = Callable[..., Served]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "LOOKED_EVERY_S", 0.02)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    made: list[Served] = []

    def one(**serve: Any) -> Served:
        store = {"provider": "embedded", "config": {"path": str(tmp_path / "memory.db")}}
        options = {"job_backoff_s": 0.001, "job_lease_s": 0.3, "rate_per_minute": 100_000, **serve}
        made.append(Served({"vector_store": store, "serve": options}))
        return made[-1]

    yield one
    for served in made:
        served.close()


class Model:
    """Answers when it is let; until then a call is under way."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()

    async def agenerate_response(self, messages: Any, **_: Any) -> str:
        self.asked.set()
        await self.may_answer.wait()
        return FACT


def texts(client: Client) -> list[str]:
    found = client.post("/api/get_all", {"filters": {"user_id": "ana"}, "top_k": 1000}).json()
    return [each["memory"] for each in found["results"]]


def later(client: Client, body: Any = RAW, **options: Any) -> Any:
    return client.post("/api/add", {**body, "background": True}, **options)


def path_of(job: Any) -> str:
    return f"/api/jobs/{job['id']}"


def work(served: Served) -> None:
    """Lets the service work on its jobs until none is open."""

    async def until_over() -> None:
        served.service.start()
        await all_over(served.service.jobs._queue)
        await served.service.jobs.stop()

    served.run(until_over())


async def idle(served: Served) -> None:
    """Waits until the service works on no job."""
    for _ in range(4000):
        if not served.service.jobs._worker._work:
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it works on and on")


async def all_over(queue: Queue) -> None:
    """Waits until no job is open."""
    for _ in range(4000):
        if not queue.open_receipts():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("some are still open")


def is_cancelled(answer: Any) -> bool:
    return (answer.status_code, answer.json().get("code")) == (409, "JOB_003")


def test_one_that_waits_is_never_made(opened: Open) -> None:
    served = opened()
    client = served.key()
    job = later(client, headers=KEY).json()
    assert client.delete(path_of(job)).json()["status"] == "cancelled"
    work(served)
    assert client.get(path_of(job)).json()["status"] == "cancelled"
    assert texts(client) == []


@pytest.mark.parametrize("is_sent", ["now", "later", "later by another process"])
def test_after_that_the_same_key_says_so_and_a_new_one_makes_it(opened: Open, is_sent: str) -> None:
    served = opened()
    client = served.key()
    client.delete(path_of(later(client, headers=KEY).json()))
    other = Client(opened(), client.headers["X-API-Key"]) if "process" in is_sent else client
    send: Any = (lambda **o: other.post("/api/add", RAW, **o)) if is_sent == "now" else None
    send = send or (lambda **o: later(other, **o))
    assert is_cancelled(send(headers=KEY))
    work(served)
    assert texts(client) == []
    assert client.post("/api/add", {**RAW, "infer": True}, headers=KEY).status_code == 409
    assert send(headers={"Idempotency-Key": "k2"}).status_code < 300
    work(served)
    assert texts(client) == [TEXT]


@pytest.mark.parametrize("cancels", ["this process", "another one"])
def test_one_that_is_under_way_stores_nothing_any_more(opened: Open, cancels: str) -> None:
    served = opened()
    client = served.key()
    canceller = client if cancels == "this process" else None
    canceller = canceller or Client(opened(), client.headers["X-API-Key"])

    async def run() -> None:
        model = Model()
        served.service.memory.llm = model  # type: ignore[assignment]
        served.service.start()
        job = await served.service.jobs.submit(access, "add", {**RAW, "infer": True}, "k1")
        await model.asked.wait()
        jobs = canceller.served.service.jobs
        theirs = canceller.served.service.access(client.headers["X-API-Key"])
        assert (await jobs.cancel(theirs, job["id"]))["status"] == "cancelled"
        model.may_answer.set()
        await idle(served)
        assert (await jobs.get(theirs, job["id"]))["status"] == "cancelled"
        await served.service.jobs.stop()

    access = served.service.access(client.headers["X-API-Key"])
    served.run(run())
    assert texts(client) == []
    assert is_cancelled(later(client, {**RAW, "infer": True}, headers=KEY))


def test_one_that_was_made_is_done_and_says_so(opened: Open) -> None:
    served = opened()
    client = served.key()
    job = later(client, headers=KEY).json()
    work(served)
    refused = client.delete(path_of(job))
    assert (refused.status_code, refused.json()["code"]) == (409, "JOB_001")
    assert "this one is done" in refused.json()["detail"]
    assert texts(client) == [TEXT]


def test_one_that_was_made_now_while_it_waited_is_done(opened: Open) -> None:
    served = opened()
    client = served.key()
    job = later(client, headers=KEY).json()
    made = client.post("/api/add", RAW, headers=KEY)
    seen = client.get(path_of(job)).json()
    assert (seen["status"], seen["result"]) == ("done", made.json())
    assert client.delete(path_of(job)).status_code == 409
    work(served)
    assert texts(client) == [TEXT]


def test_one_whose_process_died_after_it_was_made_is_done(opened: Open) -> None:
    """Its plan was applied, and nobody could say so in the queue."""
    served = opened()
    client = served.key()
    job = later(client, headers=KEY).json()
    queue: Queue = served.service.jobs._queue
    taken = queue.take(hold_s=60)
    assert taken is not None
    served.run(served.service.jobs._worker._make(taken))
    refused = client.delete(path_of(job))
    assert (refused.status_code, client.get(path_of(job)).json()["status"]) == (409, "done")
    assert texts(client) == [TEXT]


def test_a_process_that_dies_while_it_cancels_leaves_no_doubt(opened: Open) -> None:
    """Between the two steps of a cancellation, whoever takes the job ends it."""
    served = opened()
    client = served.key()
    job = later(client, headers=KEY).json()
    jobs = served.service.jobs
    found = jobs._queue.find(job["id"])
    assert found is not None
    assert served.run(worker.call_off(served.service._own_access(), found))
    work(served)
    assert client.get(path_of(job)).json()["status"] == "cancelled"
    assert texts(client) == []


def test_a_request_under_way_with_the_same_key_stores_nothing_after_a_cancel(opened: Open) -> None:
    served = opened()
    client = served.key()

    async def run() -> None:
        model = Model()
        served.service.memory.llm = model  # type: ignore[assignment]
        access, jobs = served.service.access(client.headers["X-API-Key"]), served.service.jobs
        asked = {**RAW, "infer": True}
        now = asyncio.ensure_future(jobs.once(access, "add", asked, "k1"))
        await model.asked.wait()
        job = await jobs.submit(access, "add", asked, "k1")
        assert (await jobs.cancel(access, job["id"]))["status"] == "cancelled"
        model.may_answer.set()
        with pytest.raises(Exception, match="cancelled"):
            await now

    served.run(run())
    assert texts(client) == []


def test_one_that_failed_can_be_cancelled_or_sent_again(opened: Open) -> None:
    served = opened(job_attempts=1)
    client = served.key()

    class Down:
        async def agenerate_response(self, messages: Any, **_: Any) -> str:
            raise LLMError("it is down")

    served.service.memory.llm = Down()  # type: ignore[assignment]
    asked = {**RAW, "infer": True}
    given_up = later(client, asked, headers=KEY).json()
    again = later(client, asked, headers={"Idempotency-Key": "k2"}).json()
    work(served)
    assert client.delete(path_of(given_up)).json()["status"] == "cancelled"
    assert is_cancelled(later(client, asked, headers=KEY))
    served.service.memory.llm = served.llm
    served.llm.reply(FACT)
    renewed = later(client, asked, headers={"Idempotency-Key": "k2"})
    assert (renewed.status_code, renewed.json()["status"]) == (202, "waiting")
    assert renewed.json()["id"] == again["id"]
    work(served)
    assert client.get(path_of(again)).json()["status"] == "done"
    assert texts(client) == [TEXT]


# --- In any order ----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(scaled(6, 300)))
def test_whatever_comes_at_once_every_answer_is_true(opened: Open, seed: int) -> None:
    """Two processes, and for each key its call now, later and cancelled, in any order at once."""
    one, other = opened(), opened()
    client = one.key()
    chance, ends = Random(seed), itertools.count()
    stored: set[str] = set()
    cancelled: dict[str, int] = {}

    async def send(text: str, way: str, served: Served) -> None:
        access = served.service.access(client.headers["X-API-Key"])
        asked = {**RAW, "messages": text}
        jobs = served.service.jobs
        await asyncio.sleep(chance.random() / 50)
        try:
            if way == "now":
                result: Any = await jobs.once(access, "add", asked, text)
                assert [each["memory"] for each in result["results"]] == [text]
                stored.add(text)
            else:
                job = await jobs.submit(access, "add", asked, text)
                if way == "cancel":
                    await asyncio.sleep(chance.random() / 50)
                    await jobs.cancel(access, job["id"])
                    cancelled[text] = next(ends)
        except worker.Problem as problem:
            if problem.code == "JOB_003":
                cancelled.setdefault(text, -1)
            elif problem.code != "JOB_001":
                raise

    async def run() -> None:
        one.service.start()
        other.service.start()
        ways = [
            send(f"text {number}", way, chance.choice((one, other)))
            for number in range(10)
            for way in chance.sample(("now", "later", "cancel", "cancel", "now"), 4)
        ]
        await asyncio.gather(*chance.sample(ways, len(ways)))
        await all_over(one.service.jobs._queue)
        await one.service.jobs.stop()
        await other.service.jobs.stop()

    one.run(run())
    found = texts(client)
    assert len(set(found)) == len(found), "stored twice"
    assert stored <= set(found), "acknowledged and lost"
    assert not cancelled.keys() & set(found), "cancelled and stored"
    jobs = client.get("/api/jobs?page_size=1000").json()["results"]
    assert {job["status"] for job in jobs} <= {"done", "cancelled"}
    done = [job for job in jobs if job["status"] == "done"]
    told = [client.get(path_of(job)).json()["result"]["results"] for job in done]
    assert {each["memory"] for results in told for each in results} <= set(found)
    assert len(done) + len(cancelled) >= len(jobs)
