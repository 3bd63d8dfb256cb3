"""What hides a memory, and what is found in spite of it."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomem.clock import Clock
from isomem.contract.visibility import (
    Visibility,
    check_expiration_date,
    expiry_fields,
    is_expired,
)
from tests.unit.store.fuzz import examples

FIELD = "isomem_expiration_date"


class Fixed(Clock):
    """Always the same day; counts how often it is asked."""

    def __init__(self, today: date) -> None:
        self._today = today.isoformat()
        self.asked = 0

    def today(self) -> str:
        self.asked += 1
        return self._today


@given(st.dates(), st.dates())
@examples(200)
def test_a_memory_is_expired_once_its_day_is_over(expires: date, today: date) -> None:
    assert is_expired(expiry_fields(expires), Fixed(today)) == (expires < today)


VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=12)


@given(st.dictionaries(st.sampled_from([FIELD, "expiration_date", "data"]), VALUES))
@examples(300)
def test_only_a_date_in_the_field_hides(payload: dict[str, Any]) -> None:
    value = payload.get(FIELD)
    try:
        wanted = bool(value) and date.fromisoformat(str(value)) < date(2024, 5, 1)
    except ValueError:
        wanted = False
    assert Visibility(Fixed(date(2024, 5, 1))).hides(payload) == wanted
    assert not Visibility(Fixed(date(2024, 5, 1)), show_expired=True).hides(payload)


def test_the_clock_is_not_asked_about_a_memory_without_a_date() -> None:
    clock = Fixed(date(2024, 5, 1))
    Visibility(clock).hides({"data": "tea", "expiration_date": "2020-01-01"})
    Visibility(clock, show_expired=True).hides({FIELD: "2020-01-01"})
    assert clock.asked == 0


@given(st.dates(), st.times())
@examples(100)
def test_every_form_of_a_date_is_stored_as_the_same_text(day: date, time: Any) -> None:
    forms = (day, day.isoformat(), datetime.combine(day, time))
    assert {check_expiration_date(form) for form in forms} == {day.isoformat()}


@pytest.mark.parametrize("wrong", [None, 5, b"2024-05-01", [], "", "May", "2024-02-30"])
def test_what_is_not_a_date_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"expiration_date must be a .*date.* YYYY-MM-DD format"):
        check_expiration_date(wrong)


# --- The first that are shown ----------------------------------------------------------------

GONE, KEPT = {FIELD: "2020-01-01"}, {FIELD: "9000-01-01"}
VISIBILITY = Visibility(Fixed(date(2024, 5, 1)))


class Found:
    """A hit of a store."""

    def __init__(self, payload: Any) -> None:
        self.payload = payload


@given(st.lists(st.booleans(), max_size=80), st.integers(0, 90), st.integers(1, 100))
@examples(300)
def test_the_first_shown_are_those_of_the_whole_list(
    hidden: list[bool], top_k: int, most: int
) -> None:
    """`most` is what a store returns at once, whatever it is asked for."""
    points = [Found(GONE if each else KEPT) for each in hidden]
    asked: list[int] = []

    def ask(number: int) -> list[Found]:
        asked.append(number)
        return points[: min(number, most)]

    found = VISIBILITY.first_shown(ask, top_k)
    assert list(found) == [each for each in points[:most] if each.payload is KEPT][:top_k]
    assert asked == [top_k * 2**step for step in range(len(asked))]
    if not any(hidden[:top_k]):
        assert asked == [top_k]


def test_a_hit_may_be_a_dict_and_have_no_payload() -> None:
    hits: list[Any] = [Found(None), Found({}), {"id": "1"}, {"payload": KEPT}, Found(KEPT)]
    assert VISIBILITY.shown([*hits, {"payload": GONE}, Found(GONE)]) == hits


def test_a_store_that_returns_too_much_is_left_alone_if_nothing_is_hidden() -> None:
    points = [Found(GONE), Found(KEPT), Found(KEPT)]
    assert VISIBILITY.first_shown(lambda _: points[1:], 1) == points[1:]
    assert VISIBILITY.first_shown(lambda _: points, 2) == points[1:]
    assert VISIBILITY.first_shown(lambda _: points, 1) == points[1:2]
