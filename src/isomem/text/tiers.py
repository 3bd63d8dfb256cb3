"""The three tiers of text analysis behind one port (`isomem.ports.shapes.Nlp`)."""

from __future__ import annotations

from isomem.options import read_table, unknown
from isomem.text.languages import DEFAULT_LANGUAGE
from isomem.types import PROFILES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from isomem.ports.shapes import Nlp
    from isomem.text.terms import TermEncoder

DEFAULT_RELEASE = PROFILES[0]


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
        language: the rules for words and compounds are English. In another language, words only
            become lower case, the stemmer does the rest, and no compounds are found.
        rules: the release of upstream whose entity rules apply, one of `RELEASES`.
    """

    def __init__(self, language: str = DEFAULT_LANGUAGE, rules: str = DEFAULT_RELEASE) -> None:
        # Imported here, so that the other tiers do not load the word tables.
        if language == "english":
            from isomem.text.lemma import lemmatize
        else:
            from isomem.text.lemma import lower_words as lemmatize

        self.language = language
        self.lemmatize: Callable[[str], str] = lemmatize
        self.entities = _entities_by_rule(language, rules)

    def entities_batch(self, texts: list[str]) -> list[list[tuple[str, str]]]:
        """One list for each text, in order."""
        return [self.entities(text) for text in texts]


def _entities_by_rule(language: str, rules: str) -> Callable[[str], list[tuple[str, str]]]:
    """What finds the entities of a text in a language by the rules of a release."""
    if language == "english":
        if rules == "2.2.1":
            from isomem.text.topics import extract_entities
        else:
            from isomem.text.compounds import extract_entities
    elif rules == "2.2.1":
        from isomem.text.spans import extract_entities
    else:
        from isomem.text.entities import extract_entities
    return extract_entities


def load_tier(
    provider: str, config: Mapping[str, object] | None = None, rules: str = DEFAULT_RELEASE
) -> Nlp:
    """The tier that `nlp.provider` names, set up by `nlp.config`.

    Args:
        provider: "builtin", "none" or "spacy".
        config: `language` and `stopwords` (of the keyword encoder, any tier), and for "spacy"
            also `model`.
        rules: the release of upstream that decides which entities a text has, one of
            `types.PROFILES`. Lemmas are the same in all of them.

    Raises:
        InvalidConfigError: the provider, a key or the release is unknown, or a value has the wrong
            type.
        DependencyError: the provider is "spacy", and spaCy or its model is not installed.
    """
    options = _read(provider, config)
    if rules not in PROFILES:
        raise unknown("profile", rules, PROFILES)
    if provider == "spacy":
        from isomem.text.spacy_tier import SpacyTier

        return SpacyTier(options["model"], rules)
    return BuiltinTier(options["language"], rules) if provider == "builtin" else NoTier()


def load_encoder(provider: str, config: Mapping[str, object] | None = None) -> TermEncoder:
    """The keyword encoder that `nlp` configures. Takes and raises the same as `load_tier`."""
    from isomem.text.terms import TermEncoder

    options = _read(provider, config)
    return TermEncoder(options["language"], options["stopwords"])


def _read(provider: str, config: Mapping[str, object] | None) -> dict[str, Any]:
    from isomem.text.tables import TABLES

    if provider not in TABLES:
        raise unknown("nlp.provider", provider, TABLES)
    options = read_table(config, TABLES[provider], "nlp.config")
    return {**options, "language": options["language"] or DEFAULT_LANGUAGE}
