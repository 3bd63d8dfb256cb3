"""The same call, made by upstream with the real SDKs and by us, to a server that records it."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from isomem.providers.registry import create_embedder, create_llm
from tests.unit.providers.servers import (
    KEY,
    Answer,
    Server,
    clean_environment,
    ollama,
    openai,
    serving,
)

pytest.importorskip("mem0")
pytestmark = [
    pytest.mark.oracle,
    # What upstream and its dependencies deprecate or leave open is theirs.
    pytest.mark.filterwarnings("ignore"),
]

MESSAGES = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": 'Grüezi, "東京" 🗼\n\t\\'},
]
JSON = {"type": "json_object"}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "Looks it up",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string", "description": "where"}},
                "required": ["city"],
            },
        },
    }
]
CALLS: list[dict[str, Any]] = [
    {},
    {"response_format": JSON},
    {"tools": TOOLS},
    {"tools": TOOLS, "tool_choice": "required", "response_format": JSON},
]
EXTRA: list[dict[str, Any]] = [
    {"seed": 7, "stop": ["x"]},
    {"temperature": 0.9},
    {"extra_query": {"v": "1"}, "timeout": 30},
    {"extra_headers": {"X-Team": "blue"}, "extra_body": {"min_p": 0.1}},
]
# Provider, its options, and calls that only some take.
LLMS: list[tuple[str, dict[str, Any], list[dict[str, Any]]]] = [
    ("openai", {}, EXTRA),
    ("openai", {"model": "gpt-4.1-nano", "temperature": 0, "max_tokens": None}, EXTRA),
    ("openai", {"model": "o3-mini", "reasoning_effort": "low"}, EXTRA),
    ("openai", {"model": "Openai/O1-2024-12-17", "store": True}, EXTRA),
    ("openai", {"model": "gpt-5", "store": False}, EXTRA),
    ("openai", {"model": "gpt-5.4-mini", "top_p": 1.0, "top_k": 5}, []),
    ("deepseek", {}, EXTRA),
    ("minimax", {}, EXTRA),
    ("vllm", {}, EXTRA),
    ("lmstudio", {}, EXTRA),
    ("lmstudio", {"lmstudio_response_format": {"type": "text"}}, []),
    ("ollama", {}, []),
    ("ollama", {"model": "qwen3:8b", "temperature": 0.5, "max_tokens": 17}, []),
]
EMBEDDERS: list[tuple[str, dict[str, Any]]] = [
    ("openai", {}),
    ("openai", {"model": "text-embedding-3-large", "embedding_dims": 3}),
    ("ollama", {"model": "nomic-embed-text"}),
]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    clean_environment(monkeypatch)
    monkeypatch.setenv("MEM0_TELEMETRY", "False")


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, Server]]:
    with serving(openai) as first, serving(ollama) as second:
        yield {"openai": first, "ollama": second}


def server_of(provider: str, servers: dict[str, Server]) -> Server:
    server = servers.get(provider, servers["openai"])
    server.forget()
    return server


def theirs_llm(provider: str, options: dict[str, Any]) -> Any:
    pytest.importorskip({"ollama": "ollama", "groq": "groq"}.get(provider, "openai"))
    from mem0.utils.factory import LlmFactory

    return LlmFactory.create(provider, dict(options))


@contextmanager
def both(*providers: Any) -> Iterator[Any]:
    """Closes upstream's SDK client, and ours, when the test is done with them."""
    try:
        yield providers
    finally:
        for provider in providers:
            llm = getattr(provider, "llm", provider)
            getattr(llm, "client", llm).close()


def sent(server: Server) -> list[tuple[str, Any, str | None]]:
    return [(s.path, s.content, s.headers.get("authorization")) for s in server.seen]


def unordered(request: tuple[str, Any, str | None]) -> tuple[str, Any, str | None]:
    path, content, key = request
    return path, json.loads(content), key


@pytest.mark.parametrize(("provider", "options", "extra"), LLMS)
def test_a_model_is_sent_the_same_and_says_the_same(
    provider: str,
    options: dict[str, Any],
    extra: list[dict[str, Any]],
    servers: dict[str, Server],
) -> None:
    server = server_of(provider, servers)
    given = {f"{provider}_base_url": server.url, "api_key": KEY, **options}
    if provider == "ollama":
        del given["api_key"]  # upstream ignores it there
    with both(theirs_llm(provider, given), create_llm(provider, given)) as pair:
        for call in [*CALLS, *extra]:
            replies = [
                llm.generate_response(copy.deepcopy(MESSAGES), **copy.deepcopy(call))
                for llm in pair
            ]
            upstream, mine = sent(server)
            if provider == "ollama":  # its SDK's own order of keys
                upstream, mine = map(unordered, (upstream, mine))
            assert mine == upstream
            assert replies[0] == replies[1]
            server.forget()


def test_groq_is_sent_the_same(servers: dict[str, Server], monkeypatch: pytest.MonkeyPatch) -> None:
    server = server_of("groq", servers)
    monkeypatch.setenv("GROQ_BASE_URL", server.url)
    with both(*(make("groq", {"api_key": KEY}) for make in (theirs_llm, create_llm))) as pair:
        for call in CALLS:
            for llm in pair:
                llm.generate_response(MESSAGES, **call)
            upstream, mine = map(unordered, sent(server))
            assert mine == upstream
            server.forget()


def test_openrouter_is_sent_the_same(
    servers: dict[str, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = server_of("openai", servers)
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-or-12345678")
    options = {
        "openrouter_base_url": server.url,
        "site_url": "https://me.example",
        "app_name": "mine",
        "store": True,
    }
    with both(theirs_llm("openai", options), create_llm("openai", options)) as pair:
        for llm in pair:
            llm.generate_response(MESSAGES, response_format=JSON)
    upstream, mine = server.seen
    assert mine.content == upstream.content
    for name in ("authorization", "http-referer", "x-title"):
        assert mine.headers[name] == upstream.headers[name]


@pytest.mark.parametrize(("provider", "options"), EMBEDDERS)
def test_an_embedder_is_sent_the_same_and_gives_the_same(
    provider: str,
    options: dict[str, Any],
    servers: dict[str, Server],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip(provider)
    from mem0.utils.factory import EmbedderFactory

    if provider == "ollama":
        from mem0.embeddings.ollama import OllamaEmbedding

        # It would ask for the list of models, and fetch one.
        monkeypatch.setattr(OllamaEmbedding, "_ensure_model_exists", lambda self: None)
    server = server_of(provider, servers)
    given = {f"{provider}_base_url": server.url, **options}
    given.update({"api_key": KEY} if provider == "openai" else {})
    theirs = EmbedderFactory.create(provider, dict(given), None)
    text = "Zürich\nand 東京"
    with both(theirs, create_embedder(provider, given)) as pair:
        assert pair[0].embed(text, "add") == pair[1].embed(text, "add")
        upstream, mine = sent(server)
        assert unordered(mine) == unordered(upstream)
        assert provider != "openai" or mine == upstream
        server.forget()
        texts = [f"{text} {n}" for n in range(150)]
        assert pair[0].embed_batch(texts) == pair[1].embed_batch(texts)
        assert provider != "openai" or sent(server)[:2] == sent(server)[2:]


def test_the_reranker_asks_the_same_and_ranks_the_same(servers: dict[str, Server]) -> None:
    from mem0.utils.factory import RerankerFactory

    from isomem.providers.registry import create_reranker

    server = server_of("openai", servers)
    texts = ["0.25", "about 0.9!", "1", "-0.3", "1.7", "no idea", "0 or 1", "", ".5"]
    documents = [{"memory": "m" * 5000, "id": n} for n in range(len(texts) + 2)]
    documents[-2] = {"text": 3, "id": "number"}
    documents[-1] = {"content": "c", "id": "content"}
    config = {
        "api_key": KEY,
        "top_k": 20,
        "llm": {"provider": "openai", "config": {"openai_base_url": server.url}},
    }
    rankings = []
    for make in (RerankerFactory.create, create_reranker):
        choices = [{"index": 0, "message": {"role": "assistant", "content": t}} for t in texts]
        server.answers = [Answer(body={"choices": [choice]}) for choice in choices]
        with both(make("llm_reranker", dict(config))) as (reranker,):
            rankings.append(reranker.rerank("q" * 5000, documents, 10))
    assert rankings[0] == rankings[1]
    half = len(server.seen) // 2
    assert [s.content for s in server.seen[:half]] == [s.content for s in server.seen[half:]]
