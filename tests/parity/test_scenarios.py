"""Every hand-written scenario, on both classes: the same memory, or exactly the divergence."""

from __future__ import annotations

import pytest

from isomem.types import PROFILES
from isomem_parity.lockstep import Outcome
from isomem_parity.report import Report
from isomem_parity.script import CLASSES, SCENARIOS, TIERS, Script, load
from isomem_parity.upstream import ParityError, release
from tests.parity.engines import check, run

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]

try:
    RELEASE = release()
except ParityError:
    RELEASE = PROFILES[0]
SCRIPTS = load([SCENARIOS])
SHOWN: dict[str, list[Outcome]] = {}


def compare(script: Script, kind: str, tier: str) -> None:
    outcome = run(script, kind, tier)
    SHOWN.setdefault(tier, []).append(outcome)
    check(outcome)


def cases(tier: str) -> list[object]:
    return [
        pytest.param(script, kind, id=f"{script.area}/{script.title}-{kind}")
        for script in SCRIPTS
        for kind in CLASSES
        if script.runs(kind, tier, RELEASE)
    ]


@pytest.mark.usefixtures("oracle")
@pytest.mark.parametrize(("script", "kind"), cases("A"))
def test_without_extras_it_is_the_same_memory(script: Script, kind: str) -> None:
    compare(script, kind, "A")


@pytest.mark.usefixtures("oracle")
@pytest.mark.parametrize(("script", "kind"), cases("B"))
def test_with_keyword_search_it_is_the_same_memory(script: Script, kind: str) -> None:
    compare(script, kind, "B")


@pytest.mark.usefixtures("oracle")
@pytest.mark.parametrize(("script", "kind"), cases("C"))
def test_with_spacy_it_is_the_same_memory(script: Script, kind: str) -> None:
    compare(script, kind, "C")


@pytest.mark.usefixtures("oracle")
def test_every_divergence_still_shows_where_it_must() -> None:
    """Runs last: it looks at what the tests above have seen, in the tiers that were run whole."""
    whole = [tier for tier in TIERS if len(SHOWN.get(tier, ())) == len(cases(tier))]
    if not whole:
        pytest.skip("only part of the scenarios was run")
    report = Report()
    for tier in whole:
        for outcome in SHOWN[tier]:
            report.add(outcome)
    report.find_stale()
    assert report.stale == []
