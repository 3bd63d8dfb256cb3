"""No wrong value gets past the tables, whatever it is and wherever it is written."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from isomem import MemoryConfig
from isomem.config import TOP
from isomem.errors import ConfigurationError, DependencyError, InvalidConfigError
from isomem.options import ANYTHING, Option
from isomem.providers.registry import create_embedder, create_llm, create_reranker
from isomem.reference import SECTIONS, names_in, table_in
from isomem.text.tiers import load_tier
from tests.unit.providers.clouds import NEEDED
from tests.unit.providers.servers import clean_environment

KEY = "sk-secret-key"

MAKERS: dict[str, Callable[[str, Any], Any]] = {
    "llm": create_llm,
    "embedder": create_embedder,
    "reranker": create_reranker,
    "nlp": load_tier,
}


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clean_environment(monkeypatch)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)  # The reranker's model is OpenAI's by default.
    monkeypatch.setenv("ISOMEM_DIR", str(tmp_path))
    for part in ("OPENAI_API_KEY", "ENDPOINT", "DEPLOYMENT", "API_VERSION"):
        monkeypatch.setenv(f"EMBEDDING_AZURE_{part}", "x")
        monkeypatch.setenv(f"LLM_AZURE_{part}", "x")


def made(section: str, provider: str, config: Any) -> None:
    """Does what a memory does with the options of one part, but for opening files."""
    MemoryConfig(**{section: {"provider": provider, "config": config}})
    if section in MAKERS and not (section == "nlp" and provider == "spacy"):
        with suppress(DependencyError):  # The options are read before the library is looked for.
            MAKERS[section](provider, config)


def base(section: str, provider: str) -> dict[str, Any]:
    if provider == "langchain":
        return NEEDED[provider]
    by_key = section in {"llm", "embedder"} or provider in {"cohere", "zero_entropy"}
    own = {"aws_access_key_id": "AKID", "aws_secret_access_key": KEY}
    more = own if provider == "aws_bedrock" else {}
    return {"api_key": KEY, **more} if by_key and provider != "mock" else {}


def missing(provider: str) -> bool:
    from importlib.util import find_spec

    return provider == "wordllama" and find_spec("wordllama") is None


ROWS = [
    pytest.param(section, name, option, id=f"{section}.{name}.{option.name}")
    for section in SECTIONS
    for name in names_in(section)
    for option in table_in(section, name) or ()
    if not missing(name) and (section, name) != ("nlp", "spacy")
]

SURROGATE = "\ud800"
WRONG: list[Any] = [
    *("hot", "5", "\0", SURROGATE, "\n", " ", "a@b", "é", "x" * 5000),
    *(5, -1, 1.5, 10**400, True, float("nan"), float("inf"), 1e-9, 2**63),
    *([1], ["a", 5], [["a"]], {"a": 1}, {1: 2}, {"a b": "c"}, {"a": "\n"}, {"all://x": 5}),
    *(b"x", object(), {1}, (5,), int, dict, lambda: None, Ellipsis, range(3)),
]


@pytest.mark.parametrize(("section", "provider", "option"), ROWS)
def test_a_value_is_taken_or_refused_with_our_error_and_nothing_else(
    section: str, provider: str, option: Option
) -> None:
    refused: list[InvalidConfigError] = []
    for value in WRONG:
        config = {**base(section, provider), option.name: value}
        try:
            made(section, provider, config)
        except InvalidConfigError as error:
            refused.append(error)
        else:
            assert option.kind.accepts(value)
    assert refused or option.kind is ANYTHING
    for each in refused:
        assert option.name in str(each) or (section, option.name) == ("reranker", "provider")
        assert each.error_code in {"CONFIG_001", "CONFIG_002"}


@pytest.mark.parametrize(("section", "provider", "option"), ROWS)
def test_a_refused_value_is_named_and_a_secret_is_not_shown(
    section: str, provider: str, option: Option
) -> None:
    secret = ["https://user:geheim@host"]
    if option.kind.accepts(secret):
        return
    with pytest.raises(InvalidConfigError) as caught:
        made(section, provider, {**base(section, provider), option.name: secret})
    shown = f"{caught.value!r}{caught.value}{caught.value.details}{caught.value.suggestion}"
    assert "geheim" not in shown
    assert caught.value.details["key"] == option.name
    assert caught.value.details["expected"] == option.kind.words
    assert "hidden" in caught.value.details["given"]


@pytest.mark.parametrize("option", TOP, ids=[option.name for option in TOP])
def test_no_wrong_value_at_the_top_gets_past_either(option: Option) -> None:
    for value in WRONG:
        try:
            MemoryConfig(**{option.name: copy.copy(value)})
        except InvalidConfigError:
            continue
        assert option.kind.accepts(value)


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("part", ["provider", "config"])
def test_no_wrong_provider_or_config_gets_past_either(section: str, part: str) -> None:
    for value in WRONG:
        parts = {"provider": "mock" if section in {"llm", "embedder"} else "builtin", part: value}
        try:
            made(section, parts["provider"], parts.get("config"))
        except ConfigurationError:
            continue
        # The store of a package, which is looked for when the memory opens it.
        assert section == "vector_store"
        assert part == "config" or isinstance(value, str)
