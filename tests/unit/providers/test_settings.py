"""Options, and secrets in them."""

from __future__ import annotations

import html
import json
import urllib.parse
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomem.errors import InvalidConfigError
from isomem.options import ANYTHING, Option, defaults_of
from isomem.providers.headers import sendable
from isomem.providers.settings import Settings, first_of, passwords, read_settings, redact
from isomem.providers.tables import llm_options

keys = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=4, max_size=60)
prose = st.text(st.sampled_from("àéîõü \n"), max_size=30)
EVERY = llm_options("m", 1.0)
SPELLINGS = [str, str.lower, str.upper, html.escape, json.dumps, urllib.parse.quote, repr]


@given(key=keys, before=prose, after=prose, spelling=st.sampled_from(SPELLINGS))
def test_a_secret_is_masked_however_it_is_spelt(
    key: str, before: str, after: str, spelling: Callable[[str], str]
) -> None:
    text = redact(f"{before}{spelling(key)}{after}", [key])
    assert key not in text
    assert spelling(key).strip("'\"") not in text
    assert text.startswith(before)
    assert text.endswith(after)


def test_of_two_secrets_the_longer_is_masked_first() -> None:
    assert redact("abcdefgh abcd", ["abcd", "abcdefgh"]) == "*** ***"


def test_placeholders_are_no_secrets() -> None:
    assert redact("no x in text", ["x", "", "no"]) == "no x in text"


@given(key=keys)
def test_printed_options_show_no_key(key: str) -> None:
    settings = Settings(api_key=key, headers={"A": key}, http_client_proxies=key, model=None)
    assert repr(settings) == (
        "Settings(api_key='***', headers='***', http_client_proxies='***', model=None)"
    )


def test_printed_options_show_when_there_is_no_key() -> None:
    assert repr(Settings(api_key=None, headers={})) == "Settings(api_key=None, headers={})"


def test_credentials_in_addresses_are_found() -> None:
    assert passwords("https://me:pass@host/x@y")[:2] == ["me:pass", "pass"]
    assert passwords("https://token@host")[:1] == ["token"]
    assert passwords({"all://": "http://a:bcde@h"})[:2] == ["a:bcde", "bcde"]
    assert passwords("me:pass@host")[:2] == ["me:pass", "pass"]
    assert passwords("http://me:pa/ss@host")[:2] == ["me:pa/ss", "pa/ss"]
    assert passwords("https://host/a@b") == passwords("https://host:80/a@b") == []
    assert passwords("https://[::1]/a@b") == passwords(None) == []


def test_options_are_attributes_that_can_be_set() -> None:
    settings = read_settings({"a": 1}, [Option(name, 2, ANYTHING, name) for name in "ab"], "x")
    settings.b = 3
    assert (settings.a, settings.b) == (1, 3)
    with pytest.raises(AttributeError):
        _ = settings.c


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "1", 0, -1, True, [1]])
def test_a_timeout_is_a_positive_number(value: object) -> None:
    with pytest.raises(InvalidConfigError, match="timeout_s"):
        read_settings({"timeout_s": value}, EVERY, "llm.config")


def test_the_first_value_that_is_there_counts() -> None:
    assert first_of(None, "", "a", "b") == "a"
    assert first_of(None, "") is None


def test_a_header_is_printable_ascii() -> None:
    assert sendable(" sk-1\r\n", "key") == "sk-1"
    for value in ("a\nb", "é", "a\x00b"):
        with pytest.raises(InvalidConfigError) as caught:
            sendable(value, "key")
        assert value not in str(caught.value)


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("temperature", "hot", "a number from 0 to 10"),
        ("temperature", True, "a number from 0 to 10"),
        ("temperature", float("nan"), "a number from 0 to 10"),
        ("top_p", 1.5, "a number from 0 to 1"),
        ("max_tokens", 0, "a whole number from 1"),
        ("max_tokens", "2000", "a whole number from 1"),
        ("model", 4, "text"),
        ("enable_vision", "off", "True or False"),
        ("max_retries", -1, "a whole number from 0"),
    ],
)
def test_a_value_that_an_option_does_not_take_is_named(
    option: str, value: object, expected: str
) -> None:
    with pytest.raises(InvalidConfigError, match=rf"llm\.config: {option} must be {expected}"):
        read_settings({option: value}, EVERY, "llm.config")


def test_no_number_of_retries_is_refused_since_no_request_could_be_sent() -> None:
    with pytest.raises(InvalidConfigError, match="max_retries must be a whole number"):
        read_settings({"max_retries": None}, EVERY, "llm.config")


def test_an_option_may_be_none_as_mem0_has_it() -> None:
    none = {**dict.fromkeys(defaults_of(EVERY)), "max_retries": 0, "retry_within_s": 0}
    assert vars(read_settings(none, EVERY, "llm.config")) == none
