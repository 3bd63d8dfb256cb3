"""The built-in lemmas: what is dropped, what is undone, and what is left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomem.text import lemma
from isomem.text.lemma import lemmatize, lower_words
from isomem.text.terms import TermEncoder
from tests.unit.text.growth import check_linear

ENCODER = TermEncoder()


def table(text: str) -> list[tuple[str, str]]:
    """Pairs of a form and its lemma, from "form lemma, form lemma"."""
    return [(pair.split()[0], pair.split()[1]) for pair in text.split(",")]


@pytest.mark.parametrize(
    ("form", "expected"),
    table(
        "went go,took take,bought buy,children child,mice mouse,wolves wolf,media medium,"
        "overcame overcome,misunderstood misunderstand,rewrote rewrite,firemen fireman,"
        "better well,best good,worst bad"
    ),
)
def test_irregular_form_becomes_its_lemma(form, expected):
    assert lemmatize(form) == expected


@pytest.mark.parametrize(
    ("form", "expected"),
    table(
        "bigger big,easiest easy,nicer nice,older old,fastest fast,"
        # No comparatives.
        "number number,teacher teacher,interest interest,soldier soldier,later later"
    ),
)
def test_comparison_is_undone_only_where_there_is_one(form, expected):
    assert lemmatize(form) == expected


@pytest.mark.parametrize(
    ("form", "expected"),
    table(
        "visited visit,invited invite,stopped stop,added add,planned plan,baked bake,hoped hop,"
        "tried try,tied tie,agreed agree,danced dance,argued argue,changed change,handled handle,"
        "created create,treated treat,offered offer,persevered persevere,experienced experience,"
        "guided guide,breathed breathe,focused focus,"
        # No past forms.
        "need need,hundreds hundred,bed bed,naked naked"
    ),
)
def test_past_form_becomes_the_verb_as_it_is_spelt(form, expected):
    assert lemmatize(form) == expected


@pytest.mark.parametrize(
    ("form", "expected"),
    table(
        "cities city,movies movie,boxes box,churches church,headaches headache,heroes hero,"
        "shoes shoe,viruses virus,houses house,glasses glass,dogs dog,"
        # No plurals.
        "news news,series series,bus bus,tennis tennis,christmas christmas"
    ),
)
def test_plural_becomes_singular_only_where_there_is_one(form, expected):
    assert lemmatize(form) == expected


def test_form_in_ing_stands_beside_its_verb():
    assert lemmatize("they were hiking and swimming laps") == "hike hiking swimming lap"
    assert lemmatize("stopping") == "stop stopping"


def test_form_in_ing_after_a_determiner_or_a_degree_is_a_noun_or_an_adjective():
    assert lemmatize("her writing") == "writing"
    assert lemmatize("so inspiring") == "inspiring"
    assert lemmatize("sam's writing") == "sam writing"


def test_word_in_ing_that_is_no_verb_form_is_left():
    assert lemmatize("morning ring everything wedding") == "morning ring wedding"


def test_homograph_is_read_by_the_word_before_it():
    assert lemmatize("she left my left hand") == "leave left hand"
    assert lemmatize("our lives") == "life"
    assert lemmatize("jon lives here") == "jon live"


def test_function_words_and_contractions_are_dropped():
    assert lemmatize("I don't think it's what they've got, you'd say") == "think get"
    assert lemmatize("im dont thats") == ""


def test_contractions_give_the_word_that_they_hide():
    assert lemmatize("let's swim, I'm gonna need y'all") == "let swim go need"


def test_typographic_apostrophe_is_an_apostrophe():
    assert lemmatize("mom\u2019s don\u2019t") == lemmatize("mom's don't") == "mom"


def test_punctuation_around_a_word_is_no_part_of_it():
    assert lemmatize("\u201cfoxes\u201d (dogs), *cats*! birds... [cows]: \u2018owls\u2019.") == (
        "fox dog cat bird cow owl"
    )


def test_compound_gives_its_parts():
    assert lemmatize("self-care x-ray his/her wait...what tea,coffee") == (
        "self care x ray wait tea coffee"
    )


def test_numbers_are_kept_whole_or_not_at_all():
    assert lemmatize("2023 7pm 500g 100% $20 #1") == "2023 7 pm 500 g 100 20 1"
    assert lemmatize("1,000 3.5 24/7 covid-19 7:30pm") == ""


def test_links_addresses_and_emoticons_are_dropped():
    assert lemmatize("https://a.bc/d www.a.bc a.com/b me@a.bc @me :p <3 \U0001f600") == ""


def test_emoji_beside_a_word_does_not_hide_it():
    assert lemmatize("party\U0001f389\U0001f389 \u2764\ufe0flove") == "party love"


@pytest.mark.parametrize("word", ["caf\u00e9s", "\u0436\u0438\u043b\u0438", "\u732b", "na\u00efve"])
def test_word_of_another_script_is_left_alone(word):
    assert lemmatize(word) == word


def test_other_scripts_are_lower_cased_and_lose_only_punctuation():
    assert lemmatize("\u00c9T\u00c9, \u041c\u041e\u0421\u041a\u0412\u0410!") == (
        "\u00e9t\u00e9 \u043c\u043e\u0441\u043a\u0432\u0430"
    )
    assert lemmatize("l'\u00e9t\u00e9") == "\u00e9t\u00e9"


def test_marks_that_belong_to_a_script_do_not_cost_its_words():
    hindi = "\u0939\u093f\u0928\u094d\u0926\u0940"
    assert set(ENCODER.encode(hindi)) == set(ENCODER.encode(lemmatize(hindi)))


def test_another_language_keeps_its_words():
    assert lower_words("Die Katze  war\tim Haus") == "die katze war im haus"


def test_whitespace_of_any_kind_separates():
    assert lemmatize("fox\ndog\u00a0cat\u3000owl") == "fox dog cat owl"


def remembered() -> int:
    """How many chunks are remembered."""
    return len(lemma._known) + len(lemma._by_use)


def test_memory_of_words_is_bounded():
    lemma._known.clear()
    lemma._by_use.clear()
    lemmatize(" ".join(f"w{i} w{i}ing" for i in range(2048)))
    assert remembered() == 4096
    lemmatize("fox den")
    assert remembered() == 2


def test_what_is_hardly_a_word_or_seen_once_is_not_remembered():
    lemma._known.clear()
    lemma._by_use.clear()
    lemmatize(f"{'z' * 81} 20260131")
    assert remembered() == 0
    lemmatize("z" * 80)
    assert remembered() == 1


def test_run_without_a_space_is_left_alone_when_it_is_long():
    assert lemmatize(f"{'z' * 78}'s") == "z" * 78
    assert lemmatize(f"{'z' * 79}'s") == ""


@pytest.mark.parametrize(
    "piece",
    ["a", "!", ".", "'s", "a,", "a-", "-", "1", "a.", "a.b", "\u2019", "\U0001f600", "_", "wor "],
)
@pytest.mark.slow
def test_a_megabyte_of_anything_takes_linear_time(piece):
    check_linear(lemmatize, lambda length: piece * (length // len(piece)))


@given(st.text())
def test_any_text_has_lemmas_in_lower_case(text):
    lemmas = lemmatize(text)
    assert lemmas == lemmas.lower()
    assert lemmas == " ".join(lemmas.split())


@given(st.text())
def test_ascii_lemmas_are_letters_and_digits(text):
    assert all(word.isalnum() for word in lemmatize(text).split() if word.isascii())


@given(st.text())
def test_text_is_read_the_same_when_its_words_were_seen(text):
    lemma._known.clear()
    lemma._by_use.clear()
    unseen = lemmatize(text)
    lemmatize(f"the {text} {text[::-1]}")
    assert lemmatize(text) == unseen


@given(st.text())
def test_case_is_of_no_account(text):
    assert lemmatize(text.lower()) == lemmatize(text)


@given(st.lists(st.sampled_from("fox dog tree river music garden".split())))
def test_plain_nouns_come_back_as_they_are(nouns):
    assert lemmatize(" ".join(nouns)).split() == nouns


@given(st.text(alphabet=st.characters(categories=("Lo",)), min_size=1))
def test_letters_without_case_are_all_kept(text):
    assert lemmatize(text).replace(" ", "") == text
