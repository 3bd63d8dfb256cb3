"""Scopes: the ids that say whose memory it is."""

from __future__ import annotations

from isomem.types import SCOPE_KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_ESCAPES = str.maketrans({"%": "%25", "&": "%26", "=": "%3D"})


def scope_of(fields: Mapping[str, object]) -> dict[str, Any]:
    """The ids among `fields` (filters or a payload) that have a value, in the same order."""
    return {key: value for key, value in fields.items() if key in SCOPE_KEYS and value}


def session_key(ids: Mapping[str, object]) -> str:
    """The key of a session's message buffer: `agent_id=..&run_id=..&user_id=..`.

    `%`, `&` and `=` inside an id are percent-encoded (divergence D-06), so that no two scopes
    share a key. Other ids give the same key as in upstream.
    """
    named = [(key, ids.get(key)) for key in sorted(SCOPE_KEYS)]
    return "&".join(f"{key}={str(value).translate(_ESCAPES)}" for key, value in named if value)
