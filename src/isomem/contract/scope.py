"""Scopes: whose memory it is."""

from __future__ import annotations

from isomem import log
from isomem.contract.arguments import check_metadata
from isomem.types import SCOPE_KEYS, clone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_ESCAPES = str.maketrans({"%": "%25", "&": "%26", "=": "%3D"})


def scope_of(fields: Mapping[str, object]) -> dict[str, Any]:
    """The ids among `fields` (filters or a payload) that have a value, in their order there."""
    return {key: value for key, value in fields.items() if key in SCOPE_KEYS and value}


def stamp(metadata: Mapping[str, object] | None, ids: Mapping[str, str]) -> dict[str, object]:
    """The fields that every memory of one `add` starts with: the caller's metadata and the ids.

    An id that is only in `metadata` does not count (divergence D-05): metadata must never put
    a memory into a scope that the call did not name.
    """
    return {**without_ids(metadata, keep=ids), **ids} if metadata else dict(ids)


def without_ids(
    metadata: Mapping[str, object] | None, keep: Mapping[str, object]
) -> dict[str, object]:
    """A copy of `metadata` without the ids that are not in `keep`.

    Raises:
        ValidationError: VALIDATION_005, `metadata` is not a dict, or is too deep or large.
    """
    fields: dict[str, object] = clone(dict(check_metadata(metadata)))
    for key in SCOPE_KEYS:
        if fields.get(key) is not None and key not in keep:
            log.warning("metadata cannot set %s: it was left out; pass it as an argument", key)
            del fields[key]
    return fields


def session_key(ids: Mapping[str, object]) -> str:
    """The key of a session's message buffer: `agent_id=..&run_id=..&user_id=..`.

    `%`, `&` and `=` inside an id are percent-encoded (divergence D-06), so that no two scopes
    share a key; other ids have the key that upstream gives them.
    """
    named = [(key, ids.get(key)) for key in sorted(SCOPE_KEYS)]
    return "&".join(f"{key}={str(value).translate(_ESCAPES)}" for key, value in named if value)
