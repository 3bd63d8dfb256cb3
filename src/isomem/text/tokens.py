"""Words and marks: splits a text for the built-in tier.

Time is linear in the length of the text. A chunk between two spaces that was seen recently costs
one dictionary look-up.
"""

from __future__ import annotations

from isomem.pattern import Pattern
from isomem.text.words import ABBREVIATIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Tokens = list["Token"]
    """The tokens of a text, in order."""

    Classify = Callable[[str, str, str], "Kind"]
    """Gives the kind of a token: from how it is spelt, its word, and its word in lower case."""

CACHED_CHUNKS = 4096
LONGEST_CHUNK = 80
"""Characters. A longer run without a space is not a name and is not split."""
MOST_TOKENS = 16
"""A chunk of more tokens is hardly text, and too large to cache."""

CONNECTORS = frozenset("'s of the in and for at is".split())

_MARKS = "!\"#$%&'()*,:;<=>?[]_`{}"
_MARKS += "\u00a1\u00a7\u00ab\u00bb\u00bf\u2013\u2014\u2018\u2019\u201c\u201d\u2026"

_spaces = Pattern(r"(\s+)").split
_contraction = Pattern(
    r"(.+?)(['\u2019](?:s|m|d|re|ve|ll)|n['\u2019]t)", ignore_case=True
).fullmatch
_initials = Pattern(r"(?:[^\W\d_]\.)+|Ph\.D\.").fullmatch
_joints = Pattern(
    r"(\.\.+|(?<=[^\W\d_A-Z])\.(?=[A-Z])|(?<=[^\W\d_]),(?=[^\W\d_])"
    r"|(?<=[^\W_])(?:-{1,3}|[~\u2013\u2014:<>=/])(?=[^\W\d_])|[\u2190-\u2bff\U0001f000-\U0001faff])"
).split


class Kind:
    """What a word is by itself, for a reader that looks at the words around it, too.

    All words that are read alike share one object: kinds are compared by identity, and what is
    known of a kind can be kept in a dictionary.

    Attributes:
        word_class: the class in the grammar of the reader.
        is_content: whether a phrase may contain words of the class.
        is_capital: whether the word begins with a capital; only where it matters.
        traits: what else is known of the word; each reader has its own.
    """

    __slots__ = ("is_capital", "is_content", "traits", "word_class")

    def __init__(
        self,
        word_class: str,
        is_content: bool = False,
        is_capital: bool = False,
        traits: frozenset[str] = frozenset(),
    ) -> None:
        self.word_class = word_class
        self.is_content = is_content
        self.is_capital = is_capital
        self.traits = traits


class Token:
    """A word or a mark, and what can be said about it without the text around it.

    Attributes:
        spelt: as it is written, with the space after it if there is one.
        word: without the space.
        is_capital: whether it begins with a capital.
        connects: whether it is a word that may stand inside a name without a capital.
        kind: what the tokenizer's `classify` says of it.
    """

    __slots__ = ("connects", "is_capital", "kind", "spelt", "word")

    def __init__(self, piece: str, classify: Classify, space: str = "") -> None:
        spelt = piece + space
        word = piece.strip()  # most words are the piece itself, and not a copy
        lower = word.lower()
        self.spelt = spelt
        self.word = word
        self.is_capital = spelt[0].isupper()
        self.connects = lower in CONNECTORS
        self.kind = classify(spelt, word, lower)


_NO_KIND = Kind("")


def no_kind(_: str, __: str, ___: str) -> Kind:
    """For readers that do not need the kind of a word."""
    return _NO_KIND


class Tokenizer:
    """Splits texts into tokens, and caches the chunks that it has seen recently.

    Args:
        classify: gives the kind that a word has by itself, whatever the text around it.
    """

    def __init__(self, classify: Classify = no_kind) -> None:
        self._classify = classify
        self._known: dict[str, tuple[Token, ...]] = {}

    def __call__(self, text: str) -> Tokens:
        """The words and marks of a text, in order. Only single spaces are lost."""
        tokens: Tokens = []
        known = self._known.get
        for chunk in text.split(" "):
            tokens += known(chunk) or self._read(chunk)
        return tokens

    def __len__(self) -> int:
        """How many chunks are cached."""
        return len(self._known)

    def clear(self) -> None:
        """Forgets every chunk."""
        self._known.clear()

    def _read(self, chunk: str) -> tuple[Token, ...]:
        """The tokens of a new chunk; they are cached if it resembles a word.

        The last one gets the space after the chunk. An empty chunk is a second space in a row, and
        a separate token.
        """
        classify = self._classify
        if chunk.isalnum() or chunk.isspace() or not chunk:
            tokens: tuple[Token, ...] = (Token(chunk, classify, " "),)
        else:
            *first, last = _pieces(chunk)
            tokens = (*[Token(piece, classify) for piece in first], Token(last, classify, " "))
        if len(chunk) <= LONGEST_CHUNK and len(tokens) <= MOST_TOKENS:
            if len(self._known) >= CACHED_CHUNKS:
                self._known.clear()
            self._known[chunk] = tokens
        return tokens


def _pieces(chunk: str) -> list[str]:
    """The words, marks and other white space in a chunk."""
    pieces: list[str] = []
    for part in filter(None, _spaces(chunk)):
        pieces += (part,) if part.isspace() else _parts(part)
    return pieces


def _parts(chunk: str) -> list[str]:
    """A word, its parts, and the marks around it."""
    if chunk.isalnum() or len(chunk) > LONGEST_CHUNK:
        return [chunk]
    core = chunk.lstrip(_MARKS)
    parts = list(chunk[: len(chunk) - len(core)])
    tail: list[str] = []
    while core:
        rest, mark = _last_mark(core)
        if not mark:
            break
        core = rest
        tail += reversed(mark) if mark.strip(_MARKS) == "" else (mark,)
    parts += [part for part in _joints(core) if part]
    return parts + tail[::-1]


def _last_mark(core: str) -> tuple[str, str]:
    """A word, and what is attached to its end: marks, 's, a full stop."""
    rest = core.rstrip(_MARKS)
    if rest != core:
        return rest, core[len(rest) :]
    if core.endswith("."):
        rest = core.rstrip(".")
        ends_word = len(core) - len(rest) > 1 or not (core in ABBREVIATIONS or _initials(core))
        return (rest, core[len(rest) :]) if ends_word else (core, "")
    match = _contraction(core)
    return (match[1], match[2]) if match else (core, "")
