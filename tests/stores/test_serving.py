"""A service over every engine: it starts as it is configured, and its calls reach the store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.stores.adapters import DIMS, Adapter

pytestmark = pytest.mark.filterwarnings("ignore")
BODY: dict[str, Any] = {"user_id": "ana", "infer": False}


def test_a_service_starts_remembers_and_forgets(adapter: Adapter, tmp_path: Path) -> None:
    pytest.importorskip("fastapi")
    from tests.serve.service import Served

    if adapter.equip is not None:
        pytest.skip("a service makes its store from a configuration")
    if lacks := adapter.missing():
        pytest.skip(f"{adapter.name}: {lacks}")
    embedder = {"provider": "mock", "config": {"embedding_dims": DIMS}}
    config = {
        **adapter.config(tmp_path), "embedder": embedder, "llm": {"provider": "mock"},
        "serve": {"state_path": str(tmp_path / "service.db")},
    }  # fmt: skip
    served = Served(config, scripted=False)
    try:
        assert served.service.memory.config.dedup_concurrent == adapter.can.dedup
        key = served.key()
        changed = key.post("/configure", {"dedup_concurrent": True})
        assert changed.status_code == (200 if adapter.can.dedup else 400), changed.text
        said = [{"role": "user", "content": "Ana likes green tea"}]
        [added] = key.post("/api/add", {**BODY, "messages": said}).json()["results"]
        asked = {"query": "green tea", "filters": {"user_id": "ana"}}
        found = key.post("/api/search", asked).json()["results"]
        assert [each["id"] for each in found] == [added["id"]]
        assert key.get("/ready").status_code == 200
        assert key.post("/api/delete_all", {"user_id": "ana"}).status_code == 200
        assert key.post("/api/search", asked).json()["results"] == []
    finally:
        served.close()
