"""The scenarios once more, with isomem over its own store for Chroma, on both classes.

It has no keywords, as mem0's class for Chroma: in the tiers that have them, mem0 does without them
here. Part of `make engines`.
"""

from __future__ import annotations

import pytest

pytest.importorskip("chromadb", reason="NO CHROMA TESTED: not installed: chromadb")

from isomem_parity import tiers
from isomem_parity.lockstep import Difference
from isomem_parity.script import Script
from tests.parity.engines import OF_MAKE_ENGINES, check, run, scenarios
from tests.stores.sides import OverChroma, sorted_text

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.filterwarnings("ignore"),
    OF_MAKE_ENGINES,
]

TIERS = ("A", "C")
"""Without keywords, the tier B is the tier A."""

TIES = ("ties_across_scopes", "ties_after_reopening")
"""Scenarios about entities that are equally near: Chroma takes the oldest, Qdrant the newest."""


@pytest.fixture
def without_keywords(oracle: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """mem0 as if fastembed were not installed; the keys of its payloads in order."""
    enter = tiers.enter

    def entered(tier: str) -> None:
        enter(tier)
        tiers._show_fastembed(False)

    monkeypatch.setattr(tiers, "enter", entered)
    monkeypatch.setattr("isomem_parity.upstream.payload_text", sorted_text)


@pytest.mark.usefixtures("without_keywords")
@scenarios(in_tiers=TIERS)
def test_over_chroma_it_is_the_same_memory(script: Script, kind: str, tier: str) -> None:
    check(run(script, kind, tier, make_ours=OverChroma), _is_expected)


def _is_expected(found: Difference) -> bool:
    return found.path.endswith("(key order)") or found.title in TIES
