"""Every payload comes back from JSONB as it was; mem0 reads what it would have stored itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isomem.errors import ValidationError
from isomem.stores.pgvector_payloads import packed, unpacked
from tests.stores import server

pytestmark = pytest.mark.skipif(bool(server.missing()), reason=server.missing())

REWRITTEN = [1e22, 1e16, -1.5e300, 1.7976931348623157e308, -0.0, [1, -0.0], {"a": [{"b": 1e23}]}]
KEPT = [
    0,
    10**30,
    -(2**70),
    1.0,
    0.1,
    5e-324,
    1e-7,
    9007199254740993,
    999999999999999.9,
    True,
    None,
]
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
KEYS = st.one_of(
    TEXTS, st.sampled_from(["isomem_json", "isomem_json:x", "isomem_json:isomem_json"])
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), FLOATS, TEXTS),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(KEYS, inner)),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def connection() -> Iterator[Any]:
    import psycopg

    with psycopg.connect(server.shared().dsn("tests"), autocommit=True) as opened:
        yield opened


def stored(connection: Any, text: str) -> Any:
    """What JSONB makes of JSON, as mem0 reads it."""
    return connection.execute("SELECT %s::jsonb", (text,)).fetchone()[0]


def form(value: object) -> str:
    """A value with the type of each number and the sign of zero."""
    return json.dumps(value, sort_keys=True)


@pytest.mark.parametrize("value", REWRITTEN, ids=repr)
def test_numbers_that_jsonb_writes_otherwise_come_back_and_stay_under_their_key(
    connection: Any, value: object
) -> None:
    raw = stored(connection, packed({"data": "tea", "x": value}))
    assert form(raw["x"]) != form(value)
    if isinstance(value, float):
        assert float(raw["x"]) == value
    assert form(unpacked(raw)) == form({"data": "tea", "x": value})


@pytest.mark.parametrize("value", KEPT, ids=repr)
def test_what_jsonb_keeps_has_no_second_form(connection: Any, value: object) -> None:
    raw = stored(connection, packed({"x": value, "y": "1e+22, -0.0"}))
    assert form(raw) == form({"x": value, "y": "1e+22, -0.0"})


@settings(max_examples=300)
@given(payload=st.dictionaries(KEYS, VALUES))
def test_every_payload_comes_back(connection: Any, payload: dict[str, Any]) -> None:
    raw = stored(connection, packed(payload))
    assert {key for key in payload if not key.startswith("isomem_json")} <= {*raw}
    assert form(unpacked(raw)) == form(payload)


@pytest.mark.parametrize("value", [False, 0.5, "tea", None, [0.0], 0])
def test_what_mem0_stores_later_counts(connection: Any, value: object) -> None:
    raw = stored(connection, packed({"x": -0.0, "y": 1e22}))
    again = stored(connection, json.dumps({**raw, "x": value}))
    assert form(unpacked(again)) == form({"x": value, "y": 1e22})
    del raw["x"]
    assert form(unpacked(raw)) == form({"y": 1e22})


@pytest.mark.parametrize("odd", ["not JSON", 7, None, "[" * 100_000])
def test_keys_of_others_that_look_like_ours_are_left_alone(odd: object) -> None:
    raw = {"isomem_json:x": odd, "x": 1}
    assert unpacked(raw) == raw
    assert unpacked({**raw, "isomem_json": 7}) == {**raw, "isomem_json": 7}
    assert unpacked({**raw, "isomem_json": True}) == raw


def test_keys_like_ours_of_numbers_that_are_rewritten_come_back_in_any_order() -> None:
    payload = {"x": -0.0, "isomem_json:x": "u", "isomem_json": 1, "isomem_json:isomem_json": 2}
    raw = json.loads(packed(payload))
    for one in (raw, dict(reversed(raw.items()))):
        assert form(unpacked({**one, "x": 0.0})) == form(payload)


def test_nan_is_refused() -> None:
    with pytest.raises(ValidationError, match="cannot store"):
        packed({"x": float("nan")})
