"""The scenarios once more, with isomem's memories in PostgreSQL.

`make engines` runs all of them in every tier; here are those of a few areas.
"""

from __future__ import annotations

from array import array
from typing import Any

import pytest

from isomem.stores.postgres.escaped import restored_all
from isomem_parity import tiers
from isomem_parity.lockstep import run_script
from isomem_parity.ours import Ours
from isomem_parity.script import CLASSES, SCENARIOS, Script, load
from isomem_parity.trace import Point, Row, direction, payload_text
from tests.stores import server
from tests.stores.adapters import RUNS_ALL

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(bool(server.missing()), reason=server.missing()),
]

AREAS = ("dedup", "update")
TIERS = ("A", "B", "C") if RUNS_ALL else ("A",)

_VECTORS = (
    "SELECT p.id, p.vector FROM points p JOIN scopes s ON s.number = p.scope"
    " JOIN collections c ON c.number = s.collection WHERE c.name = ?"
)


class OverPostgres(Ours):
    """isomem, with everything in PostgreSQL."""

    label = "isomem over PostgreSQL"
    _section: dict[str, Any] | None = None

    def _config(self) -> dict[str, Any]:
        config = super()._config()
        if self._section is None:
            options = dict(config["vector_store"]["config"])
            del options["path"]
            self._section = server.section(**options)
        return {**config, "vector_store": self._section}

    def _points(self, store: Any, collection: str) -> dict[str, Point]:
        listed, _ = store.list(top_k=100_000)
        with store.database.reading():
            vectors = dict(store.database.rows(_VECTORS, (collection,)))
        points = {
            hit.id: Point(payload_text(hit.payload), direction(array("f", bytes(vectors[hit.id]))))
            for hit in listed
        }
        return dict(sorted(points.items()))

    def _rows(self, table: str, columns: tuple[str, ...]) -> tuple[Row, ...]:
        with self.memory.db.database.reading() as database:
            found = database.rows(f"SELECT {', '.join(columns)} FROM {table} ORDER BY number")
        return tuple(map(restored_all, found))


@pytest.mark.usefixtures("oracle")
@pytest.mark.parametrize(
    ("script", "kind", "tier"),
    [
        pytest.param(script, kind, tier, id=f"{script.area}/{script.title}-{kind}-{tier}")
        for script in load([SCENARIOS])
        for kind in CLASSES
        for tier in TIERS
        if (RUNS_ALL or script.area in AREAS) and script.runs(kind, tier, "2.0.4")
    ],
)
def test_over_postgresql_it_is_the_same_memory(script: Script, kind: str, tier: str) -> None:
    lacking = tiers.missing(tier)
    if lacking:
        pytest.skip(f"not installed: {', '.join(lacking)}")
    outcome = run_script(script, kind, tier, make_ours=OverPostgres)
    assert outcome.steps
    assert outcome.differences == []
