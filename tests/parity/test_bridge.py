"""The scenarios once more, with isomem over mem0's own class for Qdrant in place of its store.

`make bridge` runs all of them; here are those of a few areas.
"""

from __future__ import annotations

import os
from typing import Any

import pytest

from isomem_parity import tiers
from isomem_parity.lockstep import Difference, run_script
from isomem_parity.ours import Ours
from isomem_parity.script import CLASSES, SCENARIOS, Script, load
from isomem_parity.side import COLLECTION
from isomem_parity.trace import (
    HISTORY_COLUMNS,
    MESSAGE_COLUMNS,
    Point,
    State,
    direction,
    payload_text,
)

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]

AREAS = ("dedup", "update")
STARS = ("ids_as_conditions", "odd_characters", "star_is_an_id")
"""Scenarios with the id `*`. A store of mem0's reads it as every id, so isomem refuses it."""

SCRIPTS = [
    script
    for script in load([SCENARIOS])
    if os.environ.get("BRIDGE") == "all" or script.area in AREAS
]


class OverQdrant(Ours):
    """isomem, with its memories in mem0's Qdrant."""

    label = "isomem over Qdrant"

    def _config(self) -> dict[str, Any]:
        store: dict[str, Any] = {"collection_name": COLLECTION, "embedding_model_dims": self.dims}
        if self.script.on_disk:
            store["path"] = str(self.folder / "qdrant")
        else:
            from qdrant_client import QdrantClient

            store["client"] = QdrantClient(":memory:")
        history = str(self.folder / "history.db") if self.script.on_disk else ":memory:"
        section = {"provider": "qdrant", "config": store}
        return {**super()._config(), "vector_store": section, "history_db_path": history}

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


def is_expected(found: Difference) -> bool:
    """A failure of the store has isomem's error; and the scenarios with stars."""
    return found.path.startswith("error") or found.title in STARS


@pytest.mark.usefixtures("oracle")
@pytest.mark.parametrize(
    ("script", "kind"),
    [
        pytest.param(script, kind, id=f"{script.area}/{script.title}-{kind}")
        for script in SCRIPTS
        for kind in CLASSES
        if script.runs(kind, "A", "2.0.4")
    ],
)
def test_over_mem0s_store_it_is_the_same_memory(script: Script, kind: str) -> None:
    lacking = tiers.missing("A")
    if lacking:
        pytest.skip(f"not installed: {', '.join(lacking)}")
    outcome = run_script(script, kind, "A", make_ours=OverQdrant)
    assert outcome.steps
    assert [each for each in outcome.differences if not is_expected(each)] == []
    both = {each.path: each for each in outcome.differences if each.title not in STARS}
    for path in both.keys() & {"error.type"}:
        assert both[path].ours in {"VectorStoreError", "VectorValueError"}
