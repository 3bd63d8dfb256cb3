"""The scenarios once more, with isomem's memories in PostgreSQL.

`make engines` runs all of them in every tier; here are those of a few areas.
"""

from __future__ import annotations

from array import array
from typing import Any

import pytest

from isomem.stores.postgres.escaped import restored_all
from isomem_parity.ours import Ours
from isomem_parity.script import Script
from isomem_parity.trace import Point, Row, direction, payload_text
from tests.parity.engines import check, run, scenarios
from tests.stores import server

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(bool(server.missing()), reason=server.missing()),
]

AREAS = ("dedup", "update")

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
@scenarios(AREAS)
def test_over_postgresql_it_is_the_same_memory(script: Script, kind: str, tier: str) -> None:
    check(run(script, kind, tier, make_ours=OverPostgres))
