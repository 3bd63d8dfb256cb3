"""What goes into the file is what comes out of it."""

from __future__ import annotations

import dataclasses
import enum
import json
import math
import uuid
from array import array
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomem.errors import MemoryCorruptionError, ValidationError, VectorValueError
from isomem.store import codec
from isomem.store.codec import (
    dump_payload,
    load_payload,
    load_terms,
    load_vector,
    unit_vector,
)
from isomem.text.terms import TermEncoder
from tests.unit.store.fuzz import examples

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
    | st.text(st.characters(exclude_categories=()), max_size=5),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)  # fmt: skip


@examples(80)
@given(st.dictionaries(st.text(st.characters(exclude_categories=())), _json))
def test_a_payload_comes_back_as_it_was(payload: dict[str, Any]) -> None:
    text = dump_payload(payload)
    text.encode()  # Lone surrogates are escaped, so that any text can be stored.
    loaded = load_payload(text)
    assert loaded == payload
    assert list(loaded) == list(payload)


def test_text_is_stored_without_escapes_where_that_is_possible() -> None:
    assert dump_payload({"a": "é🗼"}) == '{"a":"é🗼"}'
    assert dump_payload({"a": "é\ud800"}) == '{"a":"\\u00e9\\ud800"}'


class _Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class _Place:
    name: str
    since: date


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (datetime(2024, 1, 2, 3, 4, 5), "2024-01-02T03:04:05"),
        (datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=timezone.utc), "2024-01-02T03:04:05.000006Z"),
        (datetime(2024, 1, 2, tzinfo=timezone(timedelta(hours=2))), "2024-01-02T00:00:00+02:00"),
        (date(2024, 1, 2), "2024-01-02"),
        (time(3, 4), "03:04:00"),
        (timedelta(), "PT0S"),
        (timedelta(days=1), "P1D"),
        (timedelta(days=-1), "-P1D"),
        (timedelta(hours=1, minutes=2, seconds=3, microseconds=4), "PT1H2M3.000004S"),
        (timedelta(days=2, milliseconds=500), "P2DT0.5S"),
        (timedelta(seconds=-90), "-PT1M30S"),
        (_Colour.RED, "red"),
        ({3}, [3]),
        (frozenset({"a"}), ["a"]),
        ((1, 2), [1, 2]),
        (b"bytes", "bytes"),
        (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (Decimal("1.50"), "1.50"),
        (PurePosixPath("/a/b"), "/a/b"),
        (_Place("Lisbon", date(2024, 5, 1)), {"name": "Lisbon", "since": "2024-05-01"}),
    ],
)
def test_common_values_beside_jsons_own_have_a_form(value: Any, stored: Any) -> None:
    assert json.loads(dump_payload({"x": [value]})) == {"x": [stored]}


_circle: dict[str, Any] = {}
_circle["self"] = _circle
_deep: list[Any] = []
for _ in range(100_000):
    _deep = [_deep]


@pytest.mark.parametrize(
    "value", [object(), object, print, {1, (2, 3)} and {(1, 2): 3}, b"\xff", _circle, 1j, _deep]
)
def test_what_has_no_form_in_json_is_refused(value: Any) -> None:
    with pytest.raises(ValidationError, match="cannot be stored as JSON") as caught:
        dump_payload({"x": value})
    assert caught.value.error_code == "VALIDATION_005"
    assert caught.value.suggestion


_floats = st.floats(-1e6, 1e6, width=32)


@examples(300)
@given(st.lists(_floats, min_size=1, max_size=20))
def test_a_vector_is_scaled_to_length_one(vector: list[float]) -> None:
    stored = load_vector(unit_vector(vector, len(vector)))
    length = math.hypot(*array("f", vector))
    if length <= 1.1920929e-7:
        assert stored == list(array("f", vector))
    else:
        assert math.hypot(*stored) == pytest.approx(1, abs=1e-5)
        assert stored == pytest.approx([number / length for number in vector], abs=1e-6)


@pytest.mark.parametrize(
    ("vector", "message"),
    [
        ([], "must not be empty"),
        ([1.0], "expected dim: 2, got 1"),
        ([1.0] * 3, "expected dim: 2, got 3"),
        ([math.nan, 1.0], "NaN"),
        ([math.inf, math.nan], "NaN"),
        ([math.inf, 1.0], "infinite"),
        ([1e39, 1.0], "infinite"),
    ],
)
def test_a_vector_that_cannot_be_compared_is_refused(vector: Any, message: str) -> None:
    with pytest.raises(VectorValueError, match=message) as caught:
        unit_vector(vector, 2)
    assert isinstance(caught.value, ValueError)
    assert caught.value.error_code == "VECTOR_001"


@given(st.text())
def test_terms_are_read_as_the_encoder_packs_them(text: str) -> None:
    encoder = TermEncoder()
    assert list(load_terms(encoder.packed(text))) == encoder.numbers(text)


def test_the_bytes_are_the_same_on_every_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    assert unit_vector([1.0, 0.0], 2) == b"\x00\x00\x80\x3f\x00\x00\x00\x00"
    assert list(load_terms(b"\x02\x01\x00\x00")) == [258]
    little = unit_vector([3.0, 4.0], 2)
    monkeypatch.setattr(codec, "_SWAP", True)
    assert load_vector(unit_vector([3.0, 4.0], 2)) == pytest.approx([0.6, 0.8])
    assert unit_vector([3.0, 4.0], 2) != little
    assert list(load_terms(b"\x02\x01\x00\x00")) == [0x02010000]


def test_a_payload_has_the_limits_of_what_comes_in() -> None:
    """Whoever hands it to the store, and whatever makes its levels."""
    inner: Any = 1
    for _ in range(99):
        inner = (inner,)
    assert load_payload(dump_payload({"k": inner, "text": "[{" * 500}))["text"] == "[{" * 500
    for payload in ({"k": [inner]}, {"k": [inner], "s": "\ud800"}, {"k": {"a": inner}}):
        with pytest.raises(ValidationError, match="nested more than 100 levels deep"):
            dump_payload(payload)


def test_a_payload_that_no_row_could_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "MAX_PAYLOAD_CHARACTERS", 1_000)
    with pytest.raises(ValidationError, match="more than 1,000 characters"):
        dump_payload({"data": "x" * 1_000})


class Stingy:
    """Has no numbers to give."""

    def __iter__(self) -> Iterator[float]:
        raise ValueError("no")


@pytest.mark.parametrize("vector", [
    None, 1.0, "12", b"\x00\x00\x80\x3f" * 2, bytearray(8), {1.0: 2, 2.0: 3}, {1.0, 2.0}, object(),
    ["1", "2"], [1.0, None], [None, None], [[1.0, 2.0]], [[1.0], [2.0]], [10**400, 1], [1.0, "x"],
    [1j, 2j], Stingy(), [object(), 1.0], range,
])  # fmt: skip
def test_what_is_no_list_of_numbers_is_refused_with_an_error_of_ours(vector: Any) -> None:
    with pytest.raises(VectorValueError, match=r"must be a list of numbers, not .+"):
        unit_vector(vector, 2)


@pytest.mark.parametrize(
    ("vector", "what"),
    [
        (None, "None"),
        ("12", "a str"),
        (range, "a type"),
        (["1", 2.0], "a list with str in it"),
        ((1.0, None), "a tuple with None in it"),
        ([[1.0, 2.0]], "a list with list in it"),
        ([10**400, 1], "numbers too large for a float"),
    ],
)
def test_the_error_says_what_stands_in_place_of_numbers(vector: Any, what: str) -> None:
    with pytest.raises(VectorValueError) as caught:
        unit_vector(vector, 2)
    assert caught.value.message == f"a vector must be a list of numbers, not {what}"


@pytest.mark.parametrize("vector", [[3, 4], (3.0, 4.0), array("d", [3, 4]), range(3, 5), [True, 0]])
def test_any_sequence_of_numbers_is_a_vector(vector: Any) -> None:
    assert len(load_vector(unit_vector(vector, 2))) == 2


@pytest.mark.parametrize("load", [load_vector, load_terms])
def test_stored_numbers_that_are_cut_off_are_damage(load: Any) -> None:
    with pytest.raises(MemoryCorruptionError, match="cut off after 7 bytes"):
        load(bytes(7))
