"""isomem's side of the parity harness over other stores than the embedded one."""

from __future__ import annotations

from typing import Any

from isomem_parity import tiers
from isomem_parity.ours import Ours
from isomem_parity.side import COLLECTION
from isomem_parity.trace import (
    HISTORY_COLUMNS,
    MESSAGE_COLUMNS,
    Point,
    State,
    direction,
    payload_text,
)


class OverQdrant(Ours):
    """isomem, with its memories in the Qdrant that the provider "qdrant" stands for."""

    label = "isomem over Qdrant"

    def _config(self) -> dict[str, Any]:
        store: dict[str, Any] = {
            "collection_name": COLLECTION,
            "embedding_model_dims": self.dims,
            **self.more(),
        }
        if self.script.on_disk:
            store["path"] = str(self.folder / "qdrant")
        else:
            from qdrant_client import QdrantClient

            store["client"] = QdrantClient(":memory:")
        history = str(self.folder / "history.db") if self.script.on_disk else ":memory:"
        section = {"provider": "qdrant", "config": store}
        return {**super()._config(), "vector_store": section, "history_db_path": history}

    def more(self) -> dict[str, Any]:
        """Further options of the store."""
        return {}

    def state(self) -> State:
        client = self.memory.vector_store.client
        return State(
            memories=points(client, COLLECTION),
            entities=points(client, f"{COLLECTION}_entities"),
            history=self._rows("history", HISTORY_COLUMNS),
            messages=self._rows("messages", MESSAGE_COLUMNS),
        )


def points(client: Any, collection: str) -> dict[str, Point]:
    if not client.collection_exists(collection):
        return {}
    records, _ = client.scroll(collection, limit=100_000, with_vectors=True)
    return {
        each.id: Point(payload_text(each.payload), direction(list(_dense(each.vector))))
        for each in records
    }


def _dense(vector: Any) -> Any:
    return vector[""] if isinstance(vector, dict) else vector


class OverOwnQdrant(OverQdrant):
    """isomem over its own store for Qdrant."""

    label = "isomem over its Qdrant"

    def more(self) -> dict[str, Any]:
        return {"keyword_search": tiers.KEYWORDS[self.tier]}


class OverChroma(Ours):
    """isomem over its own store for Chroma, with the scores of other engines.

    Chroma lists in the order of insertion, Qdrant by id: here both list by id.
    """

    label = "isomem over its Chroma"

    def build(self) -> Any:
        memory = super().build()
        for store in (memory.vector_store, memory.entity_store):
            store.list = _by_id(store.list)
        return memory

    def _config(self) -> dict[str, Any]:
        files = self.script.on_disk
        store = {
            "path": str(self.folder / "chroma") if files else ":memory:",
            "collection_name": COLLECTION,
            "scores": "similarity",
        }
        return {
            **super()._config(),
            "vector_store": {"provider": "chroma", "config": store},
            "history_db_path": str(self.folder / "history.db") if files else ":memory:",
            "embedder": {"provider": "mock", "config": {"embedding_dims": self.dims}},
        }

    def _points(self, store: Any, collection: str) -> dict[str, Point]:
        return {
            name: Point(sorted_text(payload), direction([*map(float, vector)]))
            for name, payload, vector in store.points("", 100_000)
        }


def _by_id(listing: Any) -> Any:
    def listed(filters: Any = None, top_k: int | None = 100) -> Any:
        listing(filters, top_k)  # It may refuse what it is asked.
        return sorted(listing(filters, None)[0], key=lambda hit: hit.id)[:top_k], None

    return listed


def sorted_text(payload: Any) -> str:
    """A payload as text, its keys in an order: Chroma returns them in any."""
    return payload_text(dict(sorted(payload.items())))
