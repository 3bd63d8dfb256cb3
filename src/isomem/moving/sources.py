"""Other stores to import from, as records: Qdrant and Chroma, a server or a folder, and mem0's
history.

They are only read. A source is an iterator of records, so another store needs only a function here.
What is wrong with its arguments is an error of the call, and not of the first record.
"""

from __future__ import annotations

import os
import re
from functools import partial
from urllib.parse import urlsplit

from isomem.config import ENTITIES_SUFFIX
from isomem.errors import DatabaseError, InvalidConfigError
from isomem.moving.files import collections_in, no_collection, points_in, rows_in
from isomem.moving.reading import AT_ONCE
from isomem.providers.extras import require

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
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
        InvalidConfigError: the address of the server cannot be used.
        DependencyError: it is a server, and qdrant-client is not installed.
        DatabaseError: there is no such folder or collection.
        VectorStoreError: the server fails.
    """
    if not is_address(place):
        return _of_folder(collections_in(place, collection), collection, read)
    _check_address(place, takes_path=True)  # That of a proxy.
    require("qdrant_client", "qdrant", "An import from a Qdrant server")
    return _of_server(place, collection, api_key, read)


def _of_folder(files: Mapping[str, str], collection: str, read: Read) -> Iterator[Record]:
    for kind, suffix in KINDS:
        file = files.get(f"{collection}{suffix}")
        for point_id, vector, payload in points_in(file) if file else ():
            yield _record(kind, point_id, payload, vector, read)


def _of_server(place: str, collection: str, api_key: str | None, read: Read) -> Iterator[Record]:
    from isomem.stores.qdrant import read as read_options
    from isomem.stores.qdrant_calls import opened

    connection = opened(read_options({"url": place, "api_key": api_key}))
    try:
        for kind, suffix in KINDS:
            name = f"{collection}{suffix}"
            if connection.call("collection_exists", collection_name=name):
                yield from _of_collection(connection, name, kind, read)
            elif kind == "memory":
                there = connection.call("get_collections").collections
                raise no_collection(place, name, [each.name for each in there])
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
        InvalidConfigError: the address of the server cannot be used.
        DependencyError: chromadb is not installed.
        DatabaseError: there is no such folder or collection.
        VectorStoreError: the server fails, or a process of isomem's has the folder open.
    """
    where = _server_at(place) if is_address(place) else _chroma_folder(place)
    require("chromadb", "chroma", "An import from Chroma")
    return _of_chroma({**where, "api_key": api_key, "max_retries": 2}, place, collection, read)


def _of_chroma(
    where: Mapping[str, object], place: str, collection: str, read: Read
) -> Iterator[Record]:
    from isomem.stores.chroma import read as read_options
    from isomem.stores.chroma_calls import found_collection, opened

    connection = opened(read_options(where))
    try:
        for kind, suffix in KINDS:
            name = f"{collection}{suffix}"
            found = connection.call(partial(found_collection, connection.client, name))
            if found is not None:
                yield from _of_chroma_collection(connection, found, kind, read)
            elif kind == "memory":
                there = connection.call(connection.client.list_collections)
                raise no_collection(place, name, [each.name for each in there])
    finally:
        connection.close()


def is_address(place: str) -> bool:
    """Whether a place is the address of a server, and not a folder.

    What is not there and looks like an address was meant for one that lacks its `http://`: as a
    folder, it would be repeated in the error, with the password that may be in it.
    """
    if "://" in place:
        return True
    return bool(re.search(r"@|:\d+/?$", place)) and not os.path.lexists(place)


def address_fault(address: str, *, takes_path: bool) -> str:
    """What is wrong with the address of a server; "" if nothing.

    It does not repeat the address: there may be a password in it.
    """
    if "@" in address:
        return "the address has a user or a password, which would not be sent"
    try:
        parts = urlsplit(address)
        is_usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable or parts.query or parts.fragment:
        return "the address is not http://HOST:PORT or https://HOST:PORT"
    if parts.path.strip("/") and not takes_path:
        return "the address has a path, which the client would not use"
    return ""


def _check_address(address: str, *, takes_path: bool) -> None:
    fault = address_fault(address, takes_path=takes_path)
    if fault:
        raise InvalidConfigError(fault, error_code="CONFIG_002")


def _server_at(address: str) -> dict[str, object]:
    _check_address(address, takes_path=False)
    parts = urlsplit(address)
    is_encrypted = parts.scheme == "https"
    port = parts.port or (443 if is_encrypted else 8000)
    return {"host": parts.hostname, "port": port, "ssl": is_encrypted}


def _chroma_folder(place: str) -> dict[str, object]:
    if not os.path.isfile(os.path.join(place, "chroma.sqlite3")):
        raise DatabaseError(f"{place} is not a folder of Chroma: it has no chroma.sqlite3")
    return {"path": place}


def _of_chroma_collection(connection: Any, found: Any, kind: str, read: Read) -> Iterator[Record]:
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
    return rows_in(path)


def _record(kind: str, point_id: str, payload: Payload, vector: Any, read: Read) -> Record:
    payload = read(dict(payload)) if kind == "memory" else dict(payload)
    return kind, {"id": point_id, "payload": payload, "vector": [*map(float, vector)]}
