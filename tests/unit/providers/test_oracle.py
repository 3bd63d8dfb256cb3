"""The same call of an embedder or a reranker, made by upstream with the real SDKs and by us, to a
server that records it. tests/recorded compares the language models."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from isomem.providers.registry import create_embedder
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
