"""docs/providers.md tells the truth."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from isomem.providers.llm.openai import ChatLLM
from isomem.providers.registry import EMBEDDERS, LLMS, _factory, create_embedder
from isomem.providers.reranker.llm import OPTIONS
from isomem.providers.settings import EMBEDDER_OPTIONS, LLM_OPTIONS, NETWORK_OPTIONS

PAGE = Path(__file__).parents[3].joinpath("docs", "providers.md").read_text("utf-8")
MODELS, REST = PAGE.split("## Embedders")
VECTORS, RERANKER = REST.split("## Reranker")


@pytest.mark.parametrize("block", re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
def test_the_examples_run(block: str) -> None:
    exec(compile(block, "docs/providers.md", "exec"), {})


@pytest.mark.parametrize("name", LLMS.builtin)
def test_every_model_has_its_row(name: str) -> None:
    [row] = re.findall(
        rf"^\| `{name}` \| (.*) \|$", MODELS.split("Options of all")[0], re.MULTILINE
    )
    factory: Any = _factory(LLMS, name)
    if isinstance(factory, type) and issubclass(factory, ChatLLM):
        for fact in (
            *(factory.key_variable, factory.url_option, factory.url_variable),
            *(factory.default_url, factory.spare_key or ""),
        ):
            assert fact in row
        assert factory.default_model in row or name == "lmstudio"
        for option in factory.options:
            assert f"`{option}`" in MODELS


def test_every_option_is_listed() -> None:
    for option in (*LLM_OPTIONS, *NETWORK_OPTIONS):
        assert re.search(rf"^\| `{option}` \|", MODELS, re.MULTILINE), option
    for option in (*EMBEDDER_OPTIONS, *NETWORK_OPTIONS):
        assert f"`{option}`" in VECTORS, option
    for option in OPTIONS:
        assert f"`{option}`" in RERANKER, option


def test_every_embedder_has_its_row() -> None:
    for name in EMBEDDERS.builtin:
        [row] = re.findall(rf"^\| `{name}` \| (.*) \|$", VECTORS, re.MULTILINE)
        if name not in {"mock", "local"}:
            embedder: Any = create_embedder(name, {"api_key": "k"})
            assert f"`{embedder.config.model}`" in row
