"""trpc-agent-py: `Mem0MemoryService`, the long-term memory of its sessions."""

from __future__ import annotations

import asyncio

from drive import Outcome, Place, texts_of
from mem0 import AsyncMemory
from model import OTHER_STATEMENT, QUESTION, STATEMENT
from trpc_agent_sdk.abc import MemoryServiceConfig
from trpc_agent_sdk.events import Event
from trpc_agent_sdk.memory.mem0_memory_service import Mem0MemoryService
from trpc_agent_sdk.sessions import Session
from trpc_agent_sdk.tools.mem0_tool import SaveMemoryTool
from trpc_agent_sdk.types import Content, Part


def use(place: Place) -> Outcome:
    return asyncio.run(_said_and_asked(AsyncMemory.from_config(place.config)))


async def _said_and_asked(memory: AsyncMemory) -> Outcome:
    config = MemoryServiceConfig(enabled=True)
    config.clean_ttl_config()
    service = Mem0MemoryService(config, memory)
    events = [Event(author="user", content=_content(STATEMENT), invocation_id="1")]
    session = Session(id="1", app_name="app", user_id="ana", save_key="app/ana", events=events)
    await service.store_session(session)
    tool = SaveMemoryTool(memory)
    await tool._run_async_impl(tool_context=_Context, args={"content": OTHER_STATEMENT})
    answer = await service.search_memory("app/ana", QUESTION)
    stored = texts_of(await memory.get_all(filters={"user_id": "ana"}))
    return Outcome(stored, [entry.content.parts[0].text for entry in answer.memories])


def _content(text: str) -> Content:
    return Content(role="user", parts=[Part.from_text(text=text)])


class _Context:
    """All that the tool asks of its context."""

    user_id = "ana"
