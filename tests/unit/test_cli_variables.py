"""Options from the environment and from flags, and what happens when two of them disagree."""

from __future__ import annotations

import json
import os
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from isomem.cli import main
from isomem.cli.settings import read_config
from isomem.cli.variables import read_text
from isomem.errors import InvalidConfigError
from isomem.options import SWITCH, TEXT, TEXTS, Kind, Option, optional, or_empty, whole
from isomem.providers.tables import PROXIES
from isomem.reference import SECTIONS, has_variable, names_in, table_in, variable
from tests.unit.providers.servers import clean_environment


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    clean_environment(monkeypatch)
    for name in [name for name in os.environ if name.startswith("ISOMEM_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The configuration that a file, variables and flags make together."""

    def read(file: Any = None, *, flags: dict[str, str] | None = None, **variables: str) -> Any:
        path = tmp_path / "c.json"
        path.write_text(json.dumps(file or {}))
        for name, text in variables.items():
            monkeypatch.setenv(f"ISOMEM_{name}", text)
        given = {"model": None, "openai_base_url": None, "path": None, **(flags or {})}
        return read_config(Namespace(config=str(path), **given))

    return read


def test_every_option_can_be_told_by_its_variable(configured: Any) -> None:
    """Each with its default, which is a value that it takes."""
    for section in SECTIONS:
        for provider in names_in(section):
            rows = [o for o in table_in(section, provider) or () if has_variable(o)]
            told = [o for o in rows if isinstance(o.default, (bool, int, float)) or o.default]
            texts = {o.name: o.default for o in told if not isinstance(o.default, tuple)}
            variables = {
                variable(section, name).removeprefix("ISOMEM_"): str(value)
                for name, value in texts.items()
            }
            own = variable(section, "provider").removeprefix("ISOMEM_")
            config = configured(None, **{own: provider}, **variables)
            assert config[section] == {"provider": provider, "config": texts}
            for name in (own, *variables):
                os.environ.pop(f"ISOMEM_{name}")


def test_a_variable_goes_before_the_file_option_by_option(configured: Any) -> None:
    file = {
        "llm": {"provider": "ollama", "config": {"model": "m", "temperature": 0.5}},
        "vector_store": {"provider": "embedded", "config": {"path": "x.db"}},
        "custom_instructions": "in French",
    }
    config = configured(
        file,
        LLM_TEMPERATURE="0",
        VECTOR_STORE_CACHE_MB="1.5",
        CUSTOM_INSTRUCTIONS="in German",
        NLP_LANGUAGE="",
    )
    assert config == {
        "llm": {"provider": "ollama", "config": {"model": "m", "temperature": 0}},
        "vector_store": {"provider": "embedded", "config": {"path": "x.db", "cache_mb": 1.5}},
        "custom_instructions": "in German",
        "raise_on_llm_error": True,
    }


def test_another_provider_starts_the_section_anew(configured: Any) -> None:
    file = {"llm": {"provider": "ollama", "config": {"model": "m"}}}
    config = configured(file, LLM_PROVIDER="vllm", LLM_TOP_P="0.5")
    assert config["llm"] == {"provider": "vllm", "config": {"top_p": 0.5}}
    same = configured(file, LLM_PROVIDER="ollama")
    assert same["llm"] == {"provider": "ollama", "config": {"model": "m", "top_p": 0.5}}


def test_the_short_names_and_flags_mean_what_they_always_meant(configured: Any) -> None:
    file = {"llm": {"provider": "ollama", "config": {"model": "m"}}, "embedder": {"config": {}}}
    config = configured(file, MODEL="m1", BASE_URL="http://h", API_KEY="k", EMBEDDER="mock")
    named = {"model": "m1", "openai_base_url": "http://h", "api_key": "k"}
    assert config["llm"] == {"provider": "openai", "config": named}
    assert config["embedder"] == {"provider": "mock"}
    config = configured(file, flags={"model": "m3"}, LLM_MODEL="m2", LLM_TEMPERATURE="1")
    assert config["llm"]["config"] == {**named, "model": "m3", "temperature": 1}


@pytest.mark.parametrize(
    ("variables", "flags", "said"),
    [
        ({"LLM_TEMPERATURE": "hot"}, {}, "ISOMEM_LLM_TEMPERATURE: temperature must be a number"),
        ({"LLM_TEMPERATUR": "1"}, {}, "Did you mean 'ISOMEM_LLM_TEMPERATURE'"),
        ({"LLM_PROVIDER": "opnai"}, {}, "Did you mean 'openai'"),
        ({"RERANKER_TOP_K": "3"}, {}, "ISOMEM_RERANKER_TOP_K is set, but no reranker"),
        ({"LLM_PROVIDER": "ollama", "MODEL": "m"}, {}, "ISOMEM_LLM_PROVIDER is 'ollama'"),
        ({"LLM_PROVIDER": "ollama"}, {"model": "m"}, "ISOMEM_LLM_PROVIDER is 'ollama'"),
        ({"VECTOR_STORE_PATH": "\udcff"}, {}, "path must be the path of a file"),
    ],
)
def test_a_mistake_is_named(configured: Any, variables: Any, flags: Any, said: str) -> None:
    with pytest.raises(InvalidConfigError, match=said):
        configured(None, flags=flags, **variables)


def test_a_wrong_key_is_not_shown(configured: Any) -> None:
    with pytest.raises(InvalidConfigError, match="ISOMEM_LLM_API_KEY") as caught:
        configured(None, LLM_API_KEY="sk-geheimé")
    assert "geheim" not in repr(caught.value)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (TEXT, "5", "5"),
        (TEXT, '["a"]', '["a"]'),
        (TEXT, "true", "true"),
        (whole(0, 9), "5", 5),
        (SWITCH, "true", True),
        (SWITCH, "False", False),
        (TEXTS, '["a"]', ["a"]),
        (or_empty(PROXIES), '{"all://": "http://p"}', {"all://": "http://p"}),
        (or_empty(PROXIES), "http://p", "http://p"),
        (optional(whole(0, 9)), "null", None),
    ],
)
def test_text_is_read_as_what_the_option_takes(kind: Kind, text: str, value: Any) -> None:
    read = read_text(Option("x", None, kind, "x"), text, "ISOMEM_X")
    assert (read, type(read)) == (value, type(value))


# --- Flags -----------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [["search", "x"], ["list"]])
@pytest.mark.parametrize("flag", ["user", "agent", "run"])
def test_a_flag_and_a_filter_that_name_different_ones_are_an_error(
    command: list[str], flag: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "m.db")
    words = [*command, "--path", path, f"--{flag}", "ana", "--filter"]
    assert main([*words, json.dumps({f"{flag}_id": "bob"})]) == 2
    said = capsys.readouterr().err
    assert f"--{flag} is 'ana', but --filter has {flag}_id 'bob'" in said
    assert not Path(path).exists()


def test_a_flag_and_a_filter_that_name_the_same_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ISOMEM_EMBEDDER", "mock")
    words = ["list", "--path", str(tmp_path / "m.db"), "--user", "ana", "--filter"]
    assert main([*words, '{"user_id": "ana"}']) == 0
    assert main([*words, '{"agent_id": "bob"}']) == 0


def test_the_schema_is_printed_as_json_either_way(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "schema"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert main(["config", "schema", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == plain
    assert plain["properties"]["version"]["default"] == "v1.1"
