"""What is kept of each call: the audit log, the lines of the log, and spans. Never a text."""

from __future__ import annotations

import json
import logging
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

pytest.importorskip("fastapi")
from isomem.errors import DependencyError
from isomem.serve.logs import JsonLines, TextLines
from isomem.serve.noted import Noted
from isomem.serve.service import Service
from isomem.serve.trail import Trail
from tests.serve.service import Served

SECRET = "the cat of Ana"
RAW = {"messages": f"I feed {SECRET}", "user_id": "ana", "infer": False}
Json = dict[str, Any]


def config(folder: Path, **serve: Any) -> Json:
    store = {"provider": "embedded", "config": {"path": str(folder / "memory.db")}}
    return {"vector_store": store, "serve": serve}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    served = Served(config(tmp_path))
    yield served
    if not served.loop.is_closed():
        served.close()


def lines(folder: Path) -> list[Json]:
    return [json.loads(line) for line in (folder / "audit.log").read_text().splitlines()]


def test_the_audit_log_says_who_did_what_to_whose_memories(served: Served, tmp_path: Path) -> None:
    client = served.key({"user_id": "ana"}, rights=["read", "write"])
    done = client.post("/api/add", RAW)
    memory_id = done.json()["results"][0]["id"]
    client.post("/api/search", {"query": SECRET})
    client.get(f"/memories/{memory_id}")
    client.post("/api/add", {**RAW, "user_id": "bob"})
    client.post("/api/reset")
    served.anyone.post("/api/search", {"query": "x"})
    key_id = client.headers["X-API-Key"].split("_")[1]
    noted = lines(tmp_path)
    made, rest = noted[0], noted[1:]
    assert (made["call"], made["about"], made["key"]) == ("keys.create", key_id, "command line")
    assert {each.get("key_id") for each in rest} == {key_id, None}
    assert [(each["call"], each.get("memories"), each["status"]) for each in rest] == [
        ("add", 1, 200),
        ("search", 1, 200),
        ("get", 1, 200),
        ("add", None, 403),
        ("reset", None, 403),
        ("authenticate", None, 401),
    ]
    assert [each.get("user_id") for each in rest] == ["ana", "ana", None, "bob", None, None]
    assert rest[2]["memory_id"] == memory_id
    assert rest[0]["request_id"] == done.headers["x-request-id"]
    assert rest[3]["code"] == "AUTH_002"
    text = (tmp_path / "audit.log").read_text()
    assert SECRET not in text
    assert client.headers["X-API-Key"] not in text
    assert stat.S_IMODE((tmp_path / "audit.log").stat().st_mode) == 0o600


def test_a_job_is_noted_when_it_is_accepted_and_when_it_is_made(
    served: Served, tmp_path: Path
) -> None:
    client = served.key()
    job = client.post("/api/add", {**RAW, "background": True}).json()

    async def work() -> None:
        import asyncio

        served.service.start()
        for _ in range(1000):
            await asyncio.sleep(0.01)
            if (await served.service.jobs.get(access, job["id"]))["status"] == "done":
                break

    access = served.service.access(client.headers["X-API-Key"])
    served.run(work())
    client.post("/api/add", RAW, headers={"Idempotency-Key": "k"})
    accepted, made, once = [each for each in lines(tmp_path) if each["call"] == "add"]
    assert (accepted["status"], made["status"], once["status"]) == (202, 200, 200)
    assert accepted["job"] == made["job"] == job["id"]
    assert accepted["key_id"] == made["key_id"] == once["key_id"]
    assert [each.get("memories") for each in (accepted, made, once)] == [None, 1, 1]
    assert made["user_id"] == "ana"


def test_what_administrators_change_is_noted(served: Served, tmp_path: Path) -> None:
    admin = served.key()
    admin.post("/configure", {"custom_instructions": SECRET})
    made = admin.post("/ui/api/keys", {"name": "k", "rights": ["read"], "grants": [{}]}).json()
    admin.post(f"/ui/api/keys/{made['key']['id']}/revoke")
    own = admin.headers["X-API-Key"].split("_")[1]
    configured, created, revoked = lines(tmp_path)[1:]
    assert configured["call"] == "configure"
    assert (created["call"], created["about"]) == ("keys.create", made["key"]["id"])
    assert (revoked["call"], revoked["about"]) == ("keys.revoke", made["key"]["id"])
    assert {each["key_id"] for each in (configured, created, revoked)} == {own}
    assert SECRET not in (tmp_path / "audit.log").read_text()


def test_the_file_can_be_moved_away_at_any_time(served: Served, tmp_path: Path) -> None:
    client = served.key()
    client.post("/api/add", RAW)
    (tmp_path / "audit.log").rename(tmp_path / "audit.log.1")
    client.post("/api/add", RAW)
    assert [each["call"] for each in lines(tmp_path)] == ["add"]


def test_lines_that_are_written_at_once_are_whole_and_none_is_lost(tmp_path: Path) -> None:
    """By two trails, as two processes have them, while the file is moved away."""
    path, noted = tmp_path / "audit.log", Noted("add", {"user_id": "ana" * 100})
    trails = [Trail(str(path)), Trail(str(path))]

    def write(trail: Trail) -> None:
        for _ in range(200):
            trail.note(None, noted)

    threads = [Thread(target=write, args=(trail,)) for trail in trails * 2]
    for thread in threads:
        thread.start()
    for number in range(20):
        with suppress(FileNotFoundError):
            path.rename(tmp_path / f"{number}.log")
        time.sleep(0.001)
    for thread in threads:
        thread.join()
    for trail in trails:
        trail.close()
    written = [line for each in tmp_path.glob("*.log") for line in each.read_text().splitlines()]
    assert len(written) == 800
    assert {json.loads(line)["user_id"] for line in written} == {"ana" * 100}


def test_there_is_no_file_where_that_is_asked_for(tmp_path: Path) -> None:
    for given in (config(tmp_path, audit=False), {}):
        served = Served(given)
        served.key().post("/api/add", RAW)
        served.close()
    assert not [*tmp_path.glob("*audit*")]


# --- The log ---------------------------------------------------------------------------------


def test_a_line_of_the_log_names_the_request(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    formed: list[Json] = []
    handler = logging.Handler(logging.INFO)
    handler.emit = lambda record: formed.append(json.loads(JsonLines().format(record)))  # type: ignore[method-assign]
    logger = logging.getLogger("isomem")
    logger.addHandler(handler)
    try:
        with caplog.at_level(logging.INFO, "isomem"):
            done = served.key().post("/api/search", {"query": SECRET, "filters": {"user_id": "a"}})
    finally:
        logger.removeHandler(handler)
    [line] = [each for each in formed if each["logger"] == "isomem.requests"]
    assert (line["message"], line["status"]) == ("POST /api/search", 200)
    assert line["request_id"] == done.headers["x-request-id"]
    assert SECRET not in json.dumps(formed)


def test_nobody_can_write_a_line_of_ones_own() -> None:
    record = logging.LogRecord("isomem", 20, "", 0, "a\nb\x1b[31m é", None, None)
    line = TextLines().format(record)
    assert line.endswith("info: a\\nb\\x1b[31m é")


# --- Spans -----------------------------------------------------------------------------------


@pytest.fixture
def collector() -> Iterator[tuple[str, list[bytes]]]:
    """Where spans are sent; what has come."""
    came: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            came.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1/traces", came
    server.shutdown()
    server.server_close()


def test_spans_go_where_they_are_meant_to(
    tmp_path: Path, collector: tuple[str, list[bytes]]
) -> None:
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    trace = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    url, came = collector
    served = Served(config(tmp_path, otel_endpoint=url))
    client = served.key()
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    client.post("/api/add", RAW, headers={"traceparent": parent})
    client.post("/api/add", {**RAW, "timestamp": SECRET})
    served.close()
    assert came
    spans = [
        span
        for body in came
        for resource in trace.ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    assert sorted(span.name for span in spans) == ["POST", "POST", "isomem.add", "isomem.add"]
    first = [span for span in spans if span.trace_id.hex() == parent.split("-")[1]]
    assert sorted(span.name for span in first) == ["POST", "isomem.add"]
    assert SECRET.encode() not in b"".join(came)
    assert client.headers["X-API-Key"].encode() not in b"".join(came)


def test_spans_need_their_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from isomem.providers import extras

    monkeypatch.setattr(extras, "is_there", lambda module: "opentelemetry" not in module)
    with pytest.raises(DependencyError, match=r"isomem\[otel\]"):
        Service(config(tmp_path, otel_endpoint="http://localhost:4318/v1/traces"))


def test_what_was_done_is_told_even_if_it_cannot_be_noted(served: Served, tmp_path: Path) -> None:
    client = served.key()
    (tmp_path / "audit.log").unlink(missing_ok=True)
    (tmp_path / "audit.log").mkdir()
    assert client.post("/api/add", RAW).status_code == 200
    found = client.post("/api/count", {"filters": {"user_id": "ana"}})
    assert (found.status_code, found.json()) == (200, 1)
