"""`check-config` over generated configurations: it says what a memory says, and nothing secret."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from isomem import Memory
from isomem.cli.config_check import FAILS, Line, examine
from isomem.config import MCP, SERVICE, TOP
from isomem.errors import ConfigurationError, DependencyError
from isomem.options import defaults_of
from isomem.reference import SECTIONS, names_in, table_in
from isomem.serve.mcp.settings import Settings as McpSettings
from isomem.serve.settings import Settings
from tests.unit.providers.servers import clean_environment

SECRET = "sk-zq81-do-not-show"
HEAVY = {"spacy", "e5", "wordllama"}
"""Providers that load a file of megabytes when they are made. Tests of their own have them."""

MODELS = {"llm": {"provider": "mock"}, "embedder": {"provider": "mock"}}
EMBEDDED = {"vector_store": {"provider": "embedded", "config": {"path": ":memory:"}}}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
SEEN: list[str] = []
_watching = False


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watching:
        return
    writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING
    byte_code = event == "open" and str(arguments[0]).endswith((".pyc", "__pycache__"))
    if byte_code or (event == "open" and ".pyc." in str(arguments[0])):
        return
    if event == "open" and isinstance(arguments[0], int):
        return  # Its path was seen when it was opened.
    if writes or event.startswith(("socket.connect", "socket.getaddr", "sqlite3.", "subprocess.")):
        SEEN.append(f"{event} {arguments[0]!r}")


@pytest.fixture(scope="module", autouse=True)
def _hook() -> None:
    sys.addaudithook(_watch)  # It cannot be taken away; `_watching` turns it off.


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    clean_environment(monkeypatch)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ISOMEM_DIR", str(tmp_path / "memory"))
    yield
    assert not any(tmp_path.iterdir())


# --- Generated configurations ----------------------------------------------------------------

ANYTHING: st.SearchStrategy[Any] = st.sampled_from(
    [None, "", "text", "low", 0, 1, 3, 0.5, -1, float("nan"), float("inf"), True, False, 10**9,
     b"x", [], ["a"], {}, {"a": 1}, "http://127.0.0.1:9", "no address", "a\0b", "\ud800", object()]
)  # fmt: skip
HIDDEN: st.SearchStrategy[Any] = st.sampled_from(
    [SECRET, [SECRET], {"a": SECRET}, f"{SECRET}\n", f"u:{SECRET}@h", SECRET.encode()]
)
UNKNOWN = st.sampled_from(["modle", "apikey", "x", "provder", "tokn", "passwrd", "path_"])
ODD_KEYS = st.sampled_from([1, None, True, b"llm", ("llm",)])


@st.composite
def options(draw: st.DrawFn, section: str, provider: str) -> dict[Any, Any]:
    table = table_in(section, provider) or ()
    given_: dict[Any, Any] = {}
    for option in draw(st.lists(st.sampled_from(table), max_size=3)) if table else ():
        usual = st.just(option.default)
        if option.kind.names:
            usual = st.sampled_from([*option.kind.names])
        other = st.one_of(HIDDEN, ANYTHING) if option.secret else ANYTHING
        given_[option.name] = draw(st.one_of(usual, other))
    if "api_key" in defaults_of(table) and draw(st.booleans()):
        given_["api_key"] = SECRET
    for key in draw(st.lists(UNKNOWN, max_size=1)):
        given_[key] = draw(HIDDEN)
    if draw(st.integers(0, 9)) == 0:
        given_[draw(ODD_KEYS)] = 1
    return given_


@st.composite
def sections(draw: st.DrawFn, section: str) -> Any:
    if draw(st.integers(0, 9)) == 0:
        return draw(st.sampled_from([None, "openai", 5, [], {}, {"provider": None}, {"config": 5}]))
    names = st.sampled_from([name for name in names_in(section) if name not in HEAVY])
    provider = draw(st.one_of(names, st.sampled_from(["opnai", "", "mock"])))
    known = provider in names_in(section)
    part: dict[Any, Any] = {"provider": provider}
    config = draw(options(section, provider)) if known else {"api_key": SECRET}
    part["config"] = draw(st.sampled_from([config, config, config, None]))
    for key in draw(
        st.lists(st.one_of(UNKNOWN, st.sampled_from(["api_key", "model"])), max_size=1)
    ):
        part[key] = SECRET
    if draw(st.integers(0, 9)) == 0:
        del part["provider"]
    return part


stores = st.one_of(
    st.just({}),
    st.fixed_dictionaries(
        {},
        optional={
            **{option.name: ANYTHING for option in table_in("vector_store", "embedded") or ()
               if option.name not in {"path", "busy_timeout_s"}},
            "collection_name": st.sampled_from(["a", "a_entities", " ", "", "\ud800", 5]),
            "pasword": HIDDEN,
        },
    ),
)  # fmt: skip
top_level = {
    **{option.name: st.one_of(st.just(option.default), st.sampled_from(option.kind.names or ("",)),
                              ANYTHING)
       for option in TOP if option.name not in {*SECTIONS, "history_db_path"}},
    "graph_store": st.sampled_from([None, {}, {"provider": "neo4j"}]),
    "tokn": HIDDEN,
}  # fmt: skip


@st.composite
def configurations(draw: st.DrawFn) -> dict[Any, Any]:
    config: dict[Any, Any] = dict(MODELS)
    chosen = draw(st.lists(st.sampled_from(["llm", "embedder", "reranker", "nlp"]), max_size=2))
    config |= {section: draw(sections(section)) for section in chosen}
    keys = draw(st.lists(st.sampled_from(sorted(top_level)), max_size=2))
    config |= {key: draw(top_level[key]) for key in keys}
    if draw(st.integers(0, 9)) == 0:
        config[draw(ODD_KEYS)] = SECRET
    store = draw(stores) if draw(st.booleans()) else {}
    config["vector_store"] = {"provider": "embedded", "config": {**store, "path": ":memory:"}}
    return config


# --- What is said ----------------------------------------------------------------------------


def watched(config: dict[Any, Any]) -> list[Line]:
    """The lines; fails if anything was written, connected to, or started for them."""
    global _watching
    SEEN.clear()
    _watching = True
    try:
        lines = examine(config)
    finally:
        _watching = False
    assert SEEN == []
    return lines


def taken(config: dict[Any, Any]) -> bool:
    """Whether a memory takes a configuration, and a service what is about it alone."""
    try:
        Memory.from_config(config).close()
        Settings(config.get(SERVICE))
        McpSettings(config.get(MCP))
    except (ConfigurationError, DependencyError) as error:
        shown = f"{error} {error.suggestion} {error.details}"
    else:
        return True
    assert SECRET not in shown
    return False


QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@pytest.mark.filterwarnings("ignore")
@given(config=configurations())
@example(config={**MODELS, **EMBEDDED, "serve": {"a": 1}})
@settings(max_examples=60, deadline=None, suppress_health_check=QUIET)
def test_a_configuration_fails_here_if_and_only_if_a_memory_refuses_it(
    config: dict[Any, Any],
) -> None:
    """No secret is shown, no key is left out, and nothing is written, sent or started."""
    lines = watched(config)
    said = [line for line in lines if line.verdict == FAILS]
    assert taken(config) is not bool(said), (config, said)
    assert SECRET not in repr(lines)
    assert not [line for line in said if not line.note]
    about = {line.key.partition(".")[0] for line in lines}
    assert about >= {str(key) for key in config if key != "reranker" or config[key]}


# --- What only the whole configuration shows -------------------------------------------------


def verdict(config: dict[Any, Any], key: str) -> Line:
    [found] = [line for line in watched(config) if line.key == key]
    assert taken({"llm": {"provider": "mock"}, **config}) is (found.verdict != FAILS)
    return found


@pytest.mark.parametrize("key", [1, None, True, ("llm",)])
def test_a_key_that_is_not_text_fails(key: Any) -> None:
    """YAML makes such keys: `on:` is True, and `1:` is a number."""
    found = verdict({**EMBEDDED, "embedder": {"provider": "mock"}, key: "x"}, str(key))
    assert found.verdict == FAILS
    assert type(key).__name__ in found.note


def test_a_spacy_model_that_is_not_installed_fails() -> None:
    nlp = {"provider": "spacy", "config": {"model": "no_such_model"}}
    found = verdict({**EMBEDDED, "embedder": {"provider": "mock"}, "nlp": nlp}, "nlp")
    assert found.verdict == FAILS
    assert "spacy" in found.instead


def test_what_needs_the_own_store_fails_with_another() -> None:
    config = {"embedder": {"provider": "mock"}, "dedup_concurrent": True}
    assert verdict({**EMBEDDED, **config}, "dedup_concurrent").verdict == "works"
    lines = watched({**config, "vector_store": {"provider": "qdrant", "config": {"path": "q"}}})
    assert [line.verdict for line in lines if line.key == "dedup_concurrent"] == [FAILS]


@pytest.mark.oracle
def test_a_collection_of_mem0s_cannot_be_named_as_one_of_entities() -> None:
    store = {"provider": "qdrant", "config": {"path": "q", "collection_name": "mine_entities"}}
    found = verdict({"embedder": {"provider": "mock"}, "vector_store": store},
                    "vector_store.config.collection_name")  # fmt: skip
    assert found.verdict == FAILS
    assert "_entities" in found.note
