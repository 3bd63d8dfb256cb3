"""The pages, the schema and the variables of the environment are those of the tables."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from isomem.config import TOP
from isomem.options import Option
from isomem.reference import SECTIONS, has_variable, names_in, schema, table_in, variable
from scripts import options as pages

BUILT_IN = [(section, name) for section in SECTIONS for name in names_in(section)]


def tables() -> list[tuple[str, str, tuple[Option, ...]]]:
    """Every table of options, with its section and provider."""
    found = [(section, name, table_in(section, name)) for section, name in BUILT_IN]
    return [("", "", TOP), *((section, name, table) for section, name, table in found if table)]


def every_option() -> list[Any]:
    return [
        pytest.param(section, name, option, id=f"{section}.{name}.{option.name}")
        for section, name, table in tables()
        for option in table
    ]


@pytest.mark.parametrize("name", pages.PAGES)
def test_the_pages_are_fresh(name: str) -> None:
    page = (pages.DOCS / name).read_text("utf-8")
    assert page == pages.written(page), "run: python -m scripts.options"
    assert pages.BLOCK.search(page)


def test_every_table_of_the_pages_is_in_a_page() -> None:
    found = "".join((pages.DOCS / name).read_text("utf-8") for name in pages.PAGES)
    assert [each[1] for each in pages.BLOCK.findall(found)] == list(pages.TABLES)


@pytest.mark.parametrize(("section", "provider", "option"), every_option())
def test_every_option_is_on_a_page_and_says_what_it_is_for(
    section: str, provider: str, option: Option
) -> None:
    own = ("configuration.md", "engines.md", "postgres.md")
    names = own if section in {"", "nlp", "vector_store"} else ("providers.md",)
    assert any(f"`{option.name}`" in (pages.DOCS / name).read_text("utf-8") for name in names)
    assert option.doc
    assert option.kind.words


@pytest.mark.parametrize(("section", "provider", "option"), every_option())
def test_every_default_is_a_value_that_the_option_takes(
    section: str, provider: str, option: Option
) -> None:
    assert option.kind.accepts(option.default)


@pytest.mark.parametrize(("section", "provider", "option"), every_option())
def test_every_variable_is_in_a_table_or_follows_from_its_name(
    section: str, provider: str, option: Option
) -> None:
    if has_variable(option):
        assert re.fullmatch(r"ISOMEM(_[A-Z0-9]+)+", variable(section, option.name))


def test_no_two_options_have_the_same_variable() -> None:
    named = {
        (section, option.name): variable(section, option.name)
        for section, _, table in tables()
        for option in table
        if has_variable(option)
    }
    providers = [variable(section, "provider") for section in SECTIONS]
    assert len({*named.values(), *providers}) == len(named) + len(providers)
    # The older, shorter names mean what they always meant.
    old = {"ISOMEM_CONFIG", "ISOMEM_DIR", "ISOMEM_MODEL", "ISOMEM_BASE_URL", "ISOMEM_API_KEY"}
    assert not {*old, "ISOMEM_EMBEDDER", "ISOMEM_DEBUG"} & {*named.values(), *providers}


def test_the_schema_is_json_and_complete() -> None:
    written = json.loads(json.dumps(schema()))
    definitions = written["$defs"]
    for section, name, table in tables():
        rows = definitions[f"{section}.{name}"] if section else written
        for option in table:
            assert rows["properties"][option.name]["description"] == option.doc
        is_open = section in {"", "reranker"}  # Unknown keys are passed over there.
        assert rows.get("additionalProperties", True) is is_open
    assert written["properties"].keys() > {option.name for option in TOP}
