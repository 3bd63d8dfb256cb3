"""One live collection, used by mem0 and by isomem at the same time: neither sees a difference."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from isomem import Memory
from isomem.testing import HashEmbedder, ScriptedLLM
from tests.stores.adapters import DIMS, RUNS_ALL

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]

USERS = ("ana", "bob")
FACTS = [
    "Ana lives in Lisbon", "Inês Duarte plays the cello", "Ana is allergic to peanuts",
    "Bob drives a red car", "The dog is called Rex", "Ana met Inês Duarte in Porto",
    "Rex likes the red ball", "Bob works at Blue Moon Records", "The cello is from 1890",
]  # fmt: skip
QUERIES = ("Who plays the cello?", "Where is Lisbon?", "Rex and the red ball")
STEPS = 60 if RUNS_ALL else 16
TIERS = ("A", "B", "C") if RUNS_ALL else ("B",)


class Pair:
    """mem0's memory and isomem's, over one collection and one history."""

    def __init__(self, folder: Path, tier: str) -> None:
        import mem0

        from isomem_parity import tiers

        tiers.enter(tier)
        shared = {
            "vector_store": self.section(folder),
            "history_db_path": str(folder / "history.db"),
            "llm": {"provider": "openai", "config": {"api_key": "unused"}},
            "embedder": {
                "provider": "openai",
                "config": {"api_key": "unused", "embedding_dims": DIMS},
            },
        }
        self.theirs: Any = mem0.Memory.from_config(shared)
        self.ours: Any = Memory.from_config({**shared, "nlp": tiers.NLP[tier]})
        self.prepare(has_keywords=tiers.KEYWORDS[tier])
        for side in self.sides:
            side.embedding_model = HashEmbedder(dims=DIMS)

    def section(self, folder: Path) -> dict[str, Any]:
        """The vector store that both use."""
        from qdrant_client import QdrantClient

        self.client = QdrantClient(":memory:")
        store = {"client": self.client, "embedding_model_dims": DIMS}
        return {"provider": "qdrant", "config": store}

    def prepare(self, *, has_keywords: bool) -> None:
        """Gives isomem's store what mem0 has in the tier."""
        if not has_keywords:
            self.ours.vector_store._encoder = None

    def close(self) -> None:
        """Closes both, and what they share."""
        self.ours.close()
        self.theirs.close()
        self.client.close()

    @property
    def sides(self) -> tuple[Any, Any]:
        return self.theirs, self.ours

    def view(self, side: Any) -> list[Any]:
        """What one side shows of everything."""
        shown: list[Any] = []
        for user in USERS:
            filters = {"user_id": user}
            listed = side.get_all(filters=filters, top_k=100)["results"]
            shown.append([_row(each) for each in listed])
            shown += [side.history(each["id"]) for each in listed]
            for query in QUERIES:
                found = side.search(query, filters=filters, threshold=0.0)["results"]
                shown.append([(*_row(each), round(each["score"], 6)) for each in found])
        return shown

    def points(self, collection: str) -> list[Any]:
        if not self.client.collection_exists(collection):
            return []
        records, _ = self.client.scroll(collection, limit=1000, with_vectors=True)
        return records


def _row(each: dict[str, Any]) -> tuple[Any, ...]:
    return each["id"], each["memory"], each["metadata"], each["created_at"], each["updated_at"]


@pytest.fixture(params=TIERS)
def pair(request: pytest.FixtureRequest, tmp_path: Path, oracle: None) -> Iterator[Pair]:
    from isomem_parity import tiers

    lacking = tiers.missing(request.param)
    if lacking:
        pytest.skip(f"not installed: {', '.join(lacking)}")
    made = Pair(tmp_path, request.param)
    yield made
    made.close()


def act(side: Any, rng: random.Random) -> None:
    """One random call on one side."""
    user = rng.choice(USERS)
    listed = side.get_all(filters={"user_id": user}, top_k=100)["results"]
    kind = rng.choice(["raw", "infer", "infer", "update", "delete", "delete_all"])
    text = f"{rng.choice(FACTS)}, note {rng.randrange(10)}"
    if kind == "raw" or (not listed and kind != "infer"):
        side.add(text, user_id=user, infer=False, metadata={"n": rng.randrange(3)})
    elif kind == "infer":
        side.llm = ScriptedLLM([{"memory": [{"text": text}, {"text": rng.choice(FACTS)}]}])
        side.add("said", user_id=user)
    elif kind == "update":
        side.update(rng.choice(listed)["id"], text)
    elif kind == "delete":
        side.delete(rng.choice(listed)["id"])
    elif rng.random() < 0.3:
        side.delete_all(user_id=user)


@pytest.mark.parametrize("seed", range(4 if RUNS_ALL else 1))
def test_calls_of_both_in_any_order_leave_no_difference(pair: Pair, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(STEPS):
        act(pair.sides[rng.randrange(2)], rng)
        assert pair.view(pair.ours) == pair.view(pair.theirs)


def test_what_isomem_writes_is_what_mem0_writes(pair: Pair) -> None:
    """Payload keys, vectors and sparse vectors of equal calls, entities included."""
    text = "Ana met Inês Duarte in Porto"
    for side, user in zip(pair.sides, USERS, strict=True):
        side.llm = ScriptedLLM([{"memory": [{"text": text}]}])
        side.add("said", user_id=user)
        side.add(f"{text}, too", user_id=user, infer=False, metadata={"n": 1})
    own = {"id", "created_at", "updated_at", "user_id", "linked_memory_ids"}
    for collection in ("mem0", "mem0_entities"):
        seen: dict[str, list[Any]] = {user: [] for user in USERS}
        for point in pair.points(collection):
            payload = point.payload or {}
            vector = point.vector if isinstance(point.vector, dict) else {"": point.vector}
            kept = {key: value for key, value in payload.items() if key not in own}
            sparse = vector.get("bm25")
            terms = sorted(zip(sparse.indices, sparse.values, strict=True)) if sparse else None
            dense = [round(number, 5) for number in vector[""]]
            seen[payload["user_id"]].append((payload.keys(), kept, dense, terms))
        key = str
        assert sorted(seen["ana"], key=key) == sorted(seen["bob"], key=key)
    assert pair.points("mem0")
