"""What Redis is asked, without a server: values are never a part of a query's text."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomem import InvalidConfigError
from isomem.config import MemoryConfig, store_table
from isomem.contract.filters import compile_filters
from isomem.options import read_table
from isomem.stores import redis_queries as asking

SAFE = re.compile(r"(@(user|agent|run)_id:\{\$p\d+\} ?)+|\*")


@given(st.text(), st.text(), st.sampled_from(["user_id", "agent_id", "run_id"]))
def test_an_id_is_a_parameter_and_not_text(one: str, other: str, key: str) -> None:
    asked = asking.narrowed(compile_filters({key: one, "k": other}))
    assert SAFE.fullmatch(asked.text)
    assert not asked.is_scope
    assert all(0 < len(value) <= 1024 for value in asked.parameters.values())
    assert asked.text.count("$") == len(asked.parameters)


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ("ana", [b"ana"]),
        (" a , b", [b"a", b"b"]),
        (",", []),
        ("", []),
        ("a\0b", [b"a"]),
        ("x" * 2000, []),
        ("{*}", [b"{*}"]),
        ("\ud800", [b"?"]),
    ],
)
def test_an_id_is_looked_for_by_the_tags_that_an_index_has_of_it(
    value: str, parts: list[bytes]
) -> None:
    asked = asking.narrowed(compile_filters({"user_id": value}))
    assert [*asked.parameters.values()] == parts
    assert asked.is_scope


@pytest.mark.parametrize(
    "filters",
    [
        {"user_id": ["a", "b"]},
        {"user_id": {"ne": "a"}},
        {"OR": [{"user_id": "a"}]},
        {"NOT": [{"user_id": "a"}]},
        {"user_id": 7},
        {"n": 1},
    ],
    ids=str,
)
def test_what_an_index_cannot_decide_is_not_asked(filters: dict[str, Any]) -> None:
    asked = asking.narrowed(compile_filters(filters))
    assert (asked.text, asked.is_scope) == ("*", False)


@given(st.text())
def test_the_words_of_a_query_are_parameters(query: str) -> None:
    words = asking.words_of(query)
    command = asking.ranked("i", asking.narrowed(compile_filters({"user_id": "a"})), words, 5)
    assert re.fullmatch(r"@memory:\((\$w\d+( \| )?)*\) @user_id:\{\$p0\}", str(command[2]))
    assert all(word not in {"", "the"} and "|" not in word for word in words)


def test_no_query_ends_before_it_is_done() -> None:
    """By default, a server returns what it has found when its time is over."""
    asked = asking.narrowed(None)
    for command in (
        asking.nearest("i", asked, b"", 1), asking.newest("i", asked, 1),
        asking.ranked("i", asked, ["w"], 1),
    ):  # fmt: skip
        assert command[list(command).index("TIMEOUT") + 1] == 0


def test_the_password_is_not_shown_in_a_configuration() -> None:
    table = store_table("redis")
    assert next(option for option in table if option.name == "redis_url").secret
    config = {"provider": "redis", "config": {"redis_url": "redis://:s3cret@h:6379"}}
    assert "s3cret" not in repr(MemoryConfig(vector_store=config).vector_store)
    with pytest.raises(InvalidConfigError, match="scores"):
        read_table({"redis_url": "redis://h", "scores": "best"}, table, "x")
