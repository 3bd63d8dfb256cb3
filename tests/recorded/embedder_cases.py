"""The embedders and rerankers that are compared, and how ours deliberately differ."""

from __future__ import annotations

import re
import sys
import types
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import pytest

from tests.recorded.comparison import KEY, Case, Difference, Sent
from tests.recorded.failures import TIMEOUT_S, Outcome
from tests.recorded.llm_cases import OF_SDK, hurried
from tests.unit.providers.clouds import bedrock, gemini
from tests.unit.providers.servers import Seen, ollama, openai

TEXTS = ["I like tea.", 'Grüezi,\n"東京" 🗼\t\\', " "]
ACTIONS = ("add", "search", "update", None)


def with_header(name: str, value: str) -> Any:
    """A change of a request: another value of a header."""
    return lambda sent: replace(sent, headers={**sent.headers, name: value})


def with_part(name: str, value: object) -> Any:
    """A change of a request: another value in its body."""
    return lambda sent: replace(sent, body={**sent.body, name: value})


ACCEPT = Difference(
    "the embedder `gemini`, and `cohere`",
    "has `Accept: */*`",
    "has `Accept: application/json`",
    with_header("accept", "application/json"),
)
FLOATS = Difference(
    "the embedder `lmstudio`",
    "the SDK asks for vectors in base 64",
    "asks for numbers; vectors in base 64 are read, too",
    with_part("encoding_format", "float"),
)


def unsigned(sent: Sent) -> Sent:
    """The request without the time and the signature itself."""
    said = re.sub("Signature=.*", "Signature=…", sent.headers["authorization"])
    return replace(sent, headers={**sent.headers, "authorization": said, "x-amz-date": ""})


UNSIGNED = Difference(
    "the embedder `aws_bedrock`",
    "writes JSON with spaces and escapes",
    "writes it without, so the signature is another one",
    unsigned,
)


BATCH = Difference(
    "embedders but `azure_openai` and `openai`, with several texts",
    "sends each text in a request of its own",
    "sends as many at once as the service takes",
)


def azure(**options: Any) -> Case:
    kwargs = {"azure_endpoint": "{url}", "api_version": "2024-02-01", "api_key": KEY}
    return Case(
        "azure_openai", openai, {"azure_kwargs": {**kwargs, **options.pop("kwargs", {})}, **options}
    )


OPENAI = Case("openai", openai, {"openai_base_url": "{url}", "api_key": KEY}, same_bytes=True)
LMSTUDIO = Case(
    "lmstudio", openai, {"lmstudio_base_url": "{url}", "api_key": KEY}, differences=(FLOATS,)
)


def ollama_with_its_model(options: dict[str, Any]) -> Any:
    """Upstream's object, which does not ask for the list of models first and pull a missing one."""
    from mem0.configs.embeddings.base import BaseEmbedderConfig
    from mem0.embeddings.ollama import OllamaEmbedding

    class WithItsModel(OllamaEmbedding):  # type: ignore[misc]
        def _ensure_model_exists(self) -> None:
            pass

    return WithItsModel(BaseEmbedderConfig(**options))


OLLAMA = Case(
    "ollama",
    ollama,
    {"ollama_base_url": "{url}"},
    needs="ollama",
    make=ollama_with_its_model,
)
AZURE = replace(azure(kwargs={"azure_deployment": "d"}), same_bytes=True)
TOGETHER = Case(
    "together",
    openai,
    {"api_key": KEY},
    ours={"together_base_url": "{url}/v1"},
    environment={"TOGETHER_BASE_URL": "{url}"},
    needs="together",
)
GEMINI = Case(
    "gemini",
    gemini,
    {"api_key": KEY},
    environment={"GOOGLE_GEMINI_BASE_URL": "{url}"},
    needs="google.genai",
    differences=(ACCEPT,),
)
ENDPOINT = Case(
    "huggingface",
    openai,
    {"huggingface_base_url": "{url}"},
    environment={"OPENAI_API_KEY": KEY},
    same_bytes=True,
)
BEDROCK = Case(
    "aws_bedrock",
    bedrock,
    {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": KEY},
    environment={"AWS_ENDPOINT_URL_BEDROCK_RUNTIME": "{url}", "AWS_MAX_ATTEMPTS": "1"},
    needs="boto3",
)

EMBEDDERS = [
    OPENAI,
    OPENAI.with_(model="text-embedding-3-large", embedding_dims=3),
    LMSTUDIO,
    LMSTUDIO.with_(model="nomic"),
    AZURE,
    replace(azure(model="e-3"), same_bytes=True),
    azure(model="e-3", kwargs={"default_headers": {"X-Team": "blue"}}),
    TOGETHER,
    TOGETHER.with_(model="m-1"),
    OLLAMA,
    GEMINI,
    GEMINI.with_(model="text-embedding-004", embedding_dims=3),
    GEMINI.with_(model="models/x", output_dimensionality="256"),
    ENDPOINT,
    replace(
        ENDPOINT.with_(model="m-1", model_kwargs={"dimensions": 3, "user": "me"}),
        same_bytes=False,  # the SDK's own order of keys
    ),
    ENDPOINT.with_(
        model_kwargs={"extra_body": {"truncate": True}, "extra_headers": {"X-Team": "blue"}}
    ),
]
SIGNED = [
    BEDROCK,
    BEDROCK.with_(model="cohere.embed-english-v3:0", aws_region="eu-west-1"),
    BEDROCK.with_(model="arn:aws:bedrock:eu-west-1:1:inference-profile/us.x"),
    replace(BEDROCK, environment={**BEDROCK.environment, "AWS_SESSION_TOKEN": "token-1"}),
]
ONE_REQUEST = {"azure_openai", "openai"}
"""Embedders whose upstream's class sends a batch as one request, as ours do."""


def stand_in_for_sentence_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Upstream's class imports it even for an endpoint, which does not use it."""
    if find_spec("sentence_transformers") is None:
        module = types.ModuleType("sentence_transformers")
        vars(module)["SentenceTransformer"] = object
        monkeypatch.setitem(sys.modules, "sentence_transformers", module)


def hurried_gemini(theirs: Any) -> None:
    """Gives Google's client a short timeout."""
    from google.genai import types as google

    client = theirs.client._api_client
    client._http_options.timeout = int(TIMEOUT_S * 1000)
    assert isinstance(client._http_options, google.HttpOptions)


def hurried_ollama(theirs: Any) -> None:
    """The same for Ollama's."""
    theirs.client._client.timeout = TIMEOUT_S


def hurried_bedrock(theirs: Any) -> None:
    """The same for Amazon's."""
    theirs.client._endpoint.http_session._timeout = TIMEOUT_S


def hurried_vertexai(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for Google's sessions, which its library makes anew for each request."""
    from google.auth.transport.requests import AuthorizedSession

    request = AuthorizedSession.request
    monkeypatch.setattr(
        AuthorizedSession,
        "request",
        lambda *args, **kwargs: request(*args, **{**kwargs, "timeout": TIMEOUT_S}),
    )


ONE_OF_EACH = [
    *(replace(case, prepare=hurried) for case in (OPENAI, LMSTUDIO, AZURE, TOGETHER, ENDPOINT)),
    replace(GEMINI, prepare=hurried_gemini),
    replace(OLLAMA, prepare=hurried_ollama),
    replace(BEDROCK, prepare=hurried_bedrock),
]

OF_GEMINI: dict[str, Outcome] = {
    "401": ("ClientError", 1),
    "429": ("ClientError", 1),
    "500": ("ServerError", 1),
    "timeout": ("ReadTimeout", 1),
    "HTML": ("JSONDecodeError", 1),
    "truncated JSON": ("JSONDecodeError", 1),
    "error in a 200": ("TypeError", 1),
}
OF_OLLAMA: dict[str, Outcome] = {
    "401": ("ResponseError", 1),
    "429": ("ResponseError", 1),
    "500": ("ResponseError", 1),
    "timeout": ("ReadTimeout", 1),
    "HTML": ("JSONDecodeError", 1),
    "truncated JSON": ("JSONDecodeError", 1),
    "error in a 200": ("ValidationError", 1),
}
OF_VERTEXAI: dict[str, Outcome] = {
    "401": ("Unauthorized", 3),
    "429": ("TooManyRequests", 1),
    "500": ("InternalServerError", 1),
    "timeout": ("ReadTimeout", 1),
    "HTML": ("ParseError", 1),
    "truncated JSON": ("ParseError", 1),
    "error in a 200": ("IndexError", 1),
}
OF_BEDROCK: dict[str, Outcome] = {
    **dict.fromkeys(("401", "429", "500", "timeout", "HTML", "truncated JSON"), ("ValueError", 1)),
    "error in a 200": ("returns None", 1),
}
IN_BASE_64 = {**OF_SDK, "error in a 200": ("ValueError", 1)}
"""Of OpenAI's SDK where it asks for vectors in base 64."""

UPSTREAMS_FAILURES = {
    **{case.name: IN_BASE_64 for case in ONE_OF_EACH},
    "openai": OF_SDK,
    "together": OF_SDK,
    "gemini": OF_GEMINI,
    "ollama": OF_OLLAMA,
    "aws_bedrock": OF_BEDROCK,
}
"""What comes of each fault in upstream's own class."""

# --- Rerankers -------------------------------------------------------------------------------

DOCUMENTS: list[dict[str, Any]] = [
    {"id": "1", "memory": "Grüezi, 東京 🗼"},
    {"id": "2", "text": "My dog is called Rex, and he likes tea", "memory": "tea"},
    {"id": "3", "content": "tea\n"},
    {"id": "4"},
]


def ranks(seen: Seen) -> Any:
    """Both protocols: longer texts are better. Zero Entropy does not sort."""
    body = seen.body
    results = [
        {"index": index, "relevance_score": len(text) / 128}
        for index, text in enumerate(body["documents"])
    ]
    if "top_n" in body:
        results.sort(key=lambda result: -result["relevance_score"])
        results = results[: body["top_n"]]
    return {
        "id": "1",
        "results": results,
        "meta": {},
        "total_bytes": 1,
        "total_tokens": 1,
        "actual_latency_mode": "fast",
        "e2e_latency": 0.1,
        "inference_latency": 0.1,
    }


COHERE = Case(
    "cohere",
    ranks,
    {"api_key": KEY},
    ours={"cohere_base_url": "{url}"},
    needs="cohere",
    differences=(ACCEPT,),
)
ZERO_ENTROPY = Case(
    "zero_entropy",
    ranks,
    {"api_key": KEY},
    ours={"zero_entropy_base_url": "{url}/v1"},
    environment={"ZEROENTROPY_BASE_URL": "{url}/v1"},
    needs="zeroentropy",
)
RERANKERS = [
    COHERE,
    COHERE.with_(model="rerank-v3.5", top_k=3, return_documents=True, max_chunks_per_doc=2),
    ZERO_ENTROPY,
    ZERO_ENTROPY.with_(model="zerank-1-small", top_k=3),
]


def hurried_cohere(theirs: Any) -> None:
    """Gives Cohere's client a short timeout."""
    theirs.client._client_wrapper._timeout = TIMEOUT_S


ONE_RERANKER_OF_EACH = [
    replace(COHERE, prepare=hurried_cohere),
    replace(ZERO_ENTROPY, prepare=hurried),
]
