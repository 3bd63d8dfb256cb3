"""A replaced memory is closed as soon as nothing can use it any more, and no sooner."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
import weakref
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("fastapi")

import httpx

from isomem.serve.uses import Uses
from tests.serve.chatting import chatting, until
from tests.serve.service import serving

NAMED = {"model": "small", "messages": [{"role": "user", "content": "I am Ana"}], "user": "ana"}


class Model:
    """Answers when it may, and says whether it is closed."""

    def __init__(self) -> None:
        self.asked, self.may_answer = asyncio.Event(), asyncio.Event()
        self.is_closed = False

    async def agenerate_response(self, messages: Any, **options: Any) -> str:
        self.asked.set()
        await self.may_answer.wait()
        assert not self.is_closed
        return json.dumps({"memory": [{"text": "Ana likes tea"}]})

    async def aclose(self) -> None:
        self.is_closed = True


# --- What is under way -----------------------------------------------------------------------


@given(st.lists(st.one_of(st.none(), st.integers(0, 5)), max_size=40))
def test_nothing_is_closed_that_something_under_way_may_have(steps: list[int | None]) -> None:
    """Each step is a change, or begins something, or ends one of those that are under way."""
    uses: Any = Uses()
    under_way: list[tuple[int, int]] = []
    closed: set[int] = set()
    now = 0
    for step in steps:
        if step is None:
            uses.replace(now)
            now += 1
        elif step < len(under_way):
            number, _ = under_way.pop(step)
            unused = uses.end(number)
            assert closed.isdisjoint(unused)
            closed |= {*unused}
            may_have = {each for _, first in under_way for each in range(first, now)}
            assert closed == {*range(now)} - may_have
        else:
            under_way.append((uses.begin(), now))
    assert {*uses.replaced()} == {*range(now)} - closed


# --- Over HTTP -------------------------------------------------------------------------------


def test_changes_leave_no_models_behind() -> None:
    with serving() as served:
        client, models = served.key(), []
        for number in range(20):
            models.append(weakref.ref(served.service.memory.llm))
            body = {"custom_instructions": f"Only number {number}."}
            assert client.post("/configure", body).status_code == 200
        served.llm = None  # type: ignore[assignment]
        served.run(served.service._finish_background())
        assert served.service._uses.replaced() == []
        gc.collect()
        assert [each() for each in models] == [None] * 20


@pytest.mark.parametrize("in_background", [False, True])
def test_a_call_under_way_goes_on_with_the_model_that_it_has(in_background: bool) -> None:
    with serving() as served:
        model, client = Model(), served.key()
        served.service.memory.llm = model  # type: ignore[assignment]

        async def work() -> None:
            served.service.start()
            http, headers = served.http, client.headers
            body = {"messages": "I like tea", "user_id": "ana", "background": in_background}
            adding = asyncio.create_task(http.post("/api/add", json=body, headers=headers))
            await model.asked.wait()
            changed = await http.post("/configure", json={"custom_instructions": "x"},
                                      headers=headers)  # fmt: skip
            assert changed.status_code == 200
            for _ in range(20):
                assert (await http.get("/health")).status_code == 200
            assert not model.is_closed
            model.may_answer.set()
            assert (await adding).status_code == (202 if in_background else 200)
            for _ in range(1000):
                if model.is_closed:
                    break
                await asyncio.sleep(0.01)
            assert model.is_closed
            found = await http.post("/api/get_all", json={"filters": {"user_id": "ana"}},
                                    headers=headers)  # fmt: skip
            assert [each["memory"] for each in found.json()["results"]] == ["Ana likes tea"]

        served.run(work())


def test_what_a_request_leaves_in_the_background_may_have_its_memory_too() -> None:
    with serving() as served:
        service, model = served.service, Model()
        service.memory.llm = model  # type: ignore[assignment]

        async def later() -> None:
            await model.may_answer.wait()
            assert not model.is_closed

        async def work() -> None:
            with service.using():
                await asyncio.to_thread(service.configure, {"custom_instructions": "x"})
                left = service.in_background(later())
            with service.using():
                await asyncio.sleep(0)
            assert not model.is_closed
            model.may_answer.set()
            await left
            await service._finish_background()
            assert model.is_closed

        served.run(work())


def test_a_chat_is_streamed_to_its_end(tmp_path: Path) -> None:
    pytest.importorskip("openai")
    with chatting(tmp_path) as chat:
        llm: Any = chat.service.memory.llm
        own, closed = llm.aclose, threading.Event()

        async def aclose() -> None:
            closed.set()
            await own()

        llm.aclose = aclose
        chat.model.gate = threading.Semaphore(0)
        parts = chat.sdk().chat.completions.create(**NAMED, stream=True)
        headers = {"X-API-Key": chat.key(rights=("read", "write", "admin"))}
        changed = httpx.post(
            f"{chat.url}/configure", json={"custom_instructions": "x"}, headers=headers
        )
        assert changed.status_code == 200
        assert httpx.get(f"{chat.url}/health").status_code == 200
        assert not closed.is_set()
        chat.model.gate.release(10)
        said = [each.choices[0].delta.content for each in parts]
        assert "".join(filter(None, said)) == "Hello Ana"
        assert closed.wait(60)
        until(chat._is_idle)
        assert chat.service._uses.replaced() == []


def test_what_is_still_in_use_at_the_end_is_closed_all_the_same() -> None:
    with serving() as served:
        model = Model()
        served.service.memory.llm = model  # type: ignore[assignment]
        served.service._uses.begin()
        assert served.key().post("/configure", {"custom_instructions": "x"}).status_code == 200
        served.run(served.service._finish_background())
        assert not model.is_closed
    assert model.is_closed
