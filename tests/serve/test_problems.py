"""Problems: which error has which status, and what is said of it."""

from __future__ import annotations

import json
from typing import Any

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomem import errors
from isomem.serve.problems import TITLES, Problem, problem_of
from isomem.serve.settings import Settings, is_loopback

STATUSES = {
    "AuthenticationError": 502, "ConfigurationError": 503, "DatabaseError": 503,
    "DependencyError": 503, "EmbeddingError": 502, "InvalidConfigError": 503, "LLMError": 502,
    "MemoryCorruptionError": 500, "MemoryNotFoundError": 404, "NetworkError": 502,
    "PermissionDeniedError": 403, "PromptIntegrityError": 503, "ProviderError": 502,
    "RateLimitError": 502, "RerankError": 502, "UnusableReplyError": 502, "ValidationError": 400,
    "VectorStoreError": 503, "VectorValueError": 502, "MemoryError": 500,
}  # fmt: skip
"""What each class of errors means to a caller."""

SECRET = "sk-0123456789abcdef"


def made(name: str, message: str = "It went wrong", **facts: Any) -> Exception:
    kind = getattr(errors, name)
    error: Exception = kind(message, error_code="TEST_001", **facts)
    return error


def test_every_class_of_errors_has_a_status() -> None:
    assert set(STATUSES) == set(errors.__all__)


@pytest.mark.parametrize(("name", "status"), STATUSES.items())
def test_an_error_has_its_status(name: str, status: int) -> None:
    problem = problem_of(made(name, suggestion="Try again."))
    assert problem.status == status
    if status == 500:
        assert (problem.code, "went wrong" in problem.detail) == ("INTERNAL", False)
    else:
        assert (problem.code, problem.detail) == ("TEST_001", "It went wrong")
        assert problem.suggestion == "Try again."


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (ValueError("top_k must be a valid integer"), 400, "INVALID_VALUE"),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates"), 400, "INVALID_VALUE"),
        (apsw.BusyError("database is locked"), 503, "DB_001"),
        (apsw.FullError("database or disk is full"), 503, "DB_001"),
        (TypeError("unexpected keyword"), 500, "INTERNAL"),
        (KeyError("user_id"), 500, "INTERNAL"),
        (RuntimeError(SECRET), 500, "INTERNAL"),
        (OSError(28, "No space left on device"), 500, "INTERNAL"),
        (NotImplementedError(), 500, "INTERNAL"),
        (MemoryError(), 500, "INTERNAL"),
    ],
)
def test_errors_that_are_not_ours(error: Exception, status: int, code: str) -> None:
    problem = problem_of(error)
    assert (problem.status, problem.code) == (status, code)


@given(text=st.text(min_size=8))
def test_what_should_not_have_failed_tells_nothing_of_why(text: str) -> None:
    problem = problem_of(RuntimeError(f"<{text}>"))
    said = json.dumps(problem.body("r1"), ensure_ascii=False)
    assert f"<{text}>" not in said
    assert "Traceback" not in said


def test_a_problem_stays_as_it_is() -> None:
    problem = Problem(409, "JOB_001", "It does not wait.", headers={"X-Own": "1"})
    assert problem_of(problem) is problem


def test_a_call_that_sums_up_says_what_the_provider_said() -> None:
    """The error of the call is the one above; what to do stands in its cause."""
    error = made("LLMError", "LLM extraction failed")
    error.__cause__ = made(
        "RateLimitError", "openai answered with status 429", suggestion="Wait.",
        details={"provider": "openai", "status": 429}, debug_info={"retry_after": 2.5},
    )  # fmt: skip
    problem = problem_of(error)
    assert (problem.status, problem.detail) == (502, "openai answered with status 429")
    assert problem.suggestion == "Wait."
    assert problem.headers == {"Retry-After": "3"}
    assert problem.body("r1")["error"]["type"] == "LLMError"


def test_a_cause_that_is_not_ours_is_not_told() -> None:
    error = made("LLMError", "openai could not be reached")
    error.__cause__ = RuntimeError(SECRET)
    assert SECRET not in json.dumps(problem_of(error).body("r1"))


@pytest.mark.parametrize(("seconds", "header"), [(0, "1"), (0.2, "1"), (1, "2"), (59.9, "60")])
def test_a_caller_is_told_when_to_come_again(seconds: float, header: str) -> None:
    error = made("RateLimitError", debug_info={"retry_after": seconds})
    assert problem_of(error).headers == {"Retry-After": header}


@pytest.mark.parametrize("status", TITLES)
def test_the_body_has_what_rfc_9457_names(status: int) -> None:
    body = Problem(status, "CODE_001", "Something.").body("request-1")
    assert body == {
        "type": "about:blank", "title": TITLES[status], "status": status, "detail": "Something.",
        "code": "CODE_001", "request_id": "request-1",
    }  # fmt: skip


def test_a_suggestion_is_there_only_if_there_is_one() -> None:
    assert "suggestion" not in Problem(400, "C", "d").body("r")
    assert "suggestion" not in Problem(400, "C", "d", "").body("r")
    assert Problem(400, "C", "d", "Do this.").body("r")["suggestion"] == "Do this."


def test_details_that_json_cannot_say_are_said_as_text() -> None:
    error = made("ValidationError", details={"given": {1, 2}.__class__, "ids": ("a", "b")})
    body = json.loads(json.dumps(problem_of(error).body("r")))
    assert body["error"]["details"]["ids"] == ["a", "b"]
    assert "set" in body["error"]["details"]["given"]


# --- Where the service may listen ------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.8.9.10", "localhost", "::1", "[::1]", "0:0:0:0:0:0:0:1"]
)
def test_this_machine_alone(host: str) -> None:
    assert is_loopback(host)
    Settings({"host": host, "auth": False}).check_address()


@pytest.mark.parametrize(
    "host",
    [
        "0.0.0.0", "::", "[::]", "192.168.1.7", "10.0.0.1", "8.8.8.8", "example.com", "",
        "localhost.example.com", "127.0.0.1.example.com", "0", "0x7f.1", " 127.0.0.1",
    ],
)  # fmt: skip
def test_others_could_reach_it(host: str) -> None:
    assert not is_loopback(host)
    with pytest.raises(errors.InvalidConfigError, match="loopback") as refused:
        Settings({"host": host, "auth": False}).check_address()
    assert "auth" in str(refused.value.suggestion)
    Settings({"host": host, "auth": True}).check_address()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("port", -1), ("port", 65536), ("port", "80"), ("workers", 0), ("auth", "no"),
        ("timeout_s", 0), ("max_body_mb", 0), ("rate_per_minute", 0), ("host", 7), ("hots", "x"),
        ("record", 1), ("grace_s", -1), ("log_format", "xml"), ("log_level", "loud"),
    ],
)  # fmt: skip
def test_a_wrong_option_is_named(option: str, value: object) -> None:
    with pytest.raises(errors.InvalidConfigError, match=option):
        Settings({option: value})
