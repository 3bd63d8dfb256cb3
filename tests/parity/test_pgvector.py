"""The scenarios once more, with mem0 over its own class for pgvector, and isomem over its own store
for it, on one real server.

`make engines` runs all of them in every tier; here are those of a few areas.
"""

from __future__ import annotations

import pytest

from isomem_parity import tiers
from isomem_parity.lockstep import run_script
from isomem_parity.script import CLASSES, SCENARIOS, Script, load
from tests.stores import server
from tests.stores.adapters import RUNS_ALL
from tests.stores.pgvector_sides import OverPgvector, TheirsOverPgvector

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(bool(server.without_pgvector()), reason=server.without_pgvector()),
]

AREAS = ("dedup",)
TIERS = ("A", "B", "C") if RUNS_ALL else ("A",)


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
def test_over_pgvector_it_is_the_same_memory(script: Script, kind: str, tier: str) -> None:
    lacking = tiers.missing(tier)
    if lacking:
        pytest.skip(f"not installed: {', '.join(lacking)}")
    outcome = run_script(script, kind, tier, make_ours=OverPgvector, make_theirs=TheirsOverPgvector)
    assert outcome.steps
    assert outcome.differences == []
