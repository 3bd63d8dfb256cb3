"""A filter as SQL and the same filter in Python let the same points pass."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomem.contract.filters import compile_filters, matches
from isomem.store.cache import ScopeCache
from isomem.store.codec import dump_payload, load_payload
from isomem.store.collection import Collection
from isomem.store.database import Database
from isomem.store.schema import prepare_store
from isomem.store.sql import compile_sql
from tests.unit.store import grammar
from tests.unit.store.fuzz import examples


@pytest.fixture(scope="module")
def table() -> Iterator[apsw.Connection]:
    connection = apsw.Connection(":memory:")
    connection.execute("CREATE TABLE points (number INTEGER PRIMARY KEY, payload TEXT NOT NULL)")
    yield connection
    connection.close()


def in_sql(table: apsw.Connection, compiled: Any, texts: list[str]) -> list[bool]:
    where, bindings = compiled
    table.execute("DELETE FROM points")
    table.executemany("INSERT INTO points (payload) VALUES (?)", [(text,) for text in texts])
    sql = f"SELECT number IN (SELECT number FROM points WHERE {where}) FROM points ORDER BY number"
    return [bool(row[0]) for row in table.execute(sql, bindings)]


def check(table: apsw.Connection, filters: Any, payloads: list[Any]) -> bool:
    """False where there is nothing to compare."""
    group = compile_filters(filters)
    compiled = group and compile_sql(group)
    if group is None or compiled is None:
        return False
    texts = [dump_payload(payload) for payload in payloads]
    expected = [matches(group, load_payload(text)) for text in texts]
    assert in_sql(table, compiled, texts) == expected
    return True


@examples(500)
@given(grammar.right_filters, st.lists(grammar.payloads, min_size=1, max_size=4))
def test_sql_and_python_agree(table: apsw.Connection, filters: Any, payloads: list[Any]) -> None:
    check(table, filters, payloads)


_names = st.text(st.sampled_from("ab .\"'$[]{}\\\0\n\té🗼%_-:,#@\x7f\ud800"), max_size=5)
_texts = st.text(st.characters(exclude_categories=()), max_size=5) | st.text(max_size=5)
_exact = st.one_of(_texts, st.integers(-(2**53), 2**53), st.booleans(), st.integers())
_operands = st.one_of(_exact, st.fixed_dictionaries({"gte": st.floats() | st.integers(-9, 9)}))


def cousins(value: Any) -> list[Any]:
    """Values that some comparison or other would call equal."""
    if isinstance(value, str):
        return [value.upper(), value + " ", value.partition("\0")[0], [*value]]
    if isinstance(value, float):
        return [str(value), -value, bool(value)]
    near = [value + 1, -value, bool(value), int(value), str(value), str(value).lower()]
    return [*near, float(value)] if abs(value) < 2**1000 else near


@examples(700)
@given(st.data())
def test_any_name_and_any_value_are_found_by_themselves(
    table: apsw.Connection, data: st.DataObject
) -> None:
    name = data.draw(_names.filter(lambda name: '"' not in name))
    operand = data.draw(_operands)
    found = operand["gte"] if isinstance(operand, dict) else operand
    others = data.draw(st.lists(grammar.scalars | _exact | st.floats(), max_size=3))
    alike = [*cousins(found), [found], {name: found}, [[found]], *others]
    payloads = [{name: value} for value in [found, *alike]]
    check(table, {f'"{name}"': operand}, [*payloads, {}, {name + "x": found}, {"x": payloads}])


@pytest.mark.parametrize(
    "filters",
    [
        {"a": 1},
        {"a": "red"},
        {"a": True},
        {"a": ["x", "y"]},
        {"a.b": 1},
        {'"a.b"': 1},
        {"a": {"gt": 1, "lte": 2.5}},
        {"OR": [{"a": 1}, {"AND": [{"b": 1}, {"NOT": [{"c": 1}]}]}]},
    ],
)
def test_what_sql_can_decide_it_decides(filters: Any) -> None:
    group = compile_filters(filters)
    assert group is not None
    assert compile_sql(group) is not None


@pytest.mark.parametrize(
    "filters",
    [
        {"a": {"ne": 1}},
        {"a": {"nin": [1]}},
        {"a": {"contains": "red"}},
        {"a": {"gt": "2024-01-15"}},
        {"a": {"gt": 1e300}},
        {"a": {"gt": float("nan")}},
        {"a": 2**53 + 1},
        {"a": "nul\0"},
        {"a": "\ud800"},
        {"a[]": 1},
        {"a[0].b": 1},
        {"é": 1},
        {'"back\\slash"': 1},
        {"a": [str(number) for number in range(501)]},
        {"OR": [{"a": 1}, {"a": {"ne": 1}}]},
    ],
)
def test_what_sql_cannot_decide_exactly_is_left_to_python(filters: Any) -> None:
    group = compile_filters(filters)
    assert group is not None
    assert compile_sql(group) is None


@pytest.mark.parametrize("count", [100, 249, 250, 1500, 20_000])
@pytest.mark.slow
def test_a_filter_may_have_any_number_of_alternatives(count: int) -> None:
    database = Database(":memory:", prepare_store)
    points = Collection(database, "m", ScopeCache(database, 0))
    points.insert([[1.0]] * 2, [{"k": count - 1}, {"k": count}], ["yes", "no"])
    filters = {"OR": [{"k": number} for number in range(count)]}
    assert [point.id for point in points.list(filters)[0]] == ["yes"]
    filters = {"NOT": [{"k": number} for number in range(count)]}
    assert [point.id for point in points.list(filters)[0]] == ["no"]
    database.close()


@pytest.mark.parametrize("operator", ["AND", "OR", "NOT"])
def test_a_filter_may_be_nested_a_hundred_deep(operator: str) -> None:
    database = Database(":memory:", prepare_store)
    points = Collection(database, "m", ScopeCache(database, 0))
    points.insert([[1.0]], [{"k": 1}], ["yes"])
    filters: dict[str, Any] = {"k": 1}
    for _ in range(100):
        filters = {operator: [filters]}
    assert [point.id for point in points.list(filters)[0]] == ["yes"]
    database.close()


@pytest.mark.parametrize(
    ("filters", "values"),
    [
        ({"a": 1}, [1, 1.0, True, "1", [1.0, True], [2, 1], {"a": 1}, [[1]], None]),
        ({"a": True}, [True, 1, 1.0, "true", [1, True], False, {"true": 1}]),
        ({"a": "1"}, ["1", 1, 1.0, True, "1 ", ["1"], [["1"]]]),
        ({"a": {"gte": 1}}, [1, 1.0, True, "1", [0, 2], None, 10**30, float("inf"), {"a": 2}]),
        ({"a": {"lt": 0.5}}, [0, 0.5, -0.0, False, "", float("-inf"), float("nan"), [1, 0]]),
    ],
)
def test_values_that_look_alike_are_told_apart_alike(
    table: apsw.Connection, filters: Any, values: list[Any]
) -> None:
    assert check(table, filters, [{"a": value} for value in values])
