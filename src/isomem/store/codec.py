"""Values as they are in the file: ids in one spelling, payloads as JSON, numbers little-endian."""

from __future__ import annotations

import sys

# Only the C part of `json`: importing `json` loads `re` and more.
from _json import encode_basestring, encode_basestring_ascii, make_encoder, make_scanner
from _struct import error as StructError  # type: ignore[attr-defined]  # noqa: N812
from _struct import pack
from array import array
from math import isnan

from isomem.contract.arguments import MAX_DEPTH, size_fault
from isomem.errors import MemoryCorruptionError, ValidationError, VectorValueError
from isomem.kernel import scale_to_unit
from isomem.pattern import Pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from isomem.ports.shapes import Payload, Vector
    from isomem.store.row_keys import Ids

    Encoded = tuple[str, bytes, Ids, str, bytes | None, Payload]
    """Of a point: its id, its vector, the ids of its scope, its payload as JSON, its terms, and
    its payload."""

_TINY = 1.1920929e-7
"""Vectors no longer than this (the epsilon of float32) are stored as they are."""

MAX_PAYLOAD_CHARACTERS = 100_000_000
"""The largest payload. SQLite's own limit is 1,000,000,000 bytes, and one row is one string."""

_UUID = Pattern(
    r"(?:urn:uuid:|\{)?([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})"
    r"-?([0-9a-f]{12})\}?",
    ignore_case=True,
)
_INFINITY = float("inf")
_SWAP = sys.byteorder == "big"


def canonical_id(point_id: Any) -> str:
    """An id as it is stored: UUIDs in any spelling become lower case with hyphens."""
    text = str(point_id)
    if len(text) == 36 and text[8] == text[13] == text[18] == text[23] == "-" and text.islower():
        return text  # If it is a UUID, then spelled so already.
    found = _UUID.fullmatch(text)
    return "-".join(found.groups()).lower() if found else text


def dump_payload(payload: Mapping[str, Any]) -> str:
    """A payload as JSON text, keys in their order.

    Raises:
        ValidationError: VALIDATION_005, a value has no form in JSON, or is too deep or large.
    """
    try:
        text = "".join(_encode(payload, 0))
        if len(text) > MAX_PAYLOAD_CHARACTERS or "[" in text or text.find("{", 1) > 0:
            _check_size(text)
        if not text.isascii():
            text.encode()
    except UnicodeEncodeError:
        text = "".join(_encode_ascii(payload, 0))  # Escapes hold what UTF-8 cannot.
        _check_size(text)
        return text
    except (TypeError, ValueError, RecursionError) as error:
        raise ValidationError(
            f"metadata cannot be stored as JSON: {error}",
            error_code="VALIDATION_005",
            suggestion="Use strings, numbers, booleans, None, lists and dicts with string keys.",
        ) from error
    return text


def _check_size(text: str) -> None:
    """Raises ValueError for what does not fit into a row, or is too deep to be read again.

    That is too many characters, or too many levels.
    """
    if len(text) > MAX_PAYLOAD_CHARACTERS:
        raise ValueError(f"more than {MAX_PAYLOAD_CHARACTERS:,} characters")
    if text.count("{") + text.count("[") > MAX_DEPTH:
        fault = size_fault(_scan(text, 0)[0])
        if fault:
            raise ValueError(fault)


def load_payload(text: str) -> Payload:
    """What `dump_payload` wrote.

    Raises:
        MemoryCorruptionError: it is something else.
    """
    try:
        payload = _scan(text, 0)[0]
    except (StopIteration, ValueError, TypeError):
        raise _unreadable("is not JSON", text) from None
    except RecursionError:
        raise _unreadable("is nested too deeply for this call", text) from None
    if type(payload) is not dict:
        raise _unreadable("is not a JSON object", text)
    return payload


def text_at(payload: str, field: str) -> str:
    """SQL for a field of a stored payload; NULL if that cannot be read, or is not valid Unicode.

    Args:
        payload: the column.
    """
    # Metadata may hold NaN and infinity, which JSON5 has, but not JSON: hence the 2. A lone
    # surrogate is stored as an escape, which SQLite would turn into bytes that are not UTF-8.
    return (
        f"CASE WHEN NOT json_valid({payload}, 2) THEN NULL WHEN instr({payload}, '\\ud') = 0"
        f" OR instr({payload} -> '$.{field}', '\\ud') = 0 THEN {payload} ->> '$.{field}' END"
    )


def salvaged(text: str) -> Payload:
    """A stored payload; empty if it is damaged, so that a damaged point can be removed."""
    try:
        return load_payload(text)
    except MemoryCorruptionError:
        return {}


def _unreadable(fault: str, text: str) -> MemoryCorruptionError:
    return MemoryCorruptionError(
        f"a stored payload {fault}: {text[:60]!r}", error_code="CORRUPT_001"
    )


def plain(value: Any) -> Any:
    """The JSON form of types that metadata commonly has in addition to JSON's own.

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
        dims: how many numbers it must have; None allows any number.

    Raises:
        VectorValueError: it has the wrong length, NaN or infinity, or is not a list of numbers.
    """
    numbers = _numbers(vector)
    if not numbers:
        raise VectorValueError("Wrong input: Dense vector must not be empty for vector ''")
    if dims is not None and len(numbers) != dims:
        raise VectorValueError(
            f"Wrong input: Vector dimension error: expected dim: {dims}, "
            f"got {len(numbers)} for vector ''",
            details={"expected": dims, "got": len(numbers)},
        )
    length = scale_to_unit(numbers, _TINY)
    if not length < _INFINITY:
        kind = "NaN" if any(map(isnan, numbers)) else "infinite"
        raise VectorValueError(f"Vector contains {kind} values")
    if _SWAP:
        numbers.byteswap()
    return numbers.tobytes()


def _numbers(vector: Vector) -> array[float]:
    # Bytes would be read as float32, text letter by letter, a dict by its keys.
    if not isinstance(vector, (str, bytes, bytearray, dict, set, frozenset)):
        try:
            values = tuple(vector)
            # Half of what `array` would need for a list of floats.
            return array("f", pack(f"{len(values)}f", *values))
        except (TypeError, ValueError, OverflowError, StructError):
            pass
    raise VectorValueError(
        f"a vector must be a list of numbers, not {_shown(vector)}",
        suggestion="Check what the embedder returns.",
    )


def _shown(vector: object) -> str:
    kind = type(vector).__name__
    if isinstance(vector, (list, tuple)):
        odd = next((item for item in vector if not isinstance(item, (int, float))), None)
        kind += f" with {'None' if odd is None else type(odd).__name__} in it"
        if odd is None and None not in vector:
            return "numbers too large for a float"
    return "None" if vector is None else f"a {kind}"


def load_vector(data: bytes) -> list[float]:
    """The numbers of a stored vector.

    Raises:
        MemoryCorruptionError: these are not whole numbers.
    """
    return _array("f", data).tolist()


def load_terms(data: bytes) -> array[int]:
    """The numbers of the terms of a text, as `isomem.text.terms` packs them (uint32).

    Raises:
        MemoryCorruptionError: these are not whole numbers.
    """
    return _array("I", data)


def _encoder(escape: Any) -> Callable[[Any, int], Iterable[str]]:
    return make_encoder(None, plain, escape, None, ":", ",", False, False, True)


class _Reading:
    """What the scanner of `json` asks of a decoder: its defaults."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = {"NaN": float("nan"), "Infinity": _INFINITY, "-Infinity": -_INFINITY}.get


_encode = _encoder(encode_basestring)
_encode_ascii = _encoder(encode_basestring_ascii)
_scan: Any = make_scanner(_Reading())  # type: ignore[arg-type]


def _array(kind: Any, data: bytes) -> array[Any]:
    if len(data) % 4:
        raise MemoryCorruptionError(
            f"stored numbers are cut off after {len(data)} bytes", error_code="CORRUPT_001"
        )
    numbers = array(kind, data)
    if _SWAP:
        numbers.byteswap()
    return numbers
