"""Choosing a tier by configuration."""

from __future__ import annotations

import pytest

from isomem.config import NLP_PROVIDERS
from isomem.errors import InvalidConfigError
from isomem.text.tables import TABLES
from isomem.text.tiers import BuiltinTier, NoTier, load_tier
from isomem.types import PROFILES

SENTENCE = "We saw Foxes near Paris"


def test_none_gives_text_back_and_no_entities():
    tier = load_tier("none")
    assert tier.lemmatize(SENTENCE) == SENTENCE
    assert tier.entities(SENTENCE) == []
    assert tier.entities_batch([SENTENCE, ""]) == [[], []]


def test_builtin_gives_lemmas_and_names():
    tier = load_tier("builtin", {})
    assert tier.lemmatize(SENTENCE) == "see fox near paris"
    assert tier.entities(SENTENCE) == [("PROPER", "Foxes"), ("PROPER", "Paris")]


def test_builtin_is_english_by_default():
    assert BuiltinTier().language == "english"
    assert BuiltinTier().lemmatize("Foxes") == "fox"


def test_batch_is_each_text_by_itself():
    tier = load_tier("builtin")
    texts = [SENTENCE, "", 'the "old mill"']
    assert tier.entities_batch(texts) == [tier.entities(text) for text in texts]


def test_builtin_forces_no_english_rules_on_another_language():
    tier = load_tier("builtin", {"language": "german"})
    assert tier.lemmatize("Er hat an dem Haus gebaut") == "er hat an dem haus gebaut"
    assert tier.entities("wir sahen Wien") == [("PROPER", "Wien")]


@pytest.mark.parametrize("provider", ["none", "builtin"])
def test_options_of_the_encoder_are_accepted(provider):
    config = {"language": "french", "stopwords": ["le", "la"]}
    assert isinstance(load_tier(provider, config), (NoTier, BuiltinTier))


def test_no_language_is_english():
    assert load_tier("builtin", {"language": None}).lemmatize("foxes") == "fox"


@pytest.mark.parametrize("provider", ["none", "builtin"])
def test_rules_of_an_unknown_release_are_refused(provider):
    with pytest.raises(InvalidConfigError, match=r"'2\.2\.1'"):
        load_tier(provider, rules="2.2")


def test_lemmas_are_the_same_by_all_rules():
    lemmas = {load_tier("builtin", rules=release).lemmatize(SENTENCE) for release in PROFILES}
    assert lemmas == {"see fox near paris"}


def test_unknown_provider_is_refused_with_the_nearest_one():
    with pytest.raises(InvalidConfigError, match="Did you mean 'spacy'"):
        load_tier("spacey")
    assert TABLES.keys() == set(NLP_PROVIDERS)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"stopword": []}, "Did you mean 'stopwords'"),
        ({"model": "en"}, "key in nlp.config"),
        ({"language": "englisch"}, "Did you mean 'english'"),
        ({"stopwords": "the"}, "stopwords must be a list of words"),
        ({"stopwords": [1]}, "stopwords must be a list of words"),
    ],
)
def test_wrong_option_is_refused(config, said):
    with pytest.raises(InvalidConfigError, match=said):
        load_tier("builtin", config)


def test_model_must_be_a_name():
    with pytest.raises(InvalidConfigError, match="model must be the name"):
        load_tier("spacy", {"model": 1})
