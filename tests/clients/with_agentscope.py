"""agentscope: `Mem0Middleware`, whose memory uses the models of the agent.

It puts a model of its own into the factories of mem0, and into a configuration.
"""

from __future__ import annotations

import asyncio
from typing import Any

from agentscope.credential import OpenAICredential
from agentscope.embedding import OpenAIEmbeddingModel
from agentscope.middleware import Mem0Middleware
from agentscope.model import OpenAIChatModel
from drive import Outcome, Place, texts_of
from mem0.configs.base import MemoryConfig
from model import DIMS, OTHER_STATEMENT, QUESTION, STATEMENT


def use(place: Place) -> Outcome:
    credential = OpenAICredential(api_key="sk-none", base_url=place.url)
    chat = OpenAIChatModel(credential=credential, model="small", stream=False)
    embedder = OpenAIEmbeddingModel(credential=credential, model="words", dimensions=DIMS)
    memory = Mem0Middleware(
        user_id="ana",
        chat_model=chat,
        embedding_model=embedder,
        mem0_config=MemoryConfig(**place.config),
        mode="agent_control",
    )
    return asyncio.run(_said_and_asked(memory))


async def _said_and_asked(memory: Mem0Middleware) -> Outcome:
    tools: dict[str, Any] = {tool.name: tool for tool in await memory.list_tools()}
    for statement in (STATEMENT, OTHER_STATEMENT):
        await tools["add_memory"](thinking="", content=[statement])
    chunk = await tools["search_memory"](keywords=[QUESTION])
    found = [line.removeprefix("- ") for line in chunk.content[0].text.splitlines()]
    return Outcome(texts_of(await memory._client.get_all(filters={"user_id": "ana"})), found)
