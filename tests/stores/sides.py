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
