"""The settings of the tools: from the file, the environment and flags, for both ways to serve."""

from __future__ import annotations

import asyncio
import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from isomem import Memory
from isomem.cli import main
from isomem.cli.mcp import read_section, read_settings
from isomem.cli.parser import parse
from isomem.errors import InvalidConfigError
from isomem.serve.mcp.settings import TABLE, Settings, variable_of
from tests.serve.mcp_parts import config_at

NAMES = [option.name for option in TABLE]


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(f"ISOMEM_MCP_{name}".upper(), raising=False)
        monkeypatch.delenv(variable_of(name), raising=False)


def read(words: list[str], config: dict[str, Any] | None = None) -> Settings:
    options: Namespace = parse(["mcp", *words])
    return read_settings(options, config or {})


def test_the_defaults_are_careful() -> None:
    found = read([])
    assert found.ids == {}
    assert (found.allow_scope, found.infer, found.max_tokens) == (False, True, 2000)


@pytest.mark.parametrize(
    ("words", "variables", "section", "expected"),
    [
        (["--user", "f"], {"ISOMEM_USER_ID": "e"}, {"user_id": "c"}, {"user_id": "f"}),
        ([], {"ISOMEM_USER_ID": "e"}, {"user_id": "c"}, {"user_id": "e"}),
        ([], {"ISOMEM_MCP_USER_ID": "l"}, {"user_id": "c"}, {"user_id": "l"}),
        ([], {"ISOMEM_USER_ID": "e", "ISOMEM_MCP_USER_ID": "l"}, {}, {"user_id": "e"}),
        ([], {}, {"user_id": "c"}, {"user_id": "c"}),
        (["--run", "r"], {"ISOMEM_AGENT_ID": "a"}, {}, {"agent_id": "a", "run_id": "r"}),
        ([], {"ISOMEM_USER_ID": ""}, {"user_id": "c"}, {"user_id": "c"}),
        ([], {"ISOMEM_USER_ID": "007"}, {}, {"user_id": "007"}),
    ],
)
def test_of_ids_flags_go_before_variables_and_those_before_the_file(
    words: list[str], variables: dict[str, str], section: dict[str, Any], expected: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert read(words, {"mcp": section}).ids == expected


@pytest.mark.parametrize(
    ("words", "variable", "section", "name", "expected"),
    [
        (["--raw"], "true", {"infer": True}, "infer", False),
        ([], "false", {"infer": True}, "infer", False),
        ([], "", {"infer": False}, "infer", False),
        (["--allow-scope"], "false", {}, "allow_scope", True),
        ([], "True", {}, "allow_scope", True),
        (["--max-tokens", "300"], "400", {"max_tokens": 500}, "max_tokens", 300),
        ([], "400", {"max_tokens": 500}, "max_tokens", 400),
        ([], "", {"max_tokens": 500}, "max_tokens", 500),
    ],
)
def test_so_it_is_with_the_other_options(
    words: list[str], variable: str, section: dict[str, Any], name: str, expected: object,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv(f"ISOMEM_MCP_{name}".upper(), variable)
    assert getattr(read(words, {"mcp": section}), name) == expected


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ISOMEM_MCP_ALLOW_SCOPE", "yes please"),
        ("ISOMEM_MCP_MAX_TOKENS", "99"),
        ("ISOMEM_MCP_MAX_TOKENS", "1e9"),
        ("ISOMEM_MCP_INFER", "0.5"),
        ("ISOMEM_MCP_TOKENS", "1"),
    ],
)
def test_a_variable_that_says_nothing_sensible_is_refused_by_its_name(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(InvalidConfigError, match=variable):
        read_section({})
    monkeypatch.delenv(variable)


@pytest.mark.parametrize(
    "section", [{"user": "ana"}, {"user_id": 7}, {"infer": "no"}, {"max_tokens": True}, [], "ana"]
)
def test_a_section_that_is_wrong_is_refused(section: object) -> None:
    with pytest.raises(InvalidConfigError):
        read([], {"mcp": section})


def test_the_service_reads_the_same_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("fastapi")
    from isomem.cli.service import read_service
    from isomem.serve.service import Service

    monkeypatch.setenv("ISOMEM_MCP_ALLOW_SCOPE", "true")
    file = tmp_path / "c.json"
    file.write_text(json.dumps(config_at(":memory:", mcp={"max_tokens": 700})))
    service = Service(read_service(parse(["serve", "--config", str(file)])))
    assert (service.mcp.allow_scope, service.mcp.max_tokens) == (True, 700)
    asyncio.run(service.close())


def test_a_memory_passes_over_the_section(tmp_path: Path) -> None:
    config = config_at(tmp_path / "memory.db", mcp={"user_id": "ana"})
    with Memory.from_config(config) as memory:
        assert memory.add("tea", user_id="bob", infer=False)["results"]


def test_check_config_knows_the_section(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "c.json"
    section = {"max_tokens": "many", "alow_scope": True, "infer": False}
    file.write_text(json.dumps(config_at(":memory:", mcp=section)))
    main(["check-config", str(file), "--json"])
    lines = {each["key"]: each for each in json.loads(capsys.readouterr().out)["lines"]}
    assert lines["mcp.infer"]["verdict"] == "works"
    assert lines["mcp.max_tokens"]["verdict"] == "fails"
    assert lines["mcp.alow_scope"]["verdict"] == "fails"
    assert "allow_scope" in json.dumps(lines["mcp.alow_scope"])
