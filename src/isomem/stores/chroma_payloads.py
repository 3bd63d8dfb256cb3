"""Payloads as Chroma's metadata, and back.

Chroma stores texts, booleans, whole numbers of 64 bits, numbers, and lists of one of these, under
the key that they have in the payload: so does mem0. It drops None, refuses dicts and mixed lists,
and may change the last bit of a number. What it cannot keep is here in a key of its own, as JSON:
`isomem_json:KEY`. A point that has such a key also has `isomem_json`, so that filters find it. If
mem0 stores something else under `KEY` later, that counts.
"""

from __future__ import annotations

import json
from math import isclose, isfinite

from isomem.errors import MemoryCorruptionError, VectorValueError
from isomem.store.codec import dump_payload, load_payload
from isomem.types import LARGEST_INT, SCOPE_KEYS, is_unicode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, TypeGuard

    from isomem.types import Payload

    Metadata = dict[str, Any]

MARK = "isomem_json"
"""True in every point with a value as JSON."""

_PREFIX = f"{MARK}:"
_RESERVED = ("#", "$", "chroma:", MARK)
_SMALLEST, _LARGEST = 1e-7, 1e15
_NEARLY = 1e-14


def packed(payload: Payload) -> Metadata:
    """What is stored for a payload. None removes a key that a point may have.

    Raises:
        ValidationError: a value has no form in JSON.
        VectorValueError: an id of the scope is not a text.
    """
    _check_scope(payload)
    metadata: Metadata = {}
    for key, value in load_payload(dump_payload(payload)).items():
        is_plain = is_plain_key(key)
        if is_plain:
            metadata[key] = value if _is_kept(value) or _is_number(value) else None
        if not (is_plain and _is_kept(value)):
            metadata[MARK] = True
            metadata[_beside(key)] = json.dumps(value)
        elif _is_number(value):
            metadata[_beside(key)] = None  # An exact one of a number that was nearly the same.
    return metadata


def _beside(key: str) -> str:
    """The key of a value as JSON."""
    return _PREFIX + json.dumps(key)[1:-1]


def unpacked(metadata: Mapping[str, Any] | None) -> Payload:
    """The payload that is stored as these metadata, its keys in the order of the alphabet.

    Chroma has them in another order every time.

    Raises:
        MemoryCorruptionError: a value is not the JSON that `packed` makes.
    """
    if not metadata or MARK not in metadata:
        return dict(sorted((metadata or {}).items()))
    payload = {key: value for key, value in metadata.items() if not key.startswith(MARK)}
    for name, text in metadata.items():
        if name.startswith(_PREFIX):
            key, value = _read(name, text)
            if key not in payload or _is_nearly(payload[key], value):
                payload[key] = value
    return dict(sorted(payload.items()))


def _read(name: str, text: Any) -> tuple[str, Any]:
    try:
        return json.loads(f'"{name[len(_PREFIX) :]}"'), json.loads(text)
    except (TypeError, ValueError) as error:
        raise MemoryCorruptionError(
            f"vector_store chroma: {name!r:.80} of a point cannot be read: {error}",
            error_code="CORRUPT_001",
        ) from error


def _check_scope(payload: Payload) -> None:
    for key in SCOPE_KEYS:
        value = payload.get(key)
        if not (value is None or (type(value) is str and is_unicode(value))):
            raise VectorValueError(f"vector_store chroma: {key} {value!r:.60} cannot be stored")


def is_plain_key(key: str) -> bool:
    """Whether Chroma takes a key, and it is not one of those that have a meaning here or there."""
    return bool(key) and not key.startswith(_RESERVED) and is_unicode(key)


def _is_kept(value: object) -> bool:
    """Whether Chroma gives a value back as it was."""
    if isinstance(value, list):
        return len({*map(type, value)}) == 1 and all(map(_is_kept_scalar, value))
    return _is_kept_scalar(value)


def _is_kept_scalar(value: Any) -> bool:
    kind = type(value)  # A subclass may say more than Chroma keeps.
    if kind is str:
        return is_unicode(value)
    if kind is int:
        return abs(int(value)) <= LARGEST_INT
    return kind is bool or (_is_number(value) and _is_kept_number(value))


def _is_kept_number(number: float) -> bool:
    """Whether a number is still the same after Chroma has written it as text and read it.

    It reads up to 15 digits exactly.
    """
    return _SMALLEST <= abs(number) <= _LARGEST and float(f"{number:.15g}") == number


def _is_number(value: object) -> TypeGuard[float]:
    """Whether it is a number that Chroma stores, if not exactly."""
    return type(value) is float and isfinite(value)


def _is_nearly(stored: object, exact: object) -> bool:
    """Whether Chroma has stored an exact number as another one."""
    return _is_number(stored) and _is_number(exact) and isclose(stored, exact, rel_tol=_NEARLY)
