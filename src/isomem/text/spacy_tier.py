"""The full tier: lemmas and all four kinds of entities, as upstream takes them from spaCy.

Besides proper names and quotations there are two kinds. COMPOUND is a noun phrase that a noun or a
meaningful adjective makes specific ("road trip"). NOUN is the head of a phrase whose modifier says
nothing ("team event" gives "event"). The word lists are part of the contract: one more word leads
to other entities.
"""

from __future__ import annotations

import os
from threading import Lock
from weakref import WeakValueDictionary

from isomem.errors import DependencyError
from isomem.text.entities import MARKERS, cleaned, names, quotations
from isomem.text.tokens import Token as Spelt
from isomem.text.tokens import no_kind
from isomem.text.words import CIRCUMSTANTIAL, GENERIC_ENDINGS, VAGUE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from isomem.text.entities import Entity

    # spaCy is optional and its objects are compiled, so we have no types for them.
    Doc = Any
    Token = Any

NOT_FOR_LEMMAS = ("ner", "parser")
BATCH = 32

POSSESSIVES = frozenset(("'s", "\u2019s", "'"))
QUOTES = frozenset("'\"\u2018\u2019\u201c\u201d")
NAME_KINDS = frozenset(("PROPN", "NOUN", "ADJ"))
HEAD_KINDS = frozenset(("NOUN", "PROPN"))
GRAMMAR_KINDS = frozenset("DET PRON PUNCT PART ADP SCONJ NUM".split())
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


class Models:
    """The spaCy models of this process. Each is loaded once, and released with its last user.

    A forked child continues to use what its parent had loaded.
    """

    def __init__(self) -> None:
        self._loaded: WeakValueDictionary[str, Any] = WeakValueDictionary()
        # By process: at a fork, another thread may be holding the parent's.
        self._locks: dict[int, Lock] = {}

    def load(self, model: str) -> Any:
        """The pipeline of a model. The caller keeps a reference for as long as it needs it."""
        name = os.path.realpath(model) if os.path.isdir(model) else model
        with self._locks.setdefault(os.getpid(), Lock()):
            pipeline = self._loaded.get(name)
            if pipeline is None:
                import spacy

                self._loaded[name] = pipeline = spacy.load(model)
            return pipeline


_models = Models()


class SpacyTier:
    """Lemmas and entities from a spaCy model, which is loaded on first use and shared.

    Args:
        model: a model package or folder that spaCy can load.

    Raises:
        DependencyError: spaCy or the model is not installed; nothing is ever downloaded.
    """

    def __init__(self, model: str) -> None:
        _require(model)
        self.model = model
        self._nlp: Any = None

    def lemmatize(self, text: str) -> str:
        nlp = self._loaded()
        return _lemmas(nlp(_readable(text, nlp.max_length).lower(), disable=NOT_FOR_LEMMAS))

    def entities(self, text: str) -> list[Entity]:
        nlp = self._loaded()
        return _entities(nlp(_readable(text, nlp.max_length)))

    def entities_batch(self, texts: list[str]) -> list[list[Entity]]:
        """One list for each text, in order."""
        if not texts:
            return []
        nlp = self._loaded()
        readable = [_readable(text, nlp.max_length) for text in texts]
        return [_entities(doc) for doc in nlp.pipe(readable, batch_size=BATCH)]

    def close(self) -> None:
        """Releases the model; the next use loads it again."""
        self._nlp = None

    def _loaded(self) -> Any:
        pipeline = self._nlp
        if pipeline is None:
            self._nlp = pipeline = _models.load(self.model)
        return pipeline


def _require(model: str) -> None:
    from importlib.util import find_spec

    if find_spec("spacy") is None:
        raise DependencyError(
            "The text tier 'spacy' needs spaCy. Install it with: pip install 'isomem[spacy]'",
            suggestion="pip install 'isomem[spacy]', or set nlp.provider to 'builtin'",
        )
    if not os.path.isdir(model) and (not model.isidentifier() or find_spec(model) is None):
        raise DependencyError(
            f"The spaCy model {model!r} is not installed, and isomem[spacy] does not include it. "
            f"Install it: python -m spacy download {model}, or name another in nlp.config.model",
            details={"model": model},
            suggestion=f"python -m spacy download {model}",
        )


def _readable(text: str, limit: int) -> str:
    """The part of a text that spaCy accepts: it refuses longer texts, and lone surrogates."""
    return text[:limit].encode("utf-8", "replace").decode()


# --- Lemmas -------------------------------------------------------------------------------


def _lemmas(doc: Doc) -> str:
    return " ".join(word for token in doc for word in _keywords(token))


def _keywords(token: Token) -> Iterator[str]:
    """The lemma of a content word. A form in -ing is added to it, since it may be a noun."""
    if token.is_stop or token.is_punct:
        return
    if token.lemma_.isalnum():
        yield token.lemma_
    if token.text.endswith("ing") and token.text.isalnum() and token.text != token.lemma_:
        yield token.text


# --- Entities -----------------------------------------------------------------------------


def _entities(doc: Doc) -> list[Entity]:
    compounds = [entity for group in _groups(doc) if (entity := _phrase(group))]
    known = {text.lower() for kind, text in compounds if kind == "COMPOUND"}
    return cleaned(_proper(doc) + quotations(doc.text) + compounds + _verb_headed(doc, known))


def _proper(doc: Doc) -> list[Entity]:
    tokens = list(doc)

    def begins(at: int, _: bool) -> bool:
        label = at + 1 < len(tokens) and tokens[at + 1].text == ":"
        return not label and tokens[at].pos_ in NAME_KINDS

    def starts(at: int) -> bool:
        if at == 0 or tokens[at].is_sent_start:
            return True
        before = tokens[at - 1].text
        return before in ".!?:" or before in MARKERS or "\n" in before

    return names([Spelt(token.text_with_ws, no_kind) for token in tokens], begins, starts)


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


def _phrase(group: list[Token]) -> Entity | None:
    """The entity of a noun phrase, or None if the phrase says too little."""
    head = next((token for token in reversed(group) if token.pos_ in HEAD_KINDS), None)
    content = [token for token in group if _is_content(token)]
    if head is None or not content:
        return None
    modifiers = [token for token in content if token.dep_ == "compound"]
    if any(_lemma(token) in CIRCUMSTANTIAL for token in modifiers):
        text = _singular(head)
        return ("NOUN", text) if len(text) > 2 else None
    specific = any(_is_adjective(token) and _lemma(token) not in VAGUE for token in content)
    if modifiers:
        return _compound([t for t in content if not (t.pos_ == "ADJ" and _lemma(t) in VAGUE)])
    if len(content) > 1 and specific:
        return _compound([t for t in content if not (_is_adjective(t) and _lemma(t) in VAGUE)])
    return None


def _compound(tokens: list[Token]) -> Entity | None:
    if len(tokens) > 2 and _lemma(tokens[-1]) in GENERIC_ENDINGS:
        tokens = tokens[:-1]
    text = " ".join(map(_singular, tokens))
    return ("COMPOUND", text) if len(text) > 3 and " " in text else None


def _is_content(token: Token) -> bool:
    return token.pos_ not in GRAMMAR_KINDS and (token.pos_ == "ADJ" or not token.is_stop)


def _is_adjective(token: Token) -> bool:
    return bool(token.pos_ == "ADJ" or token.dep_ == "amod")


def _lemma(token: Token) -> str:
    lemma: str = token.lemma_
    return lemma.lower()


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
        if parts and _lemma(token) not in GENERIC_VERB_HEADS:
            parts.append(token.text)
        text = " ".join(parts)
        if len(text) > 3 and " " in text and text.lower() not in known:
            known.add(text.lower())
            found.append(("COMPOUND", text))
    return found
