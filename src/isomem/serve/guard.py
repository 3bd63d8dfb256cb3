"""Guard: what every request and every answer goes through, whoever answers it.

A request gets an id, and its length is checked. An answer gets the headers that keep a browser from
misusing it. Whatever is raised becomes a problem in JSON.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from isomem import log
from isomem.serve.limits import check_length, limited
from isomem.serve.problems import (
    BAD_INPUT,
    FAILED,
    FORBIDDEN,
    NOT_FOUND,
    PROVIDER_FAILED,
    Problem,
    problem_of,
)
from isomem.serve.settings import is_loopback

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from isomem.serve.metrics import Metrics
    from isomem.serve.settings import Settings
    from isomem.serve.trail import Trail

    Headers = list[tuple[bytes, bytes]]

API_POLICY = "default-src 'none'; frame-ancestors 'none'"
"""The content security policy of an answer that brings none of its own: it is no page."""

HEADERS: dict[bytes, bytes] = {
    b"cache-control": b"no-store",
    b"content-security-policy": API_POLICY.encode(),
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
}
"""What is added to an answer that does not have it."""

_SANE_ID = re.compile(rb"[A-Za-z0-9._:-]{1,64}")
_ID_BYTES = 16
_MEGABYTE = 1_000_000


class Guard:
    """The outermost layer of the application.

    Args:
        app: what answers.
        settings: of the service.
        metrics: where requests are counted.
        trail: where they are noted.
    """

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics, trail: Trail) -> None:
        self._app = app
        self._trail = trail
        self._metrics = metrics
        self._max_bytes = int(settings.max_body_mb * _MEGABYTE)
        self._origins = frozenset(settings.cors_origins)
        self._is_open = not settings.auth

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        answer = Answer(send, request_id(headers.get(b"x-request-id", b"")))
        scope.setdefault("state", {})["request_id"] = answer.request_id
        started = time.perf_counter()
        self._metrics.running.inc()
        with self._trail.request(scope, answer.request_id) as noted:
            try:
                self._check(headers)
                await self._app(scope, limited(receive, self._max_bytes), answer.send)
            except Exception as error:  # noqa: BLE001 - a caller gets an answer whatever happens
                await answer.fail(error)
            finally:
                self._metrics.running.dec()
                self._metrics.answered(scope, answer.status, time.perf_counter() - started)
                noted.status, noted.code = answer.status, answer.code

    def _check(self, headers: dict[bytes, bytes]) -> None:
        length = headers.get(b"content-length", b"0")
        check_length(int(length) if length.isdigit() else 0, self._max_bytes)
        if self._is_open:
            self._check_page(headers)

    def _check_page(self, headers: dict[bytes, bytes]) -> None:
        """Refuses the pages of others: without keys, any page in a browser here could call."""
        host = headers.get(b"host", b"").decode("latin-1")
        origin = headers.get(b"origin", b"").decode("latin-1")
        is_own = not origin or origin.partition("://")[2] == host or origin in self._origins
        if not (is_own and _is_here(host) and is_of_program(headers)):
            raise Problem(
                FORBIDDEN, "AUTH_003",
                "Without keys, only this machine and its own pages may call, with bodies of JSON.",
                "Turn on `auth`, and send a key; or send `Content-Type: application/json`.",
            )  # fmt: skip


def is_of_program(headers: dict[bytes, bytes]) -> bool:
    """Whether a body, if there is one, is of a type that a page cannot send without asking."""
    has_body = headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers
    return not has_body or b"json" in headers.get(b"content-type", b"").partition(b";")[0]


@lru_cache
def _is_here(host: str) -> bool:
    """Whether a host, with or without a port, is this machine."""
    name, colon, port = host.rpartition(":")
    return is_loopback(name if colon and port.isdigit() else host)


def request_id(given: bytes) -> str:
    """The id of a request: the caller's if it is a sane one, else a new one."""
    return given.decode() if _SANE_ID.fullmatch(given) else secrets.token_hex(_ID_BYTES)


class Answer:
    """The answer to one request.

    Attributes:
        request_id: of the request.
        status: of HTTP; 0 until the answer begins.
        code: of the problem that it is; None if it is none.
    """

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self.request_id = request_id
        self.status = 0
        self.code: str | None = None

    async def send(self, message: Message) -> None:
        """Sends a part of it."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = with_headers(message.get("headers", ()), self.request_id)
        await self._send(message)

    async def fail(self, error: Exception) -> None:
        """Answers with the problem that an error is. An answer that has begun is broken off."""
        problem = as_problem(error)
        self.code = problem.code
        self._log(problem, error)
        if self.status:
            return
        body = json.dumps(problem.body(self.request_id)).encode()
        headers = {
            "content-type": "application/problem+json", "content-length": str(len(body)),
            **problem.headers,
        }  # fmt: skip
        raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        status = problem.status
        await self.send({"type": "http.response.start", "status": status, "headers": raw})
        await self.send({"type": "http.response.body", "body": body})

    def _log(self, problem: Problem, error: Exception) -> None:
        if problem.status == FAILED or self.status:
            logger = logging.getLogger(log.name())
            logger.error("Request %s failed", self.request_id, exc_info=error)
        elif problem.status >= PROVIDER_FAILED:
            log.warning("Request %s: %s: %s", self.request_id, problem.code, problem.detail)


def with_headers(given: Any, request_id: str) -> Headers:
    """The headers of an answer, and those that every answer has."""
    headers = list(given)
    has = {name for name, _ in headers}
    headers += [each for each in HEADERS.items() if each[0] not in has]
    headers.append((b"x-request-id", request_id.encode()))
    return headers


def as_problem(error: Exception) -> Problem:
    """The problem that an error is, those of the frameworks included."""
    if isinstance(error, HTTPException):
        return _of_framework(error)
    if isinstance(error, RequestValidationError):
        return Problem(BAD_INPUT, "VALIDATION_008", _first_fault(error))
    return problem_of(error)


def _of_framework(error: HTTPException) -> Problem:
    status = error.status_code
    detail = "There is nothing at this path." if status == NOT_FOUND else str(error.detail)
    advice = "GET /docs lists what there is." if status in (NOT_FOUND, 405) else None
    return Problem(status, f"HTTP_{status}", detail, advice, dict(error.headers or {}))


def _first_fault(error: RequestValidationError) -> str:
    fault = error.errors()[0]
    where = ".".join(str(part) for part in fault["loc"])
    return f"{where}: {fault['msg']}"
