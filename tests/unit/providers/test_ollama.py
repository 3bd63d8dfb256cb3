"""Ollama: where it is, and what it is told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from isomem.errors import EmbeddingError, InvalidConfigError, LLMError, NetworkError
from isomem.prompts import loader
from isomem.providers import ollama as common
from isomem.providers.llm.ollama import asking_for_json
from isomem.providers.registry import create_embedder, create_llm
from tests.unit.providers.servers import Answer, Server, ollama, serving

HELLO = [{"role": "user", "content": "hi"}]


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(ollama) as server:
        yield server


@pytest.mark.parametrize(
    ("written", "address"),
    [
        (None, "http://127.0.0.1:11434"),
        ("", "http://127.0.0.1:11434"),
        ("1.2.3.4", "http://1.2.3.4:11434"),
        (":56789", "http://127.0.0.1:56789"),
        ("example.com", "http://example.com:11434"),
        ("example.com:56789/path/", "http://example.com:56789/path"),
        ("http://example.com", "http://example.com:80"),
        ("https://example.com", "https://example.com:443"),
        ("https://example.com:1/a/b", "https://example.com:1/a/b"),
        ("[::1]", "http://[::1]:11434"),
        ("https://[::1]:5", "https://[::1]:5"),
        ("http://me:pw@h", "http://me:pw@h:80"),
    ],
)
def test_a_host_is_written_as_ollama_takes_it(written: str | None, address: str) -> None:
    assert common.address(written) == address


def test_the_variable_counts_when_nothing_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "elsewhere:1")
    llm: Any = create_llm("ollama", {})
    embedder: Any = create_embedder("ollama", {"ollama_base_url": "here:2"})
    assert (llm.base_url, embedder.base_url) == ("http://elsewhere:1", "http://here:2")


def test_a_model_that_was_not_pulled_is_named_with_the_command(server: Server) -> None:
    answer = Answer(404, {"error": 'model "m" not found, try pulling it first'})
    options = {"ollama_base_url": server.url, "model": "m:7b"}
    llm: Any = create_llm("ollama", options)
    embedder: Any = create_embedder("ollama", options)
    server.always = answer
    with pytest.raises(LLMError, match="not found") as caught:
        llm.generate_response([{"role": "user", "content": "x"}])
    assert "ollama pull m:7b" in str(caught.value.suggestion)
    with pytest.raises(EmbeddingError, match="not found") as failed:
        embedder.embed("x")
    assert "ollama pull m:7b" in str(failed.value.suggestion)
    assert [seen.path for seen in server.seen] == ["/api/chat", "/api/embed"]
    llm.close()
    embedder.close()


def test_when_it_does_not_run_the_command_to_start_it_is_named() -> None:
    llm: Any = create_llm("ollama", {"ollama_base_url": "127.0.0.1:9", "max_retries": 0})
    with pytest.raises(NetworkError) as caught:
        llm.generate_response([{"role": "user", "content": "x"}])
    assert "ollama serve" in str(caught.value.suggestion)
    llm.close()


def test_asking_for_json_is_also_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {"OLLAMA_JSON_SUFFIX": " (JSON)", "OLLAMA_JSON_MESSAGE": "JSON!"}
    monkeypatch.setattr(loader, "_checked", texts)
    user, other = {"role": "user", "content": "a"}, {"role": "system", "content": "b"}
    assert asking_for_json([other, user]) == [other, {"role": "user", "content": "a (JSON)"}]
    assert asking_for_json([other]) == [other, {"role": "user", "content": "JSON!"}]
    assert asking_for_json([]) == [{"role": "user", "content": "JSON!"}]
    assert user["content"] == "a"


def test_arguments_of_a_tool_call_may_be_text(server: Server) -> None:
    calls = [{"function": {"name": "f", "arguments": '{"a": 1}'}}, {}]
    server.answers = [Answer(body={"message": {"content": "", "tool_calls": calls}})]
    llm: Any = create_llm("ollama", {"ollama_base_url": server.url})
    reply = llm.generate_response([{"role": "user", "content": "x"}], tools=[{"type": "function"}])
    llm.close()
    assert reply["tool_calls"] == [
        {"name": "f", "arguments": {"a": 1}},
        {"name": "", "arguments": {}},
    ]


def test_one_text_is_sent_as_a_text_and_many_as_a_list() -> None:
    embedder: Any = create_embedder("ollama", {})
    assert embedder.request(["a"]).body["input"] == "a"
    assert embedder.request(["a", "b"]).body["input"] == ["a", "b"]
    assert (embedder.dims, embedder.identity) == (None, "ollama/nomic-embed-text")


def test_its_own_options_are_sent_where_ollama_expects_them() -> None:
    own = {"num_ctx": 16384, "think": "low", "keep_alive": "10m"}
    body = create_llm("ollama", own).request(HELLO, None, None, "auto", {}).body  # type: ignore[attr-defined]
    assert body["options"]["num_ctx"] == 16384
    assert (body["think"], body["keep_alive"]) == ("low", "10m")
    plain = create_llm("ollama").request(HELLO, None, None, "auto", {}).body  # type: ignore[attr-defined]
    assert not {"think", "keep_alive"} & plain.keys()
    assert "num_ctx" not in plain["options"]


@pytest.mark.parametrize(
    "odd", [{"num_ctx": 0}, {"think": "a lot"}, {"think": 1}, {"keep_alive": True}]
)
def test_odd_values_of_its_own_options_are_refused(odd: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfigError, match=next(iter(odd))):
        create_llm("ollama", odd)
