"""First names, which count for less.

Most memories of a scope are about the same few people. A name then says little about which memory
is meant, but the teacher, which knows nothing of scopes, gives it much weight.
"""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer

from models.sources import STDLIB, WORDNET, fetch, members
from models.wordnet import synsets

SHARE = 0.7
"""What is left of a first name's length."""

_FILES = tuple(f"{kind}-first-names-en/data/names.txt" for kind in ("female", "male"))


def first_names(downloads: Path, tokenizer: Tokenizer) -> list[int]:
    """The tokens that are first names and nothing else, unlike Grace and Mark."""
    lists = members(fetch(STDLIB, downloads), *_FILES)
    names = {name.lower() for each in lists.values() for name in each.decode("utf-8").split()}
    words = {
        word.lower()
        for synset in synsets(fetch(WORDNET, downloads))
        if not synset.instance
        for word in synset.words
    }
    vocabulary = tokenizer.get_vocab()
    return sorted(vocabulary[name] for name in names - words if name in vocabulary)
