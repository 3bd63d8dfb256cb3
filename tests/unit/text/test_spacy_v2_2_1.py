"""The full tier by the rules of 2.2.1, on parses that are written out (`parses`)."""

from __future__ import annotations

import pytest

from isomem.text.candidates import PHRASE, SPAN, Candidates
from isomem.text.spacy_v2_2_1 import LABELS, entities_of
from tests.unit.text.parses import Doc

Entities = list[tuple[str, str]]


def found(parse: str) -> Entities:
    """The entities of a parse."""
    return entities_of(Doc(parse))


def names(parse: str) -> list[str]:
    """Its names."""
    return [text for kind, text in found(parse) if kind == "PROPER"]


# --- Names by their form ---------------------------------------------------------------------


def test_name_may_open_a_sentence():
    assert found("Ann/PROPN paints/VERB") == [("PROPER", "Ann")]


@pytest.mark.parametrize("word", ["Ran/VERB", "Great/ADJ", "Dogs/NOUN", "ann/PROPN", "The/PROPN"])
def test_capital_that_the_sentence_gives_a_word_makes_no_name(word):
    assert found(f"{word} slept/VERB") == []


def test_capital_noun_inside_a_sentence_is_a_name_unless_it_modifies_one():
    assert names("saw/VERB Foxes/NOUN") == ["Foxes"]
    assert names("saw/VERB Fox/NOUN/compound dens/NOUN") == []
    assert names("saw/VERB Great/ADJ") == []


@pytest.mark.parametrize("mark", "* - + \u2022 \u2013 \u2014 # ## ### ** __ . ! ? :".split())
def test_sentence_begins_after_every_mark_that_formats_one(mark):
    assert names(f"saw/VERB {mark}/PUNCT Foxes/NOUN there/ADV") == []
    assert names("saw/VERB x/PUNCT Foxes/NOUN there/ADV") == ["Foxes"]


@pytest.mark.parametrize("word", ["XKCD/X", "WiFi/X", "A4B/X"])
def test_digit_or_inner_capital_makes_a_name(word):
    assert names(f"{word} is/AUX") == [word.removesuffix("/X")]


def test_tag_of_a_name_counts_whatever_the_kind():
    doc = Doc("Ann/X paints/VERB")
    assert entities_of(doc) == []
    doc.tokens[0].tag_ = "NNPS"
    assert entities_of(doc) == [("PROPER", "Ann")]
    doc = Doc("Ann/PROPN paints/VERB")
    doc.tokens[0].tag_ = "JJ"
    assert entities_of(doc) == [("PROPER", "Ann")]


@pytest.mark.parametrize("word", ["User", "Assistant", "Session", "Top", "Overview", "Tips"])
def test_role_and_heading_are_no_names(word):
    assert names(f"saw/VERB {word}/PROPN") == []


def test_words_that_look_like_names_are_one_name_with_what_connects_them():
    assert names("Museum/PROPN of/ADP Art/PROPN") == ["Museum of Art"]
    assert names("Museum/PROPN of/ADP the/DET Art/PROPN") == ["Museum", "Art"]
    assert names("Ann/PROPN and/CCONJ Bob/PROPN") == ["Ann", "Bob"]
    assert names("Museum/PROPN of/ADP") == ["Museum"]


def test_name_is_spelt_as_in_the_text():
    assert names("A4/PROPN~ B5/PROPN~ C6/PROPN") == ["A4B5C6"]


# --- Names that the recogniser finds ---------------------------------------------------------


@pytest.mark.parametrize("label", sorted(LABELS))
def test_recognised_name_counts_with_what_is_in_it(label):
    assert names(f"< the/DET old/ADJ mill >{label} burned/VERB") == ["the old mill"]


@pytest.mark.parametrize("label", "DATE TIME CARDINAL ORDINAL QUANTITY MONEY PERCENT".split())
def test_date_count_and_amount_are_no_names(label):
    assert found(f"< the/DET old/ADJ mill >{label} burned/VERB") == []


def test_recognised_name_stands_before_its_form():
    assert names("Dr./PROPN < Ann/PROPN Lee/PROPN >PERSON spoke/VERB") == ["Ann Lee"]


def test_names_that_and_joins_are_not_one():
    parse = "< Ann/PROPN and/CCONJ Bob/PROPN >ORG paint/VERB"
    assert names(parse) == ["Ann", "Bob"]


@pytest.mark.parametrize("dep", ["compound", "amod"])
def test_recognised_modifier_of_a_noun_is_no_name(dep):
    assert found(f"saw/VERB < italian/ADJ/{dep} >NORP food/NOUN") == []
    assert names(f"saw/VERB < italian/ADJ/{dep} >NORP ran/VERB") == ["italian"]
    assert names("saw/VERB < italian/ADJ/dobj >NORP food/NOUN") == ["italian"]


@pytest.mark.parametrize("word", ["user", "tips", "we"])
def test_recognised_general_word_is_no_name(word):
    assert found(f"saw/VERB < {word}/X >ORG") == []


# --- Lists with counts -----------------------------------------------------------------------


def test_counts_of_a_list_are_no_part_of_its_names():
    parse = "< Pears/PROPN 12/NUM >ORG ,/PUNCT < Figs/PROPN 7/NUM >ORG"
    assert names(parse) == ["Pears", "Figs 7"]
    assert names("< Apollo/PROPN 11/NUM >PRODUCT flew/VERB") == ["Apollo 11"]
    assert names("< Pears/PROPN 1,200/NUM >ORG flew/VERB") == ["Pears"]


@pytest.mark.parametrize("before", [":", ",", ";"])
def test_item_with_a_count_is_a_name_in_a_list(before):
    assert names(f"had/VERB {before}/PUNCT Pears/ADJ 12/NUM") == ["Pears"]
    assert names("had/VERB Pears/ADJ 12/NUM") == []
    assert names("had/VERB Pears/ADJ 12/NUM ;/PUNCT") == ["Pears"]
    assert names("had/VERB Pears/ADJ 12th/NUM ;/PUNCT") == []
    assert names("had/VERB Pears/ADJ 12/X ;/PUNCT") == []


# --- Identifiers, quotations, topics ---------------------------------------------------------


@pytest.mark.parametrize("text", ["os.path", "_a.b-c.d9", "numpy.linalg.norm"])
def test_identifier_is_found(text):
    assert found(f"call/VERB {text}/X now/ADV") == [("IDENTIFIER", text)]


@pytest.mark.parametrize("text", ["os.", ".path", "3.5", "os..path", "os.5", "os"])
def test_other_dots_make_no_identifier(text):
    assert found(f"call/VERB {text}/X now/ADV") == []


def test_quotations_come_last():
    parse = '"~ the/DET end~ " said/VERB Ann/PROPN'
    assert found(parse) == [("PROPER", "Ann"), ("QUOTED", "the end")]


def test_topic_is_spelt_as_in_the_text():
    parse = "[ Road//compound trips///trip ]"
    assert found(parse) == [("TOPIC", "Road trips")]


def test_circumstance_leaves_the_head_as_it_is_spelt():
    assert found("[ team//compound events///event ]") == [("TOPIC", "events")]
    assert found("[ top//compound events///event ]") == [("TOPIC", "events")]
    assert found("[ team//compound Ai/PROPN ]") == []


def test_compound_on_a_noun_taken_for_a_verb_is_not_found():
    assert found("yoga//compound practise/VERB/dobj") == []


# --- Where candidates overlap ----------------------------------------------------------------


def test_phrase_stands_over_a_name_that_is_part_of_it():
    parse = "[ < Canon/PROPN/compound cameras >ORG ] [ Oxford/PROPN/compound maps///map ]"
    assert found(parse) == [
        ("PROPER", "Canon cameras"),
        ("PROPER", "Oxford"),
        ("TOPIC", "Oxford maps"),
    ]


def test_phrase_of_one_word_does_not():
    assert found("[ team//compound < Events/PROPN >ORG ]") == [("PROPER", "Events")]
    assert found("[ team//compound < Summer/PROPN Games/PROPN >EVENT ]") == [
        ("PROPER", "Summer Games")
    ]


def test_nothing_stands_over_an_identifier():
    assert found("Os.Path/PROPN Lee/PROPN") == [("IDENTIFIER", "Os.Path")]
    assert found("[ os.path//compound calls ]") == [("IDENTIFIER", "os.path")]
    assert found("[ call//compound os.path ]") == [("IDENTIFIER", "os.path")]


def test_longer_one_of_two_from_the_same_source_stays():
    candidates = Candidates()
    candidates.add(PHRASE, "old garden", 2, 4)
    candidates.add(PHRASE, "garden mill gate", 3, 6)
    candidates.add(PHRASE, "gate fence", 5, 7)
    assert candidates.entities() == [("TOPIC", "garden mill gate")]


def test_same_text_is_found_once_as_what_is_surest():
    parse = "saw/VERB [ Road//compound trips///trip ] ,/PUNCT < road trips >ORG"
    assert found(parse) == [("PROPER", "road trips")]
    assert found('read/VERB "~ Ann/PROPN~ "') == [("PROPER", "Ann")]


def test_entities_are_in_the_order_of_the_text():
    parse = "[ road//compound trips ] with/ADP Ann/PROPN to/ADP < Oxford/PROPN >GPE"
    assert [text for _, text in found(parse)] == ["road trips", "Ann", "Oxford"]


# --- Formatting ------------------------------------------------------------------------------


def test_formatting_is_no_part_of_an_entity():
    assert found("< *~ *~ Ann/PROPN Lee/PROPN~ *~ * >PERSON") == [("PROPER", "Ann Lee")]
    assert found("< 1~ . Ann/PROPN Lee/PROPN~ : >PERSON") == [("PROPER", "Ann Lee")]


def test_white_space_in_an_entity_is_single_spaces():
    candidates = Candidates()
    candidates.add(SPAN, "Ann  Lee\n\tFox ", 0, 5)
    candidates.add(SPAN, "ann lee fox", 6, 9)
    assert candidates.entities() == [("PROPER", "Ann Lee Fox")]


@pytest.mark.parametrize("parse", ["-~ Ann/X", "\u2022~ Ann/X", "an__n x/X", f"{'x' * 100} y/X"])
def test_broken_formatting_is_no_entity(parse):
    assert found(f"< {parse} >PERSON") == []


def test_too_short_is_no_entity():
    assert found("met/VERB Al/PROPN") == []
    assert found("met/VERB Ali/PROPN") == [("PROPER", "Ali")]
    assert found('said/VERB "~ no~ "') == []
    assert found("[ x/X/compound y/PROPN ]") == []
    assert found("[ xx/X/compound y/PROPN ]") == [("TOPIC", "xx y")]
