"""When a call is sent again, and what an answer means that is not a result."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from isomem import (
    AuthenticationError,
    Client,
    InvalidConfigError,
    LLMError,
    MemoryError,
    NetworkError,
    PermissionDeniedError,
    RateLimitError,
    ValidationError,
)
from isomem.client import exchange
from isomem.serve.raised import raised
from tests.client.conftest import Both
from tests.unit.providers.servers import Answer, Server, clean_environment, serving

KEY = "iso_0123456789_a-secret-of-this-key"
ANA = {"user_id": "ana"}
DONE = {"results": []}


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    clean_environment(monkeypatch)
    monkeypatch.delenv(exchange.URL, raising=False)
    monkeypatch.delenv(exchange.KEY, raising=False)
    monkeypatch.setattr("isomem.providers.sender.time.sleep", lambda _: None)


@pytest.fixture(scope="module")
def _server() -> Iterator[Server]:
    with serving(lambda _: DONE) as server:
        yield server


@pytest.fixture
def server(_server: Server) -> Server:
    _server.forget()
    return _server


def add(client: Client) -> Any:
    return client.add("x", **ANA)


def search(client: Client) -> Any:
    return client.search("x", filters=ANA)


def problem(status: int, **more: Any) -> Answer:
    body = {"status": status, "code": "C", "detail": "Because.", "request_id": "r", **more}
    return Answer(status, body, {"Content-Type": "application/problem+json"})


def later(answer: Answer, seconds: str) -> Answer:
    answer.headers["Retry-After"] = seconds
    return answer


def test_a_call_is_a_post_of_its_arguments_with_the_key(server: Server) -> None:
    with Client(server.url + "/", KEY) as client:
        assert client.search("x", filters=ANA, top_k=3) == DONE
    [seen] = server.seen
    assert (seen.method, seen.path) == ("POST", "/api/search")
    assert seen.body == {"query": "x", "filters": ANA, "top_k": 3}
    assert seen.headers["authorization"] == f"Bearer {KEY}"
    assert exchange.IDEMPOTENCY_KEY.lower() not in seen.headers


def test_the_address_and_the_key_may_be_in_the_environment(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ISOMEM_URL", server.url)
    monkeypatch.setenv("ISOMEM_SERVICE_KEY", KEY)
    with Client() as client:
        search(client)
    assert server.seen[0].headers["authorization"] == f"Bearer {KEY}"


def test_no_key_is_sent_if_there_is_none(server: Server) -> None:
    with Client(server.url) as client:
        search(client)
    assert "authorization" not in server.seen[0].headers


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({}, "CONFIG_004"),
        ({"url": "memory.example.com"}, "CONFIG_002"),
        ({"url": "ftp://x"}, "CONFIG_002"),
        ({"url": "http://x", "timeout_s": 0}, "CONFIG_002"),
        ({"url": "http://x", "timeout_s": "1"}, "CONFIG_002"),
        ({"url": "http://x", "max_retries": -1}, "CONFIG_002"),
    ],
)
def test_a_client_that_cannot_work_is_refused(options: dict[str, Any], code: str) -> None:
    with pytest.raises(InvalidConfigError) as caught:
        Client(**options)
    assert caught.value.code == code


# --- Sent again ------------------------------------------------------------------------------


def delete(client: Client) -> Any:
    return client.delete("4be2d6a4-0000-4000-8000-000000000000")


@pytest.mark.parametrize("call", [search, add, delete])
@pytest.mark.parametrize(
    "refusal", [later(problem(429), "0"), problem(429)], ids=["a time to wait", "no time"]
)
def test_what_was_refused_before_it_was_made_is_sent_again(
    server: Server, call: Callable[[Client], Any], refusal: Answer
) -> None:
    server.answers = [refusal, refusal]
    with Client(server.url, KEY) as client:
        assert call(client) == DONE
    assert len(server.seen) == 3


@pytest.mark.parametrize(
    "failure",
    [later(problem(503), "0"), Answer(503, "no upstream"), Answer(502, "x"), Answer(broken=True)],
    ids=["to wait", "503 of a proxy", "502 of a proxy", "broken off"],
)
def test_what_may_have_been_made_is_sent_again_if_that_cannot_do_it_twice(
    server: Server, failure: Answer
) -> None:
    with Client(server.url, KEY) as client:
        for call in (search, add, lambda client: client.delete_all("ana")):
            server.answers = [failure]
            assert call(client) == DONE
            assert len(server.seen) == 2
            keys = {seen.headers.get("idempotency-key") for seen in server.seen}
            assert (keys == {None}) == (call is not add)
            assert len(keys) == 1
            server.seen.clear()
        server.answers = [failure]
        with pytest.raises(NetworkError):
            delete(client)
    assert len(server.seen) == 1


def test_every_add_has_a_key_of_its_own(server: Server) -> None:
    with Client(server.url, KEY) as client:
        add(client)
        client.remember("x", "y", **ANA)
    keys = [seen.headers["idempotency-key"] for seen in server.seen]
    assert len({*keys}) == 2
    assert all(len(key) == 32 for key in keys)


def test_a_service_that_keeps_no_receipts_is_asked_once(server: Server) -> None:
    """Its memories are in a store that is not isomem's."""
    server.answers = [problem(503, code="RECEIPT_002")]
    with Client(server.url, KEY) as client:
        assert add(client) == DONE
        assert [len(seen.headers.get("idempotency-key", "")) for seen in server.seen] == [32, 0]
        server.answers = [problem(503, code="RECEIPT_002"), Answer(503, "no upstream")]
        with pytest.raises(NetworkError):
            add(client)
    assert len(server.seen) == 4


@pytest.mark.parametrize(
    "answer",
    [problem(503), problem(500), problem(502), problem(504), problem(400), Answer(404, "x")],
    ids=lambda answer: str(answer.status),
)
def test_what_would_fail_again_is_not_sent_again(server: Server, answer: Answer) -> None:
    server.always = answer
    with Client(server.url, KEY) as client, pytest.raises((MemoryError, ValueError)):
        search(client)
    assert len(server.seen) == 1


def test_retries_come_to_an_end(server: Server) -> None:
    server.always = later(problem(429), "0")
    with Client(server.url, KEY, max_retries=2) as client, pytest.raises(RateLimitError) as caught:
        search(client)
    assert len(server.seen) == 3
    assert caught.value.retry_after == 0


def test_a_service_that_asks_to_wait_long_is_not_waited_for(server: Server) -> None:
    server.always = later(problem(429), "3600")
    with Client(server.url, KEY) as client, pytest.raises(RateLimitError) as caught:
        search(client)
    assert (len(server.seen), caught.value.retry_after) == (1, 3600)


# --- Errors ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, AuthenticationError),
        (403, PermissionDeniedError),
        (400, ValidationError),
        (409, ValidationError),
        (413, ValidationError),
        (500, MemoryError),
        (504, NetworkError),
    ],
)
def test_a_problem_of_the_service_itself_is_an_error_with_its_code(
    server: Server, status: int, kind: type[MemoryError]
) -> None:
    server.always = problem(status, suggestion="Do that.")
    with Client(server.url, KEY) as client, pytest.raises(kind) as caught:
        search(client)
    error = caught.value
    assert type(error) is kind
    assert (error.message, error.code, error.suggestion) == ("Because.", "C", "Do that.")
    assert (error.details["status"], error.debug_info["request_id"]) == (status, "r")


def test_an_error_of_the_call_is_what_the_call_raised(server: Server) -> None:
    details = {"provider": "p", "status": 429}
    raised = {"type": "LLMError", "message": "It failed", "code": "LLM_001", "suggestion": "Wait"}
    server.always = later(problem(502, error={**raised, "details": details}), "7")
    with Client(server.url, KEY) as client, pytest.raises(LLMError) as caught:
        add(client)
    error = caught.value
    assert (error.message, error.code, error.suggestion) == ("It failed", "LLM_001", "Wait")
    assert (error.provider, error.status, error.retry_after) == ("p", 429, 7)


@pytest.mark.parametrize("name", ["SystemExit", "__builtins__", "Facts", None, 5, ["x"]])
def test_only_our_own_errors_can_be_named(server: Server, name: object) -> None:
    server.always = problem(400, error={"type": name})
    with Client(server.url, KEY) as client, pytest.raises(ValidationError):
        search(client)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(404, "<h1>Not here</h1>"),
        Answer(200, "<h1>Welcome</h1>"),
        Answer(502, {"error": "x"}),
        Answer(418, [1]),
    ],
    ids=lambda answer: str(answer.status),
)
def test_an_answer_of_something_else_says_so(server: Server, answer: Answer) -> None:
    server.always = answer
    with Client(server.url, KEY, max_retries=0) as client, pytest.raises(NetworkError) as caught:
        search(client)
    assert caught.value.status == answer.status
    assert "not as a service does" in str(caught.value)


def test_a_service_that_is_away_is_an_error_that_names_it() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with Client(url, KEY, max_retries=1) as client, pytest.raises(NetworkError) as caught:
        add(client)
    assert url in str(caught.value)


def test_a_service_that_is_too_slow_is_an_error(server: Server) -> None:
    server.always = Answer(body=DONE, after_s=0.3)
    with (
        Client(server.url, KEY, timeout_s=0.05, max_retries=1) as client,
        pytest.raises(NetworkError, match="did not answer in time"),
    ):
        search(client)
    assert len(server.seen) == 2


def test_no_error_shows_the_key(server: Server) -> None:
    server.always = Answer(500, f"You sent Bearer {KEY}")
    with Client(server.url, KEY) as client, pytest.raises(NetworkError) as caught:
        search(client)
    assert KEY not in f"{caught.value}{caught.value!r}{client!r}{vars(client)}"


# --- Against the service ---------------------------------------------------------------------


def test_a_key_that_does_not_work_is_an_error(both: Both) -> None:
    with pytest.raises(AuthenticationError) as caught:
        both.connect("iso_wrong_key").count(ANA)
    assert caught.value.code == "AUTH_001"


def test_a_key_for_one_user_fills_in_the_user_and_refuses_others(both: Both) -> None:
    client = both.connect(both.key(["read", "write"], ANA))
    client.add("I like tea", infer=False)
    assert client.count({}) == client.count(ANA) == len([*client.iter_all({})]) == 1
    for refused in (
        lambda: client.count({"user_id": "bob"}),
        lambda: client.iter_all({"user_id": "bob"}),
        client.reset,
    ):
        with pytest.raises(PermissionDeniedError) as caught:
            refused()
        assert caught.value.code == "AUTH_002"


def test_an_add_whose_answer_was_lost_is_made_once(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection breaks off after the service has stored it, twice."""
    line = exchange.Line
    lost = [2]
    real, areal = line._exchange, line._aexchange

    def exchange_once(self: exchange.Line, request: Any) -> Any:
        reply = real(self, request)
        if lost[0]:
            lost[0] -= 1
            raise httpx.ReadError("lost")
        return reply

    async def aexchange_once(self: exchange.Line, request: Any) -> Any:
        reply = await areal(self, request)
        if lost[0]:
            lost[0] -= 1
            raise httpx.ReadError("lost")
        return reply

    monkeypatch.setattr(line, "_exchange", exchange_once)
    monkeypatch.setattr(line, "_aexchange", aexchange_once)
    added = both.client.add("I like tea", **ANA, infer=False)
    assert lost == [0]
    assert len(added["results"]) == both.client.count(ANA) == 1
    assert both.client.get(added["results"][0]["id"])["memory"] == "I like tea"


def test_the_details_of_an_error_travel_whatever_is_in_them() -> None:
    error = LLMError("x", details={"status": 5, "odd": {1, 2}, "deep": {"a": object()}})
    assert json.loads(json.dumps(raised(error)))["details"]["status"] == 5
