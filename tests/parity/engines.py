"""The scenarios over an engine: which run here, and what must come of each."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import pytest

from isomem_parity import tiers
from isomem_parity.lockstep import Difference, Outcome, run_script
from isomem_parity.report import Report
from isomem_parity.script import CLASSES, SCENARIOS, TIERS, Script, load
from tests.stores.adapters import RUNS_ALL

OF_MAKE_ENGINES = pytest.mark.skipif(not RUNS_ALL, reason="part of `make engines`")


def scenarios(
    areas: Collection[str] | None = None,
    in_tiers: Collection[str] = TIERS,
    *,
    runs_all: bool = RUNS_ALL,
) -> pytest.MarkDecorator:
    """Runs a test of a script, a class and a tier on each scenario.

    Args:
        areas: those of which scenarios run in `make test`, in the first tier; None for all.
        in_tiers: the tiers otherwise.
        runs_all: whether all scenarios run.
    """
    cases = [
        pytest.param(script, kind, tier, id=f"{script.area}/{script.title}-{kind}-{tier}")
        for script in load([SCENARIOS])
        for kind in CLASSES
        for tier in (in_tiers if runs_all or areas is None else [*in_tiers][:1])
        if (runs_all or areas is None or script.area in areas) and script.runs(kind, tier, "2.0.4")
    ]
    return pytest.mark.parametrize(("script", "kind", "tier"), cases)


def run(script: Script, kind: str, tier: str, **sides: Any) -> Outcome:
    """What a scenario comes to; the test is skipped if its tier is not installed.

    Args:
        sides: `make_ours` and `make_theirs`, for other sides than the usual ones.
    """
    lacking = tiers.missing(tier)
    if lacking:
        pytest.skip(f"not installed: {', '.join(lacking)}")
    outcome = run_script(script, kind, tier, **sides)
    assert outcome.steps, "nothing was run"
    return outcome


def check(outcome: Outcome, is_expected: Callable[[Difference], bool] = lambda _: False) -> None:
    """Fails if there are differences, except for those that are expected."""
    left = [each for each in outcome.differences if not is_expected(each)]
    assert not left, told(outcome)


def told(outcome: Outcome) -> str:
    """What differs, as text."""
    report = Report()
    report.add(outcome)
    return report.as_text(10)
