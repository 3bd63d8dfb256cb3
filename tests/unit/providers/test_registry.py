"""From a name to a provider."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from isomem.errors import DependencyError, InvalidConfigError
from isomem.providers import registry
from isomem.providers.bridge import copy
from isomem.providers.registry import (
    EMBEDDERS,
    LLMS,
    RERANKERS,
    VECTOR_STORES,
    Kind,
    create_embedder,
    create_llm,
    create_reranker,
    create_vector_store,
    is_bridged,
)

KINDS = [
    (LLMS, create_llm),
    (EMBEDDERS, create_embedder),
    (RERANKERS, create_reranker),
    (VECTOR_STORES, create_vector_store),
]
kinds = pytest.mark.parametrize(
    ("kind", "create"), KINDS, ids=lambda value: getattr(value, "title", "")
)


class Point:
    """An entry point of an installed package."""

    name = "mine"
    value = "their.package:make"

    def __init__(self, factory: Any) -> None:
        self._factory = factory

    def load(self) -> Any:
        if isinstance(self._factory, Exception):
            raise self._factory
        return self._factory


def install(monkeypatch: pytest.MonkeyPatch, group: str, factory: Any) -> None:
    def entry_points(**selection: str) -> list[Point]:
        return [Point(factory)] if selection == {"group": group} else []

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)


@kinds
def test_every_built_in_name_leads_to_something_that_can_be_called(kind: Kind, create: Any) -> None:
    for name in kind.builtin:
        assert callable(registry._factory(kind, name))


@kinds
def test_no_name_is_both_ours_and_missing(kind: Kind, create: Any) -> None:
    assert not kind.elsewhere & kind.builtin.keys()


@kinds
def test_a_misspelt_provider_is_refused_and_the_nearest_suggested(kind: Kind, create: Any) -> None:
    for name in kind.builtin:
        with pytest.raises(InvalidConfigError) as caught:
            create(f"{name}x", {})
        assert set(caught.value.details["known"]) >= kind.builtin.keys() | kind.elsewhere
        assert "Did you mean" in str(caught.value)


@kinds
@pytest.mark.parametrize("name", ["", "zzzzzz", None, 3, ["openai"]])
def test_what_is_no_name_at_all_is_refused(kind: Kind, create: Any, name: Any) -> None:
    with pytest.raises(ValueError, match=f"Unknown {kind.title}"):
        create(name, {})


@kinds
def test_without_mem0_a_provider_that_only_it_has_names_what_to_install(
    kind: Kind, create: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copy, "folder", lambda: None)
    for name in kind.elsewhere:
        assert is_bridged(kind, name)
        with pytest.raises(DependencyError, match=rf"{name}.*pip install mem0ai") as caught:
            create(name, {})
        assert caught.value.details == {"package": "mem0ai", "given": name}
        is_store = kind is VECTOR_STORES
        assert ("`isomem import`" in str(caught.value)) == is_store
    assert not set(registry.names_of(kind)) & kind.elsewhere


@kinds
def test_an_installed_package_takes_precedence_over_mem0(
    kind: Kind, create: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in kind.elsewhere:
        monkeypatch.setattr(Point, "name", name)
        install(monkeypatch, kind.group, lambda config: "theirs")
        assert create(name, {}) == "theirs"
        assert not is_bridged(kind, name)


@kinds
def test_an_installed_package_can_bring_a_provider(
    kind: Kind, create: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, kind.group, lambda config: ("made", config))
    assert create("mine", {"a": 1}) == ("made", {"a": 1})
    assert create("mine") == ("made", {})


@kinds
def test_a_package_that_cannot_be_loaded_is_named(
    kind: Kind, create: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, kind.group, ImportError("no module named torch"))
    with pytest.raises(InvalidConfigError, match=r"their\.package:make.*torch"):
        create("mine", {})


def test_a_package_cannot_replace_what_is_built_in(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, "isomem.llms", lambda config: "theirs")
    assert create_llm("mock", {}) != "theirs"


@pytest.mark.parametrize(
    "code",
    [
        "import isomem.providers.registry",
        "from isomem.providers.registry import *; create_llm('mock'); create_embedder('mock')",
        "from isomem.providers.registry import *; create_llm('openai', {'api_key': 'k'})",
        "import isomem.testing",
    ],
)
def test_what_is_not_used_is_not_imported(code: str) -> None:
    heavy = "httpx,logging,dataclasses,typing,importlib.metadata,asyncio,hashlib,json,re".split(",")
    # The package itself brings the memory and its store; what providers add is looked at alone.
    script = f"""
import sys, types
sys.path[:] = {sys.path}
sys.modules["isomem"] = package = types.ModuleType("isomem")
package.__path__ = [{str(Path(registry.__file__).parent.parent)!r}]
{code}
print([name for name in {heavy} if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-S", "-c", script],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
