"""The benchmark of the service: what it sends, and what it measures at a server."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import distributions
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

pytest.importorskip("httpx")

from bench.http_load import (
    ROUND,
    Figures,
    Load,
    add_of,
    asked,
    length_of,
    memory_mb,
    memory_of,
    mixed_of,
    run,
    search_of,
    sentence,
)
from bench.serve import MOST_GROWTH_MB, Row, compared, growth_mb
from bench.serve_stub import DIMS, NAME, Stub, install
from isomem.ports.brief import embeds_briefly
from isomem.testing import HashEmbedder
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


def body_of(request: bytes) -> Any:
    """What a request says."""
    return json.loads(request.partition(b"\r\n\r\n")[2])


def post(body: object) -> bytes:
    return asked("POST", "/x", body)


# --- What is sent ----------------------------------------------------------------------------


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
    assert body_of(search_of(13))["filters"] == {"user_id": "user3"}
    assert body_of(memory_of(13))["user_id"] == "user3"
    assert body_of(add_of(13))["infer"] is False


def test_a_mixed_load_removes_what_it_adds() -> None:
    """After some rounds, each removes as many memories as it adds."""
    there: dict[str, int] = {}
    counts = []
    for number in range(300 * ROUND):
        request = mixed_of(number)
        if request.startswith(b"POST /memories"):
            user = body_of(request)["user_id"]
            there[user] = there.get(user, 0) + 1
        elif request.startswith(b"DELETE"):
            there.pop(request.split(b"user_id=")[1].split()[0].decode(), None)
            counts.append(sum(there.values()))
    assert len(counts) == 300
    assert len({*counts[100:]}) == 1


# --- What is measured ------------------------------------------------------------------------


@pytest.mark.parametrize("connections", [1, 4])
def test_every_request_is_sent_once_and_every_answer_counted(connections: int) -> None:
    with answering(200) as (server, bodies):
        sent = [post({"number": number}) for number in range(20)]
        found = run(Load(server, sent.__getitem__, connections, most=len(sent)).run())
    assert sorted(json.loads(body)["number"] for body in bodies) == list(range(20))
    assert found.errors == 0
    assert found.per_second > 0
    assert 0 < found.median_ms <= found.p99_ms


def test_other_statuses_are_errors() -> None:
    with answering(500) as (server, _):
        found = asyncio.run(Load(server, lambda _: post({}), 2, most=6).run())
    assert found.errors == 6


def test_a_connection_that_breaks_is_an_error() -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        place = Server(f"http://127.0.0.1:{server.server_port}", os.getpid())
        found = run(Load(place, lambda _: post({}), 2, 5).run())
        server.shutdown()
        thread.join()
    assert found.errors == 2


def test_times_are_those_of_the_answers() -> None:
    with answering(200, delay_s=0.05) as (server, _):
        found = run(Load(server, lambda _: post({}), 1, most=3).run())
    assert found.median_ms >= 50
    assert found.per_second <= 20


def test_it_stops_after_its_seconds() -> None:
    with answering(200, delay_s=0.01) as (server, bodies):
        run(Load(server, lambda _: post({}), 2, 0.2).run())
    assert 2 <= len(bodies) <= 60


def test_memory_is_that_of_a_process_and_of_those_it_has_started() -> None:
    alone = memory_mb(os.getpid())
    assert 5 < alone < 5000
    with subprocess.Popen(
        [sys.executable, "-c", "print(flush=True); input()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as child:  # fmt: skip
        assert child.stdout is not None
        child.stdout.readline()
        assert memory_mb(os.getpid()) > alone + 3
        child.communicate(b"\n")


def figures(per_second: float) -> Figures:
    return Figures(per_second, 1, 1, 0, 1, 0)


def test_isomem_is_compared_with_mem0_at_the_same_load() -> None:
    rows = [
        Row("isomem", "search", 16, figures(50)),
        Row("isomem", "add", 16, figures(50)),
        Row("mem0", "search", 16, figures(20)),
        Row("mem0", "search", 64, figures(20)),
    ]
    assert compared(rows) == ["isomem, search, 16 connections: 2.5 times mem0's"]


def test_memory_that_grows_at_the_end_is_seen_and_what_warms_up_is_not() -> None:
    flat = [50.0] * 10 + [90.0, 91.0] * 45
    assert growth_mb(flat) < 1
    assert growth_mb([100 + at for at in range(100)]) == 80
    assert growth_mb([90.0] * 90 + [90.0 + 2 * MOST_GROWTH_MB] * 10) == 2 * MOST_GROWTH_MB
    assert growth_mb([90.0]) == 0


# --- The embedder ----------------------------------------------------------------------------


def test_the_embedder_looks_at_two_words_and_waits_for_nothing() -> None:
    stub = Stub()
    assert stub.embed("tea coffee bread") == HashEmbedder(DIMS).embed("tea coffee")
    assert stub.embed("tea coffee bread") is stub.embed("tea  coffee river")
    assert embeds_briefly(stub)


def test_isomem_finds_the_embedder_by_its_name(tmp_path: Path) -> None:
    found = [each for each in distributions(path=[str(install(tmp_path))]) if each.name == NAME]
    [entry] = [entry for each in found for entry in each.entry_points]
    assert (entry.group, entry.name) == ("isomem.embedders", NAME)
    assert isinstance(entry.load()({}), Stub)
