"""Both sides of the parity harness with their memories in pgvector, each in a schema of its own."""

from __future__ import annotations

import json
from functools import cache
from itertools import count
from typing import Any

from isomem_parity.ours import Ours
from isomem_parity.side import COLLECTION, Side
from isomem_parity.trace import (
    HISTORY_COLUMNS,
    MESSAGE_COLUMNS,
    Point,
    State,
    direction,
    payload_text,
)
from isomem_parity.upstream import ENTITIES, Upstream
from tests.stores import server

_numbers = count(1)


@cache
def _database() -> str:
    """A database with the extension, in the schema that all share."""
    name = "parity"
    server.shared().make(name)
    server.shared().do("CREATE EXTENSION vector", name)
    return name


class Schema:
    """Where the tables of one side are."""

    def __init__(self) -> None:
        self.name = f"side{next(_numbers)}"
        server.shared().do(f"CREATE SCHEMA {self.name}", _database())

    def dsn(self) -> str:
        """Its address. The HNSW index, by which mem0 misses memories, is not used."""
        options = f"'-c search_path={self.name},public -c enable_indexscan=off'"
        return f"{server.shared().dsn(_database())} options={options}"

    def points(self, collection: str) -> dict[str, Point]:
        table = f'"{self.name}"."{collection}"'
        exists = server.shared().do(f"SELECT to_regclass('{table}')", _database())
        if exists == [(None,)]:
            return {}
        sql = f"SELECT id::text, payload, vector::text FROM {table} ORDER BY id"
        return {
            point_id: Point(payload_text(payload), direction(json.loads(vector)))
            for point_id, payload, vector in server.shared().do(sql, _database())
        }


def _store_of(side: Side) -> dict[str, Any]:
    """The options of the store. What is not on disk begins anew when it is opened again."""
    schema: Schema | None = getattr(side, "schema", None)
    if schema is None or not side.script.on_disk:
        side.schema = schema = Schema()  # type: ignore[attr-defined]
    return {
        "collection_name": COLLECTION,
        "embedding_model_dims": side.dims,
        "connection_string": schema.dsn(),
    }


class OverPgvector(Ours):
    """isomem over its own store for pgvector."""

    label = "isomem over pgvector"
    schema: Schema

    def _config(self) -> dict[str, Any]:
        section = {"provider": "pgvector", "config": _store_of(self)}
        history = str(self.folder / "history.db") if self.script.on_disk else ":memory:"
        return {**super()._config(), "vector_store": section, "history_db_path": history}

    def state(self) -> State:
        return State(
            memories=self.schema.points(COLLECTION),
            entities=self.schema.points(ENTITIES),
            history=self._rows("history", HISTORY_COLUMNS),
            messages=self._rows("messages", MESSAGE_COLUMNS),
        )


class TheirsOverPgvector(Upstream):
    """mem0 over its own class for pgvector."""

    label = "mem0 over pgvector"
    schema: Schema

    def _config(self) -> dict[str, Any]:
        section = {"provider": "pgvector", "config": _store_of(self)}
        return {**super()._config(), "vector_store": section}

    def run(self, step: Any, number: int) -> Any:
        return Side.run(self, step, number)

    def close_stores(self) -> None:
        for store in (self.memory.vector_store, self.memory._entity_store):
            if store is not None:
                store.connection_pool.close()

    def _points(self, collection: str) -> dict[str, Point]:
        return self.schema.points(collection)

    def _entity_store_for_repair(self) -> Any:
        from mem0.vector_stores.pgvector import PGVector

        return PGVector(
            "parity", ENTITIES, self.dims, None, None, None, None, False, True,
            connection_string=self.schema.dsn(),
        )  # fmt: skip

    def _set_points(
        self, store: Any, collection: str, now: dict[str, Point], wanted: dict[str, Point]
    ) -> None:
        changed = [given for given, point in wanted.items() if now.get(given) != point]
        for given in {*changed, *(each for each in now if each not in wanted)}:
            store.delete(given)
        if changed:
            store.insert(
                vectors=[list(wanted[given].vector) for given in changed],
                payloads=[json.loads(wanted[given].payload) for given in changed],
                ids=changed,
            )
