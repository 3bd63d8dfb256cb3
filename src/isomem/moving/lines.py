"""The lines of an export, and the digests that say whether two sides have the same.

The first line says what the file is, the last one how much is in it. Every line between them is an
object with one key, its kind::

    {"isomem_export": 1, "vectors": true, "embedder": "local/...", "dims": 256}
    {"memory": {"id": "...", "payload": {...}, "vector": [...]}}
    {"entity": {"id": "...", "payload": {...}, "vector": [...]}}
    {"history": {"id": "...", "memory_id": "...", ...}}
    {"message": {"id": "...", "session_scope": "...", ...}}
    {"removed": {"id": "...", "user_id": "...", ...}}
    {"end": {"memory": {"count": 1, "digest": "..."}, ...}}
"""

from __future__ import annotations

import json

from isomem.contract.payload import LINKS
from isomem.digest import md5_hex
from isomem.errors import ValidationError
from isomem.types import LARGEST_INT, is_unicode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

    Fields = dict[str, Any]
    Record = tuple[str, Fields]
    """A kind, and what there is to store."""

VERSION = 1
HEADER, END = "isomem_export", "end"
KINDS = ("memory", "entity", "history", "message", "removed")
POINTS = frozenset({"memory", "entity"})
_DIGEST_BITS = 128


def bad_line(number: int, fault: str, unit: str = "line") -> ValidationError:
    """The error for a line, or a record of a source without lines, that cannot be used."""
    return ValidationError(
        f"{unit} {number} {fault}", error_code="MOVE_001", details={unit: number}
    )


def other_vector(of: str, vector: Sequence[float], dims: int, advice: str) -> ValidationError:
    """The error for a vector that the embedder of a memory cannot have made."""
    return ValidationError(
        f"{of} has a vector of length {len(vector)}, and those of this memory's embedder have"
        f" length {dims}",
        error_code="MOVE_004",
        suggestion=f"Configure the embedder that made the vectors, or {advice}.",
    )


def _not_an_export(fault: str) -> ValidationError:
    return ValidationError(f"line 1 {fault}", error_code="MOVE_002", details={"line": 1})


# --- Digests ---------------------------------------------------------------------------------


class Digests:
    """How many records of each kind there are, and a digest of them in any order.

    Vectors do not count: every store rounds and scales them in its own way.
    """

    def __init__(self) -> None:
        self._counts = dict.fromkeys(KINDS, 0)
        self._sums = dict.fromkeys(KINDS, 0)

    def add(self, record: Record) -> None:
        """Counts a record."""
        kind, fields = record
        text = json.dumps(_compared(kind, fields), sort_keys=True, separators=(",", ":"))
        self._counts[kind] += 1
        self._sums[kind] = (self._sums[kind] + int(md5_hex(text), 16)) % 2**_DIGEST_BITS

    def count(self) -> int:
        """How many records there are."""
        return sum(self._counts.values())

    def as_json(self) -> Fields:
        """Count and digest by kind."""
        return {
            kind: {"count": self._counts[kind], "digest": f"{self._sums[kind]:032x}"}
            for kind in KINDS
        }


def _compared(kind: str, fields: Fields) -> object:
    if kind not in POINTS:
        return fields
    payload = fields["payload"]
    if isinstance(payload.get(LINKS), list):
        payload = {**payload, LINKS: sorted(payload[LINKS], key=str)}
    return [fields["id"], payload]


# --- Writing ---------------------------------------------------------------------------------


def line_of(value: object) -> str:
    """A line of the file. What UTF-8 cannot hold, half of a surrogate pair, is escaped in it."""
    line = json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n"
    return line if is_unicode(line) else json.dumps(value, separators=(",", ":")) + "\n"


def header(*, vectors: bool, embedder: str | None, dims: int | None) -> Fields:
    """The first line."""
    return {HEADER: VERSION, "vectors": vectors, "embedder": embedder, "dims": dims}


# --- Reading ---------------------------------------------------------------------------------


class Lines:
    """Reads an export, line by line.

    Attributes:
        head: the first line.
        digests: of the records so far.
        number: of the line that was read last.

    Raises:
        ValidationError: MOVE_002, the first line is not that of an export that can be read.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = enumerate(lines, 1)
        self.digests = Digests()
        self.number, self.end = 0, False
        self.head = self._header()

    def _header(self) -> Fields:
        try:
            found = self.read(next(self._lines)[1])
        except (StopIteration, ValueError):
            found = {}
        if HEADER not in found:
            raise _not_an_export("does not say that this is an export of isomem")
        if found[HEADER] != VERSION:
            raise _not_an_export(f"names version {found[HEADER]!r}, which this isomem cannot read")
        self.number = 1
        return found

    def __iter__(self) -> Iterator[Record]:
        """The records.

        Raises:
            ValidationError: MOVE_001, a line is not what it should be, or the file ends early.
        """
        for number, text in self._lines:
            self.number = number
            if text.strip():
                if self.end:
                    raise bad_line(self.number, "comes after the end of the export")
                record = self._record(text)
                if record is not None:
                    self.digests.add(record)
                    yield record
        if not self.end:
            raise bad_line(self.number + 1, "is missing: the export was cut off")

    def _record(self, text: str) -> Record | None:
        """What a line holds; None for the last one."""
        try:
            value = self.read(text)
        except ValueError as error:
            raise bad_line(self.number, f"is not JSON: {error}") from error
        if len(value) != 1:
            raise bad_line(self.number, "must have one key, its kind")
        [(kind, fields)] = value.items()
        if kind == END:
            self._check_end(fields)
            return None
        fault = fault_of(kind, fields)
        if fault:
            raise bad_line(self.number, fault)
        return kind, fields

    def _check_end(self, fields: object) -> None:
        self.end = True
        if fields != self.digests.as_json():
            raise bad_line(self.number, "does not have the counts and digests of the lines before")

    @staticmethod
    def read(text: str) -> Fields:
        """The object in a line.

        Raises:
            ValueError: it is not JSON, or not an object.
        """
        try:
            value = json.loads(text)
        except RecursionError:
            raise ValueError("it is too deep") from None
        if not isinstance(value, dict):
            raise ValueError(f"an object is needed, got {type(value).__name__}")
        return value


def fault_of(kind: str, fields: object) -> str:
    """What is wrong with a record; "" if nothing."""
    if kind not in KINDS:
        return f"has the kind {kind!r}; known: {', '.join(KINDS)}"
    if not isinstance(fields, dict) or not _is_id(fields.get("id")):
        return f"must have an id: text in {kind}.id"
    if kind not in POINTS:
        return _fault_of_row(kind, fields)
    if not isinstance(fields.get("payload"), dict):
        return f"must have an object in {kind}.payload"
    vector = fields.get("vector")
    if vector is not None and not _is_vector(vector):
        return f"has something else than a list of numbers in {kind}.vector"
    return ""


def _fault_of_row(kind: str, fields: Mapping[str, object]) -> str:
    owner = {"history": "memory_id", "message": "session_scope"}.get(kind)
    if owner is not None and not isinstance(fields.get(owner), str):
        return f"must have text in {kind}.{owner}"
    wrong = [key for key, value in fields.items() if not _is_cell(value)]
    return f"has a value in {kind}.{wrong[0]} that a row cannot hold" if wrong else ""


def _is_cell(value: object) -> bool:
    """Whether a row can hold a value."""
    if isinstance(value, int):
        return abs(value) <= LARGEST_INT
    return value is None or isinstance(value, (str, float))


def _is_id(value: object) -> bool:
    return isinstance(value, str) and bool(value) and is_unicode(value)


def _is_vector(value: object) -> bool:
    return isinstance(value, list) and bool(value) and {*map(type, value)} <= {int, float}
