"""Keyword terms of a text and their BM25 weights, as `Qdrant/bm25` of fastembed computes them.

The inverse document frequency is the store's.
"""

from __future__ import annotations

from isomem.kernel import term_number, term_weight
from isomem.options import unknown
from isomem.text.languages import DEFAULT_LANGUAGE, LANGUAGES
from isomem.text.stopwords import BUILT_IN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

TOKEN_LIMIT = 40
"""Longer tokens are dropped."""
CACHED_CHUNKS = 4096
LONGEST_CHUNK = 80
"""Characters. A longer run without a space is a link, a key, or a script that has no spaces."""
CACHED_BLANKS = 4096
NUMBER_BYTES = 4
"""Of a packed term number."""


class _Blanks(dict[int, int]):
    """For `str.translate`: characters that are not part of words become spaces."""

    def __missing__(self, code: int) -> int:
        if len(self) >= CACHED_BLANKS:
            self.clear()
        character = chr(code)
        blank = self[code] = code if character.isalnum() or character == "_" else 32
        return blank


_blanks = _Blanks()
_ASCII_BLANKS = bytes(range(128)).decode().lower().translate(_blanks).encode().ljust(256)
"""The same for `bytes.translate`, in lower case."""


def tokenize(text: str) -> list[str]:
    """The runs of word characters of `text`, lower-cased, in order."""
    if text.isascii():
        return text.encode().translate(_ASCII_BLANKS).decode().split()
    # Before lowering, too: a final sigma looks past an apostrophe but not past a space, and some
    # capitals lower to a letter and a mark.
    return text.translate(_blanks).lower().translate(_blanks).split()


class _Numbers(dict[str, bytes]):
    """The packed numbers of the terms in each recently seen chunk between spaces."""

    def __init__(self, stem: Callable[[str], str]) -> None:
        super().__init__()
        self._stem = stem

    def __missing__(self, chunk: str) -> bytes:
        if chunk.isdecimal():  # There are endless numbers, and they rarely recur.
            return self._number(chunk)
        numbers = b"".join(map(self._number, tokenize(chunk)))
        if len(chunk) <= LONGEST_CHUNK:
            if len(self) >= CACHED_CHUNKS:
                self.clear()
            self[chunk] = numbers
        return numbers

    def _number(self, token: str) -> bytes:
        stem = self._stem(token)
        return term_number(stem.encode()).to_bytes(NUMBER_BYTES, "little") if stem else b""


class TermEncoder:
    """Turns text into numbered, weighted terms.

    Args:
        language: a Snowball name, one of `LANGUAGES`.
        stopwords: words to drop, matched in lower case. None means the language's own list (only
            English has one); an empty list drops nothing.

    Raises:
        InvalidConfigError: the language is unknown.
    """

    def __init__(
        self, language: str = DEFAULT_LANGUAGE, stopwords: Iterable[str] | None = None
    ) -> None:
        if language not in LANGUAGES:
            raise unknown("language", language, LANGUAGES)
        words = BUILT_IN.get(language, frozenset()) if stopwords is None else stopwords
        self.language = language
        self.stopwords = frozenset(word.lower() for word in words)
        self._numbers = _Numbers(self.stem)
        self._snowball: Callable[[str], str] | None = None

    def stem(self, token: str) -> str:
        """The stem of a token; "" if the token is dropped."""
        if token == "_" or token in self.stopwords or len(token) > TOKEN_LIMIT:
            return ""
        if token.isdecimal() and token.isascii():
            return token  # No language has rules for them.
        if self._snowball is None:
            self._snowball = _snowball(self.language)
        return self._snowball(token)

    def stems(self, text: str) -> list[str]:
        """The terms of `text` in order, including repeats."""
        return [stem for token in tokenize(text) if (stem := self.stem(token))]

    def packed(self, text: str) -> bytes:
        """The numbers of the terms of `text` in order, including repeats: little-endian uint32."""
        return b"".join(map(self._numbers.__getitem__, text.split()))

    def numbers(self, text: str) -> list[int]:
        """The numbers of `packed`, one by one."""
        packed = self.packed(text)
        starts = range(0, len(packed), NUMBER_BYTES)
        return [int.from_bytes(packed[at : at + NUMBER_BYTES], "little") for at in starts]

    def encode(self, text: str) -> dict[int, float]:
        """The weight of each term of `text` by its number; empty if there is none."""
        numbers = self.numbers(text)
        counts: dict[int, int] = {}
        for number in numbers:
            counts[number] = counts.get(number, 0) + 1
        return {number: term_weight(count, len(numbers)) for number, count in counts.items()}


def _snowball(language: str) -> Callable[[str], str]:
    """The stemmer; imported here because a store without keyword search never needs it."""
    from py_rust_stemmers import SnowballStemmer

    stem: Callable[[str], str] = SnowballStemmer(language).stem_word
    return stem
