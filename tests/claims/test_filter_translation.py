"""What the filters of a search mean: the shape a store gets, and the memories that pass."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.claims.sides import both, examples


class Ours:
    """isomem's filters."""

    def translate(self, filters: Any) -> Any:
        from isomem.contract.filters import translate

        return translate(filters)

    def passes(self, filters: Any, payload: Any) -> bool:
        """Whether a search with these filters considers a memory with this payload."""
        from isomem.contract.filters import compile_filters, matches

        group = compile_filters(self.translate(filters))
        return group is None or matches(group, payload)


class Theirs:
    """mem0's, on its default store."""

    def translate(self, filters: Any) -> Any:
        from mem0 import Memory

        memory = object.__new__(Memory)
        kept = copy.deepcopy(filters)
        if not memory._has_advanced_operators(kept):
            return kept
        processed = memory._process_metadata_filters(kept)
        for key in [k for k, v in kept.items() if k in {"AND", "OR", "NOT"} or type(v) is dict]:
            del kept[key]
        return {**kept, **processed}

    def passes(self, filters: Any, payload: Any) -> bool:
        """Whether a search with these filters considers a memory with this payload."""
        from mem0.vector_stores.qdrant import Qdrant
        from qdrant_client.local.payload_filters import check_filter

        built = object.__new__(Qdrant)._create_filter(self.translate(filters))
        return built is None or bool(check_filter(built, payload, 0, {}))


side = both(Ours, Theirs)


# --- The shape -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filters", "shape"),
    [
        ({"user_id": "u"}, {"user_id": "u"}),
        ({"user_id": "u", "n": [1, 2]}, {"user_id": "u", "n": [1, 2]}),
        ({"user_id": "u", "n": "*"}, {"user_id": "u", "n": "*"}),
        ({"n": {"gt": 1}}, {"n": {"gt": 1}}),
        ({"n": {"gte": 1, "lt": 5}}, {"n": {"gte": 1, "lt": 5}}),
        ({"AND": []}, {}),
        ({"AND": [{"a": 1}, {"b": {"ne": 2}}]}, {"a": 1, "b": {"ne": 2}}),
        ({"AND": [{"n": {"gt": 1}}, {"n": {"lt": 5}}]}, {"n": {"gt": 1, "lt": 5}}),
        ({"AND": [{"n": 1}, {"n": 2}]}, {"n": 2}),
        ({"n": 0, "AND": [{"n": {"gt": 1}}]}, {"n": {"gt": 1}}),
        ({"OR": [{"a": 1}, {"b": 2}]}, {"$or": [{"a": 1}, {"b": 2}]}),
        ({"NOT": [{"a": {"eq": 1}}]}, {"$not": [{"a": {"eq": 1}}]}),
        (
            {"user_id": "u", "OR": [{"a": 1}], "NOT": [{"b": 2}], "AND": [{"c": 3}]},
            {"user_id": "u", "$or": [{"a": 1}], "$not": [{"b": 2}], "c": 3},
        ),
    ],
)
def test_and_is_merged_and_the_others_are_renamed(side: Any, filters: Any, shape: Any) -> None:
    assert side.translate(filters) == shape


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"n": {"gt": 1, "about": 2}}, "Unsupported metadata filter operator: about"),
        ({"AND": [{"n": {"like": 1}}]}, "Unsupported metadata filter operator: like"),
        ({"AND": {"n": 1}}, "AND operator requires a list of conditions"),
        ({"OR": []}, "OR operator requires a non-empty list of conditions"),
        ({"OR": {"n": 1}}, "OR operator requires a non-empty list of conditions"),
        ({"NOT": []}, "NOT operator requires a non-empty list of conditions"),
        ({"NOT": "n"}, "NOT operator requires a non-empty list of conditions"),
    ],
)
def test_a_wrong_shape_is_named(side: Any, filters: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        side.translate(filters)


def test_the_callers_filters_are_left_as_they_were(side: Any) -> None:
    filters = {"user_id": "u", "n": {"gt": 1}, "AND": [{"n": {"lt": 9}}], "OR": [{"a": {"eq": 1}}]}
    before = copy.deepcopy(filters)
    translated = side.translate(filters)
    translated["n"]["lt"] = 0
    translated["$or"].clear()
    assert filters == before


# --- What passes -----------------------------------------------------------------------------

BOATS: dict[str, Any] = {
    "skiff": {"hull": "red", "length": 4, "crew": ["ana"], "mast": {"height": 3}, "sold": False},
    "sloop": {"hull": "Red Oak", "length": 9.5, "crew": ["ana", "bo"], "built": "2019-04-30"},
    "barge": {"hull": "grey", "length": 31, "crew": [], "sold": True,
              "built": "1998-01-02T03:04:05+01:00", "mast": {"height": 12}},
    "kayak": {"hull": None, "length": "5"},
    "raft": {},
}  # fmt: skip


@pytest.mark.parametrize(
    ("filters", "passing"),
    [
        # No condition.
        ({}, "skiff sloop barge kayak raft"),
        ({"hull": "*"}, "skiff sloop barge kayak raft"),
        ({"sail": "*"}, "skiff sloop barge kayak raft"),
        # Equality: of the same type, of one of several, of an element of a list.
        ({"hull": "red"}, "skiff"),
        ({"hull": {"eq": "red"}}, "skiff"),
        ({"hull": "Red"}, ""),
        ({"length": 4}, "skiff"),
        ({"length": "4"}, ""),
        ({"length": "5"}, "kayak"),
        ({"sold": False}, "skiff"),
        ({"sold": 0}, ""),
        ({"hull": ["red", "grey"]}, "skiff barge"),
        ({"hull": {"in": ["red", "grey"]}}, "skiff barge"),
        ({"hull": []}, ""),
        ({"crew": "bo"}, "sloop"),
        ({"crew": ["bo", "cy"]}, "sloop"),
        ({"crew": {"eq": "ana"}}, "skiff sloop"),
        # Inequality asks for a value that is there and is none of these.
        ({"hull": {"ne": "red"}}, "sloop barge"),
        ({"length": {"ne": 4}}, "sloop barge kayak"),
        ({"hull": {"nin": ["red", "grey"]}}, "sloop"),
        ({"crew": {"ne": "ana"}}, "sloop"),
        ({"sail": {"ne": "red"}}, ""),
        # Ranges compare numbers with numbers and dates with dates.
        ({"length": {"gt": 4}}, "sloop barge"),
        ({"length": {"gte": 4}}, "skiff sloop barge"),
        ({"length": {"gte": 4, "lt": 31}}, "skiff sloop"),
        ({"length": {"lte": 9.5}}, "skiff sloop"),
        ({"length": {"gt": 9, "lt": 4}}, ""),
        ({"sold": {"gte": 0}}, ""),
        ({"hull": {"gt": 0}}, ""),
        ({"built": {"gt": "2000-01-01"}}, "sloop"),
        ({"built": {"lt": "1998-01-02T02:04:06Z"}}, "barge"),
        ({"built": {"lt": "1998-01-02T02:04:05Z"}}, ""),
        # Words: whole ones, in any case and order.
        ({"hull": {"contains": "red"}}, "skiff sloop"),
        ({"hull": {"contains": "RED"}}, "skiff sloop"),
        ({"hull": {"icontains": "oak red"}}, "sloop"),
        ({"hull": {"contains": "re"}}, ""),
        ({"hull": {"contains": ""}}, ""),
        ({"length": {"contains": "31"}}, ""),
        ({"crew": {"contains": "bo"}}, "sloop"),
        # Inside of objects and lists.
        ({"mast.height": 3}, "skiff"),
        ({"mast.height": {"gt": 3}}, "barge"),
        ({"mast.colour": "*"}, "skiff sloop barge kayak raft"),
        ({"crew[0]": "ana"}, "skiff sloop"),
        ({"crew[1]": "ana"}, ""),
        ({"crew[]": "bo"}, "sloop"),
        # Several keys, and logic.
        ({"crew": "ana", "length": {"lt": 9}}, "skiff"),
        ({"AND": [{"crew": "ana"}, {"length": {"lt": 9}}]}, "skiff"),
        ({"OR": [{"hull": "red"}, {"length": {"gt": 30}}]}, "skiff barge"),
        ({"OR": [{"hull": "red", "length": 9}, {"sold": True}]}, "barge"),
        ({"NOT": [{"hull": "red"}]}, "sloop barge kayak raft"),
        ({"NOT": [{"hull": "red"}, {"sold": True}]}, "sloop kayak raft"),
        ({"NOT": [{"crew": "ana", "length": 4}]}, "sloop barge kayak raft"),
        ({"OR": [{"crew": "ana"}, {"sold": True}], "NOT": [{"hull": "red"}]}, "sloop barge"),
        ({"crew": "ana", "OR": [{"length": 4}, {"sold": True}]}, "skiff"),
        ({"OR": [{"sail": "*"}]}, "skiff sloop barge kayak raft"),
        # A key of AND takes the place of the same key beside it.
        ({"hull": "red", "AND": [{"hull": "grey"}]}, "barge"),
        # Of two operators on a key that are no range the first by rank counts.
        ({"hull": {"ne": "grey", "eq": "red"}}, "skiff"),
        ({"hull": {"in": ["red"], "ne": "grey"}}, "skiff sloop"),
    ],
)
def test_a_filter_passes_these_boats(side: Any, filters: Any, passing: str) -> None:
    found = [name for name, payload in BOATS.items() if side.passes(filters, payload)]
    assert found == passing.split()


@pytest.mark.parametrize(
    "filters",
    [
        {"length": {"gt": 1, "ne": 4}},
        {"length": {"gt": "long"}},
        {"length": {"gt": []}},
        {"length": {}},
        {"length": 4.0},
        {"hull": None},
        {"hull": {"eq": None}},
        {"hull": {"in": "red"}},
        {"hull": {"in": ["red", 4]}},
        {"hull": {"contains": 4}},
        {"built": {"gt": "2024-13-01"}},
        {"hull.": "red"},
        {"": "red"},
        {"NOT": [{"hull": {"unlike": "red"}}]},
    ],
)
def test_a_filter_that_cannot_be_compared_is_refused(side: Any, filters: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the words are the store's, and differ (D-17)
        side.passes(filters, BOATS["skiff"])


def test_a_condition_with_a_mistake_is_refused_though_another_decides(side: Any) -> None:
    with pytest.raises(ValueError, match="mix range operators"):
        side.passes({"OR": [{"hull": "red"}, {"length": {"gt": 1, "eq": 4}}]}, BOATS["skiff"])


@pytest.mark.parametrize("operator", ["AND", "OR", "NOT"])
def test_an_alternative_that_is_no_condition_is_refused_where_mem0_trips(
    side: Any, operator: str
) -> None:
    """Divergence D-13."""
    error = AttributeError if isinstance(side, Theirs) else ValueError
    with pytest.raises(error):
        side.passes({operator: [{"hull": "red"}, "grey"]}, BOATS["skiff"])


# --- For all filters -------------------------------------------------------------------------

_plain = st.sampled_from(
    [
        {"hull": "red"}, {"hull": {"ne": "red"}}, {"length": {"gt": 4}}, {"crew": ["ana", "bo"]},
        {"mast.height": {"lte": 3}}, {"sold": True}, {"built": {"gte": "2000-01-01"}},
        {"hull": {"contains": "red"}}, {"length": {"in": [4, 31]}}, {"sail": "x"},
    ]
)  # fmt: skip
_boats = st.sampled_from(list(BOATS.values()))


@examples(100)
@given(st.lists(_plain, min_size=1, max_size=4), _boats)
def test_or_is_one_of_them_and_not_is_none_of_them(
    side: Any, conditions: list[Any], boat: Any
) -> None:
    any_passes = any(side.passes(one, boat) for one in conditions)
    assert side.passes({"OR": conditions}, boat) == any_passes
    assert side.passes({"NOT": conditions}, boat) != any_passes


@examples(100)
@given(st.lists(_plain, max_size=4, unique_by=lambda one: next(iter(one))), _boats)
def test_and_over_different_keys_is_all_of_them(
    side: Any, conditions: list[Any], boat: Any
) -> None:
    all_pass = all(side.passes(one, boat) for one in conditions)
    assert side.passes({"AND": conditions}, boat) == all_pass
    merged = {key: value for one in conditions for key, value in one.items()}
    assert side.passes(merged, boat) == all_pass


@examples(100)
@given(st.integers(-5, 5), st.integers(-5, 5) | st.floats(-5, 5))
def test_a_range_is_the_order_of_numbers(side: Any, bound: int, value: float) -> None:
    verdicts = [side.passes({"n": {op: bound}}, {"n": value}) for op in ("gt", "gte", "lt", "lte")]
    assert verdicts == [value > bound, value >= bound, value < bound, value <= bound]
