"""Filters and payloads that are likely to meet: few names, many kinds of values."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

NAMES = ("a", "b", "c-d", "e_1", "ключ", 'q"', "back\\slash", "dot.ted", "nul\0", "")

_WORDS = (
    "red", "Red", "RED apple", "apple red", "red-apple", "", " ", "a", "b", "*", "ÄÖ ü", "naïve",
    "it's", 'say "x"', "back\\slash", "nul\0nul", "nul", "🗼 tower", "tab\tline\n", "1", "true",
    "null", "under_score", "%", "_", "İstanbul", "straße",
)  # fmt: skip
_DATES = (
    "2024-01-15", "2024-01-15T10:30", "2024-01-15 10:30:00", "2024-01-15T10:30:00Z",
    "2024-01-15T10:30:00.5+02:00", "2024-01-15T10:30:00.123456789", "2024-01-15T12:30:00+0200",
    "2024-1-5", "2024-02-30", "2024-01-15T25:00:00", "2024-01-15T10:30Z", "0001-01-01",
    "9999-12-31T23:59:59-12:00", "2024-01-15T10:30:00 UTC", " 2024-01-15", "2024-01-15\n",
    "2024-01-15T10:30:00z", "2024-01-15T10:30:00+01", "2024-01-15T10:30:60", "20240115",
    "2024-01-15T10:30.5", "0000-01-01", "2024-01-15T10:30:00+24:00", "２０２４-01-15",
)  # fmt: skip

words = st.sampled_from(_WORDS)
dates = st.sampled_from(_DATES)
integers = st.sampled_from(
    (0, 1, -1, 2, 10, 2**53 - 1, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, 2**63, -(2**63), 10**30)
)
floats = st.sampled_from(
    (0.0, -0.0, 1.0, 0.1, 0.30000000000000004, 1.5, -2.5, 1e16, 2.0**53, 1e308, 5e-324)
) | st.floats(allow_nan=False, allow_infinity=False)
odd_floats = st.sampled_from((float("nan"), float("inf"), float("-inf")))
scalars = st.one_of(
    st.none(), st.booleans(), integers, st.integers(-3, 3), floats, odd_floats, words, dates
)

values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)
    ),
    max_leaves=8,
)
payloads = st.dictionaries(st.sampled_from(NAMES), values, max_size=5)


def _step(name: str) -> str:
    plain = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    return name if plain else f'"{name}"'


_quotable = [name for name in NAMES if '"' not in name]
_steps = st.sampled_from([*_quotable[:5], *_quotable]).map(_step)
_suffixes = st.sampled_from(("", "", "", "[]", "[0]", "[1]", "[][]", "[0][]"))
paths = st.lists(st.tuples(_steps, _suffixes).map("".join), min_size=1, max_size=2).map(".".join)
"""Keys that are valid paths."""

_lists = st.lists(words, max_size=3) | st.lists(st.integers(-2, 2) | integers, max_size=3)
_odd_lists = st.lists(scalars, max_size=3)
_numbers = st.one_of(st.integers(-3, 3), integers, floats)
_bounds = st.one_of(_numbers, dates, odd_floats, words, st.none(), st.booleans())
_range_operators = st.sampled_from(("gt", "gte", "lt", "lte"))

operators = st.one_of(
    st.dictionaries(_range_operators, _numbers, min_size=1, max_size=2),
    st.dictionaries(_range_operators, dates, min_size=1, max_size=2),
    st.dictionaries(_range_operators, _bounds, min_size=1, max_size=3),
    st.fixed_dictionaries({"eq": scalars}),
    st.fixed_dictionaries({"ne": scalars}),
    st.fixed_dictionaries({"in": _lists | _odd_lists}),
    st.fixed_dictionaries({"nin": _lists | _odd_lists}),
    st.fixed_dictionaries({"contains": words | scalars}),
    st.fixed_dictionaries({"icontains": words | scalars}),
    st.dictionaries(
        st.sampled_from(("eq", "ne", "in", "nin", "gt", "lte", "contains", "near")),
        scalars | _lists,
        max_size=3,
    ),
)
conditions = st.one_of(scalars, scalars, _lists, _odd_lists, operators, operators, operators)


def _grouped(inner: Any) -> Any:
    members = st.lists(inner, max_size=3) | scalars | st.lists(scalars, max_size=2)
    names = st.sampled_from(("AND", "OR", "NOT", "$and", "$or", "$not"))
    return st.tuples(
        st.dictionaries(paths, conditions, max_size=2),
        st.dictionaries(names, st.lists(inner, max_size=3) | members, max_size=2),
    ).map(lambda pair: {**pair[0], **pair[1]})


filters: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.dictionaries(paths, conditions, max_size=3), _grouped, max_leaves=8
)
"""Filters, right and wrong ones, over keys that are valid paths."""

_right_operands = st.one_of(
    st.booleans(), st.integers(-3, 3), integers, words, st.lists(words, max_size=3),
    st.lists(st.integers(-2, 2) | integers, max_size=3),
)  # fmt: skip
_right_operators = st.one_of(
    st.dictionaries(_range_operators, _numbers | odd_floats, min_size=1, max_size=2),
    st.dictionaries(_range_operators, dates.filter(lambda text: text[:10] == "2024-01-15" and
        text[10:] in {"", "T10:30", "T10:30:00Z"}), min_size=1, max_size=2),
    st.fixed_dictionaries({"eq": words | st.integers(-3, 3) | st.booleans()}),
    st.fixed_dictionaries({"ne": words | st.integers(-3, 3)}),
    st.fixed_dictionaries({"in": _lists}),
    st.fixed_dictionaries({"nin": _lists}),
    st.fixed_dictionaries({"contains": words}),
)  # fmt: skip


def _right_groups(inner: Any) -> Any:
    return st.tuples(
        st.dictionaries(paths, _right_operands | _right_operators, max_size=2),
        st.dictionaries(
            st.sampled_from(("AND", "OR", "NOT")), st.lists(inner, max_size=3), max_size=2
        ),
    ).map(lambda pair: {**pair[0], **pair[1]})


right_filters: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.dictionaries(paths, _right_operands | _right_operators, min_size=1, max_size=3),
    _right_groups,
    max_leaves=6,
)
"""Filters without a mistake."""
