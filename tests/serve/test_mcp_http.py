"""MCP over HTTP: the official client and bare requests, with a server on loopback."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("mcp")
pytest.importorskip("fastapi")
uvicorn = pytest.importorskip("uvicorn")

import httpx  # noqa: E402
import httpx2  # noqa: E402
from mcp import Client, MCPError  # noqa: E402
from mcp.client.streamable_http import streamable_http_client  # noqa: E402

from isomem.memory_async import AsyncMemory  # noqa: E402
from isomem.serve.app import make_app  # noqa: E402
from isomem.serve.service import Service  # noqa: E402
from tests.serve.mcp_parts import HELLO, NAMES, config_at  # noqa: E402

ACCEPT = {"Accept": "application/json, text/event-stream"}


class Server:
    """A service on a free port, with a thread of its own."""

    def __init__(self, **more: Any) -> None:
        self.service = Service(config_at(":memory:", **more))
        self._server = uvicorn.Server(
            uvicorn.Config(make_app(self.service), port=0, log_level="warning")
        )
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive()
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/mcp"

    def key(self, *grants: dict[str, str], rights: tuple[str, ...] = ("read", "write")) -> str:
        return self.service.keys.create("test", rights, grants or [{}])[0]

    def post(self, address: str = "", key: str | None = None, **more: Any) -> httpx.Response:
        headers = {**ACCEPT, **more.pop("headers", {}), **({"X-API-Key": key} if key else {})}
        more.setdefault("json", HELLO)
        return httpx.post(self.url + address, headers=headers, **more)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server(mcp={"infer": False})
    yield server
    server.stop()


class Connected:
    """The official client, with a key."""

    def __init__(self, url: str, key: str, mode: str = "auto") -> None:
        self._http = httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"})
        self._client = Client(streamable_http_client(url, http_client=self._http), mode=mode)

    async def __aenter__(self) -> Client:
        await self._http.__aenter__()
        return await self._client.__aenter__()

    async def __aexit__(self, *error: Any) -> None:
        await self._client.__aexit__(*error)
        await self._http.__aexit__(*error)


async def use(client: Client, name: str, **arguments: Any) -> Any:
    result = await client.call_tool(name, arguments)
    assert not result.is_error, result.content
    return result.structured_content


async def refusal(client: Client, name: str, **arguments: Any) -> str:
    result = await client.call_tool(name, arguments)
    assert result.is_error
    assert result.structured_content is None
    return str(result.content)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_the_official_client_uses_every_tool(server: Server, mode: str) -> None:
    async def work() -> None:
        async with Connected(f"{server.url}/all-{mode}", server.key(), mode) as client:
            assert [tool.name for tool in (await client.list_tools()).tools] == NAMES
            (new,) = (await use(client, "add_memory", text="Zoë mag 京都 🍵"))["memories"]
            found = await use(client, "search_memories", query="Zoë mag 京都 🍵")
            assert found["memories"][0]["id"] == new["id"]
            assert (await use(client, "get_memories"))["total"] == 1
            assert (await use(client, "get_memory", memory_id=new["id"]))["memory"] == new
            await use(client, "update_memory", memory_id=new["id"], text="Zoë mag Tee")
            assert len((await use(client, "memory_history", memory_id=new["id"]))["events"]) == 2
            await use(client, "delete_memory", memory_id=new["id"])
            await use(client, "delete_all_memories")
            with pytest.raises(MCPError, match="There is no tool"):
                await client.call_tool("forget", {})

    asyncio.run(work())


def test_two_users_never_see_each_other(server: Server) -> None:
    """By keys, and by addresses of one key; with eight clients at once."""
    whole = server.key()
    places = [(server.url, server.key({"user_id": f"k{n}"})) for n in range(4)]
    places += [(f"{server.url}?user_id=u{n}", whole) for n in range(4)]

    async def write(url: str, key: str) -> str:
        async with Connected(url, key) as client:
            (new,) = (await use(client, "add_memory", text=f"secret of {url} {key}"))["memories"]
            return str(new["id"])

    async def read(url: str, key: str, own: str, others: list[str]) -> None:
        async with Connected(url, key) as client:
            found = await use(client, "search_memories", query=f"secret of {url} {key}")
            assert [each["id"] for each in found["memories"]] == [own]
            assert [each["id"] for each in (await use(client, "get_memories"))["memories"]] == [own]
            for other in others:
                for name in ("get_memory", "delete_memory", "memory_history"):
                    assert "not found" in await refusal(client, name, memory_id=other)
                said = await refusal(client, "update_memory", memory_id=other, text="x")
                assert "not found" in said
            for bad in ({"user_id": "u0"}, {"filters": {"user_id": "u-other"}}):
                await refusal(client, "search_memories", query="secret", **bad)
            await use(client, "delete_all_memories")

    async def work() -> None:
        ids = await asyncio.gather(*(write(*place) for place in places))
        neighbours = [[ids[n - 1], ids[n - 7]] for n in range(len(ids))]
        await asyncio.gather(
            *(
                read(*place, own, near)
                for place, own, near in zip(places, ids, neighbours, strict=True)
            )
        )

    asyncio.run(work())


@pytest.mark.parametrize(
    ("address", "grants", "status", "said"),
    [
        ("", [{}], 400, "Nothing says whose memories these are."),
        ("?user_id=bob", [{"user_id": "ana"}], 403, "may not touch"),
        ("/bob", [{"user_id": "ana"}], 403, "may not touch"),
        ("", [{"user_id": "ana"}, {"user_id": "bob"}], 403, "several scopes"),
        ("", [{"user_id": "team-*"}], 403, "Name a user_id"),
        ("?user_id=*", [{"user_id": "ana"}], 403, "may not touch"),
        ("?agent_id=a&agent_id=b", [{}], 400, "names two of agent_id"),
        ("/ana?user_id=bob", [{}], 400, "names two of user_id"),
        ("?user=ana", [{}], 400, "Unknown: 'user'"),
        ("?user_id=", [{}], 400, "Invalid user_id"),
        ("?user_id=a%20b", [{}], 400, "Invalid user_id"),
    ],
)
def test_an_address_that_a_key_is_not_for_is_refused(
    server: Server, address: str, grants: list[dict[str, str]], status: int, said: str
) -> None:
    answer = server.post(address, server.key(*grants))
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert said in answer.text


def test_without_a_key_that_works_nothing_is_answered(server: Server) -> None:
    key = server.key({"user_id": "ana"})
    for shown in (None, "nonsense", key[:-1]):
        answer = server.post(key=shown)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
    assert server.post(key=key).status_code == 200
    server.service.keys.revoke(server.service.keys.verify(key).id)  # type: ignore[union-attr]
    assert server.post(key=key).status_code == 401


def test_a_request_stands_alone_so_that_any_worker_can_answer_it(server: Server) -> None:
    key = server.key({"user_id": "alone"})
    request = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    answer = server.post(key=key, json=request)
    assert len(answer.json()["result"]["tools"]) == 8
    assert "mcp-session-id" not in server.post(key=key).headers
    reader = server.key({"user_id": "alone"}, rights=("read",))
    assert len(server.post(key=reader, json=request).json()["result"]["tools"]) == 4
    change = {"name": "add_memory", "arguments": {"text": "x"}}
    request = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": change}
    answer = server.post(key=reader, json=request)
    assert answer.json()["result"]["isError"] is True
    assert "right 'write'" in answer.text


def test_a_tool_is_done_when_it_answers_whatever_the_header_prefers(server: Server) -> None:
    key = server.key({"user_id": "prefers"})
    change = {"name": "add_memory", "arguments": {"text": "Likes tea", "infer": False}}
    request = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": change}
    answer = server.post(key=key, json=request, headers={"Prefer": "respond-async"})
    assert answer.json()["result"]["isError"] is False
    assert [
        each["memory"] for each in answer.json()["result"]["structuredContent"]["memories"]
    ] == ["Likes tea"]


def test_a_number_that_no_answer_could_show_is_not_stored(server: Server) -> None:
    key = server.key({"user_id": "numbers"})
    change = {"name": "add_memory", "arguments": {"text": "x", "infer": False}}
    request = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": change}
    content = json.dumps(request).replace('"infer"', '"metadata": {"n": 1e999}, "infer"')
    answer = server.post(key=key, json=None, content=content, headers=JSON)
    assert answer.status_code >= 400 or answer.json()["result"]["isError"]
    change = {"name": "get_memories", "arguments": {}}
    answer = server.post(key=key, json={**request, "params": change})
    assert answer.json()["result"]["structuredContent"]["total"] == 0


def test_bad_requests_are_refused_without_a_stack_trace(server: Server) -> None:
    key = server.key({"user_id": "ana"})
    for content in (b"", b"{", b"[]", b"null", b'"x"', b"\xff", b"[" * 100_000, b"{}"):
        answer = server.post(key=key, json=None, content=content, headers=JSON)
        assert 400 <= answer.status_code < 500, content[:10]
        assert "Traceback" not in answer.text
    large = server.post(key=key, json={"x": "y" * 10_500_000})
    assert large.status_code == 413
    for method in ("GET", "DELETE", "PUT"):
        answer = httpx.request(method, server.url, headers={**ACCEPT, "X-API-Key": key})
        assert answer.status_code == 405
    assert server.post(key=key).status_code == 200


JSON = {"Content-Type": "application/json"}


def test_without_keys_only_this_machine_under_its_own_name_is_answered() -> None:
    server = Server(serve={"auth": False}, mcp={"allow_scope": True})
    try:
        assert server.post().status_code == 200
        for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
            assert server.post(headers=headers).status_code == 403
        listed = server.post(json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
        first = listed.json()["result"]["tools"][0]
        assert "user_id" in first["inputSchema"]["properties"]
    finally:
        server.stop()


def test_without_the_sdk_there_is_no_such_address(monkeypatch: pytest.MonkeyPatch) -> None:
    from isomem.serve.mcp import http

    monkeypatch.setattr(http, "find_spec", lambda _: None)
    service = Service(config_at(":memory:"))
    assert not [each for each in make_app(service).routes if "mcp" in getattr(each, "path", "")]
    assert isinstance(service.memory, AsyncMemory)
    asyncio.run(service.close())


def test_what_was_stored_is_told_although_the_time_for_reading_it_is_over() -> None:
    server = Server(mcp={"infer": False}, serve={"timeout_s": 0.3})
    memory = server.service.memory

    async def slow(*_: Any, **__: Any) -> None:
        await asyncio.sleep(60)

    async def work() -> None:
        async with Connected(f"{server.url}/ana", server.key()) as client:
            memory.get = slow  # type: ignore[method-assign, assignment]
            (new,) = (await use(client, "add_memory", text="Ana likes tea"))["memories"]
            assert new["memory"] == "Ana likes tea"
            memory.add = slow  # type: ignore[method-assign, assignment]
            said = await refusal(client, "add_memory", text="Ana likes cake")
            assert "may be stored already" in said
            assert "search_memories before you add it again" in said

    try:
        asyncio.run(work())
    finally:
        server.stop()
