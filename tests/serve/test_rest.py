"""What every request and every answer goes through: keys, limits, ids, headers, problems."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest

pytest.importorskip("fastapi")

from isomem.errors import InvalidConfigError
from isomem.serve.keys import EVERYTHING, Key
from isomem.serve.limits import RateLimits
from isomem.serve.problems import Problem
from isomem.serve.settings import Settings
from tests.serve.service import Served, serving

TEA = {"messages": "I like tea", "user_id": "ana", "infer": False}
ASKED = {"query": "tea", "filters": {"user_id": "ana"}}


def problem(answer: Any, status: int) -> dict[str, Any]:
    """The problem of an answer, which has what every problem has."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert {"type", "title", "status", "detail", "code", "request_id"} <= body.keys()
    assert body["status"] == status
    assert body["request_id"] == answer.headers["x-request-id"]
    return body


# --- Problems --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'{"query": NaN}', "NaN is not a number in JSON"),
        (b'{"query": -Infinity}', "Infinity is not a number in JSON"),
        (b'{"query": "\xff"}', "not UTF-8"),
        (b'{"query": "\\ud800"}', "lone surrogate"),
        (b'{"a": ' * 100_000, "nested too deeply"),
        (b"[1" + b"0" * 5000 + b"]", "not JSON"),
        (b"[]", "must be a JSON object"),
        (b"null", "must be a JSON object"),
    ],
    ids=[
        "empty",
        "broken",
        "nan",
        "infinity",
        "latin-1",
        "surrogate",
        "deep",
        "long",
        "list",
        "null",
    ],
)
@pytest.mark.parametrize("path", ["/search", "/api/search", "/memories"])
def test_what_is_not_json_is_refused(served: Served, path: str, body: bytes, said: str) -> None:
    answer = served.key().request("POST", path, content=body)
    assert said in problem(answer, 400)["detail"]


def test_unknown_paths_and_methods_are_problems_too(served: Served) -> None:
    problem(served.anyone.get("/nothing/here"), 404)
    answer = served.anyone.request("PATCH", "/memories")
    problem(answer, 405)
    assert answer.headers["allow"] == "DELETE, GET, HEAD, POST"


def test_an_unexpected_error_is_logged_once_and_not_shown(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(**_: Any) -> None:
        raise KeyError("a secret detail")

    served.service.memory.search = broken  # type: ignore[method-assign, assignment]
    with caplog.at_level(logging.ERROR):
        answer = served.key().post("/search", ASKED, headers={"X-Request-ID": "mine-1"})
    assert "secret" not in answer.text
    assert problem(answer, 500)["request_id"] == "mine-1"
    lines = [record for record in caplog.records if "mine-1" in record.getMessage()]
    assert len(lines) == 1
    assert lines[0].exc_info is not None


def test_a_failing_model_is_named(served: Served) -> None:
    served.llm.reply("I can't help with that.")
    body = problem(served.key().post("/memories", {**TEA, "infer": True}), 502)
    assert body["code"] == "LLM_002"
    assert body["suggestion"]


@pytest.mark.parametrize(
    ("given", "is_kept"),
    [("abc-1.2:3", True), ("x" * 64, True), ("x" * 65, False), ("a b", False), ("<i>", False)],
)
def test_a_sane_request_id_of_the_caller_is_kept(served: Served, given: str, is_kept: bool) -> None:
    answer = served.anyone.get("/health", headers={"X-Request-ID": given})
    assert (answer.headers["x-request-id"] == given) is is_kept


# --- Keys ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "form", ["X-API-Key: {}", "Authorization: Bearer {}", "Authorization: Token {}"]
)
def test_a_key_is_taken_in_every_form(served: Served, form: str) -> None:
    key = served.key().headers["X-API-Key"]
    name, _, value = form.format(key).partition(": ")
    assert served.anyone.get("/memories", headers={name: value}).status_code == 200


def test_without_a_key_nothing_is_answered_but_what_is_open(served: Served) -> None:
    document = served.anyone.get("/openapi.json").json()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            answer = served.anyone.request(method.upper(), path.replace("{", "").replace("}", ""))
            is_open = operation.get("security") == [] and path != "/metrics"
            assert (answer.status_code == 401) is not is_open, path
            if not is_open:
                assert problem(answer, 401)["code"] == "AUTH_001"
                assert answer.headers["www-authenticate"] == "Bearer"


def test_metrics_need_an_administrator_and_show_no_ids(served: Served) -> None:
    client = served.key()
    client.post("/memories", {**TEA, "user_id": "user-in-a-label"})
    client.get("/memories/an-id-in-a-label")
    problem(served.key(rights=["read"]).get("/metrics"), 403)
    text = client.get("/metrics").text
    assert 'route="/memories/{memory_id}",status="404"' in text
    assert "in-a-label" not in text


def test_open_metrics_are_only_for_loopback() -> None:
    with serving({"serve": {"open_metrics": True}}) as served:
        assert served.anyone.get("/metrics").status_code == 200
    with pytest.raises(InvalidConfigError, match="open_metrics"):
        Settings({"open_metrics": True, "host": "0.0.0.0"}).check_address()


# --- Limits ----------------------------------------------------------------------------------


def test_a_long_body_is_refused_with_and_without_a_length() -> None:
    async def in_parts() -> Any:
        for _ in range(100):
            yield b" " * 100

    with serving({"serve": {"max_body_mb": 0.001}}) as served:
        client = served.key()
        problem(client.request("POST", "/search", content=b" " * 1001), 413)
        problem(client.request("POST", "/search", content=in_parts()), 413)
        assert client.post("/search", ASKED).status_code == 200


def test_too_many_messages_are_refused() -> None:
    with serving({"serve": {"max_messages": 2}}) as served:
        message = {"role": "user", "content": "tea"}
        for path in ("/memories", "/api/add"):
            answer = served.key().post(path, {**TEA, "messages": [message] * 3})
            assert problem(answer, 413)["code"] == "LIMIT_002"


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [("/search", ASKED, "Nothing was changed."), ("/memories", TEA, "It may be stored already.")],
)
def test_a_call_that_takes_too_long_is_ended(path: str, body: Any, said: str) -> None:
    with serving({"serve": {"timeout_s": 0.05}}) as served:

        async def slow(**_: Any) -> None:
            await asyncio.sleep(60)

        served.service.memory.search = slow  # type: ignore[method-assign, assignment]
        served.service.memory.add = slow  # type: ignore[method-assign, assignment]
        assert said in problem(served.key().post(path, body), 504)["detail"]


def test_a_key_that_calls_too_often_is_told_when_to_come_back(served: Served) -> None:
    client = served.key(rate_per_minute=2)
    answers = [client.post("/search", ASKED) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    problem(answers[2], 429)
    assert answers[2].headers["retry-after"] in ("29", "30", "31")
    assert served.key().post("/search", ASKED).status_code == 200


def test_a_bucket_fills_evenly() -> None:
    now = [0.0]
    limits = RateLimits(60, lambda: now[0])
    for _ in range(60):
        limits.take(EVERYTHING)
    with pytest.raises(Problem):
        limits.take(EVERYTHING)
    now[0] = 1.0
    limits.take(EVERYTHING)
    with pytest.raises(Problem):
        limits.take(EVERYTHING)
    limits.take(Key("other", "", b"", (), ()))


# --- Headers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/health", "/memories", "/nothing", "/docs", "/openapi.json"])
def test_every_answer_has_the_headers_for_browsers(served: Served, path: str) -> None:
    headers = served.key().get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]


def test_pages_of_other_origins_may_not_read_unless_they_are_named(served: Served) -> None:
    origin = {"Origin": "https://app.example"}
    asked = {**origin, "Access-Control-Request-Method": "POST"}
    assert (
        "access-control-allow-origin" not in served.key().get("/memories", headers=origin).headers
    )
    assert served.anyone.request("OPTIONS", "/search", headers=asked).status_code == 405
    with serving({"serve": {"cors_origins": ["https://app.example"]}}) as named:
        answer = named.anyone.request("OPTIONS", "/search", headers=asked)
        assert answer.headers["access-control-allow-origin"] == "https://app.example"
        refused = named.anyone.get("/memories", headers=origin)
        assert refused.headers["access-control-allow-origin"] == "https://app.example"
        other = named.anyone.get("/memories", headers={"Origin": "https://other.example"})
        assert "access-control-allow-origin" not in other.headers


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:8765"}, 200),
        ({"Host": "[::1]:8765"}, 200),
        ({"Origin": "http://127.0.0.1:8765"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "evil.example:8765"}, 403),
        ({"Host": "evil.example:8765", "Origin": "http://evil.example:8765"}, 403),
        ({"Content-Type": "application/json; charset=utf-8"}, 200),
        ({"Content-Type": "text/plain"}, 403),
        ({"Content-Type": "text/plain; x=application/json"}, 403),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 403),
    ],
)
def test_without_keys_the_pages_of_others_cannot_call(headers: Any, status: int) -> None:
    """Not even with a request that a browser sends without asking, or by another name of here."""
    with serving({"serve": {"auth": False}}) as served:
        answer = served.anyone.request(
            "POST", "/search", content=json.dumps(ASKED),
            headers={"Content-Type": "application/json", **headers},
        )  # fmt: skip
        assert answer.status_code == status


# --- Status ----------------------------------------------------------------------------------


def test_it_is_alive_and_ready(served: Served) -> None:
    assert served.anyone.get("/health").json()["status"] == "ok"
    assert served.anyone.get("/ready").json()["status"] == "ready"


def test_it_is_not_ready_when_the_store_does_not_answer(served: Served) -> None:
    async def broken(*_: Any) -> None:
        raise OSError("gone")

    served.service.memory.get = broken  # type: ignore[method-assign, assignment]
    assert problem(served.anyone.get("/ready"), 503)["code"] == "NOT_READY"
    assert served.anyone.get("/health").status_code == 200


def test_the_page_lists_everything_and_loads_nothing(served: Served) -> None:
    page = served.anyone.get("/docs").text
    for path in served.anyone.get("/openapi.json").json()["paths"]:
        assert f"<code>{path}</code>" in page
    assert "<script" not in page
    assert "src=" not in page
    assert "http:" not in page
    assert "https:" not in page


def test_what_a_program_stored_can_be_read_whatever_it_is(served: Served) -> None:
    metadata = {"nan": float("nan"), "half": "\ud800", "kept": [1.5, float("inf")]}
    memory = served.service.memory
    served.run(memory.add("I like tea", user_id="ana", infer=False, metadata=metadata))
    client = served.key({"user_id": "ana"})
    [listed] = client.post("/api/get_all").json()["results"]
    [found] = client.post("/api/search", {"query": "tea", "threshold": 0}).json()["results"]
    expected = {"nan": None, "half": "?", "kept": [1.5, None]}
    assert listed["metadata"] == found["metadata"] == expected
    assert client.get(f"/memories/{listed['id']}").json()["metadata"] == expected


# --- Queries ---------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/memories", "/v1/memories", "/v1/memories/"])
def test_an_id_that_is_given_twice_names_nobody(served: Served, path: str) -> None:
    client = served.key()
    for user in ("ana", "bob"):
        client.post("/api/add", {**TEA, "user_id": user})
    refused = client.request("DELETE", f"{path}?user_id=ana&user_id=bob")
    assert problem(refused, 400)["detail"] == "user_id: is given twice."
    assert client.request("DELETE", f"{path}?user_id=ana&user_id=ana").status_code == 400
    left = [each["user_id"] for each in client.post("/api/scopes", {}).json()]
    assert left == ["ana", "bob"]
