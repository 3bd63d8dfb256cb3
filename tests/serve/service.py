"""A service in this process, and a client that calls it without a network."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from isomem.serve.app import make_app
from isomem.serve.service import Service
from isomem.testing import HashEmbedder, ScriptedLLM

RIGHTS = ("read", "write", "admin")
IN_MEMORY = {"vector_store": {"provider": "embedded", "config": {"path": ":memory:"}}}


class Client:
    """Calls a service as one key; `request` waits for the answer."""

    def __init__(self, served: Served, key: str | None) -> None:
        self.served = served
        self.headers = {"X-API-Key": key} if key else {}

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {**self.headers, **options.pop("headers", {})}
        call = self.served.http.request(method, path, headers=headers, **options)
        return self.served.run(call)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> httpx.Response:
        return self.request("POST", path, json={} if body is None else body, **options)

    def put(self, path: str, body: Any) -> httpx.Response:
        return self.request("PUT", path, json=body)

    def delete(self, path: str, **options: Any) -> httpx.Response:
        return self.request("DELETE", path, **options)


class Served:
    """A service; if it is scripted, its model is, and its embedder hashes.

    With a folder, it is one of several workers, as far as recordings go.
    """

    def __init__(
        self, config: dict[str, Any], *, scripted: bool = True, folder: str | None = None
    ) -> None:
        self.loop = asyncio.new_event_loop()
        self.service = Service({**IN_MEMORY, **config}, folder=folder)
        self.llm = ScriptedLLM(default={"memory": []})
        if scripted:
            self.service.memory.llm = self.llm
            self.service.memory.embedding_model = HashEmbedder(256)
        self.app = make_app(self.service)
        transport = httpx.ASGITransport(self.app)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8765")

    def run(self, call: Any) -> Any:
        return self.loop.run_until_complete(call)

    def key(self, *grants: dict[str, str], rights: Any = RIGHTS, **options: Any) -> Client:
        """A client with a new key; without grants, for everything."""
        text, _ = self.service.keys.create("test", rights, grants or ({},), **options)
        return Client(self, text)

    @property
    def anyone(self) -> Client:
        """A client without a key."""
        return Client(self, None)

    def close(self) -> None:
        self.run(self.http.aclose())
        self.run(self.service.close())
        self.loop.close()


@contextmanager
def serving(config: dict[str, Any] | None = None, *, scripted: bool = True) -> Iterator[Served]:
    """A service as long as the context."""
    served = Served(config or {}, scripted=scripted)
    try:
        yield served
    finally:
        served.close()


@contextmanager
def listening(served: Served) -> Iterator[str]:
    """The address at which a service listens in a thread."""
    import uvicorn

    config = uvicorn.Config(served.app, port=0, log_level="error", lifespan="off", ws="none")
    server = uvicorn.Server(config)
    listener = config.bind_socket()
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
