"""Other stores to import from, as records: a Qdrant server or folder, Chroma, and mem0's history.

They are only read. A source is a generator of records, so another store needs only a function here.
"""

from __future__ import annotations

import os
from importlib import import_module

from isomem import importer
from isomem.config import ENTITIES_SUFFIX
from isomem.errors import DatabaseError, VectorStoreError
from isomem.moving.reading import AT_ONCE, TABLES
from isomem.providers.extras import missing, require

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from isomem.moving.lines import Record
    from isomem.types import Payload

    Read = Callable[[Payload], Payload]

KINDS = (("memory", ""), ("entity", ENTITIES_SUFFIX))
"""What the two collections hold, and what the name of each ends in."""


def of_qdrant(
    place: str, collection: str, *, api_key: str | None = None, read: Read = dict
) -> Iterator[Record]:
    """Memories and entities of mem0's Qdrant.

    Args:
        place: the address of a server, or the folder of local mode, whose files are only read.
        collection: mem0's `collection_name`.
        api_key: of a server.
        read: what is made of a payload of a memory.

    Raises:
        DatabaseError: there is no such folder or collection.
        VectorStoreError: the server fails.
    """
    if "://" in place:
        return _of_server(place, collection, api_key, read)
    return _of_folder(place, collection, read)


def _of_folder(place: str, collection: str, read: Read) -> Iterator[Record]:
    files = importer.collections_in(place, collection)
    for kind, suffix in KINDS:
        file = files.get(f"{collection}{suffix}")
        for point_id, vector, payload in importer.points_in(file) if file else ():
            yield _record(kind, point_id, payload, vector, read)


def _of_server(place: str, collection: str, api_key: str | None, read: Read) -> Iterator[Record]:
    require("qdrant_client", "qdrant", "An import from a Qdrant server")
    from isomem.stores.qdrant import read as read_options
    from isomem.stores.qdrant_calls import opened

    connection = opened(read_options({"url": place, "api_key": api_key}))
    try:
        for kind, suffix in KINDS:
            name = f"{collection}{suffix}"
            if connection.call("collection_exists", collection_name=name):
                yield from _of_collection(connection, name, kind, read)
            elif kind == "memory":
                raise DatabaseError(f"the server has no collection {name!r}")
    finally:
        connection.close()


def _of_collection(connection: Any, name: str, kind: str, read: Read) -> Iterator[Record]:
    offset = None
    while True:
        points, offset = connection.call(
            "scroll", collection_name=name, limit=AT_ONCE, offset=offset, with_vectors=True
        )
        for point in points:
            vector = point.vector[""] if isinstance(point.vector, dict) else point.vector
            yield _record(kind, str(point.id), point.payload or {}, vector, read)
        if offset is None:
            return


def of_chroma(place: str, collection: str, *, read: Read = dict) -> Iterator[Record]:
    """Memories and entities of mem0's Chroma in a folder.

    Args:
        place: the folder.
        collection: mem0's `collection_name`.
        read: what is made of a payload of a memory.

    Raises:
        DependencyError: chromadb is not installed.
        DatabaseError: there is no such folder or collection.
    """
    try:
        chromadb: Any = import_module("chromadb")
        settings: Any = import_module("chromadb.config").Settings
    except ImportError:
        raise missing("chromadb", "chroma", "An import from Chroma") from None
    if not os.path.isfile(os.path.join(place, "chroma.sqlite3")):
        raise DatabaseError(f"{place} is not a folder of Chroma: it has no chroma.sqlite3")
    client = chromadb.PersistentClient(place, settings(anonymized_telemetry=False))
    names = {each.name for each in client.list_collections()}
    if collection not in names:
        raise DatabaseError(f"{place} has no collection {collection!r}")
    for kind, suffix in KINDS:
        if f"{collection}{suffix}" in names:
            yield from _of_chroma(client.get_collection(f"{collection}{suffix}"), kind, read)


def _of_chroma(found: Any, kind: str, read: Read) -> Iterator[Record]:
    for start in range(0, found.count(), AT_ONCE):
        page = found.get(limit=AT_ONCE, offset=start, include=["embeddings", "metadatas"])
        if page["embeddings"] is None:
            raise VectorStoreError("Chroma gives no vectors")
        for point_id, vector, payload in zip(
            page["ids"], page["embeddings"], page["metadatas"], strict=True
        ):
            yield _record(kind, point_id, payload or {}, vector, read)


def of_history(path: str) -> Iterator[Record]:
    """History and messages of mem0's `history.db`.

    Raises:
        DatabaseError: the file does not exist, or is something else.
    """
    for kind in ("history", "message"):
        table = TABLES[kind]
        for row in importer.rows_in(path, table.name, table.columns):
            yield kind, row


def _record(kind: str, point_id: str, payload: Payload, vector: Any, read: Read) -> Record:
    payload = read(dict(payload)) if kind == "memory" else dict(payload)
    return kind, {"id": point_id, "payload": payload, "vector": [*map(float, vector)]}
