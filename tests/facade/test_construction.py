"""How a memory is made: from a path, from a file, from both by mistake."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from isomem import AsyncMemory, Memory, MemoryConfig
from isomem.errors import ConfigurationError, InvalidConfigError

KINDS = pytest.mark.parametrize("kind", [Memory, AsyncMemory])
PARTS: dict[str, Any] = {"llm": {"provider": "mock"}, "embedder": {"provider": "mock"}}


def path_of(memory: Any) -> str:
    path: str = memory.config.vector_store.config["path"]
    memory.close()
    return path


@KINDS
def test_a_path_is_enough(kind: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "unused")
    for path in (tmp_path / "a.db", str(tmp_path / "b.db")):
        assert path_of(kind(path=path)) == str(path)
        assert Path(path).exists()


@KINDS
def test_a_path_beside_a_configuration_is_refused(kind: Any, tmp_path: Path) -> None:
    with pytest.raises(InvalidConfigError, match="not both"):
        kind(MemoryConfig(**PARTS), path=tmp_path / "memory.db")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", [7, b"memory.db", ""])
def test_what_is_not_a_path_is_refused(path: Any) -> None:
    with pytest.raises(InvalidConfigError, match=r"vector_store\.config"):
        Memory(path=path)


@KINDS
def test_a_json_file_is_read(kind: Any, tmp_path: Path) -> None:
    store = {"provider": "embedded", "config": {"path": str(tmp_path / "memory.db")}}
    file = tmp_path / "isomem.json"
    file.write_text(json.dumps({**PARTS, "vector_store": store}))
    for given in (file, str(file)):
        assert path_of(kind.from_file(given)) == str(tmp_path / "memory.db")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python reads TOML since 3.11")
def test_a_toml_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "isomem.toml"
    file.write_text(
        'llm.provider = "mock"\nembedder.provider = "mock"\n'
        '[vector_store]\nprovider = "embedded"\n[vector_store.config]\npath = ":memory:"\n'
    )
    assert path_of(Memory.from_file(file)) == ":memory:"


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("a.json", None, "cannot be read: No such file"),
        ("a.json", "[]", "its top level is not an object"),
        ("a.json", "{", "it is not JSON"),
        ("a.toml", "=", "TOML"),
        ("a.json", '{"vector_store": {"provider": "embeded"}}', "embedded"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(
    tmp_path: Path, name: str, content: str | None, fault: str
) -> None:
    file = tmp_path / name
    if content is not None:
        file.write_text(content)
    with pytest.raises((ConfigurationError, InvalidConfigError), match=fault):
        Memory.from_file(file)
