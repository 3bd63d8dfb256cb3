"""Calls that are made later, and calls that may be sent again: each is carried out once."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from isomem.contract.plan import Receipt
from isomem.errors import LLMError, RateLimitError
from isomem.serve.queue import Queue
from isomem.testing import HashEmbedder, ScriptedLLM

pytest.importorskip("fastapi")
from isomem.serve import worker
from isomem.serve.jobs import digest_of
from tests.serve.service import Client, Served

SECRET = "the cat of Ana"
SAID = {"messages": f"I feed {SECRET}", "user_id": "ana"}
RAW = {**SAID, "infer": False}
FAST = {"job_backoff_s": 0.001, "job_lease_s": 0.3}
Open = Callable[..., Served]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "LOOKED_EVERY_S", 0.02)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Opens services on one file."""
    made: list[Served] = []

    def one(**serve: Any) -> Served:
        store = {"provider": "embedded", "config": {"path": str(tmp_path / "memory.db")}}
        served = Served({"vector_store": store, "serve": {**FAST, **serve}})
        made.append(served)
        return served

    yield one
    for served in made:
        if not served.loop.is_closed():
            served.close()


@pytest.fixture
def served(opened: Open) -> Served:
    return opened()


def start(served: Served) -> None:
    async def begin() -> None:
        served.service.start()

    served.run(begin())


def finished(served: Served, client: Client, job: dict[str, Any]) -> dict[str, Any]:
    """The job once it is neither waiting nor running."""
    for _ in range(1000):
        found: dict[str, Any] = client.get(f"/api/jobs/{job['id']}").json()
        if found["status"] not in ("waiting", "running"):
            return found
        served.run(asyncio.sleep(0.01))
    raise AssertionError(f"it does not end: {found}")


def submitted(client: Client, body: Any = RAW, **options: Any) -> dict[str, Any]:
    done = client.post("/api/add", {**body, "background": True}, **options)
    assert done.status_code == 202, done.text
    assert done.headers["location"] == f"/api/jobs/{done.json()['id']}"
    job: dict[str, Any] = done.json()
    return job


def texts(client: Client, user: str = "ana") -> list[str]:
    found = client.post("/api/get_all", {"filters": {"user_id": user}, "top_k": 1000}).json()
    return sorted(each["memory"] for each in found["results"])


def learn(served: Served, *replies: Any) -> ScriptedLLM:
    served.llm = ScriptedLLM(list(replies))
    served.service.memory.llm = served.llm
    return served.llm


FACT = {"memory": [{"text": "Ana has a cat"}]}


# --- Later -----------------------------------------------------------------------------------


def test_a_call_is_accepted_at_once_and_made_later(served: Served) -> None:
    client = served.key()
    job = submitted(client)
    assert (job["status"], job["call"], job["error"]) == ("waiting", "add", None)
    assert "result" not in job
    assert texts(client) == []
    start(served)
    done = finished(served, client, job)
    assert done["status"] == "done"
    assert [each["memory"] for each in done["result"]["results"]] == [SAID["messages"]]
    assert done["finished_at"] >= done["submitted_at"]
    assert texts(client) == [SAID["messages"]]


def test_every_dialect_and_the_header_mean_the_same(served: Served) -> None:
    client = served.key()
    asked = {"Prefer": "wait=5, respond-async"}
    for number, (path, body, headers) in enumerate(
        (
            ("/memories", {"background": True}, {}),
            ("/memories", {}, asked),
            ("/api/add", {}, asked),
            ("/api/remember", {"said": "hello", "background": True}, {}),
        )
    ):
        given = {**RAW, **body, "user_id": f"u{number}"}
        if "said" in body:
            del given["messages"]
        done = client.post(path, given, headers=headers)
        assert done.status_code == 202, done.text
        assert done.headers["preference-applied"] == "respond-async"
    assert client.post("/api/search", {"query": "x"}, headers=asked).status_code != 202
    start(served)
    for job in client.get("/api/jobs").json()["results"]:
        assert finished(served, client, job)["status"] == "done"
    assert all(texts(client, f"u{number}") for number in range(4))


def test_what_can_be_known_before_is_refused_before(served: Served) -> None:
    reader = served.key(rights=["read"])
    ana = served.key({"user_id": "ana"})
    body = {**RAW, "background": True}
    assert reader.post("/api/add", body).status_code == 403
    assert ana.post("/api/add", {**body, "user_id": "bob"}).status_code == 403
    assert ana.post("/api/add", {**body, "mesages": 1}).status_code == 400
    assert ana.post("/api/add", {**body, "background": "yes"}).status_code == 400
    assert served.anyone.post("/api/add", body).status_code == 401
    assert served.key().get("/api/jobs").json() == {"results": [], "total": 0, "next_cursor": None}


WRONG: dict[str, dict[str, Any]] = {
    "memory type": {"memory_type": True},
    "supersede": {"supersede": "perhaps"},
    "moment": {"timestamp": "soon"},
    "date": {"expiration_date": "soon"},
    "prompt": {"prompt": 5},
    "message": {"messages": [{"content": "tea"}]},
    "message of no agent": {
        "messages": [{"content": "tea"}],
        "memory_type": "procedural_memory",
    },
    "messages": {"messages": 5},
    "metadata": {"metadata": "tea"},
    "id": {"user_id": "a b"},
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_arguments_are_refused_at_once_as_by_the_call(served: Served, what: str) -> None:
    client = served.key()
    body = {**RAW, **WRONG[what]}
    at_once = client.post("/api/add", body)
    later = client.post("/api/add", {**body, "background": True})
    for each in (at_once, later):
        assert each.status_code == 400, each.text
    told = ("code", "detail", "suggestion")
    assert [later.json().get(key) for key in told] == [at_once.json().get(key) for key in told]
    assert client.get("/api/jobs").json()["total"] == 0


@pytest.mark.parametrize("wrong", [{"said": 5}, {"said": "tea", "memory_type": True}])
def test_a_wrong_turn_is_refused_at_once(served: Served, wrong: dict[str, Any]) -> None:
    client = served.key()
    body = {"user_id": "ana", "infer": False, **wrong}
    for more in ({}, {"background": True}):
        assert client.post("/api/remember", {**body, **more}).status_code == 400
    right = {**body, "said": "tea", "memory_type": None, "background": True}
    assert client.post("/api/remember", right).status_code == 202


def test_a_job_is_made_in_the_scope_of_its_key(served: Served) -> None:
    ana = served.key({"user_id": "ana"})
    job = submitted(ana, {"messages": "I like tea", "infer": False})
    start(served)
    assert finished(served, ana, job)["status"] == "done"
    assert texts(served.key()) == ["I like tea"]


def test_a_key_sees_its_own_jobs_and_an_administrator_all(served: Served) -> None:
    ana, bob, admin = served.key({"user_id": "ana"}), served.key({"user_id": "bob"}), served.key()
    everything = served.key(rights=["read", "write"])
    job = submitted(ana)
    submitted(bob, {**RAW, "user_id": "bob"})
    path = f"/api/jobs/{job['id']}"
    for stranger in (bob, everything):
        assert stranger.get(path).status_code == 404
        assert stranger.delete(path).status_code == 404
        assert stranger.post(f"{path}/retry").status_code == 404
    assert [ana.get(path).status_code, admin.get(path).status_code] == [200, 200]
    totals = [each.get("/api/jobs").json()["total"] for each in (ana, bob, everything, admin)]
    assert totals == [1, 1, 0, 2]


def test_jobs_are_listed_in_pages_and_by_status(served: Served) -> None:
    client = served.key()
    jobs = [submitted(client, {**RAW, "user_id": f"u{number}"})["id"] for number in range(5)]
    client.delete(f"/api/jobs/{jobs[2]}")
    found, cursor = [], ""
    while True:
        page = client.get(f"/api/jobs?page_size=2{cursor}").json()
        assert page["total"] == 5
        found += [each["id"] for each in page["results"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert found == jobs[::-1]
    cancelled = client.get("/api/jobs?status=cancelled").json()
    assert ([each["id"] for each in cancelled["results"]], cancelled["total"]) == ([jobs[2]], 1)
    refused = ("status=lost", "page_size=0", "page_size=x", "cursor=-1", "cursor=3",
               "cursor=", f"cursor={jobs[0][::-1]}", "page_size=1001")  # fmt: skip
    for query in refused:
        assert client.get(f"/api/jobs?{query}").status_code == 400, query


def test_cursors_tell_nothing_of_the_jobs_of_others(served: Served) -> None:
    ana, bob = served.key({"user_id": "ana"}), served.key({"user_id": "bob"})
    seen = []
    for _ in range(3):
        submitted(ana)
        seen.append(ana.get("/api/jobs?page_size=1").json())
        for number in range(5):
            submitted(bob, {**RAW, "user_id": "bob", "messages": str(number)})
    assert [page["total"] for page in seen] == [1, 2, 3]
    assert seen[0]["next_cursor"] is None
    own = {job["id"] for job in ana.get("/api/jobs").json()["results"]}
    assert {page["next_cursor"] for page in seen[1:]} <= own
    stranger = bob.get("/api/jobs?page_size=1").json()["next_cursor"]
    assert ana.get(f"/api/jobs?cursor={stranger}").status_code == 400


def test_a_waiting_job_can_be_cancelled_and_no_other(served: Served) -> None:
    client = served.key()
    job = submitted(client)
    path = f"/api/jobs/{job['id']}"
    assert served.key(rights=["read", "admin"]).delete(path).status_code == 403
    assert client.delete(path).json()["status"] == "cancelled"
    start(served)
    other = submitted(client, {**RAW, "messages": "other"})
    finished(served, client, other)
    assert texts(client) == ["other"]
    for each in (path, f"/api/jobs/{other['id']}"):
        assert client.delete(each).status_code == 409
        assert client.post(f"{each}/retry").json()["code"] == "JOB_001"


def test_jobs_of_one_scope_are_made_in_their_order(served: Served) -> None:
    client = served.key()
    for number in range(8):
        submitted(client, {**RAW, "messages": f"m{number}"})
    start(served)
    for job in client.get("/api/jobs").json()["results"]:
        finished(served, client, job)
    stored: Any = served.service.memory.db
    told = stored.database.rows("SELECT new_memory FROM history ORDER BY rowid")
    assert [text for (text,) in told] == [f"m{number}" for number in range(8)]


# --- Failing ---------------------------------------------------------------------------------


def test_a_failing_provider_is_tried_again(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    client = served.key()
    learn(served, LLMError(f"it is down: {SECRET}"), RateLimitError("slow down"), FACT)
    with caplog.at_level(logging.INFO):
        job = submitted(client, SAID)
        start(served)
        done = finished(served, client, job)
    assert (done["status"], done["failures"], done["error"]) == ("done", 2, None)
    assert texts(client) == ["Ana has a cat"]
    assert "LLM_001" in caplog.text
    assert SECRET not in caplog.text


def test_tries_come_to_an_end_and_can_be_renewed(opened: Open) -> None:
    served = opened(job_attempts=3)
    client = served.key()
    model = learn(served, *[LLMError("it is down")] * 3, FACT)
    job = submitted(client, SAID)
    start(served)
    failed = finished(served, client, job)
    assert (failed["status"], failed["failures"], len(model.calls)) == ("failed", 3, 3)
    assert failed["error"] == {"status": 502, "code": "LLM_001", "detail": "it is down"}
    assert texts(client) == []
    served.run(served.service.jobs.stop())  # Otherwise it may be taken before the answer is read.
    assert client.post(f"/api/jobs/{job['id']}/retry").json()["status"] == "waiting"
    start(served)
    assert finished(served, client, job)["status"] == "done"
    assert texts(client) == ["Ana has a cat"]


def test_what_stays_wrong_is_tried_once(served: Served) -> None:
    client = served.key()
    client.post("/api/add", RAW)
    served.service.memory.embedding_model = HashEmbedder(7)
    job = submitted(client, {**RAW, "messages": "of another length"})
    start(served)
    failed = finished(served, client, job)
    assert (failed["status"], failed["failures"]) == ("failed", 1)
    assert "dim" in failed["error"]["detail"]


def test_the_next_try_comes_later_each_time_and_not_before_a_provider_wants() -> None:
    delays = [worker.delay_after(failures, 2, LLMError("x")) for failures in range(1, 20)]
    assert all(2 * 2**n <= delay <= 2.5 * 2**n for n, delay in enumerate(delays[:7]))
    assert max(delays) <= 1.25 * worker.LONGEST_DELAY_S
    asked = RateLimitError("x", debug_info={"retry_after": 1000})
    assert worker.delay_after(1, 2, asked) == 1000


# --- Once ------------------------------------------------------------------------------------

KEY = {"Idempotency-Key": "k1"}


def test_a_request_that_is_sent_again_is_not_made_twice(opened: Open) -> None:
    served = opened()
    text, _ = served.service.keys.create("test", ["read", "write"], [{}])
    client = Client(served, text)
    model = learn(served, FACT)
    first = client.post("/api/add", SAID, headers=KEY)
    assert first.status_code == 200
    again = client.post("/memories", SAID, headers=KEY)
    assert (again.status_code, again.json()) == (200, first.json())
    served.close()
    client = Client(opened(), text)  # After a restart, too.
    assert client.post("/api/add", SAID, headers=KEY).json() == first.json()
    assert len(model.calls) == 1
    assert texts(client) == ["Ana has a cat"]


def test_a_key_with_another_body_is_a_conflict(served: Served) -> None:
    client = served.key()
    client.post("/api/add", RAW, headers=KEY)
    for body in ({**RAW, "messages": "other"}, {**RAW, "background": True, "user_id": "bob"}):
        refused = client.post("/api/add", body, headers=KEY)
        assert (refused.status_code, refused.json()["code"]) == (409, "IDEMPOTENCY_001")
    assert texts(client) == [SAID["messages"]]
    assert client.post("/api/add", RAW, headers={"Idempotency-Key": "x" * 256}).status_code == 400
    assert client.post("/api/add", RAW, headers={"Idempotency-Key": ""}).status_code == 400


def test_a_key_belongs_to_the_caller(served: Served) -> None:
    for client in (served.key(), served.key()):
        assert client.post("/api/add", RAW, headers=KEY).status_code == 200
    assert len(texts(served.key())) == 2


def test_a_failed_request_may_be_sent_again(served: Served) -> None:
    client = served.key()
    learn(served, LLMError("it is down"), FACT)
    assert client.post("/api/add", SAID, headers=KEY).status_code == 502
    assert client.post("/api/add", SAID, headers=KEY).status_code == 200
    assert texts(client) == ["Ana has a cat"]


def test_of_requests_at_once_one_is_made_even_in_several_processes(opened: Open) -> None:
    """Two services on one file stand for the processes: they share nothing else."""
    one, other = opened(), opened()
    text, _ = one.service.keys.create("test", ["read", "write"], [{}])

    async def all_at_once() -> list[Any]:
        calls = [
            served.service.jobs.once(served.service.access(text), "add", RAW, "k")
            for served in (one, other) * 5
        ]
        return await asyncio.gather(*calls)

    answers = one.run(all_at_once())
    assert all(answer == answers[0] for answer in answers)
    assert texts(Client(one, text)) == [SAID["messages"]]


def test_a_key_makes_one_job_and_a_request_now_is_the_same_call(served: Served) -> None:
    client = served.key()
    job = submitted(client, headers=KEY)
    assert submitted(client, headers=KEY)["id"] == job["id"]
    now = client.post("/api/add", RAW, headers=KEY)
    assert now.status_code == 200
    other = client.post("/api/add", {**RAW, "messages": "other"}, headers=KEY)
    assert other.status_code == 409
    start(served)
    assert finished(served, client, job)["result"] == now.json()
    assert texts(client) == [SAID["messages"]]


# --- Processes that die ----------------------------------------------------------------------


def test_a_job_that_was_carried_out_before_its_process_died_is_not_made_again(
    opened: Open, tmp_path: Path
) -> None:
    served = opened()
    client = served.key()
    job = submitted(client, SAID)
    dead = Queue(str(tmp_path / "service.db"))
    taken = dead.take(hold_s=0.1)
    assert taken is not None
    learn(served, FACT)
    memory = served.service.memory.replacing(receipt=Receipt(taken.receipt, taken.digest))
    stored = served.run(memory.add(**taken.arguments))  # And here it dies.
    dead.close()
    model = learn(served)
    start(served)
    assert finished(served, client, job)["result"] == stored
    assert not model.calls
    assert texts(client) == ["Ana has a cat"]


def test_a_job_of_a_dead_process_is_taken_over_when_its_time_is_up(
    opened: Open, tmp_path: Path
) -> None:
    served = opened()
    client = served.key()
    job = submitted(client)
    dead = Queue(str(tmp_path / "service.db"))
    assert dead.take(hold_s=0.4) is not None
    began = time.monotonic()
    dead.close()
    start(served)
    assert finished(served, client, job)["status"] == "done"
    assert time.monotonic() - began > 0.3


def test_a_process_that_was_only_slow_cannot_change_a_job_that_another_one_has(
    served: Served, tmp_path: Path
) -> None:
    client = served.key()
    job = submitted(client)
    slow = Queue(str(tmp_path / "service.db"))
    taken = slow.take(hold_s=-1)
    assert taken is not None
    start(served)
    done = finished(served, client, job)
    slow.finish(taken, "failed", {"status": 500, "code": "X", "detail": ""})
    slow.postpone(taken, 0, {})
    slow.give_back([taken.number])
    slow.close()
    assert client.get(f"/api/jobs/{job['id']}").json() == done
    assert texts(client) == [SAID["messages"]]


def test_a_job_at_which_processes_die_is_given_up(served: Served, tmp_path: Path) -> None:
    client = served.key()
    job = submitted(client)
    dying = Queue(str(tmp_path / "service.db"))
    for _ in range(worker.MOST_STARTS):
        assert dying.take(hold_s=-1) is not None
    dying.close()
    start(served)
    failed = finished(served, client, job)
    assert (failed["status"], failed["error"]["code"]) == ("failed", "JOB_002")


def test_what_is_not_finished_at_the_end_is_given_back(opened: Open) -> None:
    served = opened(grace_s=0)
    client = served.key()
    job = submitted(client, SAID)
    asked = asyncio.Event()

    class Slow:
        async def agenerate_response(self, messages: Any, **options: Any) -> str:
            asked.set()
            await asyncio.sleep(60)
            return "{}"

    served.service.memory.llm = Slow()  # type: ignore[assignment]
    start(served)
    served.run(asyncio.wait_for(asked.wait(), 10))
    text = client.headers["X-API-Key"]
    served.close()
    other = opened()
    client = Client(other, text)
    assert client.get(f"/api/jobs/{job['id']}").json()["status"] == "waiting"
    learn(other, FACT)
    start(other)
    assert finished(other, client, job)["status"] == "done"


def test_a_job_that_takes_long_is_not_taken_over(opened: Open) -> None:
    one, other = opened(job_lease_s=0.8), opened(job_lease_s=0.8)
    client = one.key()
    job = submitted(client, SAID)
    calls: list[str] = []

    class Slow:
        async def agenerate_response(self, messages: Any, **options: Any) -> str:
            calls.append("asked")
            await asyncio.sleep(1.7)  # Twice as long as a job may be silent.
            return json.dumps(FACT)

    for served in (one, other):
        served.service.memory.llm = Slow()  # type: ignore[assignment]

    async def both() -> None:
        one.service.start()
        other.service.start()
        for _ in range(2000):
            if not one.service.jobs._queue.open_receipts():
                break
            await asyncio.sleep(0.01)
        await other.service.jobs.stop()
        await one.service.jobs.stop()

    one.run(both())
    assert client.get(f"/api/jobs/{job['id']}").json()["status"] == "done"
    assert calls == ["asked"]


# --- Keeping ---------------------------------------------------------------------------------


def test_what_is_done_leaves_no_text_in_the_queue(served: Served, tmp_path: Path) -> None:
    client = served.key()
    job = submitted(client)
    start(served)
    finished(served, client, job)
    queue = Queue(str(tmp_path / "service.db"))
    kept = queue.find(job["id"])
    queue.close()
    assert kept is not None
    assert kept.arguments == {}


def test_old_jobs_and_receipts_are_forgotten(opened: Open) -> None:
    served = opened(keep_hours=0.001)
    client = served.key()
    done, waiting = submitted(client), submitted(client, {**RAW, "user_id": "bob"})
    client.post("/api/add", {**RAW, "user_id": "eve"}, headers=KEY)
    jobs: Any = served.service.jobs
    queue: Queue = jobs._queue
    old = time.time() - 3600
    queue._change("UPDATE jobs SET state = 'done', finished_at = ? WHERE id = ?", (old, done["id"]))
    receipts: Any = served.service.memory.stores.receipts
    for name in (f"job:{done['id']}", f"job:{waiting['id']}"):
        receipted = served.service.memory.replacing(receipt=Receipt(name, digest_of("add", {})))
        served.run(receipted.add("x", user_id="x", infer=False))
    database = receipts._database
    with database.writing():
        database.execute("UPDATE receipts SET written_at = ?", (old,))
    served.run(jobs._worker.forget())
    with database.reading():
        left = [name for (name,) in database.rows("SELECT id FROM receipts")]
    assert left == [f"job:{waiting['id']}"]
    assert client.get(f"/api/jobs/{done['id']}").status_code == 404
    assert client.get(f"/api/jobs/{waiting['id']}").json()["status"] == "waiting"


def test_the_document_says_what_can_be_made_later(served: Served) -> None:
    paths = served.app.openapi()["paths"]
    for path in ("/api/add", "/api/remember", "/memories"):
        assert "202" in paths[path]["post"]["responses"]
        names = {each["name"] for each in paths[path]["post"]["parameters"]}
        assert {"Idempotency-Key", "Prefer"} <= names
    assert "202" not in paths["/api/search"]["post"]["responses"]
    assert {"/api/jobs", "/api/jobs/{job_id}", "/api/jobs/{job_id}/retry"} <= paths.keys()


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("GET", "/{id}"), ("DELETE", "/{id}"), ("POST", "/{id}/retry")],
)
def test_what_is_asked_about_jobs_has_its_time(opened: Open, method: str, path: str) -> None:
    served = opened(timeout_s=0.2)
    client = served.key()
    job = submitted(client)
    queue: Any = served.service.jobs._queue
    queue._lock.acquire()  # As if the file did not answer.
    threading.Timer(1, queue._lock.release).start()
    told = client.request(method, f"/api/jobs{path.format(**job)}")
    assert (told.status_code, told.json()["code"]) == (504, "TIMEOUT_001")


def test_it_stops_however_the_moment_is_chosen(served: Served) -> None:
    """A job that comes in the same moment does not keep it from stopping.

    Whatever it has taken by then, it gives back: others need not wait until its time is over.
    """
    job = submitted(served.key(), SAID)
    queue: Queue = served.service.jobs._queue

    class Slow:
        async def agenerate_response(self, messages: Any, **options: Any) -> str:
            await asyncio.sleep(60)
            return "{}"

    served.service.memory.llm = Slow()  # type: ignore[assignment]

    async def begin_and_stop() -> None:
        for turn in range(60):
            served.service.jobs.start()
            await asyncio.sleep(0.001 * (turn % 20))
            served.service.jobs._worker.wake()
            for _ in range(turn % 3):
                await asyncio.sleep(0)
            await asyncio.wait_for(served.service.jobs.stop(), 20)
            found = queue.find(job["id"])
            assert found is not None
            assert (found.state, found.starts) == ("waiting", 0), turn

    served.run(begin_and_stop())


def test_a_job_that_is_taken_while_it_stops_has_its_time(served: Served) -> None:
    """The file is busy until then: whoever takes a job cannot be called back."""
    job = submitted(served.key())
    queue: Queue = served.service.jobs._queue
    busy = apsw.Connection(queue.path)

    async def begin_and_stop() -> None:
        busy.execute("BEGIN IMMEDIATE")
        served.service.jobs.start()
        await asyncio.sleep(0.1)
        stopping = asyncio.create_task(served.service.jobs.stop(grace_s=20))
        await asyncio.sleep(0.1)
        busy.execute("COMMIT")
        await stopping

    served.run(begin_and_stop())
    busy.close()
    found = queue.find(job["id"])
    assert found is not None
    assert found.state == "done"
