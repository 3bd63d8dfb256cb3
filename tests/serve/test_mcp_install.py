"""`isomem mcp install`: what it prints starts the server, for every client."""

from __future__ import annotations

import asyncio
import json
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from isomem.cli import main
from isomem.serve.mcp import install
from isomem.serve.mcp.install import CLIENTS, Start, lines, login
from tests.serve.mcp_parts import ROOT, environment

NAMES = ["claude-code", "claude-desktop", "cursor", "vscode", "codex"]
VARIABLES = ("ISOMEM_DIR", "ISOMEM_CONFIG", "ISOMEM_MODEL", "ISOMEM_BASE_URL", "ISOMEM_EMBEDDER")


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*VARIABLES, "ISOMEM_API_KEY", "OPENAI_API_KEY", "ISOMEM_USER_ID"):
        monkeypatch.delenv(name, raising=False)


def parts_of(client: str, text: str) -> Mapping[str, Any]:
    """The command and the variables that a client would read."""
    if client == "claude-code":
        return _of_command(shlex.split(text))
    if client == "codex":
        tomllib = pytest.importorskip("tomllib")
        parts: Mapping[str, Any] = tomllib.loads(text)["mcp_servers"]["isomem"]
        return parts
    parts = json.loads(text)["servers" if client == "vscode" else "mcpServers"]["isomem"]
    return {key: value for key, value in parts.items() if key != "type"}


def _of_command(words: list[str]) -> Mapping[str, Any]:
    at = words.index("--")
    assert words[:3] == ["claude", "mcp", "add"]
    assert words[at - 1] == "isomem"
    env = dict(words[n + 1].split("=", 1) for n, word in enumerate(words[:at]) if word == "--env")
    return {"command": words[at + 1], "args": words[at + 2 :], "env": env}


def test_the_clients_are_those_that_are_promised() -> None:
    assert list(CLIENTS) == NAMES


@pytest.mark.parametrize("client", NAMES)
def test_every_client_gets_the_same_command_whatever_is_in_it(
    client: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ISOMEM_DIR", "sub folder")
    monkeypatch.setenv("ISOMEM_MODEL", 'a "quoted" $model')
    odd = "é'\"\\=x"
    found = parts_of(client, lines(client, Start({"user_id": odd}, "my config.json", None))["text"])
    assert Path(found["command"]).is_absolute()
    assert list(found["args"])[-3:] == ["mcp", "--config", str(tmp_path / "my config.json")]
    assert found["env"] == {
        "ISOMEM_USER_ID": odd,
        "ISOMEM_DIR": str(tmp_path / "sub folder"),
        "ISOMEM_MODEL": 'a "quoted" $model',
    }


def test_what_is_printed_starts_the_server(tmp_path: Path) -> None:
    pytest.importorskip("mcp")
    from mcp import Client, StdioServerParameters, stdio_client

    printed = subprocess.run(
        [sys.executable, "-m", "isomem", "mcp", "install", "cursor", "--user", "ana", "--json"],
        check=True, capture_output=True, text=True, cwd=tmp_path,
        env=environment(ISOMEM_DIR=str(tmp_path), ISOMEM_EMBEDDER="local"),
    )  # fmt: skip
    assert list(tmp_path.iterdir()) == [], "it writes nothing"
    found = parts_of("cursor", json.loads(printed.stdout)["cursor"]["text"])
    server = StdioServerParameters(
        command=found["command"],
        args=found["args"],
        env={**found["env"], "PYTHONPATH": str(ROOT / "src")},
    )

    async def work() -> None:
        async with Client(stdio_client(server)) as client:
            added = await client.call_tool("add_memory", {"text": "Ana's", "infer": False})
            assert not added.is_error

    asyncio.run(work())
    assert (tmp_path / "memory.db").exists()


def test_keys_are_named_and_not_printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    assert main(["mcp", "install"]) == 0
    said = capsys.readouterr()
    assert "sk-secret" not in said.out + said.err
    assert "OPENAI_API_KEY is not shown here" in said.err
    for name in NAMES:
        assert f"# {name}: " in said.out
    assert login() in said.err, "nobody was named, so that it is a guess"


def test_a_scope_may_stand_before_or_after_the_word(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["mcp", "--user", "zoe", "install"], ["mcp", "install", "--user", "zoe"]):
        assert main([*words, "claude-code"]) == 0
        assert "ISOMEM_USER_ID=zoe" in capsys.readouterr().out


def test_an_unknown_client_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mcp", "install", "claude"]) == 2
    assert "There is no client 'claude'." in capsys.readouterr().err


@pytest.mark.parametrize("name", ["two words", "", "\t"])
def test_a_login_that_cannot_be_an_id_is_not_used(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: name)
    assert install.login() == "me"
