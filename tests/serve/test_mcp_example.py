"""The example: a chat whose model remembers by itself, with a scripted model in its place."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp")
pytest.importorskip("openai")

from tests.serve.mcp_parts import ROOT, environment
from tests.unit.providers.servers import Seen, serving


def model(seen: Seen) -> dict[str, Any]:
    """Remembers what it is told, looks up what it is asked, and says what the tools answer."""
    *_, last = seen.body["messages"]
    offered = {tool["function"]["name"] for tool in seen.body["tools"]}
    assert {"add_memory", "search_memories"} <= offered
    if last["role"] == "tool":
        message = {"role": "assistant", "content": last["content"].replace("\n", " ")}
    elif last["content"].endswith("?"):
        message = called("search_memories", query=last["content"])
    else:
        message = called("add_memory", text=last["content"])
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    return {
        "id": "c", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice],
    }  # fmt: skip


def called(name: str, **arguments: str) -> dict[str, Any]:
    function = {"name": name, "arguments": json.dumps(arguments)}
    calls = [{"id": "1", "type": "function", "function": function}]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def test_the_chat_remembers_from_one_run_to_the_next(tmp_path: Path) -> None:
    def talk(said: str) -> str:
        done = subprocess.run(
            [sys.executable, str(ROOT / "examples/mcp_chat.py"), "ana"],
            input=f"{said}\n\n", check=True, capture_output=True, text=True, env=variables,
        )  # fmt: skip
        return done.stdout

    with serving(model) as server:
        variables = environment(
            OPENAI_BASE_URL=server.url, OPENAI_API_KEY="key", ISOMEM_DIR=str(tmp_path),
            ISOMEM_EMBEDDER="local",
        )  # fmt: skip
        assert "Remembered:" in talk("Ana likes green tea.")
        assert "Ana likes green tea." in talk("What does Ana like?")
