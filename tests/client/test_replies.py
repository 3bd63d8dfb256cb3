"""An error that a call raises in a service is raised by the client, and nothing else is."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomem import errors
from isomem.client.exchange import service_at
from isomem.client.replies import error_of, problem_in, result_of
from isomem.errors import LLMError, MemoryError, NetworkError, ProviderError, RateLimitError
from isomem.providers.http import Reply
from isomem.serve.problems import FAILED, Problem, problem_of
from isomem.serve.raised import raised

SERVICE = service_at("http://127.0.0.1:1", "iso_a_secret", timeout_s=1, max_retries=0)
INTERNAL = ("MemoryError", "MemoryCorruptionError")
"""What a service does not tell its callers about."""

KINDS = [getattr(errors, name) for name in errors.__all__ if name not in INTERNAL]
TEXTS = st.text(min_size=1, max_size=30)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


def reply_of(problem: Problem) -> Reply:
    body = json.dumps(problem.body("request-1")).encode()
    return Reply(problem.status, httpx.Headers(problem.headers), body)


def facts(error: Any) -> tuple[Any, ...]:
    names = ("message", "error_code", "suggestion", "details")
    return (type(error), str(error), *(getattr(error, name, None) for name in names))


@given(
    st.sampled_from(KINDS),
    TEXTS,
    st.sampled_from(["VALIDATION_001", "X_1"]),
    st.none() | TEXTS,
    st.dictionaries(st.text(max_size=5), JSON, max_size=3),
)
def test_an_error_of_a_call_comes_back_whole(
    kind: type[MemoryError], message: str, code: str, suggestion: str | None, details: Any
) -> None:
    meant = kind(message, code, details=details, suggestion=suggestion)
    found = error_of(SERVICE, reply_of(problem_of(meant)))
    assert facts(found) == facts(meant)
    assert isinstance(found, ValueError) == isinstance(meant, ValueError)


@given(TEXTS)
def test_a_value_error_comes_back_as_one(message: str) -> None:
    found = error_of(SERVICE, reply_of(problem_of(ValueError(message))))
    assert type(found) is ValueError
    assert str(found) == message


def test_an_error_that_sums_up_another_comes_back_as_itself() -> None:
    """The problem shows the cause, since that says more about what to do."""
    cause = RateLimitError("busy", details={"provider": "p"}, debug_info={"retry_after": 4.2})
    meant = LLMError("the model failed", details=cause.details, debug_info=cause.debug_info)
    meant.__cause__ = cause
    problem = problem_of(meant)
    assert problem.detail == "busy"
    found = error_of(SERVICE, reply_of(problem))
    assert isinstance(found, LLMError)
    assert (found.message, found.provider, found.retry_after) == ("the model failed", "p", 5)


def test_a_class_of_somebody_else_is_the_nearest_of_ours() -> None:
    class OwnError(RateLimitError):
        """Of a program."""

    class WrongError(ValueError):
        """Of a program."""

    assert raised(OwnError("x"))["type"] == "RateLimitError"
    assert raised(WrongError("x"))["type"] == "ValueError"
    assert type(error_of(SERVICE, reply_of(problem_of(OwnError("x"))))) is RateLimitError


def test_a_bug_in_the_service_tells_nothing_of_itself() -> None:
    reply = reply_of(problem_of(RuntimeError("SELECT secret FROM x")))
    assert reply.status == FAILED
    found = error_of(SERVICE, reply)
    assert type(found) is MemoryError
    assert (found.code, found.debug_info["request_id"]) == ("INTERNAL", "request-1")
    assert "secret" not in reply.body.decode()


@given(st.integers(400, 599), st.binary(max_size=40))
def test_any_answer_of_something_else_is_an_error(status: int, body: bytes) -> None:
    reply = Reply(status, httpx.Headers(), body)
    found = error_of(SERVICE, reply)
    assert isinstance(found, ProviderError)
    assert found.status == status


@given(st.integers(400, 599), JSON)
def test_any_json_is_an_error(status: int, body: Any) -> None:
    reply = Reply(status, httpx.Headers(), json.dumps(body).encode())
    assert problem_in(reply) is None
    assert isinstance(error_of(SERVICE, reply), ProviderError)


@given(
    st.integers(400, 599),
    st.fixed_dictionaries(
        {"code": JSON, "detail": JSON, "status": JSON},
        optional={"error": JSON, "suggestion": JSON, "request_id": JSON},
    ),
)
def test_a_problem_of_any_content_is_an_error(status: int, body: Any) -> None:
    found = error_of(SERVICE, Reply(status, httpx.Headers(), json.dumps(body).encode()))
    assert isinstance(found, (MemoryError, ValueError))
    assert isinstance(str(found), str)
    assert isinstance(repr(found), str)


@given(JSON)
def test_a_result_is_the_json_of_the_answer(body: Any) -> None:
    assert result_of(SERVICE, Reply(200, httpx.Headers(), json.dumps(body).encode())) == body


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff", b"[" * 100_000])
def test_a_success_that_is_not_json_is_an_error(body: bytes) -> None:
    with pytest.raises(NetworkError, match="not as a service does"):
        result_of(SERVICE, Reply(200, httpx.Headers(), body))


def test_an_answer_that_echoes_the_key_is_masked() -> None:
    found = error_of(SERVICE, Reply(418, httpx.Headers(), b"got Bearer iso_a_secret"))
    assert "iso_a_secret" not in f"{found}{found!r}"
