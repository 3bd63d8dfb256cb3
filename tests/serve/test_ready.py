"""Readiness over servers: the service says when the one with its memories is gone, and back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")

from tests.serve.service import serving
from tests.stores import server

DIMS = 24
NO_SERVER = server.without_pgvector()


def config_of(folder: Path, provider: str, **store: Any) -> dict[str, Any]:
    return {
        "vector_store": {"provider": provider, "config": store},
        "embedder": {"provider": "mock", "config": {"embedding_dims": DIMS}},
        "serve": {"state_path": str(folder / "service.db")},
    }


@pytest.fixture(scope="module")
def database() -> Iterator[server.Server]:
    """A server of its own, since it is stopped."""
    made = server.Server()
    yield made
    made.stop()


@pytest.mark.slow
@pytest.mark.skipif(bool(NO_SERVER), reason=NO_SERVER)
@pytest.mark.parametrize("provider", ["postgres", "pgvector"])
def test_a_service_is_ready_as_long_as_its_database_answers(
    database: server.Server, tmp_path: Path, provider: str
) -> None:
    where = database.make(f"of_{provider}")
    config = config_of(tmp_path, "postgres", dsn=where)
    if provider == "pgvector":
        store = {"connection_string": where, "embedding_model_dims": DIMS}
        config = config_of(tmp_path, "pgvector", **store)
        config["history_db_path"] = str(tmp_path / "history.db")
    with serving(config, scripted=False) as served:
        assert served.anyone.get("/ready").status_code == 200
        database.kill()
        try:
            told = served.anyone.get("/ready")
        finally:
            database.start()
        assert (told.status_code, told.json().get("code")) == (503, "NOT_READY")
        assert served.anyone.get("/ready").status_code == 200


@pytest.mark.slow
def test_a_service_is_ready_as_long_as_qdrant_answers(tmp_path: Path) -> None:
    pytest.importorskip("qdrant_client")
    from tests.stores import qdrant_server

    with qdrant_server.serving() as qdrant:
        store = {"url": qdrant.url, "embedding_model_dims": DIMS}
        config = config_of(tmp_path, "qdrant", **store)
        config["history_db_path"] = str(tmp_path / "history.db")
        with serving(config, scripted=False) as served:
            assert served.anyone.get("/ready").status_code == 200
            qdrant.failing += [500] * 20
            told = served.anyone.get("/ready")
            assert (told.status_code, told.json().get("code")) == (503, "NOT_READY")
            qdrant.failing.clear()
            assert served.anyone.get("/ready").status_code == 200
