"""A real model, small as it is, behind real HTTP: what it says is what is remembered."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from isomem import Memory
from isomem.errors import LLMError
from isomem.providers.http import PROMPT_TOKENS
from isomem.testing import Recorder

pytestmark = pytest.mark.realmodel

SAID = "My sister Nora flies for a small airline in Lisbon."
PATIENCE_S = 3600


def memory(provider: str, url: str, **options: Any) -> Memory:
    model = {"model": "smollm2", f"{provider}_base_url": url, "api_key": "none", **options}
    return Memory.from_config(
        {
            "llm": {"provider": provider, "config": model},
            "embedder": {"provider": "mock", "config": {"embedding_dims": 256}},
            "vector_store": {"provider": "embedded", "config": {"path": ":memory:"}},
            "raise_on_llm_error": True,
        }
    )


def texts(memory: Memory) -> list[str]:
    return sorted(each["memory"] for each in memory.get_all(filters={"user_id": "ana"})["results"])


@pytest.mark.parametrize("provider", ["openai", "lmstudio", "vllm"])
def test_a_context_that_is_too_small_is_named_with_what_it_must_hold(
    provider: str, small_context: str
) -> None:
    with memory(provider, small_context) as opened:
        with pytest.raises(LLMError) as caught:
            opened.add(SAID, user_id="ana")
        assert texts(opened) == []
    error = caught.value
    assert f"{PROMPT_TOKENS:,} tokens" in str(error.suggestion)
    counted = re.search(r"request \((\d+) tokens\)", error.message)
    assert counted is not None
    assert abs(int(counted[1]) - PROMPT_TOKENS) < 100


@pytest.mark.parametrize("provider", ["openai", "lmstudio", "vllm"])
def test_what_the_model_says_is_what_is_remembered(
    provider: str, raised_context: str, tmp_path: Path
) -> None:
    options = {"max_tokens": 120, "temperature": 0.0, "timeout_s": PATIENCE_S}
    file = tmp_path / "said.jsonl"
    with memory(provider, raised_context, **options) as opened:
        opened.llm = Recorder(opened.llm, file)
        opened.add(SAID, user_id="ana")
        stored = texts(opened)
    (line,) = file.read_text("utf-8").splitlines()
    assert stored
    assert stored == facts_in(json.loads(line)["reply"])


def facts_in(reply: str) -> list[str]:
    """The facts that a reply names, each once: a model of this size repeats itself."""
    return sorted({fact["text"] for fact in json.loads(reply)["memory"]})
