"""A server that speaks Qdrant's HTTP protocol, over Qdrant's own local mode.

It stands in for the real server, which no package registry has. So what isomem sends to a server,
in which parts, and what it makes of answers and of failures is tested over real HTTP with the real
client. How a real server decides a filter is not: so this one refuses every condition that servers
decide in ways of their own.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "a-key-for-tests"
Json = dict[str, Any]


class Double:
    """The state of one server.

    Attributes:
        requests: method and path of every request.
        failing: statuses to answer the next requests with, in place of what they ask for.
        indexed: the indexes that were made, by collection.
        is_strict: whether filters on keys without an index are refused, as by Qdrant Cloud.
    """

    def __init__(self) -> None:
        from qdrant_client.local.qdrant_local import QdrantLocal

        self.local = QdrantLocal(":memory:")
        self.lock = threading.Lock()
        self.requests: list[tuple[str, str]] = []
        self.bodies: list[Json] = []
        self.failing: list[int] = []
        self.indexed: dict[str, list[str]] = {}
        self.is_strict = False
        self.url = ""

    def answer(self, method: str, path: str, body: Json) -> Any:
        """The result of a request."""
        parts = path.strip("/").split("/")
        if parts[:1] != ["collections"]:
            return {"title": "qdrant", "version": "1.20.0"}
        if len(parts) == 1:
            return self.local.get_collections()
        name, rest = parts[1], "/".join(parts[2:])
        if self.is_strict and method == "POST":
            for key in _keys(body.get("searches", body)):
                if key not in self.indexed.get(name, ()):
                    raise ValueError(f"Index required but not found for {key!r}")
        return _ROUTES[method, rest](self, name, body)

    def sent(self, method: str, ending: str) -> int:
        """How many such requests there were."""
        return sum(1 for how, path in self.requests if how == method and path.endswith(ending))


# --- What is asked ---------------------------------------------------------------------------


def _filter(given: Any) -> Any:
    from qdrant_client import models

    if given is None:
        return None
    _refuse_what_servers_decide_alone(given)
    return models.Filter(**given)


def _refuse_what_servers_decide_alone(given: Any) -> None:
    if isinstance(given, dict):
        match = given.get("match") or {}
        bounds = (given.get("range") or {}).values()
        if {"text", "except"} & {*match} or any(isinstance(each, str) for each in bounds):
            raise AssertionError(f"a server decides this in its own way: {given}")
        given = given.values()
    elif not isinstance(given, list):
        return
    for each in given:
        _refuse_what_servers_decide_alone(each)


def _keys(given: Any) -> Iterator[str]:
    """The keys that the filters of a request are on."""
    for part in given.values() if isinstance(given, dict) else given:
        if isinstance(part, dict) and "key" in part:
            yield part["key"]
        elif isinstance(part, dict | list):
            yield from _keys(part)


def _exists(server: Double, name: str, body: Json) -> Any:
    return {"exists": server.local.collection_exists(name)}


def _info(server: Double, name: str, body: Json) -> Any:
    found = json.loads(server.local.get_collection(name).model_dump_json())
    indexed = server.indexed.get(name, ())
    found["payload_schema"] = {key: {"data_type": "keyword", "points": 0} for key in indexed}
    return found


def _create(server: Double, name: str, body: Json) -> Any:
    from qdrant_client import models

    asked = models.CreateCollection(**body)
    return server.local.create_collection(
        name, vectors_config=asked.vectors, sparse_vectors_config=asked.sparse_vectors
    )


def _delete(server: Double, name: str, body: Json) -> Any:
    server.indexed.pop(name, None)
    return server.local.delete_collection(name)


def _index(server: Double, name: str, body: Json) -> Any:
    server.indexed.setdefault(name, []).append(body["field_name"])
    return _done()


def _upsert(server: Double, name: str, body: Json) -> Any:
    from qdrant_client import models

    server.local.upsert(name, models.PointsList(**body).points)
    return _done()


def _retrieve(server: Double, name: str, body: Json) -> Any:
    vectors = body.get("with_vector") or body.get("with_vectors") or False
    return server.local.retrieve(
        name, body["ids"], with_payload=body.get("with_payload", True), with_vectors=vectors
    )


def _scroll(server: Double, name: str, body: Json) -> Any:
    points, offset = server.local.scroll(
        name,
        scroll_filter=_filter(body.get("filter")),
        limit=body.get("limit") or 10,
        offset=body.get("offset"),
        with_payload=body.get("with_payload", True),
        with_vectors=body.get("with_vector") or False,
    )
    return {"points": points, "next_page_offset": offset}


def _query(server: Double, name: str, body: Json) -> Any:
    from qdrant_client import models

    asked = models.QueryRequest(**{**body, "filter": None})
    query: Any = asked.query
    return server.local.query_points(
        name,
        query=getattr(query, "nearest", query),
        using=asked.using,
        query_filter=_filter(body.get("filter")),
        limit=body.get("limit") or 10,
        with_payload=True,
    )


def _query_batch(server: Double, name: str, body: Json) -> Any:
    return [_query(server, name, each) for each in body["searches"]]


def _delete_points(server: Double, name: str, body: Json) -> Any:
    from qdrant_client import models

    server.local.delete(name, models.PointIdsList(**body))
    return _done()


def _set_payload(server: Double, name: str, body: Json) -> Any:
    server.local.set_payload(name, body["payload"], body["points"])
    return _done()


def _overwrite_payload(server: Double, name: str, body: Json) -> Any:
    server.local.overwrite_payload(name, body["payload"], body["points"])
    return _done()


def _batch(server: Double, name: str, body: Json) -> Any:
    kinds = {
        "set_payload": _set_payload,
        "overwrite_payload": _overwrite_payload,
        "delete": _delete_points,
    }
    for each in body["operations"]:
        ((kind, what),) = each.items()
        kinds[kind](server, name, what)
    return [_done() for _ in body["operations"]]


def _set_vectors(server: Double, name: str, body: Json) -> Any:
    from qdrant_client import models

    server.local.update_vectors(name, [models.PointVectors(**each) for each in body["points"]])
    return _done()


def _done() -> Json:
    return {"operation_id": 0, "status": "completed"}


_ROUTES: dict[tuple[str, str], Callable[[Double, str, Json], Any]] = {
    ("GET", "exists"): _exists,
    ("GET", ""): _info,
    ("PUT", ""): _create,
    ("DELETE", ""): _delete,
    ("PUT", "index"): _index,
    ("PUT", "points"): _upsert,
    ("POST", "points"): _retrieve,
    ("POST", "points/scroll"): _scroll,
    ("POST", "points/query"): _query,
    ("POST", "points/query/batch"): _query_batch,
    ("POST", "points/delete"): _delete_points,
    ("POST", "points/payload"): _set_payload,
    ("PUT", "points/vectors"): _set_vectors,
    ("POST", "points/batch"): _batch,
}


# --- HTTP ------------------------------------------------------------------------------------


def _plain(value: Any) -> Any:
    if hasattr(value, "model_dump_json"):
        return json.loads(value.model_dump_json())
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return {key: _plain(each) for key, each in value.items()} if isinstance(value, dict) else value


@contextmanager
def serving(key: str | None = None) -> Iterator[Double]:
    """A server on a free port of the loopback, until the end of the block."""
    double = Double()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}")
            path = self.path.partition("?")[0]
            with double.lock:
                double.requests.append((self.command, path))
                double.bodies.append(body)
                self.reply(*self.outcome(path, body))

        def outcome(self, path: str, body: Json) -> tuple[int, Any]:
            if key is not None and self.headers.get("api-key") != key:
                return 401, {"status": {"error": "Must provide an API key"}}
            if double.failing:
                return double.failing.pop(0), {"status": {"error": "out of order"}}
            try:
                result = _plain(double.answer(self.command, path, body))
            except (ValueError, KeyError) as error:
                return 400, {"status": {"error": str(error)}}
            except AssertionError as error:
                return 500, {"status": {"error": str(error)}}
            return 200, {"result": result, "status": "ok", "time": 0.0}

        def reply(self, status: int, value: Any) -> None:
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815 - the names of the base

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    double.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield double
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
