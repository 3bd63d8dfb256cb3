"""Grants: a narrowed call never touches more than was granted, or than was asked for."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomem.errors import PermissionDeniedError
from isomem.serve.grants import Grant, check_grants, covered, is_everything, narrow
from isomem.types import SCOPE_KEYS

IDS = st.sampled_from(["u1", "u10", "u1*", "*", "a", "team-a", "team-b", "é", "u.1", "u1\n"])
PATTERNS = st.sampled_from(["u1", "u10", "u*", "*", "team-*", "*a", "t*m-*", "u.1", "é", "u1*"])
SCOPES = st.dictionaries(st.sampled_from(SCOPE_KEYS), IDS)
GRANTS = st.lists(
    st.dictionaries(st.sampled_from(SCOPE_KEYS), PATTERNS).map(Grant), min_size=1, max_size=4
)


def means(pattern: str, value: str) -> bool:
    """What a pattern means, by trying every length for each star."""
    if not pattern:
        return not value
    if pattern[0] == "*":
        return any(means(pattern[1:], value[at:]) for at in range(len(value) + 1))
    return bool(value) and value[0] == pattern[0] and means(pattern[1:], value[1:])


@given(pattern=PATTERNS, value=IDS)
def test_a_star_means_any_characters_and_nothing_else_is_special(pattern: str, value: str) -> None:
    assert Grant({"user_id": pattern}).covers({"user_id": value}) == means(pattern, value)


@given(pattern=st.text("ab*.\\[]^$", max_size=6), value=st.text("ab*.\\[]^$", max_size=6))
def test_whatever_a_pattern_is_made_of(pattern: str, value: str) -> None:
    assert Grant({"run_id": pattern}).covers({"run_id": value}) == means(pattern, value)


@given(value=IDS)
def test_an_exact_grant_takes_a_star_for_a_star(value: str) -> None:
    grant = Grant({"user_id": value}, exact=True)
    assert grant.covers({"user_id": value})
    assert not grant.covers({"user_id": f"{value}x"})
    assert grant.narrowed({}) == {"user_id": value}


@pytest.mark.parametrize("value", [None, 1, True, ["u1"], {"in": ["u1"]}, b"u1"])
def test_only_text_is_an_id(value: Any) -> None:
    assert not Grant({"user_id": "*"}).covers({"user_id": value})


def test_a_memory_without_the_id_is_not_meant() -> None:
    grant = Grant({"user_id": "*", "agent_id": "a1"})
    assert not grant.covers({"user_id": "u1"})
    assert not grant.covers({"agent_id": "a1"})
    assert grant.covers({"agent_id": "a1", "user_id": "u1", "run_id": "r9"})


def test_no_ids_grant_everything() -> None:
    assert is_everything([Grant({"user_id": "u1"}), Grant({})])
    assert not is_everything([Grant({"user_id": "*"})])
    assert not is_everything([])
    assert Grant({}).covers({})


@given(grants=GRANTS, ids=SCOPES)
def test_what_comes_of_narrowing_is_granted_and_was_asked_for(
    grants: list[Grant], ids: dict[str, str]
) -> None:
    try:
        scope = narrow(grants, ids)
    except PermissionDeniedError:
        assert not is_everything(grants)
        assert not covered(grants, ids)
        return
    assert ids.items() <= scope.items()
    assert is_everything(grants) or covered(grants, scope)


@given(grants=GRANTS, ids=SCOPES)
def test_what_is_granted_as_it_is_stays_as_it_is(grants: list[Grant], ids: dict[str, str]) -> None:
    if is_everything(grants) or covered(grants, ids):
        assert narrow(grants, ids) == ids


@given(grants=GRANTS, ids=SCOPES)
def test_the_order_of_grants_does_not_matter(grants: list[Grant], ids: dict[str, str]) -> None:
    assert _narrowed(grants, ids) == _narrowed(grants[::-1], ids)


def _narrowed(grants: list[Grant], ids: dict[str, str]) -> object:
    try:
        return narrow(grants, ids)
    except PermissionDeniedError:
        return "refused"


def test_a_missing_id_is_filled_in() -> None:
    grants = [Grant({"user_id": "ana", "agent_id": "a1"})]
    assert narrow(grants, {}) == {"user_id": "ana", "agent_id": "a1"}
    assert narrow(grants, {"run_id": "r1"})["agent_id"] == "a1"


def test_a_pattern_cannot_be_filled_in() -> None:
    with pytest.raises(PermissionDeniedError, match="user_id"):
        narrow([Grant({"user_id": "team-*"})], {})


def test_one_of_several_scopes_has_to_be_named() -> None:
    grants = [Grant({"user_id": "ana"}), Grant({"user_id": "bob"})]
    with pytest.raises(PermissionDeniedError, match="several") as refused:
        narrow(grants, {})
    assert "user_id" in str(refused.value.suggestion)
    assert narrow(grants, {"user_id": "bob"}) == {"user_id": "bob"}


def test_another_scope_is_refused_without_saying_whose_there_are() -> None:
    with pytest.raises(PermissionDeniedError) as refused:
        narrow([Grant({"user_id": "ana"})], {"user_id": "bob"})
    assert "ana" not in str(refused.value)
    assert refused.value.error_code == "AUTH_002"


@pytest.mark.parametrize(
    ("grants", "fault"),
    [
        ([], "at least one grant"),
        ([{"app_id": "x"}], "app_id"),
        ([{"user_id": ""}], "user_id"),
        ([{"user_id": "a b"}], "user_id"),
        ([{"user_id": " a"}], "white space"),
        ([{"user_id": 7}], "user_id"),
        ([{"user_id": "\ud800"}], "surrogate"),
        (["ana"], "Must be a dict"),
        ([{"user_id": "ana"}, None], "Must be a dict"),
    ],
)
def test_what_cannot_be_granted(grants: Any, fault: str) -> None:
    with pytest.raises(ValueError, match=re.escape(fault)):
        check_grants(grants)


def test_what_can_be_granted() -> None:
    checked = check_grants([{}, {"run_id": "r*"}, {"agent_id": "a", "user_id": "u"}])
    assert [grant.patterns for grant in checked] == [
        {}, {"run_id": "r*"}, {"user_id": "u", "agent_id": "a"},
    ]  # fmt: skip


@pytest.mark.parametrize("pattern", ["*-*-*-prod", "a*" * 20 + "z", "*a*b*c*d*e*", "*" * 50 + "z"])
def test_no_id_makes_a_pattern_take_long(pattern: str) -> None:
    """It is looked at from one end to the other, however it is made."""
    grant = Grant({"user_id": pattern})
    for character in ("-", "a"):
        assert not grant.covers({"user_id": character * 1_000_000 + "!"})
