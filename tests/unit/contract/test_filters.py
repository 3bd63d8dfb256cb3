"""What a filter means, on its own: the comparison with upstream is in test_filters_oracle."""

from __future__ import annotations

import copy
import enum
import json
import pickle
from datetime import timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomem.contract.filters import (
    CompiledFilters,
    Condition,
    compile_filters,
    matches,
    parse_datetime,
    parse_path,
    select,
    translate,
)
from tests.unit.store import grammar
from tests.unit.store.fuzz import examples


def passes(filters: Any, payload: Any) -> bool:
    group = compile_filters(filters)
    return group is None or matches(group, payload)


PAYLOAD = {
    "n": 5, "f": 2.5, "b": True, "s": "Red Apple", "none": None, "tags": ["a", "b", 7],
    "o": {"x": 1, "deep": [{"y": 1}, {"y": 2}]}, "when": "2024-01-15T12:00:00+02:00",
    "dotted.key": "yes",
}  # fmt: skip


@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"n": 5},
        {"n": [4, 5]},
        {"n": "*"},
        {"missing": "*"},
        {"tags": "b"},
        {"tags": 7},
        {"o.x": 1},
        {"o.deep[].y": 2},
        {"o.deep[1].y": 2},
        {'"dotted.key"': "yes"},
        {"n": {"gt": 4, "lte": 5}},
        {"n": {"eq": 5}},
        {"n": {"ne": 6}},
        {"n": {"in": [5]}},
        {"n": {"nin": [6]}},
        {"f": {"gte": "2.5"}},
        {"f": {"gt": None}},
        {"s": {"contains": "apple red"}},
        {"s": {"icontains": "RED"}},
        {"when": {"gte": "2024-01-15T10:00:00Z", "lt": "2024-01-15T10:00:01"}},
        {"AND": [{"n": 5}, {"b": True}]},
        {"OR": [{"n": 6}, {"b": True}]},
        {"NOT": [{"n": 6}, {"b": False}]},
        {"$or": [{"n": 5}], "OR": [{"n": 6}]},
        {"OR": []},
        {"OR": [{}, {"n": "*"}]},
        {"NOT": [{"missing": {"ne": 1}}]},
    ],
)
def test_a_filter_lets_pass_what_it_describes(filters: Any) -> None:
    assert passes(filters, PAYLOAD)


@pytest.mark.parametrize(
    "filters",
    [
        {"n": 6},
        {"n": []},
        {"f": 2},
        {"b": 1},
        {"n": True},
        {"s": "red apple"},
        {"none": "None"},
        {"missing": {"ne": 1}},
        {"missing": {"nin": [1]}},
        {"none": {"ne": 1}},
        {"o": {"eq": "x"}},
        {"o[0]": 1},
        {"tags[]": "c"},
        {"tags[9]": "a"},
        {"b": {"gt": 0}},
        {"s": {"gt": 0}},
        {"s": {"contains": "app"}},
        {"s": {"contains": "..."}},
        {"n": {"contains": "5"}},
        {"when": {"gt": "2024-01-15T10:00:00Z"}},
        {"s": {"gt": "2024-01-15"}},
        {"AND": [{"n": 5}, {"b": False}]},
        {"OR": [{"n": 6}, {"b": False}]},
        {"NOT": [{"n": 6}, {"b": True}]},
    ],
)
def test_a_filter_keeps_out_everything_else(filters: Any) -> None:
    assert not passes(filters, PAYLOAD)


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"a": {"near": 1}}, "Unsupported filter operator"),
        ({"a": {}}, "Unsupported filter operator"),
        ({"a": {"gt": 1, "ne": 2}}, "Cannot mix range operators"),
        ({"a": {"gt": "soon"}}, "Invalid value in range filter"),
        ({"a": {"gt": "1²"}}, "Invalid value in range filter"),
        ({"a": {"gt": "٣"}}, "Invalid value in range filter"),
        ({"a": {"gt": 10**400}}, "Invalid value in range filter"),
        ({"a": {"gt": "2024-02-30"}}, "Invalid datetime value"),
        ({"a": {"gt": "٢٠٢٤-02-20"}}, "Invalid datetime value"),
        ({"a": 1.5}, "string, an integer or a boolean"),
        ({"a": None}, "string, an integer or a boolean"),
        ({"a": {"in": "text"}}, "only strings or only integers"),
        ({"a": {"in": [1, "a"]}}, "only strings or only integers"),
        ({"a": [True]}, "only strings or only integers"),
        ({"a": {"contains": 5}}, "is not a string"),
        ({"OR": {"a": 1}}, "OR filter value must be a list"),
        ({"AND": [1]}, "AND filter list item at index 0 must be a dict"),
        ({"": 1}, "Invalid path"),
        ({"a..b": 1}, "Invalid path"),
        ({"a.": 1}, "Invalid path"),
        ({"a b": 1}, "Invalid path"),
        ({"a[x]": 1}, "Invalid path"),
        ({f"a[{2**64}]": 1}, "Invalid path"),
        ({"a[" + "1" * 5000 + "]": 1}, "Invalid path"),
    ],
)
def test_a_mistake_is_named(filters: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compile_filters(filters)


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"a": {"near": 1, "gt": 1}}, "Unsupported metadata filter operator: near"),
        ({"AND": {"a": 1}}, "AND operator requires a list of conditions"),
        ({"OR": []}, "OR operator requires a non-empty list of conditions"),
        ({"NOT": []}, "NOT operator requires a non-empty list of conditions"),
        ({"NOT": "x"}, "NOT operator requires a non-empty list of conditions"),
        ({"OR": [{"a": 1}, 5]}, "OR filter list item at index 1 must be a dict, got int: 5"),
    ],
)
def test_a_mistake_in_a_search_is_named_before_the_store_sees_it(
    filters: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        translate(filters)


def test_and_is_merged_into_the_top_level_and_the_others_are_renamed() -> None:
    given_filters = {
        "user_id": "u", "a": {"gt": 1}, "x": 1,
        "AND": [{"a": {"lt": 9}}, {"x": 2}, {"y": "*"}], "OR": [{"b": 1}],
        "NOT": [{"c": {"eq": 1}}],
    }  # fmt: skip
    assert translate(given_filters) == {
        "user_id": "u", "a": {"gt": 1, "lt": 9}, "x": 2, "y": "*",
        "$or": [{"b": 1}], "$not": [{"c": {"eq": 1}}],
    }  # fmt: skip


def test_a_condition_without_an_operator_in_it_is_none() -> None:
    assert translate({"user_id": "u", "a": {}, "b": {"gt": 1}}) == {"user_id": "u", "b": {"gt": 1}}
    assert translate({"user_id": "u", "a": 1, "AND": [{"a": {}}]}) == {"user_id": "u", "a": 1}
    assert translate({"user_id": "u", "OR": [{"a": {}}]}) == {"user_id": "u", "$or": [{}]}
    # Without anything to translate it is the store's to refuse.
    assert translate({"user_id": "u", "a": {}}) == {"user_id": "u", "a": {}}


def test_filters_without_operators_pass_as_they_are() -> None:
    plain = {"user_id": "u", "a": 1, "b": [1, 2], "c": {"near": 1}}
    assert translate(plain) is plain


class Text(str, enum.Enum):
    KEY = "k"
    RED = "red"


class Number(enum.IntEnum):
    ONE = 1


@pytest.mark.parametrize("condition", [
    Text.RED, Number.ONE, [Text.RED], [Number.ONE], {"eq": Text.RED}, {"ne": Number.ONE},
    {"in": [Text.RED, "a"]}, {"nin": [Number.ONE, 2]},
])  # fmt: skip
def test_a_condition_names_no_member_of_an_enum(condition: Any) -> None:
    """What it is compared with goes into the statements of stores, which spell it by themselves."""
    group = compile_filters({Text.KEY: condition})
    assert group is not None
    [compiled] = group.conditions
    assert isinstance(compiled, Condition)
    assert {type(compiled.key), *map(type, compiled.path)} == {str}
    assert {type(each) for each in compiled.operand} <= {str, int}


@examples(150)
@given(grammar.right_filters, grammar.payloads)
def test_not_is_the_opposite(filters: Any, payload: Any) -> None:
    if compile_filters(filters) is not None:
        assert passes({"NOT": [filters]}, payload) != passes(filters, payload)


@examples(150)
@given(grammar.right_filters, grammar.right_filters, grammar.payloads)
def test_and_takes_both_and_or_takes_either(one: Any, other: Any, payload: Any) -> None:
    verdicts = passes(one, payload), passes(other, payload)
    assert passes({"AND": [one, other]}, payload) == all(verdicts)
    if compile_filters(one) and compile_filters(other):
        assert passes({"OR": [one, other]}, payload) == any(verdicts)


@examples(150)
@given(grammar.paths, grammar.payloads)
def test_what_a_path_selects_is_in_the_payload(path: str, payload: Any) -> None:
    def inside(value: Any) -> Any:
        yield value
        for item in value.values() if isinstance(value, dict) else value:
            yield from inside(item) if isinstance(item, (dict, list)) else [item]

    everything = list(map(repr, inside(payload)))
    assert all(repr(value) in everything for value in select(payload, parse_path(path)))


_zones = st.builds(
    timezone, st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).map(
        lambda offset: timedelta(seconds=int(offset.total_seconds()))
    )
)  # fmt: skip


@examples(150)
@given(st.datetimes(timezones=st.none() | _zones))
def test_a_date_that_python_writes_is_read_back(moment: Any) -> None:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    read = parse_datetime(moment.isoformat())
    assert read == aware
    assert read.utcoffset() == aware.utcoffset()


@pytest.mark.parametrize(
    "text",
    [
        "", "2024", "2024-13-01", "2024-02-30", "2024-01-15T24:00", "2024-01-15T10",
        "2024-01-15T10:30Z", "2024-01-15T10:30:00+25:00", "2024-01-15T10:30:00 X", "x2024-01-15",
        "2024-01-15 ", "2024-01-15T10:30:60", "0000-01-01", "2024-01-15T10:30:00.+00:00",
        "2024-01-15T10:30:00+0530:15",
    ],
)  # fmt: skip
def test_a_text_that_is_no_date_is_none(text: str) -> None:
    assert parse_datetime(text) is None


@pytest.mark.parametrize("zone", ["Z", " UTC", "  UTC", "\t UTC", "+00:00", "  +00"])
def test_white_space_may_stand_before_a_zone(zone: str) -> None:
    read = parse_datetime(f"2024-01-15T10:30:00.5{zone}")
    assert read
    assert read.isoformat() == "2024-01-15T10:30:00.500000+00:00"


# --- Compiled once ---------------------------------------------------------------------------


def test_filters_of_a_call_are_compiled_once() -> None:
    filters = CompiledFilters({"user_id": "u", "OR": [{"a": 1}, {"b": {"gt": 2}}]})
    group = compile_filters(filters)
    assert group is not None
    assert compile_filters(filters) is group
    plain = compile_filters(dict(filters))
    assert plain is not None
    assert [each.key for each in plain.conditions if isinstance(each, Condition)] == ["user_id"]


def test_compiled_filters_are_a_dict_to_everybody_else() -> None:
    plain = {"user_id": "u", "a[].b": {"in": ["x"]}}
    filters = CompiledFilters(plain)
    compile_filters(filters)
    assert filters == plain
    assert (repr(filters), str(filters)) == (repr(plain), str(plain))
    assert json.dumps(filters) == json.dumps(plain)
    for copied in (
        copy.copy(filters), copy.deepcopy(filters), filters.copy(), dict(filters), {**filters},
        pickle.loads(pickle.dumps(filters)),
    ):  # fmt: skip
        assert type(copied) is dict
        assert copied == plain


@pytest.mark.parametrize(
    "change",
    [
        lambda filters: filters.update(run_id="r"),
        lambda filters: filters["AND"].append({"run_id": "r"}),
        lambda filters: filters["AND"][0]["a"].update(gt=9),
    ],
)
def test_what_a_store_puts_into_the_filters_counts(change: Any) -> None:
    """A store that wraps one of ours may add a condition of its own: it must not be lost."""
    filters = CompiledFilters({"user_id": "u", "AND": [{"a": {"gt": 1}}]})
    payload = {"user_id": "u", "a": 5}
    before = compile_filters(filters)
    assert before
    assert matches(before, payload)
    change(filters)
    after = compile_filters(filters)
    assert after
    assert not matches(after, payload)


def test_filters_that_cannot_be_compiled_raise_each_time() -> None:
    filters = CompiledFilters({"user_id": "u", "a": {"like": 1}})
    for _ in range(2):
        with pytest.raises(ValueError, match="Unsupported filter operator"):
            compile_filters(filters)
    assert compile_filters(CompiledFilters()) is None


@examples(100)
@given(
    st.lists(
        st.dictionaries(grammar.paths, grammar.conditions, min_size=1, max_size=2), max_size=4
    ),
    st.sampled_from(("n", "o.x", "user_id")),
    st.integers(0, 4),
)
def test_a_condition_without_operators_takes_nothing_away_and_adds_nothing(
    members: list[dict[str, Any]], key: str, at: int
) -> None:
    """Wherever it stands among the conditions of an AND, and whatever they say of its key."""
    members.insert(0, {key: 5})
    empty = [*members[: at + 1], {key: {}}, *members[at + 1 :]]

    def translated(listed: list[dict[str, Any]]) -> str:
        try:
            return repr(translate({"AND": listed}))
        except ValueError as error:
            return str(error)

    if "at index" not in translated(members):
        assert translated(empty) == translated(members)
