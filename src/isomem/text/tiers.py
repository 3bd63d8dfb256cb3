"""The three tiers of text analysis behind one port (`isomem.ports.shapes.Nlp`)."""

from __future__ import annotations

from isomem.errors import InvalidConfigError
from isomem.options import read_options, unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from isomem.ports.shapes import Nlp

PROVIDERS = ("builtin", "none", "spacy")
ENCODER_OPTIONS: dict[str, object] = {"language": "english", "stopwords": None}
"""Options of `terms.TermEncoder`, which every tier accepts."""
SPACY_OPTIONS = {"model": "en_core_web_sm", **ENCODER_OPTIONS}


class NoTier:
    """Upstream without spaCy: text as it is, and no entities."""

    def lemmatize(self, text: str) -> str:
        return text

    def entities(self, text: str) -> list[tuple[str, str]]:  # noqa: ARG002  (the port's shape)
        return []

    def entities_batch(self, texts: list[str]) -> list[list[tuple[str, str]]]:
        return [[] for _ in texts]


class BuiltinTier:
    """Lemmas, proper names, quotations and noun compounds by rule.

    Args:
        language: the rules for words and compounds are English; in another language words stay
            as they are, in lower case, the stemmer does the rest, and no compounds are found.
    """

    def __init__(self, language: str = "english") -> None:
        # Here, so that the word tables cost the other tiers nothing.
        if language == "english":
            from isomem.text.compounds import extract_entities
            from isomem.text.lemma import lemmatize
        else:
            from isomem.text.entities import extract_entities
            from isomem.text.lemma import lower_words as lemmatize

        self.language = language
        self.lemmatize: Callable[[str], str] = lemmatize
        self.entities: Callable[[str], list[tuple[str, str]]] = extract_entities

    def entities_batch(self, texts: list[str]) -> list[list[tuple[str, str]]]:
        """One list for each text, in order."""
        return [self.entities(text) for text in texts]


def load_tier(provider: str, config: Mapping[str, object] | None = None) -> Nlp:
    """The tier that `nlp.provider` names, set up by `nlp.config`.

    Args:
        provider: one of `PROVIDERS`.
        config: `language` and `stopwords` (of the keyword encoder, any tier), and for "spacy"
            also `model`.

    Raises:
        InvalidConfigError: the provider or a key is not known, or a value is of a wrong type.
        DependencyError: "spacy" was asked for and spaCy or its model is not installed.
    """
    if provider not in PROVIDERS:
        raise unknown("nlp.provider", provider, PROVIDERS)
    defaults = SPACY_OPTIONS if provider == "spacy" else ENCODER_OPTIONS
    options = _checked(read_options(config, defaults, "nlp.config"))
    if provider == "spacy":
        from isomem.text.spacy_tier import SpacyTier

        return SpacyTier(options["model"])
    return BuiltinTier(options["language"]) if provider == "builtin" else NoTier()


def _checked(options: dict[str, Any]) -> dict[str, Any]:
    """`options`, with "english" for no language; refuses values that no tier could use."""
    from isomem.text.terms import LANGUAGES

    options["language"] = options["language"] or "english"
    if options["language"] not in LANGUAGES:
        raise unknown("language", options["language"], LANGUAGES)
    stopwords = options["stopwords"]
    if stopwords is not None and not _is_word_list(stopwords):
        raise _wrong_type("stopwords", "a list of words")
    if not isinstance(options.get("model", ""), str):
        raise _wrong_type("model", "the name of a model package")
    return options


def _is_word_list(value: object) -> bool:
    if not isinstance(value, (list, tuple, set, frozenset)):
        return False
    return all(isinstance(word, str) for word in value)


def _wrong_type(key: str, expected: str) -> InvalidConfigError:
    return InvalidConfigError(f"nlp.config.{key} must be {expected}", error_code="CONFIG_002")
