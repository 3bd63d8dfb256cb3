"""The parts of REST by themselves: bodies, limits, arguments, schemas, filters, pages."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("fastapi")

from hypothesis import example, given, settings
from hypothesis import strategies as st

from isomem.contract.filters import CompiledFilters, compile_filters, matches
from isomem.serve.callers import check_batch, read_json
from isomem.serve.configuration import HIDDEN, merged, shown, without_hidden
from isomem.serve.grants import Grant
from isomem.serve.guard import request_id, with_headers
from isomem.serve.keys import Key
from isomem.serve.limits import RateLimits, check_length, limited
from isomem.serve.problems import Problem
from isomem.serve.rest.arguments import OBJECT, TEXT, WHOLE, Reader
from isomem.serve.rest.hosted import lifted, read_filters
from isomem.serve.rest.operations import Operation, Shortcut, encode, routes_of
from isomem.serve.rest.page import page
from isomem.serve.rest.schemas import components, of_result
from isomem.serve.rest.selfhosted import whole

TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | TEXTS
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def status_of(call: Callable[..., object], *args: object) -> int | None:
    """The status of the problem that a call raises; None if it raises none."""
    try:
        call(*args)
    except Problem as problem:
        return problem.status
    return None


# --- The way past the router -----------------------------------------------------------------


def test_the_way_past_the_router_leads_where_the_router_leads() -> None:
    async def answer(caller: object) -> object:
        return caller

    async def router(scope: Any, receive: Any, send: Any) -> None:
        went.append("router")

    async def endpoint(scope: Any, receive: Any, send: Any) -> None:
        went.append(scope["path"])

    paths = ("/known", "/first/{name}", "/first/known", "/later", "/{name}", "/behind")
    routes = routes_of([Operation("GET", path, answer, path, "", "", {}) for path in paths])
    went: list[str] = []
    shortcut = Shortcut(router, routes)
    assert shortcut._endpoints == {
        each.path: each.app for each in routes if each.path in ("/known", "/later")
    }
    shortcut._endpoints = dict.fromkeys(shortcut._endpoints, endpoint)
    for path in ("/known", "/first/known", "/behind", "/missing"):
        asyncio.run(shortcut({"type": "http", "path": path}, None, None))  # type: ignore[arg-type]
    asyncio.run(shortcut({"type": "lifespan"}, None, None))  # type: ignore[arg-type]
    assert went == ["/known", "router", "router", "router", "router"]


# --- Bodies ----------------------------------------------------------------------------------


@given(JSON)
def test_what_is_json_is_read_as_it_is(value: Any) -> None:
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False)):
        assert read_json(text.encode()) == value
    assert json.loads(encode(value)) == value


@given(st.binary(max_size=40))
@example(b"\xef\xbb\xbf{}")
@example(b'"\\ud800"')
@example(b'"\\ud83d\\ude00"')
@example(b"1e999")
def test_any_bytes_are_json_or_a_bad_request(data: bytes) -> None:
    assert status_of(read_json, data) in (None, 400)


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (float("nan"), None),
        (float("inf"), None),
        ({"a": [float("-inf"), 1.5]}, {"a": [None, 1.5]}),
        ({"a": ("x", {"b": float("nan")})}, {"a": ["x", {"b": None}]}),
        ("half \ud800", "half ?"),
    ],
)
def test_what_json_cannot_say_is_not_sent(value: Any, sent: Any) -> None:
    """A program may have stored it; whoever reads gets all the rest."""
    assert json.loads(encode(value), parse_constant=pytest.fail) == sent


@given(st.lists(st.binary(max_size=30), max_size=6), st.integers(0, 100))
def test_a_body_is_refused_exactly_if_it_is_too_long(parts: list[bytes], most: int) -> None:
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]

    async def read() -> bytes:
        waiting = iter(messages)

        async def receive() -> Any:
            return next(waiting)

        counted = limited(receive, most)
        return b"".join([(await counted())["body"] for _ in messages])

    if sum(map(len, parts)) > most:
        with pytest.raises(Problem) as caught:
            asyncio.run(read())
        assert caught.value.status == 413
    else:
        assert asyncio.run(read()) == b"".join(parts)


@pytest.mark.parametrize(("length", "fits"), [(0, True), (10, True), (11, False)])
def test_the_longest_length_still_fits(length: int, fits: bool) -> None:
    for check in (check_length, lambda size, most: check_batch([0] * size, most)):
        if fits:
            check(length, 10)
        else:
            with pytest.raises(Problem):
                check(length, 10)


def test_only_lists_are_counted() -> None:
    for other in ("x" * 100, {"a": 1}, None, 5):
        check_batch(other, 1)


# --- Rates -----------------------------------------------------------------------------------


@given(st.integers(1, 30), st.lists(st.floats(0, 20), max_size=60))
def test_no_key_calls_more_often_than_it_may(most: int, pauses: list[float]) -> None:
    """In any stretch of time: what it may in that time, and what has added up for a minute."""
    now = [0.0]
    limits = RateLimits(1000, lambda: now[0])
    key = Key("k", "", b"", (), (Grant({}),), rate_per_minute=most)
    passed: list[float] = []
    for pause in pauses:
        now[0] += pause
        if status_of(limits.take, key) is None:
            passed.append(now[0])
    for index, start in enumerate(passed):
        for count, end in enumerate(passed[index:], 1):
            assert count <= most + (end - start) * most / 60 + 1e-6


@given(st.integers(1, 600))
def test_who_waits_as_long_as_told_may_call(most: int) -> None:
    now = [0.0]
    limits = RateLimits(most, lambda: now[0])
    key = Key("k", "", b"", (), (Grant({}),))
    for _ in range(most):
        limits.take(key)
    with pytest.raises(Problem) as caught:
        limits.take(key)
    now[0] += int(caught.value.headers["Retry-After"])
    limits.take(key)


# --- Headers ---------------------------------------------------------------------------------


@given(st.binary(max_size=80))
def test_a_request_id_is_always_one_that_can_be_logged(given_id: bytes) -> None:
    made = request_id(given_id)
    assert 0 < len(made) <= 64
    assert set(made) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:-")
    assert made.encode() == given_id or len(made) == 32


def test_a_header_of_the_answer_takes_precedence() -> None:
    headers = with_headers([(b"cache-control", b"max-age=60")], "id")
    assert [value for name, value in headers if name == b"cache-control"] == [b"max-age=60"]
    assert (b"x-content-type-options", b"nosniff") in headers
    assert headers[-1] == (b"x-request-id", b"id")


# --- Arguments of other dialects -------------------------------------------------------------

READER = Reader(
    {"text": TEXT, "number": WHOLE, "switch": {"type": "boolean"}, "part": {"type": "number"},
     "object": OBJECT, "both": {"anyOf": [{"type": "string"}, {"anyOf": [{"type": "number"}]}]}},
    nullable=("text",),
)  # fmt: skip


@pytest.mark.parametrize(
    ("given_value", "read"),
    [
        ({}, {}),
        ({"unknown": 1}, {}),
        ({"text": "a"}, {"text": "a"}),
        ({"text": None}, {"text": None}),
        ({"number": None}, {}),
        ({"number": "5"}, {"number": 5}),
        ({"number": 5.0}, {"number": 5}),
        ({"number": True}, {"number": 1}),
        ({"switch": "yes"}, {"switch": True}),
        ({"switch": 0}, {"switch": False}),
        ({"part": "0.5"}, {"part": 0.5}),
        ({"both": 5}, {"both": 5.0}),
        ({"both": "5"}, {"both": "5"}),
        ({"object": {"a": [1]}}, {"object": {"a": [1]}}),
    ],
)
def test_arguments_are_read_as_mem0s_server_reads_them(
    given_value: dict[str, Any], read: dict[str, Any]
) -> None:
    found = READER.read(given_value)
    assert found == read
    assert {name: type(value) for name, value in found.items()} == {
        name: type(value) for name, value in read.items()
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"text": 5}, {"text": ["a"]}, {"number": "x"}, {"number": 5.5}, {"number": []},
        {"switch": 2}, {"switch": "perhaps"}, {"part": "x"}, {"object": []}, {"object": "{}"},
        {"both": {}}, [], None, "text", 5,
    ],
)  # fmt: skip
def test_other_arguments_are_refused(wrong: Any) -> None:
    with pytest.raises(Problem) as caught:
        READER.read(wrong)
    assert caught.value.status == 400
    assert caught.value.code == "VALIDATION_008"


@given(JSON)
def test_whatever_is_sent_is_read_or_refused(value: Any) -> None:
    assert status_of(READER.read, value) in (None, 400)


def test_what_is_required_is_named() -> None:
    reader = Reader({"query": TEXT}, required=("query",))
    with pytest.raises(Problem, match="query: Field required"):
        reader.read({})
    assert reader.body["required"] == ["query"]


# --- Schemas ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "good", "bad"),
    [
        ("int", 5, "5"),
        ("str", "a", 5),
        ("None", None, 0),
        ("Done", {"message": "a"}, {}),
        ("Done", {"message": "a"}, {"message": 5}),
        ("Done", {"message": "a"}, {"message": "a", "other": 1}),
        ("list[Scope]", [{"memories": 1, "first": None, "last": "x"}], [{"memories": 1}]),
        ("AddResults", {"results": []}, {"results": None}),
        ("MemoryList | MemoryPage", {"results": [], "next_cursor": None, "total": 0}, {}),
        ("GotMemory | None", None, {"id": "1"}),
    ],
)
def test_the_schema_of_a_result_admits_it_and_nothing_else(
    result: str, good: Any, bad: Any
) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = {**of_result(result), "components": {"schemas": components()}}
    jsonschema.validate(good, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(bad, schema)


# --- Filters of the hosted dialect -----------------------------------------------------------

_VALUES = st.sampled_from(["a", "b", "c"])
_CONDITIONS = st.dictionaries(st.sampled_from(["user_id", "agent_id", "topic", "kind"]), _VALUES)
_FILTERS = st.builds(
    lambda top, members: {**top, "AND": members} if members else top,
    _CONDITIONS, st.lists(_CONDITIONS.filter(bool), max_size=3),
)  # fmt: skip


@given(_FILTERS, _CONDITIONS)
def test_lifting_ids_does_not_change_what_passes(
    filters: dict[str, Any], payload: dict[str, str]
) -> None:
    def passes(some: dict[str, Any]) -> bool:
        group = compile_filters(CompiledFilters(some))
        return group is None or matches(group, payload)

    assert passes(lifted(filters)) == passes(filters)


@given(_FILTERS)
def test_an_id_that_all_conditions_name_is_at_the_top_level_afterwards(
    filters: dict[str, Any],
) -> None:
    named = {key for member in filters.get("AND", ()) for key in member} | set(filters)
    found = lifted(filters)
    for key in ("user_id", "agent_id"):
        assert (key in found) == (key in named)
    assert lifted(found) == found


@given(st.dictionaries(TEXTS, TEXTS | st.integers() | st.booleans() | st.none(), max_size=3))
def test_filters_are_read_however_a_client_writes_them(filters: dict[str, Any]) -> None:
    assert read_filters(json.dumps(filters)) == filters
    assert read_filters(repr(filters)) == filters


# --- The configuration -----------------------------------------------------------------------


@given(st.dictionaries(TEXTS, JSON, max_size=3), st.dictionaries(TEXTS, JSON, max_size=3))
def test_merging_adds_and_replaces_and_changes_neither(base: Any, changed: Any) -> None:
    before = json.dumps([base, changed])
    result = merged(base, changed)
    assert merged(result, changed) == result
    assert merged(base, {}) == base
    assert base.keys() | changed.keys() == result.keys()
    for key, value in changed.items():
        if not isinstance(value, dict):
            assert result[key] == value
    assert json.dumps([base, changed]) == before


@given(
    st.sampled_from(["api_key", "password", "auth_token", "client_secret", "Authorization"]),
    st.lists(st.sampled_from(["llm", "config", "x"]), max_size=3),
    st.booleans(),
)
def test_a_secret_is_hidden_however_deep_it_is(name: str, path: list[str], in_list: bool) -> None:
    value: Any = {name: "sk-very-secret"}
    for key in path:
        value = {key: [value] if in_list else value}
    assert "sk-very-secret" not in json.dumps(shown(value))
    assert HIDDEN in json.dumps(shown(value))


@given(st.dictionaries(TEXTS, JSON, max_size=3))
def test_what_is_shown_can_be_sent_back_without_a_change(config: dict[str, Any]) -> None:
    sent_back = without_hidden(shown(config))
    assert shown(merged(config, sent_back)) == shown(config)


# --- Pages -----------------------------------------------------------------------------------


@given(TEXTS, TEXTS)
@settings(max_examples=30)
def test_the_page_shows_texts_as_texts(title: str, summary: str) -> None:
    marked = f"<script>{summary}</script>"
    operation = {"summary": marked, "tags": [marked], "description": marked}
    document = {
        "info": {"title": f"<b>{title}", "version": "0", "description": marked},
        "paths": {"/<i>": {"get": operation}},
    }
    made = page(document)
    assert "<script" not in made
    assert "<i>" not in made
    assert "<b>" not in made


def test_a_memory_of_anybody_is_shown_whole() -> None:
    item = {"id": "1", "memory": "a", "hash": "h", "user_id": "ana", "role": "user",
            "metadata": {"topic": "x"}, "created_at": "t", "updated_at": "t"}  # fmt: skip
    assert whole(item) == {
        "id": "1", "memory": "a", "hash": "h", "user_id": "ana", "agent_id": None, "run_id": None,
        "metadata": {"topic": "x", "role": "user"}, "created_at": "t", "updated_at": "t",
    }  # fmt: skip
