"""`mem0.memory.telemetry` and `mem0.memory.setup`: isomem reports nothing and writes no such file.

Everything here can be called and does nothing. Nobody is identified: the only id that there is
says so.
"""

from __future__ import annotations

from isomem.compat.sections import home_dir, mem0_dir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "AnonymousTelemetry",
    "capture_client_event",
    "capture_event",
    "client_telemetry",
    "get_or_create_user_id",
    "get_user_id",
    "home_dir",
    "is_aliased",
    "mark_aliased",
    "mem0_dir",
    "read_anon_ids",
    "setup_config",
]

MEM0_TELEMETRY = False
MEM0_TELEMETRY_SAMPLE_RATE = 0.0
PROJECT_API_KEY = ""
HOST = ""

_NOBODY = "anonymous_user"
VECTOR_ID = _NOBODY


class AnonymousTelemetry:
    """Reports nothing.

    Attributes:
        posthog: None; programs ask whether there is one.
        user_id: None.
    """

    def __init__(self, vector_store: object = None, before_send: object = None) -> None:
        del vector_store, before_send
        self.posthog = None
        self.user_id = None

    def capture_event(
        self, event_name: str, properties: object = None, user_email: object = None
    ) -> None:
        """Nothing."""

    def capture_identify(self, anon_id: object, email: object) -> bool:
        """False: nobody was identified."""
        del anon_id, email
        return False

    def close(self) -> None:
        """Nothing."""


client_telemetry = AnonymousTelemetry()


def capture_event(
    event_name: str, memory_instance: object = None, additional_data: object = None
) -> None:
    """Nothing."""


def capture_client_event(
    event_name: str, instance: object = None, additional_data: object = None
) -> None:
    """Nothing."""


def setup_config() -> None:
    """Nothing: mem0 writes an id for its telemetry here."""


def get_user_id() -> str:
    """The id of somebody who is not identified."""
    return _NOBODY


def get_or_create_user_id(vector_store: object = None) -> str:
    """As `get_user_id`; nothing is stored."""
    del vector_store
    return _NOBODY


def read_anon_ids() -> dict[str, Any]:
    """No ids."""
    return {"oss": None, "cli": None, "aliased_pairs": []}


def is_aliased(anon_id: object, email: object) -> bool:
    """False."""
    del anon_id, email
    return False


def mark_aliased(anon_id: object, email: object) -> None:
    """Nothing."""
