"""What the caller of a client passes, as JSON that a service reads as `Memory` would.

JSON has no dates, no UUIDs, no tuples and no sets. Where `Memory` takes one, what is sent means the
same. Where it does not, or where JSON would hide a mistake, the error is raised here.
"""

from __future__ import annotations

from collections.abc import Mapping

from isomem.contract.arguments import (
    check_filters,
    check_history_id,
    check_id,
    check_memory_id,
    check_metadata,
    check_query,
    check_text,
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
    from collections.abc import Callable, Collection

    Arguments = dict[str, object]

_SCALARS = (str, int, float, type(None))


class _UnsayableError(Exception):
    """JSON cannot say this."""


def to_send(call: str, given: Mapping[str, object]) -> Arguments:
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


def _sent(name: str, value: object, form: Callable[[object], object] | None) -> object:
    import json

    if form is not None and value is not None:
        value = form(value)
    try:
        # A service refuses NaN, and text that is not Unicode.
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError) as fault:
        if name in _REFUSALS:
            _REFUSALS[name](value)
        if name == "metadata":
            raise ValidationError(
                f"metadata cannot be sent as JSON: {fault}", error_code="VALIDATION_005"
            ) from None
        raise ValueError(
            f"Invalid {name}: {shown(value):.200}. It cannot be sent to a service."
        ) from None
    return value


def _messages(messages: object) -> object:
    Conversation(messages)
    return messages


def _refuse_messages(messages: object) -> None:
    """Raises ValidationError if `Memory` would; it may store what JSON cannot say."""
    conversation = Conversation(messages)
    conversation.read()
    conversation.remembered()


def _metadata(metadata: object) -> object:
    """As a store would keep it."""
    return load_payload(dump_payload(check_metadata(metadata)))


def _timestamp(timestamp: object) -> object:
    check_timestamp(timestamp)
    return timestamp if isinstance(timestamp, _SCALARS) else _moment(timestamp)


def _moment(value: object) -> str:
    """A datetime or a date in ISO 8601."""
    text: str = value.isoformat()  # type: ignore[attr-defined]
    return text


def _id(name: str) -> Callable[[object], object]:
    return lambda value: value if isinstance(value, _SCALARS) else check_id(value, name)


def _refuse_id(name: str) -> Callable[[object], object]:
    return lambda value: check_id(value, name)


def _threshold(threshold: object) -> object:
    check_threshold(threshold)
    return threshold


# --- Filters ---------------------------------------------------------------------------------


def _filters(filters: object) -> object:
    try:
        if isinstance(filters, Mapping) and size_fault(filters) is None:
            return _plain(dict(filters))
        raise _UnsayableError
    except (_UnsayableError, RecursionError):
        _refuse_filters(filters)
        raise ValueError(f"filters cannot be sent as JSON: {shown(filters):.200}") from None


def _refuse_filters(filters: object) -> None:
    """Raises ValueError if `Memory` would. The id is the key's, if they have none."""
    told: object = filters
    if isinstance(filters, dict):
        told = {SCOPE_KEYS[0]: "-", **filters}
    compile_filters(translate(check_filters(told)))


def _plain(value: object, name: object = None) -> object:
    """A part of filters, of JSON's types.

    Args:
        name: of the operator or the condition that it belongs to.

    Raises:
        _UnsayableError: there is a value of another type.
    """
    if isinstance(value, _SCALARS):
        return value
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _plain(each, key) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each, name) for each in value]
    if isinstance(value, (tuple, set, frozenset)) and name in ("in", "nin") and _is_alike(value):
        return [_plain(each, name) for each in value]
    if name not in SCOPE_KEYS and hasattr(value, "isoformat"):
        return utc_text(value) if isinstance(value, datetime) else _moment(value)
    raise _UnsayableError


def _is_alike(values: Collection[object]) -> bool:
    """Whether these are texts only, or numbers only, as a condition needs them."""
    return all(isinstance(each, str) for each in values) or not any(
        isinstance(each, bool) or not isinstance(each, int) for each in values
    )


_FORMS: dict[str, Callable[[object], object]] = {
    "messages": _messages,
    "metadata": _metadata,
    "timestamp": _timestamp,
    "expiration_date": check_expiration_date,
    "filters": _filters,
    "memory_id": check_memory_id,
    "threshold": _threshold,
    **{key: _id(key) for key in SCOPE_KEYS},
}

_REFUSALS: dict[str, Callable[[object], object]] = {
    "messages": _refuse_messages,
    "filters": _refuse_filters,
    "query": check_query,
    "data": lambda text: check_text(text, "data"),
    "text": lambda text: check_text(text, "data"),
    **{key: _refuse_id(key) for key in SCOPE_KEYS},
}
"""What raises the error of `Memory` where JSON cannot say a value."""
