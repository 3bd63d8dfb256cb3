"""Keyword terms of a text and their BM25 weights, as `Qdrant/bm25` of fastembed computes them.

The weight of a term in a text is ``f * (k + 1) / (f + k * (1 - b + b * n / avg_len))`` with
``f`` its count and ``n`` the count of all terms. The inverse document frequency is the store's.
"""

from __future__ import annotations

import re

from isomem.options import unknown
from isomem.text.stopwords import BUILT_IN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

LANGUAGES = (
    "arabic", "danish", "dutch", "english", "finnish", "french", "german", "greek", "hungarian",
    "italian", "norwegian", "portuguese", "romanian", "russian", "spanish", "swedish", "tamil",
    "turkish",
)  # fmt: skip

K = 1.2
B = 0.75
AVERAGE_LENGTH = 256.0
TOKEN_LIMIT = 40
"""Tokens of more characters are dropped."""
CACHED_STEMS = 4096

_word_runs = re.compile(r"\w+").findall
_blank_punctuation = re.compile(r"[^\w\s]").sub


def tokenize(text: str) -> list[str]:
    """The runs of word characters of `text`, lower-cased, in order."""
    if not text.isascii():
        # Before lowering: a final sigma looks past an apostrophe but not past a space, and some
        # capitals lower to a letter and a mark.
        text = _blank_punctuation(" ", text)
    return _word_runs(text.lower())


class _Stems(dict[str, str]):
    """Stem of each token seen lately; "" for a token that is dropped."""

    def __init__(self, stopwords: frozenset[str], stem: Callable[[str], str]) -> None:
        super().__init__()
        self.stopwords = stopwords
        self.stem = stem

    def __missing__(self, token: str) -> str:
        if len(self) >= CACHED_STEMS:
            self.clear()
        dropped = token == "_" or token in self.stopwords or len(token) > TOKEN_LIMIT
        stem = self[token] = "" if dropped else self.stem(token)
        return stem


class TermEncoder:
    """Turns text into weighted terms.

    Args:
        language: a Snowball name, one of `LANGUAGES`.
        stopwords: words to drop, matched in lower case; None takes the language's own list
            (English only: the other languages have none), an empty one drops nothing.

    Raises:
        InvalidConfigError: the language is not known.
    """

    def __init__(self, language: str = "english", stopwords: Iterable[str] | None = None) -> None:
        if language not in LANGUAGES:
            raise unknown("language", language, LANGUAGES)
        words = BUILT_IN.get(language, frozenset()) if stopwords is None else stopwords
        self.language = language
        self.stopwords = frozenset(word.lower() for word in words)
        self._stems: _Stems | None = None

    def stems(self, text: str) -> list[str]:
        """The terms of `text` in order, repeats included."""
        known = self._stems
        if known is None:
            known = self._stems = _Stems(self.stopwords, _snowball(self.language))
        return [stem for token in tokenize(text) if (stem := known[token])]

    def encode(self, text: str) -> dict[str, float]:
        """The weight of each term of `text`; empty when there is none."""
        stems = self.stems(text)
        counts: dict[str, int] = {}
        for stem in stems:
            counts[stem] = counts.get(stem, 0) + 1
        # The order of operations is fastembed's, so that the floats are equal to the last bit.
        norm = K * (1 - B + B * len(stems) / AVERAGE_LENGTH)
        return {term: count * (K + 1) / (count + norm) for term, count in counts.items()}


def _snowball(language: str) -> Callable[[str], str]:
    """The stemmer; imported here because a store without keyword search never needs it."""
    from py_rust_stemmers import SnowballStemmer

    stem: Callable[[str], str] = SnowballStemmer(language).stem_word
    return stem
