"""What the rules of all releases share: how sentences open, and the phrases that say something.

A noun phrase counts if a noun or a meaningful adjective makes it specific ("road trip"). If its
modifier only says who or which one ("team event"), its head alone counts. The word lists are part
of the contract: one more word leads to other entities.
"""

from __future__ import annotations

from isomem.text.entities import MARKERS
from isomem.text.words import GENERIC_ENDINGS, VAGUE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    # spaCy is optional and its objects are compiled, so we have no types for them.
    Doc = Any
    Token = Any

POSSESSIVES = frozenset(("'s", "\u2019s", "'"))
QUOTES = frozenset("'\"\u2018\u2019\u201c\u201d")
HEAD_KINDS = frozenset(("NOUN", "PROPN"))
GRAMMAR_KINDS = frozenset("DET PRON PUNCT PART ADP SCONJ NUM".split())


def opens_sentence(tokens: list[Token], at: int) -> bool:
    """Whether a token is the first of a sentence, or comes after formatting."""
    if at == 0 or tokens[at].is_sent_start:
        return True
    before = tokens[at - 1].text
    return before in ".!?:" or before in MARKERS or "\n" in before


def phrases(doc: Doc, circumstantial: frozenset[str]) -> Iterator[tuple[list[Token], bool]]:
    """The words that say something in each phrase, and whether they are only its head.

    Args:
        doc: a parsed text.
        circumstantial: modifiers that leave only the head of a phrase.
    """
    for group in _groups(doc):
        head = next((token for token in reversed(group) if token.pos_ in HEAD_KINDS), None)
        content = [token for token in group if _is_content(token)]
        if head is None or not content:
            continue
        if any(token.dep_ == "compound" and lemma_of(token) in circumstantial for token in content):
            yield [head], True
        else:
            yield _specific(content), False


def _groups(doc: Doc) -> Iterator[list[Token]]:
    """The noun phrases of a text, cut at possessives and quotation marks."""
    for chunk in doc.noun_chunks:
        tokens = list(chunk)
        cuts = [i for i, token in enumerate(tokens) if _is_possessive(token) or _is_quote(token)]
        start = 0
        for cut, following in zip(cuts, [*cuts[1:], len(tokens)], strict=False):
            if start < cut:
                yield tokens[start:cut]
            owned = tokens[cut + 1 : following] if _is_possessive(tokens[cut]) else []
            # What is owned counts only if it is a title or a name.
            start = following if owned and not _is_capitalised(owned) else cut + 1
        if start < len(tokens):
            yield tokens[start:]


def _is_possessive(token: Token) -> bool:
    return token.dep_ == "case" and token.text in POSSESSIVES


def _is_quote(token: Token) -> bool:
    return token.pos_ == "PUNCT" and token.text in QUOTES


def _is_capitalised(group: list[Token]) -> bool:
    content = (token for token in group if token.pos_ not in ("PUNCT", "PART"))
    first = next(content, None)
    return first is not None and first.text[0].isupper()


def _specific(content: list[Token]) -> list[Token]:
    """The words that make a phrase specific; none if it says too little."""
    if any(token.dep_ == "compound" for token in content):
        words = [t for t in content if not (t.pos_ == "ADJ" and lemma_of(t) in VAGUE)]
    elif len(content) > 1 and any(_is_adjective(t) and lemma_of(t) not in VAGUE for t in content):
        words = [t for t in content if not (_is_adjective(t) and lemma_of(t) in VAGUE)]
    else:
        return []
    if len(words) > 2 and lemma_of(words[-1]) in GENERIC_ENDINGS:
        words.pop()
    return words


def _is_content(token: Token) -> bool:
    return token.pos_ not in GRAMMAR_KINDS and (token.pos_ == "ADJ" or not token.is_stop)


def _is_adjective(token: Token) -> bool:
    return bool(token.pos_ == "ADJ" or token.dep_ == "amod")


def lemma_of(token: Token) -> str:
    """The lemma of a token in lower case."""
    lemma: str = token.lemma_
    return lemma.lower()
