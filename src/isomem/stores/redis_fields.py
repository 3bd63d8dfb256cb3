"""The hash of a point: the fields that mem0's class for Redis writes and reads, and one of ours.

mem0's fields hold less than a payload: moments in whole seconds, no moment of change before the
first change, no order of keys. What they lose is in the field "isomem", which mem0 passes over. It
counts only as long as mem0 has not changed the others.
"""

from __future__ import annotations

from datetime import datetime, timezone
from zlib import crc32

from isomem import log
from isomem.errors import MemoryCorruptionError
from isomem.store.codec import dump_payload, load_payload

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from isomem.ports.shapes import Payload

    Fields = Mapping[str, bytes]

ID = "memory_id"
IDS = ("agent_id", "run_id", "user_id")
"""The ids of a scope, in the order in which mem0 reads them."""

VECTOR = "embedding"
EXACT = "isomem"

_MOMENTS = ("created_at", "updated_at")
_PLAIN = ("hash", "memory", *_MOMENTS, *IDS, "metadata")
"""Fields that mem0 writes, too."""

_NAMES = [(key, f"{key}=".encode()) for key in _PLAIN]

_ALONE = frozenset({*IDS, *_MOMENTS, "hash", "data"})
"""Keys of a payload that have fields of their own. All others are in "metadata"."""

READ = (ID, *_PLAIN, EXACT)
"""What a payload is read from."""

CHANGED = (*_PLAIN, EXACT)
"""What a change of a payload writes or removes."""


# --- Writing ---------------------------------------------------------------------------------


def fields_of(payload: Payload) -> dict[str, bytes]:
    """A payload as fields.

    Raises:
        ValidationError: a value has no form in JSON.
    """
    payload = load_payload(dump_payload(payload))  # Every key is a text there.
    plain = _plain_of(payload)
    known = _texts(plain)
    alone = (key for key in payload if key in _ALONE)
    lost = {key: payload[key] for key in alone if key not in known or payload[key] != known[key]}
    exact = {"stamp": _stamp(plain), "keys": [*payload], "values": lost}
    return {**plain, EXACT: _utf8(dump_payload(exact))}


def _plain_of(payload: Payload) -> dict[str, bytes]:
    """What mem0 would write. It needs some of these fields to read any, so none is left out."""
    metadata = dump_payload({key: payload[key] for key in payload if key not in _ALONE})
    texts: dict[str, object] = {
        "hash": payload.get("hash", ""),
        "memory": payload.get("data", ""),
        "created_at": _seconds(payload.get("created_at")) or 0,
        # mem0 would take backticks in it for the frame of a block of code.
        "metadata": metadata.replace("`", "\\u0060"),
    }
    changed_at = _seconds(payload.get("updated_at"))
    if changed_at is not None and payload["updated_at"] != payload.get("created_at"):
        texts["updated_at"] = changed_at
    texts.update({key: payload[key] for key in IDS if isinstance(payload.get(key), str)})
    return {key: _utf8(texts[key]) for key in _PLAIN if key in texts}


def _utf8(value: object) -> bytes:
    """A text or a number as bytes; what UTF-8 cannot hold becomes a question mark."""
    text = str(value) if isinstance(value, (str, int)) else ""
    return text.encode("utf-8", "replace")


def _seconds(moment: object) -> int | None:
    """A moment in whole seconds since 1970, as mem0 has it; None if it is not a moment."""
    if not isinstance(moment, str):
        return None
    try:
        return int(datetime.fromisoformat(moment).timestamp())
    except (ValueError, OverflowError, OSError):
        return None


# --- Reading ---------------------------------------------------------------------------------


def payload_of(fields: Fields) -> Payload:
    """The payload that fields hold: ours, or mem0's reading of them if mem0 wrote them last."""
    exact = _exact(fields)
    if exact is None:
        return _read_plain(fields)
    values = exact["values"]
    if exact["stamp"] != _stamp(fields):
        return {**_read_plain(fields), **_kept(values, fields)}
    metadata = _json(fields, "metadata")
    known = {**metadata, **_texts(fields), **values}
    # A key that is a text in the metadata may be listed as the number that it once was.
    return {**{key: known[key] for key in exact["keys"] if key in known}, **metadata}


def _read_plain(fields: Fields) -> Payload:
    """What mem0 reads, in its order."""
    moments = ((key, _moment(fields.get(key))) for key in _MOMENTS)
    texts = _texts(fields)
    first = {key: texts.pop(key) for key in ("hash", "data")}
    known = {key: moment for key, moment in moments if moment is not None}
    return {**first, **known, **texts, **_json(fields, "metadata")}


def _texts(fields: Fields) -> Payload:
    payload: Payload = {"hash": text_of(fields.get("hash")), "data": text_of(fields.get("memory"))}
    for key in IDS:
        if key in fields:
            payload[key] = text_of(fields[key])
    return payload


def text_of(value: bytes | None) -> str:
    """The text that a field holds; empty if there is no such field."""
    return (value or b"").decode("utf-8", "replace")


def _moment(seconds: bytes | None) -> str | None:
    try:
        moment = datetime.fromtimestamp(int(seconds or b""), tz=timezone.utc)
    except (ValueError, OverflowError, OSError):
        return None
    return moment.isoformat(timespec="microseconds")


def _json(fields: Fields, name: str) -> Payload:
    text = fields.get(name)
    try:
        return load_payload(text_of(text)) if text else {}
    except MemoryCorruptionError as error:
        log.error("The field %r of memory %s is left out: %s", name, text_of(fields.get(ID)), error)
        return {}


def _exact(fields: Fields) -> dict[str, Any] | None:
    """What mem0's fields have lost; None if nobody has kept it."""
    exact = _json(fields, EXACT)
    return exact if exact.keys() >= {"stamp", "keys", "values"} else None


def _kept(values: Mapping[str, Any], fields: Fields) -> Payload:
    """What a change by mem0 has not changed: the moment of creation, more exactly than it knows."""
    created_at = values.get("created_at")
    seconds = str(_seconds(created_at)).encode()
    return {"created_at": created_at} if fields.get("created_at") == seconds else {}


def _stamp(fields: Fields) -> int:
    """A number for the values of mem0's fields, to see whether they have changed."""
    return crc32(b"\0".join([name + fields[key] for key, name in _NAMES if key in fields]))
