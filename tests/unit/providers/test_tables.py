"""What a row of a table says of an option is what the provider does."""

from __future__ import annotations

from typing import Any

import pytest

from isomem.options import Option
from isomem.providers.registry import create_embedder, create_llm
from isomem.reference import names_in, table_in
from tests.unit.providers.clouds import NEEDED, is_installed

MAKERS = {"llm": create_llm, "embedder": create_embedder}
REMOTE = [
    pytest.param(section, name, id=f"{section}.{name}")
    for section in MAKERS
    for name in names_in(section)
    if is_installed(name)
    if any(option.name == "headers" for option in table_in(section, name) or ())
]

BASE: dict[str, dict[str, Any]] = {
    **NEEDED,
    "huggingface": {"huggingface_base_url": "http://here", "model": "m-1"},
}
"""Options without which a provider cannot be made, or sends nothing."""

READ_ELSEWHERE = {"aws_access_key_id", "aws_region", "azure_kwargs", "vertex_credentials_json"}
"""Options whose variables a library reads, or that hold several; test_authorizers.py has those."""


def rows(section: str, name: str) -> dict[str, Option]:
    return {option.name: option for option in table_in(section, name) or ()}


def value_in(section: str, name: str, option: Option, config: dict[str, Any]) -> Any:
    """What a provider with this configuration uses as an option."""
    with pytest.MonkeyPatch.context() as patch:
        if option.name.startswith("openrouter"):
            patch.setenv("OPENROUTER_API_KEY", "k")  # Without it OpenRouter is not asked at all.
        made: Any = MAKERS[section](name, {**BASE.get(name, {}), **config})
    if option.name.endswith("_url"):
        return made.base_url
    if option.name == "api_key":
        headers = made._connection().endpoint.headers
        names = ("Authorization", "x-goog-api-key", "x-api-key")
        key = next((headers[each] for each in names if each in headers), "")
        return key.removeprefix("Bearer ")
    return getattr(made.config, option.name)


@pytest.mark.parametrize(("section", "name"), REMOTE)
def test_what_holds_in_place_of_an_option_is_what_its_row_says(section: str, name: str) -> None:
    said = {
        option: option.unset.strip("`")
        for option in rows(section, name).values()
        if option.unset.startswith("`")
    }
    key = {} if any(option.name == "api_key" for option in said) else {"api_key": "k"}
    assert {option.name for option in said} >= {"model"} or name in NEEDED
    for option, value in said.items():
        if option.name in BASE.get(name, {}):
            continue
        assert value_in(section, name, option, key) == value, option.name


@pytest.mark.parametrize(("section", "name"), REMOTE)
def test_the_first_variable_of_a_row_that_is_set_holds_and_an_option_before_it(
    section: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for option in rows(section, name).values():
        if not option.variables or option.idle or option.name in READ_ELSEWHERE:
            continue
        key = {} if option.name == "api_key" else {"api_key": "k"}
        for number, variable in reversed(list(enumerate(option.variables))):
            monkeypatch.setenv(variable, f"http://variable-{number}")
            used = value_in(section, name, option, key)
            assert used.startswith(f"http://variable-{number}"), variable
        used = value_in(section, name, option, {**key, option.name: "http://given"})
        assert used.startswith("http://given"), option.name
        for variable in option.variables:
            monkeypatch.delenv(variable)


@pytest.mark.parametrize(("section", "name"), REMOTE)
def test_patience_is_what_the_rows_say(section: str, name: str) -> None:
    table = rows(section, name)
    endpoint: Any = (
        MAKERS[section](name, {"api_key": "k", **BASE.get(name, {})})._connection().endpoint
    )  # type: ignore[attr-defined]
    assert endpoint.timeout_s == table["timeout_s"].default
    assert endpoint.max_retries == table["max_retries"].default
    given = {"api_key": "k", **BASE.get(name, {}), "timeout_s": 7, "max_retries": 0}
    other: Any = MAKERS[section](name, given)
    assert (other._connection().endpoint.timeout_s, other._connection().endpoint.max_retries) == (
        7, 0,
    )  # fmt: skip
