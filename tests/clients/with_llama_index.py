"""llama-index-memory-mem0: the memory of a chat engine, which stores what is put into it."""

from __future__ import annotations

from drive import Outcome, Place
from llama_index.core.base.llms.types import ChatMessage
from llama_index.memory.mem0 import Mem0Memory
from model import OTHER_STATEMENT, QUESTION, STATEMENT


def use(place: Place) -> Outcome:
    memory = Mem0Memory.from_config(context={"user_id": "ana"}, config=place.config)
    for statement in (STATEMENT, OTHER_STATEMENT):
        memory.put(ChatMessage(role="user", content=statement))
    system = memory.get(input=QUESTION)[0]
    stored = place.texts(memory._client, "ana")
    told = str(system.content)
    found = [fact for fact in stored if fact in told]
    return Outcome(stored, sorted(found, key=told.index))
