"""Ingests a conversation of several days, and answers questions about it.

    python examples/conversation.py "What is the cat called?" "Who is her boss?"

The conversation is the one in `isomem demo`. It comes with the package, and so do the replies that
stand in for a model here.
"""

import sys

from isomem import Memory
from isomem.demo import QUESTIONS, conversation, replies
from isomem.ingest import Ingest

CONFIG = {
    "embedder": {"provider": "local"},
    "vector_store": {"provider": "embedded", "config": {"path": ":memory:"}},
}

with Memory.from_config(CONFIG) as memory:
    ingest = Ingest(memory, conversation(), ids={"user_id": "ruth"}, replies=replies())
    for step in ingest:
        print(f"{step.messages} of {step.total} messages, {step.memories} memories")
    for question in sys.argv[1:] or QUESTIONS:
        print(f"\n{question}")
        for hit in memory.search(question, top_k=2, filters={"user_id": "ruth"})["results"]:
            print(f"  {hit['score']:.3f}  {hit['memory']}")
