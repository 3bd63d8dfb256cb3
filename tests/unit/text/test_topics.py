"""The built-in entities by the rules of 2.2.1: names, identifiers, quotations, topics."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomem.contract.limits import LONGEST_ENTITY
from isomem.text import forms
from isomem.text.compounds import phrases, tokenize
from isomem.text.spans import extract_entities as extract_anywhere
from isomem.text.tiers import load_tier
from isomem.text.topics import extract_entities, placed
from tests.unit.text.corpus import texts
from tests.unit.text.growth import check_linear


def names(text: str) -> list[str]:
    """The names in a text."""
    return [name for kind, name in extract_entities(text) if kind == "PROPER"]


def topics(text: str) -> list[str]:
    """The topics of a text."""
    return [name for kind, name in extract_entities(text) if kind == "TOPIC"]


# --- Names -----------------------------------------------------------------------------------


def test_name_may_open_a_sentence():
    assert names("Melanie paints. Emily and James sleep!") == ["Melanie", "Emily", "James"]


@pytest.mark.parametrize(
    "opener",
    "The Water Great Playing Started Quickly Dogs Thanks Wow Family Nice Hope Check".split(),
)
def test_word_that_sentences_open_with_is_no_name(opener):
    assert names(f"{opener} is here") == []


def test_word_with_a_capital_inside_a_sentence_is_a_name():
    assert names("we saw Foxes near Paris") == ["Foxes", "Paris"]


@pytest.mark.parametrize("word", ["USB", "iPhone", "X9", "McDonald"])
def test_form_that_no_other_word_has_makes_a_name(word):
    expected = [] if word[0].islower() or len(word) < 3 else [word]
    assert names(f"{word} is here") == expected


@pytest.mark.parametrize("word", ["User", "Assistant", "Session", "Tips", "Overview"])
def test_role_and_heading_are_no_names(word):
    assert names(f"they saw {word} there") == []


def test_adjective_of_a_nation_is_a_name_but_before_a_noun():
    assert names("she cooks Italian food") == []
    assert names("she speaks Italian") == ["Italian"]
    assert names("she saw the Italian Alps there") == ["the Italian Alps"]


def test_exclamation_is_taken_for_a_name_before_a_comma():
    assert names("Awesome, Gina") == ["Awesome", "Gina"]
    assert names("Awesome idea") == []


def test_two_names_beside_each_other_are_two():
    assert names("they met Ann in Paris") == ["Ann", "Paris"]
    assert names("they saw the Museum of Art") == ["the Museum of Art"]


def test_date_beside_a_name_is_lost_and_one_alone_is_a_name():
    assert names("they met Ann in April") == ["Ann"]
    assert names("they met in April") == ["April"]


def test_title_is_no_part_of_a_name_and_the_article_of_a_place_is():
    assert names("with Dr. Smith") == ["Smith"]
    assert names("in the Smoky Mountains") == ["the Smoky Mountains"]
    assert names("with the Grand Hotel guests") == ["Grand Hotel"]


def test_item_with_a_count_is_a_name_in_a_list():
    assert names("We have: Water 12 and milk") == ["Water"]
    assert names("Water 12, milk") == ["Water"]
    assert names("Water 12 and milk") == names("We have: Water and milk") == []


# --- The other kinds -------------------------------------------------------------------------


def test_identifier_is_found():
    assert extract_entities("call os.path or numpy.linalg.norm.") == [
        ("IDENTIFIER", "os.path"),
        ("IDENTIFIER", "numpy.linalg.norm"),
    ]


def test_topic_is_spelt_as_in_the_text_and_stands_over_a_name():
    assert extract_entities("She saw two Canon cameras") == [
        ("PROPER", "Canon"),
        ("TOPIC", "Canon cameras"),
    ]


def test_head_alone_is_the_topic_of_what_a_group_does():
    assert topics("they took a team trip") == ["trip"]
    assert topics("the team slept") == []


def test_quotations_come_last():
    assert extract_entities('"the old mill" is what Ann saw') == [
        ("PROPER", "Ann"),
        ("QUOTED", "the old mill"),
    ]


def test_place_of_a_phrase_is_where_its_words_are_closest():
    tokens = tokenize("the park is near the park bench by the park gate")
    found = [(start, end, " ".join(words)) for start, end, words in placed(phrases(tokens), tokens)]
    assert found == [(5, 7, "park bench"), (9, 11, "park gate")]


# --- Other languages -------------------------------------------------------------------------


def test_other_languages_have_names_inside_sentences_and_no_topics():
    tier = load_tier("builtin", {"language": "german"}, "2.2.1")
    assert tier.entities("sie sahen Wien mit os.path, a tennis club") == [
        ("PROPER", "Wien"),
        ("IDENTIFIER", "os.path"),
    ]
    assert tier.entities("Anna kam. Anna Karenina auch") == [("PROPER", "Anna Karenina")]
    assert load_tier("builtin", rules="2.2.1").entities("a tennis club") == [
        ("TOPIC", "tennis club")
    ]


# --- Any text --------------------------------------------------------------------------------

PIECES = (
    "the a Ann mill mills loves painting painted 's did old great . \u2019s - , and part that "
    "volunteers What 4th is up : ; 12 1,200 os.path \" ' * ** team trip Italian Dr. in of the "
    "Paris like-minded pre-season \n User"
).split(" ")
TEXTS = st.text() | st.lists(st.sampled_from(PIECES)).map(" ".join)


def check(text: str, kinds: set[str], found: list[tuple[str, str]]) -> None:
    """What holds of the entities of any text."""
    words = " ".join(text.split())
    assert len({name.lower() for _, name in found}) == len(found)
    for kind, name in found:
        assert kind in kinds
        assert 3 <= len(name) <= LONGEST_ENTITY
        if kind != "TOPIC":
            assert name in words
        assert all(word in text for word in name.split(" "))
    order = [kind == "QUOTED" for kind, _ in found]
    assert order == sorted(order)


def test_a_phrase_that_is_read_twice_has_a_place_each_time():
    tokens = tokenize("like-b B-b")
    assert phrases(tokens) == [["like", "b"], ["like", "b"]]
    assert [words for *_, words in placed(phrases(tokens), tokens)] == phrases(tokens)
    check("like-b B-b", {"PROPER", "IDENTIFIER", "QUOTED", "TOPIC"}, extract_entities("like-b B-b"))


@pytest.mark.slow
def test_phrases_that_are_read_twice_take_linear_time():
    check_linear(
        extract_entities,
        lambda length: " ".join(f"like-b{at} B-b{at}" for at in range(length // 20)),
    )


@given(TEXTS)
def test_entities_of_any_text_stand_in_it(text):
    check(text, {"PROPER", "IDENTIFIER", "QUOTED", "TOPIC"}, extract_entities(text))
    check(text, {"PROPER", "IDENTIFIER", "QUOTED"}, extract_anywhere(text))


def test_every_phrase_has_its_place_in_order():
    for text in texts():
        tokens = tokenize(text)
        read = phrases(tokens)
        found = list(placed(read, tokens))
        assert [[w.lower() for w in words] for *_, words in found] == [
            [word.lower() for word in phrase] for phrase in read
        ]
        assert all(end <= start for (_, end, _), (start, *_) in pairwise(found))


def test_forms_that_were_seen_are_limited_in_number_and_length():
    forms._known.clear()
    for number in range(forms.CACHED_WORDS + 10):
        forms.form_of(f"Ann{number}")
    forms.form_of("A" * 1000)
    assert 0 < len(forms._known) <= forms.CACHED_WORDS
    assert max(map(len, forms._known)) <= forms.LONGEST_WORD


@pytest.mark.parametrize(
    "piece",
    ["A", "Ann ", "Ann mill ", "the Ann Lee ", "Ann in ", "a.b ", "A.b", "'a ", '"Ann" ', "Tea 1, ",
     "team trip ", "park ", "the park bench ", "** Ann "],
)  # fmt: skip
@pytest.mark.slow
def test_a_megabyte_of_anything_takes_linear_time(piece):
    for read in (extract_entities, extract_anywhere):
        check_linear(read, lambda length: piece * (length // len(piece)))
