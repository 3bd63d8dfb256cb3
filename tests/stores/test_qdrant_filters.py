"""What Qdrant is asked finds at least what passes, and exactly that where it is said to."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isomem.contract.filters import Condition, Group, compile_filters, matches
from isomem.stores.qdrant_filters import (
    Asked,
    asked_for,
    decides_locally,
    decides_on_server,
)
from tests.stores.test_filters import OPERATORS, VALUES, point_id
from tests.unit.store import grammar
from tests.unit.store.fuzz import examples

pytest.importorskip("qdrant_client")
SERVER = decides_on_server({"user_id"})
KINDS = {"local": decides_locally, "server": SERVER}
both = pytest.mark.parametrize("decides", KINDS.values(), ids=KINDS)


def passes(asked: Asked, payload: dict[str, Any]) -> bool:
    """Whether Qdrant's local mode lets a payload pass."""
    from qdrant_client.local.payload_filters import check_filter

    return asked.filter is None or bool(check_filter(asked.filter, payload, "x", {}))


def conditions_in(found: Any) -> list[Any]:
    """The conditions on fields in a filter, at any depth."""
    if found is None:
        return []
    if hasattr(found, "key"):
        return [found]
    parts = [*(found.must or ()), *(found.should or ()), *(found.must_not or ())]
    return [each for part in parts for each in conditions_in(part)]


def compiled(filters: dict[str, Any]) -> Group:
    group = compile_filters(filters)
    assert group is not None
    return group


# --- Any filter, any payload -----------------------------------------------------------------


@both
@settings(parent=examples(60), suppress_health_check=[*HealthCheck])
@given(payload=grammar.payloads, filters=grammar.right_filters)
def test_nothing_that_passes_is_missed_and_what_is_exact_is_exact(
    decides: Any, payload: dict[str, Any], filters: dict[str, Any]
) -> None:
    group = compile_filters(filters)
    asked = asked_for(group, decides)
    wanted = group is None or matches(group, payload)
    found = passes(asked, payload)
    assert found or not wanted
    if asked.is_exact:
        assert found == wanted


@settings(parent=examples(40), suppress_health_check=[*HealthCheck])
@given(filters=grammar.right_filters)
def test_a_server_is_asked_only_what_it_decides_alike(filters: dict[str, Any]) -> None:
    for condition in conditions_in(asked_for(compile_filters(filters), SERVER).filter):
        assert condition.key.isidentifier()
        assert condition.key.isascii()
        match = condition.match
        assert match is None or type(match).__name__ in {"MatchValue", "MatchAny"}
        assert condition.range is None or type(condition.range).__name__ == "Range"


@both
@pytest.mark.parametrize("operator", OPERATORS, ids=str)
def test_every_operator_on_every_kind_of_value(decides: Any, operator: Any) -> None:
    for filters in (
        {"k": operator},
        {"NOT": [{"k": operator}]},
        {"OR": [{"k": operator}, {"x": 1}]},
    ):
        group = compile_filters(filters)
        asked = asked_for(group, decides)
        for payload in [*({"k": value} for value in VALUES), {}]:
            wanted = group is None or matches(group, payload)
            found = passes(asked, payload)
            assert found if wanted else found != asked.is_exact or not found


# --- What is left out ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "condition",
    [
        {"contains": "red"},
        {"icontains": "red"},
        {"gt": "2024-01-15"},
        {"ne": "a"},
        {"nin": ["a", "b"]},
        {"nin": []},
        {"in": []},
        {"gt": float("inf")},
        {"gt": 2**53},
        2**63,
        "nul\0",
    ],
    ids=str,
)
def test_what_a_server_decides_in_its_own_way_is_left_out(condition: Any) -> None:
    asked = asked_for(compiled({"k": condition}), SERVER)
    assert asked == Asked(None, is_exact=False)
    scoped = asked_for(compiled({"k": condition, "user_id": "ana"}), SERVER)
    assert [each.key for each in conditions_in(scoped.filter)] == ["user_id"]
    assert not scoped.is_exact


@pytest.mark.parametrize("condition", ["a", 1, True, ["a", "b"], [1, 2], {"gt": 1}, {"lte": 2.5}])
def test_what_a_server_decides_alike_is_asked(condition: Any) -> None:
    assert asked_for(compiled({"k": condition}), SERVER).is_exact
    negated = asked_for(compiled({"NOT": [{"k": condition}]}), SERVER)
    assert negated.is_exact
    assert negated.filter.must_not


@pytest.mark.parametrize("key", ["a.b", "a[]", "a[0]", '"a b"', "größe", "a-b"])
def test_a_key_that_is_more_than_a_name_is_not_asked_of_a_server(key: str) -> None:
    assert asked_for(compiled({key: 1}), SERVER).filter is None
    assert asked_for(compiled({key: 1}), decides_locally).is_exact


def test_numbers_in_a_range_are_not_asked_of_an_index() -> None:
    """An index has numbers of one type."""
    group = compiled({"n": {"gt": 1}})
    assert asked_for(group, decides_on_server({"n"})).filter is None
    assert asked_for(group, decides_on_server(())).is_exact


def test_one_alternative_that_is_not_decided_leaves_out_all() -> None:
    asked = asked_for(compiled({"OR": [{"a": 1}, {"b": {"contains": "x"}}]}), SERVER)
    assert asked == Asked(None, is_exact=False)


def test_an_exclusion_that_is_not_decided_as_a_whole_is_left_out() -> None:
    """In part it would exclude too much."""
    group = compiled({"NOT": [{"a": 1, "b": {"contains": "x"}}, {"c": 1}]})
    asked = asked_for(group, SERVER)
    assert [each.key for each in conditions_in(asked.filter)] == ["c"]
    assert not asked.is_exact


def test_letters_that_fall_apart_in_lower_case_are_compared_here() -> None:
    group = compiled({"k": {"contains": "İstanbul"}})
    assert asked_for(group, decides_locally) == Asked(None, is_exact=False)
    assert asked_for(compiled({"k": {"contains": "Berlin"}}), decides_locally).is_exact


def test_no_filter_finds_everything() -> None:
    assert asked_for(None, SERVER) == Asked(None, is_exact=True)


# --- Qdrant's own engine ---------------------------------------------------------------------


class Engine:
    """The engine of the server in this process, with an index on one key."""

    def __init__(self, folder: Path) -> None:
        edge = pytest.importorskip("qdrant_edge")
        self.edge = edge
        vectors = {"": edge.EdgeVectorParams(size=2, distance=edge.Distance.Cosine)}
        self.shard = edge.EdgeShard.create(str(folder), edge.EdgeConfig(vectors=vectors))
        keyword = edge.PayloadSchemaType.Keyword
        self.shard.update(edge.UpdateOperation.create_field_index("user_id", keyword))
        self.stored: dict[str, dict[str, Any]] = {}

    def put(self, payloads: list[dict[str, Any]]) -> None:
        points = []
        for payload in payloads:
            name = point_id(len(self.stored))
            self.stored[name] = payload
            points.append(self.edge.Point(name, {"": [1.0, 0.0]}, payload))
        self.shard.update(self.edge.UpdateOperation.upsert_points(points))

    def found(self, asked: Asked) -> set[str]:
        request = self.edge.ScrollRequest(limit=10_000, filter=self._filter(asked.filter))
        records, _ = self.shard.scroll(request)
        return {str(record.id) for record in records}

    def _filter(self, given: Any) -> Any:
        if given is None:
            return None
        parts = {
            name: [self._condition(each) for each in getattr(given, name)] or None
            for name in ("must", "should", "must_not")
            if getattr(given, name)
        }
        return self.edge.Filter(**parts)

    def _condition(self, each: Any) -> Any:
        if not hasattr(each, "key"):
            return self._filter(each)
        if each.range is not None:
            bounds = {name: value for name, value in each.range if value is not None}
            return self.edge.FieldCondition(each.key, range=self.edge.RangeFloat(**bounds))
        kind, match = type(each.match).__name__, each.match
        operand = match.value if kind == "MatchValue" else match.any
        return self.edge.FieldCondition(each.key, match=getattr(self.edge, kind)(operand))


def is_expressible(asked: Asked) -> bool:
    """Whether the engine's Python module can be asked that: it takes `True` for the number 1."""
    values = (getattr(each.match, "value", None) for each in conditions_in(asked.filter))
    return not any(isinstance(value, bool) for value in values)


def storable(payload: dict[str, Any]) -> bool:
    """Whether a server can be sent a payload as JSON and has it back."""
    text = json.dumps(payload)
    return not any(word in text for word in ("NaN", "Infinity", "\\u0000")) and all(
        abs(int(number)) < 2**63 for number in re.findall(r"\d{16,}", text)
    )


def test_the_engine_of_the_server_decides_as_it_is_said_to(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    engine.put([{"k": value, "user_id": value} for value in VALUES if storable({"k": value})])
    engine.put([{}, {"user_id": ["ana", "bob"]}, {"user_id": "ana", "k": "a"}])
    asked_of_it = 0
    for key in ("k", "user_id"):
        for operator in OPERATORS:
            for filters in ({key: operator}, {"NOT": [{key: operator}]}, {"OR": [{key: operator}]}):
                group = compile_filters(filters)
                asked = asked_for(group, SERVER)
                if not is_expressible(asked):
                    continue
                found = engine.found(asked)
                wanted = {
                    name
                    for name, payload in engine.stored.items()
                    if group is None or matches(group, payload)
                }
                assert wanted <= found, filters
                if asked.is_exact:
                    asked_of_it += 1
                    assert wanted == found, filters
    assert asked_of_it > 50


def test_the_engine_misses_nothing_of_random_filters(tmp_path: Path) -> None:
    engine = Engine(tmp_path)

    @settings(parent=examples(30), suppress_health_check=[*HealthCheck])
    @given(
        st.lists(grammar.payloads.filter(storable), max_size=3),
        st.lists(grammar.right_filters, min_size=1, max_size=4),
    )
    def holds(payloads: list[dict[str, Any]], filters: list[dict[str, Any]]) -> None:
        if payloads:
            engine.put(payloads)
        for each in filters:
            group = compile_filters(each)
            asked = asked_for(group, SERVER)
            if not is_expressible(asked):
                continue
            found = engine.found(asked)
            wanted = {
                name
                for name, payload in engine.stored.items()
                if group is None or matches(group, payload)
            }
            assert wanted <= found, each
            assert not asked.is_exact or wanted == found, each

    holds()


def test_every_kind_of_condition_is_thought_of() -> None:
    kinds = {
        each.kind
        for filters in ({"k": operator} for operator in OPERATORS)
        for each in getattr(compile_filters(filters), "conditions", ())
        if isinstance(each, Condition)
    }
    assert kinds == {"any", "except", "words", "range", "dates"}
