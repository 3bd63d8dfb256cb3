"""The dialogues in which facts change are sound, and plain words are right about them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.supersession import (
    PARTS,
    Dialogue,
    lines_of,
    measure,
    read_dialogues,
    superseded_facts,
    superseded_in,
)
from isomem.testing import ConstantEmbedder


@pytest.fixture(scope="module")
def dialogues() -> list[Dialogue]:
    return read_dialogues()


def pairs_of(dialogue: Dialogue) -> Iterator[tuple[str, str]]:
    """Every new fact with every fact of an earlier step."""
    for new in dialogue.facts:
        for old in dialogue.facts:
            if int(new.split(".")[0]) > int(old.split(".")[0]):
                yield new, old


def test_every_dialogue_has_what_changes_and_what_does_not(dialogues: list[Dialogue]) -> None:
    assert len(dialogues) >= 60
    assert len({each.id for each in dialogues}) == len(dialogues)
    for each in dialogues:
        assert each.part in PARTS
        assert len(each.steps) >= 2
        assert len(set(each.facts.values())) == len(each.facts)
        judged = each.expected | each.either
        assert not each.expected & each.either
        assert judged <= set(pairs_of(each))
        first = {f"0.{number}" for number in range(len(each.steps[0]["facts"]))}
        assert first - {old for _, old in judged}, f"{each.id} has no distractor"
        dates = [step["date"] for step in each.steps]
        assert dates == sorted(dates)


def test_plain_words_are_right_in_both_parts(dialogues: list[Dialogue]) -> None:
    """Every memory is near here, so that the rules have to be right alone."""
    counts = measure(dialogues, "similar", ConstantEmbedder())
    for part, each in counts.items():
        assert each.precision >= 0.95, (part, each.mistakes)
        assert each.right >= 10


def test_a_model_that_knows_the_answers_reaches_nearly_all(dialogues: list[Dialogue]) -> None:
    counts = measure(dialogues, "model", ConstantEmbedder())
    for each in counts.values():
        assert each.precision == 1.0
        assert each.recall == 1.0


def test_without_superseding_nothing_would_be_found(dialogues: list[Dialogue]) -> None:
    def silent(_: Any) -> str:
        return json.dumps({"superseded": []})

    found = superseded_in(dialogues[0], "model", ConstantEmbedder(), silent)
    assert found == set()


def test_mistakes_are_counted_and_listed(dialogues: list[Dialogue]) -> None:
    def eager(messages: Any) -> str:
        return json.dumps({"superseded": [{"fact": 0, "memory": 0}, {"fact": 0, "memory": 1}]})

    counts = measure(dialogues[:3], "model", ConstantEmbedder(), eager)
    assert counts["tuning"].wrong
    shown = "\n".join(lines_of(counts, wrong=True))
    assert "wrong  u001" in shown
    assert "precision" in shown
    assert len(list(lines_of(counts, wrong=False))) == 3


def test_facts_of_other_conversations_are_compared(tmp_path: Path) -> None:
    sessions = [
        {"facts": {"Ana": [["Ana lives in Berlin", "D1"]], "Ben": [["Ana lives in Rome", "D2"]]}},
        {"facts": {"Ana": [["Ana lives in Lisbon", "D3"], ["Ana sings", "D4"]]}},
    ]
    (tmp_path / "one.json").write_text(json.dumps({"sessions": sessions}))
    assert list(superseded_facts(tmp_path)) == [
        "one.json: Ana: 'Ana lives in Berlin', contradicts",
        "1 of 2 pairs",
    ]
