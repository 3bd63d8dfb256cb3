"""What the rerankers do that are behind HTTP, and what those do that a library computes."""

from __future__ import annotations

import asyncio
import copy
import gc
import logging
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import Any

import pytest

from isomem import Memory
from isomem.errors import DependencyError, InvalidConfigError, RerankError
from isomem.providers.registry import RERANKERS, create_reranker
from isomem.providers.reranker.library import LibraryReranker, spread
from isomem.providers.tables import RERANKER_OPTIONS
from tests.unit.providers.servers import (
    KEY,
    Answer,
    Seen,
    Server,
    clean_environment,
    serving,
)

pytestmark = pytest.mark.usefixtures("few_objects")

REMOTE = ("cohere", "zero_entropy")
DOCUMENTS: list[dict[str, Any]] = [
    {"id": "1", "memory": "I like tea"},
    {"id": "2", "text": "My dog is called Rex, and he likes tea"},
    {"id": "3", "content": "tea"},
    {"id": "4"},
]
TEXTS = [*(list(each.values())[1] for each in DOCUMENTS[:3]), "{'id': '4'}"]


def ranks(seen: Seen) -> Any:
    """Both protocols: longer texts are better. Zero Entropy does not sort."""
    body = seen.body
    results = [
        {"index": index, "relevance_score": len(text) / 100}
        for index, text in enumerate(body["documents"])
    ]
    if "top_n" in body:
        results.sort(key=lambda result: -result["relevance_score"])
        results = results[: body["top_n"]]
    return {"id": "1", "results": results}


RANKED = ["2", "4", "1", "3"]
"""The ids, as they must come."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving(ranks) as running:
        yield running


@pytest.fixture(params=REMOTE)
def name(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, server: Server) -> str:
    clean_environment(monkeypatch)
    server.forget()
    chosen: str = request.param
    return chosen


def make(name: str, server: Server, **options: Any) -> Any:
    return create_reranker(name, {f"{name}_base_url": server.url, "api_key": KEY, **options})


def ids(documents: list[dict[str, Any]]) -> list[str]:
    return [document["id"] for document in documents]


def both(reranker: Any, *arguments: Any) -> list[dict[str, Any]]:
    """The ranking, which must be the same when it is awaited."""

    async def awaited() -> Any:
        try:
            return await reranker.arerank(*arguments)
        finally:
            await reranker.aclose()

    ranked: list[dict[str, Any]] = reranker.rerank(*arguments)
    assert asyncio.run(awaited()) == ranked
    reranker.close()
    gc.collect()  # a socket left open is a ResourceWarning here, and warnings are errors
    return ranked


def test_documents_come_in_the_order_of_their_scores(name: str, server: Server) -> None:
    before = copy.deepcopy(DOCUMENTS)
    ranked = both(make(name, server), "tea?", DOCUMENTS)
    assert ids(ranked) == RANKED
    assert [document["rerank_score"] for document in ranked] == [0.38, 0.11, 0.1, 0.03]
    assert ranked[2] == {"id": "1", "memory": "I like tea", "rerank_score": 0.1}
    assert before == DOCUMENTS
    assert server.seen[0].body["documents"] == TEXTS
    assert server.seen[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("configured", "asked", "count"),
    [(None, 2, 2), (3, None, 3), (3, 0, 3), (3, 1, 1), (0, None, 4)],
)
def test_as_many_are_returned_as_the_call_or_the_config_says(
    name: str, server: Server, configured: int | None, asked: int | None, count: int
) -> None:
    ranked = both(make(name, server, top_k=configured), "tea?", DOCUMENTS, asked)
    assert ids(ranked) == RANKED[:count]


def test_nothing_is_sent_for_no_documents(name: str, server: Server) -> None:
    assert both(make(name, server), "tea?", []) == []
    assert not server.seen


@pytest.mark.parametrize(
    "answer",
    [
        Answer(401, {"error": {"message": f"no such key {KEY}"}}),
        Answer(429, {"message": "too many"}, {"Retry-After": "0"}),
        Answer(500, "oops", {"Retry-After": "0"}),
        Answer(200, "<html>"),
        Answer(200, '{"results": [{"ind'),
        Answer(200, {"error": "the model is on holiday"}),
        *(
            Answer(200, {"results": results})
            for results in (
                *(None, {}, [3], [{}], [{"index": 0}], [{"index": 4, "relevance_score": 1}]),
                *([{"index": -1, "relevance_score": 1}], [{"index": "0", "relevance_score": 1}]),
                *([{"index": 0, "relevance_score": None}], [{"index": True, "relevance_score": 1}]),
                *([{"index": 0, "relevance_score": 10**400}], [{"index": 0.0}]),
                *([{"index": 0, "relevance_score": math.nan}],),
                *([{"index": 0, "relevance_score": -math.inf}],),
            )
        ),
    ],
)
def test_if_it_fails_the_documents_keep_their_order_and_the_log_says_why(
    name: str, server: Server, answer: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    server.always = answer
    ranked = both(make(name, server, max_retries=1, top_k=1), "tea?", DOCUMENTS, 2)
    assert ranked == [{**document, "rerank_score": 0.0} for document in DOCUMENTS[:2]]
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 2
    assert all(f"The reranker {name} failed" in record.getMessage() for record in warnings)
    assert KEY not in caplog.text


SECRET = "geheim-77"


@pytest.mark.parametrize("way", ["http://ana:{}@127.0.0.1:9", "http://ana:{}/x@127.0.0.1:9",
                                 "http://ana:{}@127.0.0.1:port", "ana:{}@127.0.0.1:9"])  # fmt: skip
def test_a_password_in_the_address_is_shown_nowhere(
    name: str, way: str, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    url = {f"{name}_base_url": way.format(SECRET)}
    if "/x" in way:  # whose address is another one if it is not quoted
        with pytest.raises(InvalidConfigError) as caught:
            make(name, server, **url)
        assert SECRET not in f"{caught.value} {caught.value!r} {vars(caught.value)}"
        return
    reranker = make(name, server, max_retries=0, **url)
    assert both(reranker, "tea?", DOCUMENTS)[0]["rerank_score"] == 0.0
    assert SECRET not in repr(reranker)
    assert SECRET not in caplog.text


@pytest.mark.parametrize("wrong", [
    {"headers": {f"X-Key={SECRET}": "1"}}, {"headers": {"X": f"{SECRET}é"}},
    {"headers": [SECRET]}, {"api_key": f"{SECRET}\nx"}, {"api_key": [SECRET]},
    {"model": {"api_key": SECRET}},
])  # fmt: skip
def test_a_key_in_a_wrong_option_is_not_shown(
    name: str, wrong: dict[str, Any], server: Server
) -> None:
    with pytest.raises(InvalidConfigError) as caught:
        make(name, server, **wrong)
    assert SECRET not in f"{caught.value} {caught.value!r} {vars(caught.value)}"


PAYLOADS = [None, 3, b"x", {1, 2}, math.nan, object(), {"a": [1]}, 10**5000, "\ud800", ["x"], ""]


@pytest.mark.parametrize("value", PAYLOADS, ids=lambda value: type(value).__name__)
def test_a_text_that_is_odd_never_fails_a_search(name: str, value: Any, server: Server) -> None:
    """What can be sent is sent; else, the documents keep their order."""
    documents = [{"id": "1", "memory": value}, {"id": "2", "memory": "tea"}]
    reranker = make(name, server, max_retries=0)
    ranked = both(reranker, "tea?", documents)
    assert sorted(ids(ranked)) == ["1", "2"]
    assert all(type(each["rerank_score"]) is float for each in ranked)
    assert documents == [{"id": "1", "memory": value}, {"id": "2", "memory": "tea"}]


def test_threads_rank_at_once(name: str, server: Server) -> None:
    reranker = make(name, server)
    with ThreadPoolExecutor(6) as pool:
        lists = [[{"id": f"{n}", "memory": "x" * n}, {"id": "0", "text": ""}] for n in range(1, 25)]
        ranked = list(pool.map(lambda each: reranker.rerank("tea?", each), lists))
    assert [ids(each) for each in ranked] == [[f"{n}", "0"] for n in range(1, 25)]
    reranker.close()


def test_a_server_that_is_not_there_is_a_failure_too(
    name: str, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    reranker = make(name, server, max_retries=0, **{f"{name}_base_url": "http://127.0.0.1:9"})
    assert ids(reranker.rerank("tea?", DOCUMENTS)) == ["1", "2", "3", "4"]
    assert "cannot be reached at http://127.0.0.1:9" in caplog.text


def test_the_service_itself_needs_a_key(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    variable = {"cohere": "COHERE_API_KEY", "zero_entropy": "ZERO_ENTROPY_API_KEY"}[name]
    with pytest.raises(InvalidConfigError, match=variable):
        create_reranker(name)
    monkeypatch.setenv(variable, KEY)
    reranker = create_reranker(name)
    assert KEY not in repr(reranker)


@pytest.mark.parametrize("each", sorted(RERANKERS.builtin.keys() - {"llm_reranker"}))
def test_upstreams_options_are_taken_and_a_wrong_value_is_not(each: str) -> None:
    given = {option.name: option.default for option in RERANKER_OPTIONS} | {"api_key": KEY}
    with pytest.raises(InvalidConfigError, match="top_k"):
        create_reranker(each, {**given, "top_k": -1})
    library = {"huggingface": "transformers", "sentence_transformer": "sentence_transformers"}
    if each in library and find_spec(library[each]) is None:
        with pytest.raises(DependencyError, match=r"isomem\[huggingface\]"):
            create_reranker(each, given)
    else:
        assert vars(create_reranker(each, given))["config"].model


def test_a_memory_searches_with_it(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    clean_environment(monkeypatch)
    server.forget()
    options = {"cohere_base_url": server.url, "api_key": KEY}
    config = {
        "embedder": {"provider": "mock", "config": {"embedding_dims": 64}},
        "llm": {"provider": "mock"},
        "vector_store": {"provider": "embedded", "config": {"path": ":memory:"}},
        "reranker": {"provider": "cohere", "config": options},
    }
    memory = Memory.from_config(config)
    for text in ("tea", "tea is good", "tea is very good"):
        memory.add(text, user_id="ana", infer=False)
    found = memory.search("tea", filters={"user_id": "ana"}, rerank=True, top_k=3)["results"]
    assert [each["rerank_score"] for each in found] == [0.16, 0.11, 0.03]
    memory.close()


# --- Those that a library computes -----------------------------------------------------------


class ByLength(LibraryReranker):
    """Longer texts are better. Its library is a module that everybody has."""

    name = "by_length"
    module = "json"
    default_model = "length"
    table = RERANKER_OPTIONS
    fault: Exception | None = None

    def load(self) -> Any:
        if isinstance(self.fault, OSError | ImportError):
            raise self.fault
        return len

    def scores(self, model: Any, query: str, texts: list[object]) -> list[float]:
        if self.fault:
            raise self.fault
        return [model(text) for text in texts]


@pytest.mark.parametrize(
    ("configured", "asked", "count"), [(None, None, 4), (3, None, 3), (3, 1, 1), (0, 0, 4)]
)
def test_a_library_ranks_and_is_cut(configured: int | None, asked: int | None, count: int) -> None:
    reranker = ByLength({"top_k": configured})
    ranked = reranker.rerank("tea?", DOCUMENTS, asked)
    assert ids(ranked) == RANKED[:count]
    assert type(ranked[0]["rerank_score"]) is float
    reranker.close()
    assert reranker.rerank("tea?", DOCUMENTS, asked) == ranked
    assert reranker.rerank("tea?", []) == []


def test_a_library_that_fails_leaves_the_order(caplog: pytest.LogCaptureFixture) -> None:
    reranker = ByLength({"top_k": 3})
    reranker.fault = RuntimeError("out of memory")
    assert reranker.rerank("tea?", DOCUMENTS) == [
        {**document, "rerank_score": 0.0} for document in DOCUMENTS[:3]
    ]
    assert "The reranker by_length failed; the results keep their order: out of memory" in (
        caplog.text
    )


def test_a_model_that_cannot_be_loaded_is_an_error() -> None:
    reranker = ByLength()
    reranker.fault = OSError("no such model")
    with pytest.raises(RerankError, match="cannot load its model: no such model") as caught:
        reranker.rerank("tea?", DOCUMENTS)
    assert caught.value.error_code == "RERANK_001"
    reranker.fault = ImportError("libcuda")
    with pytest.raises(DependencyError, match="libcuda"):
        reranker.rerank("tea?", DOCUMENTS)


class ClosedAtOnce(ByLength):
    """Another thread closes it at the worst moment: as soon as its model is kept."""

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, {} if name == "_models" else value)


def test_a_ranking_ends_although_another_thread_closes_the_reranker() -> None:
    assert ids(ClosedAtOnce().rerank("tea?", DOCUMENTS)) == RANKED


def test_scores_are_spread_from_0_to_nearly_1() -> None:
    assert spread([3.0]) == [0.0]
    low, middle, high = spread([-1.0, 0.0, 1.0])
    assert (low, middle) == (0.0, pytest.approx(0.5))
    assert 0.99999 < high < 1.0
