"""A service with its proxy before a scripted model server, and SDK clients of it."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from isomem.testing import HashEmbedder
from tests.client.running import running
from tests.unit.providers.servers import Answer, Handler, Seen, Server, serving

MODEL_KEY = "sk-of-the-model-server"
TEA = "Ana likes green tea"


class Model:
    """The model server: it extracts what was said word by word, and answers chats as told."""

    server: Server

    def __init__(self) -> None:
        self.message: dict[str, Any] = {"role": "assistant", "content": "Hello Ana"}
        self.pieces = ["Hel", "lo ", "Ana"]
        self.gate = threading.Semaphore(1000)
        self.breaks = False
        self.failure: Answer | None = None

    @property
    def chats(self) -> list[Any]:
        """The bodies of the chats that arrived."""
        found = [seen.body for seen in self.server.seen if seen.method == "POST"]
        return [body for body in found if "response_format" not in body]

    def answer(self, seen: Seen) -> Any:
        if seen.method == "GET":
            return {"object": "list", "data": [{"id": "m", "object": "model", "owned_by": "x"}]}
        if "response_format" in seen.body:
            said = seen.body["messages"][-1]["content"]
            facts = [{"text": TEA}] if "green tea" in said else []
            return completion({"role": "assistant", "content": json.dumps({"memory": facts})})
        return self.failure or completion(self.message)


def completion(message: dict[str, Any]) -> dict[str, Any]:
    reason = "tool_calls" if message.get("tool_calls") else "stop"
    choice = {"index": 0, "message": message, "finish_reason": reason}
    return {
        "id": "c-1", "object": "chat.completion", "created": 5, "model": "m", "choices": [choice],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}, "odd": [1, None],
    }  # fmt: skip


class Streaming(Handler):
    """Streams where a stream is asked for."""

    model: Model

    def answer(self) -> None:
        seen = self._take()
        if seen.method == "POST" and seen.body.get("stream") and not self.model.failure:
            self._stream()
        else:
            self._give(self.running.next_answer(self.usual, seen))

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for piece in self.model.pieces:
                assert self.model.gate.acquire(timeout=60)
                self._event({"delta": piece if isinstance(piece, dict) else {"content": piece}})
            if self.model.breaks:
                self.close_connection = True
                return
            self._event({"delta": {}, "finish_reason": "stop"})
            self._chunk(b"data: [DONE]\n\n")
            self._chunk(b"")
        except OSError:
            self.close_connection = True

    def _event(self, choice: dict[str, Any]) -> None:
        event = {"id": "c", "object": "chat.completion.chunk", "created": 5, "model": "m"}
        event["choices"] = [{"index": 0, **choice}]
        self._chunk(b"data: " + json.dumps(event).encode() + b"\n\n")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()


for _verb in ("GET", "POST"):
    setattr(Streaming, f"do_{_verb}", Streaming.answer)


class Chatting:
    """A running service with its proxy, and SDK clients of it."""

    def __init__(self, service: Any, url: str, model: Model) -> None:
        self.service = service
        self.url = url
        self.model = model
        self._opened: list[Any] = []

    def key(self, *grants: dict[str, str], rights: Any = ("read", "write")) -> str:
        return str(self.service.keys.create("test", rights, grants or [{}])[0])

    def sdk(self, key: str | None = None, **headers: str) -> Any:
        from openai import OpenAI

        made = OpenAI(
            base_url=f"{self.url}/v1", api_key=key or self.key(), max_retries=0,
            default_headers=headers, timeout=60,
        )  # fmt: skip
        self._opened.append(made)
        return made

    def memories(self, user: str) -> list[str]:
        """What is remembered of a user, once nothing is left to do."""
        until(self._is_idle)
        listed = self.service.memory.get_all(filters={"user_id": user})
        return [each["memory"] for each in asyncio.run(listed)["results"]]

    def _is_idle(self) -> bool:
        if self.service._background:  # First, since what is done there ends in the queue.
            return False
        page = self.service.jobs._queue.page
        return not any(page(None, state, None, 9)[1] for state in ("waiting", "running"))

    def close(self) -> None:
        for each in self._opened:
            each.close()


def until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


@contextmanager
def chatting(path: Any, **settings: Any) -> Iterator[Chatting]:
    from isomem.serve.app import make_app
    from isomem.serve.service import Service

    class Bound(Streaming):
        pass

    model = Model()
    Bound.model = model
    with serving(model.answer, Bound) as model.server:
        server = model.server
        llm = {"openai_base_url": f"{server.url}/v1", "api_key": MODEL_KEY, "model": "small"}
        store = {"provider": "embedded", "config": {"path": str(path / "memory.db")}}
        service = Service({
            "llm": {"provider": "openai", "config": {**llm, "max_retries": 0}},
            "vector_store": store, "serve": settings,
        })  # fmt: skip
        service.memory.embedding_model = HashEmbedder(256)
        with running(make_app(service)) as url:
            made = Chatting(service, url, model)
            yield made
            made.close()
