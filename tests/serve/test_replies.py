"""The text of a reply is read from a stream, however its bytes are cut."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomem.errors import NetworkError
from isomem.serve.replies import Reply

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


def event(delta: Any, index: int = 0) -> bytes:
    body = {"choices": [{"index": index, "delta": delta}]}
    return b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n"


@given(st.lists(st.text(max_size=6), max_size=6), st.data())
def test_a_text_is_whole_wherever_the_bytes_are_cut(pieces: list[str], data: st.DataObject) -> None:
    pieces = [piece.encode("utf-8", "ignore").decode() for piece in pieces]
    stream = b"".join(event({"content": piece}) for piece in pieces) + b"data: [DONE]\n\n"
    reply = Reply()
    while stream:
        cut = data.draw(st.integers(1, len(stream)))
        reply.feed(stream[:cut])
        stream = stream[cut:]
    assert reply.text == "".join(pieces)
    assert not reply.calls_tools


@given(
    st.binary(max_size=80) | JSON.map(lambda body: b"data: " + json.dumps(body).encode() + b"\n")
)
def test_anything_else_in_a_stream_is_passed_over(data: bytes) -> None:
    reply = Reply()
    reply.feed(event({"content": "a"}) + data + b"\n" + event({"content": "b"}))
    assert reply.text.startswith("a")
    assert reply.text.endswith("b")


@given(JSON)
def test_any_json_is_an_answer_without_text_or_with_some(body: Any) -> None:
    reply = Reply()
    reply.read(json.dumps({"choices": body}).encode())
    reply.read(json.dumps({"choices": [{"message": body}]}).encode())
    assert isinstance(reply.text, str)


@pytest.mark.parametrize(
    ("message", "text", "calls_tools"),
    [
        ({"content": "Hello"}, "Hello", False),
        ({"content": None, "tool_calls": [{}]}, "", True),
        ({"content": "Let me see", "tool_calls": [{}]}, "Let me see", True),
        ({"content": None, "function_call": {"name": "f"}}, "", True),
        ({"content": "x", "tool_calls": None}, "x", False),
        ({"content": "x", "tool_calls": []}, "x", False),
        ({"content": [{"type": "text", "text": "x"}]}, "", False),
        ({"refusal": "no"}, "", False),
        ("Hello", "", False),
    ],
)
def test_an_answer_is_read(message: Any, text: str, calls_tools: bool) -> None:
    reply = Reply()
    reply.read(json.dumps({"choices": [{"index": 0, "message": message}]}).encode())
    assert (reply.text, reply.calls_tools) == (text, calls_tools)


def test_of_several_choices_the_first_counts() -> None:
    reply = Reply()
    reply.feed(event({"content": "a"}) + event({"content": "B"}, 1) + event({"content": "c"}))
    assert reply.text == "ac"


def test_lines_may_end_as_on_windows_and_have_no_space() -> None:
    reply = Reply()
    reply.feed(event({"content": "a"}).replace(b"\n", b"\r\n").replace(b"data: ", b"data:"))
    assert reply.text == "a"


def test_a_line_that_does_not_end_is_not_kept() -> None:
    reply = Reply()
    for _ in range(40):
        reply.feed(b"x" * 2**16)
        assert len(reply._rest) <= 2**20
    reply.feed(b"\n" + event({"content": "a"}))
    assert reply.text == "a"


def test_a_stream_that_is_broken_off_ends_in_an_event_of_its_own() -> None:
    reply = Reply()
    reply.feed(b'data: {"choices": [{"del')
    last = reply.broken_off(NetworkError("It broke off."))
    assert last.startswith(b"\n\ndata: ")
    told = json.loads(last.strip().removeprefix(b"data: "))
    assert told == {
        "error": {
            "message": "It broke off.", "type": "server_error", "code": "NET_001", "param": None,
        }
    }  # fmt: skip
    assert reply.text == ""
