"""Values as the file holds them: payloads as JSON, vectors and terms as little-endian numbers."""

from __future__ import annotations

import json
import sys
from array import array
from math import hypot, isfinite, isnan

from isomem.errors import ValidationError, VectorValueError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from isomem.ports import Payload, Vector

_TINY = 1.1920929e-7
"""Vectors no longer than this (the epsilon of float32) are stored as they are."""

_SWAP = sys.byteorder == "big"


def dump_payload(payload: Mapping[str, Any]) -> str:
    """A payload as JSON text, keys in their order.

    Raises:
        ValidationError: VALIDATION_005, a value has no form in JSON.
    """
    try:
        text = _encode.encode(payload)
        if not text.isascii():
            text.encode()
    except UnicodeEncodeError:
        return _encode_ascii.encode(payload)  # Escapes hold what UTF-8 cannot.
    except (TypeError, ValueError, RecursionError) as error:
        raise ValidationError(
            f"metadata cannot be stored as JSON: {error}",
            error_code="VALIDATION_005",
            suggestion="Use strings, numbers, booleans, None, lists and dicts with string keys.",
        ) from error
    return text


def load_payload(text: str) -> Payload:
    """What `dump_payload` wrote."""
    payload: Payload = json.loads(text)
    return payload


def plain(value: Any) -> Any:
    """The JSON form of the value types that metadata commonly holds beside JSON's own.

    Dates and times in ISO 8601 (`Z` for UTC), durations as ISO 8601 durations, enums by their
    value, sets as lists, UUIDs, decimals and paths as text, bytes as UTF-8, dataclasses as dicts.

    Raises:
        TypeError: none of these.
    """
    for module, name, convert in _CONVERSIONS:
        kind = getattr(sys.modules.get(module), name, None)
        if kind is not None and isinstance(value, kind):
            return convert(value)
    if hasattr(value, "__dataclass_fields__") and not isinstance(value, type):
        return {name: getattr(value, name) for name in value.__dataclass_fields__}
    raise TypeError(f"a value of type {type(value).__name__} has no form in JSON")


def _moment(value: Any) -> str:
    text: str = value.isoformat()
    return text[:-6] + "Z" if text.endswith("+00:00") else text


def _duration(value: Any) -> str:
    sign, value = ("-", -value) if value.days < 0 else ("", value)
    hours, rest = divmod(value.seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    fraction = f".{value.microseconds:06d}".rstrip("0") if value.microseconds else ""
    parts = ((hours, "H"), (minutes, "M"))
    clock = "".join(f"{number}{unit}" for number, unit in parts if number)
    if seconds or fraction:
        clock += f"{seconds}{fraction}S"
    days = f"{value.days}D" if value.days else ""
    return f"{sign}P{days}{'T' + clock if clock else ''}" if days or clock else "PT0S"


# By module and name, so that nothing is imported for a type that no value can have.
_CONVERSIONS = (
    ("datetime", "datetime", _moment),
    ("datetime", "date", lambda value: value.isoformat()),
    ("datetime", "time", _moment),
    ("datetime", "timedelta", _duration),
    ("enum", "Enum", lambda value: value.value),
    ("builtins", "set", list),
    ("builtins", "frozenset", list),
    ("builtins", "bytes", lambda value: value.decode()),
    ("uuid", "UUID", str),
    ("decimal", "Decimal", str),
    ("pathlib", "PurePath", str),
)


def unit_vector(vector: Vector, dims: int | None) -> bytes:
    """`vector` scaled to length 1 (a zero vector stays as it is), as float32.

    Args:
        dims: how many numbers it must have; None lets any number pass.

    Raises:
        VectorValueError: another length, or NaN or infinite numbers in it.
    """
    numbers = array("f", vector)
    if not numbers:
        raise VectorValueError("Wrong input: Dense vector must not be empty for vector ''")
    if dims is not None and len(numbers) != dims:
        raise VectorValueError(
            f"Wrong input: Vector dimension error: expected dim: {dims}, "
            f"got {len(numbers)} for vector ''",
            details={"expected": dims, "got": len(numbers)},
        )
    length = hypot(*numbers)
    if not isfinite(length):
        kind = "NaN" if any(map(isnan, numbers)) else "infinite"
        raise VectorValueError(f"Vector contains {kind} values")
    if length > _TINY:
        numbers = array("f", [number / length for number in numbers])
    return _bytes(numbers)


def load_vector(data: bytes) -> list[float]:
    """The numbers of a stored vector."""
    return _array("f", data).tolist()


def dump_terms(numbers: Iterable[int]) -> bytes:
    """The terms of a text by their numbers (uint32), in the order of the text."""
    return _bytes(array("I", numbers))


def load_terms(data: bytes) -> array[int]:
    """What `dump_terms` wrote."""
    return _array("I", data)


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=plain)
_encode_ascii = json.JSONEncoder(separators=(",", ":"), default=plain)


def _bytes(numbers: array[Any]) -> bytes:
    if _SWAP:
        numbers.byteswap()
    return numbers.tobytes()


def _array(kind: Any, data: bytes) -> array[Any]:
    numbers = array(kind, data)
    if _SWAP:
        numbers.byteswap()
    return numbers
