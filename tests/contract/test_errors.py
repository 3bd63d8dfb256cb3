"""What every provider says of itself when it fails, whichever way it fails."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from isomem import (
    AuthenticationError,
    EmbeddingError,
    LLMError,
    Memory,
    NetworkError,
    ProviderError,
    RateLimitError,
)
from isomem.prompts import loader
from isomem.providers.registry import (
    EMBEDDERS,
    LLMS,
    Kind,
    create_embedder,
    create_llm,
    create_reranker,
)
from isomem.testing import ScriptedLLM
from tests.unit.providers.chats import Protocol, access, protocol
from tests.unit.providers.servers import Answer, Server, clean_environment, serving

IN_PROCESS = {"e5", "fastembed", "langchain", "litellm", "local", "mock", "wordllama"}
OF_THEIR_OWN = {"vertexai"}
"""Providers whose errors test_embedders.py has, since their keys are files."""
needs_prompts = pytest.mark.skipif(
    not Path(loader.DIRECTORY).is_dir(), reason="needs the texts that a build brings"
)
JSON = {"type": "json_object"}
MESSAGES = [{"role": "user", "content": "I moved to Lisbon."}]


def over_http(kind: Kind) -> list[str]:
    return sorted(kind.builtin.keys() - IN_PROCESS - OF_THEIR_OWN)


class Part(NamedTuple):
    """A provider that uses the network, with the server that answers it."""

    kind: Kind
    name: str
    server: Server

    @property
    def own(self) -> type[ProviderError]:
        return LLMError if self.kind is LLMS else EmbeddingError

    def options(self, **options: Any) -> dict[str, Any]:
        return {**access(self.name, self.server.url), "model": self.protocol.model, **options}

    @property
    def protocol(self) -> Protocol:
        return protocol(self.name)

    def fail(self, asynchronously: bool, **options: Any) -> ProviderError:
        """The error of one call."""
        make = create_llm if self.kind is LLMS else create_embedder
        part: Any = make(self.name, self.options(**options))
        method, given = ("generate_response", MESSAGES) if self.kind is LLMS else ("embed", "tea")
        with pytest.raises(ProviderError) as caught:
            if asynchronously:
                asyncio.run(getattr(part, f"a{method}")(given))
            else:
                getattr(part, method)(given)
        part.close()
        return caught.value


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, Server]]:
    with ExitStack() as stack:
        usual = {protocol(name).usual for name in over_http(LLMS)}
        yield {each.__name__: stack.enter_context(serving(each)) for each in usual}


@pytest.fixture(
    params=[(kind, name) for kind in (LLMS, EMBEDDERS) for name in over_http(kind)],
    ids=lambda given: f"{given[0].title.split()[0]}-{given[1]}",
)
def part(
    request: pytest.FixtureRequest, servers: dict[str, Server], monkeypatch: pytest.MonkeyPatch
) -> Part:
    clean_environment(monkeypatch)
    kind, name = request.param
    pytest.importorskip(protocol(name).library)
    server = servers[protocol(name).usual.__name__]
    server.forget()
    return Part(kind, name, server)


both_ways = pytest.mark.parametrize("asynchronously", [False, True], ids=["sync", "async"])


@both_ways
@pytest.mark.parametrize(
    ("answer", "kind", "retry_after"),
    [
        (Answer(401, "no"), AuthenticationError, None),
        (Answer(403, "no", {"Retry-After": "5"}), AuthenticationError, 5.0),
        (Answer(429, "slow"), RateLimitError, None),
        (Answer(429, "slow", {"Retry-After": "7"}), RateLimitError, 7.0),
        (Answer(503, "later", {"retry-after-ms": "90"}), None, 0.09),
        (Answer(400, "what?"), None, None),
        (Answer(200, "<html>"), None, None),
        (Answer(200, "{}"), None, None),
        (
            Answer(200, json.dumps({"error": {"code": 429, "message": "slow"}})),
            RateLimitError,
            None,
        ),
    ],
    ids=lambda given: f"{given.status}-{len(given.headers)}" if isinstance(given, Answer) else None,
)
def test_an_answer_that_is_a_failure(
    part: Part,
    answer: Answer,
    kind: type[ProviderError] | None,
    retry_after: float | None,
    asynchronously: bool,
) -> None:
    part.server.always = answer
    error = part.fail(asynchronously, max_retries=0)
    assert type(error) is (kind or part.own)
    assert error.code == type(error).default_code
    assert (error.provider, error.status) == (part.name, answer.status)
    assert error.retry_after == retry_after
    assert isinstance(error.__cause__, json.JSONDecodeError | None)


@both_ways
def test_no_answer_at_all(part: Part, asynchronously: bool) -> None:
    nowhere = access(part.name, "http://127.0.0.1:9")
    error = part.fail(asynchronously, max_retries=0, **nowhere)
    assert type(error) is NetworkError
    assert (error.provider, error.status, error.retry_after) == (part.name, None, None)
    assert isinstance(error.__cause__, httpx.ConnectError)


@both_ways
def test_after_retries_the_error_is_that_of_the_last_answer(
    part: Part, asynchronously: bool
) -> None:
    part.server.answers = [Answer(500, headers={"Retry-After": "0"})]
    part.server.always = Answer(429, headers={"Retry-After": "61"})
    error = part.fail(asynchronously, max_retries=5)
    assert type(error) is RateLimitError
    assert (error.status, error.retry_after, len(part.server.seen)) == (429, 61.0, 2)


@both_ways
def test_what_cannot_be_sent_says_why(part: Part, asynchronously: bool) -> None:
    if part.name == "aws_bedrock":
        pytest.skip("it refuses the name of such a model when it is made")
    part.server.always = Answer(body="x")
    error = part.fail(asynchronously, headers={"X": "1"}, model="\ud800")
    assert type(error) is part.own
    assert (error.provider, error.status) == (part.name, None)
    assert isinstance(error.__cause__, UnicodeEncodeError)


ODD = (5, "json", [1], [["a", "b"]], {5: 1}, {"type": 5}, {"type": []}, {"x": object()})


@pytest.mark.parametrize("part", [(LLMS, name) for name in over_http(LLMS)], indirect=True)
@pytest.mark.parametrize(
    "given",
    [
        *({"response_format": odd} for odd in ODD),
        *({name: odd} for name in ("extra_body", "extra_headers", "extra_query") for odd in ODD),
        *({"messages": odd, "response_format": JSON} for odd in (*ODD, None, [], [{}], [5])),
        {"messages": [{"role": "user"}], "response_format": JSON},
        {"messages": [{"role": "user", "content": [{"type": "text"}]}], "response_format": JSON},
    ],
    ids=repr,
)
def test_odd_arguments_of_a_call_are_answered_or_are_an_error_of_the_provider(
    part: Part, given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = {"OLLAMA_JSON_SUFFIX": " (as JSON)", "OLLAMA_JSON_MESSAGE": "As JSON."}
    monkeypatch.setattr(loader, "_checked", texts)
    part.server.always = Answer(body=answered(part))
    llm: Any = create_llm(part.name, part.options(max_retries=0))
    try:
        assert llm.generate_response(**{"messages": MESSAGES, **given}) == "tea"
    except ProviderError as error:
        assert error.provider == part.name  # noqa: PT017 - either is right, which one is the server's
    finally:
        llm.close()


def answered(part: Part) -> Any:
    return part.protocol.saying("tea", None)


def test_the_local_embedder() -> None:
    with pytest.raises(EmbeddingError) as caught:
        create_embedder("local").embed("\ud800")
    error = caught.value
    assert (error.provider, error.status, error.retry_after) == ("local", None, None)
    assert isinstance(error.__cause__, TypeError | UnicodeError)


def test_the_scripted_model() -> None:
    with pytest.raises(LLMError) as caught:
        create_llm("mock").generate_response(MESSAGES)
    error = caught.value
    assert (error.provider, error.status, error.retry_after) == ("mock", None, None)


def test_a_reranker_logs_what_its_model_says_of_itself(
    servers: dict[str, Server],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    clean_environment(monkeypatch)
    monkeypatch.setattr(loader, "_checked", {"RERANK_SYSTEM": "Score it."})
    servers["openai"].forget()
    servers["openai"].always = Answer(401, "no")
    model = {"provider": "vllm", "config": {"vllm_base_url": servers["openai"].url}}
    reranker: Any = create_reranker("llm_reranker", {"llm": model})
    with caplog.at_level(logging.WARNING, "isomem"):
        assert reranker.rerank("q", [{"memory": "tea"}])[0]["rerank_score"] == 0.5
    reranker.close()
    (line,) = caplog.messages
    assert "vllm (model" in line
    assert line.count("Check the API key") == 1


def test_every_provider_is_covered() -> None:
    for kind in (LLMS, EMBEDDERS):
        assert set(kind.builtin) <= {*over_http(kind), *IN_PROCESS, *OF_THEIR_OWN}


# --- At the surface --------------------------------------------------------------------------


def memory_with(**parts: Any) -> Memory:
    given = {"embedder": {"provider": "mock"}, "llm": {"provider": "mock"}, **parts}
    config = {
        "vector_store": {"provider": "embedded", "config": {"path": ":memory:"}},
        "raise_on_llm_error": True,
    }
    return Memory.from_config({**config, **given})


def facts(error: ProviderError) -> tuple[Any, ...]:
    return error.provider, error.status, error.retry_after, error.suggestion


@needs_prompts
@pytest.mark.parametrize("part", [(LLMS, name) for name in over_http(LLMS)], indirect=True)
@pytest.mark.parametrize("status", [401, 429, 400])
def test_the_error_of_a_call_has_the_facts_of_the_models(part: Part, status: int) -> None:
    part.server.always = Answer(status, "no", {"Retry-After": "70"})
    memory = memory_with(llm={"provider": part.name, "config": part.options()})
    with pytest.raises(LLMError) as caught:
        memory.add(MESSAGES, user_id="u")
    memory.close()
    error = caught.value
    cause = error.__cause__ or error
    assert isinstance(cause, ProviderError)
    assert facts(error) == facts(cause) == (part.name, status, 70.0, cause.suggestion)
    assert str(error).count(str(error.suggestion)) == 1
    assert cause.message in error.message


@needs_prompts
def test_the_error_of_a_call_has_the_facts_of_the_embedders(
    servers: dict[str, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    clean_environment(monkeypatch)
    server = servers["openai"]
    server.forget()
    part = Part(EMBEDDERS, "openai", server)
    memory = memory_with(
        embedder={"provider": "openai", "config": part.options(embedding_dims=3, max_retries=0)}
    )
    memory.llm = ScriptedLLM([{"memory": [{"text": "Lives in Lisbon"}]}])
    server.answers = [Answer(body={"data": [{"index": 0, "embedding": [1.0, 0.0, 0.0]}]})]
    server.always = Answer(429, "slow", {"Retry-After": "70"})
    with pytest.raises(EmbeddingError) as caught:
        memory.add(MESSAGES, user_id="u")
    memory.close()
    error = caught.value
    assert isinstance(error.__cause__, RateLimitError)
    assert facts(error) == facts(error.__cause__) == ("openai", 429, 70.0, error.suggestion)


class VendorError(Exception):
    status_code = 429
    response = httpx.Response(429, headers={"Retry-After": "3"})


@needs_prompts
def test_the_error_of_a_model_of_your_own_is_the_cause() -> None:
    memory = memory_with()
    failure = VendorError("slow down")
    memory.llm = ScriptedLLM([failure])
    with pytest.raises(LLMError, match="the model call failed: slow down") as caught:
        memory.add(MESSAGES, user_id="u")
    memory.close()
    assert caught.value.__cause__ is failure
    assert (caught.value.status, caught.value.retry_after) == (429, 3.0)
