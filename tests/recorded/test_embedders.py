"""Every embedder against upstream's own class: requests, results and failures."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isomem.errors import EmbeddingError, LLMError, ProviderError
from isomem.providers.registry import create_embedder
from tests.recorded.comparison import Case, Made, Pair, compared, ours, pair, sent
from tests.recorded.embedder_cases import (
    ACTIONS,
    AZURE,
    EMBEDDERS,
    ENDPOINT,
    GEMINI,
    LMSTUDIO,
    OLLAMA,
    ONE_OF_EACH,
    ONE_REQUEST,
    OPENAI,
    SIGNED,
    TEXTS,
    TOGETHER,
    UPSTREAMS_FAILURES,
    stand_in_for_sentence_transformers,
    unsigned,
)
from tests.recorded.failures import ERROR, FAULTS, SAID, TIMEOUT_S, is_sent, outcome
from tests.unit.providers.clouds import account, token_server
from tests.unit.providers.clouds import vertexai as vertexai_answers
from tests.unit.providers.servers import clean_environment, serving

pytest.importorskip("mem0")
pytestmark = [
    pytest.mark.oracle,
    pytest.mark.filterwarnings("ignore"),  # what upstream and its SDKs deprecate is theirs
]


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in_for_sentence_transformers(monkeypatch)


def theirs(name: str, options: dict[str, Any]) -> Any:
    """Upstream's own object."""
    from mem0.utils.factory import EmbedderFactory

    return EmbedderFactory.create(name, dict(options), None)


@pytest.mark.parametrize("case", EMBEDDERS, ids=str)
def test_an_embedder_is_sent_the_same_and_gives_the_same(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pair(case, monkeypatch, theirs, create_embedder) as both:
        for text in TEXTS:
            for action in ACTIONS:
                compared(both, "embed", text, action)


@pytest.mark.parametrize("case", EMBEDDERS, ids=str)
def test_a_batch_gives_the_same(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Upstream's classes send most batches text by text; ours send as many as the service takes."""
    texts = [*TEXTS, *(f"fact number {n}" for n in range(101))]
    with pair(case, monkeypatch, theirs, create_embedder) as both:
        if case.name in ONE_REQUEST:
            compared(both, "embed_batch", texts, "add")
            return
        expected = both.call_theirs("embed_batch", texts, "add").result
        for mine in ours(both, "embed_batch", texts, "add"):
            assert mine.result == expected
            assert len(mine.sent) < len(texts) / 20


def test_ollama_is_sent_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Upstream's class asks for the list of models first, and would pull one that is missing."""
    pytest.importorskip("ollama")
    from mem0.embeddings.ollama import OllamaEmbedding

    monkeypatch.setattr(OllamaEmbedding, "_ensure_model_exists", lambda self: None)
    with pair(OLLAMA, monkeypatch, theirs, create_embedder) as both:
        for text in TEXTS:
            compared(both, "embed", text, "add")


@pytest.mark.parametrize("case", SIGNED, ids=str)
def test_bedrock_is_sent_the_same_but_for_the_signature(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pair(case, monkeypatch, theirs, create_embedder) as both:
        for text in TEXTS:
            expected = both.call_theirs("embed", text, "add")
            assert expected.error is None
            for mine in ours(both, "embed", text, "add"):
                assert without_signature(mine) == without_signature(expected)


def without_signature(made: Made) -> Made:
    return Made([unsigned(each) for each in made.sent], made.result)


ATTEMPTS = {"401": 1, "429": 4, "500": 4, "timeout": 1}
"""How often ours sends the request, with the retries that are configured below."""


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("case", ONE_OF_EACH, ids=lambda case: case.name)
def test_a_server_that_fails(case: Case, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Upstream's errors are those of the SDK; ours say the same in one class each."""
    answer, kind = FAULTS[fault]
    retries = {"max_retries": 0} if fault == "timeout" else {}
    case = replace(case, ours={**case.ours, "timeout_s": 5 * TIMEOUT_S, **retries})
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)  # the SDKs wait between attempts
    with pair(case, monkeypatch, theirs, create_embedder) as both:
        both.server.always = answer
        made = both.call_theirs("embed", "tea", "add")
        assert outcome(made) == UPSTREAMS_FAILURES[case.name][fault]
        calls = [each("embed", "tea", "add") for each in (both.call_mine, both.acall_mine)]
    for mine in calls:
        assert type(mine.error) is (EmbeddingError if kind is LLMError else kind)
        assert isinstance(mine.error, ProviderError)
        assert mine.error.provider == case.name
        assert is_sent(fault, mine.sent, ATTEMPTS.get(fault, 1))
        assert answer.body != ERROR or SAID in str(mine.error)


def test_vertexai_is_sent_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Upstream's library speaks gRPC unless it is told otherwise; over REST it sends what we do."""
    vertexai = pytest.importorskip("vertexai")
    pytest.importorskip("vertexai.language_models")
    from vertexai._model_garden import _model_garden_models as garden

    template = "projects/{project}/locations/{location}/publishers/google/models/e-1"
    schema = SimpleNamespace(
        instance_schema_uri="gs://google-cloud-aiplatform/schema/predict/instance/"
        "text_embedding_1.0.0.yaml"
    )
    published = SimpleNamespace(
        name="publishers/google/models/e-1",
        publisher_model_template=template,
        predict_schemata=schema,
    )
    monkeypatch.setattr(
        garden._publisher_models,
        "_PublisherModel",
        lambda resource_name: SimpleNamespace(_gca_resource=published),
    )
    with token_server(["ya29.token"]) as tokens, serving(vertexai_answers) as server:
        clean_environment(monkeypatch)
        given = {"model": "e-1", "vertex_credentials_json": str(account(tmp_path, tokens))}
        given |= {"embedding_dims": 3, "memory_search_embedding_type": "QUESTION_ANSWERING"}
        vertexai.init(api_endpoint=server.url, api_transport="rest")
        both = (
            theirs("vertexai", given),
            create_embedder("vertexai", {**given, "vertexai_base_url": server.url}),
        )
        for action in ACTIONS:
            vectors = [each.embed(TEXTS[1], action) for each in both]
            assert vectors[0] == vectors[1]
        made = [(sent(seen).path, sent(seen).body) for seen in server.seen]
        assert made[::2] == made[1::2]
        both[1].close()


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@settings(max_examples=8, deadline=None)
@given(single=texts, batch=st.lists(texts, max_size=5), action=st.sampled_from(ACTIONS))
def whatever_is_written(both: Pair, single: str, batch: list[str], action: str | None) -> None:
    """Both sides send the same bytes for it, and get the same vectors."""
    compared(both, "embed", single, action)
    if both.case.name in ONE_REQUEST:
        compared(both, "embed_batch", batch, action)
    else:
        expected = both.call_theirs("embed_batch", batch, action).result
        for mine in ours(both, "embed_batch", batch, action):
            assert mine.result == expected


@pytest.mark.parametrize(
    "case", [OPENAI, LMSTUDIO, AZURE, TOGETHER, GEMINI, ENDPOINT], ids=lambda case: case.name
)
def test_whatever_is_written_is_sent_alike(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    with pair(case, monkeypatch, theirs, create_embedder) as both:
        whatever_is_written(both)  # type: ignore[call-arg]
