"""The guard, around applications that misbehave in every way."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest

pytest.importorskip("fastapi")

from starlette.exceptions import HTTPException

from isomem.errors import (
    DatabaseError,
    EmbeddingError,
    LLMError,
    MemoryNotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ValidationError,
    VectorStoreError,
)
from isomem.serve.guard import Guard, is_of_program
from isomem.serve.metrics import Metrics
from isomem.serve.problems import Problem
from isomem.serve.settings import Settings
from isomem.serve.trail import Trail

START = {"type": "http.response.start", "status": 200, "headers": []}
BODY = {"type": "http.response.body", "body": b"{}"}


def asked(app: Any, *parts: bytes, **settings: Any) -> list[dict[str, Any]]:
    """What is sent to a caller of an application behind a guard."""
    headers = settings.pop("headers", [])
    guard = Guard(app, Settings(settings), Metrics(), Trail())
    scope = {"type": "http", "method": "POST", "path": "/x", "headers": headers}
    waiting = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    sent: list[dict[str, Any]] = []

    async def receive() -> Any:
        return waiting.pop(0) if waiting else {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(guard(scope, receive, send))
    return sent


def raising(error: Exception) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise error

    return app


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Problem(418, "TEA", "I am a teapot"), 418, "TEA"),
        (HTTPException(404), 404, "HTTP_404"),
        (HTTPException(405, "no", {"Allow": "GET"}), 405, "HTTP_405"),
        (ValidationError("wrong", error_code="VALIDATION_001"), 400, "VALIDATION_001"),
        (ValueError("wrong"), 400, "INVALID_VALUE"),
        (PermissionDeniedError("no"), 403, "AUTH_002"),
        (MemoryNotFoundError("gone"), 404, "MEM_404"),
        (LLMError("down"), 502, "LLM_001"),
        (EmbeddingError("down"), 502, "EMBED_001"),
        (RateLimitError("slow", debug_info={"retry_after": 7.2}), 502, "RATE_001"),
        (DatabaseError("locked"), 503, "DB_001"),
        (VectorStoreError("down"), 503, "VECTOR_001"),
        (KeyError("secret"), 500, "INTERNAL"),
        (TypeError("secret"), 500, "INTERNAL"),
        (RecursionError("secret"), 500, "INTERNAL"),
        (AssertionError("secret"), 500, "INTERNAL"),
        (OSError("secret"), 500, "INTERNAL"),
    ],
)
def test_whatever_is_raised_becomes_a_problem(error: Exception, status: int, code: str) -> None:
    start, body = asked(raising(error))
    problem = json.loads(body["body"])
    assert (start["status"], problem["status"], problem["code"]) == (status, status, code)
    headers = dict(start["headers"])
    assert headers[b"content-type"] == b"application/problem+json"
    assert headers[b"x-request-id"].decode() == problem["request_id"]
    assert int(headers[b"content-length"]) == len(body["body"])
    assert b"secret" not in body["body"]


def test_how_long_to_wait_is_passed_on() -> None:
    start, _ = asked(raising(RateLimitError("slow", debug_info={"retry_after": 7.2})))
    assert dict(start["headers"])[b"retry-after"] == b"8"


def test_an_answer_that_has_begun_is_broken_off_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({**START})
        raise ValueError("in the middle")

    with caplog.at_level(logging.ERROR):
        sent = asked(app)
    assert [message["type"] for message in sent] == ["http.response.start"]
    assert "in the middle" in caplog.text


@pytest.mark.parametrize("level", [logging.WARNING, logging.ERROR])
def test_mistakes_of_callers_are_not_logged(caplog: pytest.LogCaptureFixture, level: int) -> None:
    with caplog.at_level(level):
        asked(raising(ValueError("wrong")))
        asked(raising(HTTPException(404)))
    assert caplog.records == []


def test_failures_of_providers_are_one_line_with_the_request(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        asked(raising(LLMError("down")), headers=[(b"x-request-id", b"mine")])
    (record,) = caplog.records
    assert "mine" in record.getMessage()
    assert "LLM_001" in record.getMessage()
    assert record.exc_info is None


@pytest.mark.parametrize(
    ("length", "parts", "status"),
    [
        (b"1000", (b"x" * 1000,), 200),
        (b"1001", (), 413),
        (b"99999999999999999999999", (), 413),
        (b"-1", (b"x",), 200),
        (b"x", (b"x",), 200),
        (None, (b"x" * 500, b"x" * 500), 200),
        (None, (b"x" * 500, b"x" * 501), 413),
        (b"1", (b"x" * 1001,), 413),
    ],
)
def test_a_length_is_only_believed_if_it_is_too_long(
    length: bytes | None, parts: tuple[bytes, ...], status: int
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["body"]:
            pass
        await send({**START})
        await send(BODY)

    headers = [] if length is None else [(b"content-length", length)]
    start, *_ = asked(app, *parts, headers=headers, max_body_mb=0.001)
    assert start["status"] == status


def test_other_kinds_of_connections_pass() -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    guard = Guard(app, Settings({}), Metrics(), Trail())
    for kind in ("lifespan", "websocket"):
        asyncio.run(guard({"type": kind}, None, None))  # type: ignore[arg-type]
    assert seen == ["lifespan", "websocket"]


def test_every_request_is_counted_once_whatever_becomes_of_it() -> None:
    metrics = Metrics()

    async def good(scope: Any, receive: Any, send: Any) -> None:
        scope["state"]["route"] = "/x/{id}"
        await send({**START})
        await send(BODY)

    async def run() -> None:
        async def send(message: Any) -> None:
            pass

        for app, method in ((good, "GET"), (raising(KeyError()), "BREW"), (good, "GET")):
            scope = {"type": "http", "method": method, "path": "/x/7", "headers": []}
            await Guard(app, Settings({}), metrics, Trail())(scope, None, send)  # type: ignore[arg-type]

    logging.disable(logging.CRITICAL)
    try:
        asyncio.run(run())
    finally:
        logging.disable(logging.NOTSET)
    text = metrics.text().decode()
    assert 'isomem_requests_total{method="GET",route="/x/{id}",status="200"} 2.0' in text
    assert 'isomem_requests_total{method="other",route="other",status="500"} 1.0' in text
    assert "isomem_requests_running 0.0" in text


@pytest.mark.parametrize(
    ("headers", "is_fine"),
    [
        ({}, True),
        ({b"content-length": b"0"}, True),
        ({b"content-length": b"5", b"content-type": b"application/json"}, True),
        ({b"content-length": b"5", b"content-type": b"application/merge-patch+json"}, True),
        ({b"content-length": b"5"}, False),
        ({b"transfer-encoding": b"chunked"}, False),
        ({b"transfer-encoding": b"chunked", b"content-type": b"application/json"}, True),
        ({b"content-length": b"5", b"content-type": b"multipart/form-data; x=json"}, False),
    ],
)
def test_a_page_cannot_send_json_without_asking(headers: dict[bytes, bytes], is_fine: bool) -> None:
    assert is_of_program(headers) is is_fine
