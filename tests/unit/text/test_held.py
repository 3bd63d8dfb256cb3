"""The built-in tier, held sentence by sentence: every member of a table, every rule."""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path

import pytest

from isomem.text import (
    candidates,
    compounds,
    entities,
    forms,
    kinds,
    lemma,
    openings,
    situations,
    spans,
    stopwords,
    tokens,
    topics,
    word_classes,
    words,
)
from tests.unit.text.held import AGREEMENT, READERS, agreement, installed_model, read_fully
from tests.unit.text.held import sentences as held_sentences

ROWS = held_sentences()
GROUPS = {name: list(rows) for name, rows in groupby(ROWS, key=lambda row: row.holds)}
DOCUMENTATION = Path(__file__).parents[3] / "docs" / "text-tiers.md"
MODULES = (
    candidates, compounds, entities, forms, kinds, lemma, openings, situations, spans, stopwords,
    tokens, topics, word_classes, words,
)  # fmt: skip
HELD_ELSEWHERE = {
    "entities.MARKERS", "entities.SENTENCE_ENDS", "stopwords.ENGLISH", "words.VAGUE",
    "words.CIRCUMSTANTIAL", "entities.PRIORITY", "candidates.ROLES", "candidates.CIRCUMSTANCES",
    "spans.SENTENCE_ENDS",
}  # fmt: skip
"""Upstream's contract, which is compared with upstream's own."""
READINGS = {"lemmas": "terms", "entities": "entities", "topics": "entities by the rules of 2.2.1"}
"""What the documentation calls a reading."""
SHARE_THAT_MAY_DIFFER = 0.01
"""Of what spaCy reads: its sums depend on the processor in the last bits."""


@pytest.mark.parametrize("name", GROUPS)
def test_sentences_are_read_as_they_were(name: str) -> None:
    for row in GROUPS[name]:
        assert READERS[row.reading](row.text) == row.builtin, row


def tables() -> dict[str, set[str]]:
    """The members of every table of words."""
    found = {
        f"{module.__name__.rpartition('.')[2]}.{name}": {each for each in value if each}
        for module in MODULES
        for name, value in vars(module).items()
        if isinstance(value, (frozenset, dict)) and not name.startswith("__")
        if all(isinstance(each, str) for each in value)
    }
    return {
        name: members
        for name, members in found.items()
        if members and name not in HELD_ELSEWHERE and not _are_classes(members)
    }


def _are_classes(members: set[str]) -> bool:
    return members <= word_classes.CLASSES or members >= word_classes.CLASSES


@pytest.mark.parametrize("name", tables())
def test_every_member_of_a_table_has_a_sentence(name: str) -> None:
    """One that has none does nothing, or does what no test holds: add a line to held.jsonl."""
    assert tables()[name] - {row.member for row in ROWS} == set()


def test_agreement_with_the_full_system_is_counted() -> None:
    assert agreement(ROWS) == json.loads(AGREEMENT.read_text(encoding="utf-8"))


def test_agreement_in_the_documentation_is_the_counted_one() -> None:
    page = DOCUMENTATION.read_text(encoding="utf-8")
    for kind, is_member in (("a member of a table", True), ("a rule", False)):
        for reading, name in READINGS.items():
            rows = [r for r in ROWS if bool(r.member) == is_member and r.reading == reading]
            alike = sum(row.agrees for row in rows)
            assert f"| for {kind}, {name} | {len(rows):,} | {alike:,} |" in page


@pytest.mark.oracle
def test_full_system_reads_what_it_is_said_to() -> None:
    pytest.importorskip("spacy")
    model = installed_model()
    if model is None:
        pytest.skip("no spaCy model is installed")
    read = read_fully(ROWS, model)
    other = [row for row, full in zip(ROWS, read, strict=True) if row.full != full]
    assert len(other) <= SHARE_THAT_MAY_DIFFER * len(ROWS), other[:5]


@pytest.mark.oracle
def test_tables_of_the_contract_are_those_of_upstream() -> None:
    pytest.importorskip("mem0")
    from mem0.utils import entity_extraction as upstream

    from isomem.text import spacy_v2_0_4

    assert words.CIRCUMSTANTIAL == upstream._CIRCUMSTANTIAL_MODS
    assert words.VAGUE == upstream._CIRCUMSTANTIAL_MODS | upstream._NON_SPECIFIC_ADJ
    assert words.GENERIC_ENDINGS == upstream._GENERIC_ENDINGS
    assert words.GENERIC_NAMES == upstream._GENERIC_CAPS
    assert entities.MARKERS == upstream._FORMATTING_MARKERS
    assert spacy_v2_0_4.GENERIC_HEADS == upstream._GENERIC_HEADS
