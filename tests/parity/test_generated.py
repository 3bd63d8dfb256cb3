"""Generated scripts, a fixed number of them; `python -m parity.fuzz` runs as many as one likes."""

from __future__ import annotations

import pytest

from isomem.parity.report import Report
from parity.fuzz import run_block

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]


@pytest.mark.usefixtures("oracle")
@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("number", [1, 2])
def test_a_generated_script_is_the_same_on_both_sides(number: int, kind: str) -> None:
    tally = run_block(number, 30, kind, "A", 25)
    report = Report()
    for outcome in tally.failures:
        report.add(outcome)
    assert not tally.failures, report.as_text(10)
    assert tally.scripts == 25
