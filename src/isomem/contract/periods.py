"""Periods: the days that a query names, and the time of a memory. English month names, and ISO.

Times are seconds since 1970 as a clock on the wall would show them where the text was written: an
offset from UTC is left out, since people ask for the day that they remember.
"""

from __future__ import annotations

from isomem.dates import datetime
from isomem.pattern import Pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from re import Match

    Period = tuple[float, float]
    """Where it begins and where it has ended."""
    Named = tuple[int | None, int | None, int | None]
    """Year, month and day as they are named; None for what is not."""

DAY_S = 86_400
UNKNOWN = float("-inf")
"""The time of a memory that has none."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NAME = (
    r"(?P<name>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_DAY = r"(?P<day>[0-3]?\d)(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>(?:19|20)\d\d)"
_ALONE = r"(?![\w:/-]|[.,]\d)"
"""Nothing follows that would make it another number."""
_FIRST = r"(?<![\w.,:/$\u20ac\u00a3-])"
"""Nothing precedes that would make it another number."""
_THEN_YEAR = rf"(?:,?\s+(?:of\s+)?{_YEAR}{_ALONE})?"
_IN = r"\b(?:in|during|since|until|by|from|of|around|early|mid|late|last|this)\s+"

_FORMS = tuple(
    Pattern(source, ignore_case=True)
    for source in (
        rf"{_FIRST}{_YEAR}-(?P<month>[01]\d)-(?P<day>[0-3]\d)(?![\d-])",
        rf"{_FIRST}{_DAY}\s+(?:of\s+)?{_NAME}{_THEN_YEAR}",
        rf"\b{_NAME}\s+(?:the\s+)?{_DAY}{_ALONE}{_THEN_YEAR}",
        rf"{_FIRST}{_YEAR}-(?P<month>[01]\d){_ALONE}",
        rf"\b{_NAME},?\s+(?:of\s+)?{_YEAR}{_ALONE}",
        rf"{_IN}{_NAME}",
        rf"{_FIRST}{_YEAR}{_ALONE}",
    )
)
"""The forms that name a period, the more exact ones first."""

_ISO = Pattern(r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d))?)?")
_EARLIER_YEARS = 8
"""How far back a year is looked for: a 29th of February is at most that far away."""


def moment_of(event_time: object, created_at: object) -> float:
    """The time of a memory, in whole seconds: when it happened, or else when it was stored.

    Args:
        event_time, created_at: of its payload, in ISO 8601; anything else is not a time.

    Returns:
        `UNKNOWN` if neither is a time.
    """
    moments = map(_moment, (event_time, created_at))
    return next((moment for moment in moments if moment is not None), UNKNOWN)


def _moment(text: object) -> float | None:
    found = _ISO.match(text) if isinstance(text, str) else None
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups())
    try:
        moment = datetime(year, month, day, hour, minute, second)
    except ValueError:
        return None
    return _start_of(moment) + 3600 * hour + 60 * minute + second


def period_in(text: str, latest: float) -> Period | None:
    """The period that a query names; a day is a period of three days with that one in the middle.

    Known forms: "2023-05-07", "7 May 2023", "7th of May", "May 7, 2023", "2023-05", "May 2023",
    "in May", "2023". If there are several, the first one of the most exact form counts.

    Args:
        latest: the latest time in the scope. A period without a year is in the latest year in
            which it had begun by then.

    Returns:
        None if the query names none, or if the year is missing and `latest` is `UNKNOWN`.
    """
    if not any(map(str.isdigit, text)) and not _mentions_month(text):
        return None
    for form in _FORMS:
        for match in form.finditer(text):
            period = _dated(_named(match), latest)
            if period is not None:
                return period
    return None


def _mentions_month(text: str) -> bool:
    lower = text.lower()
    return any(month in lower for month in _MONTHS)


def _named(match: Match[str]) -> Named:
    parts = match.groupdict()
    year, month, day = (int(parts[key]) if parts.get(key) else None for key in _KEYS)
    if month is None and "name" in parts:
        month = _MONTHS.index(parts["name"][:3].lower()) + 1
    return year, month, day


_KEYS = ("year", "month", "day")


def _dated(named: Named, latest: float) -> Period | None:
    """The period of that name; None if the calendar does not have it."""
    year, month, day = named
    if year is not None:
        return _period(year, month, day)
    if latest == UNKNOWN:
        return None
    last = datetime.fromordinal(int(latest // DAY_S) + _EPOCH).year
    years = range(last, max(0, last - _EARLIER_YEARS), -1)
    periods = (_period(each, month, day) for each in years)
    return next((each for each in periods if each and each[0] <= latest), None)


def _period(year: int, month: int | None, day: int | None) -> Period | None:
    after = (year, month + 1) if month and month < 12 else (year + 1, 1)
    try:
        start = _start_of(datetime(year, month or 1, day or 1))
        end = _start_of(datetime(*after, 1))
    except ValueError:
        return None
    return (start, end) if day is None else (start - DAY_S, start + 2 * DAY_S)


_EPOCH = datetime(1970, 1, 1).toordinal()


def _start_of(day: datetime) -> float:
    return float(DAY_S * (day.toordinal() - _EPOCH))
