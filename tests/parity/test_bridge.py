"""The scenarios once more, with isomem over mem0's own class for Qdrant in place of its store.

`make bridge` runs all of them; here are those of a few areas.
"""

from __future__ import annotations

import os

import pytest

from isomem_parity import tiers
from isomem_parity.lockstep import Difference, run_script
from isomem_parity.script import CLASSES, SCENARIOS, Script, load
from tests.stores.bridged import mem0s_qdrant
from tests.stores.sides import OverQdrant

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]

AREAS = ("dedup", "update")
STARS = ("ids_as_conditions", "odd_characters", "star_is_an_id")
"""Scenarios with the id `*`. A store of mem0's reads it as every id, so isomem refuses it."""

SCRIPTS = [
    script
    for script in load([SCENARIOS])
    if os.environ.get("BRIDGE") == "all" or script.area in AREAS
]


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
    with mem0s_qdrant():
        outcome = run_script(script, kind, "A", make_ours=OverQdrant)
    assert outcome.steps
    assert [each for each in outcome.differences if not is_expected(each)] == []
    both = {each.path: each for each in outcome.differences if each.title not in STARS}
    for path in both.keys() & {"error.type"}:
        assert both[path].ours in {"VectorStoreError", "VectorValueError"}
