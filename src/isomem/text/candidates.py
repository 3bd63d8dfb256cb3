"""Which entities a text has by the rules of mem0 2.2.1: candidates, and what is left of them.

A candidate is a text with a kind and a place in the tokens. Where two overlap, the one from the
surer source stays; only a phrase may stand over a name that is part of it. No two entities of a
text differ only in case or in white space.

The rules ask nothing of a token but where it is, so that both tiers share them. The word lists and
the order of the sources are part of the contract.
"""

from __future__ import annotations

from isomem.contract.limits import LONGEST_ENTITY, SHORTEST_ENTITY
from isomem.pattern import Pattern
from isomem.text.entities import has_formatting, is_plain, quotations, without_formatting
from isomem.text.words import CIRCUMSTANTIAL, GENERIC_NAMES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from isomem.text.entities import Entity

    Candidate = tuple[int, int, int, str]
    """(source, start, end, text); a quotation starts at NOWHERE."""

RECOGNISED, IDENTIFIER, SPAN, QUOTATION, PHRASE = range(5)
"""The sources, surest first: a recogniser, the form, capitals, quotation marks, grammar."""

TYPES = ("PROPER", "IDENTIFIER", "PROPER", "QUOTED", "TOPIC")
"""The type of what each source finds."""

NOWHERE = -1
LAST = 10**9
"""Quotations come after everything that has a place."""

CONNECTORS = frozenset("of the for at in".split())
"""What a name may have between two of its words."""

# One of them alone names nobody.
ROLES = frozenset(
    "user assistant agent customer client person people human "
    "memory message conversation chat session system top".split()
)
# Modifiers that leave only the head of a phrase.
CIRCUMSTANCES = CIRCUMSTANTIAL.union(("top",))

is_identifier = Pattern(r"[A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*)+").fullmatch
is_count = Pattern(r"\d[\d,]*(?:\.\d+)?").fullmatch


def names_nothing(lower: str) -> bool:
    """Whether a word in lower case is too general for a name: a role, or a heading."""
    return lower in ROLES or lower in GENERIC_NAMES


def has_inner_form(word: str) -> bool:
    """Whether a word has a digit, or a capital after its first letter: "iPhone", "A4"."""
    return any(map(str.isdigit, word)) or any(map(str.isupper, word[1:]))


def runs(likes: Iterable[int], connects: Callable[[int], bool]) -> Iterator[tuple[int, int]]:
    """Where each run of words that look like names starts and ends.

    Args:
        likes: where the words are that look like names, in order.
        connects: whether the word at an index may be between two of them.
    """
    start = end = -2  # beside nothing
    for at in likes:
        if at != end and not (at == end + 1 and connects(end)):
            if end > start:
                yield start, end
            start = at
        end = at + 1
    if end > start:
        yield start, end


class Candidates:
    """The candidates of one text. They are added source by source, the surest first."""

    __slots__ = ("_by_text",)

    def __init__(self) -> None:
        self._by_text: dict[str, Candidate] = {}

    def add(self, source: int, text: str, start: int, end: int) -> None:
        """Adds what a source found in the tokens from `start` to `end`, if it can be an entity."""
        if not is_plain(text):
            text = " ".join(without_formatting(text).split())
        if not SHORTEST_ENTITY <= len(text) <= LONGEST_ENTITY:
            return
        if is_plain(text) or not has_formatting(text):
            self._by_text.setdefault(text.lower(), (source, start, end, text))

    def add_phrase(self, words: list[str], start: int, end: int) -> None:
        """Adds a phrase of two words or more."""
        text = " ".join(words)
        if len(text) > SHORTEST_ENTITY and " " in text:
            self.add(PHRASE, text, start, end)

    def add_quotations(self, text: str) -> None:
        """Adds what a text quotes."""
        for _, quoted in quotations(text):
            self.add(QUOTATION, quoted, NOWHERE, NOWHERE)

    def entities(self) -> list[Entity]:
        """What is left where candidates overlap, as (type, text) in the order of the text."""
        left = self._without_overlaps()
        left.sort(key=lambda one: (one[1] if one[1] >= 0 else LAST, one[2], one[0]))
        return [(TYPES[source], text) for source, _, _, text in left]

    def _without_overlaps(self) -> list[Candidate]:
        """The surer, longer and earlier one of each two that overlap."""
        left: list[Candidate] = []
        in_names: set[int] = set()
        in_others: set[int] = set()
        for one in sorted(self._by_text.values(), key=lambda c: (c[0], c[1] - c[2], c[1])):
            source, start, end, text = one
            place = range(start, end)
            may_stand_over_names = source == PHRASE and " " in text
            if in_others.isdisjoint(place) and (may_stand_over_names or in_names.isdisjoint(place)):
                left.append(one)
                (in_names if TYPES[source] == "PROPER" else in_others).update(place)
        return left
