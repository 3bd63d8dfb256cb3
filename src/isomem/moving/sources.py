"""Other stores to import from, as records: Qdrant and Chroma, a server or a folder, and mem0's
history.

They are only read. A source is a generator of records, so another store needs only a function here.
"""

from __future__ import annotations

import os
from functools import partial

from isomem import importer
from isomem.config import ENTITIES_SUFFIX
from isomem.errors import DatabaseError
from isomem.moving.reading import AT_ONCE, TABLES
from isomem.providers.extras import require

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


def of_chroma(
    place: str, collection: str, *, api_key: str | None = None, read: Read = dict
) -> Iterator[Record]:
    """Memories and entities of mem0's Chroma.

    Args:
        place: the address of a server, or the folder of a local Chroma.
        collection: mem0's `collection_name`.
        api_key: of a server.
        read: what is made of a payload of a memory.

    Raises:
        DependencyError: chromadb is not installed.
        DatabaseError: there is no such folder or collection.
        VectorStoreError: the server fails, or a process of isomem's has the folder open.
    """
    require("chromadb", "chroma", "An import from Chroma")
    from isomem.stores.chroma import read as read_options
    from isomem.stores.chroma_calls import found_collection, opened

    where = _server_at(place) if "://" in place else _chroma_folder(place)
    connection = opened(read_options({**where, "api_key": api_key, "max_retries": 2}))
    try:
        for kind, suffix in KINDS:
            name = f"{collection}{suffix}"
            found = connection.call(partial(found_collection, connection.client, name))
            if found is not None:
                yield from _of_chroma(connection, found, kind, read)
            elif kind == "memory":
                raise DatabaseError(f"{place} has no collection {name!r}")
    finally:
        connection.close()


def _server_at(address: str) -> dict[str, object]:
    from urllib.parse import urlsplit

    parts = urlsplit(address)
    is_encrypted = parts.scheme == "https"
    port = parts.port or (443 if is_encrypted else 8000)
    return {"host": parts.hostname, "port": port, "ssl": is_encrypted}


def _chroma_folder(place: str) -> dict[str, object]:
    if not os.path.isfile(os.path.join(place, "chroma.sqlite3")):
        raise DatabaseError(f"{place} is not a folder of Chroma: it has no chroma.sqlite3")
    return {"path": place}


def _of_chroma(connection: Any, found: Any, kind: str, read: Read) -> Iterator[Record]:
    from isomem.stores.chroma_payloads import unpacked

    names = connection.call(partial(found.get, include=[]))["ids"]
    for start in range(0, len(names), AT_ONCE):
        asked = {"ids": names[start : start + AT_ONCE], "include": ["embeddings", "metadatas"]}
        page = connection.call(partial(found.get, **asked))
        for point_id, vector, metadata in zip(
            page["ids"], page["embeddings"], page["metadatas"], strict=True
        ):
            yield _record(kind, point_id, unpacked(metadata), vector, read)


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
