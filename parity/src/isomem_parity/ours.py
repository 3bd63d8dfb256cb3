"""isomem's side: `isomem.Memory` or `isomem.AsyncMemory` on its embedded store."""

from __future__ import annotations

from array import array
from typing import Any

from isomem.types import PROFILES
from isomem_parity import tiers
from isomem_parity.side import COLLECTION, Side
from isomem_parity.trace import (
    HISTORY_COLUMNS,
    MESSAGE_COLUMNS,
    Point,
    Row,
    State,
    direction,
    payload_text,
)
from isomem_parity.upstream import installed, release

_VECTORS = (
    "SELECT p.id, p.vector FROM points p JOIN collections c ON c.number = p.collection"
    " WHERE c.name = ? ORDER BY p.id"
)

_kept: list[Any] = []
"""A tier with spaCy's model, which takes half a second to load and is released with its last user.

It is never closed, and the memories share its model.
"""


class Ours(Side):
    """The implementation under test."""

    label = "isomem"

    def build(self) -> Any:
        import isomem

        chosen: Any = isomem.AsyncMemory if self.kind == "async" else isomem.Memory
        memory = chosen.from_config(self._config(), clock=self.clock)
        if self.tier == "C" and not _kept:
            from isomem.text.tiers import load_tier

            _kept.append(load_tier(**tiers.NLP["C"]))
            _kept[0].lemmatize("tea")
        return memory

    def _config(self) -> dict[str, Any]:
        config, files = self.script.config, self.script.on_disk
        store = {
            "path": str(self.folder / "memory.db") if files else ":memory:",
            "collection_name": COLLECTION,
            "embedding_model_dims": self.dims,
            "keyword_search": tiers.KEYWORDS[self.tier],
        }
        full: dict[str, Any] = {
            "profile": release() if installed() else PROFILES[0],
            "vector_store": {"provider": "embedded", "config": store},
            "nlp": tiers.NLP[self.tier],
            "llm": {"provider": "mock", "config": dict(config.get("llm", {}))},
            "embedder": {"provider": "mock"},
        }
        if "custom_instructions" in config:
            full["custom_instructions"] = config["custom_instructions"]
        return full

    def close_stores(self) -> None:
        """`close` has closed everything."""

    def swap_entity_store(self, store: Any) -> None:
        self.memory.entity_store = store

    def state(self) -> State:
        memory = self.memory
        return State(
            memories=self._points(memory.vector_store, COLLECTION),
            entities=self._points(memory.entity_store, f"{COLLECTION}_entities"),
            history=self._rows("history", HISTORY_COLUMNS),
            messages=self._rows("messages", MESSAGE_COLUMNS),
        )

    def _points(self, store: Any, collection: str) -> dict[str, Point]:
        listed = store.list(top_k=100_000)
        hits = listed[0] if listed and isinstance(listed[0], list) else listed
        vectors = dict(store.database.rows(_VECTORS, (collection,)))
        points = {
            hit.id: Point(payload_text(hit.payload), direction(array("f", vectors[hit.id])))
            for hit in hits
        }
        return dict(sorted(points.items()))

    def _rows(self, table: str, columns: tuple[str, ...]) -> tuple[Row, ...]:
        sql = f"SELECT {', '.join(columns)} FROM {table} ORDER BY rowid"
        return tuple(self.memory.db.database.rows(sql))
