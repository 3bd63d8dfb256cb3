"""The local embedder: real vectors, from files that are already there."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from isomem.errors import DependencyError, InvalidConfigError
from isomem.providers.embedder import local
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
    return create_embedder("local", {})


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
    short: Any = create_embedder("local", {"embedding_dims": dims})
    assert short.dims == dims
    assert short.embed(TEXTS[0]) == embedder.embed(TEXTS[0])[:dims]


def test_other_lengths_and_models_are_refused() -> None:
    with pytest.raises(InvalidConfigError, match="64, 128, 256"):
        create_embedder("local", {"embedding_dims": 300})
    with pytest.raises(InvalidConfigError, match="wordllama-l2-supercat"):
        create_embedder("local", {"model": "bge"})


def test_it_asks_no_network_and_loads_neither_numpy_nor_the_package() -> None:
    script = """
import socket, sys
def refuse(*_, **__): raise OSError("the network is off")
socket.socket = socket.create_connection = socket.getaddrinfo = refuse
from isomem.providers.registry import create_embedder
assert len(create_embedder("local").embed("hello")) == 256
print([name for name in ("numpy", "wordllama", "requests", "pydantic") if name in sys.modules])
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    environment.update(HOME="/nonexistent", HF_HUB_OFFLINE="1")
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.strip() == "[]"


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DependencyError, match=r"isomem\[local\]"):
        create_embedder("local", {})


@pytest.mark.parametrize("damage", ["missing", "empty", "header", "kind"])
def test_files_of_another_kind_are_named(tmp_path: Path, damage: str) -> None:
    weights = tmp_path.joinpath(*local._WEIGHTS)
    weights.parent.mkdir()
    tensor = '{"embedding.weight":{"dtype":"F32","shape":[1,256],"data_offsets":[0,4]}}'
    contents = {
        "empty": b"",
        "header": (9).to_bytes(8, "little") + b"{}",
        "kind": len(tensor).to_bytes(8, "little") + tensor.encode(),
    }
    if damage != "missing":
        weights.write_bytes(contents[damage])
    embedder = local.LocalEmbedder()
    embedder._directory = str(tmp_path)
    with pytest.raises(DependencyError, match="cannot be read"):
        embedder.embed("x")


def test_it_can_be_let_go_of(embedder: Any) -> None:
    before = embedder.embed("x")
    embedder.close()
    assert embedder._model is None
    assert embedder.embed("x") == before
