"""What the caller of a client passes, as JSON that a service reads as `Memory` would.

JSON has no dates, no UUIDs, no tuples and no sets. Where `Memory` takes one, what is sent means the
same. Where it does not, or where JSON would hide a mistake, the error is raised here.
"""

from __future__ import annotations

from isomem.contract.arguments import (
    check_filters,
    check_history_id,
    check_id,
    check_memory_id,
    check_metadata,
    check_threshold,
    shown,
    size_fault,
)
from isomem.contract.filters import compile_filters, translate
from isomem.contract.moments import check_timestamp
from isomem.contract.visibility import check_expiration_date
from isomem.dates import datetime, utc_text
from isomem.errors import ValidationError
from isomem.store.codec import dump_payload, load_payload
from isomem.text.messages import Conversation
from isomem.types import SCOPE_KEYS, UNCHANGED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    Arguments = dict[str, Any]

_SCALARS = (str, int, float, type(None))


class _UnsayableError(Exception):
    """JSON cannot say this."""


def to_send(call: str, given: Mapping[str, Any]) -> Arguments:
    """The arguments of a call as JSON.

    Args:
        given: those that the caller has passed, by name.

    Raises:
        ValidationError, ValueError: as the method of `Memory`, or JSON cannot say it.
    """
    forms = {**_FORMS, "memory_id": check_history_id} if call == "history" else _FORMS
    return {
        name: _sent(name, value, forms.get(name))
        for name, value in given.items()
        if value is not UNCHANGED
    }


def _sent(name: str, value: object, form: Callable[[Any], object] | None) -> object:
    import json

    if form is not None and value is not None:
        value = form(value)
    try:
        json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        raise ValueError(
            f"Invalid {name}: {shown(value):.200}. It cannot be sent to a service."
        ) from None
    return value


def _messages(messages: object) -> object:
    conversation = Conversation(messages)
    try:
        return _plain(messages)
    except _UnsayableError as fault:
        conversation.read()
        conversation.remembered()
        raise ValidationError(
            f"messages cannot be sent as JSON: {fault}", error_code="VALIDATION_003"
        ) from None


def _metadata(metadata: object) -> object:
    """As a store would keep it."""
    return load_payload(dump_payload(check_metadata(metadata)))


def _timestamp(timestamp: Any) -> object:
    check_timestamp(timestamp)
    return timestamp if isinstance(timestamp, _SCALARS) else timestamp.isoformat()


def _id(name: str) -> Callable[[object], object]:
    def read(value: object) -> object:
        return value if isinstance(value, _SCALARS) else check_id(value, name)

    return read


def _threshold(threshold: object) -> object:
    check_threshold(threshold)
    return threshold


# --- Filters ---------------------------------------------------------------------------------


def _filters(filters: Any) -> object:
    is_small = hasattr(filters, "items") and size_fault(filters) is None
    try:
        return _plain(dict(filters) if is_small else filters, dated=True)
    except (_UnsayableError, RecursionError):
        # The id is the key's, if the filters have none.
        told = {SCOPE_KEYS[0]: "-", **filters} if is_small else filters
        compile_filters(translate(check_filters(told)))
        raise ValueError(f"filters cannot be sent as JSON: {shown(filters):.200}") from None


def _plain(value: Any, name: object = None, *, dated: bool = False) -> object:
    """A value of JSON's types.

    Args:
        name: of the argument, operator or condition that it belongs to.
        dated: whether moments and collections are read as in filters.

    Raises:
        _UnsayableError: there is a value of another type.
    """
    if isinstance(value, _SCALARS):
        return value
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _plain(each, key, dated=dated) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each, name, dated=dated) for each in value]
    if dated and name in ("in", "nin") and _is_alike(value):
        return [_plain(each, name, dated=dated) for each in value]
    if dated and name not in SCOPE_KEYS and hasattr(value, "isoformat"):
        return utc_text(value) if isinstance(value, datetime) else value.isoformat()
    raise _UnsayableError(f"{shown(value):.200} is a {type(value).__name__}")


def _is_alike(values: object) -> bool:
    """Whether these are texts only, or numbers only, as a condition needs them."""
    if not isinstance(values, (tuple, set, frozenset)):
        return False
    return all(isinstance(each, str) for each in values) or not any(
        isinstance(each, bool) or not isinstance(each, int) for each in values
    )


_FORMS: dict[str, Callable[[Any], object]] = {
    "messages": _messages,
    "metadata": _metadata,
    "timestamp": _timestamp,
    "expiration_date": check_expiration_date,
    "filters": _filters,
    "memory_id": check_memory_id,
    "threshold": _threshold,
    **{key: _id(key) for key in SCOPE_KEYS},
}
