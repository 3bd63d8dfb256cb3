"""The full tier by the rules of 2.2.1 beside mem0 2.2.1 itself, on one model."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import Any

import pytest

from isomem.text import candidates, spacy_v2_2_1, words
from isomem.text.tiers import load_tier
from tests.unit.text.corpus import texts
from tests.unit.text.held import installed_model

pytestmark = pytest.mark.oracle


def _installed() -> str:
    try:
        return version("mem0ai")
    except PackageNotFoundError:
        return ""


if _installed() != "2.2.1":
    pytest.skip("mem0 2.2.1 is not installed", allow_module_level=True)


@pytest.fixture(scope="module")
def sides() -> Iterator[tuple[Any, ModuleType]]:
    """Our tier, and upstream's module on the same model."""
    pytest.importorskip("spacy")
    model = installed_model()
    if model is None:
        pytest.skip("no spaCy model is installed")
    from mem0.utils import entity_extraction, spacy_models

    tier = load_tier("spacy", {"model": model}, "2.2.1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spacy_models, "_nlp_full", tier._loaded())
        patch.setattr(spacy_models, "_load_failed_full", False)
        yield tier, entity_extraction
    tier.close()


def check(sides: tuple[Any, ModuleType], corpus: list[str]) -> set[str]:
    """Compares both on every text, parsed once. The kinds of what upstream finds are returned."""
    tier, upstream = sides
    kinds = set()
    for doc in tier._loaded().pipe(corpus, batch_size=64):
        theirs = upstream._extract_entities_from_doc(doc)
        assert spacy_v2_2_1.entities_of(doc) == theirs, doc.text
        kinds.update(kind for kind, _ in theirs)
    return kinds


KINDS = {"PROPER", "IDENTIFIER", "QUOTED", "TOPIC"}


def test_entities_of_a_text_are_those_of_upstream(sides: tuple[Any, ModuleType]) -> None:
    assert check(sides, texts()[::10]) == KINDS


@pytest.mark.slow
def test_entities_of_any_text_are_those_of_upstream(sides: tuple[Any, ModuleType]) -> None:
    assert check(sides, texts()) == KINDS


def test_calls_give_what_those_of_upstream_give(sides: tuple[Any, ModuleType]) -> None:
    tier, upstream = sides
    batch = [*texts()[::200], ""]
    assert tier.entities_batch(batch) == upstream.extract_entities_batch(batch)
    assert [*map(tier.entities, batch)] == [*map(upstream.extract_entities, batch)]


def test_no_texts_have_no_entities(sides: tuple[Any, ModuleType]) -> None:
    tier, upstream = sides
    assert tier.entities_batch([]) == upstream.extract_entities_batch([]) == []


def test_tables_are_those_of_upstream(sides: tuple[Any, ModuleType]) -> None:
    _, upstream = sides
    assert candidates.ROLES == upstream._GENERIC_SINGLE_ENTITY_TERMS
    assert candidates.CIRCUMSTANCES == upstream._CIRCUMSTANTIAL_MODS
    assert words.GENERIC_NAMES == upstream._GENERIC_CAPS
    assert words.GENERIC_ENDINGS == upstream._GENERIC_ENDINGS
    assert words.CIRCUMSTANTIAL | upstream._NON_SPECIFIC_ADJ == words.VAGUE
    assert spacy_v2_2_1.LABELS == upstream._ACCEPTED_NER_LABELS
