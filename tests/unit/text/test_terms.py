"""The keyword encoder: what fastembed's Qdrant/bm25 makes of a text, without fastembed."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomem.errors import InvalidConfigError
from isomem.text import terms
from isomem.text.stopwords import ENGLISH
from isomem.text.terms import CACHED_BLANKS, CACHED_CHUNKS, LANGUAGES, TOKEN_LIMIT, TermEncoder

ENCODER = TermEncoder()
FOX, DOG = ENCODER.numbers("fox dog")


def test_words_are_lower_cased_and_stemmed_and_each_term_has_one_number():
    assert ENCODER.stems("Running RUNS, run! Quick foxes") == [*["run"] * 3, "quick", "fox"]
    assert len(ENCODER.encode("Running RUNS, run! Quick foxes")) == 3


def test_weight_is_the_term_frequency_part_of_bm25():
    weights = ENCODER.encode("fox fox dog")
    norm = 1.2 * (1 - 0.75 + 0.75 * 3 / 256.0)
    assert weights == {FOX: 2 * 2.2 / (2 + norm), DOG: 1 * 2.2 / (1 + norm)}


def test_a_longer_text_gives_each_term_less():
    assert ENCODER.encode("fox")[FOX] > ENCODER.encode("fox and seven brown dogs")[FOX]


def test_stop_words_count_for_nothing_not_even_length():
    assert ENCODER.encode("the fox and a dog") == ENCODER.encode("fox dog")


def test_apostrophe_leaves_pieces_that_are_stop_words():
    assert ENCODER.encode("it's what they don't") == {}


def test_underscore_joins_words_and_is_none_alone():
    assert ENCODER.stems("snake_case _ __") == ["snake_cas", "__"]


def test_token_at_the_limit_is_kept_and_one_longer_is_dropped():
    kept, dropped = "q" * TOKEN_LIMIT, "q" * (TOKEN_LIMIT + 1)
    assert ENCODER.stems(f"{kept} {dropped}") == [kept]


def test_final_sigma_is_decided_by_spaces_not_by_punctuation():
    assert ENCODER.stems("\u0391\u03a3'\u0391") == ["\u03b1\u03c2", "\u03b1"]


def test_capital_that_lowers_to_two_characters_is_split():
    assert "stanbul" in ENCODER.stems("İstanbul")


def test_lone_surrogate_and_nul_separate_words():
    assert ENCODER.stems("fox\ud800dog\x00cat") == ["fox", "dog", "cat"]


def test_own_stop_words_replace_the_list_and_match_any_case():
    assert TermEncoder(stopwords=["FOX"]).stems("The fox") == ["the"]
    assert TermEncoder(stopwords=[]).stems("the fox") == ["the", "fox"]


def test_english_has_the_179_words_and_other_languages_none():
    assert len(ENGLISH) == 179
    digest = hashlib.sha256(" ".join(sorted(ENGLISH)).encode()).hexdigest()
    assert digest == "0c98fde29ffc5a2e6d736e91f1af1d22191952a34501cf24a1e44de651946861"
    assert TermEncoder("german").stopwords == frozenset()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_a_stemmer(language):
    assert TermEncoder(language).encode("informationen") != {}


def test_languages_stem_differently():
    assert TermEncoder("german").stems("Häuser") == ["haus"]


def test_unknown_language_is_refused_with_the_nearest_one():
    with pytest.raises(InvalidConfigError, match="Did you mean 'english'"):
        TermEncoder("englisch")


def test_stemmer_is_not_imported_before_the_first_term():
    code = (
        "import sys; from isomem.text.terms import TermEncoder; e = TermEncoder();"
        "assert 'py_rust_stemmers' not in sys.modules; e.encode('fox');"
        "assert 'py_rust_stemmers' in sys.modules"
    )
    path = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | path)


def test_memory_of_stems_is_bounded_and_forgetting_changes_nothing():
    encoder = TermEncoder()
    before = encoder.encode("running foxes")
    encoder.encode(" ".join(f"w{i}" for i in range(CACHED_CHUNKS + 10)))
    assert len(encoder._numbers) <= CACHED_CHUNKS
    assert len(terms._blanks) <= CACHED_BLANKS
    assert encoder.encode("running foxes") == before


@given(st.text())
def test_any_text_can_be_encoded(text):
    weights = ENCODER.encode(text)
    assert all(0 <= term <= 2**31 and 0 < weight < 2.2 for term, weight in weights.items())


@given(st.text(), st.text())
def test_order_of_texts_does_not_matter(one, other):
    assert ENCODER.encode(f"{one} {other}") == ENCODER.encode(f"{other} {one}")


@given(st.text())
def test_terms_are_word_characters_in_lower_case(text):
    for term in ENCODER.stems(text):
        assert terms.tokenize(term) == [term]
