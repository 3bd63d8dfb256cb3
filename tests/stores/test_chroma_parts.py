"""What Chroma is asked and given, without Chroma: filters, payloads, options."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from isomem.contract.filters import Group, compile_filters, matches
from isomem.engine_options import engine_tables
from isomem.errors import (
    InvalidConfigError,
    MemoryCorruptionError,
    VectorStoreError,
    VectorValueError,
)
from isomem.options import read_table
from isomem.stores.chroma_calls import check_location, is_cloud
from isomem.stores.chroma_filters import EVERYTHING, Asked, _leaves, asked_for
from isomem.stores.chroma_folders import Folder
from isomem.stores.chroma_payloads import LARGEST_INT, MARK, packed, unpacked
from tests.stores.chroma_stand_in import passes
from tests.stores.test_filters import OPERATORS, VALUES
from tests.unit.store import grammar
from tests.unit.store.fuzz import examples

SCALARS = (str, bool, int, float)


def compiled(filters: dict[str, Any]) -> Group:
    group = compile_filters(filters)
    assert group is not None
    return group


def stored(payload: dict[str, Any]) -> dict[str, Any]:
    """What Chroma has of a payload: None removes a key, and all other values are of its kinds."""
    metadata = {key: value for key, value in packed(payload).items() if value is not None}
    for key, value in metadata.items():
        assert key
        assert not key.startswith(("#", "$", "chroma:"))
        items = value if isinstance(value, list) else [value]
        assert len({*map(type, items)}) == 1
        assert all(type(each) in SCALARS for each in items)
        assert all(abs(each) <= LARGEST_INT for each in items if type(each) is int)
    return metadata


# --- Payloads --------------------------------------------------------------------------------


@settings(parent=examples(40), suppress_health_check=[*HealthCheck])
@given(payload=grammar.payloads)
def test_every_payload_comes_back_as_it_was(payload: dict[str, Any]) -> None:
    again = unpacked(stored(payload))
    assert json.dumps(again, sort_keys=True) == json.dumps(payload, sort_keys=True)


@settings(parent=examples(40), suppress_health_check=[*HealthCheck])
@given(old=grammar.payloads, new=grammar.payloads)
def test_a_payload_over_another_one_replaces_its_keys(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    """Chroma puts one over the other key by key, and None removes a key."""
    over = {**packed(old), **packed(new)}
    again = unpacked({key: value for key, value in over.items() if value is not None})
    assert json.dumps(again, sort_keys=True) == json.dumps({**old, **new}, sort_keys=True)


def test_what_mem0_stores_is_stored_as_it_does() -> None:
    payload = {
        "data": "Ana likes tea", "user_id": "ana", "n": 1, "f": 2.5, "yes": True,
        "linked_memory_ids": ["a", "b"], "numbers": [1, 2], "nul\0": "nul\0",
    }  # fmt: skip
    assert stored(payload) == payload


@pytest.mark.parametrize(
    "value",
    [None, {}, {"a": 1}, [], [1, "a"], [1, True], [None], [[1]], 2**63, float("nan"), float("inf")],
    ids=repr,
)
def test_what_chroma_cannot_keep_is_beside_it_as_json(value: Any) -> None:
    assert packed({"k": value}) == {
        "k": None, MARK: True, f"{MARK}:k": json.dumps(value)
    }  # fmt: skip


@pytest.mark.parametrize("key", ["", "#x", "$and", "chroma:document", MARK, f"{MARK}:k"])
def test_a_key_that_means_something_to_chroma_is_kept_beside(key: str) -> None:
    metadata = packed({key: "v"})
    assert {*metadata} == {MARK, f"{MARK}:{key}"}
    assert unpacked(metadata) == {key: "v"}


def test_a_number_of_many_digits_is_stored_for_mem0_and_exactly() -> None:
    number = 0.1 + 0.2
    metadata = packed({"k": number})
    assert metadata["k"] == number
    metadata["k"] = 0.30000000000000010  # As Chroma may read it.
    assert unpacked(metadata) == {"k": number}
    metadata["k"] = 0.31  # As mem0 may have changed it.
    assert unpacked(metadata) == {"k": 0.31}


def test_what_mem0_writes_over_a_value_counts() -> None:
    metadata = {**packed({"k": {"a": 1}}), "k": "new"}
    assert unpacked(metadata) == {"k": "new"}


@pytest.mark.parametrize("value", [5, ["ana", "bob"], {"a": 1}, True, "\ud800"], ids=repr)
@pytest.mark.parametrize("key", ["user_id", "agent_id", "run_id"])
def test_an_id_of_a_scope_is_a_text(key: str, value: Any) -> None:
    """It is what Chroma finds scopes by."""
    with pytest.raises(VectorValueError, match=key):
        packed({key: value})


def test_a_damaged_value_says_so() -> None:
    with pytest.raises(MemoryCorruptionError, match="cannot be read"):
        unpacked({MARK: True, f"{MARK}:k": "{"})


# --- Filters ---------------------------------------------------------------------------------


@settings(parent=examples(60), suppress_health_check=[*HealthCheck])
@given(payload=grammar.payloads, filters=grammar.right_filters)
def test_nothing_that_passes_is_missed_and_what_is_exact_is_exact(
    payload: dict[str, Any], filters: dict[str, Any]
) -> None:
    group = compile_filters(filters)
    asked = asked_for(group)
    wanted = group is None or matches(group, payload)
    found = passes(asked.where, stored(payload))
    assert found or not wanted
    if asked.is_exact:
        assert found == wanted


@pytest.mark.parametrize("operator", OPERATORS, ids=str)
def test_every_operator_on_every_kind_of_value(operator: Any) -> None:
    for filters in (
        {"k": operator},
        {"NOT": [{"k": operator}]},
        {"OR": [{"k": operator}, {"x": 1}]},
        {"AND": [{"k": operator}, {"user_id": "ana"}]},
    ):
        group = compile_filters(filters)
        asked = asked_for(group)
        for payload in [*({"k": value, "user_id": "ana"} for value in VALUES), {}]:
            wanted = group is None or matches(group, payload)
            found = passes(asked.where, stored(payload))
            assert found if wanted else not (found and asked.is_exact)


def test_the_ids_of_a_scope_are_asked_for_exactly() -> None:
    asked = asked_for(compiled({"user_id": "*", "run_id": ["a", "b"]}))
    where = {"$and": [{"user_id": {"$eq": "*"}}, {"run_id": {"$in": ["a", "b"]}}]}
    assert asked == Asked(where, is_exact=True)
    assert asked_for(None) == Asked(None, is_exact=True)


def test_other_values_are_looked_for_in_lists_and_beside_too() -> None:
    asked = asked_for(compiled({"k": "a", "user_id": "ana"}))
    value = {"$or": [{"k": {"$eq": "a"}}, {"k": {"$contains": "a"}}, {MARK: {"$eq": True}}]}
    assert asked == Asked({"$and": [{"user_id": {"$eq": "ana"}}, value]}, is_exact=False)


@pytest.mark.parametrize(
    "condition",
    [
        {"contains": "red"}, {"gt": "2024-01-15"}, {"gt": 1}, {"ne": "a"}, {"nin": ["a", "b"]},
        {"in": []}, 2**63, {"in": [*map(str, range(100))]},
    ],
    ids=lambda each: str(each)[:40],
)  # fmt: skip
@pytest.mark.parametrize("key", ["k", "größe", '"a.b"', "a[]", f"{MARK}"])
def test_the_rest_is_not_asked_of_it(key: str, condition: Any) -> None:
    assert asked_for(compiled({key: condition})) == EVERYTHING
    scoped = asked_for(compiled({key: condition, "user_id": "ana"}))
    assert scoped == Asked({"user_id": {"$eq": "ana"}}, is_exact=False)


def test_one_alternative_that_is_not_asked_leaves_out_all() -> None:
    one = {"user_id": "ana"}
    assert asked_for(compiled({"OR": [one, {"b": {"contains": "x"}}]})) == EVERYTHING
    assert asked_for(compiled({"OR": [one, {"user_id": "bob"}]})).is_exact
    assert not asked_for(compiled({**one, "NOT": [{"user_id": "ana"}]})).is_exact


@pytest.mark.parametrize("count", [100, 400, 1200])
def test_of_very_many_conditions_chroma_is_asked_for_the_scope_and_for_some(count: int) -> None:
    conditions = [{f"k{number}": number} for number in range(count)]
    asked = asked_for(compiled({"AND": [*conditions, {"user_id": "ana"}]}))
    assert asked.where is not None
    assert asked.where["$and"][0] == {"user_id": {"$eq": "ana"}}
    assert not asked.is_exact
    assert _leaves(asked.where) <= 500
    users = [{"user_id": f"u{number}"} for number in range(count)]
    either = asked_for(compiled({"OR": users}))
    assert either == EVERYTHING if count > 500 else either.is_exact
    within = asked_for(compiled({"user_id": "ana", "AND": [{"OR": users}, {"OR": users[:200]}]}))
    assert _leaves(within.where) <= 500
    assert within.is_exact == (count < 400)


# --- Options ---------------------------------------------------------------------------------


def options(**given: Any) -> dict[str, Any]:
    from isomem.config import EMBEDDED_OPTIONS

    table = engine_tables({option.name: option for option in EMBEDDED_OPTIONS})["chroma"]
    return dict(read_table(given, table, "vector_store.config"))


@pytest.mark.parametrize(
    "given",
    [
        {"host": "h"},
        {"port": 1},
        {"path": ""},
        {"api_key": "k", "path": ""},
        {"api_key": "k", "tenant": "t", "host": "h", "port": 1},
        {"api_key": "k", "tenant": "t", "path": "db"},
    ],
    ids=str,
)
def test_options_that_do_not_say_where_chroma_is_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfigError, match="chroma"):
        check_location(options(**given))


@pytest.mark.parametrize(
    ("given", "cloud"),
    [
        ({}, False),
        ({"path": ":memory:"}, False),
        ({"host": "h", "port": 1}, False),
        ({"host": "h", "port": 1, "api_key": "k"}, False),
        ({"api_key": "k", "tenant": "t"}, True),
        ({"api_key": "k", "tenant": "t", "path": "/tmp/chroma"}, True),
    ],
    ids=str,
)
def test_the_other_ones_name_one_place(given: dict[str, Any], cloud: bool) -> None:
    check_location(options(**given))
    assert is_cloud(options(**given)) is cloud


@pytest.mark.parametrize(
    "wrong",
    [{"client": object()}, {"port": 0}, {"scores": "cosine"}, {"batch_size": 0}, {"on_disk": True}],
    ids=str,
)
def test_options_that_mean_nothing_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfigError):
        options(**wrong)


def test_a_folder_that_a_parent_has_open_is_refused_in_its_child(tmp_path: Path) -> None:
    held = Folder.held(str(tmp_path))
    child = os.fork()
    if child == 0:
        try:
            Folder.held(str(tmp_path))
        except VectorStoreError:
            os._exit(0)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    held.release()
    Folder.held(str(tmp_path)).release()
