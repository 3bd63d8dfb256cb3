"""What mem0 wrote with its default stores: a local Qdrant folder and a `history.db`.

Their files are only read, and no package of mem0's or Qdrant's is needed for it.
"""

from __future__ import annotations

import io
import os
import pickle

import apsw

from isomem.contract.visibility import EXPIRATION_DATE, expiry_fields
from isomem.errors import DatabaseError, MemoryCorruptionError
from isomem.moving.reading import TABLES
from isomem.store.codec import dump_payload, load_payload
from isomem.types import SCOPE_KEYS, is_unicode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from isomem.moving.lines import Record
    from isomem.moving.reading import Table
    from isomem.types import Payload

# What `pickle`, or reading the fields of a point, raises for damaged bytes.
_UNREADABLE = (
    pickle.UnpicklingError,
    ArithmeticError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,  # It says how much is to be remembered, and that may be too much.
    RecursionError,
    TypeError,
    ValueError,
)


class _Stored:
    """Stands in for the classes of a stored point: it has their fields, but none of their code."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state.get("__dict__", state))


class _PointReader(pickle.Unpickler):
    """Reads a stored point. A pickle can name any function to call; this reader finds none."""

    def find_class(self, module: str, name: str) -> Any:
        if module.partition(".")[0] == "qdrant_client":
            return _Stored
        raise pickle.UnpicklingError(f"a stored point names {module}.{name}")


def collections_in(folder: str, collection: str) -> dict[str, str]:
    """The files of the collections in a Qdrant folder, by name.

    Raises:
        DatabaseError: it is not such a folder, or `collection` is not among them.
    """
    root = os.path.join(folder, "collection")
    if not os.path.isdir(root):
        raise DatabaseError(
            f"{folder} is not a folder of a local Qdrant: it has no directory 'collection'",
            suggestion="Name the folder that mem0's vector_store.config.path named.",
        )
    files = {name: os.path.join(root, name, "storage.sqlite") for name in os.listdir(root)}
    names = {name: file for name, file in files.items() if os.path.isfile(file)}
    if collection not in names:
        raise no_collection(folder, collection, names)
    return names


def no_collection(place: str, collection: str, names: Iterable[str]) -> DatabaseError:
    """The error for a collection that is not among those of a folder or a server."""
    there = ", ".join(sorted(names))
    return DatabaseError(
        f"{place} has no collection {collection!r}",
        details={"collections": sorted(names)},
        suggestion=f"Name another one with --collection. It has: {there or 'none'}.",
    )


def with_expiry(payload: Payload) -> Payload:
    """A payload whose `expiration_date`, if it is one, is where isomem looks for it."""
    if EXPIRATION_DATE not in payload:
        return payload
    try:
        fields = expiry_fields(payload[EXPIRATION_DATE])
    except ValueError:
        return payload
    return {**{key: payload[key] for key in payload if key != EXPIRATION_DATE}, **fields}


def points_in(path: str) -> Iterator[tuple[str, list[float], Payload]]:
    """Id, vector and payload, as JSON has it, of each point in the file of a collection.

    Raises:
        MemoryCorruptionError: one cannot be read.
        DatabaseError: the file cannot be read.
    """
    for (data,) in _read(path, "SELECT point FROM points ORDER BY rowid"):
        try:
            point = _read_point(data)
        except _UNREADABLE as error:
            raise MemoryCorruptionError(
                f"{path}: a stored point cannot be read: {error}", error_code="CORRUPT_001"
            ) from error
        yield point


def _read_point(data: bytes) -> tuple[str, list[float], Payload]:
    point = _PointReader(io.BytesIO(data)).load()
    vector = point.vector[""] if isinstance(point.vector, dict) else point.vector
    payload = point.payload or {}
    if not isinstance(payload, dict):
        raise TypeError(f"its payload is a {type(payload).__name__}")
    point_id = str(point.id)
    for name, value in (("id", point_id), *((key, payload.get(key)) for key in SCOPE_KEYS)):
        if isinstance(value, str) and not is_unicode(value):
            raise ValueError(f"its {name} is not valid Unicode")
    return point_id, [*map(float, vector)], load_payload(dump_payload(payload))


def rows_in(path: str) -> Iterator[Record]:
    """History and messages of mem0's history, with the columns that it has.

    Raises:
        DatabaseError: the file is not there, or is something else.
    """
    if not os.path.isfile(path):
        raise DatabaseError(
            f"{path} is not there", suggestion="Name the file that mem0's history_db_path named."
        )
    columns = {kind: _columns_in(path, TABLES[kind]) for kind in ("history", "message")}
    if not {"id", "memory_id"} <= {*columns["history"]}:  # SQLite opens an empty file, too.
        raise DatabaseError(
            f"{path} is not mem0's history: it has no table history with id and memory_id"
        )
    return _rows(path, columns)


def _columns_in(path: str, table: Table) -> Sequence[str]:
    present = {row[1] for row in _read(path, f"PRAGMA table_info({table.name})")}
    return [name for name in table.columns if name in present]


def _rows(path: str, columns: Mapping[str, Sequence[str]]) -> Iterator[Record]:
    for kind, names in columns.items():
        if names:
            table = TABLES[kind].name
            sql = f"SELECT {', '.join(names)} FROM {table} ORDER BY rowid"  # noqa: S608 - ours
            for row in _read(path, sql):
                yield kind, dict(zip(names, row, strict=True))


def _read(path: str, sql: str) -> Iterator[tuple[Any, ...]]:
    try:
        connection = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY)
        try:
            yield from connection.execute(sql)
        finally:
            connection.close()
    except (apsw.Error, UnicodeDecodeError) as error:
        raise DatabaseError(f"{path} cannot be read: {error}") from error
