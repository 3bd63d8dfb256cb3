"""What the tests of MCP share: memories, sessions, servers in processes of their own, schemas."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from isomem.config import from_dict
from isomem.memory_async import AsyncMemory
from isomem.serve.mcp.toolbox import Outcome, Toolbox
from isomem.serve.service import with_own

ROOT = Path(__file__).resolve().parents[2]
EMBEDDER = {"provider": "mock", "config": {"embedding_dims": 16}}

NAMES = [
    "add_memory", "search_memories", "get_memories", "get_memory", "update_memory",
    "delete_memory", "delete_all_memories", "memory_history",
]  # fmt: skip


def config_at(path: Path | str, **more: Any) -> dict[str, Any]:
    """A configuration without a network."""
    store = {"provider": "embedded", "config": {"path": str(path)}}
    return {"vector_store": store, "embedder": EMBEDDER, "llm": {"provider": "unset"}, **more}


def open_memory(**more: Any) -> AsyncMemory:
    return AsyncMemory(from_dict(with_own(config_at(":memory:", **more))))


async def used(box: Toolbox, name: str, **arguments: Any) -> dict[str, Any]:
    """What a tool answers, as JSON."""
    outcome = await box.use(name, arguments)
    assert not outcome.is_error, outcome.text
    assert outcome.structured is not None
    return outcome.structured


async def failed(box: Toolbox, name: str, **arguments: Any) -> str:
    """What a tool says that cannot do what it was asked to."""
    outcome: Outcome = await box.use(name, arguments)
    assert outcome.is_error, outcome.text
    assert "Traceback" not in outcome.text
    return outcome.text


def environment(**variables: str) -> dict[str, str]:
    """The environment of a server that is started from this source."""
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT / "parity" / "src"), str(ROOT)])
    return {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "PYTHONPATH": path, **variables}


def config_file(folder: Path, **more: Any) -> Path:
    file = folder / "isomem.json"
    file.write_text(json.dumps(config_at(folder / "memory.db", **more)))
    return file


def started(*words: str, **variables: str) -> subprocess.Popen[bytes]:
    """`isomem mcp`, in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "isomem", "mcp", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(**variables),
    )


HELLO = {
    "jsonrpc": "2.0",
    "id": 0,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}


def line(message: dict[str, Any]) -> bytes:
    return json.dumps(message, ensure_ascii=False).encode() + b"\n"


def call(number: int, name: str, **arguments: Any) -> bytes:
    """A request that uses a tool, as a line."""
    params = {"name": name, "arguments": arguments}
    return line({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params})
