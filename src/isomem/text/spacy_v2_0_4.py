"""The entities of a parsed text by the rules of mem0 2.0.4.

Besides proper names and quotations there are two kinds. COMPOUND is a noun phrase that says
something ("road trip"). NOUN is the head of a phrase whose modifier says nothing ("team event"
gives "event").
"""

from __future__ import annotations

from isomem.text.entities import cleaned, names, quotations
from isomem.text.spacy_parse import lemma_of, opens_sentence, phrases
from isomem.text.tokens import Token as Spelt
from isomem.text.tokens import no_kind
from isomem.text.words import CIRCUMSTANTIAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from isomem.text.entities import Entity
    from isomem.text.spacy_parse import Doc, Token

NAME_KINDS = frozenset(("PROPN", "NOUN", "ADJ"))
ARGUMENTS = frozenset("pobj dobj nsubj".split())

# Nouns that name nothing by themselves.
GENERIC_HEADS = frozenset(
    "thing stuff item piece bit lot part section kind type sort style form shape color colour look "
    "amount number size scale level degree "
    "time day week month year moment "
    "place area side end edge point surface "
    "way method approach technique process step tool task "
    "case instance example situation experience fact matter issue topic idea thought feeling goal "
    "result outcome".split()
)
# The same for a noun that the tagger took for a verb.
GENERIC_VERB_HEADS = GENERIC_HEADS.union("find buy purchase sale deal trip visit".split())


def entities_of(doc: Doc) -> list[Entity]:
    """The entities of a parsed text, as (type, text)."""
    compounds = _compounds(doc)
    known = {text.lower() for kind, text in compounds if kind == "COMPOUND"}
    return cleaned(_proper(doc) + quotations(doc.text) + compounds + _verb_headed(doc, known))


def _proper(doc: Doc) -> list[Entity]:
    tokens = list(doc)

    def begins(at: int, _: bool) -> bool:
        label = at + 1 < len(tokens) and tokens[at + 1].text == ":"
        return not label and tokens[at].pos_ in NAME_KINDS

    def starts(at: int) -> bool:
        return opens_sentence(tokens, at)

    return names([Spelt(token.text_with_ws, no_kind) for token in tokens], begins, starts)


def _compounds(doc: Doc) -> list[Entity]:
    """Noun phrases in the singular, and the heads that stand for one."""
    found: list[Entity] = []
    for words, is_head in phrases(doc, CIRCUMSTANTIAL):
        text = " ".join(map(_singular, words))
        if is_head:
            found += [("NOUN", text)] if len(text) > 2 else []
        elif len(text) > 3 and " " in text:
            found.append(("COMPOUND", text))
    return found


def _singular(token: Token) -> str:
    text: str = token.lemma_ if token.pos_ == "NOUN" else token.text
    return text


def _verb_headed(doc: Doc, known: set[str]) -> list[Entity]:
    """Compounds whose head is in the position of a noun, but was taken for a verb."""
    found: list[Entity] = []
    for token in doc:
        if token.pos_ != "VERB" or token.dep_ not in ARGUMENTS:
            continue
        parts = [child.text for child in token.children if child.dep_ == "compound"]
        if parts and lemma_of(token) not in GENERIC_VERB_HEADS:
            parts.append(token.text)
        text = " ".join(parts)
        if len(text) > 3 and " " in text and text.lower() not in known:
            known.add(text.lower())
            found.append(("COMPOUND", text))
    return found
