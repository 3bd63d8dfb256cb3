"""Every embedder against upstream's own class: requests, results and failures."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isomem.errors import EmbeddingError, LLMError, ProviderError
from isomem.providers.registry import create_embedder
from tests.recorded.comparison import Case, Made, Pair, compared, ours, pair
from tests.recorded.embedder_cases import (
    ACTIONS,
    AZURE,
    EMBEDDERS,
    ENDPOINT,
    GEMINI,
    LMSTUDIO,
    OF_VERTEXAI,
    ONE_OF_EACH,
    ONE_REQUEST,
    OPENAI,
    SIGNED,
    TEXTS,
    TOGETHER,
    UPSTREAMS_FAILURES,
    hurried_vertexai,
    stand_in_for_sentence_transformers,
    unsigned,
)
from tests.recorded.failures import ERROR, FAULTS, LIMITS, SAID, is_sent, outcome
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
    case = replace(case, ours={**case.ours, **LIMITS[fault == "timeout"]})
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)  # the SDKs wait between attempts
    with pair(case, monkeypatch, theirs, create_embedder) as both:
        both.server.always = answer
        made = both.call_theirs("embed", "tea", "add")
        assert outcome(made) == UPSTREAMS_FAILURES[case.name][fault]
        calls = [each("embed", "tea", "add") for each in (both.call_mine, both.acall_mine)]
    for mine in calls:
        assert_failed(mine, case.name, fault, kind)


def assert_failed(mine: Made, name: str, fault: str, kind: type[Exception]) -> None:
    """Ours has raised what a fault means, after as many attempts as are configured."""
    assert type(mine.error) is (EmbeddingError if kind is LLMError else kind)
    assert isinstance(mine.error, ProviderError)
    assert mine.error.provider == name
    assert is_sent(fault, mine.sent, ATTEMPTS.get(fault, 1))
    assert FAULTS[fault][0].body != ERROR or SAID in str(mine.error)


@contextmanager
def vertexai_pair(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, **own: Any) -> Iterator[Pair]:
    """Both sides of Vertex AI. Upstream's library speaks gRPC unless it is told otherwise."""
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
        case = Case("vertexai", vertexai_answers, given)
        own = {"vertexai_base_url": server.url, "timeout_s": 30, **own}
        mine = create_embedder("vertexai", {**given, **own})
        try:
            yield Pair(case, server, theirs("vertexai", given), mine)
        finally:
            mine.close()


def test_vertexai_is_sent_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Over REST, upstream's library sends what we do."""
    with vertexai_pair(monkeypatch, tmp_path) as both:
        for action in ACTIONS:
            expected = both.call_theirs("embed", TEXTS[1], action)
            for mine in ours(both, "embed", TEXTS[1], action):
                assert mine.result == expected.result
                assert [(each.path, each.body) for each in mine.sent] == [
                    (each.path, each.body) for each in expected.sent
                ]


@pytest.mark.parametrize("fault", FAULTS)
def test_vertexai_fails(fault: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    answer, kind = FAULTS[fault]
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)  # both wait between attempts
    limits = LIMITS[fault == "timeout"]
    with vertexai_pair(monkeypatch, tmp_path, **limits) as both:
        for warm in (both.call_theirs, both.call_mine, both.acall_mine):
            assert warm("embed", "tea", "add").error is None  # now each has a token
        both.server.always = answer
        hurried_vertexai(monkeypatch)
        assert outcome(both.call_theirs("embed", "tea", "add")) == OF_VERTEXAI[fault]
        calls = [each("embed", "tea", "add") for each in (both.call_mine, both.acall_mine)]
    for mine in calls:
        assert_failed(mine, "vertexai", fault, kind)


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
