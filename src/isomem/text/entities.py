"""Proper names and quoted text by rule: the built-in tier's entities.

The shape of a name, the clean-up and the order are upstream's contract; what upstream asks a
part-of-speech tagger is answered here by lists: a capitalised word may begin a name unless it
is one that sentences begin with. It works in any script that has capitals.

Time is linear in the length of the text.
"""

from __future__ import annotations

from isomem.pattern import Pattern
from isomem.text.words import ABBREVIATIONS, GENERIC_NAMES, NOT_NAMES, OPENERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Entity = tuple[str, str]
    """(type, text)"""

    Tokens = list["Token"]
    """Those of a text, in order."""

CACHED_CHUNKS = 4096
LONGEST_CHUNK = 80
"""Characters. A longer run without a space is no name and is not taken apart."""
MOST_TOKENS = 16
"""A chunk of more of them is hardly text, and too large to be remembered."""
SHORTEST, LONGEST = 3, 100
"""Characters of an entity; a longer match is formatting gone wrong."""

CONNECTORS = frozenset("'s of the in and for at is".split())
MARKERS = frozenset("* - + \u2022 \u2013 \u2014 # ## ### ** __".split())
SENTENCE_ENDS = MARKERS.union(".!?:")
PRIORITY = {"PROPER": 0, "COMPOUND": 1, "QUOTED": 2, "NOUN": 3}

_MARKS = "!\"#$%&'()*,:;<=>?[]_`{}"
_MARKS += "\u00a1\u00a7\u00ab\u00bb\u00bf\u2013\u2014\u2018\u2019\u201c\u201d\u2026"

_QUOTED = (
    ('"', Pattern(r'"([^"]+)"').finditer),
    ("'", Pattern(r"(?<![^\s(\[{,;])'([^']+)'(?![^\s.,;:!?)\]])").finditer),
)
_spaces = Pattern(r"(\s+)").split
_contraction = Pattern(
    r"(.+?)(['\u2019](?:s|m|d|re|ve|ll)|n['\u2019]t)", ignore_case=True
).fullmatch
_initials = Pattern(r"(?:[^\W\d_]\.)+|Ph\.D\.").fullmatch
_joints = Pattern(
    r"(\.\.+|(?<=[^\W\d_A-Z])\.(?=[A-Z])|(?<=[^\W\d_]),(?=[^\W\d_])"
    r"|(?<=[^\W_])(?:-{1,3}|[~\u2013\u2014:<>=/])(?=[^\W\d_])|[\u2190-\u2bff\U0001f000-\U0001faff])"
).split

_list_number = Pattern(r"\A\d+\s*\.\s*").sub
_lone_star = Pattern(r"(?:\A|\s)\*\s|\s\*\Z").search

_known: dict[str, tuple[Token, ...]] = {}


class Token:
    """A word or a mark, and what can be said of it without the text that it stands in.

    Attributes:
        spelt: as it stands there, with the space behind it if there is one.
        word: without the space.
        is_capital: whether it begins with a capital.
        connects: whether it is a word that may stand inside a name without one.
        kind: what it is to `compounds`, which works that out when it first reads it; 0 before.
    """

    __slots__ = ("spelt", "word", "is_capital", "connects", "kind")

    def __init__(self, spelt: str) -> None:
        self.spelt = spelt
        self.word = spelt.strip()
        self.is_capital = spelt[0].isupper()
        self.connects = self.word.lower() in CONNECTORS
        self.kind = 0


def extract_entities(text: str) -> list[Entity]:
    """The entities of `text` as (type, text), types "PROPER" and "QUOTED"; proper names first.

    An entity has 3 to 100 characters; no two are equal but for case, and none is part of another.
    """
    return tidied(proper_names(tokenize(text)) + quotations(text))


def quotations(text: str) -> list[Entity]:
    """What stands in double quotes, and then in single quotes that are no apostrophes."""
    found: list[Entity] = []
    for quote, quoted in _QUOTED:
        if text.count(quote) > 1:
            inner = (match[1].strip() for match in quoted(text))
            found += [("QUOTED", words) for words in inner if len(words) >= SHORTEST]
    return found


# --- Names --------------------------------------------------------------------------------


def names(
    tokens: Tokens, begins: Callable[[int, bool], bool], starts: Callable[[int], bool]
) -> list[Entity]:
    """Runs of capitalised words and connectors with a capital inside a sentence.

    Args:
        tokens: those of a text.
        begins: whether the capitalised word at an index can be a name's first; it is also told
            whether the word is its sentence's first.
        starts: whether the token at an index is its sentence's first.
    """
    found: list[Entity] = []
    at, run, count = 0, 0, len(tokens)  # where a name can begin, and where the last run ends
    for start in [i for i, token in enumerate(tokens) if token.is_capital]:
        if start < at:
            continue
        if run <= start:
            run = start + 1
        while run < count and (tokens[run].is_capital or tokens[run].connects):
            run += 1
        is_first = starts(start)
        if (is_first and run == start + 1) or not begins(start, is_first):
            continue
        at = end = run
        while end > start and tokens[end - 1].connects:
            end -= 1
        if is_first or tokens[start].connects:
            inside = (i for i in range(start + 1, end) if tokens[i].is_capital)
            if not any(not tokens[i].connects and not starts(i) for i in inside):
                continue
        name = "".join([token.spelt for token in tokens[start:end]]).strip()
        if len(name) >= SHORTEST:
            found.append(("PROPER", name))
    return found


def proper_names(tokens: Tokens) -> list[Entity]:
    """The proper names in the tokens of a text."""
    count = len(tokens)

    def starts(at: int) -> bool:
        if at == 0:
            return True
        before = tokens[at - 1]
        return before.word in SENTENCE_ENDS or "\n" in before.spelt

    def begins(at: int, is_first: bool) -> bool:
        word = tokens[at].word.lower()
        if word in NOT_NAMES or (at + 1 < count and tokens[at + 1].word == ":"):
            return False
        return not (is_first and (word in OPENERS or word.endswith("ly")))

    return names(tokens, begins, starts)


# --- Tokens -------------------------------------------------------------------------------


def tokenize(text: str) -> Tokens:
    """The words and marks of a text in order, together all of it but for single spaces."""
    tokens: Tokens = []
    for chunk in text.split(" "):
        tokens += _known.get(chunk) or _split(chunk)
    return tokens


def _split(chunk: str) -> tuple[Token, ...]:
    """The tokens of what stands between two spaces; the last one gets the space.

    An empty chunk is a second space in a row, and a token of its own.
    """
    if chunk.isalnum() or chunk.isspace() or not chunk:
        found: tuple[Token, ...] = (Token(f"{chunk} "),)
    else:
        spelt: list[str] = []
        for part in filter(None, _spaces(chunk)):
            spelt += (part,) if part.isspace() else _pieces(part)
        spelt[-1] += " "
        found = tuple(map(Token, spelt))
    if len(chunk) <= LONGEST_CHUNK and len(found) <= MOST_TOKENS:
        if len(_known) >= CACHED_CHUNKS:
            _known.clear()
        _known[chunk] = found
    return found


def _pieces(chunk: str) -> list[str]:
    """A word, the marks around it, and the parts it has."""
    if chunk.isalnum() or len(chunk) > LONGEST_CHUNK:
        return [chunk]
    core = chunk.lstrip(_MARKS)
    tokens = list(chunk[: len(chunk) - len(core)])
    tail: list[str] = []
    while core:
        rest, mark = _last_mark(core)
        if not mark:
            break
        core = rest
        tail += reversed(mark) if mark.strip(_MARKS) == "" else (mark,)
    tokens += [part for part in _joints(core) if part]
    return tokens + tail[::-1]


def _last_mark(core: str) -> tuple[str, str]:
    """A word without what is written close behind it, and that: marks, 's, a full stop."""
    rest = core.rstrip(_MARKS)
    if rest != core:
        return rest, core[len(rest) :]
    if core.endswith("."):
        rest = core.rstrip(".")
        ends_word = len(core) - len(rest) > 1 or not (core in ABBREVIATIONS or _initials(core))
        return (rest, core[len(rest) :]) if ends_word else (core, "")
    match = _contraction(core)
    return (match[1], match[2]) if match else (core, "")


# --- Clean-up -----------------------------------------------------------------------------


def tidied(found: list[Entity]) -> list[Entity]:
    """Entities without formatting, repeats, and those that are part of a longer one."""
    seen: set[str] = set()
    best: dict[str, Entity] = {}
    for kind, found_text in found:
        text = found_text
        key = text.lower().strip()
        if len(key) < SHORTEST or key in seen:
            continue
        seen.add(key)
        if not _is_plain(text):
            text = _without_formatting(text)
            key = text.lower()
            if not key or _has_formatting(text):
                continue
        if not SHORTEST <= len(text) <= LONGEST or (kind == "PROPER" and key in GENERIC_NAMES):
            continue
        rival = best.get(key)
        if rival is None or PRIORITY[kind] < PRIORITY[rival[0]]:
            best[key] = (kind, text)
    if len(best) > 1:
        for key in _contained(list(best)):
            del best[key]
    return list(best.values())


def _is_plain(text: str) -> bool:
    """Whether a text is words with single spaces between them."""
    if text.isalpha():
        return True
    return text.replace(" ", "").isalpha() and "  " not in text and text.strip() == text


def _without_formatting(text: str) -> str:
    """A text without the stars, colons and numbers that list items have around them."""
    text = text.strip()
    if text[:1].isalpha() and text[-1:].isalpha():
        return text
    if text.startswith("*"):
        text = text.lstrip("*").lstrip()
    for mark in "*:":
        if text.endswith(mark):
            text = text.rstrip(mark).rstrip()
    return _list_number("", text)


def _has_formatting(text: str) -> bool:
    """Whether what is left of the mark-up around a word shows that it is none."""
    return (
        text[0] in "\u2022-+\u2013\u2014"
        or any(mark in text for mark in ("**", "__", ":*", "  ", "\n", "\t"))
        or _lone_star(text) is not None
    )


def _contained(keys: list[str]) -> set[str]:
    """Those of `keys` that occur inside another one."""
    if len(keys) <= 64:
        return {key for key in keys for other in keys if key in other and key is not other}
    # Slices of each length that occurs, so that the work grows with the text and not its square.
    inner = set()
    for length in {len(key) for key in keys}:
        same = {key for key in keys if len(key) == length}
        for other in keys:
            if len(other) > length:
                slices = (other[i : i + length] for i in range(len(other) - length + 1))
                inner.update(same.intersection(slices))
    return inner
