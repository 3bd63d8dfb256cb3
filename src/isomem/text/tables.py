"""The options of the language tiers."""

from __future__ import annotations

from isomem.options import TEXTS, Kind, Option, is_text, one_of, optional, or_empty
from isomem.text.languages import DEFAULT_LANGUAGE, LANGUAGES


def _are_words(value: object) -> bool:
    return isinstance(value, (list, tuple, set, frozenset)) and all(map(is_text, value))


ENCODER_OPTIONS = (
    Option(
        "language",
        DEFAULT_LANGUAGE,
        or_empty(one_of(*LANGUAGES)),
        "the language of the memories, for the BM25 terms",
    ),
    Option(
        "stopwords",
        None,
        optional(Kind("a list of words", _are_words, TEXTS.schema)),
        "what to leave out of the BM25 terms",
        unset="the language's own",
    ),
)
"""Options of `terms.TermEncoder`, which every tier accepts."""

SPACY_OPTIONS = (
    Option(
        "model",
        "en_core_web_sm",
        Kind("the name of a model package", is_text, {"type": "string"}),
        "the spaCy model package; it is never downloaded",
    ),
    *ENCODER_OPTIONS,
)

TABLES = {"builtin": ENCODER_OPTIONS, "none": ENCODER_OPTIONS, "spacy": SPACY_OPTIONS}
"""The options of every tier."""
