"""`datetime` in C only: importing the module by its usual name also loads its Python copy."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime, timedelta, timezone
else:
    try:
        from _datetime import datetime, timedelta, timezone
    except ImportError:  # Interpreters other than CPython may not have this module.
        from datetime import datetime, timedelta, timezone

__all__ = ["datetime", "timedelta", "timezone"]
