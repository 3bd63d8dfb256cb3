"""What a client sends means what the caller passed, whatever that is."""

from __future__ import annotations

import json
import uuid
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from isomem.client.arguments import to_send
from isomem.contract.arguments import check_filters, check_memory_id
from isomem.contract.filters import compile_filters, matches, translate
from isomem.contract.moments import check_timestamp
from isomem.contract.visibility import check_expiration_date
from isomem.errors import ValidationError
from isomem.store.codec import dump_payload
from isomem.types import UNCHANGED

ANA = {"user_id": "ana"}
TEXTS = st.text("abc é\U0001f600 *", max_size=4)
ZONES = st.sampled_from([None, timezone.utc, timezone(timedelta(hours=-5, minutes=30))])
MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1), timezones=ZONES)
DATES = st.dates(date(1970, 1, 2), date(2100, 1, 1))
ALIKE = st.lists(TEXTS, max_size=3) | st.lists(st.integers(-3, 3), max_size=3)
GROUPS = ALIKE | ALIKE.map(tuple) | ALIKE.map(frozenset) | ALIKE.map(set)
BOUNDS = st.integers(-3, 3) | st.sampled_from([-0.5, 0.0, 2.5]) | MOMENTS | DATES
SCALARS = TEXTS | st.integers(-3, 3) | st.booleans()
CONDITIONS = st.one_of(
    SCALARS,
    ALIKE,
    MOMENTS,
    DATES,
    st.fixed_dictionaries({"in": GROUPS}),
    st.fixed_dictionaries({"nin": GROUPS}),
    st.fixed_dictionaries({"ne": SCALARS}),
    st.fixed_dictionaries({"contains": TEXTS}),
    st.fixed_dictionaries({"gte": BOUNDS}),
    st.fixed_dictionaries({"gt": MOMENTS, "lt": DATES}),
)


def fields(least: int = 0) -> st.SearchStrategy[dict[str, Any]]:
    """Some conditions."""
    named = st.tuples(st.sampled_from(["n", "at", "tag"]), CONDITIONS)
    return st.lists(named, min_size=least, max_size=2).map(dict)


GROUPED = st.sampled_from(["AND", "OR", "NOT"]).flatmap(
    lambda name: st.lists(fields(1), min_size=1, max_size=2).map(lambda some: {name: some})
)
FILTERS = st.tuples(fields(), st.just({}) | GROUPED).map(lambda two: {**ANA, **two[0], **two[1]})
PAYLOADS = st.dictionaries(
    st.sampled_from(["n", "at", "tag"]),
    SCALARS | st.lists(TEXTS, max_size=2) | MOMENTS.map(datetime.isoformat) | DATES.map(str),
)
ANYTHING = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.binary(),
        MOMENTS, DATES, st.uuids(), st.just(UNCHANGED), st.just(len), st.just("\ud800"),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.frozensets(st.integers(), max_size=2),
        st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3),
    ),
    max_leaves=6,
)  # fmt: skip
ARGUMENTS = (
    "messages", "user_id", "agent_id", "metadata", "infer", "prompt", "timestamp",
    "expiration_date", "query", "filters", "top_k", "threshold", "memory_id", "data", "text",
    "order", "cursor", "page_size",
)  # fmt: skip


def over_the_wire(call: str, **given_here: Any) -> Any:
    """What a service reads."""
    text = json.dumps(to_send(call, given_here), allow_nan=False, ensure_ascii=False).encode()
    return json.loads(text)


@given(FILTERS, PAYLOADS)
def test_filters_choose_the_same_memories(filters: dict[str, Any], own: dict[str, Any]) -> None:
    sent = over_the_wire("search", query="x", filters=filters)["filters"]
    payload = {**ANA, **own}

    def chosen(given_filters: dict[str, Any]) -> Any:
        try:
            return matches(compile_filters(translate(check_filters(given_filters))), payload)
        except ValueError as error:
            return str(error)

    assert chosen(sent) == chosen(filters)


@given(MOMENTS | DATES | st.integers(0, 4_000_000_000) | st.floats(0, 4e9))
@example("2024-05-01T10:00:00Z")
@example("2024-05-01")
def test_a_timestamp_is_the_same_moment(when: Any) -> None:
    sent = over_the_wire("add", messages="x", timestamp=when)["timestamp"]
    read, meant = check_timestamp(sent), check_timestamp(when)
    assert read == meant
    assert read.date() == meant.date()  # The model is told this day.


@given(MOMENTS | DATES | DATES.map(str))
def test_an_expiration_date_is_the_same_day(when: Any) -> None:
    sent = over_the_wire("add", messages="x", expiration_date=when)["expiration_date"]
    assert check_expiration_date(sent) == check_expiration_date(when)


@given(
    st.dictionaries(
        st.text("ab", min_size=1, max_size=2),
        SCALARS | MOMENTS | DATES | st.uuids() | st.tuples(SCALARS) | st.binary(max_size=0),
        max_size=3,
    )
)
def test_metadata_is_stored_alike(metadata: dict[str, Any]) -> None:
    sent = over_the_wire("add", messages="x", metadata=metadata)["metadata"]
    assert dump_payload(sent) == dump_payload(metadata)


@given(st.uuids() | st.text("ab-", min_size=1, max_size=5) | st.integers(0, 9))
def test_the_id_of_a_memory_is_the_same_text(memory_id: Any) -> None:
    sent = over_the_wire("get", memory_id=memory_id)["memory_id"]
    assert sent == check_memory_id(memory_id)


@pytest.mark.parametrize("value", [None, True, 1.5])
def test_what_has_no_history_is_asked_for_as_it_is(value: object) -> None:
    assert over_the_wire("history", memory_id=value) == {"memory_id": value}
    if value is not None:
        with pytest.raises(ValueError, match="Invalid memory_id"):
            to_send("get", {"memory_id": value})


@given(st.sampled_from(ARGUMENTS), ANYTHING)
def test_what_is_sent_is_json_and_what_is_not_is_refused(name: str, value: Any) -> None:
    """Whatever a program passes: nothing else is raised, and nothing is sent that is not JSON."""
    try:
        sent = to_send("add", {name: value})
    except (ValueError, ValidationError):
        return
    again = json.loads(json.dumps(sent, allow_nan=False, ensure_ascii=False).encode())
    if value is UNCHANGED:
        assert again == {}
    elif isinstance(value, (str, bool, type(None))):
        assert again in ({name: value}, {name: {}})  # Metadata that is nothing is {}.


@given(
    st.dictionaries(
        st.sampled_from([name for name in ARGUMENTS if name not in ("memory_id", "timestamp")]),
        st.none() | st.just(UNCHANGED),
    )
)
def test_none_is_sent_and_unchanged_is_left_out(arguments: dict[str, Any]) -> None:
    sent = to_send("update", arguments)
    assert sent == {name: None for name, value in arguments.items() if value is None}


def test_what_a_caller_passed_is_not_changed() -> None:
    filters = {**ANA, "n": {"in": (1, 2)}, "OR": [{"at": {"gte": date(2024, 1, 1)}}]}
    metadata = {"at": date(2024, 1, 1), "deep": {"t": (1,)}}
    messages = [{"role": "user", "content": "x"}]
    before = repr((filters, metadata, messages))
    to_send("add", {"messages": messages, "metadata": metadata, "filters": filters})
    assert repr((filters, metadata, messages)) == before


def test_filters_that_contain_themselves_are_refused_as_by_a_memory() -> None:
    endless: dict[str, Any] = dict(ANA)
    endless["n"] = endless
    with pytest.raises(ValueError, match="nested more than 100 levels deep") as refused:
        to_send("search", {"query": "x", "filters": endless})
    with pytest.raises(ValueError, match="nested") as meant:
        check_filters(endless)
    assert str(refused.value) == str(meant.value)


@pytest.mark.parametrize(
    "filters",
    [
        {1: 2}, {"n": ("a",)}, {"n": {1, 2}}, {"n": b"x"}, {"n": uuid.UUID(int=5)}, {"n": len},
        {"n": {"in": ("a", 1)}}, {"n": {"nin": {True}}}, {"AND": ({"n": 1},)}, {"n": {"eq": (1,)}},
        {"user_id": ("ana",)}, {"OR": [{"agent_id": date(2024, 1, 1)}]}, {"n": "\ud800"},
    ],
)  # fmt: skip
def test_filters_that_json_would_change_are_refused_as_by_a_memory(filters: Any) -> None:
    whole = {**ANA, **filters}
    try:
        compile_filters(translate(check_filters(whole)))
        meant = None  # A memory takes it, but JSON cannot say it.
    except ValueError as error:
        meant = str(error)
    with pytest.raises(ValueError, match=r".") as refused:
        to_send("search", {"query": "x", "filters": whole})
    if meant is not None:
        assert str(refused.value) == meant
    else:
        assert "cannot be sent" in str(refused.value)


def test_filters_without_an_id_are_sent_since_the_key_may_have_one() -> None:
    assert over_the_wire("count", filters={}) == {"filters": {}}
    assert over_the_wire("count", filters={"n": {"in": (1,)}}) == {"filters": {"n": {"in": [1]}}}
