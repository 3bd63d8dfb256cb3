"""Texts on which two readers of entities are compared: those of this repository, and made ones."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

from tests.unit.text.held import sentences

ROOT = Path(__file__).parents[3]
MADE = 3000
LONGEST = 5000
"""Characters of a page that is read as one text."""

# What rules about form look at: marks, formatting, counts, identifiers, other scripts.
FORMS = (
    "\" ' \u2018 \u2019 \u201c \u201d \u2019s 's ** __ * - + # ## ### \u2022 \u2014 : ; , . ! ? "
    "( ) [ ] 12 7 1,200 3.5 12th 2023 "
    "os.path numpy.linalg.norm foo_bar.baz-q a.b.c 3.x _x.y iPhone X9 WiFi TV NASA "
    "User Assistant Session Top Tools Notes Overview team top first and of the for at in is "
    "\u00c9va \u00d6l \u0410\u043d\u043d\u0430 \u6f22\u5b57 \u24b6 \u0130stanbul \U0001f389 "
    "Apples Pears Figs New York Ann Bob Dr. Lee"
).split(" ")
SPACES = (" ", " ", " ", " ", " ", " ", "", "", "  ", "\n", "\n\n", "\t", "\u00a0")


def texts() -> list[str]:
    """Every text of the corpus once, in a fixed order."""
    return list(dict.fromkeys(["", " ", *_of_the_repository(), *_made()]))


def _of_the_repository() -> Iterator[str]:
    yield from (row.text for row in sentences())
    for path in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]):
        page = path.read_text(encoding="utf-8")
        yield page[:LONGEST]
        yield from page.split("\n")
        yield from page.split("\n\n")
    for path in sorted((ROOT / "parity").rglob("*.json")):
        yield from _strings(json.loads(path.read_text(encoding="utf-8")))


def _strings(value: object) -> Iterator[str]:
    """The strings anywhere in a JSON value."""
    if isinstance(value, str):
        yield value[:LONGEST].encode("utf-8", "replace").decode()
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _strings(part)


def _made() -> Iterator[str]:
    """Words of the repository's sentences between marks and formatting, at random."""
    chance = random.Random(221)
    words = sorted({word for row in sentences() for word in row.text.split()})
    for _ in range(MADE):
        pieces: list[str] = []
        for _ in range(chance.randint(1, 25)):
            pieces += (
                chance.choice(FORMS if chance.random() < 0.4 else words),
                chance.choice(SPACES),
            )
        yield "".join(pieces)
