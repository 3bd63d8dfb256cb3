"""Parts of mem0's: what they raise never shows a secret, wherever in the options it is."""

from __future__ import annotations

import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isomem.errors import DependencyError, InvalidConfigError, MemoryError
from isomem.providers.bridge import copy
from isomem.providers.bridge.failures import Failures
from isomem.providers.bridge.looking import look
from isomem.providers.bridge.parts import METHODS, Bridged
from isomem.reference import KINDS

SECTIONS = sorted(METHODS)
SECRETS = st.text("abcXYZ019-_!", min_size=8, max_size=20).map(lambda text: f"zq{text}")

NAMES = (
    *("api_key", "apiKey", "aws_secret_access_key", "access_token", "password", "PASSWORD"),
    *("client_secret", "http_auth", "private_key", "account_key", "service_account_json"),
    *("db_credentials", "auth_client_secret", "token"),
)
"""Options of mem0's stores and models, and names like them, whose whole value is a secret."""

TEXTS = (
    "postgresql://ana:{}@host/db",
    "postgresql+psycopg://ana:{}@host:5432/db?sslmode=require",
    "mongodb://ana:{}@a,b/db",
    "redis://:{}@host:6379/0",
    "https://{}@host",
    "host=db user=ana password={} dbname=memories",
    "host=db password = '{}' user=ana",
    "Server=db;User=ana;Password={};Encrypt=yes",
    "Bearer {}",
    "Basic {}",
    "ApiKey {}",
)
"""Texts that have a secret in them, under any name."""


def inside(value: Any) -> st.SearchStrategy[Any]:
    """The value, somewhere in dicts and lists that say nothing about it."""
    once = [value, [value], (value,), {"x": value}, [{"y": value}], {"z": [1, None, value]}]
    return st.sampled_from([*once, {"deep": {"er": [[value]]}}])


@st.composite
def cases(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    secret = draw(SECRETS)
    if draw(st.booleans()):
        found = draw(inside(secret))
        options: Any = {draw(st.sampled_from(NAMES)): found}
    else:
        options = {"anything": draw(inside(draw(st.sampled_from(TEXTS)).format(secret)))}
    around = draw(st.sampled_from([options, {"config": options}, {"nodes": [options]}]))
    return secret, {"host": "db.example.org", "port": 5432, "ssl": True, **around}


class Broken:
    """A part each of whose methods raises the same error."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Any:
        def method(*_: object, **__: object) -> Any:
            raise self._error

        return method


ERRORS = st.sampled_from([RuntimeError, ValueError, ConnectionError, KeyError, TimeoutError])
FORMS: st.SearchStrategy[Any] = st.sampled_from(
    [str, repr, str.upper, quote, lambda text: f"<{text}>"]
)


@given(case=cases(), kind=ERRORS, form=FORMS, section=st.sampled_from(SECTIONS))
@settings(max_examples=300, deadline=None)
def test_no_secret_is_shown_wherever_it_is(
    case: tuple[str, dict[str, Any]], kind: type[Exception], form: Any, section: str
) -> None:
    secret, options = case
    part = Bridged(Broken(kind(f"cannot use {form(secret)} here")), Failures(section, "p", options))
    method = getattr(part, min(METHODS[section]))
    with pytest.raises(MemoryError) as caught:
        method()
    shown = "".join(traceback.format_exception(caught.value))
    shown += f"{caught.value!r} {caught.value.details} {caught.value.debug_info} {part!r}"
    assert secret.lower() not in shown.lower()
    assert "cannot use" in str(caught.value)
    assert "here" in str(caught.value)


HARMLESS = (
    {"host": "db.example.org", "collection_name": "basic things", "model": "a/b"},
    {"description": "how the password is kept", "metric": "cosine"},
    {"api_key": "", "password": None, "token": 7, "secret": "x"},
    {"url": "https://db.example.org/path?x=1", "ports": [1, 2], "auth": object()},
    {"headers": {"Accept": "basic things of all kinds"}},
)
"""Options without a secret; one of three letters or fewer is a placeholder."""


@pytest.mark.parametrize("options", HARMLESS)
@pytest.mark.parametrize("section", SECTIONS)
def test_an_error_without_a_secret_is_shown_as_it_is(options: dict[str, Any], section: str) -> None:
    text = "db.example.org: basic things, how the password is kept, cosine, 7, x, things of all"
    cause = RuntimeError(text)
    failure = Failures(section, "p", options).of(cause)
    assert f"RuntimeError: {text}" in str(failure)
    assert failure.__cause__ is cause


def test_options_that_contain_themselves_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a program hands over, the failure is the part's and not one of ours."""
    monkeypatch.setenv("SOME_PASSWORD", "swordfish-1")
    circle: dict[str, Any] = {"name": "x"}
    circle["again"] = circle
    circle["list"] = [circle]
    deep: Any = {"password": "hidden-7"}
    for _ in range(5000):
        deep = [deep]
    circle["deep"] = deep
    failure = Failures("llm", "p", circle).of(RuntimeError("swordfish-1 is wrong, hidden-7 too"))
    assert "*** is wrong, *** too" in str(failure)


# --- Several threads at once -----------------------------------------------------------------

needs_mem0 = pytest.mark.skipif(copy.folder() is None, reason="mem0ai is not installed")


def seen(provider: str) -> str:
    try:
        return ",".join(look("vector_store", provider, {}).known)
    except (DependencyError, InvalidConfigError) as error:
        return f"{type(error).__name__}: {error}"


@needs_mem0
@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore")
def test_threads_that_look_at_parts_of_mem0_see_the_same_as_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each import happens in the private copy, and `sys.modules` is as before when all are done."""
    monkeypatch.setitem(sys.modules, "fastembed", None)
    providers = [*KINDS["vector_store"].elsewhere] * 2
    expected = {provider: seen(provider) for provider in providers}
    before = {name: id(each) for name, each in sys.modules.items() if name.startswith("mem0")}
    finders = list(sys.meta_path)
    with ThreadPoolExecutor(8) as pool:
        for provider, found in zip(providers, pool.map(seen, providers), strict=True):
            assert found == expected[provider]
    after = {name: id(each) for name, each in sys.modules.items() if name.startswith("mem0")}
    assert after == before
    assert sys.meta_path == finders
    assert "path" in look("vector_store", "qdrant", {}).known
