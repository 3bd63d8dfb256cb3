"""A chat whose model has a memory as tools, over MCP, and decides itself what to remember.

    pip install "isomem[mcp]" openai
    OPENAI_API_KEY=... python examples/mcp_chat.py ana

OPENAI_BASE_URL and OPENAI_MODEL name another model. What it remembers is in ~/.isomem/memory.db.
"""

import asyncio
import json
import os
import sys

from mcp import Client, StdioServerParameters, stdio_client
from openai import AsyncOpenAI

MODEL = os.environ.get("OPENAI_MODEL", "gpt-4.1-mini")


async def chat(user: str) -> None:
    command = ["-m", "isomem", "mcp", "--user", user, "--raw"]
    server = StdioServerParameters(command=sys.executable, args=command, env=dict(os.environ))
    async with Client(stdio_client(server)) as memory, AsyncOpenAI() as model:
        tools = [
            {"name": tool.name, "description": tool.description, "parameters": tool.input_schema}
            for tool in (await memory.list_tools()).tools
        ]
        functions = [{"type": "function", "function": tool} for tool in tools]
        talk = [{"role": "system", "content": memory.instructions}]
        while said := (await asyncio.to_thread(input, "you> ")).strip():
            talk.append({"role": "user", "content": said})
            while talk[-1]["role"] != "assistant" or "tool_calls" in talk[-1]:
                answer = await model.chat.completions.create(
                    model=MODEL, messages=talk, tools=functions
                )
                talk.append(answer.choices[0].message.model_dump(exclude_none=True))
                for call in answer.choices[0].message.tool_calls or []:
                    arguments = json.loads(call.function.arguments)
                    result = await memory.call_tool(call.function.name, arguments)
                    text = result.content[0].text
                    talk.append({"role": "tool", "tool_call_id": call.id, "content": text})
            print(f"bot> {talk[-1]['content']}")


if __name__ == "__main__":
    asyncio.run(chat(sys.argv[1] if len(sys.argv) > 1 else "me"))
