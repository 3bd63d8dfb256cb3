"""`mem0.proxy.main`: a chat that remembers. It can be named, but isomem does not have it yet."""

from __future__ import annotations

from isomem.errors import InvalidConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn


class _Lacking:
    """Making one raises ConfigurationError."""

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        raise InvalidConfigError(
            f"{type(self).__name__} is not in isomem yet",
            error_code="CONFIG_001",
            suggestion="Use Memory: its `context` and `remember` make a chat that remembers.",
        )


class Mem0(_Lacking):
    """mem0's; making one raises ConfigurationError."""


class Chat(_Lacking):
    """The same."""


class Completions(_Lacking):
    """The same."""

    def create(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Raises ConfigurationError."""
        raise InvalidConfigError("It is not in isomem yet", error_code="CONFIG_001")
