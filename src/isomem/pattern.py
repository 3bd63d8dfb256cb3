"""Regular expressions that are compiled when they are first used."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Iterator


class Pattern:
    """A regular expression, with those methods of a compiled one that are used here.

    The first call compiles it: `re` costs a megabyte, and most texts do not need it.

    Args:
        source: the expression.
        ignore_case: as `re.IGNORECASE`.
    """

    __slots__ = ("_compiled", "_ignore_case", "_source")

    def __init__(self, source: str, *, ignore_case: bool = False) -> None:
        self._source = source
        self._ignore_case = ignore_case
        self._compiled: re.Pattern[str] | None = None

    def _get(self) -> re.Pattern[str]:
        if self._compiled is None:
            import re

            self._compiled = re.compile(self._source, re.IGNORECASE if self._ignore_case else 0)
        return self._compiled

    def match(self, text: str) -> re.Match[str] | None:
        """The match at the beginning of a text."""
        return self._get().match(text)

    def fullmatch(self, text: str) -> re.Match[str] | None:
        """The match of a whole text."""
        return self._get().fullmatch(text)

    def search(self, text: str) -> re.Match[str] | None:
        """The first match in a text."""
        return self._get().search(text)

    def findall(self, text: str) -> list[str]:
        """All matches in a text, or their groups."""
        return self._get().findall(text)

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        """All matches in a text, one by one."""
        return self._get().finditer(text)

    def split(self, text: str) -> list[str]:
        """The text between the matches."""
        return self._get().split(text)

    def sub(self, replacement: str, text: str) -> str:
        """The text with every match replaced."""
        return self._get().sub(replacement, text)
