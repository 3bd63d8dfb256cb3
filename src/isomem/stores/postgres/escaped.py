"""Texts as PostgreSQL can store them: a NUL, which it cannot store, is written as two characters.

The first of the two is one for private use, which is then written as two characters itself.
"""

from __future__ import annotations

from isomem.types import is_unicode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NUL = "\0"
_ESCAPE, _NUL, _ITSELF = "\ue000", "\ue000N", "\ue000E"


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
