"""What programs write into a configuration is taken, whatever its exact type."""

from __future__ import annotations

import enum
from collections import ChainMap, OrderedDict
from pathlib import Path
from typing import Any

import pytest

from isomem import InvalidConfigError, MemoryConfig
from isomem.config import from_dict
from isomem.providers.registry import create_llm
from tests.unit.providers.servers import KEY, clean_environment, openai, serving


class Number(float):
    """As `numpy.float64` is."""

    def __repr__(self) -> str:
        return f"Number({float(self)})"


class Size(enum.IntEnum):
    SMALL = 64


class Name(str, enum.Enum):
    OPENAI = "openai"


class Keyed:
    """What can be made a dict, and is none; what goes through it gets no keys."""

    def __init__(self, **values: Any) -> None:
        self._values = values

    def keys(self) -> Any:
        return self._values.keys()

    def __getitem__(self, key: str) -> Any:
        return self._values[key]


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clean_environment(monkeypatch)
    monkeypatch.setenv("ISOMEM_DIR", str(tmp_path))


@pytest.mark.parametrize(("option", "value", "sent"), [
    ("temperature", Number(0.5), 0.5), ("temperature", Size.SMALL - 63, 1),
    ("top_p", Number(0.25), 0.25), ("max_tokens", Size.SMALL, 64),
])  # fmt: skip
def test_a_number_of_another_class_is_a_number(option: str, value: Any, sent: Any) -> None:
    with serving(openai) as server:
        options = {"openai_base_url": server.url, "api_key": KEY, option: value}
        llm: Any = create_llm("openai", {**options, "model": "m"})
        llm.generate_response([{"role": "user", "content": "tea"}])
        llm.close()
        assert server.seen[0].body[option] == sent


@pytest.mark.parametrize("option", ["temperature", "max_tokens", "top_p"])
@pytest.mark.parametrize("value", [True, "1", 1j, Number("nan"), [1]])
def test_what_is_no_number_is_not(option: str, value: Any) -> None:
    with pytest.raises(InvalidConfigError, match=option):
        create_llm("openai", {"api_key": KEY, option: value})


SECTION = {"provider": "mock", "config": {"default": "x"}}


@pytest.mark.parametrize("given", [
    {"llm": SECTION}, Keyed(llm=SECTION), OrderedDict(llm=SECTION), ChainMap({"llm": SECTION}),
    {"llm": Keyed(provider="mock", config=Keyed(default="x"))},
    {"llm": OrderedDict(SECTION)},
])  # fmt: skip
def test_whatever_makes_a_dict_is_a_configuration(given: Any) -> None:
    config = from_dict(given)
    assert (config.llm.provider, config.llm.config["default"]) == ("mock", "x")


def test_a_provider_may_be_a_member_of_an_enum() -> None:
    config = MemoryConfig(llm={"provider": Name.OPENAI, "config": {"api_key": KEY}})
    create_llm(config.llm.provider, config.llm.config.model_dump())


@pytest.mark.parametrize("value", ["sk-key", ["sk-key"], {"sk-key"}, b"sk-key", 5, False])
def test_a_section_that_is_none_is_named_by_its_type(value: Any) -> None:
    with pytest.raises(InvalidConfigError, match=type(value).__name__) as caught:
        MemoryConfig(llm=value)
    assert "sk-key" not in repr(caught.value)
