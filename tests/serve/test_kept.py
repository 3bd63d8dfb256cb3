"""What the service holds of calls beside the memory is removed with the memories, however that is
asked for, and in every process: what jobs were to add, and what a recording says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from isomem.errors import LLMError

pytest.importorskip("fastapi")
from isomem.serve.exchanges import Exchanges
from isomem.serve.recording import Recorder
from tests.serve.service import Client, Served
from tests.serve.test_cancelling import Model, idle, later, path_of, texts, work

SECRET = "the cat of Ana"
SAID = {"messages": f"I feed {SECRET}", "user_id": "ana"}
RAW = {**SAID, "infer": False}
BOB = {"messages": "I like tea", "user_id": "bob", "infer": False}
FACT = json.dumps({"memory": [{"text": f"Ana has {SECRET}"}]})
Open = Callable[..., Served]
Remove = Callable[[Client], Any]

REMOVALS: dict[str, Remove] = {
    "native delete_all": lambda client: client.post("/api/delete_all", {"user_id": " ana "}),
    "native purge": lambda client: client.post("/api/purge", {"user_id": "ana"}),
    "reset": lambda client: client.post("/api/reset"),
    "self-hosted": lambda client: client.delete("/memories?user_id=ana"),
    "self-hosted entity": lambda client: client.delete("/entities/user/ana"),
    "hosted": lambda client: client.delete("/v1/memories/?user_id=ana"),
    "hosted entity": lambda client: client.delete("/v2/entities/user/ana/"),
    "mem0-rs": lambda client: client.delete("/v1/memories?user_id=ana"),
}


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    made: list[Served] = []

    def one(**serve: Any) -> Served:
        store = {"provider": "embedded", "config": {"path": str(tmp_path / "memory.db")}}
        options = {"job_backoff_s": 0.001, "job_attempts": 1, **serve}
        made.append(Served({"vector_store": store, "serve": options}))
        return made[-1]

    yield one
    for served in made:
        served.close()


class Down:
    """A model that fails with what it was told."""

    async def agenerate_response(self, messages: Any, **_: Any) -> str:
        raise LLMError(f"cannot say: {messages[-1]['content']}")


def bytes_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("service.db*"))


# --- Jobs ------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", REMOVALS)
def test_nothing_of_what_jobs_were_to_add_is_left(opened: Open, tmp_path: Path, how: str) -> None:
    served = opened()
    client = served.key()
    served.service.memory.llm = Down()  # type: ignore[assignment]
    failed = later(client, SAID).json()
    work(served)
    assert client.get(path_of(failed)).json()["status"] == "failed"
    waiting, other = later(client, RAW).json(), later(client, BOB).json()
    assert SECRET.encode() in bytes_of(tmp_path)
    assert REMOVALS[how](client).status_code == 200
    assert SECRET.encode() not in bytes_of(tmp_path)
    assert b'"ana"' not in bytes_of(tmp_path)
    for job in (failed, waiting):
        seen = client.get(path_of(job)).json()
        assert (seen["status"], seen["error"]) == ("cancelled", None)
        assert client.post(f"{path_of(job)}/retry").status_code == 409
    work(served)
    assert texts(client) == []
    kept = client.get(path_of(other)).json()["status"]
    assert kept == ("cancelled" if how == "reset" else "done")


def test_a_job_under_way_adds_nothing_to_what_was_removed(opened: Open) -> None:
    served = opened()
    client = served.key()

    async def run() -> None:
        model = Model()
        served.service.memory.llm = model  # type: ignore[assignment]
        served.service.start()
        access = served.service.access(client.headers["X-API-Key"])
        await served.service.jobs.submit(access, "add", SAID)
        await model.asked.wait()
        await access.call("purge", {"user_id": "ana"})
        model.may_answer.set()
        await idle(served)
        await served.service.jobs.stop()

    served.run(run())
    assert texts(client) == []


def test_a_removal_that_is_refused_leaves_every_job(opened: Open) -> None:
    served = opened()
    client, ana = served.key(), served.key({"user_id": "ana"})
    job = later(client, BOB).json()
    assert ana.post("/api/delete_all", {"user_id": "bob"}).status_code == 403
    for body in ({}, {"user_id": ""}, {"user_id": None}, {"user_id": "a b"}):
        assert client.post("/api/delete_all", body).status_code == 400, body
    assert ana.post("/api/delete_all", {}).status_code == 200
    assert ana.post("/api/reset").status_code == 403
    assert client.get(path_of(job)).json()["status"] == "waiting"


# --- Recordings ------------------------------------------------------------------------------


def exchanges(client: Client) -> str:
    return json.dumps(client.get("/ui/api/exchanges").json()["exchanges"])


@pytest.mark.parametrize("how", REMOVALS)
@pytest.mark.parametrize("asked", ["the same process", "another one"])
def test_a_recording_of_what_was_removed_is_shown_nowhere(
    opened: Open, how: str, asked: str
) -> None:
    one, other = opened(record=True), opened(record=True)
    client, elsewhere = one.key(), None
    elsewhere = Client(other, client.headers["X-API-Key"])
    one.llm.reply(FACT)
    client.post("/api/add", SAID)
    assert SECRET in exchanges(client)
    assert exchanges(elsewhere) == "[]"  # Each process has its own.
    REMOVALS[how](client if asked == "the same process" else elsewhere)
    assert exchanges(client) == "[]"


def test_what_a_model_was_told_of_memories_of_a_wider_scope_is_forgotten_too(opened: Open) -> None:
    """An add for an agent alone tells the model of memories that a user has with the agent."""
    served = opened(record=True)
    client = served.key()
    client.post("/api/add", {**RAW, "agent_id": "coach"})
    client.post("/api/add", BOB)
    served.llm.reply('{"memory": []}')
    client.post("/api/add", {"messages": "How is the cat?", "agent_id": "coach"})
    assert SECRET in exchanges(client)
    client.post("/api/delete_all", {"user_id": "ana"})
    assert SECRET not in exchanges(client)
    assert "I like tea" in exchanges(client)


def test_an_add_that_was_under_way_is_not_recorded_after_the_removal(opened: Open) -> None:
    served = opened(record=True)
    client = served.key()

    async def run() -> None:
        model = Model()
        served.service.memory.llm = model  # type: ignore[assignment]
        access = served.service.access(client.headers["X-API-Key"])
        adding = asyncio.ensure_future(access.call("add", SAID))
        await model.asked.wait()
        await access.call("delete_all", {"user_id": "ana"})
        model.may_answer.set()
        await adding

    served.run(run())
    assert exchanges(client) == "[]"


def test_a_recording_is_kept_for_a_time() -> None:
    exchanges = Exchanges(most_hours=1)
    recorder = Recorder(exchanges)
    served = Served({})
    try:
        served.run(recorder.call(served.service.memory, "add", RAW))
        [kept] = exchanges._kept
        assert recorder.shown_to(served.key().served.service._key(None or key_of(served)).grants)
        kept.at -= 3601
        assert recorder.shown_to(served.service._key(key_of(served)).grants) == []
        assert not exchanges._kept
    finally:
        served.close()


def key_of(served: Served) -> str:
    return served.key().headers["X-API-Key"]
