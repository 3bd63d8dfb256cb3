"""The JSON schema gives the verdicts of the tables. Where it cannot, `DIFFERENCES` says why."""

from __future__ import annotations

import ast
import copy
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isomem import MemoryConfig
from isomem.config import TOP
from isomem.config_file import read_file
from isomem.errors import InvalidConfigError
from isomem.options import Option
from isomem.providers.registry import is_bridged
from isomem.reference import KINDS, SECTIONS, names_in, schema, table_in
from tests.unit.store.fuzz import examples
from tests.unit.test_option_values import MAKERS, ROWS, _alone, base, made

jsonschema = pytest.importorskip("jsonschema")

ROOT = Path(__file__).resolve().parents[2]
GUIDES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TOP_NAMES = {option.name for option in TOP}
OPTIONS: dict[tuple[str, str], list[str]] = {}
for _section, _provider, _option in (row.values for row in ROWS):
    OPTIONS.setdefault((_section, _provider), []).append(_option.name)
VALIDATOR = jsonschema.Draft202012Validator(schema())

__all__ = ["_alone"]


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


def verdict(section: str, provider: str, config: Any) -> bool:
    try:
        made(section, provider, config)
    except InvalidConfigError as error:
        return error.error_code == "CONFIG_004"  # Whether there is a key is not in the file.
    return True


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-10, 10),
    st.integers(-(10**12), 10**12),
    st.floats(-2, 12, allow_nan=False),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.sampled_from(["full", "low", "english", "mem0_entities", "a\0b", " ", "\x1f", "\n", "é"]),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(
                st.text(max_size=5),
                st.sampled_from(["provider", "config", "all://", "X-Team", "a b", "model"]),
            ),
            st.one_of(inner, st.sampled_from(["mock", "openai", "http://p:1"])),
            max_size=3,
        ),
    ),
    max_leaves=6,
)


def is_whole_float(value: Any) -> bool:
    """`1.0` is a whole number for JSON schema, where numbers have no types, and not for us."""
    return isinstance(value, float) and value.is_integer()


DIFFERENCES: tuple[tuple[str, Callable[[str, str, str, Any], bool]], ...] = (
    (
        "a whole number may be written as 1.0 in JSON schema",
        lambda section, provider, name, value: is_whole_float(value),
    ),
    (
        "a folder is no file, and only the disk knows which it is",
        lambda section, provider, name, value: name == "path",
    ),
    (
        "an address is read by urlsplit, which no pattern repeats",
        lambda section, provider, name, value: name == "ollama_base_url",
    ),
    (
        "an object with methods cannot be written in JSON",
        lambda section, provider, name, value: (provider, name) == ("langchain", "model"),
    ),
    (
        "who the reranker's model is stands in two places, and the schema looks at each alone",
        lambda section, provider, name, value: (
            section == "reranker" and name in {"provider", "llm"}
        ),
    ),
)


@pytest.mark.parametrize(("section", "provider"), OPTIONS)
@settings(examples(15), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=values)
def test_the_schema_and_the_tables_give_the_same_verdict(
    section: str, provider: str, value: Any
) -> None:
    """On any value of each option: all options of a provider are given the same ones."""
    for name in OPTIONS[section, provider]:
        config = {**base(section, provider), name: value}
        ours = verdict(section, provider, config)
        theirs = VALIDATOR.is_valid({section: {"provider": provider, "config": config}})
        if ours != theirs:
            reasons = [why for why, holds in DIFFERENCES if holds(section, provider, name, value)]
            assert reasons, (name, value, ours, theirs)
            assert theirs  # It is never the stricter one.


@pytest.mark.parametrize(
    ("section", "provider"),
    [each.values[:2] for each in ROWS if each.values[2].name == "api_key"],
)
@pytest.mark.parametrize("key", ["\x1b", "k\n", "\u00e9"])
def test_a_key_that_no_header_can_carry_is_refused_by_both(
    section: str, provider: str, key: str
) -> None:
    theirs = VALIDATOR.is_valid({section: {"provider": provider, "config": {"api_key": key}}})
    assert verdict(section, provider, {"api_key": key}) == theirs


@pytest.mark.parametrize("option", TOP, ids=[option.name for option in TOP])
@given(value=values)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_they_agree_on_the_keys_at_the_top(option: Option, value: Any) -> None:
    if option.name in SECTIONS and isinstance(value, dict):
        return
    theirs = VALIDATOR.is_valid({option.name: value})
    try:
        MemoryConfig(**{option.name: value})
    except InvalidConfigError:
        assert not theirs or option.name == "history_db_path"
    else:
        assert theirs


FIRST = {section: names_in(section)[0] for section in SECTIONS}


@given(word=st.text(max_size=8))
def test_they_agree_on_unknown_keys(word: str) -> None:
    """Passed over beside the options of a provider, as in mem0; those among them come below."""
    if word not in TOP_NAMES:
        assert VALIDATOR.is_valid({word: None})
    for section in SECTIONS:
        is_taken = section != "reranker" or word in {"provider", "config"}
        beside = {section: {word: None, "provider": FIRST[section]}}
        assert VALIDATOR.is_valid(beside) == is_taken


CLOSED = [
    (section, provider, {option.name for option in table})
    for section in SECTIONS
    for provider in names_in(section)
    if (table := table_in(section, provider)) is not None
]


@given(st.text(max_size=8), st.sampled_from(CLOSED))
def test_they_agree_on_unknown_options(word: str, of: tuple[str, str, set[str]]) -> None:
    section, provider, known = of
    if word not in known:
        check_unknown(section, provider, word)


@pytest.mark.parametrize(("section", "provider"), [each[:2] for each in CLOSED])
def test_an_unknown_option_is_refused_but_for_a_reranker(section: str, provider: str) -> None:
    check_unknown(section, provider, "no_such_option")


def check_unknown(section: str, provider: str, word: str) -> None:
    nested = {section: {"provider": provider, "config": {word: 1}}}
    assert VALIDATOR.is_valid(nested) == (section == "reranker")


@pytest.mark.parametrize(
    "config",
    [
        {"llm": {"provider": "opnai"}},
        {"llm": {"provider": None}},
        {"llm": {"provider": "openai", "config": []}},
        {"reranker": {"provider": "llm_reranker", "confg": {}}},
        {"vector_store": {"provider": "embedded", "config": {"cache_mb": "64"}}},
        {"vector_store": {"provider": "qdrnt"}},
        {"embedder": {"config": {"temperature": 0}}},
    ],
)
def test_a_bad_configuration_fails_in_both(config: Any) -> None:
    assert not VALIDATOR.is_valid(config)


# --- What is in the guides and in the tests --------------------------------------------------


def written_configurations() -> list[Any]:
    """Every file of a configuration that stands in a guide."""
    return [
        pytest.param(block, id=page.name)
        for page in GUIDES
        for block in re.findall(r"```(?:json|toml)\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
        if "provider" in block
    ]


@pytest.mark.parametrize("block", written_configurations())
def test_the_configurations_in_the_guides_are_good(block: str, tmp_path: Path) -> None:
    path = tmp_path / ("c.json" if block.lstrip().startswith("{") else "c.toml")
    if path.suffix == ".toml" and sys.version_info < (3, 11):
        pytest.skip("Python 3.10 has no TOML, and the command line says so")
    path.write_text(block)
    config: Any = read_file(str(path))
    VALIDATOR.validate(config)
    MemoryConfig(**config)


def python_configurations() -> list[Any]:
    """Dicts with a known section, taken from the source of guides, examples and tests."""
    begun = re.compile(rf'"(?:{"|".join(SECTIONS)})":')  # Reading all the others takes seconds.
    sources = [
        *((path.name, path.read_text("utf-8")) for path in ROOT.glob("examples/*.py")),
        *((path.name, path.read_text("utf-8")) for path in ROOT.glob("tests/**/*.py")),
        *(
            (page.name, block)
            for page in GUIDES
            for block in re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
        ),
    ]
    found = {
        repr(config): pytest.param(config, id=name)
        for name, source in sources
        if begun.search(source)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Dict) and (config := _configuration(node))
    }
    return list(found.values())


def _configuration(node: ast.Dict) -> dict[str, Any] | None:
    try:
        value = ast.literal_eval(node)
    except ValueError:
        return None
    is_one = value.keys() <= TOP_NAMES and any(isinstance(value.get(s), dict) for s in SECTIONS)
    return value if is_one else None


def _is_foreign(section: str, provider: str) -> bool:
    """Whether another package decides on the options, so that the schema leaves them open."""
    bridged = section in KINDS and is_bridged(KINDS[section], provider)
    return bridged or (section, provider) == ("nlp", "spacy")


def _is_there(section: str, part: Any) -> bool:
    return part is None or part.provider in [*names_in(section), "unset"]


@pytest.mark.parametrize("config", python_configurations())
def test_the_configurations_in_examples_and_tests_get_one_verdict(config: Any) -> None:
    try:
        read = MemoryConfig(**copy.deepcopy(config))
        for section, maker in MAKERS.items():
            part = getattr(read, section)
            is_made = part is not None and part.provider != "unset"
            if is_made and not _is_foreign(section, part.provider):
                maker(part.provider, part.config.model_dump())
        ours = all(_is_there(section, getattr(read, section)) for section in SECTIONS)
    except InvalidConfigError as error:
        if error.error_code == "CONFIG_004":
            return  # Whether there is a key is not in the file.
        ours = False
    assert VALIDATOR.is_valid(config) == ours


def test_descriptions_are_plain_text() -> None:
    """Errors and editors show them as they are: no links that only a page can follow."""
    texts = [each for each in json.dumps(schema()).split('"') if "](" in each]
    assert texts == []
