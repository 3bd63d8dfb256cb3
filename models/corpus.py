"""The sentences that the teacher labels, in parts."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from models.sources import CHITCHAT, WORDNET, fetch, members
from models.wordnet import synsets

LONGEST = 400
"""Longer sentences, in characters, are left out: they cost most and teach least."""


class Part(NamedTuple):
    """A part of the corpus: where it comes from, and how many sentences at most."""

    source: Callable[[Path], Iterable[str]]
    most: int


def glosses(downloads: Path) -> Iterator[str]:
    """What a word means, with the word before it and without."""
    for synset in synsets(fetch(WORDNET, downloads)):
        yield synset.gloss
        yield f"{synset.words[0]}: {synset.gloss}"


def examples(downloads: Path) -> Iterator[str]:
    """How words are used."""
    for synset in synsets(fetch(WORDNET, downloads)):
        yield from synset.examples


def chat(downloads: Path) -> Iterator[str]:
    """What people wrote to each other: their messages, and the messages of one turn as one text."""
    path = fetch(CHITCHAT, downloads)
    file = members(path, "chitchat_dataset/dataset.json")["chitchat_dataset/dataset.json"]
    for conversation in json.loads(file).values():
        for turn in conversation["messages"]:
            texts = [message["text"] for message in turn]
            yield from texts
            yield " ".join(texts)


PARTS = {
    "glosses": Part(glosses, 131_072),
    "examples": Part(examples, 50_000),
    "chat": Part(chat, 229_376),
}


def sentences(part: str, downloads: Path) -> list[str]:
    """The sentences of a part, each once, in an order that only the sentences decide.

    The order is that of a digest, so any number of the first ones is a fair sample.
    """
    source, most = PARTS[part]
    texts = {" ".join(text.split()) for text in source(downloads)}
    kept = [text for text in texts if len(text) <= LONGEST and re.search(r"\w.*\s.*\w", text)]
    return sorted(kept, key=_digest)[:most]


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()
