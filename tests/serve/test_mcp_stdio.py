"""MCP over stdio: the official client, and a client of bare lines, with a server in a process."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp")

from mcp import Client, MCPError, StdioServerParameters, stdio_client

from isomem import Memory
from isomem.serve.mcp.tools import TOOLS
from tests.serve.mcp_parts import (
    HELLO,
    NAMES,
    call,
    config_at,
    config_file,
    environment,
    line,
    started,
)

pytestmark = pytest.mark.slow

_WAIT_S = 60


def test_the_official_client_uses_every_tool(tmp_path: Path) -> None:
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "isomem", "mcp", "--config", str(config_file(tmp_path)), "--raw"],
        env=environment(ISOMEM_USER_ID="ana"),
    )

    async def work() -> None:
        async with Client(stdio_client(server)) as client:
            assert client.server_info is not None
            assert client.server_info.name == "isomem"
            assert "user_id 'ana'" in (client.instructions or "")
            await check_tools(client)
            await check_calls(client)

    asyncio.run(work())
    with Memory.from_config(config_at(tmp_path / "memory.db")) as memory:
        assert memory.scopes() == []


async def check_tools(client: Client) -> None:
    tools = (await client.list_tools()).tools
    assert [tool.name for tool in tools] == NAMES
    for tool in tools:
        assert tool.annotations is not None
        shown = tool.annotations.model_dump(by_alias=True, exclude_none=True)
        assert shown == {"title": tool.title, **TOOLS[tool.name].hints}
        assert tool.description == TOOLS[tool.name].doc
        assert tool.output_schema == TOOLS[tool.name].output
        assert "user_id" not in tool.input_schema["properties"]


async def check_calls(client: Client) -> None:
    """The client compares each structured result with the schema that the tool has declared."""

    async def use(name: str, **arguments: Any) -> Any:
        result = await client.call_tool(name, arguments)
        assert not result.is_error, result.content
        return result.structured_content

    text = "Ana trinkt grünen Tee 🍵\nund mag 京都\u2028sehr"
    (new,) = (await use("add_memory", text=text))["memories"]
    assert new["memory"] == text
    found = await use("search_memories", query=text)
    assert [each["id"] for each in found["memories"]] == [new["id"]]
    assert (await use("get_memories"))["total"] == 1
    assert (await use("get_memory", memory_id=new["id"]))["memory"]["date"] == new["date"]
    changed = await use("update_memory", memory_id=new["id"], text="Ana trinkt Kaffee")
    assert changed["memory"]["memory"] == "Ana trinkt Kaffee"
    assert len((await use("memory_history", memory_id=new["id"]))["events"]) == 2
    await use("delete_memory", memory_id=new["id"])
    await use("add_memory", messages=[{"role": "user", "content": "more"}])
    await use("delete_all_memories")
    refused = await client.call_tool("search_memories", {"query": "x", "user_id": "bob"})
    assert refused.is_error
    assert refused.structured_content is None
    with pytest.raises(MCPError, match="There is no tool 'forget'"):
        await client.call_tool("forget", {})


# --- A client of bare lines ------------------------------------------------------------------

NOISE = """
import os, sys

def hear(event, args):
    if event == "import" and args[0] in ("mcp", "jsonschema"):
        print("printed")
        os.write(1, b"written\\n")

sys.addaudithook(hear)
"""


def test_stdout_is_the_protocol_alone_even_where_libraries_print(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(NOISE)
    variables = environment(ISOMEM_USER_ID="ana", ISOMEM_MCP_INFER="false")
    variables["PYTHONPATH"] = f"{tmp_path}{os.pathsep}{variables['PYTHONPATH']}"
    process = started("--config", str(config_file(tmp_path)), **variables)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"not JSON\n\n\xff\xfe\n" + line(HELLO) + line({"jsonrpc": "1.0"}))
    process.stdin.write(line({"jsonrpc": "2.0", "method": "notifications/initialized"}))
    for number in range(1, 4):
        process.stdin.write(call(number, "add_memory", text="é" * 70_000))
    process.stdin.flush()
    lines, answers = [], set()
    while not {0, 1, 2, 3} <= answers:
        lines.append(process.stdout.readline())
        answers.add(json.loads(lines[-1]).get("id"))
    assert children_of(process.pid) == []
    rest, errors = process.communicate(timeout=_WAIT_S)
    for each in [*lines, *rest.splitlines()]:
        assert json.loads(each)["jsonrpc"] == "2.0"
    assert process.returncode == 0
    assert b"printed" in errors
    assert b"written" in errors
    assert b"Traceback" not in errors


def test_what_was_asked_before_stdin_is_closed_is_answered(tmp_path: Path) -> None:
    process = started("--config", str(config_file(tmp_path)), "--user", "ana", "--raw")
    asked = [call(number, "add_memory", text=f"fact {number}") for number in range(1, 21)]
    answers, errors = process.communicate(line(HELLO) + b"".join(asked), timeout=_WAIT_S)
    assert sorted(json.loads(each)["id"] for each in answers.splitlines()) == list(range(21))
    assert errors == b""
    assert process.returncode == 0


def test_it_ends_when_nobody_reads_its_answers(tmp_path: Path) -> None:
    process = started("--config", str(config_file(tmp_path)), "--user", "ana")
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    process.stdin.write(line(HELLO))
    process.stdin.flush()
    assert process.wait(_WAIT_S) == 0
    assert process.stderr.read() == b""
    process.stdin.close()
    process.stderr.close()


def children_of(pid: int) -> list[str]:
    found = Path(f"/proc/{pid}/task")
    return [
        child for task in found.glob("*/children") for child in task.read_text().split()
    ]  # Elsewhere than on Linux nothing is there to look at.


@pytest.fixture
def silent_model() -> Iterator[tuple[str, threading.Event]]:
    """The address of a model that takes a request and never answers, and whether it has one."""
    asked = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        held: list[socket.socket] = []

        def listen() -> None:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            held.append(connection)
            connection.recv(1000)
            asked.set()

        thread = threading.Thread(target=listen)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1", asked
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()
        for connection in held:
            connection.close()


@pytest.mark.parametrize("how", ["SIGTERM", "stdin"])
def test_it_ends_while_a_call_waits_and_nothing_is_half_written(
    tmp_path: Path, how: str, silent_model: tuple[str, threading.Event]
) -> None:
    url, asked = silent_model
    model = {"provider": "openai", "config": {"model": "m", "openai_base_url": url, "api_key": "k"}}
    file = config_file(tmp_path, llm=model)
    process = started("--config", str(file), "--user", "ana")
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(line(HELLO) + call(1, "add_memory", text="Ana likes tea", infer=False))
    process.stdin.flush()
    assert [json.loads(process.stdout.readline())["id"] for _ in range(2)] == [0, 1]
    process.stdin.write(call(2, "add_memory", text="Ana likes coffee"))
    process.stdin.flush()
    assert asked.wait(_WAIT_S)
    begun = time.monotonic()
    if how == "stdin":
        process.stdin.close()
    else:
        process.send_signal(signal.SIGTERM)
    assert process.wait(_WAIT_S) == 0
    assert time.monotonic() - begun < 20  # The model would be waited for longer.
    process.stdout.close()
    if not process.stdin.closed:
        process.stdin.close()
    assert process.stderr is not None
    assert b"Traceback" not in process.stderr.read()
    process.stderr.close()
    with Memory.from_config(config_at(tmp_path / "memory.db")) as memory:
        stored = memory.get_all(filters={"user_id": "ana"})["results"]
    assert [each["memory"] for each in stored] == ["Ana likes tea"]


# --- Before it serves ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "variables", "code", "said"),
    [
        ([], {}, 2, "Set ISOMEM_USER_ID, ISOMEM_AGENT_ID or ISOMEM_RUN_ID"),
        (["--user", "two words"], {}, 2, "cannot contain whitespace"),
        (["--user", "ana", "--max-tokens", "1"], {}, 4, "max_tokens"),
        ([], {"ISOMEM_USER_ID": "ana", "ISOMEM_MCP_MAX_TOKENS": "many"}, 4, "MAX_TOKENS"),
        ([], {"ISOMEM_USER_ID": "ana", "ISOMEM_EMBEDDER": "none"}, 4, "none"),
    ],
)
def test_a_server_that_cannot_work_says_so_at_once_and_not_on_stdout(
    tmp_path: Path, words: list[str], variables: dict[str, str], code: int, said: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "isomem", "mcp", "--path", str(tmp_path / "m.db"), *words],
        check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL,
        env=environment(**variables),
    )  # fmt: skip
    assert done.returncode == code
    assert said in done.stderr
    assert done.stdout == ""


def test_without_the_sdk_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "mcp.py").write_text("# An old one, or something else of that name.")
    variables = environment(ISOMEM_USER_ID="ana", ISOMEM_DIR=str(tmp_path))
    variables["PYTHONPATH"] = f"{tmp_path}{os.pathsep}{variables['PYTHONPATH']}"
    done = subprocess.run(
        [sys.executable, "-m", "isomem", "mcp"],
        check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=variables,
    )  # fmt: skip
    assert done.returncode == 4
    assert 'pip install "isomem[mcp]"' in done.stderr
    assert done.stdout == ""


def test_a_scope_in_the_file_is_one_and_the_environment_is_stronger(tmp_path: Path) -> None:
    from argparse import Namespace

    from isomem.cli.mcp import read_settings

    flags = Namespace(user=None, agent=None, run_id=None, allow_scope=None, infer=None)
    config: dict[str, Any] = {"mcp": {"user_id": "ana", "max_tokens": 500}, "serve": {"port": 1}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ISOMEM_USER_ID", "bob")
        patch.setenv("ISOMEM_MCP_ALLOW_SCOPE", "true")
        found = read_settings(flags, config)
    assert (found.user_id, found.max_tokens, found.allow_scope) == ("bob", 500, True)
    assert found.infer is True
