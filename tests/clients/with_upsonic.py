"""upsonic: `Mem0Storage`, which keeps what an agent knows of its users in a memory."""

from __future__ import annotations

from drive import Outcome, Place
from mem0 import Memory
from model import FACT, OTHER_FACT
from upsonic.storage.mem0 import Mem0Storage
from upsonic.storage.schemas import UserMemory


def use(place: Place) -> Outcome:
    storage = Mem0Storage(memory_client=Memory.from_config(place.config))
    facts = {"ana": FACT, "ben": OTHER_FACT}
    for user, fact in facts.items():
        storage.upsert_user_memory(UserMemory(user_memory={"fact": fact}, user_id=user))
    stored = place.texts(storage.memory_client, storage.default_user_id)
    found = [storage.get_user_memory(user_id=user) for user in facts]
    return Outcome(stored, [each.user_memory["fact"] for each in found if each])
