"""agent-framework-mem0: a context provider, which stores after a run and searches before it."""

from __future__ import annotations

import asyncio

from agent_framework import AgentSession, Message, SessionContext
from agent_framework_mem0 import Mem0ContextProvider
from drive import Outcome, Place, texts_of
from mem0 import AsyncMemory
from model import OTHER_STATEMENT, QUESTION, STATEMENT


def use(place: Place) -> Outcome:
    return asyncio.run(_runs(AsyncMemory.from_config(place.config)))


async def _runs(memory: AsyncMemory) -> Outcome:
    provider = Mem0ContextProvider(mem0_client=memory, user_id="ana", search_user_id="ana")
    async with provider:
        for statement in (STATEMENT, OTHER_STATEMENT):
            await provider.after_run(**_run(statement))
        asked = _run(QUESTION)
        await provider.before_run(**asked)
    stored = texts_of(await memory.get_all(filters={"user_id": "ana"}))
    told = asked["context"].context_messages[provider.source_id][0].text
    return Outcome(stored, told.splitlines()[2:])


def _run(text: str) -> dict[str, object]:
    """What an agent passes to a provider; it uses no agent."""
    said = [Message(role="user", contents=[text])]
    context = SessionContext(session_id="1", input_messages=said)
    return {"agent": None, "session": AgentSession(), "context": context, "state": {}}
