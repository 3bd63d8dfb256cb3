"""The scenarios once more, with isomem over its own store for Qdrant: not one difference.

`make engines` runs all of them in every tier; here are those of a few areas.
"""

from __future__ import annotations

import pytest

from isomem_parity import tiers
from isomem_parity.lockstep import run_script
from isomem_parity.script import CLASSES, SCENARIOS, Script, load
from tests.stores.adapters import RUNS_ALL
from tests.stores.sides import OverOwnQdrant

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]

AREAS = ("dedup", "update", "filters")
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
def test_over_qdrant_it_is_the_same_memory(script: Script, kind: str, tier: str) -> None:
    lacking = tiers.missing(tier)
    if lacking:
        pytest.skip(f"not installed: {', '.join(lacking)}")
    outcome = run_script(script, kind, tier, make_ours=OverOwnQdrant)
    assert outcome.steps
    assert outcome.differences == []
