"""What the sender decides, step by step, without a network."""

from __future__ import annotations

import time
from email.utils import formatdate
from typing import Any

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from isomem.errors import (
    EmbeddingError,
    LLMError,
    NetworkError,
    ProviderError,
)
from isomem.providers.http import (
    Broken,
    Endpoint,
    Pause,
    Reply,
    Request,
    attempts,
    retry_after,
)

REQUEST = Request("/chat", {})
OK = Reply(200, httpx.Headers(), b'{"a": 1}')


def endpoint(**changes: Any) -> Endpoint:
    fields = {
        "provider": "openai",
        "model": "m-1",
        "base_url": "https://me:swordfish@host/v1/",
        "headers": {"Authorization": "Bearer sk-geheim"},
        "timeout_s": 60.0,
        "max_retries": 3,
        "failure": LLMError,
    }
    return Endpoint(**{**fields, **changes})


def reply(status: int, body: str = "", **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, httpx.Headers(named), body.encode())


def run(*outcomes: Any, chance: float = 0.0, **changes: Any) -> tuple[Any, list[float]]:
    """Plays the outcomes; returns the result or the error, and the pauses in seconds."""
    steps = attempts(endpoint(**changes), REQUEST, lambda: chance)
    pauses: list[float] = []
    todo = list(outcomes)
    try:
        step = next(steps)
        while True:
            if isinstance(step, Pause):
                pauses.append(step.seconds)
                step = steps.send(None)
            else:
                assert step is REQUEST
                outcome = todo.pop(0)
                step = steps.send(Broken(outcome) if isinstance(outcome, Exception) else outcome)
    except StopIteration as stop:
        return stop.value, pauses
    except ProviderError as error:
        return error, pauses
    finally:
        assert not todo


def test_an_answer_is_returned_at_once() -> None:
    assert run(OK) == ({"a": 1}, [])


def test_waits_grow_from_half_a_second() -> None:
    assert run(*[reply(500)] * 3, OK)[1] == [0.5, 1.0, 2.0]


def test_chance_shortens_a_wait_to_half_at_most() -> None:
    assert run(*[reply(500)] * 3, OK, chance=1.0)[1] == [0.25, 0.5, 1.0]


def test_waits_stop_growing_at_eight_seconds() -> None:
    assert run(*[reply(502)] * 9, OK, max_retries=9)[1] == [
        0.5,
        1.0,
        2.0,
        4.0,
        8.0,
        8.0,
        8.0,
        8.0,
        8.0,
    ]


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 529])
def test_what_may_pass_is_tried_again(status: int) -> None:
    assert run(reply(status), OK)[0] == {"a": 1}


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 409, 413, 422])
def test_what_will_not_pass_is_not(status: int) -> None:
    result, pauses = run(reply(status))
    assert result.details["status"] == status
    assert not pauses


@pytest.mark.parametrize(
    "failure",
    [
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        httpx.ConnectTimeout("slow"),
        httpx.RemoteProtocolError("closed"),
        httpx.ReadError("reset"),
    ],
)
def test_a_broken_connection_is_tried_again(failure: Exception) -> None:
    assert run(failure, OK)[0] == {"a": 1}
    error, pauses = run(*[failure] * 4)
    assert isinstance(error, NetworkError)
    assert error.__cause__ is failure
    assert len(pauses) == 3


@pytest.mark.parametrize(
    "failure",
    [httpx.UnsupportedProtocol("x"), httpx.InvalidURL("x"), httpx.TooManyRedirects("x")],
)
def test_a_wrong_address_is_not_tried_again(failure: Exception) -> None:
    error, pauses = run(failure)
    assert isinstance(error, NetworkError)
    assert not pauses


def test_the_server_may_say_how_long_to_wait() -> None:
    assert run(reply(429, retry_after="7"), reply(503, retry_after_ms="40"), OK)[1] == [7.0, 0.04]


def test_a_wait_longer_than_a_minute_is_not_waited() -> None:
    error, pauses = run(reply(429, retry_after="61"))
    assert (error.debug_info, pauses) == ({"retry_after": 61.0}, [])
    assert isinstance(run(reply(503, retry_after="61"))[0], LLMError)


def test_the_wait_may_be_given_as_a_date() -> None:
    date = formatdate(time.time() + 30, usegmt=True)
    assert 28 < (retry_after(httpx.Headers({"retry-after": date})) or 0) <= 30
    assert retry_after(httpx.Headers({"retry-after": formatdate(0, usegmt=True)})) == 0.0


@pytest.mark.parametrize("value", ["", "soon", "nan", "inf", "-1", "Mon, 99 Foo 2020"])
def test_a_wait_that_makes_no_sense_is_as_good_as_none(value: str) -> None:
    assert retry_after(httpx.Headers({"retry-after": value})) is None


def test_errors_name_provider_model_and_status() -> None:
    error, _ = run(reply(400, '{"error": {"message": "bad model"}}'))
    assert error.message == "openai (model 'm-1') answered with status 400: bad model"
    assert error.details == {"provider": "openai", "model": "m-1", "status": 400}
    assert error.error_code == "LLM_001"
    assert run(reply(401))[0].error_code == "AUTH_001"
    assert run(reply(429), max_retries=0)[0].error_code == "RATE_001"
    assert run(httpx.ConnectError("x"), max_retries=0)[0].error_code == "NET_001"


def test_a_long_complaint_is_cut_after_it_was_masked() -> None:
    body = "x" * 495 + "sk-geheim" + "y" * 600
    error, _ = run(reply(400, body))
    assert "sk-ge" not in str(error)
    assert len(str(error)) < 600


def test_no_error_and_no_endpoint_shows_the_credentials_in_an_address() -> None:
    failure = httpx.ConnectError("no route to me:swordfish@host")
    error, _ = run(failure, max_retries=0)
    assert "swordfish" not in repr(error)
    assert "host/v1" in str(error)
    assert "geheim" not in repr(endpoint())


def test_any_2xx_is_an_answer() -> None:
    assert run(Reply(201, httpx.Headers(), b"3"))[0] == 3


def test_paths_are_appended_to_the_address() -> None:
    assert endpoint(base_url="http://h/v1/").url("/chat") == "http://h/v1/chat"


@pytest.mark.parametrize(
    "said",
    [
        "request (8628 tokens) exceeds the available context size (4096 tokens), try increasing it",
        "This model's maximum context length is 8192 tokens. However, you requested 10628 tokens",
        "The decoder prompt (length 8628) is longer than the maximum model length of 4096",
        "The model is loaded with context length of only 4096 tokens, which is not enough",
        "prompt is too long: 205148 tokens > 200000 maximum",
        "Please reduce the length of the messages or completion",
        "The input token count (8628) exceeds the maximum number of tokens allowed (4096)",
    ],
)
def test_a_context_that_is_too_short_is_what_the_suggestion_is_about(said: str) -> None:
    error, _ = run(reply(400, said))
    assert "longer context" in error.suggestion
    assert "8,600 tokens" in error.suggestion


def test_other_refusals_and_embedders_get_other_suggestions() -> None:
    assert "context" not in run(reply(400, "temperature is not supported"))[0].suggestion
    of_embedder = run(reply(400, "maximum context length"), failure=EmbeddingError)[0]
    assert "8,600" not in of_embedder.suggestion


def test_no_retry_begins_after_the_time_for_it() -> None:
    """At 119.6 s, a wait of half a second is too long."""
    moments = iter([0.0, 119.4, 119.6])
    steps = attempts(endpoint(max_retries=9), REQUEST, lambda: 0.0, lambda: next(moments))
    assert next(steps) is REQUEST
    assert steps.send(reply(500)) == Pause(0.5)
    assert steps.send(None) is REQUEST
    with pytest.raises(LLMError, match="500"):
        steps.send(reply(500))


WAITS = (
    st.none() | st.text(max_size=8) | st.floats(-1, 70).map(str) | st.integers(-1, 9**9).map(str)
)
FAILURES = st.builds(
    lambda status, wait: reply(status, **({} if wait is None else {"Retry-After": wait})),
    st.sampled_from([408, 429, 500, 503, 529]),
    WAITS.filter(lambda wait: wait is None or (wait.isascii() and wait.isprintable())),
) | st.sampled_from([httpx.ConnectError("x"), httpx.ReadTimeout("x")]).map(Broken)
TAKES = st.floats(0, 50)
"""How long a server takes to fail, in seconds."""


@settings(max_examples=150, deadline=None, database=None)
@given(
    st.lists(st.tuples(FAILURES, TAKES), min_size=13, max_size=13),
    st.integers(0, 12),
    st.floats(0, 200),
    st.floats(0, 1),
)
def test_whatever_fails_the_bounds_of_count_and_time_are_kept(
    outcomes: Any, most: int, within_s: float, chance: float
) -> None:
    """A clock that only servers and pauses move."""
    now = start = 1000.0
    begun: list[float] = []
    limits = endpoint(max_retries=most, retry_within_s=within_s)
    steps = attempts(limits, REQUEST, lambda: chance, lambda: now)
    step: Any = next(steps)
    with pytest.raises(ProviderError) as caught:
        while True:
            if isinstance(step, Pause):
                assert 0 <= step.seconds <= 60
                now += step.seconds
                step = steps.send(None)
            else:
                begun.append(now)
                outcome, took = outcomes[len(begun) - 1]
                now += took
                step = steps.send(outcome)
    assert len(begun) <= most + 1
    assert all(moment <= start + within_s + 1e-9 for moment in begun[1:])
    last = outcomes[len(begun) - 1][0]
    status = last.status if isinstance(last, Reply) else None
    assert caught.value.details["status"] == status


@settings(max_examples=300, deadline=None, database=None)
@given(st.text(max_size=40) | st.datetimes().map(lambda each: each.strftime("%a, %d %b %Y %T GMT")))
@example("Mon, 01 Jan 0001 00:00:00")
@example("Fri, 31 Dec 9999 23:59:59 -2359")
@example("1e309")
def test_no_retry_after_raises_or_asks_for_less_than_nothing(value: str) -> None:
    seconds = retry_after({"retry-after": value})
    assert seconds is None or 0 <= seconds < float("inf")
