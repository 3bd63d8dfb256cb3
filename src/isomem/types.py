"""Small values that every layer knows."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Protocol

    Json = dict[str, Any]
    """A JSON object, as a front end shows it."""
    Vector = Sequence[float]
    Payload = dict[str, Any]
    Filters = dict[str, Any]
    Message = dict[str, Any]

    class Hit(Protocol):
        """One point found or listed. `score` is the cosine similarity, or the raw BM25 score."""

        @property
        def id(self) -> str: ...
        @property
        def score(self) -> float: ...
        @property
        def payload(self) -> Payload: ...


LARGEST_INT = 2**63 - 1
"""The largest whole number that databases store as one."""

SCOPE_KEYS = ("user_id", "agent_id", "run_id")
"""The ids that say whose memory it is."""

RANKINGS = ("contract", "fused")
"""The names of the rankings; the first one is the default."""

PROFILES = ("2.0.4", "2.2.1")
"""The releases of mem0 whose behaviour a memory can have; the first one is the default."""

SUPERSEDING = ("off", "similar", "model")
"""How it is decided which stored facts a new one supersedes; the first one is the default."""
ORDERS = ("id", "oldest", "newest")
"""The orders in which memories are listed; the first one is the default."""

PROCEDURAL = "procedural_memory"
"""The one `memory_type` that `add` takes."""

CHUNK_MESSAGES = 10
"""The default maximum number of messages in one chunk of an ingest."""


class Unchanged:
    """The default of an argument that has a meaning for None: what is stored stays as it is."""

    def __repr__(self) -> str:
        return "UNCHANGED"


UNCHANGED = Unchanged()

_FLAT = frozenset((str, int, float, bool, type(None)))


def clone(value: Any) -> Any:
    """A copy of `value` that shares no dict and no list with it."""
    if isinstance(value, dict):
        if _FLAT.issuperset(map(type, value.values())):
            return dict(value)
        return {
            key: clone(item) if isinstance(item, (dict, list)) else item
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [clone(item) for item in value]
    return value


def is_unicode(text: str) -> bool:
    """Whether UTF-8 can encode the text: it cannot encode half of a surrogate pair."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
