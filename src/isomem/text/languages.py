"""The languages for keywords, by their Snowball names."""

from __future__ import annotations

LANGUAGES = (
    "arabic", "danish", "dutch", "english", "finnish", "french", "german", "greek", "hungarian",
    "italian", "norwegian", "portuguese", "romanian", "russian", "spanish", "swedish", "tamil",
    "turkish",
)  # fmt: skip

DEFAULT_LANGUAGE = "english"
