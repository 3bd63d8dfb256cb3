"""What `importlib.metadata` says of mem0ai while isomem stands in for it."""

from __future__ import annotations

import os
from importlib.metadata import Distribution

from isomem.types import PROFILES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

VERSION = PROFILES[0]
"""The release of mem0 whose names, signatures and behaviour these are."""

_METADATA = f"Metadata-Version: 2.1\nName: mem0ai\nVersion: {VERSION}\n"


class Mem0Distribution(Distribution):
    """Name and version, and no files: nothing of mem0ai is here."""

    stands_in = True

    def read_text(self, filename: str) -> str | None:
        """The metadata, or None for every other file."""
        return _METADATA if filename in ("METADATA", "PKG-INFO") else None

    def locate_file(self, path: str | os.PathLike[str]) -> Path:
        """A path that does not exist."""
        from pathlib import Path

        return Path(os.devnull, path)
