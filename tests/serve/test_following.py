"""Following: what one process changes in the configuration, another takes over off its loop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

pytest.importorskip("fastapi")

from isomem.errors import LLMError
from isomem.providers.llm import mock
from isomem.serve.configuration import Changes
from tests.serve.service import Client, Served, serving

LONGEST_S = 20
COUNT = {"filters": {"user_id": "ana"}}


class Slow:
    """Models that take until they may open, as one does that reads a large file."""

    def __init__(self, real: Any) -> None:
        self.real = real
        self.opened = 0
        self.begun = threading.Event()
        self.may_end = threading.Event()

    def __call__(self, options: dict[str, Any]) -> object:
        self.opened += 1
        self.begun.set()
        assert self.may_end.wait(LONGEST_S), "The loop was held: nobody could say that it may end."
        return self.real(options)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    slow = Slow(mock.mock_llm)
    monkeypatch.setattr(mock, "mock_llm", slow)
    return slow


def at(folder: Path, **section: Any) -> dict[str, Any]:
    store = {"provider": "embedded", "config": {"path": str(folder / "m.db")}}
    hashes = {"provider": "mock", "config": {"embedding_dims": 32}}
    return {
        "vector_store": store, "embedder": hashes, "nlp": {"provider": "none"}, "serve": section,
    }  # fmt: skip


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(at(tmp_path)) as served:
        yield served


def change(served: Served, **changed: Any) -> None:
    """What another process does."""
    other = Changes(served.service.keys.path)
    other.add(changed)
    other.close()


def sent(client: Client, path: str, body: Any = None) -> Any:
    method = "GET" if body is None else "POST"
    return client.served.http.request(method, path, json=body, headers=client.headers)


def until_locked(lock: threading.Lock) -> None:
    while not lock.locked():
        time.sleep(0.01)


async def begun(slow: Slow) -> None:
    assert await asyncio.to_thread(slow.begun.wait, LONGEST_S)


def test_the_loop_goes_on_while_a_model_is_opened(served: Served, slow: Slow) -> None:
    client = served.key()

    async def scenario() -> int:
        change(served, llm={"provider": "mock"})
        waiting = asyncio.ensure_future(sent(client, "/api/count", COUNT))
        await begun(slow)
        assert not waiting.done()
        assert (await sent(client, "/health")).status_code == 200
        slow.may_end.set()
        return int((await waiting).status_code)

    assert served.run(scenario()) == 200


def test_all_who_wait_get_the_new_configuration_which_is_opened_once(
    served: Served, slow: Slow
) -> None:
    client = served.key()

    async def scenario() -> list[Any]:
        change(served, llm={"provider": "mock"}, custom_instructions="Only food.")
        waiting = [asyncio.ensure_future(sent(client, "/configure")) for _ in range(5)]
        await begun(slow)
        late = asyncio.ensure_future(sent(client, "/configure"))
        slow.may_end.set()
        return [(await each).json()["custom_instructions"] for each in (*waiting, late)]

    assert served.run(scenario()) == ["Only food."] * 6
    assert slow.opened == 1


def test_what_changes_while_a_model_is_opened_is_taken_over_as_well(
    served: Served, slow: Slow
) -> None:
    client = served.key()

    async def scenario() -> Any:
        change(served, llm={"provider": "mock"}, custom_instructions="Only food.")
        first = asyncio.ensure_future(sent(client, "/configure"))
        await begun(slow)
        change(served, custom_instructions="Only books.")
        later = asyncio.ensure_future(sent(client, "/configure"))
        slow.may_end.set()
        await first
        return (await later).json()["custom_instructions"]

    assert served.run(scenario()) == "Only books."


def test_a_caller_who_gives_up_does_not_end_it(served: Served, slow: Slow) -> None:
    client = served.key()

    async def scenario() -> Any:
        change(served, llm={"provider": "mock"}, custom_instructions="Only food.")
        impatient = asyncio.ensure_future(sent(client, "/api/count", COUNT))
        await begun(slow)
        impatient.cancel()
        slow.may_end.set()
        return (await sent(client, "/configure")).json()["custom_instructions"]

    assert served.run(scenario()) == "Only food."
    assert slow.opened == 1


def test_calls_go_on_as_before_if_it_takes_longer_than_a_call_may(
    tmp_path: Path, slow: Slow
) -> None:
    with serving(at(tmp_path, timeout_s=0.2)) as served:
        client = served.key()
        change(served, llm={"provider": "mock"}, custom_instructions="Only food.")
        assert client.post("/api/count", COUNT).status_code == 200
        assert served.service.memory.custom_instructions is None
        slow.may_end.set()


def test_closing_waits_for_what_is_opened(tmp_path: Path, slow: Slow) -> None:
    with serving(at(tmp_path, timeout_s=0.2)) as served:
        client, service = served.key(), served.service
        change(served, llm={"provider": "mock"}, custom_instructions="Only food.")
        client.post("/api/count", COUNT)
        threading.Timer(0.1, slow.may_end.set).start()
    assert service.memory.custom_instructions == "Only food."


def test_a_change_that_waits_for_the_file_does_not_hold_the_loop(served: Served) -> None:
    """Somebody has the file for writing, and so an administrator's change has to wait."""
    client = served.key()
    blocker = apsw.Connection(served.service.keys.path)

    async def scenario() -> Any:
        blocker.execute("BEGIN IMMEDIATE")
        body = {"custom_instructions": "Only food."}
        changing = asyncio.ensure_future(sent(client, "/configure", body))
        await asyncio.to_thread(until_locked, served.service.changes._lock)
        other = asyncio.ensure_future(sent(client, "/api/count", COUNT))
        await asyncio.sleep(0.1)
        blocker.execute("ROLLBACK")
        assert (await changing).status_code == 200
        return (await other).status_code

    assert served.run(scenario()) == 200
    blocker.close()


def test_a_file_that_cannot_be_read_for_once_is_read_at_the_next_call(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, stored = served.key(), Changes._stored
    change(served, custom_instructions="Only food.")

    def fails(self: Changes) -> str | None:
        if threading.current_thread() is not threading.main_thread():
            raise apsw.BusyError("busy")
        return stored(self)

    with monkeypatch.context() as patched:
        patched.setattr(Changes, "_stored", fails)
        assert client.post("/api/count", COUNT).status_code >= 500
    assert client.get("/configure").json()["custom_instructions"] == "Only food."


def test_a_job_is_made_with_what_was_changed_though_no_request_came_since(tmp_path: Path) -> None:
    fact = {"memory": [{"text": "Eats rye bread"}]}
    with serving(at(tmp_path, job_backoff_s=0.2), scripted=False) as served:
        client = served.key()

        def failing(_: Any) -> Any:
            change(served, llm={"provider": "mock", "config": {"default": fact}})
            raise LLMError("the key was revoked")

        served.service.memory.llm = mock.ScriptedLLM([failing])

        async def scenario() -> None:
            body = {"messages": "I eat rye bread", "user_id": "ana", "background": True}
            assert (await sent(client, "/api/add", body)).status_code == 202
            served.service.start()
            until = time.monotonic() + LONGEST_S
            while not await served.service.memory.count(filters={"user_id": "ana"}):
                assert time.monotonic() < until
                await asyncio.sleep(0.05)

        served.run(scenario())
        (found,) = client.post("/api/get_all", {"filters": {"user_id": "ana"}}).json()["results"]
        assert found["memory"] == "Eats rye bread"
