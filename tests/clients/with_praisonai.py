"""praisonaiagents: the adapter of its knowledge, and its class that overrides a private hook."""

from __future__ import annotations

from drive import Outcome, Place
from model import FACT, OTHER_STATEMENT, QUESTION, STATEMENT
from praisonaiagents.knowledge.adapters.mem0_adapter import Mem0Adapter
from praisonaiagents.knowledge.knowledge import CustomMemory


def use(place: Place) -> Outcome:
    adapter = Mem0Adapter(config=place.config)
    for statement in (STATEMENT, OTHER_STATEMENT):
        assert adapter.add(statement, user_id="ana").success
    answer = adapter.search(QUESTION, user_id="ana")
    errors = [str(answer.metadata.get("error"))]
    stored = place.texts(adapter.memory, "ana")
    store = place.config["vector_store"]
    store["config"] = {"path": f"{store['config']['path']}-custom"}  # mem0 keeps the other locked
    try:
        CustomMemory.from_config(place.config).add(FACT, user_id="ben")
    except TypeError as error:
        errors.append(str(error))
    return Outcome(stored, [each.text for each in answer.results], errors)
