"""Scopes: whose memory it is. Every id that enters isomem passes through here."""

from __future__ import annotations

from isomem import log
from isomem.errors import ValidationError
from isomem.types import clone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

SCOPE_KEYS = ("user_id", "agent_id", "run_id")
_ESCAPES = str.maketrans({"%": "%25", "&": "%26", "=": "%3D"})


def check_id(value: Any, name: str) -> str | None:
    """`value` without the white space around it; None stays None.

    Raises:
        ValueError: not a string, blank, or with white space inside.
    """
    return None if value is None else _checked(value, name)


def _checked(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"Invalid {name}: must be a string, got {type(value).__name__}.")
    trimmed = value.strip()
    if not trimmed:
        raise ValueError(
            f"Invalid {name}: cannot be empty or whitespace-only. Provide a valid identifier."
        )
    if len(trimmed.split(None, 1)) > 1:
        raise ValueError(
            f"Invalid {name}: cannot contain whitespace. Provide a valid identifier without spaces."
        )
    return trimmed


def check_ids(ids: Mapping[str, Any]) -> dict[str, str]:
    """The ids that were given, checked, in the order of `SCOPE_KEYS`.

    Raises:
        ValueError: an id is not valid.
        ValidationError: VALIDATION_001, none was given.
    """
    given = {}
    for key in SCOPE_KEYS:
        value = ids.get(key)
        if value is not None:
            given[key] = _checked(value, key)
    if not given:
        raise ValidationError(
            "At least one of 'user_id', 'agent_id', or 'run_id' must be provided.",
            error_code="VALIDATION_001",
            details={"provided_ids": dict.fromkeys(SCOPE_KEYS)},
            suggestion="Please provide at least one identifier to scope the memory operation.",
        )
    return given


def check_filter_ids(filters: Mapping[str, Any] | None) -> dict[str, Any]:
    """A copy of `filters` with its top-level ids checked.

    Raises:
        ValueError: an id is not valid, or no id is there.
    """
    if filters is not None and not hasattr(filters, "items"):
        raise ValueError(f"filters must be a dict, got {type(filters).__name__}.")
    checked = dict(filters or {})
    for key in SCOPE_KEYS:
        if key in checked:
            checked[key] = check_id(checked[key], key)
    if not any(key in checked for key in SCOPE_KEYS):
        raise ValueError(
            "filters must contain at least one of: user_id, agent_id, run_id. "
            "Example: filters={'user_id': 'u1'}"
        )
    return checked


def refuse_top_level_ids(arguments: Mapping[str, Any], method: str) -> None:
    """Raises ValueError when an id was passed beside `filters` and not in it."""
    misplaced = frozenset(key for key in SCOPE_KEYS if key in arguments)
    if misplaced:
        raise ValueError(
            f"Top-level entity parameters {misplaced} are not supported in {method}(). "
            f"Use filters={{'user_id': '...'}} instead."
        )


def scope_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The ids among `fields` (filters or a payload) that have a value, in their order there."""
    return {key: value for key, value in fields.items() if key in SCOPE_KEYS and value}


def stamp(metadata: Mapping[str, Any] | None, ids: Mapping[str, str]) -> dict[str, Any]:
    """The fields that every memory of one `add` starts with: the caller's metadata and the ids.

    An id that is only in `metadata` does not count (divergence D-05): metadata must never put
    a memory into a scope that the call did not name.
    """
    return {**without_ids(metadata, keep=ids), **ids}


def without_ids(metadata: Mapping[str, Any] | None, keep: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of `metadata` without the ids that are not in `keep`.

    Raises:
        ValidationError: VALIDATION_005, `metadata` is not a dict.
    """
    if not metadata:
        return {}
    if not hasattr(metadata, "items"):
        raise ValidationError(
            f"metadata must be a dict, got {type(metadata).__name__}",
            error_code="VALIDATION_005",
            details={"provided_type": type(metadata).__name__},
        )
    try:
        fields: dict[str, Any] = clone(dict(metadata))
    except RecursionError:
        raise ValidationError(
            "metadata cannot be stored as JSON: it is nested too deeply",
            error_code="VALIDATION_005",
        ) from None
    for key in SCOPE_KEYS:
        if fields.get(key) is not None and key not in keep:
            log.warning("metadata cannot set %s: it was left out; pass it as an argument", key)
            del fields[key]
    return fields


def session_key(ids: Mapping[str, Any]) -> str:
    """The key of a session's message buffer: `agent_id=..&run_id=..&user_id=..`.

    `%`, `&` and `=` inside an id are percent-encoded (divergence D-06), so that no two scopes
    share a key; other ids have the key that upstream gives them.
    """
    named = [(key, ids.get(key)) for key in sorted(SCOPE_KEYS)]
    return "&".join(f"{key}={str(value).translate(_ESCAPES)}" for key, value in named if value)
