"""Entities by rule, as mem0 2.2.1 would find them: names, identifiers, quotations, topics.

A name may open a sentence, where every word has a capital. Upstream's tagger tells names from other
words there; here tables of words and the endings do (`forms`). Topics are the noun compounds of
`compounds`, spelt as they are in the text.

The rules are English. Time is linear in the length of the text.
"""

from __future__ import annotations

from bisect import bisect_left

from isomem.text.candidates import PHRASE
from isomem.text.compounds import phrases, tokenize
from isomem.text.forms import ANYWHERE, EXCLAIMED, INSIDE, NATION, form_of
from isomem.text.spans import collected, is_counted, opens_sentence, spans
from isomem.text.word_classes import GROUP, NOUN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from isomem.text.candidates import Candidates
    from isomem.text.entities import Entity
    from isomem.text.spans import Span
    from isomem.text.tokens import Tokens

_TITLES = frozenset("Dr. Mr. Mrs. Ms. Prof. Rev.".split())
"""They are not part of a name."""

_PARTING = frozenset(("in", "at", "for"))
"""What parts two names that are beside each other: "Ann in Paris"."""

_DATES = frozenset(
    "January February March April June July August September October November December "
    "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
)


def extract_entities(text: str) -> list[Entity]:
    """The entities of `text` as (type, text), in its order; quotations last."""
    tokens = tokenize(text)
    by_form = list(spans(tokens, _is_name_like))
    recognised = [name for span in by_form for name in _recognised(tokens, *span)]
    found = collected(text, tokens, recognised, by_form)
    _add_topics(found, tokens)
    return found.entities()


# --- Names -----------------------------------------------------------------------------------


def _is_name_like(tokens: Tokens, at: int) -> bool:
    """Whether a capitalised word looks like one of a name."""
    form = form_of(tokens[at].word)
    if form == INSIDE:
        return not opens_sentence(tokens, at) or is_counted(tokens, at)
    following = tokens[at + 1] if at + 1 < len(tokens) else None
    if form == NATION:  # "Italian food", but "Italian Alps"
        return not (following and following.kind.is_content and not following.is_capital)
    if form == EXCLAIMED:
        return following is not None and following.word == ","
    return form == ANYWHERE


def _recognised(tokens: Tokens, start: int, end: int) -> Iterator[Span]:
    """The names in a run of words, where upstream's recogniser finds other ones than the run."""
    parts = list(_parts(tokens, start, end))
    for first, last in parts:
        if last - first > 1 and tokens[first].word in _TITLES:
            yield first + 1, last
        elif last - first > 1 and _has_article(tokens, first, last):
            yield first - 1, last
        elif len(parts) > 1 and tokens[first].word not in _DATES:
            yield first, last


def _parts(tokens: Tokens, start: int, end: int) -> Iterator[Span]:
    for at in range(start, end):
        if tokens[at].word in _PARTING:
            yield start, at
            start = at + 1
    yield start, end


def _has_article(tokens: Tokens, start: int, end: int) -> bool:
    """Whether "the" comes before a name, and no noun after it to which it could belong."""
    if not start or tokens[start - 1].word.lower() != "the":
        return False
    return end == len(tokens) or not tokens[end].kind.is_content


# --- Topics ----------------------------------------------------------------------------------


def _add_topics(found: Candidates, tokens: Tokens) -> None:
    for start, end, words in placed(phrases(tokens), tokens):
        found.add_phrase(words, start, end)
    for at in [at for at, token in enumerate(tokens, 1) if token.kind.word_class == GROUP]:
        for head in tokens[at : at + 1]:
            if head.kind.word_class == NOUN:
                found.add(PHRASE, head.word, at, at + 1)


def placed(found: list[list[str]], tokens: Tokens) -> Iterator[tuple[int, int, list[str]]]:
    """Where each phrase starts and ends in the tokens of a text, and its words as spelt there.

    Args:
        found: the words of each phrase, in the order of the text.
        tokens: the tokens; a phrase may lack some of those between its words.
    """
    places: dict[str, list[int]] = {}
    for at, token in enumerate(tokens):
        places.setdefault(token.word.lower(), []).append(at)
    end = 0
    for phrase in found:
        of_words = [places[word.lower()] for word in phrase]
        # A phrase may be read twice, or go back: then it is not behind the one before it.
        end = _end_of(of_words, end) or _end_of(of_words, 0)
        start, words = end, []
        for of_word in reversed(of_words):
            start = of_word[bisect_left(of_word, start) - 1]
            words.append(tokens[start].word)
        yield start, end, words[::-1]


def _end_of(of_words: list[list[int]], at: int) -> int:
    """Where words in their order first end from an index on; 0 if nowhere.

    Args:
        of_words: the places of each word in the text, in order.
    """
    for of_word in of_words:
        number = bisect_left(of_word, at)
        if number == len(of_word):
            return 0
        at = of_word[number] + 1
    return at
