"""`isomem check-config`: what of a configuration works, what does not, and what to do instead."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from isomem import DependencyError, Memory
from isomem.cli import main
from isomem.cli.config_check import FAILS, IGNORED, WORKS, Line, examine
from isomem.config_file import read_file
from isomem.errors import ConfigurationError
from isomem.providers import extras
from isomem.providers.bridge import copy
from tests.unit.providers.servers import KEY, clean_environment

has_mem0 = copy.folder() is not None
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No key, no network, and a folder that must stay empty."""

    def refuse(*_: Any) -> None:
        raise AssertionError("it uses the network")

    clean_environment(monkeypatch)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setitem(sys.modules, "fastembed", None)
    monkeypatch.setenv("ISOMEM_DIR", str(tmp_path / "memory"))


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def checked(config: object, *more: str) -> tuple[int, str, str]:
        file = tmp_path / "c.json"
        file.write_text(config if isinstance(config, str) else json.dumps(config))
        code = main(["check-config", str(file), *more])
        shown = capsys.readouterr()
        assert not (tmp_path / "memory").exists()
        return code, shown.out, shown.err

    return checked


MOCK = {"embedder": {"provider": "mock"}, "llm": {"provider": "mock"}}
OWN = {**MOCK, "vector_store": {"provider": "embedded", "config": {"path": ":memory:"}}}


def line(config: dict[str, Any], key: str) -> Line:
    [found] = [each for each in examine(config) if each.key == key]
    return found


def test_what_works_is_said_key_by_key(run: Run) -> None:
    code, out, _ = run({**OWN, "version": "v1.1"})
    assert code == 0
    rows = [row.split()[:2] for row in out.splitlines()]
    assert ["works", "vector_store"] in rows
    assert ["works", "vector_store.config.path"] in rows
    assert ["ignored", "version"] in rows
    assert ["default", "nlp"] in rows
    assert rows[-1] == ["This", "configuration"]


@pytest.mark.parametrize(
    ("config", "key", "verdict", "instead"),
    [
        ({"verson": "v1.1"}, "verson", "ignored", "version"),
        ({"graph_store": {}}, "graph_store", "ignored", ""),
        ({"custom_instructions": 5}, "custom_instructions", "fails", ""),
        ({"llm": "openai"}, "llm", "fails", ""),
        ({"llm": {"provider": 5}}, "llm", "fails", ""),
        ({"llm": {"provider": "opnai"}}, "llm", "fails", "openai"),
        ({"llm": {"provider": "mock", "confg": {}}}, "llm.confg", "ignored", "llm.config"),
        ({"llm": {"provider": "mock", "replies": []}}, "llm.replies", "ignored",
         "llm.config.replies"),
        ({"llm": {"provider": "openai", "config": {"modle": "m"}}}, "llm.config.modle", "fails",
         "llm.config.model"),
        ({"llm": {"provider": "openai", "config": []}}, "llm.config", "fails", ""),
        ({"llm": {"config": {"model": "m"}}}, "llm", "fails", "Set OPENAI_API_KEY"),
        ({"llm": {"config": {"api_key": KEY}}}, "llm", "works", ""),
        ({"embedder": {"provider": "openai", "config": {"api_key": KEY, "model_kwargs": {}}}},
         "embedder.config.model_kwargs", "ignored", ""),
        ({"reranker": {"provider": "llm_reranker", "confg": {}}}, "reranker.confg", "fails",
         "reranker.config"),
        ({"reranker": {"provider": "llm_reranker", "config": {"topk": 1, "api_key": KEY}}},
         "reranker.config.topk", "ignored", "reranker.config.top_k"),
        ({"nlp": {"provider": "buildin"}}, "nlp", "fails", "builtin"),
        ({"nlp": {"config": {"languge": "english"}}}, "nlp.config.languge", "fails",
         "nlp.config.language"),
        ({"vector_store": {"provider": "embedded", "config": {"cache_mb": "64"}}},
         "vector_store.config.cache_mb", "fails", ""),
        ({"vector_store": {"provider": "embeded"}}, "vector_store", "fails", "embedded"),
    ],
)  # fmt: skip
def test_each_key_has_its_verdict_and_what_to_write_instead(
    config: dict[str, Any], key: str, verdict: str, instead: str
) -> None:
    found = line({**MOCK, **config}, key)
    assert found.verdict == verdict
    assert instead in found.instead if instead else not found.instead


def test_what_is_not_configured_is_said_too() -> None:
    lines = {each.key: each for each in examine({})}
    assert {each.verdict for each in lines.values()} == {"default"}
    assert "memory.db" in lines["vector_store"].note
    assert "/tmp/qdrant" in lines["vector_store"].instead
    assert "OPENAI_API_KEY" in lines["llm"].note


def test_without_mem0_its_stores_fail_with_what_to_do(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copy, "folder", lambda: None)
    for store in ({"provider": "weaviate"}, {"provider": "faiss", "config": {"path": "/q"}}):
        code, out, _ = run({**MOCK, "vector_store": store})
        assert code == 4
        assert "pip install mem0ai" in out
        assert '{"provider": "embedded"}' in out
        assert "1 key fails." in out


@pytest.mark.skipif(find_spec("qdrant_client") is None, reason="qdrant-client is not installed")
class TestQdrant:
    def test_a_section_without_a_provider_is_a_qdrant_of_isomems(self, run: Run) -> None:
        code, out, _ = run({**MOCK, "vector_store": {"config": {"path": "/q", "on_disk": True}}})
        assert code == 0
        assert "qdrant: made by isomem; names no provider" in out
        assert "~/.mem0/history.db" in out

    def test_its_options_are_checked(self) -> None:
        store = {"provider": "qdrant", "config": {"pth": "/q", "port": "no number", "path": "/q"}}
        verdicts = {each.key: each.verdict for each in examine({**MOCK, "vector_store": store})}
        assert verdicts["vector_store.config.pth"] == "fails"
        assert verdicts["vector_store.config.port"] == "fails"
        assert verdicts["vector_store.config.path"] == "works"

    @pytest.mark.parametrize(
        ("options", "fault"),
        [
            ({"path": ""}, "'host' and 'port'"),
            ({"host": "h"}, "needs both host and port"),
            ({"url": "http://h", "host": "h", "port": 1}, "not by both"),
        ],
    )
    def test_options_that_do_not_say_where_it_is_fail(
        self, options: dict[str, Any], fault: str
    ) -> None:
        store = {"provider": "qdrant", "config": options}
        found = line({"vector_store": store}, "vector_store")
        assert (found.verdict, fault in found.note) == (FAILS, True)

    def test_without_its_package_it_fails(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(extras, "is_there", lambda _: False)
        found = line({"vector_store": {"provider": "qdrant"}}, "vector_store")
        assert (found.verdict, found.instead) == (FAILS, 'pip install "isomem[qdrant]"')


@pytest.mark.oracle
@pytest.mark.skipif(not has_mem0, reason="mem0ai is not installed")
class TestWithMem0:
    def test_a_store_of_mem0s_is_said_to_be_made_by_its_class(self, run: Run) -> None:
        _, out, _ = run({**MOCK, "vector_store": {"provider": "pinecone"}})
        assert "pinecone: made by mem0's own class" in out or "pip install" in out

    def test_the_options_of_mem0s_classes_are_checked_by_them(self) -> None:
        store = {"provider": "redis", "config": {"redis_ur": "/q"}}
        verdicts = {each.key: each.verdict for each in examine({**MOCK, "vector_store": store})}
        assert FAILS in verdicts.values()

    def test_a_missing_package_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "pymilvus", None)
        found = line({"vector_store": {"provider": "milvus"}}, "vector_store")
        assert (found.verdict, found.instead) == (FAILS, "pip install pymilvus")


def test_it_says_what_a_memory_says(tmp_path: Path) -> None:
    """A configuration fails here if and only if it fails there."""
    configs: list[dict[str, Any]] = [
        OWN,
        {**OWN, "llm": {"provider": "openai", "config": {"api_key": KEY, "temperature": 0.2}}},
        {**OWN, "llm": {"provider": "openai"}},
        {**OWN, "llm": {"provider": "openai", "config": {"temperature": "0.2", "api_key": KEY}}},
        {**OWN, "embedder": {"provider": "ollama", "config": {"modl": "x"}}},
        {**OWN, "nlp": {"provider": "builtin", "config": {"language": "german"}}},
        {**OWN, "nlp": {"provider": "builtin", "config": {"language": "klingon"}}},
        {**OWN, "reranker": {"provider": "llm_reranker", "config": {"api_key": KEY, "x": 1}}},
        {**OWN, "reranker": {"provider": "llm_reranker", "x": 1, "config": {"api_key": KEY}}},
        {**OWN, "x": 1, "history_db_path": str(tmp_path)},
        {**OWN, "x": 1, "history_db_path": str(tmp_path / "h.db")},
        {**OWN, "reranker": {}},
        {**OWN, "ranking": "fusd"},
    ]
    verdicts = []
    for config in configs:
        ok = all(each.verdict != FAILS for each in examine(config))
        try:
            Memory.from_config(config).close()
        except (ConfigurationError, DependencyError):
            assert not ok, config
        else:
            assert ok, config
        verdicts.append(ok)
    assert 4 < sum(verdicts) < len(configs) - 4


def test_no_value_that_may_be_secret_is_shown(run: Run) -> None:
    config = {
        "llm": {"provider": "openai", "api_key": KEY, "config": {"api_key": KEY, "apikey": KEY}},
        "embedder": {"provider": "openai", "config": {"api_key": [KEY], "model": f"u:{KEY}@h"}},
        "vector_store": {"provider": "embedded", "config": {"password": KEY}},
        "token": KEY,
    }
    for more in ((), ("--json",)):
        code, out, err = run(config, *more)
        assert code == 4
        assert KEY not in out + err


def test_json_has_the_same_lines(run: Run) -> None:
    config = {**OWN, "verson": 1}
    code, out, _ = run(config, "--json")
    found = json.loads(out)
    assert (code, found["ok"]) == (0, True)
    assert [Line(**each) for each in found["lines"]] == examine(config)
    assert line(config, "verson").verdict == IGNORED


@pytest.mark.parametrize("content", ["{", "[]"])
def test_a_file_that_is_not_a_configuration_is_refused(run: Run, content: str) -> None:
    code, out, err = run(content)
    assert (code, out) == (4, "")
    assert "c.json cannot be used" in err


YAML = """\
# A comment
vector_store: {provider: embedded, config: {path: ":memory:"}}
llm:
  provider: mock
"""


@pytest.mark.parametrize("name", ["c.yaml", "c.YML"])
def test_a_yaml_file_is_read(tmp_path: Path, name: str) -> None:
    pytest.importorskip("yaml")
    (tmp_path / name).write_text(YAML)
    assert read_file(str(tmp_path / name))["llm"] == {"provider": "mock"}
    with Memory.from_file(tmp_path / name) as memory:
        assert memory.config.llm.provider == "mock"


@pytest.mark.parametrize("content", ["a: [", "- a", "!!python/object:os.system {}", "a: \0"])
def test_a_yaml_file_that_is_not_a_configuration_is_refused(tmp_path: Path, content: str) -> None:
    pytest.importorskip("yaml")
    (tmp_path / "c.yaml").write_text(content)
    with pytest.raises(ConfigurationError, match="cannot be used"):
        read_file(str(tmp_path / "c.yaml"))


def test_without_pyyaml_the_error_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    (tmp_path / "c.yaml").write_text(YAML)
    with pytest.raises(DependencyError, match="pip install pyyaml"):
        read_file(str(tmp_path / "c.yaml"))


@pytest.mark.parametrize("section", ["serve", "mcp"])
def test_an_empty_section_of_the_service_works(section: str) -> None:
    """It has a line, as every key has."""
    verdicts = {each.key: each.verdict for each in examine({**MOCK, section: {}})}
    assert verdicts[section] == WORKS
