"""md5 without OpenSSL."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hashlib import md5
else:
    try:
        # What hashlib.md5 falls back to. Importing hashlib loads OpenSSL, which costs 4 MB.
        from _md5 import md5
    except ImportError:
        from hashlib import md5


def md5_hex(text: str) -> str:
    """The md5 of the UTF-8 bytes of `text`, in hex. It finds equal texts; it protects nothing."""
    return md5(text.encode(), usedforsecurity=False).hexdigest()
