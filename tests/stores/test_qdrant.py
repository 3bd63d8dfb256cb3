"""Points of Qdrant by their ids: in local mode, and on a server (see `qdrant_server`)."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from isomem.stores.qdrant import QdrantStore
from tests.stores.qdrant_server import Double, serving

pytest.importorskip("qdrant_client")
pytestmark = pytest.mark.filterwarnings("ignore")

DIMS = 4
ANA = {"user_id": "ana"}
NAME = "7d8c1a44-0000-4000-8000-00000000000f"
SPELLED = [NAME, NAME.upper(), NAME.replace("-", ""), f"urn:uuid:{NAME}", f"{{{NAME}}}"]


@pytest.fixture
def server() -> Iterator[Double]:
    with serving() as running:
        yield running


@pytest.fixture(params=["local", "server"])
def store(request: pytest.FixtureRequest, server: Double) -> Iterator[QdrantStore]:
    where = {"path": ":memory:"} if request.param == "local" else {"url": server.url}
    made = QdrantStore(where, dims=DIMS)
    yield made
    made.close()


def put(store: QdrantStore, *names: Any) -> None:
    store.insert(vectors=[[1.0, 0.5, 0.0, 0.0]] * len(names), payloads=[ANA] * len(names),
                 ids=[*names])  # fmt: skip


@pytest.mark.parametrize("spelled", SPELLED)
def test_a_none_is_added_to_a_payload_however_its_point_is_spelled(
    store: QdrantStore, spelled: str
) -> None:
    put(store, NAME)
    store.update(spelled, payload={"mood": None})
    store.batch([(NAME, {"a": 1}), (spelled, {"b": None}), (NAME.upper(), {"c": None})])
    point: Any = store.get(NAME)
    assert point.payload == {**ANA, "mood": None, "a": 1, "b": None, "c": None}


@pytest.mark.parametrize("at_once", [1, 2, 3, 7, 100])
def test_every_point_is_read_once_whatever_its_id(store: QdrantStore, at_once: int) -> None:
    """Numbers are ordered as numbers, before all UUIDs."""
    numbers = [0, 1, 2, 9, 10, 11, 99, 100, 2**63]
    names = [f"{number:08}-0000-4000-8000-000000000000" for number in (0, 3, 20)]
    put(store, *random.Random(at_once).sample([*numbers, *names], 12))
    seen: list[str] = []
    while part := store.points(seen[-1] if seen else "", at_once):
        seen += [name for name, _, _ in part]
    assert seen == [*map(str, numbers), *names]


@pytest.mark.parametrize("spelled", [*SPELLED, UUID(NAME)], ids=str)
def test_a_server_is_asked_for_ids_as_it_spells_them(server: Double, spelled: Any) -> None:
    store = QdrantStore({"url": server.url}, dims=DIMS)
    put(store, NAME, 7)
    assert [hit.id for hit in store._read([spelled, "7_8c1a44", 7])] == [NAME, 7]
    assert server.bodies[-1]["ids"] == [NAME, 7]
    store.close()
