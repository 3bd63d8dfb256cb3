"""The options of the service: each can be told in three ways, and means the same in each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from isomem.cli.parser import parse
from isomem.cli.service import read_service
from isomem.config import from_dict
from isomem.errors import InvalidConfigError
from isomem.options import Option
from isomem.reference import variable
from isomem.serve.settings import TABLE, Settings, is_loopback, state_path

# A value other than the default for each option.
OTHERS: dict[str, Any] = {
    "host": "::1", "port": 1, "auth": False, "workers": 2, "state_path": "/x/keys.db",
    "max_body_mb": 0.5, "max_messages": 2, "timeout_s": 1.5, "rate_per_minute": 3,
    "cors_origins": ["https://app.example"], "open_metrics": True, "record": True,
    "job_workers": 3, "job_attempts": 1, "job_backoff_s": 0.25, "job_lease_s": 2,
    "keep_hours": 1, "grace_s": 0, "audit": False, "otel_endpoint": "http://localhost:4318",
    "log_format": "json", "log_level": "debug", "proxy_url": "http://localhost:1/v1",
    "proxy_key": "k", "proxy_memories": 3, "proxy_needs_memory": True, "max_memories": 10,
}  # fmt: skip
named = pytest.mark.parametrize("option", TABLE, ids=lambda option: option.name)


def text_of(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def flag_of(option: Option, value: Any) -> list[str]:
    name = option.name.replace("_", "-")
    if isinstance(option.default, bool):
        return [f"--no-{name}" if option.default else f"--{name}"]
    return [f"--{name}", text_of(value)]


def section(tmp_path: Path, *flags: str, **file: Any) -> dict[str, Any]:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"serve": file} if file else {}))
    found: dict[str, Any] = read_service(parse(["serve", "--config", str(path), *flags]))["serve"]
    return found


def test_every_option_has_another_value_here() -> None:
    assert {option.name for option in TABLE} == OTHERS.keys()
    for option in TABLE:
        assert option.kind.accepts(OTHERS[option.name])
        assert OTHERS[option.name] != option.default


@named
def test_an_option_is_a_key_a_variable_and_a_flag(
    option: Option, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = OTHERS[option.name]
    assert section(tmp_path, **{option.name: value}) == {option.name: value}
    assert section(tmp_path, *flag_of(option, value)) == {option.name: value}
    monkeypatch.setenv(variable("serve", option.name), text_of(value))
    assert section(tmp_path) == {option.name: value}
    assert getattr(Settings(section(tmp_path)), option.name) == value
    # A flag goes before the variable.
    if not isinstance(option.default, bool) and option.default not in (None, ()):
        before = section(tmp_path, f"--{option.name.replace('_', '-')}", text_of(option.default))
        assert before == {option.name: option.default}


@named
def test_what_an_option_does_not_take_is_named(option: Option) -> None:
    for wrong in (object(), ["x", 1], float("nan"), {"a": 1}):
        with pytest.raises(InvalidConfigError, match=option.name):
            Settings({option.name: wrong})


@pytest.mark.parametrize("given", [5, "x", [1], [("port", 1)]])
def test_a_section_is_a_dict(given: Any) -> None:
    with pytest.raises(InvalidConfigError, match="serve must be a dict"):
        Settings(given)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("[::1]", True),
        ("localhost", True), ("0.0.0.0", False), ("::", False), ("", False),
        ("10.0.0.1", False), ("example.org", False), ("localhost.example.org", False),
        ("127.0.0.1.example.org", False), ("127.1", False), ("0", False), ("fe80::1", False),
        ("1.0.0.127", False), ("::ffff:10.0.0.1", False),
    ],
)  # fmt: skip
def test_loopback_is_what_no_other_machine_can_reach(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback
    if loopback:
        Settings({"host": host, "auth": False}).check_address()
    else:
        with pytest.raises(InvalidConfigError, match="only listen on loopback"):
            Settings({"host": host, "auth": False}).check_address()


def test_the_file_of_keys_is_beside_the_memory_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ISOMEM_DIR", str(tmp_path / "dir"))

    def path(store: Any = None, **serve: Any) -> str:
        config = from_dict({} if store is None else {"vector_store": store})
        return state_path(Settings(serve), config)

    embedded = {"provider": "embedded", "config": {"path": str(tmp_path / "a" / "m.db")}}
    assert path() == str(tmp_path / "dir" / "service.db")
    assert path(embedded) == str(tmp_path / "a" / "service.db")
    assert path(embedded, state_path="/x/keys.db") == "/x/keys.db"
    assert path({"provider": "embedded", "config": {"path": ":memory:"}}) == ":memory:"
    monkeypatch.setenv("HOME", "/home/somebody")
    assert path(state_path="~/keys.db") == "/home/somebody/keys.db"
