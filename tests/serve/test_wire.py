"""What comes over the wire: broken, odd and hostile requests, sent byte by byte to a real server.

Whatever it is, the answer is an HTTP response or a closed connection, nothing is stored by halves,
and the service goes on answering others.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

from tests.serve.service import Served, listening, serving

TIMEOUT_S = 3
TEXT = "Ana keeps bees"
ADD = json.dumps({"messages": TEXT, "user_id": "ana", "infer": False}).encode()


class Wire:
    """A service that listens, and what is sent to it."""

    def __init__(self, served: Served, url: str, key: str) -> None:
        self.served = served
        host, _, port = url.removeprefix("http://").partition(":")
        self.address = host, int(port)
        self.host = f"{host}:{port}"
        self.key = key

    def send(self, data: bytes, *, ends: bool = False) -> bytes:
        """Sends bytes on a connection of their own; everything that comes back.

        Args:
            ends: the caller goes away after them, and does not wait for the service to end it.
        """
        with socket.create_connection(self.address, TIMEOUT_S) as connection:
            try:
                connection.sendall(data)
                if ends:
                    connection.shutdown(socket.SHUT_WR)
                parts = []
                while part := connection.recv(65536):
                    parts.append(part)
            except (ConnectionError, TimeoutError):  # it closed early, or waits for more
                return b""
        return b"".join(parts)

    def request(
        self, body: bytes = ADD, *, path: str = "/api/add", method: str = "POST", **headers: str
    ) -> bytes:
        """One whole request."""
        lines = {
            "Host": self.host, "X-API-Key": self.key, "Content-Type": "application/json",
            "Content-Length": str(len(body)), "Connection": "close",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }  # fmt: skip
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
        return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body

    def texts(self) -> list[str]:
        """What is stored, read by a request of its own: so it still answers."""
        asked = json.dumps({"filters": {"user_id": "ana"}, "top_k": 1000}).encode()
        status, answer = read(self.send(self.request(asked, path="/api/get_all")))
        assert status == 200
        return [each["memory"] for each in answer["results"]]


def read(response: bytes) -> tuple[int, Any]:
    """The status and the body of a response; (0, None) if there is none."""
    head, _, body = response.partition(b"\r\n\r\n")
    if not head:
        return 0, None
    status = int(head.split(b" ", 2)[1])
    if b"transfer-encoding: chunked" in head.lower():
        body = b"".join(body.split(b"\r\n")[1::2])
    return status, json.loads(body) if body.startswith((b"{", b"[")) else body


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with serving({"serve": {"max_body_mb": 0.05}}) as served:
        key, _ = served.service.keys.create("wire", ["read", "write"], [{"user_id": "ana"}])
        with listening(served) as url:
            yield Wire(served, url, key)


@pytest.fixture(autouse=True)
def _empty(wire: Wire) -> None:
    body = json.dumps({"user_id": "ana"}).encode()
    status, _ = read(wire.send(wire.request(body, path="/api/delete_all")))
    assert status == 200


def test_a_whole_request_is_answered(wire: Wire) -> None:
    status, answer = read(wire.send(wire.request()))
    assert status == 200
    assert answer["results"][0]["memory"] == TEXT
    assert wire.texts() == [TEXT]


@pytest.mark.parametrize("at", range(1, len(ADD), 7))
def test_a_body_that_stops_early_stores_nothing(wire: Wire, at: int) -> None:
    whole = wire.request()
    wire.send(whole[: len(whole) - at], ends=True)
    assert wire.texts() == []


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_head_that_stops_early_stores_nothing(wire: Wire, share: float) -> None:
    whole = wire.request()
    wire.send(whole[: int((len(whole) - len(ADD)) * share)], ends=True)
    assert wire.texts() == []


def test_a_caller_who_is_gone_does_not_keep_others_waiting(wire: Wire) -> None:
    half = wire.request()[:-10]
    gone = [socket.create_connection(wire.address, TIMEOUT_S) for _ in range(20)]
    for connection in gone:
        connection.sendall(half)
    assert wire.texts() == []
    for connection in gone:
        connection.close()
    assert wire.texts() == []


def test_two_requests_on_one_connection_are_both_answered(wire: Wire) -> None:
    first = wire.request(Connection="keep-alive")
    answers = wire.send(first + wire.request())
    assert answers.count(b"HTTP/1.1 200") == 2
    assert wire.texts() == [TEXT, TEXT]


def test_chunks_make_one_body(wire: Wire) -> None:
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (ADD[:9], ADD[9:])) + b"0\r\n"
    request = wire.request(chunks + b"\r\n", Content_Length="", Transfer_Encoding="chunked")
    assert read(wire.send(request))[0] == 200
    assert wire.texts() == [TEXT]


def test_chunks_that_are_too_much_are_refused(wire: Wire) -> None:
    part = b"x" * 10_000
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for _ in range(20)) + b"0\r\n\r\n"
    request = wire.request(chunks, Content_Length="", Transfer_Encoding="chunked")
    assert read(wire.send(request))[0] in (0, 413)
    assert wire.texts() == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Content_Length": "10", "Transfer_Encoding": "chunked"},
        {"Content_Length": "-1"},
        {"Content_Length": "1e2"},
        {"Content_Length": "99999999999999999999"},
        {"Transfer_Encoding": "chunked, identity"},
        {"Transfer_Encoding": "xchunked"},
    ],
)
def test_a_length_that_means_two_things_stores_nothing(wire: Wire, headers: Any) -> None:
    """Otherwise, what one server takes for a body could be the next request for another."""
    status, _ = read(wire.send(wire.request(ADD + b"GET / HTTP/1.1\r\n\r\n", **headers)))
    assert status != 200
    assert wire.texts() == []


@pytest.mark.parametrize("value", ["a\r\nX-API-Key: b", "\0", "é" * 10, "x" * 5_000, " ", "Bearer"])
@pytest.mark.parametrize("name", ["X_API_Key", "Authorization", "Idempotency_Key", "X_Request_ID"])
def test_odd_headers_let_nobody_in_and_break_nothing(wire: Wire, name: str, value: str) -> None:
    key = {} if name == "X_API_Key" else {"X_API_Key": "iso_0_no"}
    status, answer = read(wire.send(wire.request(**{**key, name: value})))
    assert status in (0, 400, 401, 431)
    assert "iso_0_no" not in json.dumps(str(answer))
    assert wire.texts() == []


def test_more_headers_than_anybody_needs(wire: Wire) -> None:
    many = {f"X_Own_{number}": "x" * 100 for number in range(2_000)}
    assert read(wire.send(wire.request(**many)))[0] in (0, 200, 400, 431)
    assert set(wire.texts()) <= {TEXT}


@pytest.mark.parametrize(
    "path",
    [
        "/api/../api/add", "//api/add", "/api/add/", "/api//add", "/API/add", "/api/%61dd/..",
        "/api/add%00", "/api/add;x=1", "/ui/../../../etc/passwd", "/ui/%2e%2e/%2e%2e/etc/passwd",
        "/ui/..%2f..%2fkeys", "/memories/..%2f..%2freset", "/" + "a" * 8_000, "*",
    ],
)  # fmt: skip
def test_odd_paths_lead_nowhere(wire: Wire, path: str) -> None:
    status, answer = read(wire.send(wire.request(path=path)))
    assert status in (0, 400, 404, 405, 414)
    assert b"root:" not in str(answer).encode()
    assert wire.texts() == []


@pytest.mark.parametrize("method", ["GET", "PUT", "TRACE", "OPTIONS", "CONNECT", "ADD", "post"])
def test_another_method_does_nothing(wire: Wire, method: str) -> None:
    assert read(wire.send(wire.request(method=method)))[0] in (0, 400, 404, 405, 501)
    assert wire.texts() == []


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"null", b"[]", b'"add"', b"\xff\xfe{}", b"\xef\xbb\xbf" + ADD[:-1],
        b'{"messages": "\xff", "user_id": "ana"}', b"{" * 10_000, b"[" * 40_000,
        b'{"messages": NaN, "user_id": "ana"}', b'{"messages": 1e999, "user_id": "ana"}',
        ADD[:-1] + b', "metadata": {"x": 1e999}}', ADD[:-1] + b', "metadata": {"x": [-1e400]}}',
        b'{"user_id": "ana"}', ADD.replace(b'"ana"', b'"\\ud800"'), ADD + ADD, ADD[:-1] + b",}",
        b'{"messages": "x", "user_id": ' + b"9" * 5_000 + b"}",
    ],
)  # fmt: skip
def test_a_body_that_is_no_call_is_a_bad_request(wire: Wire, body: bytes) -> None:
    status, answer = read(wire.send(wire.request(body)))
    assert status == 400
    assert answer["status"] == 400
    assert answer["code"]
    assert "Traceback" not in str(answer)
    assert wire.texts() == []


def test_the_last_of_two_equal_keys_counts_and_never_leads_out(wire: Wire) -> None:
    body = ADD.replace(b'"user_id"', b'"user_id": "ana", "user_id": "bob", "x"')
    assert read(wire.send(wire.request(body)))[0] in (400, 403)
    body = ADD[:-1] + b', "user_id": "bob"}'
    assert read(wire.send(wire.request(body)))[0] == 403
    assert wire.texts() == []


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.binary(max_size=400))
def test_any_bytes_at_all(wire: Wire, data: bytes) -> None:
    assert b"200 OK" not in wire.send(data, ends=True)[:20] or data.startswith(b"GET")


@pytest.mark.parametrize("seed", range(12))
def test_a_request_with_a_byte_changed(wire: Wire, seed: int) -> None:
    """It is refused, or it is another request, but never another user's."""
    random = Random(seed)
    for _ in range(6):
        request = bytearray(wire.request())
        request[random.randrange(len(request))] = random.randrange(256)
        status, _ = read(wire.send(bytes(request), ends=True))
        assert status < 500
    assert len(wire.texts()) <= 6
    asked = {"filters": {"user_id": "bob"}}
    body = json.dumps(asked).encode()
    assert read(wire.send(wire.request(body, path="/api/count")))[0] == 403
