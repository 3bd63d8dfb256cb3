"""pipecat-ai: `Mem0MemoryService`, a step of a voice pipeline between the user and the model."""

from __future__ import annotations

import asyncio

from drive import Outcome, Place
from model import OTHER_STATEMENT, QUESTION, STATEMENT
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.services.mem0.memory import Mem0MemoryService


def use(place: Place) -> Outcome:
    service = Mem0MemoryService(local_config=place.config, user_id="ana")
    return asyncio.run(_said_and_asked(service))


async def _said_and_asked(service: Mem0MemoryService) -> Outcome:
    for statement in (STATEMENT, OTHER_STATEMENT):
        await service._store_messages([{"role": "user", "content": statement}])
    context = LLMContext([{"role": "user", "content": QUESTION}])
    await service._enhance_context_with_memories(context, QUESTION)
    told = str(context.get_messages()[1]["content"]).removeprefix(service.system_prompt)
    stored = [memory["memory"] for memory in await service.get_memories()]
    return Outcome(stored, [line.partition(". ")[2] for line in told.split("\n\n") if line])
