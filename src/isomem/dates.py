"""`datetime` without its copy in Python: importing the module by name would load both."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime, timedelta, timezone
else:
    try:
        from _datetime import datetime, timedelta, timezone
    except ImportError:  # Another interpreter than CPython may have no such module.
        from datetime import datetime, timedelta, timezone

__all__ = ["datetime", "timedelta", "timezone"]
