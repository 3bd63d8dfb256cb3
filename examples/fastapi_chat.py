"""A chat server that remembers: FastAPI, a model, and the memory of a service.

    isomem serve                       # once; it prints a key
    export ISOMEM_URL=http://127.0.0.1:8765 ISOMEM_SERVICE_KEY=iso_... OPENAI_API_KEY=...
    uvicorn --app-dir examples fastapi_chat:app

    curl -H 'Content-Type: application/json' -d '{"said": "I like tea"}' localhost:8000/chat/ana

Who is called "ana" in the address is up to you: check it before you put this on a network.
"""

import os

from fastapi import BackgroundTasks, Body, FastAPI
from openai import AsyncOpenAI

from isomem import AsyncClient

app = FastAPI()
memory = AsyncClient()
model = AsyncOpenAI()


@app.post("/chat/{user}")
async def chat(user: str, later: BackgroundTasks, said: str = Body(embed=True)) -> dict[str, str]:
    facts = await memory.context(said, filters={"user_id": user}, max_tokens=500)
    answer = await model.chat.completions.create(
        model=os.environ.get("MODEL", "gpt-5-mini"),
        messages=[
            {"role": "system", "content": f"Answer briefly. You know of the user:\n{facts}"},
            {"role": "user", "content": said},
        ],
    )
    reply = answer.choices[0].message.content or ""
    later.add_task(memory.remember, said, reply, user_id=user)
    return {"reply": reply}
