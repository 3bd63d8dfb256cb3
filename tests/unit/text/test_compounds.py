"""The built-in noun compounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomem.text.compounds import extract_entities
from isomem.text.tiers import load_tier
from tests.unit.text.growth import check_linear


def found(text: str) -> list[str]:
    """The compounds in a text."""
    return [name for kind, name in extract_entities(text) if kind == "COMPOUND"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("they run a tennis club in town", ["tennis club"]),
        ("after the road trip", ["road trip"]),
        ("an online chess course", ["online chess course"]),
        ("with her younger brother and the kitchen sink", ["younger brother", "kitchen sink"]),
    ],
)
def test_words_between_words_of_grammar_are_a_compound(text, expected):
    assert found(text) == expected


def test_one_word_is_no_compound():
    assert found("the studio has a window") == []


def test_compound_is_in_the_singular():
    assert found("we saw the botanical gardens") == ["botanical garden"]
    assert found("we joined the chess club for women") == ["chess club"]


def test_adjective_that_says_little_is_left_out():
    assert found("a great new tennis club") == ["tennis club"]
    assert found("a great studio") == []


def test_general_last_word_of_three_is_left_out():
    assert found("the trade fair details") == ["trade fair"]
    assert found("the fair details") == ["fair detail"]


def test_verb_after_a_subject_is_no_part():
    assert found("they paint garden fences") == ["garden fence"]
    assert found("Ann loves garden fences") == ["garden fence"]
    assert found("to paint garden fences") == ["garden fence"]


def test_past_form_ends_a_phrase_and_begins_one():
    assert found("the tennis club opened last week") == ["tennis club"]
    assert found("a stolen garden fence") == ["stolen garden fence"]


def test_gerund_is_a_verb_except_after_a_determiner():
    assert found("tired of repairing garden fences") == ["garden fence"]
    assert found("the missing lessons") == ["missing lesson"]
    assert found("his friends painting fences") == []


def test_what_follows_a_plural_is_its_verb():
    assert found("the garden fences look grey") == ["garden fence"]


def test_adjective_behind_its_noun_is_no_part():
    assert found("she found the garden peaceful") == []
    assert found("in a peaceful garden") == ["peaceful garden"]


def test_adjectives_with_a_conjunction_are_one_phrase():
    assert found("into a quiet and colourful garden") == ["quiet colourful garden"]
    assert found("into a bright, peaceful garden") == ["bright peaceful garden"]
    assert found("into a quiet and new colourful garden") == ["quiet colourful garden"]


def test_conjunction_between_nouns_ends_a_phrase():
    assert found("the garden fence and the mill pond") == ["garden fence", "mill pond"]


def test_hyphen_makes_one_word_of_two():
    assert found("with a child-friendly garden fence") == ["child friendly garden fence"]
    assert found("a hand-painted fence") == ["hand painted fence"]
    assert found("the like-minded gardeners") == ["like minded gardener"]
    assert found("a two-hour lesson") == ["hour lesson"]
    assert found("their non-stick pan") == ["non - stick pan"]


def test_plural_before_a_determiner_is_a_verb():
    assert found("the garden fence needs a gate") == ["garden fence"]
    assert found("all the garden fences") == ["garden fence"]


def test_plural_before_a_particle_is_a_verb():
    assert found("when the garden path winds up") == ["garden path"]


def test_gerund_behind_a_noun_is_a_noun_before_a_pause():
    assert found("she is good at bird watching.") == ["bird watching"]
    assert found("she saw a bird watching her") == []


def test_gerund_that_has_no_object_is_a_modifier():
    assert found("along the hiking trails") == ["hiking trail"]
    assert found("of hiking trails") == ["hiking trail"]


def test_that_before_a_noun_is_a_determiner():
    assert found("after that garden party") == ["garden party"]
    assert found("a man that paints fences") == []


def test_verb_of_what_is_owned_is_found():
    assert found("Ann's brother painted wooden fences") == ["wooden fence"]


def test_owned_name_counts():
    assert found("Ann's Harvard course") == ["Harvard course"]


def test_capitals_inside_a_phrase():
    assert found("at a famous old Dickens play") == ["famous Dickens play"]
    assert found("in a crime TV series") == ["crime TV series"]
    assert found("when she met Ann") == []


def test_ordinal_is_part_of_a_phrase():
    assert found("in the 4th lesson") == ["4th lesson"]


def test_verb_behind_a_name_that_may_be_a_noun_is_taken_for_one():
    assert found("Ann volunteers at a zoo") == ["Ann volunteer"]
    assert found("Ann Lee volunteers and cooks") == ["Ann Lee volunteer"]
    assert found("Ann works at a zoo") == []


def test_verb_behind_a_name_is_none_with_an_object():
    assert found("Ann volunteers her time") == []
    assert found("Ann volunteers it") == []


def test_verb_that_is_seldom_a_noun_is_none_before_a_clause():
    assert found("Ann dances in a hall") == ["Ann dance"]
    assert found("Ann dances to forget") == []


def test_what_somebody_owns_is_none():
    assert found("Ann's garden fence is grey") == []
    assert found("it's a garden fence") == ["garden fence"]


def test_question_has_its_verb_behind_the_subject():
    assert found("What did the tennis club offer?") == ["tennis club"]
    assert found("Which garden fence did Ann paint?") == ["garden fence"]


def test_name_without_determiner_is_a_subject():
    assert found("so that Ann and Bob paint") == []
    assert found("about the Christmas tree") == ["Christmas tree"]


def test_names_alone_are_no_compound():
    assert extract_entities("near the Grand Canyon") == [("PROPER", "Grand Canyon")]


def test_name_inside_a_compound_is_part_of_it():
    assert extract_entities("on a New York trip") == [("COMPOUND", "New York trip")]


def test_other_kinds_come_first():
    assert extract_entities('with Ann in the tennis club "Old Mill"') == [
        ("PROPER", "Ann"),
        ("PROPER", "Old Mill"),
        ("COMPOUND", "tennis club"),
    ]


@pytest.mark.parametrize(
    ("language", "text", "name"),
    [
        ("german", "sie sahen die alte windmühle bei Nürnberg, a tennis club", "Nürnberg"),
        ("french", "elle a vu un beau jardin avec Élodie, a tennis club", "Élodie"),
        ("russian", "она видела старый сад у Анны, a tennis club", "Анны"),
    ],
)
def test_other_languages_have_names_and_no_compounds(language, text, name):
    assert load_tier("builtin", {"language": language}).entities(text) == [("PROPER", name)]
    assert load_tier("builtin").entities("a tennis club") == [("COMPOUND", "tennis club")]


@pytest.mark.parametrize("piece", ["a ", "the old ", "Ann mill ", "mill's ", "- ", "x-", "dogs "])
@pytest.mark.slow
def test_a_megabyte_of_anything_takes_linear_time(piece):
    check_linear(extract_entities, lambda length: piece * (length // len(piece)))


@pytest.mark.parametrize("piece", ["calm, ", "calm and ", "calm new ", "non-calm, "])
@pytest.mark.slow
def test_a_megabyte_of_adjectives_in_one_list_takes_linear_time(piece):
    check_linear(extract_entities, lambda length: "the " + piece * (length // len(piece)))


@pytest.mark.slow
def test_a_megabyte_of_names_and_nouns_in_one_phrase_takes_linear_time():
    check_linear(extract_entities, lambda n: "of " + "Ann " * (n // 8) + "mill " * (n // 10))


@pytest.mark.parametrize("piece", ["Ann volunteers. ", "Ann Serious ", "Ann-", "must-see "])
@pytest.mark.slow
def test_a_megabyte_of_what_is_looked_back_from_takes_linear_time(piece):
    check_linear(extract_entities, lambda length: piece * (length // len(piece)))


TEXTS = st.text() | st.lists(
    st.sampled_from(
        "the a Ann mill mills loves painting painted 's did old great . \u2019s - , and part that "
        "volunteers What 4th is up".split()
    )
).map(" ".join)


@given(TEXTS)
def test_compounds_of_any_text_have_two_words_of_it(text):
    for compound in found(text):
        assert " " in compound
        assert all(word.lower() in text.lower() for word in compound.split(" "))
