"""hermes-agent: its memory provider in library mode, as its agent calls it."""

from __future__ import annotations

import json
import os

from drive import Outcome, Place
from model import DIMS, OTHER_FACT, QUESTION, STATEMENT


def use(place: Place) -> Outcome:
    home = place.folder / "hermes"
    home.mkdir()
    parts = {name: place.config[name] for name in ("vector_store", "llm", "embedder")}
    parts["embedder"]["config"]["embedding_dims"] = DIMS
    settings = {"mode": "oss", "user_id": "ana", "oss": parts}
    (home / "mem0.json").write_text(json.dumps(settings), "utf-8")
    os.environ["HERMES_HOME"] = str(home)

    from plugins.memory.mem0 import Mem0MemoryProvider

    provider = Mem0MemoryProvider()
    provider.initialize("session")
    provider.sync_turn(STATEMENT, "I will remember that.")
    provider._sync_thread.join()
    provider.handle_tool_call("mem0_add", {"content": OTHER_FACT})
    answer = json.loads(provider.handle_tool_call("mem0_search", {"query": QUESTION}))
    stored = place.texts(provider._backend._memory, "ana")
    provider.shutdown()
    return Outcome(stored, [each["memory"] for each in answer["results"]])
