"""Filters give upstream's verdicts on its default store, payload by payload, mistakes included."""

from __future__ import annotations

import copy
import enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomem.contract.filters import compile_filters, matches, parse_datetime, parse_path, translate
from tests.unit.store import grammar
from tests.unit.store.fuzz import examples

pytest.importorskip("mem0")
pytest.importorskip("qdrant_client")

from mem0 import Memory
from mem0.vector_stores.qdrant import Qdrant
from qdrant_client.local import datetime_utils
from qdrant_client.local.json_path_parser import parse_json_path
from qdrant_client.local.payload_filters import check_filter

pytestmark = [
    pytest.mark.oracle,
    # What upstream and its dependencies deprecate or leave open is theirs.
    pytest.mark.filterwarnings("ignore"),
]

REFUSED = "refused"


def our_verdict(filters: Any, payload: Any) -> Any:
    try:
        group = compile_filters(filters)
    except ValueError:
        return REFUSED
    return group is None or matches(group, payload)


def their_verdict(filters: Any, payload: Any) -> Any:
    store = object.__new__(Qdrant)
    try:
        built = store._create_filter(filters)
        return built is None or check_filter(built, payload, 0, {})
    except (ValueError, TypeError):
        return REFUSED


@examples(400)
@given(grammar.filters, st.lists(grammar.payloads, min_size=1, max_size=3))
def test_any_filter_has_upstreams_verdict(filters: Any, payloads: list[Any]) -> None:
    for payload in payloads:
        assert our_verdict(filters, payload) == their_verdict(filters, payload)


@examples(400)
@given(grammar.right_filters, grammar.payloads)
def test_a_filter_without_mistakes_has_upstreams_verdict(filters: Any, payload: Any) -> None:
    expected = their_verdict(filters, payload)
    assert expected is not REFUSED
    assert our_verdict(filters, payload) == expected


@examples(300)
@given(
    st.sampled_from(("gt", "gte", "lt", "lte", "eq", "ne", "in", "nin", "contains", "icontains")),
    st.one_of(
        grammar.values,
        st.text(max_size=6),
        st.sampled_from(
            ((1, 2), {1, 2}, frozenset({"a"}), ("a",), {"a": 1}, "1_000", " 1 ", "1e3", "inf",
             "NaN", "0x10", "1.", "+1", "١", True, "", [True], [[1]], {}, set(), 10**400)
        ),
    ),
)  # fmt: skip
def test_any_operand_is_taken_or_refused_as_upstream(operator: str, operand: Any) -> None:
    payload = {"a": [1, "a", 1000, 2.5, True, None], "b": {"c": "red"}}
    filters = {"a": {operator: operand}}
    assert our_verdict(filters, payload) == their_verdict(filters, payload)


class Member(str, enum.Enum):
    KEY = "k"
    RED = "red"
    DAY = "2024-01-15"


class Level(enum.IntEnum):
    ONE = 1


@pytest.mark.parametrize("condition", [
    Member.RED, Level.ONE, [Member.RED, "x"], [Level.ONE], {"eq": Member.RED}, {"ne": Member.RED},
    {"in": [Member.RED]}, {"nin": [Level.ONE]}, {"gte": Level.ONE}, {"lt": Member.DAY},
    {"contains": Member.RED},
])  # fmt: skip
def test_a_member_of_an_enum_has_upstreams_verdict(condition: Any) -> None:
    for value in ("red", "Member.RED", 1, 0, "2024-01-14", "2024-01-16", ["red", 1]):
        for filters in ({Member.KEY: condition}, {"$not": [{Member.KEY: condition}]}):
            assert our_verdict(filters, {"k": value}) == their_verdict(filters, {"k": value})


def their_translation(filters: dict[str, Any]) -> dict[str, Any]:
    """What upstream's search makes of filters before its store sees them."""
    memory = object.__new__(Memory)
    effective = copy.deepcopy(filters)
    if not memory._has_advanced_operators(effective):
        return effective
    processed = memory._process_metadata_filters(effective)
    kept = {
        key: value
        for key, value in effective.items()
        if key not in {"AND", "OR", "NOT"} and not isinstance(value, dict)
    }
    return {**kept, **processed}


def answer(function: Any, *args: Any) -> Any:
    try:
        return function(*args)
    except (ValueError, AttributeError, TypeError):
        return REFUSED


@examples(400)
@given(grammar.filters, grammar.payloads)
def test_a_search_hands_the_store_what_upstream_hands_it(filters: Any, payload: Any) -> None:
    ours, theirs = answer(translate, filters), answer(their_translation, filters)
    assert repr(ours) == repr(theirs)  # NaN is not equal to itself; the order of keys counts.
    if theirs is not REFUSED:
        assert our_verdict(ours, payload) == their_verdict(theirs, payload)


def test_translating_leaves_the_callers_filters_alone() -> None:
    filters = {"a": {"gt": 1}, "AND": [{"a": {"lt": 5}}], "OR": [{"b": {"eq": 1}}]}
    before = copy.deepcopy(filters)
    translate(filters)["a"]["gt"] = 100
    assert filters == before


def steps_of(key: str) -> list[tuple[str, Any]]:
    kinds = {"key": "key", "index": "index", "wildcard_index": "every"}
    return [(kinds[item.item_type.value], item.key or item.index) for item in parse_json_path(key)]


def our_steps(key: str) -> list[tuple[str, Any]]:
    def kind(step: Any) -> tuple[str, Any]:
        if isinstance(step, str):
            return "key", step or None
        return ("index", step) if isinstance(step, int) else ("every", None)

    return [kind(step) for step in parse_path(key)]


@examples(800)
@given(
    st.text(st.sampled_from('ab1-_.[]"ключ é²\n٣'), max_size=9)
    | st.sampled_from((f"a[{2**64 - 1}]", f"a[{2**64}]", "a[" + "9" * 5000 + "]", "a[٣]"))
    | st.text(max_size=6)
)
def test_a_key_is_the_same_path_or_no_path(key: str) -> None:
    assert answer(our_steps, key) == answer(steps_of, key)


_zones = st.sampled_from(
    ("", "Z", "z", " Z", "+00:00", "+01", "-10", "+0530", "+05:30", " +05:30", " UTC", "UTC", "+5",
     "+24:00", "+23:59", "-23:59", "+05:60", "+05:30:15", "+053015", " +01", "+1:00", "-00:00",
     "+05:3", "+05:", " z", "  Z", "+0530:15", "+05:3015", "  UTC", "\tUTC", "\t UTC")
)  # fmt: skip
_fractions = st.sampled_from(
    ("", ".5", ".123456", ".1234567", ".123456789", ".1234567891", ".", ",5", ".5 ", ".٣")
)
_two = st.sampled_from(("00", "01", "1", "9", "10", "12", "23", "24", "29", "30", "31", "59", "60",
                        "61", "99", "001", "", "٠١", " 1"))  # fmt: skip
_years = st.sampled_from(
    ("2024", "2023", "0001", "9999", "0000", "24", "02024", "２０２４", "1900")
)
_clocks = st.one_of(
    st.just(""),
    st.tuples(_two, _two).map(":".join),
    st.tuples(_two, _two, _two).map(":".join),
    st.just("10"),
    st.just("10:30:00"),
    st.just("10:30"),
)
_moments = st.builds(
    "{}{}-{}-{}{}{}{}{}{}".format,
    st.sampled_from(("", "", "", " ", "\n", "\t ")),
    _years,
    _two | st.just("01"),
    _two | st.just("15"),
    st.sampled_from(("T", "T", " ", "t", "  ", "\n", "", "_")),
    _clocks,
    _fractions | st.just(""),
    _zones,
    st.sampled_from(("", "", "", " ", "\n", "x")),
)


@examples(1200)
@given(_moments | st.text(st.sampled_from("2024-01:T Z+.59"), max_size=25) | grammar.dates)
def test_a_text_in_a_payload_is_the_same_moment_or_no_date(text: str) -> None:
    ours, theirs = parse_datetime(text), datetime_utils.parse(text)
    assert (ours is None) == (theirs is None), (ours, theirs)
    if ours is not None:
        assert ours == theirs
        assert ours.utcoffset() == theirs.utcoffset()


@examples(800)
@given(_moments | grammar.dates | st.datetimes().map(str), _moments | grammar.dates)
def test_a_date_in_a_filter_is_the_same_moment_or_refused(bound: str, value: str) -> None:
    filters, payload = {"a": {"gte": bound}}, {"a": value}
    assert our_verdict(filters, payload) == their_verdict(filters, payload)
    exact = {"a": {"gte": bound, "lte": bound}}
    assert our_verdict(exact, {"a": bound}) == their_verdict(exact, {"a": bound})
