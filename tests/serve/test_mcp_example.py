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

from isomem import Memory
from tests.serve.mcp_parts import ROOT, config_at, environment
from tests.unit.providers.servers import Seen, serving

pytestmark = pytest.mark.slow


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


def test_the_chat_remembers_by_itself(tmp_path: Path) -> None:
    config = config_at(tmp_path / "memory.db", embedder={"provider": "local"})
    with Memory.from_config(config) as memory:
        memory.add("Ana plays chess.", user_id="ana", infer=False, timestamp="2026-05-01")
        memory.add("Bob plays chess.", user_id="bob", infer=False)
    with serving(model) as server:
        variables = environment(
            OPENAI_BASE_URL=server.url,
            OPENAI_API_KEY="key",
            ISOMEM_DIR=str(tmp_path),
            ISOMEM_EMBEDDER="local",
        )
        done = subprocess.run(
            [sys.executable, str(ROOT / "examples/mcp_chat.py"), "ana"],
            input="Ana likes green tea.\nWho plays chess?\n\n",
            check=True, capture_output=True, text=True, env=variables,
        )  # fmt: skip
    told, asked = done.stdout.split("bot> ")[1:]
    assert "Remembered:" in told
    assert "[2026-05-01] Ana plays chess." in asked, "what an earlier program stored"
    assert "Bob" not in asked
    with Memory.from_config(config) as memory:
        stored = memory.get_all(filters={"user_id": "ana"})["results"]
    assert {each["memory"] for each in stored} == {"Ana plays chess.", "Ana likes green tea."}
