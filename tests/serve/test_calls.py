"""The table of calls: it has every call of a memory, and says of each what the method says."""

from __future__ import annotations

import inspect
import json

import pytest
from jsonschema import Draft202012Validator

from isomem import AsyncMemory, Memory
from isomem.serve.calls import CALLS, EVERYTHING, FILTERS, IDS, MEMORY, REQUIRED
from isomem.types import SCOPE_KEYS, UNCHANGED

LEFT_OUT = {
    "chat": "it raises, as mem0's does",
    "close": "the service does it",
    "aclose": "likewise",
    "from_config": "it makes a memory",
    "from_file": "likewise",
    "iter_all": "it is `get_all`, page by page",
    "replacing": "it makes a memory of other parts",
    "with_config": "likewise",
    "stores": "it is not a call",
}
NOT_SENT = {"count_tokens", "kwargs", "options", "self"}

names = pytest.mark.parametrize("name", CALLS)


def test_it_has_every_public_method_of_a_memory() -> None:
    public = {name for name in dir(Memory) if not name.startswith("_")}
    assert set(CALLS) == public - set(LEFT_OUT)


@names
def test_both_memories_have_it(name: str) -> None:
    assert inspect.isfunction(getattr(Memory, name))
    assert inspect.iscoroutinefunction(getattr(AsyncMemory, name))


@names
def test_it_takes_what_the_method_takes_with_the_same_defaults(name: str) -> None:
    method = inspect.signature(getattr(Memory, name)).parameters
    call = CALLS[name].parameters
    assert set(method) - NOT_SENT <= set(call)
    for each, parameter in call.items():
        if each in method:
            assert parameter.default is method[each].default
    others = set(call) - set(method) - set(CALLS[name].more)
    assert not others or "options" in method


@names
def test_what_it_needs_is_what_has_no_default(name: str) -> None:
    needed = {each.name for each in CALLS[name].parameters.values() if each.default is REQUIRED}
    assert needed == {
        "add": {"messages"}, "remember": {"said"}, "search": {"query"},
        "context": {"query", "filters"}, "count": {"filters"}, "get": {"memory_id"},
        "history": {"memory_id"}, "update": {"memory_id"}, "restore": {"memory_id"},
        "delete": {"memory_id"},
    }.get(name, set())  # fmt: skip


@names
def test_each_schema_is_one_and_takes_the_default(name: str) -> None:
    for each in CALLS[name].parameters.values():
        Draft202012Validator.check_schema(each.schema)
        json.dumps(each.schema)
        if each.default is not REQUIRED and each.default is not UNCHANGED:
            Draft202012Validator(each.schema).validate(each.default)


@pytest.mark.parametrize(
    ("name", "argument", "good", "bad"),
    [
        ("search", "top_k", [0, 7], [-1, 1.5, "7", None]),
        ("search", "threshold", [None, 0, 0.5, 1], [-0.1, 1.1, "0"]),
        ("search", "ranking", [None, "fused", "contract"], ["other", 1]),
        ("search", "filters", [None, {}, {"user_id": "ana"}], ["ana", []]),
        ("search", "explain", [True, False], [1, "yes", None]),
        ("get_all", "order", [None, "id", "oldest", "newest"], ["random"]),
        ("get_all", "page_size", [None, 1, 1000], [0, 1001]),
        ("add", "messages",
         ["text", {"role": "user"}, [{"role": "user", "content": "x"}], [{"role": "user"}],
          [{"role": "assistant", "content": None, "tool_calls": [{}]}]],
         [7, None, ["x"], [{"content": "x"}], [{"role": None, "content": "x"}]]),
        ("add", "timestamp", [None, "2026-05-07", 1.5, 0], [True, {}]),
        ("add", "expiration_date", [None, "2026-05-07"], [7]),
        ("add", "supersede", [None, "off", "similar", "model"], ["yes"]),
        ("update", "expiration_date", [None, "2026-05-07"], [{}]),
        ("get", "memory_id", ["x"], [None, 7]),
    ],
)  # fmt: skip
def test_a_schema_says_what_an_argument_may_be(
    name: str, argument: str, good: list[object], bad: list[object]
) -> None:
    schema = Draft202012Validator(CALLS[name].parameters[argument].schema)
    assert [value for value in good if not schema.is_valid(value)] == []
    assert [value for value in bad if schema.is_valid(value)] == []


@names
def test_it_says_what_it_does(name: str) -> None:
    call = CALLS[name]
    assert call.summary.endswith(".")
    assert call.doc.startswith(call.summary)


def test_arguments_are_explained_where_another_call_explains_them() -> None:
    filters = CALLS["search"].parameters["filters"].doc
    assert "user_id" in filters
    assert CALLS["count"].parameters["filters"].doc == filters
    assert CALLS["get_all"].parameters["show_expired"].doc


@names
def test_what_keeps_it_in_a_scope_is_among_its_arguments(name: str) -> None:
    call = CALLS[name]
    expected = {
        IDS: set(SCOPE_KEYS), FILTERS: {"filters"}, MEMORY: {"memory_id"}, EVERYTHING: set(),
    }[call.kept_by]  # fmt: skip
    assert expected <= set(call.parameters)
    scoped = {*SCOPE_KEYS, "filters", "memory_id"} & set(call.parameters)
    assert scoped == expected


@names
def test_what_only_reads_changes_nothing_and_destroys_nothing(name: str) -> None:
    call = CALLS[name]
    reads = {"search", "context", "get", "get_all", "count", "scopes", "history"}
    assert (call.right == "read") == (name in reads)
    assert not (call.right == "read" and (call.destroys or not call.is_repeatable))
    assert call.is_repeatable == (name not in {"add", "remember"})
