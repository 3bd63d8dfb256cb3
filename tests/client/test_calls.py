"""A client has the calls of a memory: signatures, results, errors."""

from __future__ import annotations

import inspect
import uuid
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest

import isomem
from isomem import AsyncClient, AsyncMemory, Client, Memory
from isomem.client.calls import READING
from isomem.serve.calls import CALLS
from tests.client.conftest import Both, outcome
from tests.typed import usage

LISBON = timezone(timedelta(hours=1))
ANA = {"user_id": "ana"}
NOBODY = "4be2d6a4-0000-4000-8000-000000000000"


@pytest.mark.parametrize("name", [*CALLS, "iter_all", "chat"])
@pytest.mark.parametrize(
    ("client", "memory"), [(Client, Memory), (AsyncClient, AsyncMemory)], ids=["sync", "async"]
)
def test_a_call_has_the_signature_and_the_documentation_of_a_memorys(
    client: type, memory: type, name: str
) -> None:
    own, direct = getattr(client, name), getattr(memory, name)
    assert inspect.signature(own) == inspect.signature(direct)
    assert inspect.iscoroutinefunction(own) == inspect.iscoroutinefunction(direct)
    assert own.__doc__ == direct.__doc__
    assert own.__name__ == name


def test_what_only_reads_is_what_the_service_says_only_reads() -> None:
    assert {name for name, call in CALLS.items() if call.right == "read"} == READING


def test_a_conversation_is_remembered_and_found_alike(both: Both) -> None:
    both.say(("Ana moved to Lisbon", "Ana likes tea"), ("Ana found a flat",))
    steps: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
        ("add", ([{"role": "user", "content": "I am Ana"}],), {**ANA, "metadata": {"n": 1}}),
        ("remember", ("I found a flat", "Good!"), {**ANA, "timestamp": 1717236000}),
        ("add", ("Bob is here",), {"user_id": "bob", "infer": False}),
        ("search", ("Lisbon",), {"filters": ANA, "explain": True}),
        ("search", ("tea",), {"filters": {**ANA, "n": {"gte": 1}}, "top_k": 1, "threshold": 0}),
        ("context", ("Where is Ana?",), {"filters": ANA, "threshold": 0}),
        ("context", ("Ana",), {"filters": ANA, "threshold": 0, "count_tokens": len}),
        (
            "context",
            ("Ana",),
            {"filters": ANA, "threshold": 0, "count_tokens": len, "max_tokens": 40},
        ),
        ("get_all", (), {"filters": ANA}),
        ("get_all", (), {"filters": ANA, "page_size": 2}),
        ("iter_all", (ANA,), {"page_size": 1}),
        ("iter_all", (ANA,), {"order": "newest"}),
        ("count", (ANA,), {}),
        ("scopes", (), {}),
        ("scopes", ("ana",), {}),
        ("sweep", (), {}),
        ("compact", (), {}),
        ("delete_all", (), {"user_id": "ana", "purge_history": True}),
        ("purge", ("bob",), {}),
        ("reset", (), {}),
        ("scopes", (), {}),
    ]
    for name, args, kwargs in steps:
        assert_alike(both, name, *args, **kwargs)


def test_one_memory_is_changed_alike(both: Both) -> None:
    [added] = both.direct.add("I like tea", **ANA, infer=False)["results"]
    assert both.client.add("I like tea", **ANA, infer=False)["results"] == [added]
    one = added["id"]
    as_uuid = uuid.UUID(one)
    for name, args, kwargs in [
        ("get", (one,), {}),
        ("get", (as_uuid,), {}),
        ("get", (NOBODY,), {}),
        ("update", (one, "I like coffee"), {}),
        ("update", (one,), {"text": "I like coffee", "metadata": {"seen": datetime(2025, 1, 2)}}),
        ("update", (one,), {"expiration_date": date(2024, 1, 1)}),
        ("update", (one,), {"expiration_date": None}),
        ("update", (one,), {"expiration_date": datetime(2030, 1, 1, 12)}),
        ("get", (one,), {}),
        ("history", (one,), {}),
        ("history", (None,), {}),
        ("history", (1.5,), {}),
        ("restore", (one,), {}),
        ("delete", (one,), {}),
        ("delete", (one,), {}),
        ("update", (one, "again"), {}),
        ("history", (one,), {}),
    ]:
        assert_alike(both, name, *args, **kwargs)


WRONG: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("add", ("x",), {}),
    ("add", ("x",), {"user_id": "a b"}),
    ("add", ("x",), {"user_id": 7}),
    ("add", ("x",), {"user_id": uuid.UUID(NOBODY)}),
    ("add", ("x",), {"user_id": ["ana"]}),
    ("add", (("x",),), ANA),
    ("add", (5,), ANA),
    ("add", ([{"content": "x"}],), ANA),
    ("add", ([{"role": "user", "content": b"x"}],), {**ANA, "infer": False}),
    ("add", ("\ud800",), {**ANA, "infer": False}),
    ("add", ([{"role": "user", "content": "\ud800"}],), ANA),
    ("add", ("x",), {"user_id": "\ud800"}),
    ("add", ("x",), {**ANA, "memory_type": "other"}),
    ("add", ("x",), {**ANA, "metadata": [1]}),
    ("add", ("x",), {**ANA, "metadata": {"f": len}, "infer": False}),
    ("add", ("x",), {**ANA, "metadata": {"isomem_expiration_date": "x"}}),
    ("add", ("x",), {**ANA, "timestamp": "yesterday"}),
    ("add", ("x",), {**ANA, "timestamp": float("nan")}),
    ("add", ("x",), {**ANA, "timestamp": object}),
    ("add", ("x",), {**ANA, "expiration_date": 5}),
    ("add", ("x",), {**ANA, "supersede": "sometimes"}),
    ("add", (), ANA),
    ("add", ("x",), {**ANA, "colour": 1}),
    ("remember", (5,), ANA),
    ("remember", ("x",), {}),
    ("search", ("",), {"filters": ANA}),
    ("search", (5,), {"filters": ANA}),
    ("search", ("\ud800",), {"filters": ANA}),
    ("search", ("x",), {}),
    ("search", ("x",), {"filters": []}),
    ("search", ("x",), {"filters": ("user_id", "ana")}),
    ("search", ("x",), {"user_id": "ana"}),
    ("search", ("x",), {"filters": {**ANA, 1: 2}}),
    ("search", ("x",), {"filters": {**ANA, "n": ("a", "b")}}),
    ("search", ("x",), {"filters": {**ANA, "n": {"like": 1}}}),
    ("search", ("x",), {"filters": {**ANA, "n": {"in": {1, "a"}}}}),
    ("search", ("x",), {"filters": {**ANA, "n": uuid.UUID(NOBODY)}}),
    ("search", ("x",), {"filters": {**ANA, "n": float("inf")}}),
    ("search", ("x",), {"filters": {"user_id": date(2024, 1, 1)}}),
    ("search", ("x",), {"filters": {**ANA, "AND": [{"agent_id": "a b"}]}}),
    ("search", ("x",), {"filters": ANA, "threshold": float("nan")}),
    ("search", ("x",), {"filters": ANA, "threshold": 2}),
    ("search", ("x",), {"filters": ANA, "top_k": -1}),
    ("search", ("x",), {"filters": ANA, "top_k": True}),
    ("search", ("x",), {"filters": ANA, "ranking": "best"}),
    ("context", ("x",), {"filters": ANA, "max_tokens": 0}),
    ("context", ("x",), {"filters": ANA, "max_tokens": 0, "count_tokens": len}),
    ("context", ("x",), {"filters": ANA, "count_tokens": 5}),
    ("get", (None,), {}),
    ("get", (["x"],), {}),
    ("get_all", (), {"agent_id": "x"}),
    ("get_all", (), {"filters": ANA, "order": "best"}),
    ("get_all", (), {"filters": ANA, "page_size": 0}),
    ("get_all", (), {"filters": ANA, "cursor": "none"}),
    ("get_all", (), {"filters": ANA, "page_size": 5, "top_k": 3}),
    ("iter_all", ({},), {}),
    ("iter_all", (ANA,), {"order": "best"}),
    ("iter_all", (ANA,), {"page_size": 1001}),
    ("count", (None,), {}),
    ("scopes", ("a b",), {}),
    ("update", (NOBODY,), {}),
    ("update", (NOBODY, "x"), {}),
    ("update", (NOBODY, 5), {}),
    ("update", (NOBODY, "\ud800"), {}),
    ("update", (NOBODY,), {"text": "\ud800"}),
    ("update", (NOBODY, None, [1]), {}),
    ("restore", (NOBODY,), {}),
    ("delete", (NOBODY,), {}),
    ("delete_all", (), {}),
    ("purge", (), {}),
    ("chat", ("x",), {}),
]


def test_wrong_arguments_are_the_same_errors(both: Both) -> None:
    for name, args, kwargs in WRONG:
        assert_alike(both, name, *args, **kwargs)
        assert isinstance(outcome(lambda: getattr(both.client, name)(*args, **kwargs)), tuple)  # noqa: B023


def test_what_json_lacks_means_the_same(both: Both) -> None:
    when = datetime(2024, 5, 1, 23, 30, tzinfo=LISBON)
    both.say(("Ana moved",))
    for name, args, kwargs in [
        ("add", ("a",), {**ANA, "timestamp": when}),
        ("add", ("b",), {**ANA, "infer": False, "timestamp": datetime(2024, 5, 2)}),
        ("add", ("c",), {**ANA, "infer": False, "timestamp": date(2024, 5, 3)}),
        ("add", ("d",), {**ANA, "infer": False, "expiration_date": when}),
        (
            "add",
            ("e",),
            {**ANA, "infer": False, "metadata": {"at": when, "id": uuid.UUID(NOBODY), "t": (1,)}},
        ),
        ("add", ("f",), {**ANA, "infer": False, "metadata": {"n": 1, "s": {"x"}, "b": b"y"}}),
        ("get_all", (), {"filters": ANA, "show_expired": True}),
        ("get_all", (), {"filters": {**ANA, "n": {"in": (1, 2)}}}),
        ("get_all", (), {"filters": {**ANA, "n": {"nin": frozenset({1})}}}),
        ("get_all", (), {"filters": {**ANA, "event_time": {"gte": when, "lt": date(2024, 5, 3)}}}),
        ("get_all", (), {"filters": {**ANA, "OR": [{"event_time": {"gt": datetime(2024, 5, 2)}}]}}),
    ]:
        assert_alike(both, name, *args, **kwargs)
    assert both.direct.kept.llm.calls == both.client.kept.llm.calls


@pytest.mark.parametrize("value", [float("nan"), "\ud800", float("-inf")])
def test_metadata_that_json_cannot_say_is_refused(both: Both, value: object) -> None:
    """A memory in this process would store it."""
    with pytest.raises(isomem.ValidationError) as caught:
        both.client.add("x", **ANA, metadata={"v": value}, infer=False)
    assert caught.value.code == "VALIDATION_005"
    assert both.client.count(ANA) == 0


def test_failures_of_providers_are_the_same_errors(both: Both) -> None:
    for fault in (
        isomem.RateLimitError("busy", details={"provider": "p", "status": 429}, suggestion="wait"),
        isomem.NetworkError("away", details={"provider": "p", "status": None}),
        RuntimeError("broken"),
    ):
        both.say(fault)
        assert_alike(both, "add", "x", **ANA)
    both.say("not JSON")
    assert_alike(both, "add", "x", **ANA)


def assert_alike(both: Both, name: str, *args: Any, **kwargs: Any) -> None:
    wanted = outcome(lambda: getattr(both.direct, name)(*args, **kwargs))
    found = outcome(lambda: getattr(both.client, name)(*args, **kwargs))
    if isinstance(wanted, tuple) and wanted[0] == "TypeError":
        assert found[0] == "TypeError", (name, args, kwargs)
    else:
        assert found == wanted, (name, args, kwargs)


def test_a_program_that_a_type_checker_accepts_runs(both: Both) -> None:
    client = both.client.real
    if isinstance(client, AsyncClient):
        both.client.add("I like tea", user_id="ana", infer=False)
        both.client.loop.run_until_complete(
            usage.coroutines_of_a_client_are_typed_like_a_memorys(client)
        )
    else:
        usage.a_client_is_typed_like_a_memory(client)
