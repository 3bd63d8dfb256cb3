"""What every embedder does: the one that runs here, the mocks, and those behind a protocol."""

from __future__ import annotations

import asyncio
import gc
import json
import math
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple

import pytest

from isomem.errors import (
    AuthenticationError,
    EmbeddingError,
    InvalidConfigError,
    NetworkError,
    RateLimitError,
)
from isomem.options import defaults_of
from isomem.providers.registry import EMBEDDERS, create_embedder
from isomem.providers.tables import EMBEDDER_OPTIONS
from tests.unit.providers.clouds import (
    NEEDED,
    access,
    account,
    bedrock,
    gemini,
    is_installed,
    skip_unless_installed,
    texts_in,
    token_server,
    vertexai,
)
from tests.unit.providers.servers import (
    KEY,
    Answer,
    Server,
    clean_environment,
    ollama,
    openai,
    serving,
    vector_of,
)

pytestmark = pytest.mark.usefixtures("few_objects")

OVER_HTTP = (
    *("aws_bedrock", "azure_openai", "gemini", "huggingface", "lmstudio", "ollama", "openai"),
    *("together", "vertexai"),
)
PROTOCOLS = {"aws_bedrock": bedrock, "gemini": gemini, "ollama": ollama, "vertexai": vertexai}
"""The others speak OpenAI's."""
TOKEN = "ya29.token"
TEXTS = ["I like tea.", "My dog is called Rex.", "Zürich\nand 東京 🗼"]


class Cloud(NamedTuple):
    """The servers by the name of the embedder, and a file with an account of Google."""

    servers: dict[str, Server]
    account: str


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with ExitStack() as stack:
        shared = stack.enter_context(serving(openai))
        servers = dict.fromkeys(OVER_HTTP, shared)
        for name, usual in PROTOCOLS.items():
            servers[name] = stack.enter_context(serving(usual))
        file = ""
        if is_installed("vertexai"):
            tokens = stack.enter_context(token_server([TOKEN]))
            file = str(account(tmp_path_factory.mktemp("google"), tokens))
        yield Cloud(servers, file)


def make(name: str, cloud: Cloud, **options: Any) -> Any:
    skip_unless_installed(name)
    if name in OVER_HTTP:
        url = options.pop("url", cloud.servers[name].url)
        known = {"model": "e-1", "embedding_dims": 3, **options}
        return create_embedder(name, {**known, **access(name, url, file=cloud.account)})
    if name == "langchain":
        return create_embedder(name, {"embedding_dims": 3, **options, **NEEDED[name]})
    if name == "fastembed":
        pytest.skip("its models are downloaded; tests/contract/test_libraries.py has one")
    if name == "hash":
        return create_embedder("mock", {"embedding_dims": 64, **options})
    return create_embedder(name, options)


@pytest.fixture(params=[*EMBEDDERS.builtin, "hash"])
def embedder(
    request: pytest.FixtureRequest, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    clean_environment(monkeypatch)
    for server in cloud.servers.values():
        server.forget()
    embedder = make(request.param, cloud)
    yield embedder
    embedder.close()


@pytest.fixture(params=OVER_HTTP)
def remote(
    request: pytest.FixtureRequest, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Any, Server]]:
    clean_environment(monkeypatch)
    cloud.servers[request.param].forget()
    embedder = make(request.param, cloud)
    yield embedder, cloud.servers[request.param]
    embedder.close()


def test_a_vector_is_a_list_of_dims_finite_numbers(embedder: Any) -> None:
    for text in TEXTS:
        vector = embedder.embed(text, "add")
        assert len(vector) == embedder.dims
        assert all(type(value) is float and math.isfinite(value) for value in vector)


def test_a_text_has_one_vector_whatever_it_is_for_if_the_embedder_says_so(embedder: Any) -> None:
    for action in ("add", "search", "update", None):
        assert embedder.embed(TEXTS[0], action) == embedder.embed(TEXTS[0], action)
        if embedder.ignores_action:
            assert embedder.embed(TEXTS[0], action) == embedder.embed(TEXTS[0])


def test_a_batch_is_its_texts_one_by_one_in_order(embedder: Any) -> None:
    for action in ("add", "search"):
        assert embedder.embed_batch(TEXTS, action) == [embedder.embed(t, action) for t in TEXTS]


def test_a_batch_of_nothing_is_nothing(embedder: Any) -> None:
    assert embedder.embed_batch([]) == []


def test_a_batch_may_be_long(embedder: Any) -> None:
    texts = [f"fact number {n}" for n in range(250)]
    vectors = embedder.embed_batch(texts)
    assert len(vectors) == 250
    assert vectors[249] == embedder.embed(texts[249])


def test_its_identity_names_provider_and_model(embedder: Any) -> None:
    provider, _, model = embedder.identity.partition("/")
    assert provider in EMBEDDERS.builtin
    assert model


def test_upstreams_attributes_are_there(embedder: Any) -> None:
    assert hasattr(embedder.config, "embedding_dims")
    assert hasattr(embedder.config, "model")


@pytest.mark.parametrize("name", EMBEDDERS.builtin)
def test_upstreams_options_are_all_taken(name: str, cloud: Cloud) -> None:
    every = defaults_of(EMBEDDER_OPTIONS) | {"api_key": KEY, "ollama_base_url": "x"}
    make(name, cloud, **every)


@pytest.mark.parametrize("name", EMBEDDERS.builtin)
def test_an_unknown_option_is_refused_and_the_nearest_suggested(name: str, cloud: Cloud) -> None:
    with pytest.raises(InvalidConfigError, match="'embedding_dims'"):
        make(name, cloud, embeding_dims=3)
    with pytest.raises(InvalidConfigError, match="embedding_dims"):
        make(name, cloud, embedding_dims=-3)


def test_it_can_be_used_after_it_was_closed(embedder: Any) -> None:
    before = embedder.embed(TEXTS[0])
    embedder.close()
    asyncio.run(embedder.aclose())
    assert embedder.embed(TEXTS[0]) == before


def test_printing_shows_no_key(remote: tuple[Any, Server]) -> None:
    embedder, _ = remote
    assert KEY not in f"{embedder!r} {embedder} {embedder.config!r}"


def test_the_asynchronous_way_gives_the_same(remote: tuple[Any, Server]) -> None:
    embedder, _ = remote

    async def vectors() -> Any:
        return await embedder.aembed(TEXTS[0], "search"), await embedder.aembed_batch(TEXTS)

    for _ in range(2):  # in two event loops
        single, batch = asyncio.run(vectors())
        assert single == embedder.embed(TEXTS[0])
        assert batch == embedder.embed_batch(TEXTS)
    gc.collect()  # a socket left open is a ResourceWarning here, and warnings are errors


def test_as_many_texts_go_into_one_request_as_it_can_have(remote: tuple[Any, Server]) -> None:
    embedder, server = remote
    texts = [f"{n}" for n in range(101)]
    assert embedder.embed_batch(texts) == [vector_of(text) for text in texts]
    size = embedder.batch_size
    assert [texts_in(seen) for seen in server.seen] == [
        texts[start : start + size] for start in range(0, 101, size)
    ]


def test_a_refused_key_is_an_authentication_error(remote: tuple[Any, Server]) -> None:
    embedder, server = remote
    key = TOKEN if embedder.name == "vertexai" else KEY
    server.always = Answer(401, json.dumps({"error": {"message": f"no such key {key}"}}))
    with pytest.raises(AuthenticationError, match=r"no such key \*\*\*") as caught:
        embedder.embed("x")
    assert caught.value.details["provider"] == embedder.identity.split("/")[0]
    assert caught.value.details["model"] == "e-1"
    assert caught.value.details["status"] == 401


def test_failures_are_tried_again_and_then_named(remote: tuple[Any, Server]) -> None:
    embedder, server = remote
    server.answers = [Answer(503, headers={"Retry-After": "0"})]
    assert embedder.embed("abc") == vector_of("abc")
    server.always = Answer(429, headers={"Retry-After": "0"})
    with pytest.raises(RateLimitError):
        embedder.embed_batch(["abc"])
    server.always = Answer(502, "bad gateway", {"Retry-After": "0"})
    with pytest.raises(EmbeddingError, match=r"502.*bad gateway") as caught:
        asyncio.run(embedder.aembed("abc"))
    assert caught.value.error_code == "EMBED_001"


@pytest.mark.parametrize("name", OVER_HTTP)
def test_a_server_that_is_not_there_is_a_network_error(name: str, cloud: Cloud) -> None:
    embedder = make(name, cloud, max_retries=0, url="http://127.0.0.1:9")
    with pytest.raises(NetworkError, match=r"127\.0\.0\.1:9"):
        embedder.embed("x")
    embedder.close()


@pytest.mark.parametrize(
    "body",
    [
        *({}, [], None, "x", {"data": None}, {"data": []}, {"data": [{}]}, {"data": [3]}),
        *({"data": [{"embedding": []}]}, {"data": [{"embedding": "AAAA"}]}),
        *({"data": [{"embedding": [None]}]}, {"data": [{"embedding": [True]}]}),
        *({"data": [{"index": "a", "embedding": [1.0]}]}, {"data": {"embedding": [1.0]}}),
        *({"embeddings": []}, {"embeddings": None}, {"embeddings": [[]]}, {"embeddings": [["x"]]}),
        *({"embeddings": [[1.0], [2.0]]}, {"data": [{"embedding": [1.0]}] * 2}),
    ],
)
def test_an_answer_of_another_shape_names_what_is_missing(
    remote: tuple[Any, Server], body: Any
) -> None:
    embedder, server = remote
    server.always = Answer(body=json.dumps(body))
    with pytest.raises(EmbeddingError, match="answered without"):
        embedder.embed("x")
    with pytest.raises(EmbeddingError, match="answered without"):
        embedder.embed_batch(["x", "y", "z"])


@pytest.mark.parametrize("name", [*OVER_HTTP, "e5", "local", "wordllama"])
def test_text_that_cannot_be_sent_is_an_embedding_error(name: str, cloud: Cloud) -> None:
    with pytest.raises(EmbeddingError):
        make(name, cloud).embed("a \ud800 b")


def test_an_error_inside_an_answer_keeps_the_servers_sentence(remote: tuple[Any, Server]) -> None:
    embedder, server = remote
    server.always = Answer(body={"error": {"message": "the model is not loaded"}})
    with pytest.raises(EmbeddingError, match="status 200 and an error: the model is not loaded"):
        embedder.embed("x")
