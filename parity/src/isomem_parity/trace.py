"""What one step did on one side: its outcome, the prompts it sent, and what is stored after it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from isomem.errors import MemoryError, MemoryNotFoundError

HISTORY_COLUMNS = (
    "id", "memory_id", "old_memory", "new_memory", "event",
    "created_at", "updated_at", "is_deleted", "actor_id", "role",
)  # fmt: skip
MESSAGE_COLUMNS = ("id", "session_scope", "role", "content", "name", "created_at")

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_ADDRESS = re.compile(r"\b0x[0-9a-f]+")
_WORD_SET = re.compile(r"\{'\w+'(?:, '\w+')+\}")


@dataclass(frozen=True)
class Point:
    """A stored memory or entity. The payload is JSON text, so that key order and types count."""

    payload: str
    vector: tuple[float, ...]

    @property
    def fields(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(self.payload)
        return loaded


Row = tuple[Any, ...]


@dataclass(frozen=True)
class State:
    """Everything a side has stored, rows in the order they were written."""

    memories: dict[str, Point] = field(default_factory=dict)
    entities: dict[str, Point] = field(default_factory=dict)
    history: tuple[Row, ...] = ()
    messages: tuple[Row, ...] = ()


@dataclass
class Trace:
    """One step on one side. Exactly one of `result` and `error` says how it ended."""

    result: Any = None
    error: dict[str, Any] | None = None
    prompts: list[dict[str, Any]] = field(default_factory=list)
    state: State = field(default_factory=State)


def direction(vector: Iterable[float]) -> tuple[float, ...]:
    """A vector at length 1: the store compares by angle, and normalises sooner or later."""
    values = tuple(vector)
    length = math.sqrt(sum(value * value for value in values))
    return tuple(value / length for value in values) if 0 < length < math.inf else values


def payload_text(payload: Any) -> str:
    """A payload as JSON text; what JSON cannot hold is shown as Python shows it."""
    return json.dumps(payload, ensure_ascii=False, default=repr)


def plain(value: Any) -> Any:
    """A result as JSON data: tuples as lists, what JSON cannot hold as Python shows it."""
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return repr(value)


def error_of(error: BaseException) -> dict[str, Any]:
    """An error as its caller sees it. Types of either package go by their bare name.

    The text of an error of ours ends with its suggestion, which is compared by itself. An unknown
    id is a built-in error to code written for mem0, which raises no other there.
    """
    kind = ValueError if isinstance(error, MemoryNotFoundError) else type(error)
    package = kind.__module__.partition(".")[0]
    bare = package in ("builtins", "mem0", "isomem")
    shown: dict[str, Any] = {
        "type": kind.__name__ if bare else f"{package}.{kind.__name__}",
        "message": steady(error.message if isinstance(error, MemoryError) else str(error)),
    }
    if hasattr(error, "error_code") and kind is type(error):
        shown["code"] = error.error_code
        shown["details"] = plain(getattr(error, "details", None))
        shown["suggestion"] = getattr(error, "suggestion", None)
    return shown


def steady(text: str) -> str:
    """Text without what Python varies from run to run: addresses, and the order of sets."""
    text = _ADDRESS.sub("0x…", text)
    return _WORD_SET.sub(lambda found: _sorted_set(found.group()), text)


def _sorted_set(shown: str) -> str:
    return "{" + ", ".join(sorted(shown[1:-1].split(", "))) + "}"


class Names:
    """Ids by order of appearance: "$m1" for the first memory, "$e1" for the first entity.

    An id that `known` has named goes by that name: both sides draw the same ids, so that a side
    which stores less than the other still has the same names for the rest.
    """

    def __init__(self, known: Names | None = None) -> None:
        self.by_id: dict[str, str] = {}
        self._known = known
        self._counts: dict[str, int] = {}

    def learn(self, trace: Trace) -> None:
        """Name what is new in a step: results first, then the stores."""
        for item in _results(trace.result):
            if isinstance(item, dict) and isinstance(item.get("id"), str):
                self._name("m", item["id"])
        for memory_id in trace.state.memories:
            self._name("m", memory_id)
        for row in trace.state.history:
            self._name("m", row[1])
        for entity_id in trace.state.entities:
            self._name("e", entity_id)

    def _name(self, kind: str, given: str) -> None:
        if given in self.by_id or not _UUID.fullmatch(given):
            return
        self._counts[kind] = self._counts.get(kind, 0) + 1
        self.by_id[given] = f"${kind}{self._counts[kind]}"

    def with_rows(self, state: State) -> Names:
        """These names, and "$h1" and "$b1" for the history and message rows by their place."""
        names = Names(known=self._known)
        tables = (("h", state.history), ("b", state.messages))
        rows = {row[0]: f"${kind}{i}" for kind, table in tables for i, row in enumerate(table, 1)}
        names.by_id = {**self.by_id, **rows}
        return names

    def _name_of(self, given: str) -> str:
        known = self._known.by_id.get(given) if self._known else None
        return known or self.by_id.get(given, given)

    def id_of(self, name: str) -> str | None:
        """The id that goes by a name such as "m1"."""
        found = self._known.id_of(name) if self._known else None
        listed = (given for given, known in self.by_id.items() if known == f"${name}")
        return found or next(listed, None)

    def show(self, value: Any) -> Any:
        """A value with its ids replaced by names."""
        if isinstance(value, str):
            return _UUID.sub(lambda found: self._name_of(found.group()), value)
        if isinstance(value, dict):
            return {self.show(key): self.show(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.show(item) for item in value]
        return value


def _results(result: Any) -> list[Any]:
    found = result.get("results") if isinstance(result, dict) else None
    return found if isinstance(found, list) else []


def readable(trace: Trace, names: Names) -> dict[str, Any]:
    """A trace as the data that is compared in detail and written to reports."""
    state = trace.state
    names = names.with_rows(state)
    return {
        "error": names.show(trace.error),
        "result": names.show(trace.result),
        "prompts": names.show(trace.prompts),
        "memories": _points(state.memories, names),
        "entities": _points(state.entities, names),
        "history": [_row(HISTORY_COLUMNS, row, names) for row in state.history],
        "messages": [_row(MESSAGE_COLUMNS, row, names) for row in state.messages],
    }


def _points(points: dict[str, Point], names: Names) -> dict[str, Any]:
    shown = {
        str(names.show(given)): {
            "payload": names.show(point.fields),
            "vector": point.vector,
        }
        for given, point in points.items()
    }
    return dict(sorted(shown.items()))


def _row(columns: tuple[str, ...], row: Row, names: Names) -> dict[str, Any]:
    return {column: names.show(value) for column, value in zip(columns, row, strict=True)}
