"""The private functions of `mem0.memory.main` that published programs import, by isomem's rules."""

from __future__ import annotations

from copy import deepcopy

from isomem.contract.arguments import check_ids
from isomem.contract.scope import session_key
from isomem.dates import utc_text
from isomem.types import SCOPE_KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def _reject_top_level_entity_params(kwargs: Mapping[str, object], method_name: str) -> None:
    """Raises ValueError if an id is among the arguments of a call that takes it in `filters`."""
    found = set(SCOPE_KEYS) & set(kwargs)
    if found:
        raise ValueError(
            f"Top-level entity parameters {found} are not supported in {method_name}(). "
            "Use filters={'user_id': '...'} instead."
        )


def _validate_and_trim_entity_id(value: str | None, name: str) -> str | None:
    """An id without white space around it, or None.

    Raises:
        ValueError: it is blank, or has white space inside.
    """
    if value is None:
        return None
    trimmed = value.strip()
    if not trimmed:
        raise ValueError(
            f"Invalid {name}: cannot be empty or whitespace-only. Provide a valid identifier."
        )
    if any(character.isspace() for character in trimmed):
        raise ValueError(
            f"Invalid {name}: cannot contain whitespace. Provide a valid identifier without spaces."
        )
    return trimmed


def _validate_search_params(threshold: object = None, top_k: object = None) -> None:
    """Raises ValueError if `threshold` is not in 0..1, or `top_k` is not a whole number from 0."""
    if threshold is not None:
        if not isinstance(threshold, (int, float)):
            raise ValueError("threshold must be a valid number")
        if not 0 <= threshold <= 1:
            raise ValueError(
                f"Invalid threshold: {threshold}. Must be between 0 and 1 (inclusive)."
            )
    if top_k is not None:
        if not isinstance(top_k, int) or isinstance(top_k, bool):
            raise ValueError("top_k must be a valid integer")
        if top_k < 0:
            raise ValueError(f"Invalid top_k: {top_k}. Must be a non-negative integer.")


def _safe_deepcopy_config(config: Any) -> Any:
    """A copy of a configuration; what cannot be copied is shared."""
    try:
        return deepcopy(config)
    except Exception:  # noqa: BLE001 - a client in it may raise anything
        made = object.__new__(type(config))
        vars(made).update(vars(config))
        return made


def _normalize_iso_timestamp_to_utc(timestamp: str | None) -> str | None:
    """A time in ISO 8601 in UTC; one without a zone, and any other text, stays as it is."""
    from datetime import datetime

    if not timestamp:
        return timestamp
    try:
        moment = datetime.fromisoformat(timestamp)
    except ValueError:
        return timestamp
    return timestamp if moment.tzinfo is None else utc_text(moment)


def _build_filters_and_metadata(
    *,
    user_id: str | None = None,
    agent_id: str | None = None,
    run_id: str | None = None,
    actor_id: str | None = None,
    input_metadata: Mapping[str, Any] | None = None,
    input_filters: Mapping[str, Any] | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The payload's first fields, and the filters, of a call for a scope.

    Raises:
        ValidationError: VALIDATION_001, no id was given.
        ValueError: an id is not valid.
    """
    given = {"user_id": user_id, "agent_id": agent_id, "run_id": run_id}
    ids = check_ids({k: _validate_and_trim_entity_id(v, k) for k, v in given.items()})
    metadata = {**deepcopy(dict(input_metadata or {})), **ids}
    filters = {**deepcopy(dict(input_filters or {})), **ids}
    actor = actor_id or filters.get("actor_id")
    return metadata, {**filters, "actor_id": actor} if actor else filters


def _build_session_scope(filters: Mapping[str, Any]) -> str:
    """The key of a session's messages."""
    return session_key(filters)
