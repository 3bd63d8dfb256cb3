"""memward: `Mem0Store`, which keeps where a memory came from beside it."""

from __future__ import annotations

from drive import Outcome, Place
from mem0 import Memory
from memward.adapters.mem0 import Mem0Store
from memward.types import MemoryRecord
from model import FACT, OTHER_FACT, QUESTION


def use(place: Place) -> Outcome:
    memory = Memory.from_config(place.config)
    store = Mem0Store(memory, user_id="ana")
    for fact in (FACT, OTHER_FACT):
        key = store.add(MemoryRecord(content=fact))
        assert memory.get(key)["memory"] == fact
    stored = place.texts(memory, "ana")
    try:
        return Outcome(stored, [each.record.content for each in store.search(QUESTION)])
    except ValueError as error:
        return Outcome(stored, [], [str(error)])
