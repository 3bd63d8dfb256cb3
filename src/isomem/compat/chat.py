"""`mem0.proxy.main`: a chat in this process that recalls before the model answers, and remembers.

At 2.0.4 mem0's own cannot work: it searches with arguments that its `search` refuses. This one does
what it was made for, with the configured model instead of LiteLLM.
"""

from __future__ import annotations

import json
from threading import Thread
from time import time
from uuid import uuid4

from isomem import log
from isomem.compat.client import MemoryClient
from isomem.compat.memories import Memory
from isomem.contract.limits import TOLD_MEMORIES
from isomem.pipeline import answering
from isomem.providers.llm.openai import ChatProtocol, OpenAILLM, with_attributes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from isomem.ports.shapes import Message

    Body = dict[str, Any]

_OWN = frozenset(
    ("self", "model", "messages", "user_id", "agent_id", "run_id", "metadata", "filters", "top_k")
)
_ELSEWHERE = frozenset(
    (
        "timeout",
        "extra_headers",
        "base_url",
        "api_version",
        "api_key",
        "deployment_id",
        "model_list",
    )
)
"""Arguments that say where and how to ask, and are not sent to a model."""


class Mem0:
    """A chat that remembers.

    Args:
        config: of a memory in this process, as `Memory.from_config` takes it.
        api_key, host: of a service, instead.

    Raises:
        ConfigurationError: the configuration cannot work, or `api_key` is given without `host`.

    Attributes:
        mem0_client: the memory.
        chat: `chat.completions.create` asks the model.
    """

    def __init__(
        self,
        config: Body | None = None,
        api_key: str | None = None,
        host: str | None = None,
    ) -> None:
        self.mem0_client: Any
        if api_key:
            self.mem0_client = MemoryClient(api_key, host)
        else:
            self.mem0_client = Memory.from_config(config) if config else Memory()
        self.chat = Chat(self.mem0_client)


class Chat:
    """What `Mem0.chat` is."""

    def __init__(self, mem0_client: object) -> None:
        self.completions = Completions(mem0_client)


class Completions:
    """What `Mem0.chat.completions` is.

    Args:
        mem0_client: a `Memory` or a `MemoryClient`.
    """

    def __init__(self, mem0_client: object) -> None:
        self.mem0_client: Any = mem0_client

    def create(
        self,
        model: str,
        messages: list[Message] = [],  # noqa: B006 - mem0's default, which nothing changes
        user_id: str | None = None, agent_id: str | None = None, run_id: str | None = None,
        metadata: Body | None = None, filters: Body | None = None,
        top_k: int | None = TOLD_MEMORIES,
        timeout: object = None, temperature: object = None, top_p: object = None,
        n: object = None, stream: object = None, stream_options: object = None,
        stop: object = None, max_tokens: object = None, presence_penalty: object = None,
        frequency_penalty: object = None, logit_bias: object = None, user: object = None,
        response_format: object = None, seed: object = None, tools: object = None,
        tool_choice: object = None, logprobs: object = None, top_logprobs: object = None,
        parallel_tool_calls: object = None, deployment_id: object = None,
        extra_headers: object = None, functions: object = None, function_call: object = None,
        base_url: str | None = None, api_version: object = None, api_key: str | None = None,
        model_list: object = None,
    ) -> Any:  # fmt: skip
        """Asks a model, which is told what is remembered of the scope, and remembers the messages.

        The messages are added in a thread while the model answers; the interpreter waits for it
        when it ends. What goes wrong there is logged.

        Args:
            model: who answers; a configured model that does not speak OpenAI's protocol answers
                itself, whatever is named here.
            messages: the conversation; the last one asks.
            user_id, agent_id, run_id: whose memory it is; at least one.
            metadata: of the new memories.
            filters: further conditions for the memories that are told.
            top_k: how many.
            base_url, api_key: another model server of OpenAI's protocol, and its key.
            Others are sent to the model as they are, if they are not None. `extra_headers`,
            `api_version`, `deployment_id`, `model_list` and `timeout` are LiteLLM's, and do
            nothing: the configuration of the memory says how its model is asked.

        Returns:
            The answer: a dict of OpenAI's form, whose values are attributes, too. With `stream`, an
            iterator of such parts.

        Raises:
            ValueError: no id is given, or as `Memory.search`.
            ProviderError: the model failed.
        """
        given = {name: value for name, value in locals().items() if value is not None}
        ids = {"user_id": user_id, "agent_id": agent_id, "run_id": run_id}
        scope = {name: value for name, value in ids.items() if value}
        if not scope:
            raise ValueError("One of user_id, agent_id, run_id must be provided")
        told = self._told(messages, {**(filters or {}), **scope}, top_k)
        if told[-1] is not messages[-1]:
            Thread(target=self._remember, args=(messages, scope, metadata), name="mem0").start()
        sent = {name: given[name] for name in given if name not in _OWN | _ELSEWHERE}
        server = self._server(base_url, api_key)
        return _answered(server, {"model": model, "messages": told, **sent})

    def _told(self, messages: list[Message], filters: Body, top_k: int | None) -> list[Message]:
        """The messages for the model; the last one is another if the user asks in it."""
        told = answering.with_prompt(messages)
        if told[-1]["role"] == "user":
            memories = self._recalled(messages, filters, top_k)
            question = answering.question_with(memories, messages[-1]["content"])
            told[-1] = {**told[-1], "content": question}
        return told

    def _recalled(self, messages: list[Message], filters: Body, top_k: int | None) -> list[str]:
        options: Body = {} if top_k is None else {"top_k": top_k}
        query = answering.query_of(messages)
        found = self.mem0_client.search(query, filters=filters, **options)
        return [each["memory"] for each in found["results"]]

    def _remember(self, messages: list[Message], scope: Body, metadata: Body | None) -> None:
        try:
            self.mem0_client.add(messages, metadata=metadata, **scope)
        except Exception as error:  # noqa: BLE001 - nobody waits for it
            log.error("A chat is not remembered: %s", type(error).__name__)

    def _server(self, base_url: str | None, api_key: str | None) -> Any:
        own = getattr(self.mem0_client, "llm", None)
        if base_url is None and own is not None:
            return own
        return OpenAILLM({"openai_base_url": base_url, "api_key": api_key})


def _answered(llm: Any, body: Body) -> Any:
    """What a model answers, in OpenAI's form."""
    if not isinstance(llm, ChatProtocol):
        return _asked(llm, body)
    if body.get("stream"):
        return map(with_attributes, llm.events(body))
    return with_attributes(llm.answer(body))


def _asked(llm: Any, body: Body) -> Any:
    """What a model of another protocol answers. It is asked as an extraction asks it."""
    names = ("response_format", "tools", "tool_choice")
    options = {name: body[name] for name in names if name in body}
    reply = llm.generate_response(messages=body["messages"], **options)
    if body.get("stream"):
        return iter([_completion(body["model"], reply, "chat.completion.chunk", "delta")])
    return _completion(body["model"], reply, "chat.completion", "message")


def _completion(model: str, reply: Any, kind: str, part: str) -> Any:
    """A reply as an answer of OpenAI's.

    Args:
        kind: of the answer.
        part: what the message in it is called.
    """
    said = reply if isinstance(reply, dict) else {"content": reply}
    message = {"role": "assistant", "content": said.get("content")}
    calls = [*map(_call, said.get("tool_calls") or ())]
    choice = {"index": 0, part: {**message, "tool_calls": calls or None}}
    choice["finish_reason"] = "tool_calls" if calls else "stop"
    whole = {
        "id": f"chatcmpl-{uuid4().hex}",
        "object": kind,
        "created": int(time()),
        "model": model,
    }
    return with_attributes({**whole, "choices": [choice]})


def _call(call: Body) -> Body:
    function = {"name": call["name"], "arguments": json.dumps(call["arguments"])}
    return {"id": f"call_{uuid4().hex}", "type": "function", "function": function}
