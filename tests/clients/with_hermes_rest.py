"""hermes-agent over REST: its memory provider talks to a server, as its agent calls it.

On isomem, the server is our service. For mem0, whose server needs a PostgreSQL, its `Memory` stands
behind the four routes that the provider uses.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from drive import Outcome, Place, texts_of
from model import DIMS, FACT, OTHER_FACT, QUESTION, STATEMENT

THIRD = "User plays the oboe"


def use(place: Place) -> Outcome:
    place.config["embedder"]["config"]["embedding_dims"] = DIMS
    is_ours = place.config["vector_store"]["provider"] == "embedded"
    with (service if is_ours else stand_in)(place.config) as (url, key):
        return _use(place, url, key)


def _use(place: Place, url: str, key: str) -> Outcome:
    import httpx

    home = place.folder / "hermes"
    home.mkdir()
    (home / "mem0.json").write_text(json.dumps({"host": url, "user_id": "ana"}), "utf-8")
    os.environ.update(HERMES_HOME=str(home), MEM0_API_KEY=key)

    import mem0  # noqa: F401 - what is compared is loaded on both sides
    from plugins.memory.mem0 import Mem0MemoryProvider

    provider = Mem0MemoryProvider()
    provider.initialize("session")
    provider.sync_turn(STATEMENT, "I will remember that.")
    provider._sync_thread.join()
    for fact in (OTHER_FACT, THIRD):
        provider.handle_tool_call("mem0_add", {"content": fact})
    asked = {"params": {"user_id": "ana"}, "headers": {"X-API-Key": key}}
    listed = httpx.get(f"{url}/memories", **asked).json()["results"]
    third = next(each["id"] for each in listed if each["memory"] == THIRD)
    provider.handle_tool_call("mem0_update", {"memory_id": third, "text": f"{THIRD} well"})
    provider.handle_tool_call("mem0_delete", {"memory_id": third})
    answer = json.loads(provider.handle_tool_call("mem0_search", {"query": QUESTION}))
    stored = texts_of(httpx.get(f"{url}/memories", **asked).json())
    provider.shutdown()
    assert FACT in stored
    return Outcome(stored, [each["memory"] for each in answer["results"]])


@contextmanager
def service(config: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The address of our service, and a key for it."""
    import uvicorn

    from isomem.serve.app import make_app
    from isomem.serve.service import Service

    made = Service(config)
    server = uvicorn.Server(uvicorn.Config(make_app(made), port=0, log_level="error", ws="none"))
    listener = server.config.bind_socket()
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    while not server.started:
        time.sleep(0.02)
    try:
        key, _ = made.keys.create("hermes", ["read", "write"], [{"user_id": "ana"}])
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", key
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def stand_in(config: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The address of a server with mem0's `Memory` behind it."""
    from mem0 import Memory

    memory = Memory.from_config(config)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self._body()
            self._answer(memory.search if self.path == "/search" else memory.add, **body)

        def do_GET(self) -> None:
            self._answer(memory.get_all, filters={"user_id": "ana"})

        def do_PUT(self) -> None:
            self._answer(memory.update, self.path.rpartition("/")[2], self._body()["text"])

        def do_DELETE(self) -> None:
            self._answer(memory.delete, self.path.rpartition("/")[2])

        def _body(self) -> Any:
            return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

        def _answer(self, call: Callable[..., Any], *args: Any, **body: Any) -> None:
            data = json.dumps(call(*args, **body)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", "none"
        server.shutdown()
        thread.join()
