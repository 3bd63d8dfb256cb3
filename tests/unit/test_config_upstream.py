"""Which configurations are taken and which are refused: as mem0 does, with isomem's own keys."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isomem import MemoryConfig
from isomem.config import TOP
from isomem.errors import InvalidConfigError
from isomem.options import defaults_of, read_table
from isomem.providers import registry
from isomem.providers.bridge import making
from isomem.providers.llm.bedrock_families import FAMILIES
from isomem.reference import KINDS, table_in

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]

factory = pytest.importorskip("mem0.utils.factory")
base = pytest.importorskip("mem0.configs.base")
try:
    from mem0.llms.aws_bedrock import extract_provider
except ImportError:  # Without boto3, which the extra `providers` of isomem-parity brings.
    extract_provider = None

UNKNOWN = ["modle", "config_", "temprature", "x", "provder", "embedding_dim", "filters"]
WORDS = st.sampled_from(UNKNOWN)
MODELS = ("llm", "embedder", "reranker")

VALUES: dict[str, Any] = {
    "model": "m", "api_key": "k", "temperature": 0.5, "max_tokens": 100, "top_p": 0.5, "top_k": 3,
    "enable_vision": True, "vision_details": "low", "reasoning_effort": "low", "models": ["a"],
    "route": "fallback", "site_url": "http://s", "app_name": "a", "store": True,
    "embedding_dims": 64, "model_kwargs": {}, "lmstudio_response_format": {}, "batch_size": 8,
    "scoring_prompt": "p", "provider": "openai",
}  # fmt: skip


def options_of(section: str, provider: str) -> Any:
    """mem0's class for the options of a model."""
    if section == "embedder":
        return factory.BaseEmbedderConfig
    tables = {"llm": factory.LlmFactory, "reranker": factory.RerankerFactory}
    return tables[section].provider_to_class[provider][1]


def names_in(section: str, provider: str) -> list[str]:
    return list(making.names_of(options_of(section, provider)))


def shared(section: str) -> list[str]:
    """The names that isomem and mem0 both have, and that isomem carries itself."""
    theirs = {
        "llm": factory.LlmFactory,
        "embedder": factory.EmbedderFactory,
        "reranker": factory.RerankerFactory,
    }[section].provider_to_class
    both = KINDS[section].builtin.keys() & set(theirs)
    if section == "llm" and extract_provider is None:
        both -= {"aws_bedrock"}
    return sorted(both)


@st.composite
def sections(draw: st.DrawFn, section: str) -> dict[str, Any]:
    provider = draw(st.sampled_from(shared(section)))
    names = names_in(section, provider)
    keys = draw(st.lists(st.one_of(st.sampled_from(names), WORDS), max_size=4, unique=True))
    config = {key: VALUES.get(key, None if "proxies" in key else "http://h") for key in keys}
    config = {key: value for key, value in config.items() if key in VALUES or "_url" in key
              or key in UNKNOWN}  # fmt: skip
    beside = draw(st.lists(WORDS, max_size=1))
    return {"provider": provider, "config": config, **dict.fromkeys(beside, 1)}


configurations = st.fixed_dictionaries(
    {},
    optional={
        "llm": sections("llm"),
        "embedder": sections("embedder"),
        "reranker": sections("reranker"),
        "version": st.just("v1.1"),
        "custom_instructions": st.sampled_from(["be brief", None]),
        "history_db_path": st.just("/nowhere/history.db"),
        **dict.fromkeys(UNKNOWN, st.just(1)),
    },
)


def mem0_takes(given_: dict[str, Any]) -> bool:
    config = copy.deepcopy(given_)
    try:
        read = base.MemoryConfig(**config)
        for section in MODELS:
            part = getattr(read, section)
            if section in config:
                options = options_of(section, part.provider)(**part.config)
                if part.provider == "aws_bedrock":
                    check_maker(section, options)
    except (ValueError, TypeError):
        return False
    return True


def check_maker(section: str, options: Any) -> None:
    """What mem0's class does with the name of a Bedrock model, before it asks anything of AWS.

    The class itself cannot be made here, since it calls AWS when it is made.
    """
    if section == "llm":
        extract_provider(options.model)


def isomem_takes(given_: dict[str, Any]) -> bool:
    config = copy.deepcopy(given_)
    try:
        read = MemoryConfig(**config)
        for section in MODELS:
            part = getattr(read, section)
            if section in config:
                options = part.config.model_dump()
                if section == "reranker":  # Where unknown options are passed over.
                    options = registry._known(registry.RERANKERS, part.provider, options)
                read_table(options, table_in(section, part.provider) or (), section)
    except InvalidConfigError:
        return False
    return True


def own_options(given_: dict[str, Any]) -> bool:
    """Whether an option is isomem's own addition to what mem0 has for that provider."""
    return any(
        name not in names_in(section, given_[section]["provider"])
        and name in defaults_of(table_in(section, given_[section]["provider"]) or ())
        for section in MODELS
        if section in given_
        for name in given_[section]["config"]
    )


@given(config=configurations)
@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_configuration_is_taken_or_refused_as_by_mem0(config: dict[str, Any]) -> None:
    theirs, ours = mem0_takes(config), isomem_takes(config)
    if theirs != ours:
        assert ours, config
        assert own_options(config), config


@pytest.mark.skipif(extract_provider is None, reason="boto3 is not installed")
@given(model=st.lists(st.sampled_from([*FAMILIES, "us", "m", ".", "-", "x", "", "\u00e9", "0"]),
                      max_size=4).map("".join))  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_a_bedrock_model_is_refused_if_mem0_does_not_know_its_maker(model: str) -> None:
    """mem0's class refuses it when it is made, before any question is asked."""
    config = {"llm": {"provider": "aws_bedrock", "config": {"model": model}}}
    assert mem0_takes(config) is isomem_takes(config)


def test_both_verdicts_come_up() -> None:
    """So that the comparison above compares something."""
    good = {"llm": {"provider": "openai", "config": {"model": "m"}}, "x": 1}
    bad = {"llm": {"provider": "openai", "config": {"modle": "m"}}}
    closed = {"reranker": {"provider": "llm_reranker", "x": 1}}
    open_ = {"reranker": {"provider": "llm_reranker", "config": {"x": 1}}}
    for config, verdict in ((good, True), (bad, False), (closed, False), (open_, True)):
        assert mem0_takes(config) is isomem_takes(config) is verdict


@pytest.mark.parametrize("section", MODELS)
def test_every_option_of_mem0s_is_one_of_ours(section: str) -> None:
    for provider in shared(section):
        ours = defaults_of(table_in(section, provider) or ())
        assert not set(names_in(section, provider)) - ours.keys(), provider


def test_every_key_of_mem0s_is_one_of_ours() -> None:
    assert base.MemoryConfig.model_fields.keys() <= {option.name for option in TOP}
