"""Imports what mem0 wrote with its default store: a local Qdrant folder and a `history.db`.

Both are only read. Vectors, payloads, entities, history and messages are copied unchanged, so
nothing is embedded again and no model is called. What exists already stays as it is, so running an
import again adds only what is new.
"""

from __future__ import annotations

import io
import os
import pickle
from itertools import islice

import apsw

from isomem.contract.visibility import EXPIRATION_DATE, expiry_fields
from isomem.errors import DatabaseError, MemoryCorruptionError, VectorStoreError
from isomem.store.collection import Collection
from isomem.store.ledger import Ledger
from isomem.store.schema import HISTORY_COLUMNS, MESSAGE_COLUMNS
from isomem.types import SCOPE_KEYS, is_unicode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from isomem.facade import Facade
    from isomem.types import Payload

_BATCH = 500

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


def import_mem0(
    memory: Facade,
    *,
    qdrant: str | None = None,
    history: str | None = None,
    collection: str = "mem0",
    expiry: bool = False,
) -> dict[str, int]:
    """Copies mem0's stores into a memory.

    Args:
        memory: the target; its store is the embedded one.
        qdrant: the folder that mem0's `vector_store.config.path` named.
        history: the file that mem0's `history_db_path` named.
        collection: mem0's `collection_name`.
        expiry: an `expiration_date` in a payload, as mem0 writes it since 2.0.10, hides a memory
            here, too. Otherwise it is metadata, which it is in mem0 2.0.4.

    Returns:
        How many were added: `{"memories", "entities", "history", "messages"}`.

    Raises:
        DatabaseError: a folder, collection or file does not exist or cannot be read.
        MemoryCorruptionError: a stored point cannot be read.
        VectorValueError: the vectors do not have the length of the memory's.
        VectorStoreError: the memory's store is not the embedded one.
    """
    vectors, entities, ledger = memory.vector_store, memory.entity_store, memory.db
    if not (isinstance(vectors, Collection) and isinstance(entities, Collection)) or not isinstance(
        ledger, Ledger
    ):
        raise VectorStoreError("only a memory with the embedded store can import")
    counts = dict.fromkeys(("memories", "entities", "history", "messages"), 0)
    if qdrant is not None:
        names = collections_in(qdrant, collection)
        read = with_expiry if expiry else dict
        counts["memories"] = _copy_points(names[collection], vectors, read)
        entity_file = names.get(f"{collection}_entities")
        counts["entities"] = _copy_points(entity_file, entities) if entity_file else 0
    if history is not None:
        counts["history"] = _copy_rows(history, ledger, "history", HISTORY_COLUMNS)
        counts["messages"] = _copy_rows(history, ledger, "messages", MESSAGE_COLUMNS)
    return counts


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
        raise DatabaseError(
            f"{folder} has no collection {collection!r}",
            details={"collections": sorted(names)},
            suggestion=f"It has: {', '.join(sorted(names)) or 'none'}.",
        )
    return names


def _read(path: str, sql: str) -> Iterator[tuple[Any, ...]]:
    try:
        connection = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY)
        try:
            yield from connection.execute(sql)
        finally:
            connection.close()
    except apsw.Error as error:
        raise DatabaseError(f"{path} cannot be read: {error}") from error


def with_expiry(payload: Payload) -> Payload:
    """A payload whose `expiration_date`, if it is one, is where isomem looks for it."""
    if EXPIRATION_DATE not in payload:
        return payload
    try:
        fields = expiry_fields(payload[EXPIRATION_DATE])
    except ValueError:
        return payload
    return {**{key: payload[key] for key in payload if key != EXPIRATION_DATE}, **fields}


def _copy_points(path: str, into: Collection, read: Callable[[Payload], Payload] = dict) -> int:
    points = points_in(path)
    count = 0
    with into.database.writing():
        while batch := list(islice(points, _BATCH)):
            new = [point for point in batch if into.get(point[0]) is None]
            if new:
                ids, vectors, payloads = map(list, zip(*new, strict=True))
                into.insert(vectors=vectors, payloads=[*map(read, payloads)], ids=ids)
            count += len(new)
    return count


def points_in(path: str) -> Iterator[tuple[str, list[float], Payload]]:
    """Id, vector and payload of each point in the file of a collection.

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
    return point_id, vector, payload


def rows_in(path: str, table: str, columns: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The rows of a table of mem0's history, with the columns that it has.

    Raises:
        DatabaseError: the file is not there, or is something else.
    """
    if not os.path.isfile(path):
        raise DatabaseError(
            f"{path} is not there", suggestion="Name the file that mem0's history_db_path named."
        )
    present = {row[1] for row in _read(path, f"PRAGMA table_info({table})")}
    names = [name for name in columns if name in present]
    if names:
        sql = f"SELECT {', '.join(names)} FROM {table} ORDER BY rowid"  # noqa: S608 - ours
        for row in _read(path, sql):
            yield dict(zip(names, row, strict=True))


def _copy_rows(path: str, ledger: Ledger, table: str, columns: Iterable[str]) -> int:
    rows = [*rows_in(path, table, columns)]
    if not rows:
        return 0
    listed, marks = ", ".join(rows[0]), ", ".join("?" * len(rows[0]))
    sql = f"INSERT OR IGNORE INTO {table} ({listed}) VALUES ({marks})"  # noqa: S608 - ours
    with ledger.atomic() as database:
        before = database.connection.total_changes()
        database.execute_many(sql, [tuple(row.values()) for row in rows])
        return database.connection.total_changes() - before
