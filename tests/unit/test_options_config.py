"""The configuration: upstream's dict as it is, ours beside it, and nothing unknown."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from isomem import AsyncMemory, Memory, MemoryConfig
from isomem.config import (
    EMBEDDED,
    EMBEDDED_OPTIONS,
    TOP,
    Options,
    ProviderConfig,
    default_path,
)
from isomem.errors import ConfigurationError, InvalidConfigError
from isomem.options import nearest, read_options, unknown


def test_options_are_defaults_overlaid() -> None:
    defaults = {"a": 1, "b": None}
    assert read_options(None, defaults, "x") == defaults
    assert read_options({"b": 2}, defaults, "x") == {"a": 1, "b": 2}
    assert read_options({}, defaults, "x") is not defaults


@pytest.mark.parametrize("wrong", ["text", 5, ["a"]])
def test_options_that_are_no_dict_are_refused(wrong: Any) -> None:
    with pytest.raises(InvalidConfigError, match=r"llm\.config must be a dict") as caught:
        read_options(wrong, {}, "llm.config")
    assert caught.value.error_code == "CONFIG_002"


def test_the_nearest_known_word_is_suggested() -> None:
    assert nearest("modle", ("model", "path")) == "model"
    assert nearest("zzz", ("model", "path")) is None
    assert "Did you mean 'model'?" in str(unknown("key", "modle", ("model", "path")))
    far = unknown("key", "zzz", ("path", "model"))
    assert "Known: model, path." in str(far)
    assert far.details == {"given": "zzz", "known": ["model", "path"]}
    assert far.error_code == "CONFIG_001"
    assert isinstance(far, ValueError)
    assert isinstance(far, ConfigurationError)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"llm": {"provider": "opnai"}}, "Did you mean 'openai'"),
        ({"llm": {"provider": ""}}, "llm names no provider"),
        ({"llm": {"provider": 5}}, "llm names no provider"),
        ({"llm": "openai"}, "llm must be a dict"),
        ({"llm": {"provider": "openai", "config": "gpt"}}, "must be a dict"),
        ({"embedder": {"provider": "mok"}}, "Did you mean 'mock'"),
        ({"embedder": {"provider": "mock", "config": {"dims": 3}}}, "Unknown key"),
        ({"reranker": {"provider": "nothing_like_it"}}, "nothing_like_it"),
        ({"reranker": {"provider": None}}, "reranker names no provider"),
        ({"reranker": {"confg": {}}}, "Did you mean 'config'"),
        ({"nlp": {"provider": "buildin"}}, "Did you mean 'builtin'"),
        ({"nlp": {"config": {"languge": "english"}}}, "Did you mean 'language'"),
        ({"vector_store": {"provider": "embeded"}}, "Did you mean 'embedded'"),
        ({"vector_store": {"provider": "embedded", "config": {"pth": "x"}}}, "Did you mean 'path'"),
        (
            {"vector_store": {"provider": "embedded", "config": {"synchronous": "ful"}}},
            "Did you mean 'full'",
        ),
        ({"custom_instructions": 5}, "custom_instructions must be text, or None, got 5"),
    ],
)
def test_a_mistake_is_refused_with_what_was_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: Any, message: str
) -> None:
    monkeypatch.setenv("ISOMEM_DIR", str(tmp_path / "none"))
    base = {"embedder": {"provider": "mock"}, "llm": {"provider": "mock"}}
    with pytest.raises(InvalidConfigError, match=message):
        Memory.from_config({**base, **config})
    assert not (tmp_path / "none" / "memory.db").exists()


@pytest.mark.parametrize(
    "key", ["graph_store", "custom_fact_extraction_prompt", "custom_update_memory_prompt"]
)
def test_what_mem0_passes_over_does_no_harm_and_is_named(
    key: str, caplog: pytest.LogCaptureFixture
) -> None:
    given: dict[str, Any] = {key: {"provider": "neo4j"}}
    assert MemoryConfig(**given).custom_instructions is None
    assert f"do nothing: {key} (nothing since mem0 2)" in caplog.text
    assert given == {key: {"provider": "neo4j"}}
    caplog.clear()
    MemoryConfig(**{key: None})
    assert not caplog.text


def test_unknown_keys_are_passed_over_with_one_warning_that_names_the_nearest(
    caplog: pytest.LogCaptureFixture,
) -> None:
    config = MemoryConfig(
        vectorstore={"provider": "chroma"},
        llm={"provider": "mock", "confg": {"replies": []}, "zzz": 1},
        nlp={"provder": "none"},
    )
    assert (config.vector_store.provider, config.nlp.provider) == ("embedded", "builtin")
    [message] = caplog.messages
    assert message == (
        "The configuration has keys that do nothing: vectorstore (did you mean vector_store?), "
        "llm.confg (did you mean llm.config?), llm.zzz, nlp.provder (did you mean nlp.provider?)"
    )


@pytest.mark.parametrize(
    ("section", "provider"),
    [("vector_store", "qdrant"), ("llm", "openai"), ("embedder", "openai"), ("reranker", "cohere")],
)
def test_a_section_that_names_no_provider_means_that_of_mem0(section: str, provider: str) -> None:
    """Also without a key of OpenAI's in the environment: it may be in the section."""
    config = MemoryConfig(**{section: {"config": {"api_key": "k"}}})
    assert getattr(config, section).provider == provider
    assert getattr(config, section).config["api_key"] == "k"


def test_without_a_key_the_embedder_is_local_and_no_model_is_set() -> None:
    config = MemoryConfig()
    assert (config.embedder.provider, config.llm.provider) == ("local", "unset")
    assert config.vector_store.provider == "embedded"
    assert config.nlp.provider == "builtin"
    assert config.reranker is None
    assert config.version == "v1.1"
    assert config.raise_on_llm_error is False


def test_with_a_key_upstreams_defaults_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    config = MemoryConfig()
    assert (config.embedder.provider, config.llm.provider) == ("openai", "openai")


def test_the_default_file_is_in_the_home_or_where_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert default_path() == str(Path.home() / ".isomem" / "memory.db")
    monkeypatch.setenv("ISOMEM_DIR", str(tmp_path))
    assert default_path() == str(tmp_path / "memory.db")
    assert MemoryConfig().vector_store.config.path == str(tmp_path / "memory.db")  # type: ignore[attr-defined]


def test_the_embedded_store_has_defaults_for_every_key(tmp_path: Path) -> None:
    store = MemoryConfig(
        vector_store={"provider": "embedded", "config": {"path": tmp_path / "x.db"}}
    ).vector_store
    assert store.config.model_dump() == {**EMBEDDED, "path": str(tmp_path / "x.db")}


def test_another_store_keeps_its_options() -> None:
    """Its default collection is its own: not every store of mem0's calls it "mem0"."""
    store = MemoryConfig(vector_store={"provider": "qdrant", "config": {"path": "/q"}}).vector_store
    assert store.config.model_dump() == {"path": "/q"}
    named = {"provider": "qdrant", "config": {"collection_name": "c"}}
    assert MemoryConfig(vector_store=named).vector_store.config["collection_name"] == "c"


def test_options_are_read_by_attribute_and_by_key_and_print_no_values() -> None:
    options = Options({"api_key": "secret", "model": "m"})
    assert options["model"] == options.model == options.get("model") == "m"  # type: ignore[attr-defined]
    assert options.get("missing", 5) == 5
    assert "model" in options
    assert dict(options) == options.model_dump() == {"api_key": "secret", "model": "m"}
    shown = repr(ProviderConfig("openai", options))
    assert "secret" not in shown
    assert "api_key" in shown


def test_a_provider_may_be_given_as_an_object() -> None:
    made = ProviderConfig("mock", Options({}))
    assert MemoryConfig(llm=made).llm is made
    config = MemoryConfig(llm={"provider": "mock", "config": SimpleNamespace(model="m")})
    assert config.llm.config.model == "m"  # type: ignore[attr-defined]


# --- Every value is checked -------------------------------------------------------------------

HUGE = 10**400
WRONG: list[tuple[str, Any]] = [
    *[("cache_mb", wrong) for wrong in ("64", -1, float("nan"), float("inf"), True, None, HUGE)],
    *[("busy_timeout_s", wrong) for wrong in ("10", -0.5, float("nan"), float("inf"), False, HUGE)],
    *[("keyword_search", wrong) for wrong in ("off", 0, None, "")],
    *[("embedding_model_dims", wrong) for wrong in ("384", 0, -3, 1.5, True, float("nan"), HUGE)],
    *[("synchronous", wrong) for wrong in (True, None, 1, ["full"], {})],
    *[("collection_name", wrong) for wrong in ("", " ", 5, None, "a\0b", "\ud800", "x_entities")],
    *[("path", wrong) for wrong in ("", " ", 5, True, b"x.db", "a\0.db", ["x.db"])],
]


@pytest.mark.parametrize(
    ("name", "wrong"), WRONG, ids=[f"{n}-{type(w).__name__}" for n, w in WRONG]
)
def test_a_wrong_value_of_the_store_is_named_with_what_is_expected(name: str, wrong: Any) -> None:
    with pytest.raises(
        InvalidConfigError, match=rf"vector_store\.config: {name} must be "
    ) as caught:
        MemoryConfig(vector_store={"provider": "embedded", "config": {name: wrong}})
    expected = next(option.kind.words for option in EMBEDDED_OPTIONS if option.name == name)
    assert caught.value.details["key"] == name
    assert caught.value.details["expected"] == expected
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("raise_on_llm_error", "false"),
        ("raise_on_llm_error", 1),
        ("raise_on_llm_error", None),
        ("version", 1.1),
        ("custom_instructions", ["x"]),
        ("history_db_path", ""),
        ("history_db_path", 5),
        ("history_db_path", "a\0b"),
    ],
)
def test_a_wrong_value_at_the_top_is_named_with_what_is_expected(name: str, wrong: Any) -> None:
    with pytest.raises(InvalidConfigError, match=f"the configuration: {name} must be "):
        MemoryConfig(**{name: wrong})


@pytest.mark.parametrize("name", ["x_entities", 5, ""])
def test_the_collection_of_any_store_is_checked(name: Any) -> None:
    with pytest.raises(InvalidConfigError, match="collection_name must be "):
        MemoryConfig(vector_store={"provider": "qdrant", "config": {"collection_name": name}})


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    for config in (
        {"vector_store": {"provider": "embedded", "config": {"path": tmp_path}}},
        {"history_db_path": tmp_path},
    ):
        with pytest.raises(InvalidConfigError, match="must be the path of a file"):
            MemoryConfig(**config)


def test_the_home_of_the_user_stands_for_a_tilde(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    config = MemoryConfig(
        vector_store={"provider": "embedded", "config": {"path": "~/a.db"}},
        history_db_path=Path("~/b.db"),
    )
    assert config.vector_store.config["path"] == str(tmp_path / "a.db")
    assert config.history_db_path == str(tmp_path / "b.db")
    monkeypatch.setenv("ISOMEM_DIR", "~/c")
    assert default_path() == str(tmp_path / "c" / "memory.db")


@pytest.mark.parametrize("wrong", ["x.json", None, 5, ["llm"], Path("x.json")], ids=repr)
def test_from_config_takes_a_dict_and_nothing_else(wrong: Any) -> None:
    with pytest.raises(InvalidConfigError, match="the configuration must be a dict, got "):
        Memory.from_config(wrong)


def test_from_config_takes_strings_as_keys() -> None:
    with pytest.raises(InvalidConfigError, match="Unknown key in the configuration: 5"):
        Memory.from_config({5: {}})  # type: ignore[dict-item]


@pytest.mark.parametrize("wrong", [{"llm": {}}, {}, "x.json", 5], ids=repr)
@pytest.mark.parametrize("kind", [Memory, AsyncMemory])
def test_a_dict_is_not_a_configuration_object(kind: Any, wrong: Any) -> None:
    with pytest.raises(InvalidConfigError, match="config must be a MemoryConfig, got ") as caught:
        kind(wrong)
    assert "Memory.from_config" in str(caught.value.suggestion)


def test_every_option_is_documented_with_its_default() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs/configuration.md").read_text("utf-8")
    rows = {
        cells[1].strip(" `"): cells[2]
        for cells in (line.split("|") for line in page.splitlines() if line.startswith("| `"))
    }
    for option in (*TOP, *EMBEDDED_OPTIONS):
        assert option.name in rows
        if isinstance(option.default, (str, bool, int)):
            default = repr(option.default).replace("'", '"')
            assert rows[option.name].strip() == f"`{default}`", option.name
        assert option.doc
        assert option.kind.words
