"""Whose memory it is: no id gets in unchecked, and none gets in through metadata."""

from __future__ import annotations

import logging
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomem.contract.arguments import (
    check_filters,
    check_id,
    check_ids,
    refuse_top_level_ids,
)
from isomem.contract.scope import scope_of, session_key
from isomem.contract.v2_0_4 import overlay, stamp
from isomem.errors import ValidationError
from isomem.types import SCOPE_KEYS
from tests.unit.store.fuzz import examples


@pytest.mark.parametrize(("given_id", "kept"), [("u", "u"), (" u\n", "u")])
def test_white_space_around_an_id_goes(given_id: Any, kept: Any) -> None:
    assert check_id(given_id, "user_id") == kept


@pytest.mark.parametrize(
    ("given_id", "message"),
    [
        ("", "cannot be empty"),
        (" \t", "cannot be empty"),
        ("\u3000", "cannot be empty"),
        ("a b", "cannot contain whitespace"),
        ("a\u00a0b", "cannot contain whitespace"),
        ("a\nb", "cannot contain whitespace"),
        (5, "must be a string, got int"),
        (["u"], "must be a string, got list"),
        (False, "must be a string, got bool"),
    ],
)
def test_a_wrong_id_is_refused_by_name(given_id: Any, message: str) -> None:
    for call in (
        lambda: check_id(given_id, "user_id"),
        lambda: check_ids({"user_id": given_id}),
        lambda: check_filters({"user_id": given_id}),
    ):
        with pytest.raises(ValueError, match=f"Invalid user_id: {message}"):
            call()


def test_ids_are_in_their_order_and_one_is_needed() -> None:
    assert list(check_ids({"run_id": "r", "user_id": " u "})) == ["user_id", "run_id"]
    with pytest.raises(ValidationError) as caught:
        check_ids({"user_id": None})
    assert caught.value.error_code == "VALIDATION_001"
    assert caught.value.details == {"provided_ids": dict.fromkeys(SCOPE_KEYS)}


def test_filters_need_an_id_at_their_top_and_are_copied() -> None:
    filters = {"user_id": " u ", "x": 1}
    assert check_filters(filters) == {"user_id": "u", "x": 1}
    assert filters == {"user_id": " u ", "x": 1}
    for wrong in (None, {}, {"x": 1}, {"AND": [{"user_id": "u"}]}):
        with pytest.raises(ValueError, match="must contain at least one of"):
            check_filters(wrong)
    with pytest.raises(ValueError, match="filters must be a dict, got str"):
        check_filters("user_id=u")  # type: ignore[arg-type]


def test_ids_beside_the_filters_are_refused() -> None:
    refuse_top_level_ids({"other": 1}, "search")
    with pytest.raises(ValueError, match=r"\{'run_id'\}\)? are not supported in search\(\)"):
        refuse_top_level_ids({"run_id": None}, "search")


def test_a_scope_is_the_ids_with_a_value() -> None:
    assert scope_of({"run_id": "r", "x": 1, "user_id": "", "agent_id": None}) == {"run_id": "r"}


def test_metadata_names_no_scope(caplog: pytest.LogCaptureFixture) -> None:
    metadata = {"a": [1], "user_id": "victim", "agent_id": "x", "run_id": None}
    with caplog.at_level(logging.WARNING, "isomem"):
        fields = stamp(metadata, {"agent_id": "mine"})
    assert fields == {"a": [1], "agent_id": "mine", "run_id": None}
    assert "user_id" in caplog.text
    assert metadata["user_id"] == "victim"
    fields["a"].append(2)
    assert metadata["a"] == [1]
    assert stamp(None, {"user_id": "u"}) == {"user_id": "u"}
    assert overlay({"user_id": "victim", "b": 1}) == {"b": 1}


@pytest.mark.parametrize("metadata", ["text", 5, [1], {1}])
def test_metadata_that_is_no_dict_is_refused(metadata: Any) -> None:
    with pytest.raises(ValidationError, match="metadata must be a dict") as caught:
        stamp(metadata, {"user_id": "u"})
    assert caught.value.error_code == "VALIDATION_005"


def test_a_session_key_is_upstreams_for_ordinary_ids() -> None:
    ids = {"user_id": "u", "agent_id": "a", "run_id": "r"}
    assert session_key(ids) == "agent_id=a&run_id=r&user_id=u"
    assert session_key({"user_id": "é@x.org/1"}) == "user_id=é@x.org/1"
    assert session_key({"user_id": "a&run_id=r%"}) == "user_id=a%26run_id%3Dr%25"


def test_no_two_scopes_share_a_session_key() -> None:
    parts = (None, "a", "a&run_id=b", "b", "a%26", "%", "=", "user_id=a", "&")
    keys = [
        session_key(dict(zip(SCOPE_KEYS, ids, strict=True)))
        for ids in product(parts, repeat=3)
        if any(ids)
    ]
    assert len(set(keys)) == len(keys) == len(parts) ** 3 - 1


_id = st.none() | st.text(st.sampled_from("ab%&=_di"), min_size=1, max_size=8)


@examples(300)
@given(st.tuples(_id, _id, _id), st.tuples(_id, _id, _id))
def test_equal_keys_are_equal_scopes(one: Any, other: Any) -> None:
    keys = [session_key(dict(zip(SCOPE_KEYS, ids, strict=True))) for ids in (one, other)]
    assert (keys[0] == keys[1]) == (one == other)
