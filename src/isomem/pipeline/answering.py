"""Answering: a conversation as a model gets it that should answer with what is remembered.

The prompt and the form of the message are mem0's.
"""

from __future__ import annotations

from isomem import prompts
from isomem.contract.limits import QUERY_MESSAGES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from isomem.ports.shapes import Message

_INSTRUCTING = ("system", "developer")


def with_prompt(messages: Sequence[Message]) -> list[Message]:
    """The messages, with the answer prompt before them unless they begin with one of their own."""
    if messages and messages[0].get("role") in _INSTRUCTING:
        return [*messages]
    return [{"role": "system", "content": prompts.MEMORY_ANSWER_PROMPT}, *messages]


def query_of(messages: Sequence[Message]) -> str:
    """The last messages as one text, with which memories are looked for."""
    last = messages[-QUERY_MESSAGES:]
    return "\n".join(f"{each['role']}: {each['content']}" for each in last)


def question_with(memories: Iterable[str], question: object) -> str:
    """What a user asks, after what is remembered."""
    facts = "\n".join(memories)
    return f"- Relevant Memories/Facts: {facts}\n\n- Entities: []\n\n- User Question: {question}"


def last_of_user(messages: Sequence[Message]) -> int | None:
    """Where the last message of the user is; None if there is none."""
    for index in range(len(messages) - 1, -1, -1):
        if messages[index].get("role") == "user":
            return index
    return None


def said_in(message: Message) -> str:
    """The text of a message; that of its text parts, if it has parts."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = [each.get("text") for each in parts if isinstance(each, dict)]
    return "\n".join(text for text in texts if isinstance(text, str))


def told(message: Message, memories: Iterable[str]) -> Message:
    """A message of the user, after what is remembered. Its images and other parts stay."""
    question = question_with(memories, said_in(message))
    content = message.get("content")
    if not isinstance(content, list):
        return {**message, "content": question}
    others = [each for each in content if not (isinstance(each, dict) and "text" in each)]
    return {**message, "content": [{"type": "text", "text": question}, *others]}
