"""praisonaiagents: the adapter of its knowledge, and its class that overrides a private hook."""

from __future__ import annotations

from drive import Outcome, Place
from model import FACT, OTHER_FACT, QUESTION
from praisonaiagents.knowledge.adapters.mem0_adapter import Mem0Adapter
from praisonaiagents.knowledge.knowledge import CustomMemory


def use(place: Place) -> Outcome:
    adapter = Mem0Adapter(config=place.config)
    errors = []
    adapter._memory = CustomMemory.from_config(place.config)
    for fact in (FACT, OTHER_FACT):
        added = adapter.add(fact, user_id="ana")
        errors += [] if added.success else [added.message]
    answer = adapter.search(QUESTION, user_id="ana")
    errors += [answer.metadata["error"]] if "error" in answer.metadata else []
    stored = place.texts(adapter.memory, "ana")
    return Outcome(stored, [each.text for each in answer.results], errors)
