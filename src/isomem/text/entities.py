"""Proper names and quoted text by rule: the built-in tier's entities.

The shape of a name, the clean-up and the order are upstream's contract. Upstream uses a
part-of-speech tagger; here lists take its place: a capitalised word may begin a name unless
sentences commonly begin with it. This works in any script that has capitals.

Time is linear in the length of the text.
"""

from __future__ import annotations

from isomem.contract.limits import LONGEST_ENTITY, SHORTEST_ENTITY
from isomem.pattern import Pattern
from isomem.text.tokens import Tokenizer
from isomem.text.words import GENERIC_NAMES, NOT_NAMES, OPENERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from isomem.text.tokens import Tokens

    Entity = tuple[str, str]
    """(type, text)"""

MARKERS = frozenset("* - + \u2022 \u2013 \u2014 # ## ### ** __".split())
SENTENCE_ENDS = MARKERS.union(".!?:")
PRIORITY = {"PROPER": 0, "COMPOUND": 1, "QUOTED": 2, "NOUN": 3}

_QUOTED = (
    ('"', Pattern(r'"([^"]+)"').finditer),
    ("'", Pattern(r"(?<![^\s(\[{,;])'([^']+)'(?![^\s.,;:!?)\]])").finditer),
)
_list_number = Pattern(r"\A\d+\s*\.\s*").sub
_lone_star = Pattern(r"(?:\A|\s)\*\s|\s\*\Z").search

_tokenize = Tokenizer()


def extract_entities(text: str) -> list[Entity]:
    """The entities of `text` as (type, text), types "PROPER" and "QUOTED"; proper names first.

    An entity has 3 to 100 characters. No two differ only in case, and none is part of another.
    """
    return cleaned(proper_names(_tokenize(text)) + quotations(text))


def quotations(text: str) -> list[Entity]:
    """The text in double quotes, then the text in single quotes that are not apostrophes."""
    found: list[Entity] = []
    if '"' not in text and "'" not in text:
        return found
    for quote, quoted in _QUOTED:
        if text.count(quote) > 1:
            inner = (match[1].strip() for match in quoted(text))
            found += [("QUOTED", words) for words in inner if len(words) >= SHORTEST_ENTITY]
    return found


# --- Names --------------------------------------------------------------------------------


def names(
    tokens: Tokens, begins: Callable[[int, bool], bool], starts: Callable[[int], bool]
) -> list[Entity]:
    """Runs of capitalised words and connectors with a capital inside a sentence.

    Args:
        tokens: the tokens of a text.
        begins: whether the capitalised word at an index can be the first of a name; its second
            argument says whether the word is the first of its sentence.
        starts: whether the token at an index is the first of its sentence.
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
            others = range(start + 1, end)
            capitals = [i for i in others if tokens[i].is_capital and not tokens[i].connects]
            if all(map(starts, capitals)):
                continue
        name = "".join([token.spelt for token in tokens[start:end]]).strip()
        if len(name) >= SHORTEST_ENTITY:
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


# --- Clean-up -----------------------------------------------------------------------------


def cleaned(found: list[Entity]) -> list[Entity]:
    """Entities without formatting and repeats, and without those that are part of a longer one."""
    seen: set[str] = set()
    best: dict[str, Entity] = {}
    for kind, found_text in found:
        text = found_text
        key = text.lower().strip()
        if len(key) < SHORTEST_ENTITY or key in seen:
            continue
        seen.add(key)
        if not is_plain(text):
            text = without_formatting(text)
            key = text.lower()
            if not key or has_formatting(text):
                continue
        if not SHORTEST_ENTITY <= len(text) <= LONGEST_ENTITY or (
            kind == "PROPER" and key in GENERIC_NAMES
        ):
            continue
        rival = best.get(key)
        if rival is None or PRIORITY[kind] < PRIORITY[rival[0]]:
            best[key] = (kind, text)
    if len(best) > 1:
        for key in _contained(list(best)):
            del best[key]
    return list(best.values())


def is_plain(text: str) -> bool:
    """Whether a text is words with single spaces between them."""
    if text.isalpha():
        return True
    return text.replace(" ", "").isalpha() and "  " not in text and text.strip() == text


def without_formatting(text: str) -> str:
    """A text without the stars, colons and numbers of list items."""
    text = text.strip()
    if text[:1].isalpha() and text[-1:].isalpha():
        return text
    if text.startswith("*"):
        text = text.lstrip("*").lstrip()
    for mark in "*:":
        if text.endswith(mark):
            text = text.rstrip(mark).rstrip()
    return _list_number("", text)


def has_formatting(text: str) -> bool:
    """Whether leftover mark-up shows that the text is not a name or a phrase."""
    return (
        text[0] in "\u2022-+\u2013\u2014"
        or any(mark in text for mark in ("**", "__", ":*", "  ", "\n", "\t"))
        or _lone_star(text) is not None
    )


def _contained(keys: list[str]) -> set[str]:
    """Those of `keys` that occur inside another one."""
    if len(keys) <= 64:
        every = "\n".join(keys)  # no key has a line break in it
        return {key for key in keys if every.count(key) > 1}
    # Slices of each length that occurs, so that the work grows with the text, not with its square.
    inner = set()
    for length in {len(key) for key in keys}:
        same = {key for key in keys if len(key) == length}
        for other in keys:
            if len(other) > length:
                slices = (other[i : i + length] for i in range(len(other) - length + 1))
                inner.update(same.intersection(slices))
    return inner
