"""What an error of ours keeps of the error that caused it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from isomem.causes import caused, message_of
from isomem.errors import EmbeddingError, LLMError, NetworkError, RateLimitError

LIMITED = RateLimitError(
    "openai said: slow down",
    details={"provider": "openai", "model": "m", "status": 429},
    suggestion="Wait",
    debug_info={"retry_after": 7.0},
)


class SdkError(Exception):
    """The shape that the errors of OpenAI's and Anthropic's libraries have."""

    def __init__(self, status_code: Any, headers: Any) -> None:
        super().__init__("refused")
        self.status_code = status_code
        self.response = type("Response", (), {"headers": headers})()


def facts(error: LLMError | EmbeddingError) -> tuple[Any, ...]:
    return error.provider, error.status, error.retry_after, error.suggestion


@pytest.mark.parametrize("kind", [LLMError, EmbeddingError])
def test_the_facts_and_the_suggestion_of_our_own_errors_are_kept(kind: type[LLMError]) -> None:
    error = caused(kind, f"the call failed: {message_of(LIMITED)}", LIMITED)
    assert facts(error) == ("openai", 429, 7.0, "Wait")
    assert str(error) == "the call failed: openai said: slow down. Wait"
    assert error.code == kind.default_code
    assert error.__cause__ is LIMITED


def test_a_cause_without_a_suggestion_leaves_the_usual_one() -> None:
    error = caused(LLMError, "m", NetworkError("n"))
    assert facts(error) == (None, None, None, LLMError.default_suggestion)


def test_an_error_of_a_vendors_library_keeps_its_status_and_its_wait() -> None:
    cause = SdkError(429, {"retry-after": "20"})
    error = caused(LLMError, "m", cause)
    assert facts(error)[:3] == (None, 429, 20.0)
    assert error.__cause__ is cause


def test_an_error_of_httpx_keeps_its_status_and_its_wait() -> None:
    response = httpx.Response(503, headers={"Retry-After-Ms": "500"})
    request = httpx.Request("POST", "http://x")
    cause = httpx.HTTPStatusError("unavailable", request=request, response=response)
    assert facts(caused(LLMError, "m", cause))[1:3] == (503, 0.5)


@pytest.mark.parametrize(
    "cause", [ValueError("x"), SdkError(None, None), SdkError("429", 5), SdkError({}, {})]
)
def test_whatever_else_is_raised_has_no_facts(cause: Exception) -> None:
    error = caused(LLMError, f"m: {message_of(cause)}", cause)
    assert (error.details, error.debug_info) == ({}, {})
    assert error.message == f"m: {cause}"
