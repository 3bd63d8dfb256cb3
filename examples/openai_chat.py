"""A chat that remembers, by OpenAI's SDK and nothing else: the service is its model server.

    isomem serve                       # once; it prints a key
    ISOMEM_SERVICE_KEY=iso_... python examples/openai_chat.py ana

The model is the one that the service is configured with. See docs/proxy.md.
"""

import os
import sys

from openai import OpenAI

user = sys.argv[1] if len(sys.argv) > 1 else "me"
url = os.environ.get("ISOMEM_URL", "http://127.0.0.1:8765")
model = os.environ.get("MODEL", "gpt-5-mini")

with OpenAI(base_url=f"{url}/v1", api_key=os.environ["ISOMEM_SERVICE_KEY"]) as client:
    while said := input("you> ").strip():
        messages = [{"role": "user", "content": said}]
        stream = client.chat.completions.create(
            model=model, messages=messages, user=user, stream=True
        )
        print("bot> ", end="")
        for chunk in stream:
            if chunk.choices:
                print(chunk.choices[0].delta.content or "", end="", flush=True)
        print()
