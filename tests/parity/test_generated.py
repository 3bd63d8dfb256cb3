"""Generated scripts, a fixed number; `python -m isomem_parity.fuzz` runs as many as one likes."""

from __future__ import annotations

import pytest

from isomem_parity import tiers
from isomem_parity.fuzz import run_block
from isomem_parity.report import Report
from isomem_parity.script import CLASSES

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]

SCRIPTS = 25


@pytest.mark.usefixtures("oracle")
@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize(("tier", "number"), [("A", 1), ("A", 2), ("B", 1), ("C", 1)])
def test_a_generated_script_is_the_same_on_both_sides(tier: str, number: int, kind: str) -> None:
    lacking = tiers.missing(tier)
    if lacking:
        pytest.skip(f"not installed: {', '.join(lacking)}")
    tally = run_block(number, 30, kind, tier, SCRIPTS)
    report = Report()
    for outcome in tally.failures:
        report.add(outcome)
    assert not tally.failures, report.as_text(10)
    assert tally.scripts == SCRIPTS
