"""What comes in is checked once, with bounds, and wrong values are clear errors."""

from __future__ import annotations

from decimal import Decimal
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest

from isomem.contract.arguments import (
    MAX_DEPTH,
    MAX_RESULTS,
    MAX_VALUES,
    check_filters,
    check_history_id,
    check_memory_id,
    check_metadata,
    check_query,
    check_removal_ids,
    check_threshold,
    check_top_k,
    refuse_wildcard_ids,
    size_fault,
)
from isomem.errors import ValidationError

U = {"user_id": "u"}
HUGE = 10**5000


def nested(levels: int, wrap: Any = lambda inner: [inner]) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = wrap(value)
    return value


WRAPS = [
    lambda inner: [inner],
    lambda inner: (inner,),
    lambda inner: {"a": inner},
    lambda inner: [1, {"a": "b"}, inner],
]


@pytest.mark.parametrize("wrap", WRAPS)
def test_a_value_may_have_as_many_levels_as_the_limit_says(wrap: Any) -> None:
    assert (
        size_fault({"k": nested((MAX_DEPTH - 1) // (2 if wrap is WRAPS[3] else 1), wrap)}) is None
    )
    for levels in (MAX_DEPTH, 5_000):
        assert size_fault({"k": nested(levels, wrap)}) == "nested more than 100 levels deep"


def test_a_value_that_holds_itself_has_too_many_levels() -> None:
    knot: dict[str, Any] = {}
    knot["knot"] = knot
    assert size_fault(knot) == "nested more than 100 levels deep"


def test_shared_parts_count_each_time_so_that_small_values_cannot_stand_for_large_ones() -> None:
    value = nested(90, lambda inner: [inner, inner, inner])
    assert size_fault(value) == f"more than {MAX_VALUES:,} values"
    assert size_fault(list(range(MAX_VALUES + 1))) == f"more than {MAX_VALUES:,} values"
    assert size_fault(list(range(MAX_VALUES))) is None


def test_metadata_within_the_limits_is_given_back() -> None:
    metadata = {"a": [1], "b": None}
    assert check_metadata(metadata) is metadata
    assert check_metadata(None) == {}
    assert check_metadata(MappingProxyType({"a": 1})) == {"a": 1}


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ("text", "metadata must be a dict, got str"),
        ([("a", 1)], "metadata must be a dict, got list"),
        ({"k": nested(MAX_DEPTH)}, "metadata cannot be stored: nested more than 100 levels deep"),
    ],
)
def test_metadata_beyond_them_is_refused(metadata: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=f"^{message}") as caught:
        check_metadata(metadata)
    assert caught.value.error_code == "VALIDATION_005"


@pytest.mark.parametrize("group", ["AND", "OR", "NOT", "$and", "$or", "$not"])
def test_filters_have_the_same_limits(group: str) -> None:
    def wrap(inner: Any) -> Any:
        return {group: [inner]}

    check_filters({**U, **nested(MAX_DEPTH // 2 - 1, lambda inner: wrap(inner or {"n": 1}))})
    for levels in (MAX_DEPTH // 2 + 1, 330, 5_000):
        with pytest.raises(ValueError, match=r"^filters cannot be used: nested more than 100"):
            check_filters({**U, **nested(levels, wrap)})
    with pytest.raises(ValueError, match=r"^filters cannot be used: nested"):
        check_filters({**U, "n": {"gt": nested(5_000)}})


def test_filters_have_strings_as_keys_at_every_level() -> None:
    for wrong in ({5: 1}, {"OR": [{None: 1}]}, {"AND": [{"NOT": [{("a",): 1}]}]}):
        with pytest.raises(ValueError, match=r"^filters must have strings as keys, got "):
            check_filters({**U, **wrong})


def test_filters_are_copied_where_they_are_changed() -> None:
    filters = {"user_id": " u ", "OR": [{"agent_id": " a "}, {"n": 1}], "n": {"gt": 1}}
    checked = check_filters(filters)
    assert checked == {"user_id": "u", "OR": [{"agent_id": "a"}, {"n": 1}], "n": {"gt": 1}}
    assert filters == {"user_id": " u ", "OR": [{"agent_id": " a "}, {"n": 1}], "n": {"gt": 1}}


def test_a_group_that_is_no_list_of_dicts_is_left_to_the_reader_of_filters() -> None:
    filters = {**U, "OR": "x", "AND": ["x", {"n": 1}]}
    assert check_filters(filters) == filters


def test_ids_to_delete_by_are_checked_as_those_to_add_under() -> None:
    assert check_removal_ids({"user_id": " u ", "run_id": None}) == {"user_id": "u"}
    for nothing in ({}, {"user_id": None}, {"user_id": ""}, {"user_id": []}, {"user_id": {}}):
        with pytest.raises(ValueError, match=r"^At least one filter is required"):
            check_removal_ids(nothing)
    with pytest.raises(ValueError, match=r"^Invalid agent_id: cannot be empty"):
        check_removal_ids({"user_id": "u", "agent_id": ""})


def test_a_star_is_refused_for_stores_that_are_not_ours_at_every_level() -> None:
    refuse_wildcard_ids({**U, "n": "*", "OR": [{"n": "*"}, "x"], "AND": "*"})
    for wrong in ({"user_id": "*"}, {**U, "OR": [{"AND": [{"run_id": "*"}]}]}):
        with pytest.raises(ValueError, match=r"^Invalid (user|run)_id: '\*' means every"):
            refuse_wildcard_ids(wrong)


def test_a_larger_number_of_results_than_any_store_has_means_all() -> None:
    assert [check_top_k(k) for k in (0, 5, 10**19, HUGE)] == [0, 5, MAX_RESULTS, MAX_RESULTS]
    with pytest.raises(ValueError, match=r"^Invalid top_k: a very large int"):
        check_top_k(-HUGE)


@pytest.mark.parametrize(
    "threshold", [10**400, -(10**400), HUGE, -HUGE, 1.0000001, -1], ids=lambda _: ""
)
def test_a_threshold_is_in_its_range_however_large(threshold: Any) -> None:
    with pytest.raises(ValueError, match=r"^Invalid threshold: .*Must be between 0 and 1"):
        check_threshold(threshold)


@pytest.mark.parametrize("threshold", [Decimal("0.5"), "0.5", float("nan"), [0.5], 1j])
def test_a_threshold_is_a_number(threshold: Any) -> None:
    with pytest.raises(ValueError, match=r"^threshold must be a valid number"):
        check_threshold(threshold)


@pytest.mark.parametrize("wrong", [None, 5, "", " \n", nested(5_000), b"x"], ids=lambda _: "")
def test_a_query_is_text(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"^Invalid query: .* Must be a string"):
        check_query(wrong)


def test_what_has_the_text_of_an_id_is_one() -> None:
    uuid = "00000000-0000-4000-8000-000000000001"
    assert check_memory_id(UUID(uuid)) == check_memory_id(uuid) == uuid
    for wrong in (None, True, 1.5, b"x", [1], ("a",), {}, nested(5_000), HUGE):
        with pytest.raises(ValueError, match=r"^Invalid memory_id: .* Must be a string"):
            check_memory_id(wrong)
    with pytest.raises(ValueError, match=r"^Invalid memory_id: is not valid Unicode"):
        check_memory_id("\ud800")


def test_what_has_no_history_is_no_error_as_in_mem0() -> None:
    assert check_history_id(None) is None
    assert check_history_id("x") == "x"
    with pytest.raises(ValueError, match=r"^Invalid memory_id"):
        check_history_id([1])
