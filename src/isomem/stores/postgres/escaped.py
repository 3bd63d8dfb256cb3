"""Texts as PostgreSQL can store them: a NUL, which it cannot store, is written as two characters.

The first of the two is one for private use, which is then written as two characters itself.
"""

from __future__ import annotations

from isomem.errors import ValidationError
from isomem.types import is_unicode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NUL = "\0"
_ESCAPE, _NUL, _ITSELF = "\ue000", "\ue000N", "\ue000E"
MOST_BYTES = 2_600
"""What a text in an index may take: the server's limit is 2,704 for an entry with all its columns,
of texts that it cannot compress."""


def escaped(text: str) -> str:
    """A text as it is stored."""
    if NUL in text or _ESCAPE in text:
        return text.replace(_ESCAPE, _ITSELF).replace(NUL, _NUL)
    return text


def restored(text: str) -> str:
    """The text of which this is the stored form."""
    if _ESCAPE in text:
        return text.replace(_NUL, NUL).replace(_ITSELF, _ESCAPE)
    return text


def restored_all(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """A stored row with its texts as they were."""
    return tuple(restored(value) if isinstance(value, str) else value for value in row)


def is_storable_id(text: str) -> bool:
    """Whether a text can be an id of a point, which is stored as it is."""
    return NUL not in text and is_unicode(text)


def fits(text: str) -> bool:
    """Whether an index holds a text, as it is stored, even if it cannot be compressed."""
    return len(text.encode()) <= MOST_BYTES


def check_length(text: str, what: str) -> None:
    """Checks that an index holds a text.

    Args:
        text: as it is stored.
        what: it is, for the error.

    Raises:
        ValidationError: VALIDATION_005, it is too long.
    """
    if not fits(text):
        size = len(text.encode())
        raise ValidationError(
            f"{text!r:.60}... cannot be stored as {what} in PostgreSQL: it takes {size} bytes, and "
            f"an index holds {MOST_BYTES} bytes",
            error_code="VALIDATION_005",
            suggestion="Use shorter ids, such as a hash of these.",
        )
