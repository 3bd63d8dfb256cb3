"""The full tier by the rules of 2.0.4, on parses that are written out (`parses`)."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest

from isomem import Memory
from isomem.errors import DependencyError
from isomem.text.spacy_tier import Models
from isomem.text.tiers import load_tier
from tests.unit.text.held import installed_model
from tests.unit.text.parses import Language


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
    monkeypatch.setattr("isomem.text.spacy_tier._models", Models())
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


def test_model_is_loaded_once_for_all_memories_of_a_process(spacy):
    first, second = load_tier("spacy"), load_tier("spacy")
    assert first.lemmatize("fox") == second.lemmatize("fox") == "fox"
    assert spacy.loaded == ["en_core_web_sm"]


def test_models_are_told_apart_and_a_folder_has_one_name(spacy, tmp_path, monkeypatch):
    monkeypatch.setattr(spacy, "load", lambda name: spacy.loaded.append(name) or Language())
    (tmp_path / "model").mkdir()
    monkeypatch.chdir(tmp_path)
    tiers = [load_tier("spacy", {"model": name}) for name in ("model", "./model", "en_core_web_sm")]
    assert [tier.lemmatize("fox") for tier in tiers] == ["fox"] * 3
    assert spacy.loaded == ["model", "en_core_web_sm"]


def test_model_is_gone_with_its_last_user(spacy, monkeypatch):
    monkeypatch.setattr(spacy, "load", lambda name: spacy.loaded.append(name) or Language())
    first, second, third = (load_tier("spacy") for _ in range(3))
    for tier in (first, second):
        tier.lemmatize("fox")
    first.close()
    third.lemmatize("fox")
    assert len(spacy.loaded) == 1  # The second still holds it.
    second.close()
    del third
    gc.collect()
    assert second.lemmatize("fox") == "fox"
    assert len(spacy.loaded) == 2


def test_threads_that_need_a_model_at_once_load_it_once(spacy, monkeypatch):
    def load(name):
        spacy.loaded.append(name)
        time.sleep(0.05)
        return Language()

    monkeypatch.setattr(spacy, "load", load)
    tiers = [load_tier("spacy") for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda tier: tier.lemmatize("fox"), tiers)) == ["fox"] * 8
    assert spacy.loaded == ["en_core_web_sm"]


def test_model_that_cannot_be_loaded_is_tried_again(spacy, monkeypatch):
    def fail(_name):
        raise OSError("no such file")

    with monkeypatch.context() as patch:
        patch.setattr(spacy, "load", fail)
        with pytest.raises(OSError, match="no such file"):
            load_tier("spacy").lemmatize("fox")
    assert load_tier("spacy").lemmatize("fox") == "fox"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_fork_while_a_model_is_being_loaded_holds_up_no_child(spacy, monkeypatch):
    loading, go_on = threading.Event(), threading.Event()

    def load(_name):
        if threading.current_thread() is not threading.main_thread():
            loading.set()
            assert go_on.wait(10)
        return Language()

    monkeypatch.setattr(spacy, "load", load)
    thread = threading.Thread(target=load_tier("spacy").lemmatize, args=("fox",))
    thread.start()
    assert loading.wait(10)
    child = os.fork()
    if not child:
        signal.alarm(10)
        os._exit(load_tier("spacy").lemmatize("fox") != "fox")
    go_on.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.oracle
def test_memories_share_a_real_model_and_a_child_has_it_too(tmp_path, monkeypatch):
    pytest.importorskip("spacy")
    # Models of its own: other tests of this process may hold the same one for longer.
    monkeypatch.setattr("isomem.text.spacy_tier._models", Models())
    model = installed_model()
    if model is None:
        pytest.skip("no spaCy model is installed")
    config = {"nlp": {"provider": "spacy", "config": {"model": model}}}
    memories = [memory(tmp_path / f"{number}.db", **config) for number in range(2)]
    one, other = memories
    read = one.nlp.entities("Ada Lovelace met Bruno Costa at the Grand Hotel")
    assert other.nlp.entities("Ada Lovelace met Bruno Costa at the Grand Hotel") == read != []
    pipeline = weakref.ref(one.nlp._nlp)
    assert other.nlp._nlp is pipeline()
    if hasattr(os, "fork"):
        child = os.fork()
        if not child:
            signal.alarm(60)
            same = one.nlp.lemmatize("two foxes") == "fox" and other.nlp._nlp is pipeline()
            os._exit(not same)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    one.close()
    assert pipeline() is not None
    del other, memories
    one = None
    gc.collect()
    assert pipeline() is None


def memory(path, **config):
    """A memory without a network."""
    return Memory.from_config(
        {
            "vector_store": {"provider": "embedded", "config": {"path": str(path)}},
            "embedder": {"provider": "mock"},
            "llm": {"provider": "mock"},
            **config,
        }
    )


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


@pytest.mark.parametrize("marker", ["*", "-", "+", "•", "–", "—", "#", "##", "###", "**", "__"])
def test_formatting_starts_a_sentence(spacy, marker):
    assert found(spacy, f"saw/VERB {marker}/PUNCT Paris/PROPN") == []
    assert found(spacy, "saw/VERB ~~/PUNCT Paris/PROPN") == [("PROPER", "Paris")]


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
    assert found(spacy, "[ team/ADJ/amod events///event ]") == []


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
