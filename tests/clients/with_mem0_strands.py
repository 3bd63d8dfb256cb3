"""mem0-strands: `Mem0MemoryStore`, a store for the memory manager of a Strands agent."""

from __future__ import annotations

import asyncio

from drive import Outcome, Place
from mem0_strands import Mem0MemoryStore
from model import OTHER_FACT, QUESTION, STATEMENT


def use(place: Place) -> Outcome:
    store = Mem0MemoryStore(user_id="ana", config=place.config)
    found = asyncio.run(_said_and_asked(store))
    return Outcome(place.texts(store.client.mem0, "ana"), found)


async def _said_and_asked(store: Mem0MemoryStore) -> list[str]:
    await store.add_messages([{"role": "user", "content": [{"text": STATEMENT}]}])
    await store.add(OTHER_FACT)
    return [entry.content for entry in await store.search(QUESTION)]
