"""A chat that remembers, as a graph of LangGraph: recall, answer, remember.

    isomem serve                       # once; it prints a key
    export ISOMEM_URL=http://127.0.0.1:8765 ISOMEM_SERVICE_KEY=iso_... OPENAI_API_KEY=...
    python examples/langgraph_chat.py ana

The graph keeps what is said in this run. isomem keeps what is worth knowing in the next.
"""

import os
import sys

from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph

from isomem import Client

user = sys.argv[1] if len(sys.argv) > 1 else "me"
model = ChatOpenAI(model=os.environ.get("MODEL", "gpt-5-mini"))


def answer(state: MessagesState) -> MessagesState:
    facts = memory.context(state["messages"][-1].content, filters={"user_id": user})
    know = {"role": "system", "content": f"Answer briefly. You know of the user:\n{facts}"}
    return {"messages": [model.invoke([know, *state["messages"]])]}


def remember(state: MessagesState) -> None:
    said, reply = (each.content for each in state["messages"][-2:])
    memory.remember(said, reply, user_id=user)


steps = StateGraph(MessagesState).add_node(answer).add_node(remember)
steps.add_edge(START, "answer").add_edge("answer", "remember").add_edge("remember", END)
graph = steps.compile(checkpointer=InMemorySaver())

with Client() as memory:
    while said := input("you> ").strip():
        asked = {"messages": [{"role": "user", "content": said}]}
        final = graph.invoke(asked, {"configurable": {"thread_id": user}})
        print(f"bot> {final['messages'][-1].content}")
