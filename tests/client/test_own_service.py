"""`MemoryClient` and `Mem0` of compat work with isomem's own service, in processes of their own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.compat.children import WITH_COMPAT, run
from tests.unit.providers.servers import clean_environment

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

SYNC = """
import os, sys
from mem0 import MemoryClient
c = MemoryClient(api_key=os.environ["KEY"], host=os.environ["HOST"])
c.add("I like green tea", user_id="ana", infer=False)
[one] = c.get_all(filters={"user_id": "ana"})["results"]
assert one["memory"] == "I like green tea"
[hit] = c.search("tea", filters={"user_id": "ana"})["results"]
assert hit["id"] == one["id"]
c.update(one["id"], text="I like black tea")
assert c.get(one["id"])["memory"] == "I like black tea"
assert [each["event"] for each in c.history(one["id"])]
assert [each["name"] for each in c.users()["results"]] == ["ana"]
c.delete(one["id"])
assert c.get_all(filters={"user_id": "ana"})["results"] == []
try:
    c.get(one["id"])
except Exception as error:
    assert type(error).__name__ == "MemoryNotFoundError", error
else:
    raise AssertionError
try:
    MemoryClient(api_key="iso_wrong", host=os.environ["HOST"])
except ValueError as error:
    assert "Error: " in str(error)
else:
    raise AssertionError
"""

LATER = """
import asyncio, os
from mem0 import AsyncMemoryClient
async def main():
    async with AsyncMemoryClient(api_key=os.environ["KEY"], host=os.environ["HOST"]) as c:
        await c.add("I like green tea", user_id="bob", infer=False)
        [one] = (await c.get_all(filters={"user_id": "bob"}))["results"]
        [hit] = (await c.search("tea", filters={"user_id": "bob"}))["results"]
        assert hit["memory"] == one["memory"] == "I like green tea"
        await c.delete_users(user_id="bob")
        assert (await c.get_all(filters={"user_id": "bob"}))["results"] == []
asyncio.run(main())
"""

CHAT = """
import os, threading
from mem0.proxy.main import Mem0
chat = Mem0(api_key=os.environ["KEY"], host=os.environ["HOST"])
chat.mem0_client.add("I like green tea", user_id="ana", infer=False)
answer = chat.chat.completions.create(
    "m", [{"role": "user", "content": "tea"}], user_id="ana",
    base_url=os.environ["MODEL_URL"], api_key="sk-x")
assert answer.choices[0].message.content == "Hello Ana"
[each.join() for each in threading.enumerate() if each.name == "mem0"]
"""


@pytest.fixture
def chat(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    pytest.importorskip("openai")
    from tests.serve.chatting import chatting

    clean_environment(monkeypatch)
    with chatting(tmp_path) as made:
        monkeypatch.setenv("HOST", made.url)
        monkeypatch.setenv("KEY", made.key(rights=("read", "write", "admin")))
        monkeypatch.setenv("MODEL_URL", f"{made.model.server.url}/v1")
        yield made


@pytest.mark.parametrize("program", [SYNC, LATER], ids=["MemoryClient", "AsyncMemoryClient"])
def test_a_client_of_mem0s_platform_works_with_our_service(chat: Any, program: str) -> None:
    done = run(WITH_COMPAT + program)
    assert done.returncode == 0, done.stderr


def test_a_chat_in_process_remembers_in_our_service(chat: Any) -> None:
    done = run(WITH_COMPAT + CHAT)
    assert done.returncode == 0, done.stderr
    [told] = chat.model.chats
    assert "I like green tea" in told["messages"][1]["content"]
    assert "User Question: tea" in told["messages"][1]["content"]
