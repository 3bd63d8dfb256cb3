"""OpenAI and the services of its protocol: what is particular to each."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from isomem.errors import InvalidConfigError, LLMError
from isomem.providers.answers import MissingError, arguments
from isomem.providers.llm.openai import is_reasoning_model
from isomem.providers.registry import create_embedder, create_llm
from tests.unit.providers.servers import Answer, Server, openai, serving

MESSAGES = [{"role": "user", "content": "hi"}]


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with serving(openai) as server:
        yield server


@pytest.fixture
def server(running: Server) -> Server:
    running.forget()
    return running


def body(llm: Any, **call: Any) -> dict[str, Any]:
    request = llm.request(
        MESSAGES,
        call.pop("response_format", None),
        call.pop("tools", None),
        call.pop("tool_choice", "auto"),
        call,
    )
    found: dict[str, Any] = request.body
    return found


def headers(llm: Any) -> dict[str, str]:
    found: dict[str, str] = llm._headers
    return found


def test_the_defaults_are_upstreams() -> None:
    llm: Any = create_llm("openai", {"api_key": "sk-1234"})
    assert llm.base_url == "https://api.openai.com/v1"
    assert body(llm) == {
        "model": "gpt-5-mini",
        "messages": MESSAGES,
        "temperature": 0.1,
        "max_tokens": 2000,
        "top_p": 0.1,
    }


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        *[
            (m, True)
            for m in ("o1", "o1-preview", "o3", "o3-mini", "gpt-5", "gpt-5o", "gpt-5o-micro")
        ],
        *[(m, True) for m in ("openai/o3-mini", "O1-2024-12-17", "o3.5", "x/y/GPT-5")],
        *[
            (m, False)
            for m in ("gpt-5-mini", "gpt-5.4-mini", "gpt-4o", "o10", "llama-o1", "o4-mini")
        ],
    ],
)
def test_reasoning_models_are_those_upstream_knows(model: str, expected: bool) -> None:
    assert is_reasoning_model(model) is expected


def test_a_reasoning_model_is_sent_no_sampling_parameters() -> None:
    llm = create_llm("openai", {"api_key": "k", "model": "o3", "reasoning_effort": "low"})
    sent = body(llm, response_format={"type": "json_object"}, seed=3)
    assert set(sent) == {"model", "messages", "reasoning_effort", "response_format"}


def test_the_key_and_the_address_come_from_the_configuration_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-env")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://env/v1")
    monkeypatch.setenv("OPENAI_API_BASE", "http://old/v1")
    llm: Any = create_llm("openai", {})
    embedder: Any = create_embedder("openai", {})
    assert (llm.base_url, embedder.base_url) == ("http://env/v1", "http://old/v1")
    assert headers(llm) == headers(embedder) == {"Authorization": "Bearer sk-env"}
    given: Any = create_llm("openai", {"api_key": "sk-own", "openai_base_url": "http://own"})
    assert (given.base_url, headers(given)["Authorization"]) == ("http://own", "Bearer sk-own")


@pytest.mark.parametrize(
    ("provider", "variable"),
    [
        ("openai", "OPENAI_API_KEY"),
        ("groq", "GROQ_API_KEY"),
        ("together", "TOGETHER_API_KEY"),
        ("deepseek", "DEEPSEEK_API_KEY"),
        ("minimax", "MINIMAX_API_KEY"),
        ("xai", "XAI_API_KEY"),
    ],
)
def test_without_a_key_the_variable_to_set_is_named(
    provider: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidConfigError, match=variable):
        create_llm(provider, {})
    monkeypatch.setenv(variable, "sk-from-env")
    llm = create_llm(provider, {})
    assert headers(llm)["Authorization"] == "Bearer sk-from-env"
    assert "from-env" not in repr(llm)


def test_the_key_of_one_service_is_never_sent_to_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai")
    with pytest.raises(InvalidConfigError):
        create_llm("deepseek", {})


def test_ones_own_server_needs_no_key() -> None:
    llm = create_llm("openai", {"openai_base_url": "http://localhost:1/v1"})
    assert headers(llm) == {}


@pytest.mark.parametrize(("provider", "key"), [("vllm", "vllm-api-key"), ("lmstudio", "lm-studio")])
def test_local_servers_are_sent_a_stand_in(provider: str, key: str) -> None:
    assert headers(create_llm(provider, {})) == {"Authorization": f"Bearer {key}"}


def test_openrouter_is_used_when_its_key_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-or")
    llm: Any = create_llm("openai", {"api_key": "sk-own", "store": True, "models": ["a", "b"]})
    assert llm.base_url == "https://openrouter.ai/api/v1"
    assert headers(llm) == {"Authorization": "Bearer sk-or"}
    sent = body(llm)
    assert "model" not in sent
    assert "store" not in sent
    assert (sent["models"], sent["route"]) == (["a", "b"], "fallback")


def test_a_configured_address_wins_over_openrouters_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-or")
    llm: Any = create_llm("openai", {"openai_base_url": "http://localhost:1/v1"})
    assert llm.base_url == "http://localhost:1/v1"
    assert headers(llm) == {}


@pytest.mark.parametrize("provider", ["groq", "together", "xai"])
def test_some_services_take_no_further_parameters(provider: str) -> None:
    llm = create_llm(provider, {"api_key": "k"})
    assert "seed" not in body(llm, seed=3)
    assert "temperature" in body(create_llm(provider, {"api_key": "k", "model": "o3"}))


def test_lm_studio_is_always_told_a_format() -> None:
    assert body(create_llm("lmstudio", {}))["response_format"] == {"type": "json_object"}
    own = create_llm("lmstudio", {"lmstudio_response_format": {"type": "text"}})
    asked = body(own, response_format={"type": "json_object"})
    assert asked["response_format"] == {"type": "text"}


def test_a_callback_sees_every_answer(server: Server) -> None:
    seen: list[Any] = []
    llm: Any = create_llm(
        "openai",
        {"openai_base_url": server.url, "response_callback": lambda *args: seen.append(args)},
    )
    assert llm.generate_response(MESSAGES) == "HI"
    llm.close()
    [(caller, answer, parameters)] = seen
    assert caller is llm
    assert answer.choices[0].message.content == "HI"
    assert answer["choices"][0]["message"]["content"] == "HI"
    assert answer.model_dump()["id"] == "x"
    assert not hasattr(answer, "usage")
    assert parameters["messages"] == MESSAGES


def test_a_callback_that_fails_harms_nothing(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("oops")

    options = {"openai_base_url": server.url, "response_callback": broken}
    llm: Any = create_llm("openai", options)
    with caplog.at_level(logging.ERROR, "isomem"):
        assert llm.generate_response(MESSAGES) == "HI"
    llm.close()
    assert "oops" in caplog.text


@pytest.mark.parametrize(
    "text", ['{"a": 1}', ' {"a": 1}\n', '```json\n{"a": 1}\n```', 'Sure: {"a": 1}!']
)
def test_arguments_of_a_tool_call_are_found(text: str) -> None:
    assert arguments(text) == {"a": 1}


def test_arguments_that_hold_a_code_fence_are_left_whole() -> None:
    assert arguments('{"a": "```json\\n{}\\n```"}') == {"a": "```json\n{}\n```"}


def test_arguments_that_are_no_json_are_missing() -> None:
    with pytest.raises(MissingError):
        arguments("{a: 1")


@pytest.mark.parametrize("calls", [[{}], [{"function": {"name": "f", "arguments": "{"}}], [3]])
def test_a_malformed_tool_call_is_an_llm_error(server: Server, calls: Any) -> None:
    message = {"content": None, "tool_calls": calls}
    server.answers = [Answer(body={"choices": [{"message": message}]})]
    llm: Any = create_llm("openai", {"openai_base_url": server.url})
    with pytest.raises(LLMError, match="answered without"):
        llm.generate_response(MESSAGES, tools=[{}])
    llm.close()


@pytest.mark.parametrize(
    ("options", "dims", "sent"),
    [
        ({}, 1536, None),
        ({"model": "text-embedding-3-large"}, 3072, None),
        ({"model": "bge-m3"}, None, None),
        ({"model": "bge-m3", "embedding_dims": 1024}, 1024, 1024),
    ],
)
def test_a_length_is_sent_only_when_it_was_asked_for(
    options: dict[str, Any], dims: int | None, sent: int | None
) -> None:
    embedder: Any = create_embedder("openai", {"api_key": "k", **options})
    assert embedder.dims == dims
    assert embedder.request(["a\nb"]).body.get("dimensions") == sent
    assert embedder.request(["a\nb"]).body["input"] == ["a b"]


def test_items_without_an_index_are_taken_in_order(server: Server) -> None:
    server.answers = [Answer(body={"data": [{"embedding": [1.0]}, {"embedding": [2.0]}]})]
    embedder = create_embedder("openai", {"openai_base_url": server.url})
    assert embedder.embed_batch(["a", "b"]) == [[1.0], [2.0]]
    embedder.close()  # type: ignore[attr-defined]
