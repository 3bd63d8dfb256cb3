"""A model for servers under test: it extracts what a message has in double brackets.

`Tea is fine [[Likes tea]]` has the fact "Likes tea".
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.clients.model import embedded

FAILURE = "THE MODEL FAILS"
NONSENSE = "THE MODEL TALKS NONSENSE"
_FACT = re.compile(r"\[\[(.+?)\]\]")
_NEW = "## New Messages"


class ModelFailureError(RuntimeError):
    """What the model does when it is told to fail."""


def reply(messages: list[dict[str, Any]]) -> str:
    """The reply to a conversation."""
    asked = str(messages[-1]["content"])
    new = asked.rpartition(_NEW)[2]
    if FAILURE in new:
        raise ModelFailureError("the model was told to fail")
    if NONSENSE in new:
        return "I would rather not."
    if "INSTRUCTIONS:" in asked:
        return "INSTRUCTIONS: Keep what people eat.\nTEST_MESSAGE: I eat rye bread."
    facts = dict.fromkeys(_FACT.findall(new))
    return json.dumps({"memory": [{"id": str(i), "text": fact} for i, fact in enumerate(facts)]})


@contextmanager
def serving() -> Iterator[str]:
    """The base URL, ending in /v1, of both over OpenAI's protocol."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            answer = embedded(body) if self.path.endswith("/embeddings") else _completed(body)
            self._answer(200, answer)
        except ModelFailureError as error:
            self._answer(400, {"error": {"message": str(error), "type": "invalid_request_error"}})

    def _answer(self, status: int, answer: Any) -> None:
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


def _completed(body: dict[str, Any]) -> dict[str, Any]:
    message = {"role": "assistant", "content": reply(body["messages"])}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    said = {"id": "1", "object": "chat.completion", "created": 0, "model": body["model"]}
    return {**said, "choices": [choice], "usage": {"total_tokens": 2}}
