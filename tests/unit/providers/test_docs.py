"""docs/providers.md tells the truth."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from isomem.providers.registry import EMBEDDERS, LLMS, create_embedder, create_llm
from tests.unit.providers.clouds import NEEDED, NO_ADDRESS, skip_unless_installed

PAGE = Path(__file__).parents[3].joinpath("docs", "providers.md").read_text("utf-8")
MODELS, VECTORS = PAGE.split("## Reranker")[0].split("## Embedders")


@pytest.mark.parametrize(
    ("create", "text", "name"),
    [
        *((create_llm, MODELS, name) for name in LLMS.builtin),
        *((create_embedder, VECTORS, name) for name in EMBEDDERS.builtin),
    ],
)
def test_a_provider_does_what_its_row_says(create: Any, text: str, name: str) -> None:
    """The model and the address are those of the object that is made, not of a table."""
    row = re.search(rf"^\| `{name}` \| (.*) \|$", text, re.MULTILINE)
    assert row is not None
    if name == "wordllama":
        pytest.importorskip("wordllama")
    skip_unless_installed(name)
    if name == "huggingface":
        pytest.importorskip("sentence_transformers")
    made = create(name, {"api_key": "k", **NEEDED.get(name, {})})
    assert f"`{made.config.model}`" in row[1] or name in {"azure_openai", "langchain", "mock"}
    if name not in NO_ADDRESS:
        assert f"`{getattr(made, 'base_url', '')}`" in f"{row[1]}``"
