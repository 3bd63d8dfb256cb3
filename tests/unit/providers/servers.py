"""Servers on the loopback interface that speak the providers' protocols for real."""

from __future__ import annotations

import base64
import json
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

KEY = "sk-test-0123456789abcdef"

VARIABLES = [
    f"{name}_{what}"
    for name in (
        *("DEEPSEEK", "GROQ", "LMSTUDIO", "MINIMAX", "OLLAMA", "OPENAI", "OPENROUTER"),
        *("TOGETHER", "VLLM", "XAI"),
    )
    for what in ("API_KEY", "API_BASE", "BASE_URL", "HOST")
]
VARIABLES += [
    *(f"AWS_{name}" for name in ("REGION", "PROFILE", "ENDPOINT_URL", "BEARER_TOKEN_BEDROCK")),
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    *("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "AZURE_OPENAI_ENDPOINT", "OPENAI_API_VERSION"),
    *("CO_API_KEY", "CO_API_URL", "COHERE_API_KEY", "ZERO_ENTROPY_API_KEY"),
    *("ZEROENTROPY_BASE_URL", "GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GEMINI_BASE_URL"),
    *("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT"),
    *(
        f"{kind}_AZURE_{what}"
        for kind in ("EMBEDDING", "LLM")
        for what in ("OPENAI_API_KEY", "DEPLOYMENT", "ENDPOINT", "API_VERSION")
    ),
]
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")


def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes away what a developer's machine may have set."""
    for name in (*VARIABLES, *PROXIES, *(name.lower() for name in PROXIES)):
        monkeypatch.delenv(name, raising=False)


@dataclass
class Seen:
    """One request that arrived."""

    path: str
    headers: dict[str, str]
    content: bytes
    port: int
    method: str = "POST"

    @property
    def body(self) -> Any:
        return json.loads(self.content)


@dataclass
class Answer:
    """One answer that is to be given instead of the usual one."""

    status: int = 200
    body: Any = ""
    headers: dict[str, str] = field(default_factory=dict)
    after_s: float = 0.0
    broken: bool = False


Usual = Callable[[Seen], Any]


@dataclass
class Server:
    """A running server: what it saw, what it is to answer next, and from which ports it is held."""

    url: str
    seen: list[Seen] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    always: Answer | None = None
    connected: set[int] = field(default_factory=set)

    def next_answer(self, usual: Usual, seen: Seen) -> Answer:
        if self.answers:
            return self.answers.pop(0)
        if self.always:
            return self.always
        body = usual(seen)
        return body if isinstance(body, Answer) else Answer(body=body)

    def forget(self) -> None:
        self.seen.clear()
        self.answers.clear()
        self.connected.clear()
        self.always = None


def as_bytes(body: Any) -> bytes:
    """What is sent for a body: bytes and text as they are, anything else as JSON."""
    if isinstance(body, bytes):
        return body
    return (body if isinstance(body, str) else json.dumps(body)).encode()


class Handler(BaseHTTPRequestHandler):
    """Records each request, and gives the answer to it; `serving` sets the attributes."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    running: Server
    usual: Usual

    def setup(self) -> None:
        super().setup()
        self.running.connected.add(self.client_address[1])

    def finish(self) -> None:
        self.running.connected.discard(self.client_address[1])
        super().finish()

    def do_POST(self) -> None:
        seen = self._take()
        is_json = seen.headers.get("content-type") == "application/json"
        self._give(self.running.next_answer(self.usual, seen) if is_json else Answer(415))

    def do_GET(self) -> None:
        self._take()
        self._give(Answer(404))

    def _take(self) -> Seen:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        seen = Seen(self.path, headers, content, self.client_address[1], self.command)
        self.running.seen.append(seen)
        return seen

    def _give(self, answer: Answer) -> None:
        threading.Event().wait(answer.after_s)  # a test may have replaced `time.sleep`
        if answer.broken:
            self.close_connection = True
            return
        data = as_bytes(answer.body)
        common = {"Content-Type": "application/json", "Content-Length": str(len(data))}
        try:
            self.send_response(answer.status)
            for name, value in {**common, **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)
        except OSError:
            pass  # the client did not wait

    def log_message(self, *_: object) -> None:
        pass


class Quiet(ThreadingHTTPServer):
    """One whose handlers may fail without a word."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        pass


@contextmanager
def serving(usual: Usual, handler: type[Handler] = Handler) -> Iterator[Server]:
    """Runs a server whose usual answers are those of `usual`."""

    class Bound(handler):  # type: ignore[valid-type, misc]
        pass

    Bound.usual = staticmethod(usual)
    with Quiet(("127.0.0.1", 0), Bound) as httpd:
        Bound.running = server = Server(f"http://127.0.0.1:{httpd.server_port}")
        thread = threading.Thread(target=httpd.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            httpd.shutdown()
            thread.join()


def vector_of(text: str) -> list[float]:
    """What our servers embed a text as."""
    return [float(len(text)), float(sum(map(ord, text)) % 97), 1.0]


def packed(vector: list[float]) -> str:
    """A vector as OpenAI sends it in base 64."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def chat(seen: Seen) -> Any:
    """OpenAI's chat completions; the text is that of the last message, in capitals."""
    body = seen.body
    message: dict[str, Any] = {
        "role": "assistant",
        "content": str(body["messages"][-1]["content"]).upper(),
    }
    if body.get("tools"):
        call = {"name": body["tools"][0]["function"]["name"], "arguments": '{"city": "Bern"}'}
        message["tool_calls"] = [{"id": "1", "type": "function", "function": call}]
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}


def embeddings(seen: Seen) -> Any:
    """OpenAI's embeddings, in reverse order: only `index` tells which is whose."""
    given = seen.body["input"]
    texts = [given] if isinstance(given, str) else given
    in_base_64 = seen.body.get("encoding_format") == "base64"
    items = [
        {
            "object": "embedding",
            "index": index,
            "embedding": packed(vector_of(text)) if in_base_64 else vector_of(text),
        }
        for index, text in enumerate(texts)
    ]
    usage = {"prompt_tokens": 0, "total_tokens": 0}
    return {"object": "list", "data": items[::-1], "model": "m", "usage": usage}


def openai(seen: Seen) -> Any:
    path = seen.path.partition("?")[0]
    return embeddings(seen) if path.endswith("/embeddings") else chat(seen)


def ollama(seen: Seen) -> Any:
    body = seen.body
    if seen.path.endswith("/api/embed"):
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        return {"model": body["model"], "embeddings": [vector_of(text) for text in texts]}
    message: dict[str, Any] = {
        "role": "assistant",
        "content": str(body["messages"][-1]["content"]).upper(),
    }
    if body.get("tools"):
        name = body["tools"][0]["function"]["name"]
        message["tool_calls"] = [{"function": {"name": name, "arguments": {"city": "Bern"}}}]
    return {"model": body["model"], "created_at": "", "message": message, "done": True}
