"""The embedder of older stores: real vectors, from two files of a package."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from isomem.errors import DependencyError, EmbeddingError, InvalidConfigError
from isomem.providers.embedder import wordllama as module
from isomem.providers.registry import create_embedder

wordllama = pytest.importorskip("wordllama", exc_type=ImportError)

TEXTS = [
    "I love hiking in the Alps, and my dog is called Rex.",
    "",
    "東京 🗼 Zürich\n\n\ttabs",
    "word " * 1000,
    "x",
]


@pytest.fixture(scope="module")
def embedder() -> Any:
    return create_embedder("wordllama", {})


def cosine(a: list[float], b: list[float]) -> float:
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def test_vectors_are_those_of_the_packages_own_loader(embedder: Any) -> None:
    folder = Path(wordllama.__file__).parent
    theirs = wordllama.WordLlama.load(cache_dir=folder, dim=256, disable_download=True)
    for text, expected in zip(TEXTS, theirs.embed(TEXTS).tolist(), strict=True):
        assert embedder.embed(text) == pytest.approx(expected, abs=2e-6)


def test_what_means_the_same_is_nearer(embedder: Any) -> None:
    query = embedder.embed("What is the name of my pet?")
    near = cosine(query, embedder.embed("User has a dog called Rex"))
    far = cosine(query, embedder.embed("The quarterly report is due on Friday"))
    assert near > far


@pytest.mark.parametrize("dims", [64, 128, 256])
def test_a_shorter_vector_is_the_beginning_of_the_full_one(embedder: Any, dims: int) -> None:
    short: Any = create_embedder("wordllama", {"embedding_dims": dims})
    assert short.dims == dims
    assert short.embed(TEXTS[0]) == embedder.embed(TEXTS[0])[:dims]


def test_other_lengths_and_models_are_refused() -> None:
    with pytest.raises(InvalidConfigError, match="64, 128, 256"):
        create_embedder("wordllama", {"embedding_dims": 300})
    with pytest.raises(InvalidConfigError, match="wordllama-l2-supercat"):
        create_embedder("wordllama", {"model": "bge"})


def test_it_asks_no_network_and_loads_neither_numpy_nor_the_package() -> None:
    script = """
import socket, sys
def refuse(*_, **__): raise OSError("the network is off")
socket.socket = socket.create_connection = socket.getaddrinfo = refuse
from isomem.providers.registry import create_embedder
assert len(create_embedder("wordllama").embed("hello")) == 256
unwanted = {"numpy", "wordllama", "tokenizers", "requests", "pydantic"}
print(sorted(unwanted & set(sys.modules)))
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    environment.update(HOME="/nonexistent", HF_HUB_OFFLINE="1")
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.strip() == "[]"


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DependencyError, match=r"isomem\[wordllama\]"):
        create_embedder("wordllama", {})


@pytest.mark.parametrize("damage", ["missing", "empty", "header", "kind"])
def test_files_of_another_kind_are_named(tmp_path: Path, damage: str) -> None:
    weights = tmp_path.joinpath(*module._WEIGHTS)
    weights.parent.mkdir()
    tensor = '{"embedding.weight":{"dtype":"F32","shape":[1,256],"data_offsets":[0,4]}}'
    contents = {
        "empty": b"",
        "header": (9).to_bytes(8, "little") + b"{}",
        "kind": len(tensor).to_bytes(8, "little") + tensor.encode(),
    }
    if damage != "missing":
        weights.write_bytes(contents[damage])
    embedder = module.WordLlamaEmbedder()
    embedder._directory = str(tmp_path)
    with pytest.raises(DependencyError, match="cannot be read"):
        embedder.embed("x")


def test_it_can_be_let_go_of(embedder: Any) -> None:
    before = embedder.embed("x")
    embedder.close()
    assert embedder._model is None
    assert embedder.embed("x") == before


# The first three numbers of vectors that isomem made when this was its local embedder.
BEFORE = {
    TEXTS[0]: (-0.13361570570203993, 0.09313265482584636, -0.16442129347059461),
    TEXTS[2]: (-0.06128633939302885, -0.30172494741586536, -0.0834491436298077),
    "<s>[INST] in  </s> \0\u2581\u2581 a": (
        -0.28706776012073865, 0.2758081609552557, 0.04412841796875,
    ),
    TEXTS[3]: (-1.1070706637112888, -0.2689892809826892, -0.3632486897867757),
    "": (0.0, 0.0, 0.0),
}  # fmt: skip


@pytest.mark.parametrize("text", BEFORE, ids=lambda text: ascii(text[:10]))
def test_vectors_are_those_of_older_stores(embedder: Any, text: str) -> None:
    # Since Python 3.12, `sum` rounds once less.
    assert embedder.embed(text)[:3] == pytest.approx(BEFORE[text], abs=1e-15)


def test_its_identity_is_the_one_that_older_stores_have(embedder: Any) -> None:
    assert embedder.identity == "local/wordllama-l2-supercat"


@pytest.mark.parametrize("text", ["a \ud800 b", None, 7, b"bytes"], ids=ascii)
def test_what_is_not_text_is_an_embedding_error(embedder: Any, text: Any) -> None:
    with pytest.raises(EmbeddingError, match="cannot read the text"):
        embedder.embed(text)


@pytest.mark.parametrize("contents", [b"", b"{}", b'{"vocab": {"a": 0}, "merges": []}', b"\xff"])
def test_another_vocabulary_is_named(
    tmp_path: Path, contents: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    vocabulary = tmp_path.joinpath(*module._TOKENIZER)
    vocabulary.parent.mkdir()
    vocabulary.write_bytes(contents)
    weights = Path(module._directory()).joinpath(*module._WEIGHTS)
    monkeypatch.setattr(module, "_WEIGHTS", (str(weights),))
    made = module.WordLlamaEmbedder()
    made._directory = str(tmp_path)
    with pytest.raises(DependencyError, match="cannot be read"):
        made.embed("x")
