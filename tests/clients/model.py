"""A model for the clients on the loopback interface: OpenAI's chat completions and embeddings.

It extracts the fact of every statement in `FACTS` that it is told, and embeds a text by its words.
"""

from __future__ import annotations

import json
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from struct import pack
from typing import Any

from isomem.testing import HashEmbedder

STATEMENT = "My sister Nora flies for a small airline in Lisbon."
FACT = "User's sister Nora is a pilot based in Lisbon"
OTHER_STATEMENT = "I can't stand coriander."
OTHER_FACT = "User dislikes coriander"
QUESTION = "Where is sister Nora based as a pilot?"

FACTS = {STATEMENT: FACT, OTHER_STATEMENT: OTHER_FACT}
ANSWER = "I will remember that."
DIMS = 1536


@contextmanager
def serving() -> Iterator[str]:
    """The base URL, ending in /v1, of a server that runs as long as the context."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()
            thread.join()


def embedded(body: dict[str, Any]) -> dict[str, Any]:
    """The answer to a request for embeddings, as floats or in base64."""
    given = body["input"]
    texts = [given] if isinstance(given, str) else given
    embedder = HashEmbedder(body.get("dimensions") or DIMS)
    in_base64 = body.get("encoding_format") == "base64"
    data = [
        {"object": "embedding", "index": i, "embedding": _coded(embedder.embed(text), in_base64)}
        for i, text in enumerate(texts)
    ]
    usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
    return {"object": "list", "model": body["model"], "data": data, "usage": usage}


def _coded(vector: list[float], in_base64: bool) -> list[float] | str:
    return b64encode(pack(f"<{len(vector)}f", *vector)).decode() if in_base64 else vector


def completed(body: dict[str, Any]) -> dict[str, Any]:
    """The answer to a conversation: facts where JSON is asked for, else one sentence."""
    asks = "response_format" in body or "JSON" in str(body["messages"][0]["content"])
    content = _facts(body) if asks else ANSWER
    message = {"role": "assistant", "content": content}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    said = {"id": "1", "object": "chat.completion", "created": 0, "model": body["model"]}
    return {**said, "choices": [choice], "usage": usage}


def _facts(body: dict[str, Any]) -> str:
    told = json.dumps(body["messages"][-1]["content"], ensure_ascii=False)
    facts = [fact for statement, fact in FACTS.items() if statement in told]
    return json.dumps({"memory": [{"id": str(i), "text": fact} for i, fact in enumerate(facts)]})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = embedded if self.path.endswith("/embeddings") else completed
        data = json.dumps(answer(body)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass
