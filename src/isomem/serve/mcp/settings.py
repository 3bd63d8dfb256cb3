"""Settings of the MCP server: the section `mcp` of the configuration, and its variables."""

from __future__ import annotations

from isomem.options import SWITCH, TEXT, Option, optional, read_table, whole
from isomem.types import SCOPE_KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

TABLE = (
    Option("user_id", None, optional(TEXT), "the user whose memories these are, over stdio"),
    Option("agent_id", None, optional(TEXT), "the agent, likewise"),
    Option("run_id", None, optional(TEXT), "the run, likewise"),
    Option("allow_scope", False, SWITCH, "whether the model may name another user, agent or run"),
    Option("infer", True, SWITCH, "whether `add_memory` extracts facts if it is not told"),
    Option("max_tokens", 2000, whole(100, 1_000_000), "the most tokens of memories in one answer"),
)
"""The options of the section `mcp`."""


def variable_of(key: str) -> str:
    """The short name of the variable of an id, such as ISOMEM_USER_ID."""
    return f"ISOMEM_{key}".upper()


class Settings:
    """The options of `TABLE`, by attribute.

    Args:
        given: options by name; the others have their defaults.

    Raises:
        InvalidConfigError: an unknown option, or a wrong value.
    """

    user_id: str | None
    agent_id: str | None
    run_id: str | None
    allow_scope: bool
    infer: bool
    max_tokens: int

    def __init__(self, given: Mapping[str, object] | None = None) -> None:
        self.__dict__.update(read_table(given, TABLE, "mcp"))

    @property
    def ids(self) -> dict[str, str]:
        """The ids that are set."""
        return {key: value for key in SCOPE_KEYS if (value := getattr(self, key)) is not None}
