"""The full tier on parses that are written out here, so that no model is needed.

A parse is a line of tokens ``text/POS/dep/lemma``; parts left out are as in `Token`. A token
that no space follows ends in ``~``, and ``[`` and ``]`` enclose a noun phrase. A dependent's
head is the next token that is neither `compound` nor `amod`.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest

from isomem.errors import DependencyError
from isomem.text.tiers import load_tier

STOP_WORDS = {"the", "a", "we", "my", "of", "is"}


class Token:
    """What the tier asks of a spaCy token."""

    def __init__(self, spelling: str) -> None:
        glued = spelling.endswith("~")
        parts = spelling.removesuffix("~").split("/")
        self.text, self.pos_, self.dep_, lemma = [*parts, "", "", ""][:4]
        self.pos_ = self.pos_.upper() or "NOUN"  # a text to be lemmatized comes in lower case
        self.lemma_ = lemma or self.text.lower()
        self.text_with_ws = self.text if glued else f"{self.text} "
        self.is_stop = self.text.lower() in STOP_WORDS
        self.is_punct = self.pos_ == "PUNCT"
        self.is_sent_start = False
        self.children: list[Token] = []


class Doc:
    """What the tier asks of a spaCy document."""

    def __init__(self, parse: str) -> None:
        self.tokens: list[Token] = []
        self.noun_chunks: list[list[Token]] = []
        start = 0
        for part in parse.split():
            if part == "[":
                start = len(self.tokens)
            elif part == "]":
                self.noun_chunks.append(self.tokens[start:])
            else:
                self.tokens.append(Token(part))
        self.text = "".join(token.text_with_ws for token in self.tokens).strip()
        waiting: list[Token] = []
        for token in self.tokens:
            if token.dep_ in {"compound", "amod"}:
                waiting.append(token)
            else:
                token.children, waiting = waiting, []

    def __iter__(self):
        return iter(self.tokens)


class Language:
    """A spaCy pipeline whose input is a parse."""

    max_length = 1000

    def __init__(self) -> None:
        self.read: list[tuple[str, tuple[str, ...]]] = []

    def __call__(self, text, disable=()):
        self.read.append((text, disable))
        return Doc(text)

    def pipe(self, texts, batch_size):
        assert batch_size == 32
        return map(self, texts)


@pytest.fixture
def spacy(monkeypatch):
    """A module named spacy with one model, which records what is loaded."""
    module = ModuleType("spacy")
    module.__spec__ = ModuleSpec("spacy", None)
    model = ModuleType("en_core_web_sm")
    model.__spec__ = ModuleSpec("en_core_web_sm", None)
    module.loaded = []
    module.language = Language()
    module.load = lambda name: module.loaded.append(name) or module.language
    monkeypatch.setitem(sys.modules, "spacy", module)
    monkeypatch.setitem(sys.modules, "en_core_web_sm", model)
    return module


def found(spacy, parse: str) -> list[tuple[str, str]]:
    """The entities of a parse."""
    return load_tier("spacy").entities(parse)


def test_missing_spacy_names_the_extra(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(DependencyError, match=r"isomem\[spacy\]"):
        load_tier("spacy")


def test_missing_model_says_how_to_install_it(spacy):
    with pytest.raises(DependencyError, match="python -m spacy download en_nowhere"):
        load_tier("spacy", {"model": "en_nowhere"})
    assert spacy.loaded == []


def test_folder_is_a_model_too(spacy, tmp_path):
    load_tier("spacy", {"model": str(tmp_path)}).lemmatize("fox")
    assert spacy.loaded == [str(tmp_path)]


def test_model_is_loaded_once_and_on_first_use(spacy):
    tier = load_tier("spacy")
    assert spacy.loaded == []
    tier.lemmatize("fox")
    tier.entities("fox")
    assert spacy.loaded == ["en_core_web_sm"]


def test_lemmas_are_those_of_content_words_of_the_text_in_lower_case(spacy):
    lemmas = load_tier("spacy").lemmatize("The///the Fox/NOUN//vixen ran/VERB//run ,/PUNCT b-c")
    assert lemmas == "vixen run"
    assert spacy.language.read[0][1] == ("ner", "parser")


def test_form_in_ing_stands_beside_its_lemma(spacy):
    assert load_tier("spacy").lemmatize("hiking///hike ring sing'ing///x") == "hike hiking ring x"


def test_text_beyond_the_limit_and_lone_surrogates_are_not_given_to_spacy(spacy):
    load_tier("spacy").lemmatize("\ud800" + "x" * 2000)
    text = spacy.language.read[0][0]
    assert text == "?" + "x" * 999


def test_no_texts_need_no_model(spacy):
    assert load_tier("spacy").entities_batch([]) == []
    assert spacy.loaded == []


def test_batch_is_each_text_by_itself(spacy):
    parses = ["we/PRON saw/VERB Paris/PROPN", "fox"]
    assert load_tier("spacy").entities_batch(parses) == [[("PROPER", "Paris")], []]


def test_name_begins_with_a_noun_or_an_adjective_only(spacy):
    assert found(spacy, "so/ADV Ran/VERB Great/ADJ Ann/PROPN") == [("PROPER", "Great Ann")]


def test_label_and_sentence_start_are_no_names(spacy):
    assert found(spacy, "a/DET Note~ :/PUNCT Dogs bark/VERB~ ./PUNCT Cats") == []


def test_noun_with_a_noun_before_it_is_a_compound(spacy):
    assert found(spacy, "[ road//compound trips///trip ]") == [("COMPOUND", "road trip")]


def test_telling_adjective_makes_a_compound_and_a_vague_one_does_not(spacy):
    assert found(spacy, "[ wooden/ADJ/amod table ]") == [("COMPOUND", "wooden table")]
    assert found(spacy, "[ nice/ADJ/amod table ]") == []
    assert found(spacy, "[ nice/ADJ/amod wooden/ADJ/amod table ]") == [("COMPOUND", "wooden table")]


def test_vague_adjective_beside_a_compound_is_left_out(spacy):
    assert found(spacy, "[ new/ADJ/amod road//compound trip ]") == [("COMPOUND", "road trip")]


def test_circumstance_leaves_the_head_alone(spacy):
    assert found(spacy, "[ team//compound events///event ]") == [("NOUN", "event")]
    assert found(spacy, "[ team//compound Ai/PROPN ]") == []


def test_generic_ending_of_a_longer_phrase_is_left_out(spacy):
    parse = "[ road//compound safety//compound work ]"
    assert found(spacy, parse) == [("COMPOUND", "road safety")]
    assert found(spacy, "[ road//compound work ]") == [("COMPOUND", "road work")]


@pytest.mark.parametrize("parse", ["[ the/DET ]", "[ she/PRON ]", "[ of/NOUN ]", "[ table ]"])
def test_phrase_that_says_nothing_is_no_entity(spacy, parse):
    assert found(spacy, parse) == []


def test_owner_and_owned_are_parted_and_the_owned_is_left_out(spacy):
    parse = "[ road//compound crew~ 's/PART/case safety//compound plan ]"
    assert found(spacy, parse) == [("COMPOUND", "road crew")]


def test_owned_title_counts(spacy):
    parse = "[ crew~ 's/PART/case Safety//compound plan ]"
    assert found(spacy, parse) == [("COMPOUND", "safety plan")]


def test_quotation_marks_part_a_phrase(spacy):
    parse = "[ road//compound crew '/PUNCT safety//compound plan ]"
    assert found(spacy, parse) == [("COMPOUND", "road crew"), ("COMPOUND", "safety plan")]


def test_compound_on_a_noun_taken_for_a_verb_is_found(spacy):
    assert found(spacy, "yoga//compound practise/VERB/dobj") == [("COMPOUND", "yoga practise")]
    parse = "spring//compound yard//compound sale/VERB/pobj"
    assert found(spacy, parse) == [("COMPOUND", "spring yard")]


def test_compound_is_found_once(spacy):
    parse = "[ yoga//compound practise/NOUN ] yoga//compound practise/VERB/dobj"
    assert found(spacy, parse) == [("COMPOUND", "yoga practise")]


def test_quotation_is_found_beside_compounds_and_inside_none(spacy):
    parse = '"~ the/DET old mill~ " [ road//compound trip ]'
    assert found(spacy, parse) == [("QUOTED", "the old mill"), ("COMPOUND", "road trip")]


@pytest.mark.parametrize("mark", "* - + \u2022 \u2013 \u2014 # ## ### ** __ . ! ? :".split())
def test_a_sentence_begins_behind_every_mark_that_formats_one(spacy, mark):
    """Whatever a model takes for one token; a lone first word is no name."""
    assert found(spacy, f"saw/VERB {mark}/PUNCT Lee/PROPN there/ADV") == []
    assert found(spacy, "saw/VERB x/PUNCT Lee/PROPN there/ADV") == [("PROPER", "Lee")]
