"""The built-in entities: proper names and quotations, and their clean-up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomem.contract.limits import LONGEST_ENTITY
from isomem.text.entities import cleaned, extract_entities
from tests.unit.text.growth import check_linear


def names(text: str) -> list[str]:
    """The proper names found in a text."""
    return [name for kind, name in extract_entities(text) if kind == "PROPER"]


def quotations(text: str) -> list[str]:
    """The quotations found in a text."""
    return [quoted for kind, quoted in extract_entities(text) if kind == "QUOTED"]


def test_capitalised_word_inside_a_sentence_is_a_name():
    assert names("I met Melanie in Paris") == ["Melanie in Paris"]
    assert names("I met Melanie near Paris") == ["Melanie", "Paris"]


def test_capitalised_words_in_a_row_are_one_name():
    assert names("we flew to New York City") == ["New York City"]


def test_connectors_join_and_do_not_end_a_name():
    assert names("he read The Lord of the Rings and slept") == ["Lord of the Rings"]
    assert names("this is Jon's dog") == ["Jon"]


def test_capital_at_the_start_of_a_sentence_alone_is_no_name():
    assert names("Dogs bark. Cats sleep! Birds sing? Yes: Fish swim") == []


def test_name_at_the_start_of_a_sentence_counts_with_a_capital_after_it():
    assert names("Harry Potter is a book") == ["Harry Potter"]


@pytest.mark.parametrize("opener", ["Hey", "What did", "The", "When is", "Lately", "Sorry"])
def test_what_sentences_open_with_is_no_part_of_a_name(opener):
    assert names(f"{opener} Melanie") == ["Melanie"]


def test_adjective_that_opens_a_sentence_is_part_of_a_name():
    assert names("Last Friday we swam") == ["Last Friday"]


def test_line_break_and_list_marker_start_a_sentence():
    assert names("we saw\nDogs and - Cats and * Owls") == []


def test_two_spaces_end_a_name():
    assert names("we saw New  York") == ["New", "York"]


def test_label_is_no_name():
    assert names("then Note: it rained on Melanie") == ["Melanie"]


def test_punctuation_ends_a_name_and_abbreviations_do_not():
    assert names("with Ann, Bob") == ["Ann", "Bob"]
    assert names("with Dr. Smith and J.K. Rowling") == ["Dr. Smith and J.K. Rowling"]
    assert names("at work with Ann. Dogs bark") == ["Ann"]


def test_contraction_is_no_part_of_a_name():
    assert names("so Ann'll come") == ["Ann"]


def test_pronoun_i_is_no_name():
    assert names("then I left and I'm glad") == []


def test_two_letters_are_too_short_for_a_name():
    assert names("we watched TV") == []


def test_names_in_other_scripts_are_found():
    assert names("он встретил Анну Каренину") == ["Анну Каренину"]
    assert names("wir sahen Österreich") == ["Österreich"]


def test_double_quotes_quote_anything():
    assert quotations('she read "a book of hers" and "ab"') == ["a book of hers"]


def test_single_quotes_quote_and_apostrophes_do_not():
    assert quotations("the word 'serendipity', it's Jon's, and dogs' bones") == ["serendipity"]
    assert quotations("('a b c'); 'd e f'") == ["a b c", "d e f"]


def test_unclosed_quote_is_none():
    assert quotations('he said "well') == []


def test_name_in_quotes_is_found_once_as_a_name():
    assert extract_entities('she read "Charlotte Web"') == [("PROPER", "Charlotte Web")]


def test_entity_inside_a_longer_one_is_dropped():
    assert names("from York, from New York") == ["New York"]


def test_same_entity_in_another_case_is_kept_once_as_first_written():
    assert names("from Paris, from PARIS") == ["Paris"]


def test_formatting_is_taken_off_and_what_stays_formatted_is_dropped():
    assert cleaned([("QUOTED", "** bold words **"), ("QUOTED", "1. first thing:")]) == [
        ("QUOTED", "bold words"),
        ("QUOTED", "first thing"),
    ]
    formatted = ["a ** b", "a __ b", "a :* b", "a  b", "a\nb", "a\tb", "- abc", "a * b", "x" * 101]
    assert cleaned([("QUOTED", text) for text in formatted]) == []


def test_heading_is_no_name_but_can_be_quoted():
    assert names("and Overview") == []
    assert quotations('and "overview"') == ["overview"]


def test_proper_outranks_other_kinds_of_the_same_text():
    found = [("NOUN", "fox den:"), ("QUOTED", "Fox den"), ("PROPER", "Fox Den::")]
    assert cleaned(found) == [("PROPER", "Fox Den")]


def test_many_entities_are_compared_as_few_are():
    few = [("QUOTED", f"q{i}z") for i in range(60)] + [("QUOTED", "long q7z long")]
    many = few + [("QUOTED", f"r{i}z") for i in range(60)]
    assert ("QUOTED", "q7z") not in cleaned(few)
    assert cleaned(many) == cleaned(few) + cleaned(many[len(few) :])


@pytest.mark.parametrize(
    "piece",
    ["A", "Ab ", "Of the ", "'a ", '"a ', " 'a", '"', "'", "*", "X: ", "A.b ", "1.", " \t", "A\n",
     "A\u2019s", "** a "],
)  # fmt: skip
@pytest.mark.slow
def test_a_megabyte_of_anything_takes_linear_time(piece):
    check_linear(extract_entities, lambda length: piece * (length // len(piece)))


@pytest.mark.slow
def test_a_megabyte_of_quotations_takes_linear_time():
    check_linear(extract_entities, lambda length: "".join(f'"q{i}z" ' for i in range(length // 10)))
    check_linear(
        extract_entities,
        lambda length: '"' + " " * (length // 2) + 'a" "' + "*" * (length // 2) + 'b"',
    )


TEXTS = st.text() | st.text(alphabet="aAbBof IT'\".,:*-\n\u2019")


@given(TEXTS)
def test_entities_of_any_text_stand_in_it(text):
    for kind, entity in extract_entities(text):
        assert kind in {"PROPER", "QUOTED"}
        assert entity in text
        assert 3 <= len(entity) <= LONGEST_ENTITY


@given(TEXTS)
def test_no_entity_is_part_of_another(text):
    keys = [entity.lower() for _, entity in extract_entities(text)]
    assert len(set(keys)) == len(keys)
    assert not any(key != other and key in other for key in keys for other in keys)


@given(TEXTS)
def test_text_without_capitals_and_quotes_has_none(text):
    plain = text.lower().replace('"', "").replace("'", "")
    if not any(char.isupper() for char in plain):
        assert extract_entities(plain) == []
