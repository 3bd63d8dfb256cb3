"""Payloads as JSONB, and back.

JSONB keeps a number as decimal digits: it makes a whole number of 1e22, and zero of -0.0. Such a
value is under its key as JSONB has it, so that filters find it and mem0 reads it, and once more as
JSON in a key of its own: `isomem_json:KEY`. A point that has such a key also has `isomem_json`. If
mem0 stores something else under `KEY` later, that counts.
"""

from __future__ import annotations

import json
from decimal import Decimal

from isomem.errors import ValidationError
from isomem.store.codec import dump_payload
from isomem.types import is_unicode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from isomem.types import Payload

_REFUSED = ("\\u0000", "\\ud", "NaN", "Infinity")
"""Parts of JSON that the server may refuse."""
_MARK = "isomem_json"
_PREFIX = f"{_MARK}:"
_REWRITTEN = ("e+", "-0.0", _MARK)
"""Parts of JSON that may have to be kept in another form, too."""
_ODD = object()


def packed(payload: Payload) -> str:
    """A payload as JSON that the server takes, and that `unpacked` can read.

    Raises:
        ValidationError: VALIDATION_005, it cannot be written like that.
    """
    text = dump_payload(payload)
    if any(part in text for part in _REFUSED):
        _check(json.loads(text, parse_constant=lambda _: "\0"))  # As bad as NaN is for JSONB.
    if not any(part in text for part in _REWRITTEN):
        return text
    whole: Payload = json.loads(text)
    exact = {
        _PREFIX + key: json.dumps(value)
        for key, value in whole.items()
        if is_kept_apart(key) or not _is_as_stored(value, value)
    }
    plain = {key: value for key, value in whole.items() if not is_kept_apart(key)}
    return dump_payload({**plain, _MARK: True, **exact}) if exact else text


def is_kept_apart(key: str) -> bool:
    """Whether the value of a key is not under the key itself, but under `isomem_json:KEY`."""
    return key.startswith(_MARK)


def unpacked(payload: Any) -> Payload:
    """The payload that is stored as this JSON; empty if that is not an object."""
    if not isinstance(payload, dict):
        return {}
    if payload.get(_MARK) is not True:
        return payload
    plain: Payload = {}
    exact: Payload = {}
    for name, stored in payload.items():
        key, value = name[len(_PREFIX) :], _read(stored) if name.startswith(_PREFIX) else _ODD
        if value is _ODD:
            plain[name] = stored
        elif is_kept_apart(key) or _is_as_stored(payload.get(key), value):
            exact[key] = value
    del plain[_MARK]
    return {**plain, **exact}


def _read(text: object) -> Any:
    try:
        return json.loads(text) if isinstance(text, str) else _ODD
    except (ValueError, RecursionError):
        return _ODD


def _is_as_stored(stored: object, exact: object) -> bool:
    return _form(stored) == _form(_rewritten(exact))


def _rewritten(value: object) -> Any:
    """What JSONB makes of a value."""
    if isinstance(value, list):
        return [*map(_rewritten, value)]
    if isinstance(value, dict):
        return {key: _rewritten(each) for key, each in value.items()}
    if isinstance(value, float) and "e+" in repr(value):
        return int(Decimal(repr(value)))
    return 0.0 if repr(value) == "-0.0" else value


def _form(value: object) -> str:
    """A text that is the same for values that are the same, down to the sign of zero."""
    return json.dumps(value, sort_keys=True)


def _check(whole: object) -> None:
    if not all("\0" not in each and is_unicode(each) for each in _texts(whole)):
        raise ValidationError(
            "PostgreSQL cannot store NUL characters, lone surrogates, NaN or infinity in JSONB",
            error_code="VALIDATION_005",
            suggestion="Leave them out of the text and the metadata.",
        )


def _texts(value: object) -> Iterator[str]:
    """All texts in a value as JSON has it, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, dict):
        for entry in value.items():
            yield from _texts([*entry])
