"""strands-agents-tools: `Mem0MemoryTool`, a tool of a Strands agent.

It names FAISS as its store, which isomem takes from the installed mem0.
"""

from __future__ import annotations

import json
import os
import uuid
from typing import Any

from drive import Outcome, Place
from model import OTHER_STATEMENT, QUESTION, STATEMENT


def use(place: Place) -> Outcome:
    os.environ["BYPASS_TOOL_CONSENT"] = "true"
    from strands_tools.mem0_memory import Mem0MemoryTool, Mem0ServiceClient

    config = {name: place.config[name] for name in ("llm", "embedder")}
    config["embedder"]["config"]["embedding_dims"] = 1024  # what its store is made for
    user = f"ana-{uuid.uuid4()}"  # its folder under /tmp may hold memories of an earlier run
    tool = Mem0MemoryTool(user_id=user, config=config)
    for statement in (STATEMENT, OTHER_STATEMENT):
        assert _called(tool, action="store", content=statement)["status"] == "success"
    answer = _called(tool, action="retrieve", query=QUESTION)
    memory = Mem0ServiceClient(config).mem0
    stored = place.texts(memory, user)
    memory.delete_all(user_id=user)
    told = answer["content"][0]["text"]
    if answer["status"] == "error":
        return Outcome(stored, [], [told])
    return Outcome(stored, [each["memory"] for each in json.loads(told)])


def _called(tool: Any, **given: str) -> dict[str, Any]:
    return tool.mem0_memory({"toolUseId": "1", "name": "mem0_memory", "input": given})
