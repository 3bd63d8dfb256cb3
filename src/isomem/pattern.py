"""Regular expressions that are compiled when they are first used."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re


class Pattern:
    """A regular expression. Until `compiled` is asked for, `re` (a megabyte) is not loaded."""

    __slots__ = ("_compiled", "_flags", "_source")

    def __init__(self, source: str, flags: str = "") -> None:
        """`flags` as they stand inside a pattern: `i` for any case."""
        self._source = source
        self._flags = flags
        self._compiled: re.Pattern[str] | None = None

    @property
    def compiled(self) -> re.Pattern[str]:
        """The compiled expression."""
        if self._compiled is None:
            import re

            self._compiled = re.compile(f"(?{self._flags})" * bool(self._flags) + self._source)
        return self._compiled
