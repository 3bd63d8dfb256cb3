"""Entities and lemmas: without spaCy, and with one model that both implementations load."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomem_parity import tiers
from tests.claims.sides import both, examples

Entities = list[tuple[str, str]]


class Ours:
    """isomem's tier of that name."""

    def __init__(self, tier: str) -> None:
        from isomem.text.tiers import load_tier

        settings = tiers.NLP[tier]
        nlp = load_tier(settings["provider"], settings.get("config"))
        self.lemmas, self.entities = nlp.lemmatize, nlp.entities
        self.batch = nlp.entities_batch


class Theirs:
    """mem0 in a process that has what the tier needs, and nothing else."""

    def __init__(self, tier: str) -> None:
        from mem0.utils import entity_extraction, lemmatization

        tiers.enter(tier)
        self.lemmas = lemmatization.lemmatize_for_bm25
        self.entities = entity_extraction.extract_entities
        self.batch = entity_extraction.extract_entities_batch


_models: dict[str, Any] = {}


def ours_with_spacy() -> Any:
    _skip_without_spacy()
    if "ours" not in _models:  # loading the model takes a second
        _models["ours"] = Ours("C")
    return _models["ours"]


def theirs_with_spacy() -> Any:
    _skip_without_spacy()
    return Theirs("C")


def _skip_without_spacy() -> None:
    lacking = tiers.missing("C")
    if lacking:
        pytest.skip(f"not installed: {', '.join(lacking)}")


plain = both(lambda: Ours("A"), lambda: Theirs("A"))
side = both(ours_with_spacy, theirs_with_spacy, marks=pytest.mark.oracle)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


# --- Without spaCy ---------------------------------------------------------------------------


@examples(60)
@given(TEXTS)
def test_without_spacy_a_text_is_its_own_lemmas_and_names_nothing(plain: Any, text: str) -> None:
    assert plain.lemmas(text) == text
    assert plain.entities(text) == []
    assert plain.batch([text, text]) == [[], []]


def test_no_texts_have_no_entities(plain: Any) -> None:
    assert plain.batch([]) == []


# --- Lemmas ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "lemmas"),
    [
        ("", ""),
        ("She bought two wooden boxes, and they break.", "buy wooden box break"),
        ("OLDER houses; the oldest HOUSE?", "old house old house"),
        ("this is what they were", ""),
        ("Meeting the neighbours, attending concerts!",
         "meet meeting neighbour attend attending concert"),
        ("Re-reading e-mails at 7pm", "read reading e mail 7 pm"),
        ("It's 2024 and C++ isn't x-ray", "2024 x ray"),
    ],
)  # fmt: skip
def test_lemmas_are_of_the_words_that_say_something(side: Any, text: str, lemmas: str) -> None:
    assert side.lemmas(text) == lemmas


@examples(40)
@given(TEXTS)
def test_lemmas_are_letters_and_digits_and_case_is_of_no_account(side: Any, text: str) -> None:
    lemmas = side.lemmas(text)
    assert all(map(str.isalnum, lemmas.split()))
    assert side.lemmas(text.lower()) == lemmas


# --- Entities --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "entities"),
    [
        ("", []),
        ("nothing much here", []),
        # Names: in the middle of a sentence, with what stands between their words.
        ("They drove from Porto to see Mateus.", [("PROPER", "Porto"), ("PROPER", "Mateus")]),
        ("We met in the Museum of Modern Art.", [("PROPER", "Museum of Modern Art")]),
        ("Yesterday Clara Lindqvist flew off.", [("PROPER", "Yesterday Clara Lindqvist")]),
        # A name in two spellings is one, as it was written first; a part of one is none.
        ("We love Porto, and Porto loves PORTO.", [("PROPER", "Porto")]),
        # Formatting is no part of a name.
        ("- **Garden Club** meets at **Elm House**",
         [("PROPER", "Garden Club"), ("PROPER", "Elm House")]),
        # Quotations, from three letters on.
        ('They reread "A Room with a View" twice.', [("QUOTED", "A Room with a View")]),
        ('She said "ok" and "no".', []),
        ("My brother's car wasn't cheap.", []),
        # Name before quotation.
        ("The band is called 'Blue Herons' now.", [("PROPER", "Blue Herons")]),
        # Noun phrases that say what, in the singular.
        ("She repairs violin strings and bought a ceramic teapot.",
         [("COMPOUND", "violin string"), ("COMPOUND", "ceramic teapot")]),
        ("He follows a marathon training plan.", [("COMPOUND", "marathon training plan")]),
        # Who or which one does not make it specific, and neither does a vague adjective.
        ("The solo trip was a great thing.", [("NOUN", "trip")]),
        ("He joined a team event last week.", [("NOUN", "event")]),
        ("I had a good time and a nice day.", []),
    ],
)  # fmt: skip
def test_these_are_the_entities_of_a_text(side: Any, text: str, entities: Entities) -> None:
    assert side.entities(text) == entities


WORDS = st.sampled_from(
    'Porto Clara the of and in a, met "Blue heron" violin strings solo trip. It\'s ** - \n: great'
    " 'Elm House' walking dogs".split(" ")
)
SENTENCES = st.lists(WORDS, max_size=14).map(" ".join)


@examples(60)
@given(SENTENCES)
def test_no_entity_is_short_doubled_part_of_another_or_formatted(side: Any, text: str) -> None:
    found = side.entities(text)
    lowered = [entity.lower() for _, entity in found]
    assert len(set(lowered)) == len(lowered)
    for kind, entity in found:
        assert kind in {"PROPER", "QUOTED", "COMPOUND", "NOUN"}
        assert 2 < len(entity) <= 100
        assert not any(mark in entity for mark in ("**", "__", "\n", "\t", "  "))
        assert not any(entity.lower() in other for other in lowered if other != entity.lower())


@examples(25)
@given(st.lists(SENTENCES, max_size=4))
def test_a_batch_is_each_text_by_itself(side: Any, texts: list[str]) -> None:
    assert side.batch(texts) == [side.entities(text) for text in texts]
