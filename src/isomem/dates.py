"""`datetime` in C only: importing the module by its usual name also loads its Python copy.

And one form for moments.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import date, datetime, timedelta, timezone
else:
    try:
        from _datetime import date, datetime, timedelta, timezone
    except ImportError:  # Interpreters other than CPython may not have this module.
        from datetime import date, datetime, timedelta, timezone

__all__ = ["date", "datetime", "timedelta", "timezone", "utc_text"]


def utc_text(moment: datetime) -> str:
    """A moment in ISO 8601, in UTC; one without a zone is in UTC already.

    Raises:
        OverflowError: in UTC it is before year 1 or after 9999.
    """
    aware = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    return aware.astimezone(timezone.utc).isoformat()
