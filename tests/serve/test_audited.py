"""Whoever shows a key leaves a line in the audit log, whatever the route and whichever the tool."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
from isomem.serve.mcp.tools import TOOLS
from isomem.serve.trail import NAMES
from tests.serve.service import Served

Json = dict[str, Any]
OPEN = {
    "GET /health", "GET /ready", "GET /docs", "GET /openapi.json", "GET /", "GET /ui",
    "GET /ui/{name:path}",
}  # fmt: skip
"""What needs no key, and shows nothing of anybody."""

FILLED = {
    "{memory_id}": "0b7f", "{entity_type}": "user", "{entity_id}": "ana", "{job_id}": "j1",
    "{key_id}": "k1", "{org_id}": "o", "{project_id}": "p", "{webhook_id}": "w",
    "{user_id}": "ana", "{name:path}": "app.js",
}  # fmt: skip


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    store = {"provider": "embedded", "config": {"path": str(tmp_path / "memory.db")}}
    served = Served({"vector_store": store, "serve": {"rate_per_minute": 100_000}})
    yield served
    served.close()


def lines(folder: Path) -> list[Json]:
    return [json.loads(line) for line in (folder / "audit.log").read_text().splitlines()]


def routes(served: Served) -> Iterator[tuple[str, str]]:
    """Every method of every path that the application has."""
    left: list[Any] = [*served.app.routes]
    for route in left:
        included = getattr(route, "original_router", None)  # By newer FastAPIs.
        if included is not None:
            left += included.routes
            continue
        methods = getattr(route.endpoint, "_operations", None) or route.methods or ()
        yield from ((method, route.path) for method in methods if method != "HEAD")


def filled(path: str) -> str:
    for name, value in FILLED.items():
        path = path.replace(name, value)
    assert "{" not in path, path
    return path


def test_every_route_leaves_a_line_for_every_key(served: Served, tmp_path: Path) -> None:
    """Whether it is allowed or refused, goes well or fails."""
    everything, nobody = served.key(), served.key({"user_id": "zoe"}, rights=["read"])
    seen = {f"{method} {path}" for method, path in routes(served)}
    assert len(seen) > 80
    assert seen >= OPEN | {name for name in NAMES if "mcp" not in name}
    for client in (everything, nobody):
        key_id = client.headers["X-API-Key"].split("_")[1]
        for method, path in sorted(routes(served)):
            before = len(lines(tmp_path))
            body = {"json": {}} if method in ("POST", "PUT", "PATCH") else {}
            answer = client.request(method, filled(path), **body)
            noted = lines(tmp_path)[before:]
            if f"{method} {path}" in OPEN:
                assert not noted, (method, path, noted)
                continue
            assert noted, (method, path, answer.status_code)
            assert {line["key_id"] for line in noted} == {key_id}
            assert {line["request_id"] for line in noted} == {answer.headers["x-request-id"]}
            assert all(line["call"] for line in noted)
            if answer.status_code in (400, 403):
                assert any(line["status"] == answer.status_code for line in noted), (path, noted)


def test_a_caller_without_a_key_leaves_a_line_and_one_of_open_pages_none(
    served: Served, tmp_path: Path
) -> None:
    served.key()
    for method, path in sorted(routes(served)):
        before = len(lines(tmp_path))
        body = {"json": {}} if method in ("POST", "PUT", "PATCH") else {}
        answer = served.anyone.request(method, filled(path), **body)
        noted = lines(tmp_path)[before:]
        if answer.status_code == 401:
            assert [line["call"] for line in noted] == ["authenticate"], (method, path)
        else:
            assert f"{method} {path}" in OPEN | {"GET /ui/api/session"}
            assert not noted


def test_who_looked_at_a_job_or_cancelled_it_is_noted(served: Served, tmp_path: Path) -> None:
    client, other = served.key(), served.key({"user_id": "zoe"})
    body = {"messages": "I like tea", "user_id": "ana", "infer": False, "background": True}
    job = client.post("/api/add", body).json()["id"]
    before = len(lines(tmp_path))
    client.get("/api/jobs")
    client.get(f"/api/jobs/{job}")
    other.get(f"/api/jobs/{job}")
    client.post(f"/api/jobs/{job}/retry")
    client.delete(f"/api/jobs/{job}")
    noted = lines(tmp_path)[before:]
    assert [(line["call"], line.get("job"), line["status"]) for line in noted] == [
        ("jobs.list", None, 200),
        ("jobs.get", job, 200),
        ("jobs.get", job, 404),
        ("jobs.retry", job, 409),
        ("jobs.cancel", job, 200),
    ]
    assert noted[1]["key_id"] != noted[2]["key_id"]


def test_what_fails_before_its_call_is_noted(served: Served, tmp_path: Path) -> None:
    client = served.key(rate_per_minute=3)
    before = len(lines(tmp_path))
    client.request("POST", "/api/search", content=b"{")
    client.request("POST", "/v3/memories/add/", content=b"[]")
    client.get("/v1/ping/")
    client.get("/v1/ping/")
    noted = lines(tmp_path)[before:]
    assert [(line["call"], line["status"], line.get("code")) for line in noted] == [
        ("POST /api/search", 400, "BODY_001"),
        ("POST /v3/memories/add/", 400, "BODY_001"),
        ("ping", 200, None),
        ("ping", 429, "RATE_002"),
    ]


def test_every_tool_of_mcp_leaves_a_line(served: Served, tmp_path: Path) -> None:
    pytest.importorskip("mcp")
    client = served.key({"user_id": "ana"})
    headers = {
        "Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-06-18",
    }  # fmt: skip

    def ask(method: str, **params: Any) -> list[Json]:
        before = len(lines(tmp_path))
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = client.request("POST", "/mcp", json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        return lines(tmp_path)[before:]

    added = ask("tools/call", name="add_memory", arguments={"text": "Tea.", "infer": False})
    assert [line["call"] for line in added][:1] == ["add"]
    given: dict[str, Json] = {
        "search_memories": {"query": "tea"},
        "update_memory": {"memory_id": "x", "text": "y"},
        **{name: {"memory_id": "x"} for name in ("get_memory", "delete_memory", "memory_history")},
    }
    assert [line["call"] for line in ask("tools/list")] == ["mcp"]
    for name, tool in TOOLS.items():
        if name != "add_memory":
            noted = ask("tools/call", name=name, arguments=given.get(name, {}))
            assert tool.call.name in [line["call"] for line in noted], name
        wrong = ask("tools/call", name=name, arguments={"no_such_argument": 1})
        assert [line["call"] for line in wrong] == ["mcp"], name
