"""Moments: when something was said, in the forms in which callers give it."""

from __future__ import annotations

from isomem.contract.arguments import shown
from isomem.contract.filters import parse_datetime
from isomem.dates import datetime, timezone, utc_text
from isomem.errors import ValidationError

EVENT_TIME = "event_time"
"""The field of a memory that says when it was said, if the caller knows: ISO 8601, in UTC."""


def check_timestamp(value: object) -> datetime:
    """`value` as a moment with a time zone; UTC if it does not name one.

    Args:
        value: a datetime or date, seconds since 1970, or text in ISO 8601. A date is its midnight.

    Raises:
        ValidationError: VALIDATION_006, it is something else, or before year 1 or after 9999.
    """
    try:
        moment = _moment(value)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
        utc_text(moment)
    except (AttributeError, TypeError, ValueError, OverflowError, OSError):
        raise ValidationError(
            f"timestamp is not a moment: {shown(value)}",
            error_code="VALIDATION_006",
            suggestion="Pass a datetime, seconds since 1970, or text like 2026-05-07T18:30:00Z.",
        ) from None
    return moment


def _moment(value: object) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return datetime.fromtimestamp(value, timezone.utc)
    text = (value if isinstance(value, str) else value.isoformat()).strip()  # type: ignore[attr-defined]
    return _parsed(text)


def _parsed(text: str) -> datetime:
    try:
        # Python 3.10 does not accept the Z, and accepts fractions of three and six digits only.
        return datetime.fromisoformat(f"{text[:-1]}+00:00" if text[-1:] in ("Z", "z") else text)
    except ValueError:
        found = parse_datetime(text)
        if found is None:
            raise
        return found
