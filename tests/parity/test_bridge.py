"""The scenarios once more, with isomem over mem0's own class for Qdrant in place of its store.

`make bridge` runs all of them; here are those of a few areas.
"""

from __future__ import annotations

import os

import pytest

from isomem_parity.lockstep import Difference
from isomem_parity.script import Script
from tests.parity.engines import check, run, scenarios
from tests.stores.bridged import mem0s_qdrant
from tests.stores.sides import OverQdrant

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]

AREAS = ("dedup", "update")
STARS = ("ids_as_conditions", "odd_characters", "star_is_an_id")
"""Scenarios with the id `*`. A store of mem0's reads it as every id, so isomem refuses it."""

RUNS_ALL = os.environ.get("BRIDGE") == "all"


def is_expected(found: Difference) -> bool:
    """A failure of the store has isomem's error; and the scenarios with stars."""
    return found.path.startswith("error") or found.title in STARS


@pytest.mark.usefixtures("oracle")
@scenarios(AREAS, "A", runs_all=RUNS_ALL)
def test_over_mem0s_store_it_is_the_same_memory(script: Script, kind: str, tier: str) -> None:
    with mem0s_qdrant():
        outcome = run(script, kind, tier, make_ours=OverQdrant)
    check(outcome, is_expected)
    both = {each.path: each for each in outcome.differences if each.title not in STARS}
    for path in both.keys() & {"error.type"}:
        assert both[path].ours in {"VectorStoreError", "VectorValueError"}
