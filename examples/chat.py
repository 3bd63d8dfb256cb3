"""A chat with a memory, on any OpenAI-compatible server.

    OPENAI_API_KEY=... python examples/chat.py ana
    OPENAI_BASE_URL=http://localhost:8000/v1 OPENAI_API_KEY=none python examples/chat.py ana

What you say is remembered between runs, in ~/.isomem/memory.db.
"""

import sys

from isomem import Memory

user = sys.argv[1] if len(sys.argv) > 1 else "me"
config = {
    "llm": {"provider": "openai"},
    "embedder": {"provider": "local"},
    "raise_on_llm_error": True,
}

with Memory.from_config(config) as memory:
    while said := input("you> ").strip():
        facts = memory.context(said, filters={"user_id": user}, max_tokens=500)
        answer = memory.llm.generate_response(
            messages=[
                {"role": "system", "content": f"Answer briefly. You know of the user:\n{facts}"},
                {"role": "user", "content": said},
            ]
        )
        print(f"bot> {answer}")
        for new in memory.remember(said, answer, user_id=user)["results"]:
            print(f"     (remembered: {new['memory']})")
