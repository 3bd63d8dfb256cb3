"""The decisions about sending again, on sequences of outcomes that no server would make up."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomem.client import exchange
from isomem.client.calls import ADDING, READING, SETTLING, request_of
from isomem.client.exchange import Asked, attempts, service_at
from isomem.providers.http import LONGEST_RETRY_AFTER_S, Broken, Pause, Reply, Request
from isomem.serve.calls import CALLS

SENT = (httpx.ReadError("x"), httpx.ReadTimeout("x"), httpx.RemoteProtocolError("x"))
UNSENT = (httpx.ConnectError("x"), httpx.ConnectTimeout("x"), httpx.PoolTimeout("x"))
NEVER = (httpx.UnsupportedProtocol("x"), httpx.InvalidURL("x"), httpx.TooManyRedirects("x"))


def problem(status: int, code: str = "C", **headers: str) -> Reply:
    body = {"status": status, "code": code, "detail": "d"}
    return Reply(status, httpx.Headers(headers), json.dumps(body).encode())


def page(status: int) -> Reply:
    return Reply(status, httpx.Headers(), b"<html>")


DONE = Reply(200, httpx.Headers(), b"5")
REFUSED = [problem(429), problem(429, **{"Retry-After": "2"})]
UNMADE = [*map(Broken, UNSENT), *REFUSED]
"""After these, the service has not made the call."""
PERHAPS = [
    *map(Broken, SENT), problem(503, **{"Retry-After": "2"}), page(502), page(503), page(504),
]  # fmt: skip
"""After these, it may have."""
FINAL = [
    *map(Broken, NEVER), problem(400), problem(500), problem(502), problem(503), problem(504),
    page(404), page(500), problem(429, **{"Retry-After": "3600"}),
]  # fmt: skip
"""After these, nothing would be better."""


def decided(
    request: Asked, outcomes: list[Any], max_retries: int = 3
) -> tuple[list[Request], list[float], Any]:
    """What was sent, how long it waited in between, and what came of it."""
    service = service_at("http://127.0.0.1:1", None, timeout_s=1, max_retries=max_retries)
    steps = attempts(service, request, chance=lambda: 0.5, clock=lambda: 0.0)
    sent, waited, left = [], [], [*outcomes]
    try:
        step = next(steps)
        while True:
            if isinstance(step, Pause):
                waited.append(step.seconds)
                step = steps.send(None)
            else:
                sent.append(step)
                step = steps.send(left.pop(0) if left else DONE)
    except StopIteration as stop:
        return sent, waited, stop.value
    except Exception as error:
        return sent, waited, error


def asked(*, may_repeat: bool, has_key: bool = False) -> Asked:
    return exchange.asked("x", {}, has_key=has_key, may_repeat=may_repeat)


@given(st.lists(st.sampled_from([*UNMADE, *PERHAPS, *FINAL, DONE]), max_size=8), st.booleans())
def test_whatever_happens_it_ends_and_nothing_is_made_twice(
    outcomes: list[Any], may_repeat: bool
) -> None:
    sent, waited, came = decided(asked(may_repeat=may_repeat, has_key=may_repeat), outcomes)
    assert len(sent) == len(waited) + 1 <= 4
    assert all(0 < seconds <= LONGEST_RETRY_AFTER_S for seconds in waited)
    assert all(each is sent[0] for each in sent)  # The key included.
    seen = outcomes[: len(sent) - 1]
    assert all(any(each is one for one in [*UNMADE, *PERHAPS]) for each in seen)
    if not may_repeat:
        assert all(any(each is one for one in UNMADE) for each in seen)
    assert came == 5 or isinstance(came, Exception)


@pytest.mark.parametrize("outcome", UNMADE)
def test_what_was_not_made_is_sent_again(outcome: Any) -> None:
    for may_repeat in (False, True):
        assert decided(asked(may_repeat=may_repeat), [outcome])[2] == 5


@pytest.mark.parametrize("outcome", PERHAPS)
def test_what_may_have_been_made_is_sent_again_only_if_it_may_repeat(outcome: Any) -> None:
    assert decided(asked(may_repeat=True), [outcome])[2] == 5
    sent, _, came = decided(asked(may_repeat=False), [outcome])
    assert (len(sent), isinstance(came, Exception)) == (1, True)


@pytest.mark.parametrize("outcome", FINAL)
def test_what_would_fail_again_is_not_sent_again(outcome: Any) -> None:
    sent, waited, came = decided(asked(may_repeat=True), [outcome])
    assert (len(sent), waited, isinstance(came, Exception)) == (1, [], True)


def test_a_time_to_wait_is_kept_and_otherwise_waits_grow() -> None:
    waits = decided(asked(may_repeat=True), [problem(429, **{"Retry-After": "2"})])[1]
    assert waits == [2.0]
    waits = decided(asked(may_repeat=True), [page(503)] * 6, max_retries=6)[1]
    assert waits == [0.375, 0.75, 1.5, 3.0, 6.0, 6.0]


@pytest.mark.parametrize("max_retries", [0, 1, 5])
def test_the_number_of_retries_is_the_callers(max_retries: int) -> None:
    sent = decided(asked(may_repeat=True), [problem(429)] * 9, max_retries)[0]
    assert len(sent) == max_retries + 1


def test_without_receipts_the_key_is_dropped_once_and_the_call_not_repeated() -> None:
    lacking = problem(503, "RECEIPT_002")
    sent, waited, came = decided(asked(may_repeat=True, has_key=True), [lacking])
    assert (len(sent), waited, came) == (2, [], 5)
    assert [len(each.headers) for each in sent] == [1, 0]
    sent, _, came = decided(asked(may_repeat=True, has_key=True), [lacking, page(502)])
    assert (len(sent), isinstance(came, Exception)) == (2, True)
    sent, _, came = decided(asked(may_repeat=True, has_key=True), [lacking, lacking])
    assert (len(sent), isinstance(came, Exception)) == (2, True)


@pytest.mark.parametrize("name", CALLS)
def test_a_call_that_adds_has_a_key_and_one_that_changes_otherwise_is_not_repeated(
    name: str,
) -> None:
    request = request_of(name, {})
    assert (exchange.IDEMPOTENCY_KEY in request.headers) == (name in ADDING)
    assert request.may_repeat == (name in READING | SETTLING | ADDING)
    assert request.path == f"/api/{name}"
    if not CALLS[name].is_repeatable:
        assert name in ADDING or not request.may_repeat


def test_what_a_client_repeats_the_service_calls_repeatable() -> None:
    repeated = READING | SETTLING
    assert all(CALLS[name].is_repeatable for name in repeated)
    assert {name for name in ADDING if CALLS[name].is_repeatable} == set()


def test_a_model_of_langchain_cannot_be_sent() -> None:
    with pytest.raises(ValueError, match="llm= cannot be sent"):
        request_of("add", {"messages": "x", "llm": object()})
    assert request_of("add", {"messages": "x", "llm": None}).body == {"messages": "x"}


def test_arguments_that_a_memory_ignores_are_not_sent(caplog: pytest.LogCaptureFixture) -> None:
    request = request_of("search", {"query": "x", "kwargs": {"limit": 5}})
    assert request.body == {"query": "x"}
    assert "search() does nothing with limit=" in caplog.text
    with pytest.raises(ValueError, match="Top-level entity parameters"):
        request_of("get_all", {"kwargs": {"user_id": "ana"}})
