"""The entities of a parsed text by the rules of mem0 2.2.1.

A name may open a sentence. It is what the model's recogniser names, or a run of words that look
like names. Besides names there are identifiers ("os.path"), quotations, and topics: noun phrases
that say something, spelt as they are in the text.
"""

from __future__ import annotations

from isomem.text.candidates import (
    CIRCUMSTANCES,
    CONNECTORS,
    IDENTIFIER,
    PHRASE,
    RECOGNISED,
    SPAN,
    Candidates,
    has_inner_form,
    is_count,
    is_identifier,
    names_nothing,
    runs,
)
from isomem.text.spacy_parse import HEAD_KINDS, opens_sentence, phrases

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from isomem.text.entities import Entity
    from isomem.text.spacy_parse import Doc, Token

# What the recogniser calls a name. Its other labels are dates, counts and amounts.
LABELS = frozenset("PERSON ORG GPE LOC FAC PRODUCT WORK_OF_ART EVENT NORP LAW LANGUAGE".split())
MODIFIERS = frozenset(("compound", "amod"))
NAME_TAGS = frozenset(("NNP", "NNPS"))
LIST_MARKS = frozenset(",;")
LIST_OPENERS = LIST_MARKS.union(":")


def entities_of(doc: Doc) -> list[Entity]:
    """The entities of a parsed text, as (type, text)."""
    tokens = list(doc)
    found = Candidates()
    for name in map(list, _recognised(doc, tokens)):
        found.add(RECOGNISED, _spelt(name), name[0].i, name[-1].i + 1)
    for at, token in enumerate(tokens):
        if is_identifier(token.text):
            found.add(IDENTIFIER, token.text, at, at + 1)
    for start, end in _spans(tokens):
        found.add(SPAN, _spelt(tokens[start:end]), start, end)
    found.add_quotations(doc.text)
    for words, is_head in phrases(doc, CIRCUMSTANCES):
        if is_head:
            found.add(PHRASE, words[0].text, words[0].i, words[0].i + 1)
        elif words:
            found.add_phrase([word.text for word in words], words[0].i, words[-1].i + 1)
    return found.entities()


def _spelt(tokens: list[Token]) -> str:
    return "".join([token.text_with_ws for token in tokens]).strip()


# --- Names that the recogniser finds ---------------------------------------------------------


def _recognised(doc: Doc, tokens: list[Token]) -> Iterator[list[Token]]:
    """The words of each name that the recogniser finds."""
    for entity in doc.ents:
        if entity.label_ in LABELS:
            name = _without_counts(list(entity), tokens)
            if not any(word.pos_ == "CCONJ" and word.text.lower() == "and" for word in name) and (
                len(name) > 1 or _names_alone(name[0])
            ):
                yield name


def _without_counts(name: list[Token], tokens: list[Token]) -> list[Token]:
    """A name without the counts of a list after it: "Apples 12, Pears 7"."""
    while len(name) > 1 and _is_count(name[-1]):
        if "," not in name[-1].text and not _is_listed(tokens, name[-1].i):
            break
        name = name[:-1]
    return name


def _names_alone(word: Token) -> bool:
    """Whether one word is a name, and not a part of a longer phrase."""
    is_modifier = word.dep_ in MODIFIERS and word.head.pos_ in HEAD_KINDS
    return not is_modifier and not _is_general(word)


# --- Names by their form ---------------------------------------------------------------------


def _spans(tokens: list[Token]) -> Iterator[tuple[int, int]]:
    likes = (at for at in range(len(tokens)) if _is_name_like(tokens, at))
    return runs(likes, lambda at: tokens[at].text.lower() in CONNECTORS)


def _is_name_like(tokens: list[Token], at: int) -> bool:
    """Whether a word looks like one of a name."""
    word = tokens[at]
    if not _may_be_name(word):
        return False
    return (
        word.pos_ == "PROPN"
        or word.tag_ in NAME_TAGS
        or has_inner_form(word.text)
        or _is_capital_noun(tokens, at)
        or _is_counted(tokens, at)
    )


def _may_be_name(word: Token) -> bool:
    text: str = word.text
    return text[:1].isupper() and any(map(str.isalpha, text)) and not _is_general(word)


def _is_general(word: Token) -> bool:
    return names_nothing(word.text.lower()) or word.is_stop


def _is_capital_noun(tokens: list[Token], at: int) -> bool:
    """Whether a word is a noun with a capital that no sentence gives it."""
    word = tokens[at]
    is_noun = word.pos_ == "NOUN" and word.dep_ not in MODIFIERS
    return is_noun and not opens_sentence(tokens, at)


# --- Lists of names with counts --------------------------------------------------------------


def _is_counted(tokens: list[Token], at: int) -> bool:
    """Whether a word is an item of a list that says how many: "Apples 12, Pears 7"."""
    if at + 1 == len(tokens) or not _is_count(tokens[at + 1]):
        return False
    return _is_listed(tokens, at) or _is_listed(tokens, at + 1)


def _is_count(word: Token) -> bool:
    return word.pos_ == "NUM" and is_count(word.text) is not None


def _is_listed(tokens: list[Token], at: int) -> bool:
    """Whether a word is beside a mark that parts the items of a list."""
    if at and tokens[at - 1].text in LIST_OPENERS:
        return True
    return at + 1 < len(tokens) and tokens[at + 1].text in LIST_MARKS
