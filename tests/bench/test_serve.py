"""The benchmark of the service: what it sends, and what it measures at a server."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

pytest.importorskip("httpx")

from bench.serve import add_of, length_of, load, memory_mb, post, search_of, sentence
from scripts.server_parity import Server


@contextmanager
def answering(status: int, delay_s: float = 0.0) -> Iterator[tuple[Server, list[bytes]]]:
    """A server that answers every request with the same, in parts, and what it was sent."""
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            time.sleep(delay_s)
            self.send_response(status)
            self.send_header("Content-Length", "4")
            self.end_headers()
            for part in (b"{}", b"  "):
                self.wfile.write(part)
                self.wfile.flush()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield Server(f"http://127.0.0.1:{server.server_port}", os.getpid()), bodies
        server.shutdown()
        thread.join()


def test_sentences_differ_and_come_again_the_same() -> None:
    made = [sentence(number) for number in range(3000)]
    assert len(set(made)) == 3000
    assert made == [sentence(number) for number in range(3000)]
    assert all(len(text.split()) == 6 for text in made)


def test_requests_are_http_with_json() -> None:
    for request, path in ((search_of(5), "/search"), (add_of(5), "/memories")):
        head, _, body = request.partition(b"\r\n\r\n")
        assert head.startswith(f"POST {path} HTTP/1.1\r\n".encode())
        assert length_of(head) == len(body)
        assert isinstance(json.loads(body), dict)


def test_a_search_is_for_one_user_and_an_add_needs_no_model() -> None:
    search = json.loads(search_of(13).partition(b"\r\n\r\n")[2])
    assert search["filters"] == {"user_id": "user3"}
    add: dict[str, Any] = json.loads(add_of(13).partition(b"\r\n\r\n")[2])
    assert add["infer"] is False


@pytest.mark.parametrize("connections", [1, 4])
def test_every_request_is_sent_once_and_every_answer_counted(connections: int) -> None:
    with answering(200) as (server, bodies):
        sent = [post("/x", {"number": number}) for number in range(20)]
        found = asyncio.run(load(server, sent.__getitem__, connections, None, len(sent)))
    assert sorted(json.loads(body)["number"] for body in bodies) == list(range(20))
    assert found.errors == 0
    assert found.per_second > 0
    assert 0 < found.median_ms <= found.p99_ms


def test_other_statuses_are_errors() -> None:
    with answering(500) as (server, _):
        found = asyncio.run(load(server, lambda _: post("/x", {}), 2, None, 6))
    assert found.errors == 6


def test_times_are_those_of_the_answers() -> None:
    with answering(200, delay_s=0.05) as (server, _):
        found = asyncio.run(load(server, lambda _: post("/x", {}), 1, None, 3))
    assert found.median_ms >= 50
    assert found.per_second <= 20


def test_it_stops_after_its_seconds() -> None:
    with answering(200, delay_s=0.01) as (server, bodies):
        asyncio.run(load(server, lambda _: post("/x", {}), 2, 0.2))
    assert 2 <= len(bodies) <= 60


def test_memory_is_that_of_the_process() -> None:
    assert 5 < memory_mb(os.getpid()) < 5000
