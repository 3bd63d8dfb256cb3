"""Periods: what a query names is what a calendar says, and nothing else is a date."""

from __future__ import annotations

import calendar
from datetime import date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomem.contract.periods import DAY_S, UNKNOWN, moment_of, period_in

EPOCH = date(1970, 1, 1)
LATEST = (date(2023, 10, 3) - EPOCH).days * DAY_S + 600.0

days = st.dates(date(1900, 1, 1), date(2099, 12, 31))
months = [calendar.month_name[number] for number in range(1, 13)]


def seconds(day: date) -> float:
    return float((day - EPOCH).days * DAY_S)


def around(day: date) -> tuple[float, float]:
    return seconds(day) - DAY_S, seconds(day) + 2 * DAY_S


def month_of(year: int, month: int) -> tuple[float, float]:
    after = date(year + month // 12, month % 12 + 1, 1)
    return seconds(date(year, month, 1)), seconds(after)


def suffix(day: int) -> str:
    return "th" if 10 <= day <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")


@given(days, st.booleans(), st.sampled_from(["What happened on {}?", "{}", "({})", "by {}, again"]))
def test_a_day_in_any_form_is_that_day_with_those_beside_it(
    day: date, short: bool, sentence: str
) -> None:
    name = months[day.month - 1]
    name = name[:3] if short else name
    for text in (
        f"{day:%Y-%m-%d}", f"{day.day} {name} {day.year}", f"{day:%d} {name.lower()}, {day.year}",
        f"{name} {day.day}, {day.year}", f"{name.upper()} {day.day}{suffix(day.day)} {day.year}",
        f"the {day.day}{suffix(day.day)} of {name} {day.year}", f"{name}. {day.day} {day.year}",
    ):  # fmt: skip
        assert period_in(sentence.format(text), UNKNOWN) == around(day), text


@given(st.integers(1900, 2099), st.integers(1, 12))
def test_a_month_is_all_of_it(year: int, month: int) -> None:
    name = months[month - 1]
    forms = (f"{year}-{month:02}", f"in {name} {year}", f"{name[:3]}, {year}", f"{name} of {year}")
    for text in forms:
        assert period_in(text, UNKNOWN) == month_of(year, month), text


@given(st.integers(1900, 2099))
def test_a_year_is_all_of_it(year: int) -> None:
    expected = seconds(date(year, 1, 1)), seconds(date(year + 1, 1, 1))
    for text in (f"in {year}", f"{year}?", f"the summer of {year}."):
        assert period_in(text, UNKNOWN) == expected


@given(days, days)
def test_without_a_year_it_is_the_latest_that_had_begun(day: date, latest: date) -> None:
    found = period_in(f"on {months[day.month - 1]} {day.day}", seconds(latest))
    assert found is not None
    middle = EPOCH + timedelta(days=found[0] // DAY_S + 1)
    assert (middle.month, middle.day) == (day.month, day.day)
    assert found[0] <= seconds(latest)
    longest = 8 * 366 if (day.month, day.day) == (2, 29) else 366
    assert seconds(latest) - found[0] <= (longest + 1) * DAY_S


@pytest.mark.parametrize(
    ("text", "day"),
    [("in May", (2023, 5)), ("IN MAY?", (2023, 5)), ("last december", (2022, 12)),
     ("during October", (2023, 10)), ("by June", (2023, 6)), ("in november", (2022, 11))],
)  # fmt: skip
def test_a_month_without_a_year_needs_a_preposition(text: str, day: tuple[int, int]) -> None:
    assert period_in(text, LATEST) == month_of(*day)
    assert period_in(text, UNKNOWN) is None


@pytest.mark.parametrize(
    "text",
    ["", "I may go", "march on", "May we?", "the room 101", "it costs $2000", "2000.50", "12:30",
     "1999-2003", "call 555-2023", "3.5 mayors", "2023x", "12023", "may 7pm", "a sunday"],
)  # fmt: skip
def test_what_is_not_a_date_names_no_period(text: str) -> None:
    assert period_in(text, LATEST) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [("in 2022, on 7 May 2023", around(date(2023, 5, 7))),
     ("June 2022 or 2023-05-07", around(date(2023, 5, 7))),
     ("1 May 2022 and 7 May 2023", around(date(2022, 5, 1))),
     ("31 Feb 2023", month_of(2023, 2)), ("2023-13-01, in 2022", (seconds(date(2022, 1, 1)),
      seconds(date(2023, 1, 1)))), ("2023-05-07T10:00", around(date(2023, 5, 7)))],
)  # fmt: skip
def test_the_first_of_the_most_exact_form_counts(text: str, expected: tuple[float, float]) -> None:
    assert period_in(text, LATEST) == expected


@given(st.text(), st.floats(-1e9, 4e9) | st.just(UNKNOWN))
def test_any_text_is_read(text: str, latest: float) -> None:
    found = period_in(text, latest)
    assert found is None or found[0] < found[1]


@given(st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)), st.integers(-12, 12))
def test_a_time_is_what_the_clock_on_the_wall_showed(moment: datetime, hours: int) -> None:
    expected = (moment - datetime(1970, 1, 1)) // timedelta(seconds=1)
    dated = moment.replace(tzinfo=timezone(timedelta(hours=hours)))
    for text in (moment.isoformat(), dated.isoformat(), f"{moment.isoformat(' ')}Z"):
        assert moment_of(None, text) == expected
        assert moment_of(text, "2020-01-01") == expected
        assert moment_of("soon", text) == expected
    assert moment_of(f"{moment:%Y-%m-%d}".rjust(10, "0"), None) == seconds(moment.date())


@pytest.mark.parametrize("value", [None, "", "soon", 5, 2023.0, ["2023-01-01"], "2023-02-30",
                                   "2023-01-01T25:00", "20230101", True])  # fmt: skip
def test_what_is_not_a_time_is_unknown(value: object) -> None:
    assert moment_of(value, value) == UNKNOWN
