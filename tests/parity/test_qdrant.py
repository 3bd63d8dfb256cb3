"""The scenarios once more, with isomem over its own store for Qdrant: not one difference.

`make engines` runs all of them in every tier; here are those of a few areas.
"""

from __future__ import annotations

import pytest

from isomem_parity.script import Script
from tests.parity.engines import check, run, scenarios
from tests.stores.sides import OverOwnQdrant

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]

AREAS = ("dedup", "update", "filters")


@pytest.mark.usefixtures("oracle")
@scenarios(AREAS)
def test_over_qdrant_it_is_the_same_memory(script: Script, kind: str, tier: str) -> None:
    check(run(script, kind, tier, make_ours=OverOwnQdrant))
