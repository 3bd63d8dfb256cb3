"""The rerankers behind HTTP against upstream's own classes: requests, results and failures."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from typing import Any

import pytest

from isomem.providers.registry import create_reranker
from tests.recorded.comparison import Case, compared, ours, pair
from tests.recorded.embedder_cases import DOCUMENTS, ONE_RERANKER_OF_EACH, RERANKERS
from tests.recorded.failures import FAULTS, LIMITS, is_sent

pytest.importorskip("mem0")
pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]


def theirs(name: str, options: dict[str, Any]) -> Any:
    """Upstream's own object."""
    from mem0.utils.factory import RerankerFactory

    return RerankerFactory.create(name, dict(options))


def make_theirs(url_of: dict[str, str], name: str, options: dict[str, Any]) -> Any:
    """The same, for an SDK that has its address from nowhere but an argument."""
    made = theirs(name, options)
    if name == "cohere":
        made.client = sys.modules["cohere"].Client(options["api_key"], base_url=url_of["url"])
        made.client.close = made.client._client_wrapper.httpx_client.httpx_client.close
    return made


def connected(case: Case, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Both sides. `CO_API_URL` is read when Cohere's SDK is imported, which is too early here."""
    url_of: dict[str, str] = {}

    def mine(name: str, options: dict[str, Any]) -> Any:
        return create_reranker(name, options)

    def upstreams(name: str, options: dict[str, Any]) -> Any:
        url_of["url"] = str(options.pop("url"))
        return make_theirs(url_of, name, options)

    case = replace(case, theirs={**case.theirs, "url": "{url}"})
    return pair(case, monkeypatch, upstreams, mine)


@pytest.mark.parametrize("case", RERANKERS, ids=str)
@pytest.mark.parametrize("top_k", [None, 2, 4])
def test_a_reranker_is_sent_the_same_and_orders_the_same(
    case: Case, top_k: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connected(case, monkeypatch) as both:
        made = compared(both, "rerank", 'Who likes "tea"?', DOCUMENTS, top_k)
        assert len(made.result) == (top_k or case.options.get("top_k") or 4)


@pytest.mark.parametrize("case", RERANKERS, ids=str)
def test_nothing_is_sent_for_nothing(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    with connected(case, monkeypatch) as both:
        made = [both.call_theirs("rerank", "tea", []), *ours(both, "rerank", "tea", [])]
        assert [(each.sent, each.result) for each in made] == [([], [])] * 3


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("top_k", [None, 2])
@pytest.mark.parametrize("case", ONE_RERANKER_OF_EACH, ids=lambda case: case.name)
def test_if_the_server_fails_both_keep_the_order(
    case: Case, top_k: int | None, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, _ = FAULTS[fault]
    case = replace(case, ours={**case.ours, **LIMITS[fault == "timeout"], "max_retries": 0})
    case = case.with_(top_k=3)  # which counts only if it succeeds
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)  # the SDKs wait between attempts
    with connected(case, monkeypatch) as both:
        both.server.always = answer
        expected = both.call_theirs("rerank", "tea", DOCUMENTS, top_k)
        assert expected.error is None
        assert [each["rerank_score"] for each in expected.result] == [0.0] * (top_k or 4)
        for mine in ours(both, "rerank", "tea", DOCUMENTS, top_k):
            assert mine.result == expected.result
            assert is_sent(fault, mine.sent, 1)
