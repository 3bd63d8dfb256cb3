"""autogen-ext: `Mem0Memory`, a memory of an agent of AutoGen."""

from __future__ import annotations

import asyncio
import logging

from autogen_core.memory import MemoryContent
from autogen_ext.memory.mem0 import Mem0Memory
from drive import Outcome, Place
from model import OTHER_STATEMENT, QUESTION, STATEMENT


def use(place: Place) -> Outcome:
    logged = _Kept()
    logging.getLogger("autogen_ext.memory.mem0._mem0").addHandler(logged)
    memory = Mem0Memory(user_id="ana", is_cloud=False, config=place.config)
    found = asyncio.run(_said_and_asked(memory))
    return Outcome(place.texts(memory._client, "ana"), found, logged.texts)


async def _said_and_asked(memory: Mem0Memory) -> list[str]:
    for statement in (STATEMENT, OTHER_STATEMENT):
        await memory.add(MemoryContent(content=statement, mime_type="text/plain"))
    return [str(each.content) for each in (await memory.query(QUESTION)).results]


class _Kept(logging.Handler):
    """It logs an error of a search, and returns an empty result."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())
