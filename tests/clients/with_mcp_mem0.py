"""mcp-mem0: an MCP server with a configuration of its own, which names Qdrant as its store.

isomem takes that store from the installed mem0. The server runs as its command starts it, but for
the loop that reads standard input: in its place, the tools are called.
"""

from __future__ import annotations

import json
import time
from unittest.mock import patch

import yaml
from agent_mem0.config import CONFIG_PATH
from agent_mem0.server import mcp_server
from drive import Outcome, Place
from model import DIMS, OTHER_STATEMENT, QUESTION, STATEMENT

PATIENCE_S = 60


def use(place: Place) -> Outcome:
    service = {"provider": "openai", "api_key": "sk-none", "base_url": place.url}
    store = {"mode": "local", "data_path": str(place.folder), "embedding_model_dims": DIMS}
    settings = {
        "llm": {**service, "model": "small"},
        "embedder": {**service, "model": "words"},
        "vector_store": store,
    }
    CONFIG_PATH.parent.mkdir(parents=True)
    CONFIG_PATH.write_text(yaml.safe_dump(settings), "utf-8")
    outcomes: list[Outcome] = []
    with patch.object(mcp_server._mcp, "run", lambda **_: outcomes.append(_said_and_asked(place))):
        mcp_server.run_server("ana")
    return outcomes[0]


def _said_and_asked(place: Place) -> Outcome:
    for number, statement in enumerate((STATEMENT, OTHER_STATEMENT), start=1):
        mcp_server.memory_add(statement)
        stored = _stored(place, number)
    answer = json.loads(mcp_server.memory_search(QUESTION))
    return Outcome(stored, [each["memory"] for each in answer["memories"]])


def _stored(place: Place, number: int) -> list[str]:
    """What is stored once there are that many: the server writes in the background."""
    latest = time.monotonic() + PATIENCE_S
    while len(stored := place.texts(mcp_server._memory, "ana")) < number:
        if time.monotonic() > latest:
            raise SystemExit(f"only {stored} after {PATIENCE_S} s")
        time.sleep(0.1)
    return stored
