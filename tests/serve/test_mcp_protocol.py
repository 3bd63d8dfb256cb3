"""The protocol on the wire: every handshake, odd messages, cancelled calls, limits."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp")
pytest.importorskip("fastapi")

from isomem import Memory
from isomem.serve.mcp.settings import Settings
from isomem.serve.mcp.tools import TOOLS, instructions
from tests.serve.mcp_parts import HELLO, call, config_at, config_file, line, started
from tests.serve.test_mcp_http import Server
from tests.serve.test_mcp_stdio import silent_model  # noqa: F401 - a fixture

pytestmark = pytest.mark.slow

VERSIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")


def hello(version: str) -> dict[str, Any]:
    return {**HELLO, "params": {**HELLO["params"], "protocolVersion": version}}


def tool_call(name: str, **arguments: Any) -> dict[str, Any]:
    params = {"name": name, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}


# --- What clients demand of tools ------------------------------------------------------------


@pytest.mark.parametrize("name", list(TOOLS))
def test_a_tool_fits_into_what_model_providers_accept(name: str) -> None:
    """A name of few letters, a description of at most 1,024, and an object without alternatives."""
    tool = TOOLS[name]
    assert re.fullmatch(r"[a-z_]{1,64}", name)
    assert 40 <= len(tool.doc) <= 1024
    for allowed in (False, True):
        schema = tool.schema(Settings({"allow_scope": allowed}))
        assert schema["type"] == "object"
        assert not {"anyOf", "oneOf", "allOf", "not", "$ref"} & schema.keys()


@pytest.mark.parametrize("name", list(TOOLS))
def test_a_description_says_what_comes_back_or_what_is_done(name: str) -> None:
    assert re.search(r"\b(Returns|Shows|Removes|Finds|Lists)\b", TOOLS[name].doc)


def test_the_instructions_name_the_scope_and_that_memories_are_no_instructions() -> None:
    assert "user_id 'ana'" in instructions("user_id 'ana'")
    assert "not instructions" in instructions("")
    assert "  " not in instructions("")


# --- Over stdio ------------------------------------------------------------------------------


class Wire:
    """A server in a process, and a client of bare lines."""

    def __init__(self, *words: str, **variables: str) -> None:
        self.process = started(*words, **variables)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.stdin, self.stdout = self.process.stdin, self.process.stdout

    def send(self, *messages: bytes) -> None:
        self.stdin.write(b"".join(messages))
        self.stdin.flush()

    def answer(self, number: object) -> dict[str, Any]:
        """The answer to a request; answers to others are passed over."""
        while True:
            found: dict[str, Any] = json.loads(self.stdout.readline())
            if found.get("id") == number:
                return found

    def stop(self) -> None:
        try:
            self.process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    folder = tmp_path_factory.mktemp("mcp")
    wire = Wire("--config", str(config_file(folder)), "--user", "ana", "--raw")
    wire.send(line(HELLO))
    assert wire.answer(0)["result"]["serverInfo"]["name"] == "isomem"
    yield wire
    wire.stop()


ODD = [
    b"\n", b"{}\n", b"[]\n", b"null\n", b"7\n", b'"text"\n', b"{\n", b"\x00\n", b"\xff\xfe\n",
    b'{"jsonrpc": "2.0"}\n', b'{"jsonrpc": "2.0", "method": 7}\n',
    b'{"jsonrpc": "2.0", "id": null, "method": "tools/list"}\n',
    b'{"jsonrpc": "2.0", "id": {}, "method": "tools/list"}\n',
    b'{"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 99}}\n',
    b'{"jsonrpc": "2.0", "method": "notifications/nothing"}\n',
    b'{"jsonrpc": "2.0", "id": 77, "result": {}}\n',
    b'{"jsonrpc": "2.0", "id": 78, "error": {"code": 1, "message": "x"}}\n',
    b"[" * 10_000 + b"\n",
]  # fmt: skip


def test_odd_messages_do_not_end_it(wire: Wire) -> None:
    wire.send(*ODD, call(1, "add_memory", text="still here"))
    assert wire.answer(1)["result"]["isError"] is False


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("tools/call", {}),
        ("tools/call", {"name": 7}),
        ("tools/call", {"name": "add_memory", "arguments": []}),
        ("tools/call", {"name": "add_memory", "arguments": "text"}),
        ("tools/call", {"name": "__init__", "arguments": {}}),
        ("tools/call", {"name": "_failed", "arguments": {}}),
        ("tools/nothing", {}),
        ("resources/read", {"uri": "file:///etc/passwd"}),
        ("prompts/get", {"name": "x"}),
    ],
)
def test_a_request_that_makes_no_sense_is_an_error_of_the_protocol(
    wire: Wire, method: str, params: dict[str, Any]
) -> None:
    wire.send(line({"jsonrpc": "2.0", "id": "odd", "method": method, "params": params}))
    error = wire.answer("odd")["error"]
    assert error["code"] in (-32600, -32601, -32602)
    assert "Traceback" not in json.dumps(error)


def test_a_call_without_arguments_is_one_with_none(wire: Wire) -> None:
    params = {"name": "get_memories"}
    wire.send(line({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": params}))
    assert wire.answer(5)["result"]["isError"] is False


def test_many_calls_at_once_are_all_answered(wire: Wire) -> None:
    """Answers may come in any order; each has the id of its request."""
    numbers = range(1000, 1060)
    wire.send(*(call(number, "add_memory", text=f"fact {number}") for number in numbers))
    seen: dict[int, str] = {}
    while len(seen) < len(numbers):
        found = json.loads(wire.stdout.readline())
        seen[found["id"]] = found["result"]["content"][0]["text"]
    assert all(f"fact {number} " in seen[number] for number in numbers)


def test_the_oldest_handshake_is_spoken(tmp_path: Path) -> None:
    version = VERSIONS[0]
    wire = Wire("--config", str(config_file(tmp_path)), "--user", "ana", "--raw")
    wire.send(line(hello(version)), call(1, "add_memory", text="x"))
    assert wire.answer(0)["result"]["protocolVersion"] == version
    assert wire.answer(1)["result"]["content"][0]["text"].startswith("Remembered:")
    wire.stop()


def test_a_call_that_the_client_cancels_stores_nothing(
    tmp_path: Path,
    silent_model: tuple[str, threading.Event],  # noqa: F811 - the fixture
) -> None:
    url, asked = silent_model
    model = {"provider": "openai", "config": {"model": "m", "openai_base_url": url, "api_key": "k"}}
    wire = Wire("--config", str(config_file(tmp_path, llm=model)), "--user", "ana")
    wire.send(line(HELLO), call(1, "add_memory", text="Ana likes coffee"))
    assert asked.wait(60)
    params = {"requestId": 1, "reason": "the person changed their mind"}
    wire.send(line({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}))
    wire.send(call(2, "add_memory", text="Ana likes tea", infer=False), call(3, "get_memories"))
    assert wire.answer(2)["result"]["isError"] is False
    wire.stop()
    with Memory.from_config(config_at(tmp_path / "memory.db")) as memory:
        stored = memory.get_all(filters={"user_id": "ana"})["results"]
    assert [each["memory"] for each in stored] == ["Ana likes tea"]


# --- Over HTTP -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small() -> Iterator[Server]:
    """A service with tight limits."""
    limits = {"max_messages": 2, "timeout_s": 0.3, "max_body_mb": 0.01}
    server = Server(serve=limits, mcp={"infer": False})
    yield server
    server.stop()


def test_the_first_requests_may_come_all_at_once(small: Server) -> None:
    """The SDK is loaded by the first of them, and by no other."""
    key = small.key({"user_id": "first"})
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: small.post(key=key).status_code, range(16)))
    assert answers == [200] * 16


@pytest.mark.parametrize("version", VERSIONS)
def test_every_handshake_is_spoken_over_http(small: Server, version: str) -> None:
    key = small.key({"user_id": "ana"})
    answer = small.post(key=key, json=hello(version)).json()
    assert answer["result"]["protocolVersion"] == version
    headers = {"MCP-Protocol-Version": version}
    found = small.post(key=key, json=tool_call("get_memories"), headers=headers).json()
    assert found["result"]["isError"] is False


def test_an_unknown_version_is_refused(small: Server) -> None:
    headers = {"MCP-Protocol-Version": "1999-01-01"}
    answer = small.post(key=small.key({"user_id": "ana"}), json=HELLO, headers=headers)
    assert answer.status_code == 400
    assert "Traceback" not in answer.text


def test_the_limits_of_the_service_are_those_of_the_tools(small: Server) -> None:
    key = small.key({"user_id": "limits"})
    said = [{"role": "user", "content": "x"}] * 3
    answer = small.post(key=key, json=tool_call("add_memory", messages=said)).json()["result"]
    assert answer["isError"] is True
    assert "2 are the most" in answer["content"][0]["text"]
    assert small.post(key=key, json=tool_call("add_memory", text="x" * 11_000)).status_code == 413
    found = small.post(key=key, json=tool_call("get_memories")).json()["result"]
    assert found["structuredContent"]["total"] == 0


def test_a_call_that_takes_too_long_is_ended_and_says_so(
    small: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow(*_: object, **__: object) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(small.service.memory, "search", slow)
    key = small.key({"user_id": "slow"})
    answer = small.post(key=key, json=tool_call("search_memories", query="x")).json()["result"]
    assert answer["isError"] is True
    assert "more than 0.3 seconds" in answer["content"][0]["text"]


def test_a_key_that_calls_too_often_is_told_when_to_come_back(small: Server) -> None:
    key, made = small.service.keys.create("busy", ["read"], [{"user_id": "b"}], rate_per_minute=3)
    statuses = [small.post(key=key, json=tool_call("get_memories")).status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    assert small.post(key=key).headers["retry-after"]
    assert made.rate_per_minute == 3


def test_answers_of_tools_have_the_headers_of_every_answer(small: Server) -> None:
    answer = small.post(key=small.key({"user_id": "ana"}), headers={"X-Request-ID": "abc"})
    assert answer.headers["x-request-id"] == "abc"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"].startswith("no-")
